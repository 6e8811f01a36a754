//! Circles, as polygons with many corners.

use std::f64::consts::PI;

use super::ellipsoid::Ellipsoid;
use super::geojson::LonLat;
use crate::datum::number::print_exact;
use crate::error::{Error, Result};

/// What a computed radius is made larger by, so that no error makes the circle too small.
const LEEWAY: f64 = 1.01;

/// The corners of a circle, `count` of them and the first once more, beginning in the south and going on clockwise.
///
/// Errors: a radius (in meters) that is not positive, or not below a quarter of the way around the poles.
pub fn vertices_of_circle(
    center: LonLat,
    radius: f64,
    count: u32,
    ellipsoid: &Ellipsoid,
) -> Result<impl Iterator<Item = LonLat>> {
    if radius <= 0.0 {
        return Err(Error::logic("Radius must be positive"));
    }
    let radius_max = 0.5 * PI * ellipsoid.equator.min(ellipsoid.pole);
    if radius >= radius_max {
        return Err(Error::logic(format!(
            "Radius must be smaller than a quarter of the circumference along the minor axis of the reference \
             ellipsoid.  Got {}m, but must be smaller than {}m.",
            print_exact(radius),
            print_exact(radius_max)
        )));
    }
    let step = 360.0 / f64::from(count);
    let corner = move |number: u32| ellipsoid.walk(center, -180.0 + step * f64::from(number), radius);
    Ok((0..count).map(corner).chain((count > 0).then(|| corner(0))))
}

/// The corners of a polygon that holds every point within a distance (in meters) of `center`, as distances on the ellipsoid
/// go, though its edges are drawn on the sphere. Errors: as of [`vertices_of_circle`].
pub fn enclosing_circle(
    center: LonLat,
    distance: f64,
    count: u32,
    ellipsoid: &Ellipsoid,
) -> Result<impl Iterator<Item = LonLat>> {
    let distortion = ellipsoid.equator.max(ellipsoid.pole) / ellipsoid.equator.min(ellipsoid.pole);
    let radius = distance * LEEWAY / (PI / f64::from(count)).cos() * distortion;
    vertices_of_circle(center, radius, count, ellipsoid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::samples;
    use crate::geo::shape::Shape;
    use crate::geo::vector::Vector;

    #[test]
    fn radii_that_cannot_be() {
        let center = LonLat { longitude: 0.0, latitude: 0.0 };
        let message =
            |radius| vertices_of_circle(center, radius, 8, &Ellipsoid::wgs84()).err().map(|error| error.message);
        assert_eq!(message(-1.0).as_deref(), Some("Radius must be positive"));
        assert!(
            message(1e8)
                .is_some_and(|text| text.ends_with("Got 100000000m, but must be smaller than 9985163.1855612862855m."))
        );
        assert_eq!(message(1e6), None);
    }

    #[test]
    fn what_is_near_is_within_the_enclosing_circle() {
        let earth = Ellipsoid::wgs84();
        for (longitude, latitude) in [(0.0, 0.0), (179.99, 60.0), (20.0, 89.9), (20.0, -90.0)] {
            let center = LonLat { longitude, latitude };
            for distance in [0.1, 10.0, 5_000.0, 700_000.0, 5_000_000.0] {
                let corners: Vec<_> = enclosing_circle(center, distance, 8, &earth).unwrap().collect();
                let corners: Vec<_> = corners[..8].iter().map(|at| (at.longitude, at.latitude)).collect();
                let around = samples::polygon(&[&corners]);
                for direction in 0..36 {
                    let near = earth.walk(center, f64::from(direction) * 10.0 - 180.0, distance);
                    let near = Shape::Point(Vector::from_degrees(near.longitude, near.latitude));
                    assert!(samples::meet(&around, &near), "{center:?} {distance} {direction}");
                }
            }
        }
    }
}
