//! Lines: edges one behind the other.

use super::chain::{Chain, Go, Pairs};
use super::edge::{Crossing, crossing, distance, nearest};
use super::vector::Vector;
use crate::error::Result;

/// A line of at least two points.
#[derive(Clone, Debug)]
pub struct Line(Chain);

impl Line {
    /// `None`: two neighbours are the same or opposite, so that no edge or no one edge lies between them.
    pub fn new(vertices: Vec<Vector>) -> Option<Line> {
        let apart = vertices.windows(2).all(|pair| pair[0] != pair[1] && pair[0] != -pair[1]);
        (vertices.len() >= 2 && apart).then(|| Line(Chain::new(vertices, false)))
    }

    pub fn chain(&self) -> &Chain {
        &self.0
    }

    /// The point of the line that is nearest to `point`.
    pub fn nearest(&self, point: Vector) -> Vector {
        nearest_of(self.0.edges(), point)
    }

    /// Whether two lines cross or touch at a vertex of both.
    pub fn intersects(&self, other: &Line) -> Result<bool> {
        let mut meets = |mine: usize, theirs: usize| {
            let ((a, b), (c, d)) = (self.0.edge(mine), other.0.edge(theirs));
            if crossing(a, b, c, d) == Crossing::None { Go::Continue(()) } else { Go::Break(()) }
        };
        Ok(self.0.pairs_near(&other.0, &mut Pairs::new(), &mut meets)?.is_break())
    }
}

/// The point nearest to `point` of the nearest of some edges; the first of those that are equally near.
pub fn nearest_of(edges: impl Iterator<Item = (Vector, Vector)>, point: Vector) -> Vector {
    let mut best: Option<(f64, (Vector, Vector))> = None;
    for edge in edges {
        let distance = distance(point, edge.0, edge.1);
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, edge));
        }
    }
    best.map_or(point, |(_, (a, b))| nearest(point, a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(degrees: &[(f64, f64)]) -> Option<Line> {
        Line::new(degrees.iter().map(|(longitude, latitude)| Vector::from_degrees(*longitude, *latitude)).collect())
    }

    #[test]
    fn what_is_no_line() {
        assert!(line(&[(0.0, 0.0)]).is_none());
        assert!(line(&[(0.0, 0.0), (0.0, 0.0)]).is_none());
        let point = Vector::from_degrees(12.0, 34.0);
        assert!(Line::new(vec![point, -point]).is_none());
        assert!(line(&[(0.0, 0.0), (0.0, 1.0), (0.0, 0.0)]).is_some());
    }

    #[test]
    fn lines_meet() {
        let one = line(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]).unwrap();
        let crossing = line(&[(0.0, 0.5), (2.0, 0.5)]).unwrap();
        let touching = line(&[(2.0, 0.0), (3.0, 0.0)]).unwrap();
        let apart = line(&[(0.0, 2.0), (2.0, 2.0)]).unwrap();
        for (other, expected) in [(&crossing, true), (&touching, true), (&apart, false)] {
            assert_eq!(one.intersects(other).unwrap(), expected);
            assert_eq!(other.intersects(&one).unwrap(), expected);
        }
    }
}
