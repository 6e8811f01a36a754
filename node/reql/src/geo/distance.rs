//! How far a point is from a shape.

use super::effort::Effort;
use super::ellipsoid::Ellipsoid;
use super::geojson::LonLat;
use super::shape::Shape;
use super::vector::Vector;
use crate::error::Result;

impl Shape {
    /// The distance in meters from a point to the nearest point of the shape; zero inside. Which point is nearest is found
    /// on the sphere, so that the distance to a long edge may come out a little too great. Errors: too complex to tell.
    pub fn distance(&self, from: Vector, ellipsoid: &Ellipsoid, effort: &mut Effort<'_>) -> Result<f64> {
        let nearest = self.nearest(from, effort)?;
        if !matches!(self, Shape::Point(_)) && nearest == from {
            return Ok(0.0);
        }
        Ok(ellipsoid.distance(LonLat::of(from), LonLat::of(nearest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::effort::Unpaced;
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
            let found = shape.distance(origin, &earth, &mut Effort::new(&Unpaced)).unwrap();
            assert!((found - meters).abs() < 1e-6, "{shape:?}");
        }
    }
}
