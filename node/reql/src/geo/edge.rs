//! Two edges: whether and where they cross; a point and an edge: how near they are. An edge is the shorter arc between two
//! points of the sphere.

use super::orientation::{ordered_around, orientation_with, simply_counterclockwise};
use super::vector::Vector;

/// How two edges lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// They have no point in common.
    None,
    /// They have an end in common.
    Shared,
    /// They cross between their ends.
    Proper,
}

/// An edge to be tested against others, one behind the other.
pub struct Crosser {
    a: Vector,
    b: Vector,
    a_cross_b: Vector,
    /// The end of the last edge tested, and on which side of this edge it lies.
    c: Vector,
    side: i8,
}

impl Crosser {
    /// Begins with a chain that starts at `c`.
    pub fn new(a: Vector, b: Vector, c: Vector) -> Crosser {
        let a_cross_b = a.cross(b);
        Crosser { a, b, a_cross_b, c, side: orientation_with(a, b, c, a_cross_b) }
    }

    /// A vector orthogonal to the edge, at most one long. Edges whose ends are all on one side of the plane do not cross.
    pub fn normal(&self) -> Vector {
        self.a_cross_b
    }

    /// Goes on with another chain, or another part of it, that starts at `c`.
    pub fn start_at(&mut self, c: Vector) {
        (self.c, self.side) = (c, orientation_with(self.a, self.b, c, self.a_cross_b));
    }

    /// How the edge from the end of the last one to `d` lies.
    pub fn next(&mut self, d: Vector) -> Crossing {
        let side = orientation_with(self.a, self.b, d, self.a_cross_b);
        let (before, c) = (self.side, self.c);
        (self.side, self.c) = (side, d);
        if before == side && side != 0 {
            return Crossing::None;
        }
        if before == 0 || side == 0 {
            return Crossing::Shared;
        }
        // The ends of the other edge lie on both sides of this one; do the ends of this one, too?
        let c_cross_d = c.cross(d);
        let of_b = orientation_with(c, d, self.b, c_cross_d);
        let of_a = orientation_with(c, d, self.a, c_cross_d);
        if of_b == before && of_a == side { Crossing::Proper } else { Crossing::None }
    }

    /// As [`Crosser::next`], with shared ends counted such that a count of crossings tells inside from outside.
    pub fn next_counted(&mut self, d: Vector) -> bool {
        let c = self.c;
        match self.next(d) {
            Crossing::None => false,
            Crossing::Proper => true,
            Crossing::Shared => crosses_at_vertex(self.a, self.b, c, d),
        }
    }
}

/// How two edges lie to each other.
pub fn crossing(a: Vector, b: Vector, c: Vector, d: Vector) -> Crossing {
    Crosser::new(a, b, c).next(d)
}

/// Of edges that share an end: whether the first counts as crossing the second. It does when it comes behind the second in
/// the counterclockwise order around the shared point that begins at a fixed direction.
pub fn crosses_at_vertex(a: Vector, b: Vector, c: Vector, d: Vector) -> bool {
    if a == b || c == d {
        return false;
    }
    let behind = |shared: Vector, other: Vector, end: Vector| ordered_around(shared.orthogonal(), other, end, shared);
    if a == d {
        behind(a, c, b)
    } else if b == c {
        behind(b, d, a)
    } else if a == c {
        behind(a, d, b)
    } else if b == d {
        behind(b, c, a)
    } else {
        false
    }
}

/// The point where two edges cross properly, the same for every order of the edges and of their ends.
pub fn intersection(a0: Vector, a1: Vector, b0: Vector, b1: Vector) -> Vector {
    let a_normal = a0.stable_cross(a1).normalized();
    let b_normal = b0.stable_cross(b1).normalized();
    let mut point = a_normal.stable_cross(b_normal).normalized();
    if point.dot((a0 + a1) + (b0 + b1)) < 0.0 {
        point = -point;
    }
    if ordered_around(a0, point, a1, a_normal) && ordered_around(b0, point, b1, b_normal) {
        return point;
    }
    // Edges that are nearly parallel: the nearest end that lies on the other edge.
    let ends = [(a0, b0, b1, b_normal), (a1, b0, b1, b_normal), (b0, a0, a1, a_normal), (b1, a0, a1, a_normal)];
    let mut nearest = (10.0, point);
    for (end, from, to, normal) in ends {
        if ordered_around(from, end, to, normal) {
            let distance = (point - end).norm2();
            if distance < nearest.0 || (distance == nearest.0 && end < nearest.1) {
                nearest = (distance, end);
            }
        }
    }
    nearest.1
}

/// Which part of the way from `a` to `b` is behind who stands at `point`.
pub fn fraction(point: Vector, a: Vector, b: Vector) -> f64 {
    let (behind, ahead) = (point.angle(a), point.angle(b));
    behind / (behind + ahead)
}

/// The angle between a point and the nearest point of an edge, in radians.
pub fn distance(point: Vector, a: Vector, b: Vector) -> f64 {
    let normal = a.stable_cross(b);
    if simply_counterclockwise(normal, a, point) && simply_counterclockwise(point, b, normal) {
        let sine = point.dot(normal).abs() / normal.norm();
        return libm::asin(sine.min(1.0));
    }
    let chord2 = (point - a).norm2().min((point - b).norm2());
    2.0 * libm::asin((0.5 * chord2.sqrt()).min(1.0))
}

/// The point of an edge that is nearest to a point; the point itself, to the bit, where it lies on the edge as far as the
/// computation can tell.
pub fn nearest(point: Vector, a: Vector, b: Vector) -> Vector {
    let normal = a.stable_cross(b);
    let on_circle = point - normal * (point.dot(normal) / normal.norm2());
    if simply_counterclockwise(normal, a, on_circle) && simply_counterclockwise(on_circle, b, normal) {
        return on_circle.normalized();
    }
    if (point - a).norm2() <= (point - b).norm2() { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points<const N: usize>(degrees: [(f64, f64); N]) -> [Vector; N] {
        degrees.map(|(longitude, latitude)| Vector::from_degrees(longitude, latitude))
    }

    #[test]
    fn crossings_of_two_edges() {
        let [a, b, c, d, e] = points([(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (0.0, 3.0)]);
        assert_eq!(crossing(a, b, c, d), Crossing::Proper);
        assert_eq!(crossing(c, d, b, a), Crossing::Proper);
        assert_eq!(crossing(a, b, d, e), Crossing::None);
        assert_eq!(crossing(a, b, b, e), Crossing::Shared);
        // On the other side of the sphere.
        assert_eq!(crossing(a, b, -c, -d), Crossing::None);
        let [x] = points([(0.0, 0.0)]);
        assert!((intersection(a, b, c, d) - x).norm() < 1e-15);
        assert_eq!(intersection(a, b, c, d), intersection(d, c, a, b));
        assert!((fraction(x, a, b) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn of_two_edges_at_one_vertex_exactly_one_counts() {
        let [o, a, b] = points([(0.0, 0.0), (3.0, 1.0), (-1.0, 2.0)]);
        assert_ne!(crosses_at_vertex(o, a, o, b), crosses_at_vertex(o, b, o, a));
        assert!(crosses_at_vertex(o, a, a, o) && crosses_at_vertex(o, a, o, a));
    }

    #[test]
    fn nearness() {
        let [a, b, above, beyond, on] = points([(1.0, 0.0), (2.0, 0.0), (1.5, 1.0), (5.0, 0.0), (1.8, 0.0)]);
        assert!((distance(above, a, b) - 1f64.to_radians()).abs() < 1e-15);
        assert!((distance(beyond, a, b) - 3f64.to_radians()).abs() < 1e-15);
        assert_eq!(nearest(beyond, a, b), b);
        assert_eq!(nearest(on, a, b), on);
    }
}
