//! Lines: edges one behind the other.

use super::chain::{Chain, Go};
use super::edge::{Crossing, crossing};
use super::effort::Effort;
use super::nearest::Nearest;
use super::vector::Vector;
use crate::error::Result;

/// A line of at least two points.
#[derive(Clone, Debug)]
pub struct Line(Chain);

impl Line {
    /// `None`: two neighbours are the same or opposite, so that no edge or no one edge lies between them. Errors: too many
    /// vertices for one operation.
    pub fn new(vertices: Vec<Vector>, effort: &mut Effort<'_>) -> Result<Option<Line>> {
        let apart = vertices.windows(2).all(|pair| pair[0] != pair[1] && pair[0] != -pair[1]);
        (vertices.len() >= 2 && apart).then(|| Chain::new(vertices, false, effort).map(Line)).transpose()
    }

    pub fn chain(&self) -> &Chain {
        &self.0
    }

    /// The point of the line that is nearest to `point`. Errors: too complex to tell.
    pub fn nearest(&self, point: Vector, effort: &mut Effort<'_>) -> Result<Vector> {
        let mut nearest = Nearest::new(point);
        nearest.look(&self.0, effort)?;
        Ok(nearest.place())
    }

    /// Whether two lines cross or touch at a vertex of both. Errors: too complex to tell.
    pub fn intersects(&self, other: &Line, effort: &mut Effort<'_>) -> Result<bool> {
        let mut meets = |mine: usize, theirs: usize| {
            let ((a, b), (c, d)) = (self.0.edge(mine), other.0.edge(theirs));
            if crossing(a, b, c, d) == Crossing::None { Go::Continue(()) } else { Go::Break(()) }
        };
        Ok(self.0.pairs_near(&other.0, effort, &mut meets)?.is_break())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::effort::Unpaced;

    fn effort() -> Effort<'static> {
        Effort::new(&Unpaced)
    }

    fn line(degrees: &[(f64, f64)]) -> Option<Line> {
        let vertices = degrees.iter().map(|(longitude, latitude)| Vector::from_degrees(*longitude, *latitude));
        Line::new(vertices.collect(), &mut effort()).unwrap()
    }

    #[test]
    fn what_is_no_line() {
        assert!(line(&[(0.0, 0.0)]).is_none());
        assert!(line(&[(0.0, 0.0), (0.0, 0.0)]).is_none());
        let point = Vector::from_degrees(12.0, 34.0);
        assert!(Line::new(vec![point, -point], &mut effort()).unwrap().is_none());
        assert!(line(&[(0.0, 0.0), (0.0, 1.0), (0.0, 0.0)]).is_some());
    }

    #[test]
    fn lines_meet() {
        let one = line(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]).unwrap();
        let crossing = line(&[(0.0, 0.5), (2.0, 0.5)]).unwrap();
        let touching = line(&[(2.0, 0.0), (3.0, 0.0)]).unwrap();
        let apart = line(&[(0.0, 2.0), (2.0, 2.0)]).unwrap();
        for (other, expected) in [(&crossing, true), (&touching, true), (&apart, false)] {
            assert_eq!(one.intersects(other, &mut effort()).unwrap(), expected);
            assert_eq!(other.intersects(&one, &mut effort()).unwrap(), expected);
        }
    }
}
