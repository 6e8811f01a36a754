//! Shapes, and whether they meet.

use super::effort::Effort;
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
    pub fn intersects(&self, other: &Shape, effort: &mut Effort<'_>) -> Result<bool> {
        match (self, other) {
            (Shape::Point(one), Shape::Point(other)) => Ok(one == other),
            (Shape::Point(point), shape) | (shape, Shape::Point(point)) => Ok(shape.nearest(*point, effort)? == *point),
            (Shape::Line(one), Shape::Line(other)) => other.intersects(one, effort),
            (Shape::Line(line), Shape::Polygon(polygon)) | (Shape::Polygon(polygon), Shape::Line(line)) => {
                polygon.intersects_line(line, effort)
            }
            (Shape::Polygon(one), Shape::Polygon(other)) => other.intersects(one, effort),
        }
    }

    /// The point of the shape that is nearest to `point`: the point itself if it is inside. Of an empty polygon it is
    /// opposite. Errors: too complex to tell.
    pub(super) fn nearest(&self, point: Vector, effort: &mut Effort<'_>) -> Result<Vector> {
        match self {
            Shape::Point(only) => Ok(*only),
            Shape::Line(line) => line.nearest(point, effort),
            Shape::Polygon(polygon) if polygon.rings().is_empty() => Ok(-point),
            Shape::Polygon(polygon) => polygon.nearest(point, effort),
        }
    }
}

impl Polygon {
    /// `includes`: whether all of a shape lies in the polygon. For points its border belongs to it. Errors: too complex to
    /// tell.
    pub fn includes(&self, shape: &Shape, effort: &mut Effort<'_>) -> Result<bool> {
        match shape {
            Shape::Point(point) => Ok(!self.rings().is_empty() && self.nearest(*point, effort)? == *point),
            Shape::Line(line) => self.contains_line(line, effort),
            Shape::Polygon(other) => self.contains(other, effort),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::geo::samples::{line, meet, point, polygon};

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
            assert_eq!(meet(&square, &other), expected, "{other:?}");
            assert_eq!(meet(&other, &square), expected, "{other:?}");
        }
    }

    #[test]
    fn points_on_lines() {
        assert!(meet(&line(&[(1.0, 1.0), (1.0, 2.0)]), &point(1.0, 1.8)));
        assert!(meet(&line(&[(1.0, 0.0), (2.0, 0.0)]), &point(1.8, 0.0)));
        assert!(!meet(&line(&[(1.0, 1.0), (2.0, 1.0)]), &point(1.5, 1.5)));
    }
}
