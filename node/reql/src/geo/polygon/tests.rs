//! Polygons with and without holes, and what lies in and across them.

use super::super::effort::Unpaced;
use super::*;

fn effort() -> Effort<'static> {
    Effort::new(&Unpaced)
}

fn ring(degrees: &[(f64, f64)]) -> Ring {
    let vertices = degrees.iter().map(|(longitude, latitude)| Vector::from_degrees(*longitude, *latitude));
    Ring::new(vertices.collect(), &mut effort()).unwrap()
}

fn assembled(shell: Ring, holes: Vec<Ring>) -> std::result::Result<Polygon, Unused> {
    Polygon::new(shell, holes, &mut effort()).unwrap()
}

fn square(x: f64, y: f64, side: f64) -> Ring {
    ring(&[(x, y), (x + side, y), (x + side, y + side), (x, y + side)])
}

fn frame() -> Polygon {
    assembled(square(0.0, 0.0, 10.0), vec![square(2.0, 2.0, 6.0)]).unwrap()
}

fn simple(x: f64, y: f64, side: f64) -> Polygon {
    assembled(square(x, y, side), Vec::new()).unwrap()
}

fn line(degrees: &[(f64, f64)]) -> Line {
    let vertices = degrees.iter().map(|(longitude, latitude)| Vector::from_degrees(*longitude, *latitude));
    Line::new(vertices.collect(), &mut effort()).unwrap().unwrap()
}

#[test]
fn a_hole_is_outside() {
    let frame = frame();
    assert_eq!(frame.depths, [0, 1]);
    assert!(frame.contains_point(Vector::from_degrees(1.0, 1.0), &mut effort()).unwrap());
    assert!(!frame.contains_point(Vector::from_degrees(5.0, 5.0), &mut effort()).unwrap());
    assert!(!frame.contains_point(Vector::from_degrees(-5.0, 5.0), &mut effort()).unwrap());
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
        assert_eq!(frame.contains(&other, &mut effort()).unwrap(), contains, "{other:?}");
        assert_eq!(frame.intersects(&other, &mut effort()).unwrap(), intersects, "{other:?}");
        assert_eq!(other.intersects(&frame, &mut effort()).unwrap(), intersects, "{other:?}");
    }
    assert!(simple(-1.0, -1.0, 20.0).contains(&frame, &mut effort()).unwrap());
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
        assert_eq!(frame.contains_line(&line, &mut effort()).unwrap(), contains, "{line:?}");
        assert_eq!(frame.intersects_line(&line, &mut effort()).unwrap(), intersects, "{line:?}");
    }
}

#[test]
fn holes_that_touch_and_holes_that_do_not_fit() {
    let shell = || square(0.0, 0.0, 10.0);
    // A corner in common.
    assert!(assembled(shell(), vec![ring(&[(0.0, 0.0), (1.0, 9.0), (9.0, 9.0), (9.0, 1.0)])]).is_ok());
    // A side in common: it vanishes, and what is left is one ring.
    let notched = assembled(square(0.0, 0.0, 1.0), vec![ring(&[(0.0, 0.0), (1.0, 0.0), (0.5, 0.5)])]).unwrap();
    assert_eq!(notched.rings.len(), 1);
    assert!(!notched.contains_point(Vector::from_degrees(0.5, 0.2), &mut effort()).unwrap());
    // Everything in common: nothing is left.
    assert!(assembled(shell(), vec![shell()]).unwrap().rings.is_empty());
    // Two holes that cross each other, and one that crosses the shell.
    assert!(assembled(shell(), vec![square(1.0, 1.0, 4.0), square(3.0, 3.0, 4.0)]).is_err());
    assert!(assembled(shell(), vec![square(5.0, 5.0, 10.0)]).is_err());
    // The same hole twice.
    assert!(assembled(shell(), vec![square(1.0, 1.0, 4.0), square(1.0, 1.0, 4.0)]).is_err());
}

#[test]
fn too_many_rings() {
    let holes = (0..GEOMETRY_RINGS_MAX).map(|_| square(1.0, 1.0, 1.0)).collect();
    assert!(Polygon::new(square(0.0, 0.0, 10.0), holes, &mut effort()).is_err());
}
