//! Shapes, and whether they meet.

use super::line::Line;
use super::polygon::Polygon;
use super::vector::Vector;
use crate::error::Result;

/// A valid geometry.
#[derive(Clone, Debug)]
pub enum Shape {
    Point(Vector),
    Line(Line),
    Polygon(Polygon),
}

impl Shape {
    /// `intersects`. A point meets what is nearest to it at the point itself, to the bit. Errors: too complex to tell.
    pub fn intersects(&self, other: &Shape) -> Result<bool> {
        match (self, other) {
            (Shape::Point(one), Shape::Point(other)) => Ok(one == other),
            (Shape::Point(point), shape) | (shape, Shape::Point(point)) => Ok(shape.nearest(*point) == *point),
            (Shape::Line(one), Shape::Line(other)) => other.intersects(one),
            (Shape::Line(line), Shape::Polygon(polygon)) | (Shape::Polygon(polygon), Shape::Line(line)) => {
                polygon.intersects_line(line)
            }
            (Shape::Polygon(one), Shape::Polygon(other)) => other.intersects(one),
        }
    }

    /// The point of the shape that is nearest to `point`: the point itself if it is inside. Of an empty polygon it is
    /// opposite.
    pub(super) fn nearest(&self, point: Vector) -> Vector {
        match self {
            Shape::Point(only) => *only,
            Shape::Line(line) => line.nearest(point),
            Shape::Polygon(polygon) if polygon.rings().is_empty() => -point,
            Shape::Polygon(polygon) => polygon.nearest(point),
        }
    }
}

impl Polygon {
    /// `includes`: whether all of a shape lies in the polygon. For points its border belongs to it. Errors: too complex to
    /// tell.
    pub fn includes(&self, shape: &Shape) -> Result<bool> {
        match shape {
            Shape::Point(point) => Ok(!self.rings().is_empty() && self.nearest(*point) == *point),
            Shape::Line(line) => self.contains_line(line),
            Shape::Polygon(other) => self.contains(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::geo::samples::{line, point, polygon};

    #[test]
    fn borders_belong_to_a_polygon_for_points_and_not_for_lines_behind_them() {
        let square = polygon(&[&[(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)]]);
        for (other, expected) in [
            (point(1.5, 1.5), true),
            (point(2.0, 2.0), true),
            (point(2.0, 1.5), true),
            (point(2.5, 2.5), false),
            (line(&[(1.5, 1.5), (2.0, 2.0)]), true),
            (line(&[(2.0, 2.0), (3.0, 3.0)]), false),
            (line(&[(1.5, 1.5), (3.0, 3.0)]), true),
            (polygon(&[&[(2.0, 2.0), (3.0, 2.0), (3.0, 3.0), (2.0, 3.0)]]), false),
            (polygon(&[&[(1.5, 1.5), (2.5, 1.5), (2.5, 2.5), (1.5, 2.5)]]), true),
        ] {
            assert_eq!(square.intersects(&other).unwrap(), expected, "{other:?}");
            assert_eq!(other.intersects(&square).unwrap(), expected, "{other:?}");
        }
    }

    #[test]
    fn points_on_lines() {
        assert!(line(&[(1.0, 1.0), (1.0, 2.0)]).intersects(&point(1.0, 1.8)).unwrap());
        assert!(line(&[(1.0, 0.0), (2.0, 0.0)]).intersects(&point(1.8, 0.0)).unwrap());
        assert!(!line(&[(1.0, 1.0), (2.0, 1.0)]).intersects(&point(1.5, 1.5)).unwrap());
    }
}
