//! Boxes around edges, with sides along the axes.

use super::vector::Vector;

/// What a box is larger than what is in it: more than the error of any computed crossing.
const MARGIN: f64 = 1e-14;

/// More than the error of a square computed from unit vectors.
const SQUARE_ERROR: f64 = 1e-15;

/// More than the error of a determinant computed from unit vectors and from a box around some.
const DETERMINANT_ERROR: f64 = 8e-15;

/// A box.
#[derive(Clone, Copy, Debug)]
pub struct Box3 {
    low: Vector,
    high: Vector,
}

impl Box3 {
    /// Around nothing.
    pub const EMPTY: Box3 = Box3 {
        low: Vector::new(f64::INFINITY, f64::INFINITY, f64::INFINITY),
        high: Vector::new(f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY),
    };

    /// Of one point.
    pub fn at(point: Vector) -> Box3 {
        Box3 { low: point, high: point }
    }

    /// Around an edge: the arc rises above its chord by no more than the sagitta. Of nearly opposite ends it is computed from a
    /// difference that has no digits left, so the error is taken off before.
    pub fn around_edge(from: Vector, to: Vector) -> Box3 {
        let half_chord2 = (from - to).norm2() / 4.0;
        let margin = 1.0 - (1.0 - half_chord2 - SQUARE_ERROR).max(0.0).sqrt() + MARGIN;
        let margin = Vector::new(margin, margin, margin);
        let low = Vector::new(from.x.min(to.x), from.y.min(to.y), from.z.min(to.z));
        let high = Vector::new(from.x.max(to.x), from.y.max(to.y), from.z.max(to.z));
        Box3 { low: low - margin, high: high + margin }
    }

    /// Around both.
    pub fn union(self, other: Box3) -> Box3 {
        let (low, high) = (self.low, self.high);
        Box3 {
            low: Vector::new(low.x.min(other.low.x), low.y.min(other.low.y), low.z.min(other.low.z)),
            high: Vector::new(high.x.max(other.high.x), high.y.max(other.high.y), high.z.max(other.high.z)),
        }
    }

    /// Around all of them.
    pub fn union_all(boxes: &[Box3]) -> Box3 {
        boxes.iter().copied().fold(Box3::EMPTY, Box3::union)
    }

    pub fn touches(&self, other: &Box3) -> bool {
        self.low.x <= other.high.x
            && other.low.x <= self.high.x
            && self.low.y <= other.high.y
            && other.low.y <= self.high.y
            && self.low.z <= other.high.z
            && other.low.z <= self.high.z
    }

    /// Whether all of it lies on one side of a plane through the middle of the sphere, so surely that the exact sign of no
    /// point of it says otherwise. The normal is at most one long.
    pub fn is_beside(&self, normal: Vector) -> bool {
        let middle = (self.low + self.high) * 0.5;
        let half = (self.high - self.low) * 0.5;
        let reach = normal.x.abs() * half.x + normal.y.abs() * half.y + normal.z.abs() * half.z;
        normal.dot(middle).abs() > reach + DETERMINANT_ERROR
    }

    /// How far a point is from it, at least: the square of the length of a straight line.
    pub fn distance2(&self, point: Vector) -> f64 {
        let beyond = |low: f64, place: f64, high: f64| (low - place).max(place - high).max(0.0);
        Vector::new(
            beyond(self.low.x, point.x, self.high.x),
            beyond(self.low.y, point.y, self.high.y),
            beyond(self.low.z, point.z, self.high.z),
        )
        .norm2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The top of an arc between nearly opposite ends is in its box.
    #[test]
    fn a_box_holds_the_top_of_its_arc() {
        let top = Box3::at(Vector::new(0.0, 0.0, 1.0));
        for longitude in (-179..180).map(f64::from) {
            for off in (1..16).map(|exponent| 10f64.powi(-exponent)) {
                let from = Vector::from_degrees(longitude, 0.0);
                let to = (-from + Vector::new(0.0, 0.0, off)).normalized();
                assert!(Box3::around_edge(from, to).touches(&top), "{longitude} {off}");
            }
        }
    }

    #[test]
    fn beside_and_across() {
        let square = Box3::around_edge(Vector::from_degrees(10.0, 1.0), Vector::from_degrees(20.0, 2.0));
        assert!(square.is_beside(Vector::new(0.0, 0.0, 1.0)));
        assert!(square.is_beside(Vector::new(0.0, 0.0, -1e-6)));
        assert!(!square.is_beside(Vector::from_degrees(105.0, 0.0)));
        assert!(!square.is_beside(Vector::new(0.0, 0.0, 0.0)));
        assert!(square.distance2(Vector::from_degrees(15.0, 1.5)) == 0.0);
        assert!(square.distance2(Vector::from_degrees(15.0, 90.0)) > 0.9);
    }
}
