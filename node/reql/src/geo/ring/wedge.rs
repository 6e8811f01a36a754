//! Two rings at a vertex that both have: how the regions left of them lie there. A wedge is what lies left of the way from
//! the vertex before the shared one to the one behind it.

use super::super::orientation::ordered_around;
use super::super::vector::Vector;

/// The neighbours of the shared vertex in one ring.
#[derive(Clone, Copy, Debug)]
pub struct Wedge {
    pub before: Vector,
    pub behind: Vector,
}

/// How a wedge lies to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Same,
    Contains,
    IsContained,
    Overlaps,
    Disjoint,
}

impl Wedge {
    /// Whether the other one lies within this one, or is the same.
    pub fn contains(self, other: Wedge, center: Vector) -> bool {
        ordered_around(self.behind, other.behind, other.before, center)
            && ordered_around(other.before, self.before, self.behind, center)
    }

    /// Whether they have more in common than edges.
    pub fn intersects(self, other: Wedge, center: Vector) -> bool {
        !(ordered_around(self.before, other.behind, other.before, center)
            && ordered_around(other.before, self.behind, self.before, center))
    }

    /// How this one lies to the other.
    pub fn relation(self, other: Wedge, center: Vector) -> Relation {
        if self.before == other.before && self.behind == other.behind {
            return Relation::Same;
        }
        if ordered_around(self.before, self.behind, other.behind, center) {
            if ordered_around(other.behind, other.before, self.before, center) {
                return Relation::Contains;
            }
            return if self.behind == other.behind { Relation::IsContained } else { Relation::Overlaps };
        }
        if ordered_around(self.before, other.before, other.behind, center) {
            return Relation::IsContained;
        }
        if ordered_around(self.before, other.before, self.behind, center) {
            Relation::Disjoint
        } else {
            Relation::Overlaps
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wedge at (0, 0) that begins and ends in these directions, in degrees counterclockwise from east. Its inside is
    /// left of the way in and out: from `behind` counterclockwise to `before`.
    fn wedge(from: f64, to: f64) -> Wedge {
        let at = |angle: f64| Vector::from_degrees(angle.to_radians().cos(), angle.to_radians().sin());
        Wedge { behind: at(from), before: at(to) }
    }

    #[test]
    fn relations() {
        let center = Vector::from_degrees(0.0, 0.0);
        for (one, other, relation) in [
            (wedge(0.0, 90.0), wedge(0.0, 90.0), Relation::Same),
            (wedge(0.0, 90.0), wedge(10.0, 80.0), Relation::Contains),
            (wedge(0.0, 90.0), wedge(0.0, 80.0), Relation::Contains),
            (wedge(10.0, 80.0), wedge(0.0, 90.0), Relation::IsContained),
            (wedge(0.0, 90.0), wedge(45.0, 135.0), Relation::Overlaps),
            (wedge(0.0, 90.0), wedge(180.0, 270.0), Relation::Disjoint),
            (wedge(0.0, 90.0), wedge(90.0, 180.0), Relation::Disjoint),
        ] {
            assert_eq!(one.relation(other, center), relation, "{one:?} {other:?}");
            let contains = matches!(relation, Relation::Same | Relation::Contains);
            assert_eq!(one.contains(other, center), contains, "{one:?} {other:?}");
            assert_eq!(one.intersects(other, center), relation != Relation::Disjoint, "{one:?} {other:?}");
        }
    }
}
