//! Polygons with and without holes, and what lies in and across them.

use super::*;

fn ring(degrees: &[(f64, f64)]) -> Ring {
    Ring::new(degrees.iter().map(|(longitude, latitude)| Vector::from_degrees(*longitude, *latitude)).collect())
}

fn square(x: f64, y: f64, side: f64) -> Ring {
    ring(&[(x, y), (x + side, y), (x + side, y + side), (x, y + side)])
}

fn frame() -> Polygon {
    Polygon::new(square(0.0, 0.0, 10.0), vec![square(2.0, 2.0, 6.0)]).unwrap().unwrap()
}

fn simple(x: f64, y: f64, side: f64) -> Polygon {
    Polygon::new(square(x, y, side), Vec::new()).unwrap().unwrap()
}

fn line(degrees: &[(f64, f64)]) -> Line {
    Line::new(degrees.iter().map(|(longitude, latitude)| Vector::from_degrees(*longitude, *latitude)).collect())
        .unwrap()
}

#[test]
fn a_hole_is_outside() {
    let frame = frame();
    assert_eq!(frame.depths, [0, 1]);
    assert!(frame.contains_point(Vector::from_degrees(1.0, 1.0)));
    assert!(!frame.contains_point(Vector::from_degrees(5.0, 5.0)));
    assert!(!frame.contains_point(Vector::from_degrees(-5.0, 5.0)));
}

#[test]
fn polygons_with_holes_and_others() {
    let frame = frame();
    for (other, contains, intersects) in [
        (simple(3.0, 3.0, 2.0), false, false),
        (simple(0.5, 0.5, 1.0), true, true),
        (simple(1.0, 1.0, 3.0), false, true),
        (simple(-1.0, -1.0, 20.0), false, true),
        (simple(20.0, 20.0, 1.0), false, false),
        (frame.clone(), true, true),
    ] {
        assert_eq!(frame.contains(&other).unwrap(), contains, "{other:?}");
        assert_eq!(frame.intersects(&other).unwrap(), intersects, "{other:?}");
        assert_eq!(other.intersects(&frame).unwrap(), intersects, "{other:?}");
    }
    assert!(simple(-1.0, -1.0, 20.0).contains(&frame).unwrap());
}

#[test]
fn lines_inside_across_and_outside() {
    let frame = frame();
    for (line, contains, intersects) in [
        (line(&[(0.5, 0.5), (1.5, 0.5)]), true, true),
        (line(&[(1.0, 5.0), (5.0, 5.0)]), false, true),
        (line(&[(4.0, 5.0), (5.0, 5.0)]), false, false),
        (line(&[(-4.0, 5.0), (-5.0, 5.0)]), false, false),
        (line(&[(-4.0, 5.0), (15.0, 5.0)]), false, true),
    ] {
        assert_eq!(frame.contains_line(&line).unwrap(), contains, "{line:?}");
        assert_eq!(frame.intersects_line(&line).unwrap(), intersects, "{line:?}");
    }
}

#[test]
fn holes_that_touch_and_holes_that_do_not_fit() {
    let shell = || square(0.0, 0.0, 10.0);
    // A corner in common.
    assert!(Polygon::new(shell(), vec![ring(&[(0.0, 0.0), (1.0, 9.0), (9.0, 9.0), (9.0, 1.0)])]).unwrap().is_ok());
    // A side in common: it vanishes, and what is left is one ring.
    let notched =
        Polygon::new(square(0.0, 0.0, 1.0), vec![ring(&[(0.0, 0.0), (1.0, 0.0), (0.5, 0.5)])]).unwrap().unwrap();
    assert_eq!(notched.rings.len(), 1);
    assert!(!notched.contains_point(Vector::from_degrees(0.5, 0.2)));
    // Everything in common: nothing is left.
    assert!(Polygon::new(shell(), vec![shell()]).unwrap().unwrap().rings.is_empty());
    // Two holes that cross each other, and one that crosses the shell.
    assert!(Polygon::new(shell(), vec![square(1.0, 1.0, 4.0), square(3.0, 3.0, 4.0)]).unwrap().is_err());
    assert!(Polygon::new(shell(), vec![square(5.0, 5.0, 10.0)]).unwrap().is_err());
    // The same hole twice.
    assert!(Polygon::new(shell(), vec![square(1.0, 1.0, 4.0), square(1.0, 1.0, 4.0)]).unwrap().is_err());
}

#[test]
fn too_many_rings() {
    let holes = (0..GEOMETRY_RINGS_MAX).map(|_| square(1.0, 1.0, 1.0)).collect();
    assert!(Polygon::new(square(0.0, 0.0, 10.0), holes).is_err());
}
