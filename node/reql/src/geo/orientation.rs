//! On which side of a great circle a point lies: exact, and never "on it".
//!
//! Where the determinant is too near zero for floating point it is computed exactly; where it is exactly zero the points
//! are thought to be moved by infinitely small amounts, each point in its own way (Edelsbrunner and Muecke, "Simulation
//! of simplicity", 1990). So the answers for all points fit together.

use robust::{Coord, Coord3D, orient2d, orient3d};

use super::vector::Vector;

/// The rounding error of a determinant of unit vectors: 14 operations of at most 2^-54 each.
const DETERMINANT_ERROR: f64 = 0.8e-15;

/// 1 when the points turn counterclockwise, -1 when clockwise, 0 only when two of them are equal. Rotating the arguments
/// changes nothing, exchanging two changes the sign.
pub fn orientation(a: Vector, b: Vector, c: Vector) -> i8 {
    orientation_with(a, b, c, a.cross(b))
}

/// As [`orientation`], for those who have the cross product of the first two.
pub fn orientation_with(a: Vector, b: Vector, c: Vector, a_cross_b: Vector) -> i8 {
    let determinant = a_cross_b.dot(c);
    if determinant.abs() > DETERMINANT_ERROR { sign(determinant) } else { exact(a, b, c) }
}

/// Whether the directions from `center` to `a`, `b` and `c` come in this order counterclockwise. True when `b` is `a` or
/// `c`, and false when only `a` is `c`.
pub fn ordered_around(a: Vector, b: Vector, c: Vector, center: Vector) -> bool {
    let turns = [orientation(b, center, a) >= 0, orientation(c, center, b) >= 0, orientation(a, center, c) > 0];
    turns.into_iter().filter(|turn| *turn).count() >= 2
}

/// Strictly counterclockwise as far as floating point can tell.
pub fn simply_counterclockwise(a: Vector, b: Vector, c: Vector) -> bool {
    c.cross(a).dot(b) > 0.0
}

fn exact(a: Vector, b: Vector, c: Vector) -> i8 {
    if a == b || b == c || c == a {
        return 0;
    }
    let mut points = [a, b, c];
    let mut parity = 1;
    for (low, high) in [(0, 1), (1, 2), (0, 1)] {
        if points[low] > points[high] {
            points.swap(low, high);
            parity = -parity;
        }
    }
    let [a, b, c] = points;
    let at = |point: Vector| Coord3D { x: point.x, y: point.y, z: point.z };
    let determinant = orient3d(at(a), at(b), at(c), Coord3D { x: 0.0, y: 0.0, z: 0.0 });
    parity * if determinant == 0.0 { perturbed(a, b, c) } else { sign(determinant) }
}

/// The sign of a determinant that is zero, after the perturbation. The points are in ascending order. The coefficients of
/// the perturbations are tried from the largest perturbation to the smallest; table 4-ii of the paper.
fn perturbed(a: Vector, b: Vector, c: Vector) -> i8 {
    let coefficients: [&dyn Fn() -> i8; 13] = [
        &|| minor(b.x, b.y, c.x, c.y),
        &|| minor(b.z, b.x, c.z, c.x),
        &|| minor(b.y, b.z, c.y, c.z),
        &|| minor(c.x, c.y, a.x, a.y),
        &|| sign(c.x),
        &|| -sign(c.y),
        &|| minor(c.z, c.x, a.z, a.x),
        &|| sign(c.z),
        &|| minor(a.x, a.y, b.x, b.y),
        &|| -sign(b.x),
        &|| sign(b.y),
        &|| sign(a.x),
        &|| 1,
    ];
    coefficients.iter().map(|coefficient| coefficient()).find(|sign| *sign != 0).unwrap_or(1)
}

/// The exact sign of `a * d - b * c`.
fn minor(a: f64, b: f64, c: f64, d: f64) -> i8 {
    sign(orient2d(Coord { x: a, y: b }, Coord { x: c, y: d }, Coord { x: 0.0, y: 0.0 }))
}

fn sign(value: f64) -> i8 {
    if value > 0.0 {
        1
    } else if value < 0.0 {
        -1
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_keep_and_exchanges_turn_the_sign() {
        let degrees = Vector::from_degrees;
        let triples = [
            [degrees(0.0, 0.0), degrees(1.0, 0.0), degrees(0.0, 1.0)],
            // In one line, exactly and nearly.
            [degrees(0.0, 0.0), degrees(1.0, 0.0), degrees(2.0, 0.0)],
            [Vector::new(1.0, 0.0, 0.0), Vector::new(0.0, 1.0, 0.0), Vector::new(-1.0, 0.0, 0.0)],
            [degrees(10.0, 10.0), degrees(10.0, 20.0), degrees(10.0, 30.0)],
            [Vector::new(0.0, 0.0, 1.0), Vector::new(0.0, 0.0, -1.0), Vector::new(1.0, 0.0, 0.0)],
            [degrees(5.0, 5.0), degrees(5.0, 5.000_000_000_000_1), -degrees(5.0, 5.0)],
        ];
        for [a, b, c] in triples {
            let here = orientation(a, b, c);
            assert_ne!(here, 0);
            assert_eq!((orientation(b, c, a), orientation(c, a, b)), (here, here));
            assert_eq!((orientation(b, a, c), orientation(c, b, a)), (-here, -here));
        }
        assert_eq!(orientation(triples[0][0], triples[0][1], triples[0][2]), 1);
        assert_eq!(orientation(triples[0][0], triples[0][0], triples[0][2]), 0);
    }

    #[test]
    fn the_exact_sign_is_that_of_the_determinant() {
        let [a, b, c] = [(1.0, 2.0), (3.0, 50.0), (-70.0, 4.0)].map(|(x, y)| Vector::from_degrees(x, y));
        assert_eq!(exact(a, b, c), sign(a.cross(b).dot(c)));
        assert_eq!(exact(b, a, c), -exact(a, b, c));
        assert_eq!(minor(1.0, 2.0, 3.0, 4.0), -1);
    }

    #[test]
    fn order_around_a_point() {
        let [center, east, north, west] =
            [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.1)].map(|(x, y)| Vector::from_degrees(x, y));
        assert!(ordered_around(east, north, west, center));
        assert!(!ordered_around(west, north, east, center));
        assert!(ordered_around(east, east, north, center));
        assert!(!ordered_around(east, north, east, center));
    }
}
