//! A few cells that together hold a shape.
//!
//! The coarsest cell on the border of what is covered is cut again and again, until more cells would be too many. A cell is
//! on the border when an edge touches it, and a cell is touched a little before an edge is there: by more than the error
//! of any test whether shapes meet, so that what meets has a cell in common (G2).
//!
//! A shape of very many edges has coarser cells than it could have: when the looks of one covering are used up, what is not
//! decided is covered.

use std::collections::BinaryHeap;
use std::rc::Rc;

use super::cell::{CellId, CellRanges, LEVEL_MAX, Square, on_face};
use super::effort::{Effort, Pace, Unpaced};
use super::outline::{Outline, slack};
use super::ring::Ring;
use crate::datum::Datum;
use crate::limits::{GEOMETRY_ENTRY_CELLS_MAX, GEOMETRY_QUERY_CELLS_MAX};
use border::{Border, Edge, Edges};

mod border;

/// By how much a cell seems wider on each side, on a face whose sides are 2 long, at least.
const MARGIN: f64 = 1e-13;

/// An edge that may be so far from where it seems to be may be anywhere.
const SLACK_MAX: f64 = 0.05;

/// The cells under which a geometry stands in an index: ascending, none within another. None: what is no geometry. What is no
/// valid one may have some, and must be left out by who finds it. Takes time in proportion to the number of vertices.
pub fn cells_of_entry(geometry: &Datum) -> Vec<CellId> {
    match Outline::of(geometry, &Unpaced) {
        None => Vec::new(),
        Some(Outline::Point(point)) => vec![CellId::leaf(point)],
        Some(Outline::Edges { edges, rings, either_side }) => {
            Cover::new(rings, either_side, GEOMETRY_ENTRY_CELLS_MAX, &Unpaced).of(&edges)
        }
    }
}

/// Where in an index the geometries are that may meet a geometry.
pub fn cells_of_query(geometry: &Datum, pace: &dyn Pace) -> CellRanges {
    let (edges, rings, either_side) = match Outline::of(geometry, pace) {
        None => return CellRanges::default(),
        // As wide as an edge: another point that is the same may lie in the next cell when cells are computed.
        Some(Outline::Point(point)) => (vec![(point, point)], Vec::new(), false),
        Some(Outline::Edges { edges, rings, either_side }) => (edges, rings, either_side),
    };
    CellRanges::meeting(&Cover::new(rings, either_side, GEOMETRY_QUERY_CELLS_MAX, pace).of(&edges))
}

/// A covering in progress.
struct Cover<'a> {
    rings: Vec<Ring>,
    /// Every cell without an edge counts as inside.
    all_inside: bool,
    cells_max: usize,
    effort: Effort<'a>,
    /// The looks are used up.
    spent: bool,
    within: Vec<CellId>,
    border: BinaryHeap<Border>,
}

impl<'a> Cover<'a> {
    fn new(rings: Vec<Ring>, all_inside: bool, cells_max: usize, pace: &'a dyn Pace) -> Cover<'a> {
        let effort = Effort::of_covering(pace);
        Cover { rings, all_inside, cells_max, effort, spent: false, within: Vec::new(), border: BinaryHeap::new() }
    }

    fn of(mut self, edges: &[(super::Vector, super::Vector)]) -> Vec<CellId> {
        let slacks: Vec<f64> = edges.iter().map(|edge| slack(*edge)).collect();
        for cell in CellId::faces() {
            let square = cell.square();
            let seen = edges.iter().zip(&slacks).map(|((from, to), slack)| Edge {
                ends: [on_face(square.face, *from), on_face(square.face, *to)],
                margin: slack.max(MARGIN),
            });
            self.take(edges.len());
            let touching: Vec<Edge> = seen.filter(|edge| touches(edge, &square)).collect();
            if !touching.is_empty() {
                self.border.push(Border::new(cell, Rc::new(Edges::new(touching)), None));
            } else if self.is_inside(&square) {
                self.within.push(cell);
            }
        }
        while let Some(cut) = self.border.pop() {
            let (within, parts) = if self.spent { Default::default() } else { self.cut(&cut) };
            let count = within.len() + parts.len();
            if count == 0 || self.within.len() + self.border.len() + count > self.cells_max {
                self.within.push(cut.cell());
            } else {
                self.within.extend(within);
                self.border.extend(parts);
            }
        }
        self.within.sort_unstable();
        self.within
    }

    /// The quarters of a cell that are inside, and those on the border.
    fn cut(&mut self, cut: &Border) -> (Vec<CellId>, Vec<Border>) {
        let (mut within, mut parts) = (Vec::new(), Vec::new());
        if cut.cell().level() == LEVEL_MAX {
            return (within, parts);
        }
        let quarters = cut.cell().quarters().map(|cell| (cell, cell.square()));
        // When all edges are well within one quarter, the others are all inside or all outside, and so is what is around the
        // edges in that quarter.
        if let Some((cell, _)) = quarters.iter().find(|(_, square)| cut.edges.are_well_within(square)) {
            let others = quarters.iter().filter(|(other, _)| other != cell);
            let around = match cut.around {
                Some(around) => around,
                None => others.clone().next().is_some_and(|(_, square)| self.is_inside(square)),
            };
            if around {
                within.extend(others.map(|(other, _)| *other));
            }
            parts.push(Border::new(*cell, cut.edges.clone(), Some(around)));
            return (within, parts);
        }
        for (cell, square) in quarters {
            self.take(cut.edges.len());
            let touching: Vec<Edge> = cut.edges.iter().filter(|edge| touches(edge, &square)).copied().collect();
            if !touching.is_empty() {
                parts.push(Border::new(cell, Rc::new(Edges::new(touching)), None));
            } else if self.is_inside(&square) {
                within.push(cell);
            }
        }
        (within, parts)
    }

    fn take(&mut self, looks: usize) {
        self.spent |= self.effort.take(looks).is_err();
    }

    /// Whether a cell that no edge touches is inside.
    fn is_inside(&mut self, square: &Square) -> bool {
        if self.all_inside {
            return true;
        }
        let center = square.center();
        let mut inside = false;
        for ring in &self.rings {
            match ring.contains(center, &mut self.effort) {
                Ok(contains) => inside ^= contains,
                Err(_) => {
                    self.spent = true;
                    return true;
                }
            }
        }
        inside
    }
}

/// Whether an edge comes near a cell. Seen from the middle of the sphere a cell is a cone with four flat sides, and the edge
/// lies behind its chord: what is left of the chord on the inner side of all four decides it.
fn touches(edge: &Edge, square: &Square) -> bool {
    if edge.margin > SLACK_MAX {
        return true;
    }
    let (mut start, mut end) = (0.0f64, 1.0f64);
    for (axis, (low, high)) in [square.u, square.v].into_iter().enumerate() {
        let (low, high) = (low - edge.margin, high + edge.margin);
        let inner =
            [edge.ends.map(|point| point[axis] - low * point[2]), edge.ends.map(|point| high * point[2] - point[axis])];
        for [from, to] in inner {
            match (from < 0.0, to < 0.0) {
                (true, true) => return false,
                (true, false) => start = start.max(from / (from - to)),
                (false, true) => end = end.min(from / (from - to)),
                (false, false) => {}
            }
        }
    }
    start <= end
}

/// Whether a point is in one of the cells.
#[cfg(test)]
pub fn covers(cells: &[CellId], point: super::vector::Vector) -> bool {
    let leaf = CellId::leaf(point);
    cells.iter().any(|cell| cell.contains(leaf))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Vector;
    use crate::geo::samples::{line_datum, polygon_datum, shape, vertices};

    fn corners(geometry: &Datum) -> Vec<Vector> {
        vertices(&shape(geometry).unwrap())
    }

    #[test]
    fn a_small_shape_has_small_cells() {
        let shape = polygon_datum(&[&[(10.0, 10.0), (10.001, 10.0), (10.001, 10.001), (10.0, 10.001)]]);
        let cells = cells_of_entry(&shape);
        assert!(cells.len() <= GEOMETRY_ENTRY_CELLS_MAX && cells.iter().all(|cell| cell.level() > 12), "{cells:?}");
        let apart = |pair: &[CellId]| pair[0] < pair[1] && !pair[0].contains(pair[1]) && !pair[1].contains(pair[0]);
        assert!(cells.windows(2).all(apart));
    }

    #[test]
    fn large_shapes_have_few_cells_too() {
        for shape in [
            polygon_datum(&[&[(-179.0, -80.0), (0.0, -80.0), (100.0, -80.0)]]),
            polygon_datum(&[&[(0.0, 0.0), (90.0, 0.0), (180.0, 0.0), (-90.0, 0.0)]]),
            line_datum(&[(-170.0, 0.0), (-10.0, 80.0), (170.0, -3.0)]),
            line_datum(&[(0.0, 0.0), (180.0, 0.0)]),
        ] {
            let cells = cells_of_entry(&shape);
            assert!((1..=GEOMETRY_ENTRY_CELLS_MAX).contains(&cells.len()), "{cells:?}");
            for vertex in corners(&shape) {
                assert!(covers(&cells, vertex));
            }
        }
    }

    #[test]
    fn ten_thousand_vertices() {
        let ring: Vec<(f64, f64)> = (0..10_000)
            .map(|number| (f64::from(number) * std::f64::consts::TAU / 10_000.0).sin_cos())
            .map(|(sine, cosine)| (5.0 * cosine, 40.0 + 5.0 * sine))
            .collect();
        let shape = polygon_datum(&[&ring]);
        let cells = cells_of_entry(&shape);
        assert!(cells.len() <= GEOMETRY_ENTRY_CELLS_MAX);
        assert!(corners(&shape).into_iter().all(|vertex| covers(&cells, vertex)));
        assert!(covers(&cells, Vector::from_degrees(0.0, 40.0)));
    }

    /// The cells are bytes on disk, the same on every machine.
    #[test]
    fn golden_cells() {
        let hex = |geometry: &Datum| -> Vec<String> {
            cells_of_entry(geometry).iter().map(|cell| format!("{:016x}", cell.to_u64())).collect()
        };
        let point = crate::geo::point_datum(crate::geo::LonLat { longitude: -122.3, latitude: 37.8 }).unwrap();
        assert_eq!(hex(&point), ["8ba7abad58cc7f1f"]);
        let line = line_datum(&[(10.0, 10.0), (10.5, 11.0)]);
        let cells = [
            "187f8c0000000000",
            "187fa50000000000",
            "187fb40000000000",
            "187fbc0000000000",
            "18d5150000000000",
            "18d5440000000000",
            "18d54c0000000000",
            "18d5700000000000",
        ];
        assert_eq!(hex(&line), cells);
    }
}
