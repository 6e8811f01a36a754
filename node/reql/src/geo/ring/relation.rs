//! Two rings: whether one contains the other, meets it, or crosses it.

use super::super::chain::Go;
use super::super::edge::{Crossing, crossing};
use super::super::effort::Effort;
use super::super::vector::Vector;
use super::Ring;
use super::wedge::{Relation, Wedge};
use crate::error::Result;

/// How the border of a ring lies to another ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// The borders cross.
    Crosses,
    /// The other ring lies within this one.
    Contains,
    /// It does not.
    Apart,
}

impl Ring {
    /// Whether the inside of `other` lies within the inside of this ring. Errors: too complex to tell.
    pub fn contains_ring(&self, other: &Ring, effort: &mut Effort<'_>) -> Result<bool> {
        let first = other.vertex(0);
        if self.leaves_out(first, effort)? {
            return Ok(false);
        }
        let mut all = true;
        let crosses = self.borders_cross(other, effort, &mut |mine, theirs, center| {
            all = mine.contains(theirs, center);
            !all
        })?;
        if crosses || !all {
            return Ok(false);
        }
        // Two rings that together are around the whole sphere contain each other's borders.
        Ok(!other.holds_strictly(self.vertex(0), effort)?)
    }

    /// Whether the insides of the rings have anything in common. Errors: too complex to tell.
    pub fn intersects_ring(&self, other: &Ring, effort: &mut Effort<'_>) -> Result<bool> {
        if other.len() > self.len() {
            return other.intersects_ring(self, effort);
        }
        if self.holds_strictly(other.vertex(0), effort)? {
            return Ok(true);
        }
        let mut any = false;
        let crosses = self.borders_cross(other, effort, &mut |mine, theirs, center| {
            any = mine.intersects(theirs, center);
            any
        })?;
        Ok(crosses || any || other.holds_strictly(self.vertex(0), effort)?)
    }

    /// Whether the borders cross, and if not, whether `other` lies within. Errors: too complex to tell.
    pub fn nesting(&self, other: &Ring, effort: &mut Effort<'_>) -> Result<Nesting> {
        let (mut larger, mut smaller, mut disjoint, mut overlaps) = (false, false, false, false);
        let crosses = self.borders_cross(other, effort, &mut |mine, theirs, center| {
            match mine.relation(theirs, center) {
                Relation::Same => {}
                Relation::Contains => larger = true,
                Relation::IsContained => smaller = true,
                Relation::Disjoint => disjoint = true,
                Relation::Overlaps => overlaps = true,
            }
            overlaps |= larger && smaller;
            overlaps
        })?;
        if crosses || overlaps {
            return Ok(Nesting::Crosses);
        }
        let first = other.vertex(0);
        let outside = disjoint || smaller || self.leaves_out(first, effort)?;
        Ok(if outside { Nesting::Apart } else { Nesting::Contains })
    }

    /// Of rings that share no edge and do not cross: whether `other` lies within this one. Errors: too complex to tell.
    pub fn contains_nested(&self, other: &Ring, effort: &mut Effort<'_>) -> Result<bool> {
        let shared = other.vertex(1);
        match self.find(shared, effort)? {
            None => self.contains(shared, effort),
            Some(place) => {
                let mine = self.wedge(place);
                Ok(mine.contains(Wedge { before: other.vertex(0), behind: other.vertex(2) }, shared))
            }
        }
    }

    fn holds_strictly(&self, point: Vector, effort: &mut Effort<'_>) -> Result<bool> {
        Ok(self.contains(point, effort)? && self.find(point, effort)?.is_none())
    }

    /// Whether a point is outside and no vertex.
    fn leaves_out(&self, point: Vector, effort: &mut Effort<'_>) -> Result<bool> {
        Ok(!self.contains(point, effort)? && self.find(point, effort)?.is_none())
    }

    fn wedge(&self, place: usize) -> Wedge {
        Wedge { before: self.vertex(place + self.len() - 1), behind: self.vertex(place + 1) }
    }

    /// Whether an edge of one ring crosses an edge of the other. `at_vertex` is shown the wedges at each vertex that both
    /// have, and may end the search.
    fn borders_cross(
        &self,
        other: &Ring,
        effort: &mut Effort<'_>,
        at_vertex: &mut dyn FnMut(Wedge, Wedge, Vector) -> bool,
    ) -> Result<bool> {
        let mut crosses = false;
        let mut look = |mine: usize, theirs: usize| {
            let ((a, b), (c, d)) = (self.chain.edge(mine), other.chain.edge(theirs));
            match crossing(a, b, c, d) {
                Crossing::None => Go::Continue(()),
                Crossing::Proper => {
                    crosses = true;
                    Go::Break(())
                }
                Crossing::Shared if b == d => {
                    let done = at_vertex(self.wedge(mine + 1), other.wedge(theirs + 1), b);
                    if done { Go::Break(()) } else { Go::Continue(()) }
                }
                Crossing::Shared => Go::Continue(()),
            }
        };
        let _stopped = self.chain.pairs_near(&other.chain, effort, &mut look)?;
        Ok(crosses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::effort::Unpaced;

    fn square(x: f64, y: f64, side: f64) -> Ring {
        let corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)];
        let vertices = corners.map(|(longitude, latitude)| Vector::from_degrees(longitude, latitude)).to_vec();
        Ring::new(vertices, &mut Effort::new(&Unpaced)).unwrap()
    }

    #[test]
    fn of_squares() {
        let one = square(0.0, 0.0, 2.0);
        let effort = &mut Effort::new(&Unpaced);
        for (other, contains, intersects, nesting) in [
            (square(0.5, 0.5, 1.0), true, true, Nesting::Contains),
            (square(1.0, 1.0, 2.0), false, true, Nesting::Crosses),
            (square(2.0, 2.0, 1.0), false, false, Nesting::Apart),
            (square(5.0, 5.0, 1.0), false, false, Nesting::Apart),
            (square(-1.0, -1.0, 5.0), false, true, Nesting::Apart),
            (square(0.0, 0.0, 2.0), true, true, Nesting::Contains),
        ] {
            assert_eq!(one.contains_ring(&other, effort).unwrap(), contains, "{other:?}");
            assert_eq!(one.intersects_ring(&other, effort).unwrap(), intersects, "{other:?}");
            assert_eq!(other.intersects_ring(&one, effort).unwrap(), intersects, "{other:?}");
            assert_eq!(one.nesting(&other, effort).unwrap(), nesting, "{other:?}");
        }
    }
}
