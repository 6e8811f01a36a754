//! Rings: closed chains, with the region on their left as their inside.

pub mod relation;
mod wedge;

use std::collections::HashSet;

use super::bounds::Box3;
use super::chain::{Chain, Go};
use super::edge::{Crosser, Crossing, crossing};
use super::effort::Effort;
use super::orientation::{ordered_around, orientation};
use super::vector::Vector;
use crate::error::Result;

/// The point from which the edges up to a point are counted. It should be on nobody's edge; the numbers are S2's.
const ORIGIN: Vector = Vector::new(0.00457, 1.0, 0.0321);

/// How far a ring around half the sphere may seem to be around more.
const HALF_SPHERE_ERROR: f64 = 1e-14;

/// A ring. The last vertex is followed by the first.
#[derive(Clone, Debug)]
pub struct Ring {
    chain: Chain,
    origin: Vector,
    origin_inside: bool,
}

impl Ring {
    /// A ring of at least three vertices; fewer give one that is not valid. Errors: too many for one operation.
    pub fn new(vertices: Vec<Vector>, effort: &mut Effort<'_>) -> Result<Ring> {
        let chain = Chain::new(vertices, true, effort)?;
        let mut ring = Ring { chain, origin: ORIGIN.normalized(), origin_inside: false };
        if ring.len() >= 3 {
            // Where the origin lies follows from where a vertex lies: inside, when the fixed direction at it points in.
            let [before, here, behind] = [0, 1, 2].map(|index| ring.vertex(index));
            let vertex_inside = ordered_around(here.orthogonal(), before, behind, here);
            ring.origin_inside = vertex_inside != ring.contains(here, effort)?;
        }
        Ok(ring)
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    pub fn len(&self) -> usize {
        self.chain.vertices().len()
    }

    /// Counted around.
    pub fn vertex(&self, index: usize) -> Vector {
        self.chain.vertices()[index % self.len()]
    }

    /// Whether it has three vertices, all different, and its edges do not cross. Errors: too complex to tell.
    pub fn is_valid(&self, effort: &mut Effort<'_>) -> Result<bool> {
        if self.len() < 3 {
            return Ok(false);
        }
        effort.take(2 * self.len())?;
        let mut seen = HashSet::with_capacity(self.len());
        if !self.chain.vertices().iter().all(|vertex| seen.insert(vertex.key())) {
            return Ok(false);
        }
        let mut crosses = |one: usize, other: usize| {
            if other <= one + 1 {
                return Go::Continue(());
            }
            let ((a, b), (c, d)) = (self.chain.edge(one), self.chain.edge(other));
            if crossing(a, b, c, d) == Crossing::Proper { Go::Break(()) } else { Go::Continue(()) }
        };
        Ok(self.chain.pairs_within(effort, &mut crosses)?.is_continue())
    }

    /// Whether a point is inside. Of the rings that divide a region exactly one holds each point of their borders. Errors:
    /// too complex to tell.
    pub fn contains(&self, point: Vector, effort: &mut Effort<'_>) -> Result<bool> {
        let mut inside = self.origin_inside;
        let mut crosser = Crosser::new(self.origin, point, self.vertex(0));
        let normal = crosser.normal();
        let _all = self.chain.runs(&|around| !around.is_beside(normal), effort, &mut |run| {
            crosser.start_at(self.vertex(run.start));
            run.for_each(|edge| inside ^= crosser.next_counted(self.vertex(edge + 1)));
            Go::Continue(())
        })?;
        Ok(inside)
    }

    /// Where a vertex stands; `None`: no vertex is there. Errors: too complex to tell.
    pub fn find(&self, point: Vector, effort: &mut Effort<'_>) -> Result<Option<usize>> {
        let mut found = None;
        let _found = self.chain.near(&Box3::at(point), effort, &mut |edge| {
            if self.vertex(edge) != point {
                return Go::Continue(());
            }
            found = Some(edge);
            Go::Break(())
        })?;
        Ok(found)
    }

    /// Whether the inside is at most half the sphere. Errors: too many vertices for one operation.
    pub fn is_normalized(&self, effort: &mut Effort<'_>) -> Result<bool> {
        Ok(self.turning_angle(effort)? >= -HALF_SPHERE_ERROR)
    }

    /// The same ring around the region on its other side. Errors: too many vertices for one operation.
    pub fn inverted(self, effort: &mut Effort<'_>) -> Result<Ring> {
        let mut vertices = self.chain.vertices().to_vec();
        vertices.reverse();
        Ok(Ring { chain: Chain::new(vertices, true, effort)?, origin_inside: !self.origin_inside, ..self })
    }

    /// The same ring around at most half the sphere. Errors: too many vertices for one operation.
    pub fn normalized(self, effort: &mut Effort<'_>) -> Result<Ring> {
        if self.is_normalized(effort)? { Ok(self) } else { self.inverted(effort) }
    }

    /// The sum of the angles by which one turns left on the way around: the full angle less the area inside. Summed from
    /// the lowest vertex on towards its lower neighbour, so that turning the ring around or shifting it changes no bit but
    /// the sign.
    pub fn turning_angle(&self, effort: &mut Effort<'_>) -> Result<f64> {
        let count = self.len();
        if count < 3 {
            return Ok(0.0);
        }
        let lower =
            |a: &usize, b: &usize| self.vertex(*a).partial_cmp(&self.vertex(*b)).unwrap_or(std::cmp::Ordering::Equal);
        let first = (0..count).min_by(lower).unwrap_or(0);
        let forward = self.vertex(first + 1) < self.vertex(first + count - 1);
        let place = |step: usize| if forward { first + step } else { first + 2 * count - step };
        let mut angle = 0.0;
        for step in 0..count {
            effort.take(2)?;
            let before = self.vertex(place(step + count - 1));
            angle += turn(before, self.vertex(place(step)), self.vertex(place(step + 1)));
        }
        Ok(if forward { angle } else { -angle })
    }
}

/// The angle by which one turns left at `b` on the way from `a` to `c`.
fn turn(a: Vector, b: Vector, c: Vector) -> f64 {
    let angle = b.stable_cross(a).angle(c.stable_cross(b));
    if orientation(a, b, c) > 0 { angle } else { -angle }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::effort::Unpaced;

    fn effort() -> Effort<'static> {
        Effort::new(&Unpaced)
    }

    fn ring(degrees: &[(f64, f64)]) -> Ring {
        let vertices = degrees.iter().map(|(longitude, latitude)| Vector::from_degrees(*longitude, *latitude));
        Ring::new(vertices.collect(), &mut effort()).unwrap()
    }

    fn contains(ring: &Ring, point: Vector) -> bool {
        ring.contains(point, &mut effort()).unwrap()
    }

    const SQUARE: [(f64, f64); 4] = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];

    #[test]
    fn inside_and_outside() {
        let square = ring(&SQUARE);
        let (inside, outside) = (Vector::from_degrees(0.5, 0.5), Vector::from_degrees(2.0, 0.5));
        assert!(square.is_normalized(&mut effort()).unwrap());
        assert!(contains(&square, inside) && !contains(&square, outside));
        let around = square.inverted(&mut effort()).unwrap();
        assert!(!around.is_normalized(&mut effort()).unwrap());
        assert!(!contains(&around, inside) && contains(&around, outside));
        assert!(contains(&around.normalized(&mut effort()).unwrap(), inside));
        let pole = ring(&[(0.0, 80.0), (120.0, 80.0), (-120.0, 80.0)]);
        assert!(contains(&pole, Vector::new(0.0, 0.0, 1.0)));
        let antimeridian = ring(&[(179.0, 0.0), (-179.0, 0.0), (-179.0, 1.0), (179.0, 1.0)]);
        assert!(contains(&antimeridian, Vector::from_degrees(180.0, 0.5)));
    }

    #[test]
    fn squares_that_share_borders_share_no_point() {
        let mut holders = 0;
        for (x, y) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let square: Vec<_> = SQUARE.iter().map(|(a, b)| (a + x, b + y)).collect();
            holders += u32::from(contains(&ring(&square), Vector::from_degrees(1.0, 1.0)));
        }
        assert_eq!(holders, 1);
    }

    #[test]
    fn what_is_no_ring() {
        assert!(ring(&SQUARE).is_valid(&mut effort()).unwrap());
        for bad in [
            &[(0.0, 0.0), (1.0, 1.0)][..],
            &[(0.0, 0.0), (1.0, 0.0), (0.0, 0.0)],
            &[(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)],
            &[(0.0, 0.0), (0.0, 2.0), (0.0, 1.0), (2.0, 0.0)],
        ] {
            assert!(!ring(bad).is_valid(&mut effort()).unwrap(), "{bad:?}");
        }
    }
}
