//! A few cells that together hold a shape.
//!
//! The coarsest cell on the border of what is covered is cut again and again, until more cells would be too many. A cell is
//! on the border when an edge touches it, and a cell is touched a little before an edge is there: by more than the error
//! of any test whether shapes meet, so that what meets has a cell in common (G2).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cell::{CellId, CellRanges, LEVEL_MAX, Square, on_face};
use super::outline::Outline;
use super::ring::Ring;
use crate::datum::Datum;
use crate::limits::{GEOMETRY_ENTRY_CELLS_MAX, GEOMETRY_QUERY_CELLS_MAX};

/// By how much a cell seems wider on each side, on a face whose sides are 2 long.
const MARGIN: f64 = 1e-13;

/// The cells under which a geometry stands in an index: ascending, none within another. None: what is no geometry. What is no
/// valid one may have some, and must be left out by who finds it.
pub fn cells_of_entry(geometry: &Datum) -> Vec<CellId> {
    covering(geometry, GEOMETRY_ENTRY_CELLS_MAX)
}

/// Where in an index the geometries are that may meet a geometry.
pub fn cells_of_query(geometry: &Datum) -> CellRanges {
    CellRanges::meeting(&covering(geometry, GEOMETRY_QUERY_CELLS_MAX))
}

fn covering(geometry: &Datum, cells_max: usize) -> Vec<CellId> {
    let (edges, rings) = match Outline::of(geometry) {
        None => return Vec::new(),
        Some(Outline::Point(point)) => return vec![CellId::leaf(point)],
        Some(Outline::Edges { edges, rings }) => (edges, rings),
    };
    let mut done = Vec::new();
    let mut border = BinaryHeap::new();
    for cell in CellId::faces() {
        let face = cell.square().face;
        let seen: Vec<Seen> = edges.iter().map(|(from, to)| [on_face(face, *from), on_face(face, *to)]).collect();
        sort_in(cell, seen.iter(), &rings, &mut done, &mut border);
    }
    while let Some(cut) = border.pop() {
        let (mut within, mut parts) = (Vec::new(), BinaryHeap::new());
        if cut.cell().level() < LEVEL_MAX {
            for quarter in cut.cell().quarters() {
                sort_in(quarter, cut.edges.iter(), &rings, &mut within, &mut parts);
            }
        }
        let count = within.len() + parts.len();
        if count == 0 || done.len() + border.len() + count > cells_max {
            done.push(cut.cell());
        } else {
            done.append(&mut within);
            border.append(&mut parts);
        }
    }
    done.sort_unstable();
    done
}

/// The ends of an edge as a face sees them.
type Seen = [[f64; 3]; 2];

/// A cell on the border with the edges that touch it. The coarsest is the greatest, of equal ones the one with the least id.
struct Border {
    order: (Reverse<u32>, Reverse<CellId>),
    edges: Vec<Seen>,
}

impl Border {
    fn cell(&self) -> CellId {
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

/// Puts a cell to those within the shape, to those on its border, or to none.
fn sort_in<'a>(
    cell: CellId,
    edges: impl Iterator<Item = &'a Seen>,
    rings: &[Ring],
    within: &mut Vec<CellId>,
    border: &mut BinaryHeap<Border>,
) {
    let square = cell.square();
    let edges: Vec<Seen> = edges.filter(|edge| touches(edge, &square)).copied().collect();
    if !edges.is_empty() {
        border.push(Border { order: (Reverse(cell.level()), Reverse(cell)), edges });
    } else if rings.iter().filter(|ring| ring.contains(square.center())).count() % 2 == 1 {
        within.push(cell);
    }
}

/// Whether an edge comes near a cell. Seen from the middle of the sphere a cell is a cone with four flat sides, and the edge
/// lies behind its chord: what is left of the chord on the inner side of all four decides it.
fn touches(edge: &Seen, square: &Square) -> bool {
    let (mut start, mut end) = (0.0f64, 1.0f64);
    for (axis, (low, high)) in [square.u, square.v].into_iter().enumerate() {
        let (low, high) = (low - MARGIN, high + MARGIN);
        let inner = [edge.map(|point| point[axis] - low * point[2]), edge.map(|point| high * point[2] - point[axis])];
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
    use crate::geo::samples::{line_datum, polygon_datum, vertices};
    use crate::geo::{Shape, Vector};

    fn corners(geometry: &Datum) -> Vec<Vector> {
        vertices(&Shape::of(geometry).unwrap())
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
