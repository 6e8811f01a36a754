//! Laws that hold for all shapes.

use super::covering::{cells_of_entry, cells_of_query, covers};
use super::samples::{Region, includes, meet, polygon_datum, shape, unit, vertices};
use super::{CellId, CellRanges, Effort, Ellipsoid, Shape, Unpaced, Vector, geometry};
use crate::datum::samples::{Samples, rounds};
use crate::datum::{Array, Datum};

#[test]
fn two_shapes_meet_each_other_and_their_cells_meet() {
    let mut samples = Samples::from_environment();
    let mut met = 0;
    for _ in 0..rounds(1_500) {
        let region = Region::random(&mut samples);
        let (one, other) = (region.geometry(&mut samples), region.geometry(&mut samples));
        let (a, b) = (shape(&one).unwrap(), shape(&other).unwrap());
        let they_meet = meet(&a, &b);
        assert_eq!(meet(&b, &a), they_meet, "{one:?} {other:?}");
        met += u32::from(they_meet);
        for (query, stored) in [(&one, &other), (&other, &one)] {
            let ranges = cells_of_query(query, &Unpaced);
            let found = cells_of_entry(stored).iter().any(|cell| ranges.contains(*cell));
            assert!(found || !they_meet, "the index would miss {one:?} {other:?}");
        }
        if let (Shape::Polygon(polygon), true) = (&a, !they_meet) {
            assert!(!includes(polygon, &b), "{one:?} includes {other:?} and does not meet it");
        }
        let far = a.distance(region.any_place(&mut samples), &Ellipsoid::wgs84(), &mut Effort::new(&Unpaced)).unwrap();
        assert!((0.0..20_100_000.0).contains(&far));
    }
    assert!(met > 100, "too few of them met: {met}");
}

#[test]
fn what_is_in_a_shape_is_in_its_cells() {
    let mut samples = Samples::from_environment();
    for _ in 0..rounds(500) {
        let region = Region::random(&mut samples);
        let geometry = region.geometry(&mut samples);
        let shape = shape(&geometry).unwrap();
        let cells = cells_of_entry(&geometry);
        let ranges = cells_of_query(&geometry, &Unpaced);
        assert!(!cells.is_empty() && cells.len() <= crate::limits::GEOMETRY_ENTRY_CELLS_MAX);
        if let Shape::Point(_) = shape {
            assert!(cells.len() == 1 && cells.iter().all(|cell| ranges.contains(*cell)));
            continue;
        }
        let mut inside: Vec<Vector> = vertices(&shape);
        inside.extend(vertices(&shape).windows(2).filter_map(|pair| match &shape {
            Shape::Line(_) => Some((pair[0] + pair[1]).normalized()),
            _ => None,
        }));
        for _ in 0..50 {
            let point = region.any_place(&mut samples);
            if meet(&shape, &Shape::Point(point)) {
                inside.push(point);
            }
        }
        for point in inside {
            assert!(covers(&cells, point), "{geometry:?} has {point:?}, its cells do not");
            assert!(ranges.contains(CellId::leaf(point)));
        }
    }
}

#[test]
fn a_polygon_includes_what_is_drawn_smaller_inside_it() {
    let mut samples = Samples::from_environment();
    for _ in 0..rounds(300) {
        let count = 3 + samples.below(30);
        let (x, y) = (unit(&mut samples) * 358.0 - 179.0, unit(&mut samples) * 120.0 - 60.0);
        let corners = |scale: f64| -> Vec<(f64, f64)> {
            let angle = |number: usize| std::f64::consts::TAU * number as f64 / count as f64;
            (0..count).map(|number| (x + scale * angle(number).cos(), y + scale * angle(number).sin())).collect()
        };
        let (large, small) = (polygon_datum(&[&corners(1.0)]), polygon_datum(&[&corners(0.3)]));
        let (large, small) = (shape(&large).unwrap(), shape(&small).unwrap());
        let (Shape::Polygon(outer), Shape::Polygon(inner)) = (&large, &small) else { panic!("polygons") };
        assert!(includes(outer, &small));
        assert!(!includes(inner, &large));
    }
}

/// Coordinates that no map has, and few that some has.
fn wild_number(samples: &mut Samples) -> f64 {
    const WILD: [f64; 16] = [
        0.0,
        -0.0,
        90.0,
        -90.0,
        180.0,
        -180.0,
        179.999_999_999_999_97,
        45.0,
        1e-300,
        5e-324,
        -1e-17,
        360.0,
        1e308,
        -1e308,
        1.0,
        89.999_999_999_999_99,
    ];
    if samples.below(3) == 0 { unit(samples) * 10.0 } else { WILD[samples.below(WILD.len())] }
}

fn wild_coordinates(samples: &mut Samples, depth: usize) -> Datum {
    if depth == 0 {
        return match samples.below(12) {
            0 => samples.datum(1),
            _ => Datum::Number(wild_number(samples)),
        };
    }
    let count = match (depth, samples.below(8)) {
        (_, 0) => samples.below(4),
        (1, _) => 2,
        _ => 1 + samples.below(6),
    };
    let mut items: Vec<Datum> = (0..count).map(|_| wild_coordinates(samples, depth - 1)).collect();
    if depth == 2 && samples.below(2) == 0 {
        items.extend(items.first().cloned());
    }
    Datum::from(Array::from(items))
}

#[test]
fn no_geometry_panics_or_runs_for_ever() {
    let mut samples = Samples::from_environment();
    let mut valid: Vec<(Shape, Vec<CellId>, CellRanges)> = Vec::new();
    for _ in 0..rounds(20_000) {
        let (kind, depth) = [("Point", 1), ("LineString", 2), ("Polygon", 3)][samples.below(3)];
        let wild = geometry(kind, wild_coordinates(&mut samples, depth));
        let cells = cells_of_entry(&wild);
        if let Ok(shape) = shape(&wild) {
            valid.push((shape, cells, cells_of_query(&wild, &Unpaced)));
        }
    }
    assert!(valid.len() > 500, "{}", valid.len());
    for _ in 0..rounds(5_000) {
        let (one, _, ranges) = &valid[samples.below(valid.len())];
        let (other, cells, _) = &valid[samples.below(valid.len())];
        let they_meet = meet(one, other);
        assert_eq!(meet(other, one), they_meet, "{one:?} {other:?}");
        assert!(!they_meet || cells.iter().any(|cell| ranges.contains(*cell)), "{one:?} {other:?}");
        if let Shape::Polygon(polygon) = one {
            let _included = includes(polygon, other);
        }
        let from = vertices(other).first().copied().unwrap_or(Vector::new(1.0, 0.0, 0.0));
        let _far = one.distance(from, &Ellipsoid::wgs84(), &mut Effort::new(&Unpaced)).unwrap();
    }
}

/// A ring of teeth: every edge is near every other.
#[test]
fn a_tangle_of_many_edges_ends() {
    let teeth: Vec<(f64, f64)> = (0..10_000)
        .map(|number| {
            let angle = std::f64::consts::TAU * f64::from(number) / 10_000.0;
            let radius = if number % 2 == 0 { 1.0 } else { 0.001 };
            (radius * angle.cos(), radius * angle.sin())
        })
        .collect();
    let begin = std::time::Instant::now();
    let shape = shape(&polygon_datum(&[&teeth]));
    assert!(shape.is_ok() || shape.is_err_and(|error| error.kind == crate::error::ErrorKind::ResourceLimit));
    assert!(begin.elapsed().as_secs() < 60);
}
