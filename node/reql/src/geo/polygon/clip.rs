//! Which parts of a line are inside a polygon: each edge is cut where it crosses the border, and whether one is inside
//! changes at each cut.

use super::super::bounds::Box3;
use super::super::chain::{Chain, Go, Node};
use super::super::edge::{Crossing, crosses_at_vertex, crossing, fraction, intersection};
use super::super::effort::Effort;
use super::super::line::Line;
use super::super::ring::Ring;
use super::super::vector::Vector;
use super::Polygon;
use crate::error::Result;

/// Where an edge is cut: which part of the way is behind, and the point.
type Cut = (f64, Vector);

/// Whether any part of the line is inside (or outside) of the polygon. A part may be as short as a point. Errors: too complex
/// to tell.
pub fn has_part(polygon: &Polygon, line: &Line, wanted_inside: bool, effort: &mut Effort<'_>) -> Result<bool> {
    let chain = line.chain();
    let (Some(first), Some(root)) = (chain.vertices().first(), chain.root()) else { return Ok(false) };
    let wanted = polygon.contains_point(*first, effort)? == wanted_inside;
    let rings: Vec<&Ring> = polygon.rings().iter().collect();
    Walk { chain, wanted }.finds_part(root, &rings, effort)
}

/// A way along a line.
struct Walk<'a> {
    chain: &'a Chain,
    /// Whether it is where it is wanted.
    wanted: bool,
}

impl Walk<'_> {
    /// Whether a part of these edges is where it is wanted. The rings near them are among `rings`. The levels of nodes are few.
    fn finds_part(&mut self, node: Node, rings: &[&Ring], effort: &mut Effort<'_>) -> Result<bool> {
        let around = self.chain.box_of(node);
        effort.take(1 + rings.len())?;
        let touches = |ring: &&&Ring| ring.chain().root().is_some_and(|root| ring.chain().box_of(root).touches(around));
        let near: Vec<&Ring> = rings.iter().filter(touches).copied().collect();
        for edge in self.chain.run(node).into_iter().flatten() {
            if self.goes_through_part(edge, &near, effort)? {
                return Ok(true);
            }
        }
        for part in self.chain.parts(node) {
            if self.finds_part(part, &near, effort)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn goes_through_part(&mut self, edge: usize, rings: &[&Ring], effort: &mut Effort<'_>) -> Result<bool> {
        let (from, to) = self.chain.edge(edge);
        let mut cuts = cuts(rings, from, to, effort)?;
        if self.wanted {
            cuts.push((0.0, from));
        }
        self.wanted = cuts.len() % 2 == 1;
        if self.wanted {
            cuts.push((1.0, to));
        }
        cuts.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        Ok(cuts.chunks_exact(2).any(|part| part[0] != part[1]))
    }
}

fn cuts(rings: &[&Ring], from: Vector, to: Vector, effort: &mut Effort<'_>) -> Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    let near = Box3::around_edge(from, to);
    effort.take(1)?;
    for ring in rings {
        let mut look = |edge: usize| {
            let (a, b) = ring.chain().edge(edge);
            match crossing(from, to, a, b) {
                Crossing::None => {}
                Crossing::Proper => {
                    let point = intersection(from, to, a, b);
                    cuts.push((fraction(point, from, to), point));
                }
                Crossing::Shared if crosses_at_vertex(from, to, a, b) => {
                    let at_start = from == a || from == b;
                    cuts.push(if at_start { (0.0, from) } else { (1.0, to) });
                }
                Crossing::Shared => {}
            }
            Go::Continue(())
        };
        let _all = ring.chain().near(&near, effort, &mut look)?;
    }
    Ok(cuts)
}
