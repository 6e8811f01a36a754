//! Shapes at the edge of what can be computed, and past what may be: edges between nearly opposite points, rings around nearly
//! half the sphere, very many edges and rings.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::covering::{cells_of_entry, cells_of_query};
use super::samples::{includes, line_datum, meet, polygon_datum, shape, unit};
use super::{Effort, LonLat, Pace, Shape, Unpaced, Vector, point_datum};
use crate::datum::Datum;
use crate::datum::samples::{Samples, rounds};
use crate::error::ErrorKind;
use crate::limits::{GEOMETRY_ENTRY_CELLS_MAX, GEOMETRY_RINGS_MAX};

type Degrees = (f64, f64);

fn any_direction(samples: &mut Samples) -> Vector {
    const SPECIAL: [Degrees; 6] =
        [(0.0, 0.0), (90.0, 0.0), (0.0, 90.0), (45.0, 35.264_389_682_754_654), (180.0, 0.0), (0.0, 45.0)];
    if samples.below(3) == 0 {
        let (longitude, latitude) = SPECIAL[samples.below(SPECIAL.len())];
        return Vector::from_degrees(longitude, latitude);
    }
    Vector::from_degrees(unit(samples) * 360.0 - 180.0, unit(samples) * 180.0 - 90.0)
}

/// A point and one nearly opposite to it.
fn nearly_opposite(samples: &mut Samples) -> (Degrees, Degrees) {
    let here = any_direction(samples);
    let aside = here.cross(any_direction(samples)).normalized();
    let off = 10f64.powf(-3.0 - 12.0 * unit(samples));
    (here.to_degrees(), (-here + aside * off).normalized().to_degrees())
}

/// Somewhere on the arc from `a` to `b`, and the direction across it.
fn on_arc(a: Vector, b: Vector, samples: &mut Samples) -> (Vector, Vector) {
    let normal = a.stable_cross(b).normalized();
    let ahead = normal.cross(a).normalized();
    let angle = a.angle(b) * unit(samples);
    ((a * angle.cos() + ahead * angle.sin()).normalized(), normal)
}

fn assert_found(one: &Datum, other: &Datum) {
    for (query, stored) in [(one, other), (other, one)] {
        let ranges = cells_of_query(query, &Unpaced);
        let found = cells_of_entry(stored).iter().any(|cell| ranges.contains(*cell));
        assert!(found, "the index would miss {} {}", one.print(), other.print());
    }
}

/// Holds the geometry against little ones on and beside its edges.
fn assert_little_ones_are_found(geometry: &Datum, edges: &[(Vector, Vector)], samples: &mut Samples) -> u32 {
    let large = shape(geometry).unwrap();
    let mut met = 0;
    for _ in 0..12 {
        let (a, b) = edges[samples.below(edges.len())];
        let (place, across) = on_arc(a, b, samples);
        let width = 10f64.powf(-2.0 - 7.0 * unit(samples));
        let (left, right) = (place + across * width, place - across * (width * unit(samples)));
        let corner = right + a.cross(across) * width;
        let little = match samples.below(3) {
            0 => line_datum(&[left.normalized().to_degrees(), right.normalized().to_degrees()]),
            1 => polygon_datum(&[&[left, right, corner].map(|corner| corner.normalized().to_degrees())]),
            _ => point_datum(LonLat::of(if samples.below(2) == 0 { place } else { left.normalized() })).unwrap(),
        };
        if shape(&little).is_ok_and(|little| meet(&large, &little)) {
            met += 1;
            assert_found(geometry, &little);
        }
    }
    met
}

#[test]
fn edges_between_nearly_opposite_points_are_found_where_they_are() {
    let mut samples = Samples::from_environment();
    let mut met = 0;
    for _ in 0..rounds(3_000) {
        let (from, to) = nearly_opposite(&mut samples);
        let third = any_direction(&mut samples).to_degrees();
        let geometry = match samples.below(3) {
            0 => line_datum(&[from, to]),
            1 => line_datum(&[third, from, to]),
            _ => polygon_datum(&[&[from, to, third]]),
        };
        let edges = match shape(&geometry) {
            Ok(Shape::Line(line)) => line.chain().edges().collect::<Vec<_>>(),
            Ok(Shape::Polygon(polygon)) => polygon.rings().iter().flat_map(|ring| ring.chain().edges()).collect(),
            _ => continue,
        };
        met += assert_little_ones_are_found(&geometry, &edges, &mut samples);
    }
    assert!(met > 1_000, "too few of them met: {met}");
}

#[test]
fn either_side_of_a_ring_around_half_the_sphere_is_found() {
    let mut samples = Samples::from_environment();
    let mut met = 0;
    for _ in 0..rounds(500) {
        let pole = any_direction(&mut samples);
        let east = pole.orthogonal();
        let north = pole.cross(east);
        let count = 3 + samples.below(6);
        let off = 10f64.powf(-10.0 - 7.0 * unit(&mut samples)) * if samples.below(2) == 0 { 1.0 } else { -1.0 };
        let corners: Vec<Degrees> = (0..count)
            .map(|number| std::f64::consts::TAU * number as f64 / count as f64)
            .map(|angle| (east * angle.cos() + north * angle.sin() + pole * (off * unit(&mut samples))).normalized())
            .map(Vector::to_degrees)
            .collect();
        let half = polygon_datum(&[&corners]);
        let Ok(large) = shape(&half) else { continue };
        for _ in 0..6 {
            let little = point_datum(LonLat::of(any_direction(&mut samples))).unwrap();
            if meet(&large, &shape(&little).unwrap()) {
                met += 1;
                assert_found(&half, &little);
            }
        }
    }
    assert!(met > 500, "too few of them met: {met}");
}

/// Ends nothing; measures the longest time between two messages.
struct Watch {
    last: Cell<Instant>,
    longest: Cell<Duration>,
    steps: Cell<u64>,
}

impl Watch {
    fn new() -> Watch {
        Watch { last: Cell::new(Instant::now()), longest: Cell::default(), steps: Cell::default() }
    }

    fn look(&self) {
        self.longest.set(self.longest.get().max(self.last.replace(Instant::now()).elapsed()));
    }
}

impl Pace for Watch {
    fn steps(&self, count: u32) {
        self.steps.set(self.steps.get() + u64::from(count));
        self.look();
    }
}

/// A ring of teeth around a point; with a depth near one every edge is near every other.
fn teeth((x, y): Degrees, radius: f64, depth: f64, count: u32) -> Vec<Degrees> {
    (0..count)
        .map(|number| {
            let angle = std::f64::consts::TAU * f64::from(number) / f64::from(count);
            let radius = if number.is_multiple_of(2) { radius } else { radius * (1.0 - depth) };
            (x + radius * angle.cos(), y + radius * angle.sin())
        })
        .collect()
}

/// A field of holes, side by side, each with so many corners.
fn sieve(holes: usize, corners: u32) -> Datum {
    let shell = teeth((0.0, 0.0), 40.0, 0.0, 100);
    let side = (holes as f64).sqrt().ceil();
    let hole = |number: usize| {
        let (column, row) = ((number as f64) % side, (number as f64 / side).floor());
        teeth((column / side * 40.0 - 20.0, row / side * 40.0 - 20.0), 0.4 * 40.0 / side, 0.1, corners)
    };
    let rings: Vec<Vec<Degrees>> = std::iter::once(shell).chain((0..holes).map(hole)).collect();
    polygon_datum(&rings.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Reads a geometry, holds it against itself, and covers it. Whatever it is, that ends, and tells its steps on the way.
fn assert_bounded(name: &str, geometry: &Datum) -> Option<Shape> {
    let (watch, begin) = (Watch::new(), Instant::now());
    let found = Shape::of(geometry, &mut Effort::new(&watch));
    watch.look();
    let read = begin.elapsed();
    if let Ok(shape) = &found {
        let outcome = shape.intersects(shape, &mut Effort::new(&watch));
        assert!(outcome.is_ok_and(|meet| meet), "{name}");
        watch.look();
    }
    let all = begin.elapsed();
    let cells = cells_of_entry(geometry);
    let covered = begin.elapsed() - all;
    println!(
        "{name}: read {read:?}, in all {all:?}, covered {covered:?}, {} steps, longest wait {:?}, {:?}",
        watch.steps.get(),
        watch.longest.get(),
        found.as_ref().err()
    );
    assert!((1..=GEOMETRY_ENTRY_CELLS_MAX).contains(&cells.len()), "{name}: {cells:?}");
    assert!(watch.longest.get() < Duration::from_millis(500), "{name}: {:?}", watch.longest.get());
    if let Err(error) = &found {
        assert_eq!(error.kind, ErrorKind::ResourceLimit, "{name}: {error:?}");
    }
    found.ok()
}

#[test]
fn large_shapes_that_are_no_tangle_are_read() {
    for (name, geometry) in [
        ("a thousand holes", sieve(GEOMETRY_RINGS_MAX - 1, 4)),
        ("many holes of many corners", sieve(200, 500)),
        ("a long ring", polygon_datum(&[&teeth((10.0, 50.0), 5.0, 0.0, 100_000)])),
        ("a comb", polygon_datum(&[&teeth((10.0, 50.0), 5.0, 0.01, 100_000)])),
    ] {
        assert!(assert_bounded(name, &geometry).is_some(), "{name}");
    }
}

#[test]
fn tangles_and_too_many_rings_are_refused_in_the_midst() {
    for (name, geometry) in [
        ("teeth that are all near", polygon_datum(&[&teeth((0.0, 0.0), 1.0, 0.999, 20_000)])),
        (
            "a line over and over",
            line_datum(&(0..100_000).map(|number| (f64::from(number % 2), 0.0)).collect::<Vec<_>>()),
        ),
        ("lines that cross each other", line_datum(&teeth((0.0, 0.0), 1.0, 1.999, 50_000))),
        (
            "holes in one place",
            polygon_datum(
                &vec![teeth((0.0, 0.0), 1.0, 0.5, 100); GEOMETRY_RINGS_MAX]
                    .iter()
                    .map(Vec::as_slice)
                    .collect::<Vec<_>>(),
            ),
        ),
    ] {
        assert_bounded(name, &geometry);
    }
    let Err(error) = shape(&sieve(GEOMETRY_RINGS_MAX, 4)) else { panic!("one ring too many") };
    assert_eq!(error.message, format!("The polygon is too complex: it has more than {GEOMETRY_RINGS_MAX} rings."));
    assert!(cells_of_entry(&sieve(GEOMETRY_RINGS_MAX, 4)).is_empty());
}

#[test]
fn a_long_line_through_a_polygon_of_many_holes_is_followed() {
    let corners: Vec<Degrees> = (0..100_000u32)
        .map(|n| (f64::from(n) / 100_000.0 * 38.0 - 19.0, if n.is_multiple_of(2) { 0.3 } else { 0.31 }))
        .collect();
    let (line, sieve) = (shape(&line_datum(&corners)).unwrap(), shape(&sieve(1_000, 4)).unwrap());
    let Shape::Polygon(polygon) = &sieve else { panic!("a polygon") };
    assert!(meet(&line, &sieve));
    assert!(!includes(polygon, &line));
    // All of it in the frame around the holes.
    let above: Vec<Degrees> = corners.iter().map(|(x, y)| (*x, y + 25.0)).collect();
    assert!(includes(polygon, &shape(&line_datum(&above)).unwrap()));
}

/// Two lines that lie beside each other, each over and over, and never meet.
#[test]
fn shapes_that_are_near_each_other_everywhere_are_refused_in_the_midst() {
    let beside =
        |off: f64| shape(&line_datum(&(0..20_000).map(|n| (f64::from(n % 2), off)).collect::<Vec<_>>())).unwrap();
    let (watch, one, other) = (Watch::new(), beside(1e-13), beside(2e-13));
    let error = one.intersects(&other, &mut Effort::new(&watch)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ResourceLimit);
    assert!(watch.longest.get() < Duration::from_millis(500), "{:?}", watch.longest.get());
    // The limit is one for everything that is done in one operation.
    let mut effort = Effort::new(&Unpaced);
    let mut shapes = (0..1_000).map(|_| Shape::of(&sieve(1_000, 4), &mut effort).map(|_| ()));
    assert!(shapes.any(|outcome| outcome.is_err_and(|error| error.kind == ErrorKind::ResourceLimit)));
}
