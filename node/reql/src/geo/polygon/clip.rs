//! Which parts of a line are inside a polygon: each edge is cut where it crosses the border, and whether one is inside
//! changes at each cut.

use super::super::chain::{Box3, Go, Pairs};
use super::super::edge::{Crossing, crosses_at_vertex, crossing, fraction, intersection};
use super::super::line::Line;
use super::super::vector::Vector;
use super::Polygon;
use crate::error::Result;

/// Where an edge is cut: which part of the way is behind, and the point.
type Cut = (f64, Vector);

/// Whether any part of the line is inside (or outside) of the polygon. A part may be as short as a point.
pub fn has_part(polygon: &Polygon, line: &Line, wanted_inside: bool) -> Result<bool> {
    let mut pairs = Pairs::new();
    let Some(first) = line.chain().vertices().first() else { return Ok(false) };
    let mut wanted = polygon.contains_point(*first) == wanted_inside;
    for (from, to) in line.chain().edges() {
        let mut cuts = cuts(polygon, from, to, &mut pairs)?;
        if wanted {
            cuts.push((0.0, from));
        }
        wanted = cuts.len() % 2 == 1;
        if wanted {
            cuts.push((1.0, to));
        }
        cuts.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        if cuts.chunks_exact(2).any(|part| part[0] != part[1]) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn cuts(polygon: &Polygon, from: Vector, to: Vector, pairs: &mut Pairs) -> Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    let near = Box3::around_edge(from, to);
    for ring in polygon.rings() {
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
        let _all = ring.chain().near(&near, pairs, &mut look)?;
    }
    Ok(cuts)
}
