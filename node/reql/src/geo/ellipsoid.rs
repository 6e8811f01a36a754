//! Ellipsoids, distances on them, and units of length.

use geographiclib_rs::{DirectGeodesic, Geodesic, InverseGeodesic};

use super::geojson::LonLat;

/// An ellipsoid of rotation.
#[derive(Clone, Debug)]
pub struct Ellipsoid {
    geodesic: Geodesic,
    /// The radius of the equator, in meters.
    pub equator: f64,
    /// The distance from the middle to a pole, in meters.
    pub pole: f64,
}

impl Ellipsoid {
    /// With this radius of the equator in meters and this flattening, from 0 (a sphere) to below 1.
    pub fn new(equator: f64, flattening: f64) -> Ellipsoid {
        Ellipsoid { geodesic: Geodesic::new(equator, flattening), equator, pole: (1.0 - flattening) * equator }
    }

    /// The earth.
    pub fn wgs84() -> Ellipsoid {
        Ellipsoid::new(6_378_137.0, 1.0 / 298.257_223_563)
    }

    /// A sphere of radius one.
    pub fn unit_sphere() -> Ellipsoid {
        Ellipsoid::new(1.0, 0.0)
    }

    /// The length in meters of the shortest way between two points.
    pub fn distance(&self, from: LonLat, to: LonLat) -> f64 {
        self.geodesic.inverse(from.latitude, from.longitude, to.latitude, to.longitude)
    }

    /// Where one is who walks straight on for a distance in meters, beginning in a direction in degrees clockwise from north.
    pub fn walk(&self, from: LonLat, direction: f64, distance: f64) -> LonLat {
        let (latitude, longitude) = self.geodesic.direct(from.latitude, from.longitude, direction, distance);
        // Of the two names of the antimeridian RethinkDB takes this one.
        LonLat { longitude: if longitude == 180.0 { -180.0 } else { longitude }, latitude }
    }
}

/// A unit of length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Meter,
    Kilometer,
    Mile,
    NauticalMile,
    Foot,
}

impl Unit {
    /// The unit of that name.
    pub fn named(name: &str) -> Option<Unit> {
        Some(match name {
            "m" => Unit::Meter,
            "km" => Unit::Kilometer,
            "mi" => Unit::Mile,
            "nm" => Unit::NauticalMile,
            "ft" => Unit::Foot,
            _ => return None,
        })
    }

    /// How many meters it is.
    pub fn meters(self) -> f64 {
        match self {
            Unit::Meter => 1.0,
            Unit::Kilometer => 1_000.0,
            Unit::Mile => 1_609.344,
            Unit::NauticalMile => 1_852.0,
            Unit::Foot => 0.3048,
        }
    }

    /// A length in meters, in this unit.
    pub fn from_meters(self, length: f64) -> f64 {
        length * (1.0 / self.meters())
    }

    /// A length in this unit, in meters.
    pub fn to_meters(self, length: f64) -> f64 {
        length * (self.meters() / 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(longitude: f64, latitude: f64) -> LonLat {
        LonLat { longitude, latitude }
    }

    #[test]
    fn distances_are_those_recorded() {
        let earth = Ellipsoid::wgs84();
        for (from, to, meters) in [
            (at(-122.0, 37.0), at(-123.0, 37.0), 89_011.262_538_353_32),
            (at(-122.0, 37.0), at(-122.0, 36.0), 110_968.304_439_954_94),
            (at(0.0, 0.0), at(180.0, 0.0), 20_003_931.458_625_447),
        ] {
            assert!((earth.distance(from, to) - meters).abs() < 1e-7, "{from:?} {to:?}");
        }
        let sphere = Ellipsoid::unit_sphere();
        assert!((sphere.distance(at(-122.0, 37.0), at(-123.0, 37.0)) - 0.013_938_755_096_493_27).abs() < 1e-15);
    }

    #[test]
    fn who_walks_a_distance_is_that_far() {
        let earth = Ellipsoid::wgs84();
        for from in [at(0.0, 0.0), at(179.9, 45.0), at(10.0, 90.0), at(10.0, -89.999)] {
            for direction in [-180.0, -90.0, 0.0, 33.0] {
                let there = earth.walk(from, direction, 12_345.0);
                assert!((earth.distance(from, there) - 12_345.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn units() {
        assert_eq!(Unit::named("parsec"), None);
        assert_eq!(Unit::named("km").map(|unit| unit.to_meters(2.0)), Some(2_000.0));
        assert_eq!(Unit::NauticalMile.from_meters(1_852.0), 1.0);
    }
}
