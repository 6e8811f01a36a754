//! Cells on the border of what is covered, with the edges that touch them.

use std::cmp::Reverse;
use std::ops::Deref;
use std::rc::Rc;

use super::super::cell::{CellId, Square};
use super::MARGIN;

/// An edge as a face sees it.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    pub ends: [[f64; 3]; 2],
    /// By how much a cell seems wider to it.
    pub margin: f64,
}

/// Edges of one face, and what is around them.
pub struct Edges {
    edges: Vec<Edge>,
    /// In the plane that touches the sphere at the face's middle. `None`: not all of them are in front of it, or one may be
    /// elsewhere.
    extent: Option<[(f64, f64); 2]>,
}

impl Edges {
    pub fn new(edges: Vec<Edge>) -> Edges {
        let mut extent = Some([(f64::INFINITY, f64::NEG_INFINITY); 2]);
        for edge in &edges {
            for [u, v, w] in edge.ends {
                extent = extent.filter(|_| w > 0.0 && edge.margin <= MARGIN).map(|extent| {
                    let wider = |(low, high): (f64, f64), place: f64| (low.min(place / w), high.max(place / w));
                    [wider(extent[0], u), wider(extent[1], v)]
                });
            }
        }
        Edges { edges, extent }
    }

    /// Whether they all touch this cell and no other of its size.
    pub fn are_well_within(&self, square: &Square) -> bool {
        self.extent.is_some_and(|extent| {
            extent
                .into_iter()
                .zip([square.u, square.v])
                .all(|((least, greatest), (low, high))| least >= low + 4.0 * MARGIN && greatest <= high - 4.0 * MARGIN)
        })
    }
}

impl Deref for Edges {
    type Target = [Edge];

    fn deref(&self) -> &[Edge] {
        &self.edges
    }
}

/// A cell on the border. The coarsest is the greatest, of equal ones the one with the least id.
pub struct Border {
    order: (Reverse<u32>, Reverse<CellId>),
    pub edges: Rc<Edges>,
    /// Whether what is around all the edges in this cell is inside, when that is known.
    pub around: Option<bool>,
}

impl Border {
    pub fn new(cell: CellId, edges: Rc<Edges>, around: Option<bool>) -> Border {
        Border { order: (Reverse(cell.level()), Reverse(cell)), edges, around }
    }

    pub fn cell(&self) -> CellId {
        self.order.1.0
    }
}

impl PartialEq for Border {
    fn eq(&self, other: &Border) -> bool {
        self.order == other.order
    }
}

impl Eq for Border {}

impl PartialOrd for Border {
    fn partial_cmp(&self, other: &Border) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Border {
    fn cmp(&self, other: &Border) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}
