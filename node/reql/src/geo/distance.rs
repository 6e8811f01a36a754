//! How far a point is from a shape.

use super::ellipsoid::Ellipsoid;
use super::geojson::LonLat;
use super::shape::Shape;
use super::vector::Vector;

impl Shape {
    /// The distance in meters from a point to the nearest point of the shape; zero inside. Which point is nearest is found
    /// on the sphere, so that the distance to a long edge may come out a little too great.
    pub fn distance(&self, from: Vector, ellipsoid: &Ellipsoid) -> f64 {
        let nearest = self.nearest(from);
        if !matches!(self, Shape::Point(_)) && nearest == from {
            return 0.0;
        }
        ellipsoid.distance(LonLat::of(from), LonLat::of(nearest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::samples::{line, point, polygon};

    #[test]
    fn distances_are_those_recorded() {
        let (earth, origin) = (Ellipsoid::wgs84(), Vector::from_degrees(0.0, 0.0));
        for (shape, meters) in [
            (line(&[(0.0, 0.0), (0.0, 1.0)]), 0.0),
            (line(&[(5.0, -1.0), (4.0, 2.0)]), 492_471.499_005_525_5),
            (polygon(&[&[(5.0, -1.0), (4.0, 2.0), (10.0, 10.0)]]), 492_471.499_005_525_5),
            (polygon(&[&[(0.0, -1.0), (0.0, 1.0), (10.0, 10.0)]]), 0.0),
            (point(0.0, 0.0), 0.0),
        ] {
            assert!((shape.distance(origin, &earth) - meters).abs() < 1e-6, "{shape:?}");
        }
    }
}
