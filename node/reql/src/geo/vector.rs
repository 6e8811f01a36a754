//! Vectors of three numbers; those of unit length are points of the sphere.

use std::f64::consts::PI;
use std::ops::{Add, Mul, Neg, Sub};

/// A vector. Compared by x, then y, then z.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Vector {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

impl Vector {
    pub const fn new(x: f64, y: f64, z: f64) -> Vector {
        Vector { x, y, z }
    }

    /// The point of the sphere with this longitude and latitude, in degrees. The last bits are those of the system's sine and
    /// cosine, as in RethinkDB.
    pub fn from_degrees(longitude: f64, latitude: f64) -> Vector {
        let (longitude, latitude) = (longitude * (PI / 180.0), latitude * (PI / 180.0));
        let cos_latitude = latitude.cos();
        Vector::new(longitude.cos() * cos_latitude, longitude.sin() * cos_latitude, latitude.sin())
    }

    /// As [`Vector::from_degrees`], with the same bits on every machine.
    pub fn from_degrees_anywhere(longitude: f64, latitude: f64) -> Vector {
        let (longitude, latitude) = (longitude * (PI / 180.0), latitude * (PI / 180.0));
        let cos_latitude = libm::cos(latitude);
        let (x, y) = (libm::cos(longitude) * cos_latitude, libm::sin(longitude) * cos_latitude);
        Vector::new(x, y, libm::sin(latitude))
    }

    /// Longitude and latitude in degrees.
    pub fn to_degrees(self) -> (f64, f64) {
        let latitude = self.z.atan2((self.x * self.x + self.y * self.y).sqrt());
        (self.y.atan2(self.x) * (180.0 / PI), latitude * (180.0 / PI))
    }

    pub fn dot(self, other: Vector) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub fn cross(self, other: Vector) -> Vector {
        Vector::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    /// The square of the length.
    pub fn norm2(self) -> f64 {
        self.dot(self)
    }

    pub fn norm(self) -> f64 {
        self.norm2().sqrt()
    }

    /// The same direction with unit length; zero stays zero.
    pub fn normalized(self) -> Vector {
        let norm = self.norm();
        if norm == 0.0 { self } else { self * (1.0 / norm) }
    }

    /// The angle to another vector in radians, from 0 to pi.
    pub fn angle(self, other: Vector) -> f64 {
        libm::atan2(self.cross(other).norm(), self.dot(other))
    }

    /// Orthogonal to two unit vectors, exact even where they are nearly the same or opposite, and never zero.
    pub fn stable_cross(self, other: Vector) -> Vector {
        let cross = (other + self).cross(other - self);
        if cross == Vector::new(0.0, 0.0, 0.0) { self.orthogonal() } else { cross }
    }

    /// Some unit vector orthogonal to this one. Which one decides who owns a shared corner, so the numbers are S2's.
    pub fn orthogonal(self) -> Vector {
        let mut other = Vector::new(0.012, 0.0053, 0.00457);
        match self.largest_axis() {
            0 => other.z = 1.0,
            1 => other.x = 1.0,
            _ => other.y = 1.0,
        }
        self.cross(other).normalized()
    }

    /// The axis along which the vector is longest: 0, 1 or 2.
    pub fn largest_axis(self) -> usize {
        let (x, y, z) = (self.x.abs(), self.y.abs(), self.z.abs());
        match (x > y, x > z, y > z) {
            (true, true, _) => 0,
            (false, _, true) => 1,
            _ => 2,
        }
    }

    /// The same bits for vectors that are equal: zero has one sign.
    pub fn key(self) -> [u64; 3] {
        [self.x, self.y, self.z].map(|part| (part + 0.0).to_bits())
    }
}

impl Add for Vector {
    type Output = Vector;

    fn add(self, other: Vector) -> Vector {
        Vector::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vector {
    type Output = Vector;

    fn sub(self, other: Vector) -> Vector {
        Vector::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Neg for Vector {
    type Output = Vector;

    fn neg(self) -> Vector {
        Vector::new(-self.x, -self.y, -self.z)
    }
}

impl Mul<f64> for Vector {
    type Output = Vector;

    fn mul(self, factor: f64) -> Vector {
        Vector::new(self.x * factor, self.y * factor, self.z * factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_there_and_back() {
        for (longitude, latitude) in [(0.0, 0.0), (-122.0, 37.0), (179.5, -89.0), (-180.0, 45.0), (10.0, 90.0)] {
            let point = Vector::from_degrees(longitude, latitude);
            assert!((point.norm2() - 1.0).abs() <= 1e-15);
            assert!((point - Vector::from_degrees_anywhere(longitude, latitude)).norm() <= 1e-15);
            let (back_longitude, back_latitude) = point.to_degrees();
            assert!((back_latitude - latitude).abs() < 1e-13);
            assert!((back_longitude - longitude).abs() < 1e-9 || latitude == 90.0, "{back_longitude} {longitude}");
        }
    }

    #[test]
    fn what_is_orthogonal_is() {
        for point in [(0.0, 0.0), (12.0, 77.0), (-100.0, -90.0)].map(|(a, b)| Vector::from_degrees(a, b)) {
            assert!(point.dot(point.orthogonal()).abs() < 1e-15);
            assert_eq!((-point).orthogonal(), -point.orthogonal());
            assert!(point.stable_cross(point).norm() > 0.0);
        }
    }

    #[test]
    fn equal_vectors_have_one_key() {
        assert_eq!(Vector::new(0.0, -0.0, 1.0).key(), Vector::new(-0.0, 0.0, 1.0).key());
    }
}
