//! Shapes for tests: written down, and random ones where they are likely to meet.

use super::effort::{Effort, Unpaced};
use super::geojson::{LonLat, geometry, point_datum};
use super::polygon::Polygon;
use super::shape::Shape;
use super::vector::Vector;
use crate::datum::Datum;
use crate::datum::samples::Samples;
use crate::error::Result;

/// What a geometry describes.
pub fn shape(geometry: &Datum) -> Result<Shape> {
    Shape::of(geometry, &mut Effort::new(&Unpaced))
}

/// Whether two shapes meet that are no tangle.
pub fn meet(one: &Shape, other: &Shape) -> bool {
    one.intersects(other, &mut Effort::new(&Unpaced)).unwrap()
}

/// Whether a polygon includes a shape that is no tangle.
pub fn includes(polygon: &Polygon, other: &Shape) -> bool {
    polygon.includes(other, &mut Effort::new(&Unpaced)).unwrap()
}

pub fn point(longitude: f64, latitude: f64) -> Shape {
    shape(&point_datum(LonLat { longitude, latitude }).unwrap()).unwrap()
}

pub fn line(degrees: &[(f64, f64)]) -> Shape {
    shape(&line_datum(degrees)).unwrap()
}

pub fn line_datum(degrees: &[(f64, f64)]) -> Datum {
    geometry("LineString", pairs(degrees))
}

/// The first ring is the shell; rings are closed here.
pub fn polygon(rings: &[&[(f64, f64)]]) -> Shape {
    shape(&polygon_datum(rings)).unwrap()
}

pub fn polygon_datum(rings: &[&[(f64, f64)]]) -> Datum {
    let closed = |ring: &[(f64, f64)]| pairs(&[ring, &ring[..1]].concat());
    geometry("Polygon", Datum::from(rings.iter().map(|ring| closed(ring)).collect::<Vec<_>>()))
}

pub fn pairs(degrees: &[(f64, f64)]) -> Datum {
    let pair =
        |(longitude, latitude): &(f64, f64)| Datum::from(vec![Datum::Number(*longitude), Datum::Number(*latitude)]);
    Datum::from(degrees.iter().map(pair).collect::<Vec<_>>())
}

pub fn vertices(shape: &Shape) -> Vec<Vector> {
    match shape {
        Shape::Point(point) => vec![*point],
        Shape::Line(line) => line.chain().vertices().to_vec(),
        Shape::Polygon(polygon) => polygon.rings().iter().flat_map(|ring| ring.chain().vertices().to_vec()).collect(),
    }
}

/// A part of the sphere in which random shapes are made.
pub struct Region {
    center: Vector,
    /// In radians.
    radius: f64,
}

/// The middle of a face, a corner of three, the poles, the antimeridian, and a place like any other.
const CENTERS: [(f64, f64); 8] = [
    (0.0, 0.0),
    (45.0, 35.264_389_682_754_654),
    (179.999, 10.0),
    (-180.0, -60.0),
    (33.0, 89.999),
    (0.0, -90.0),
    (45.0, 0.0),
    (-122.3, 37.8),
];

impl Region {
    pub fn random(samples: &mut Samples) -> Region {
        let (longitude, latitude) = CENTERS[samples.below(CENTERS.len())];
        let radius = [1e-7, 1e-4, 0.02, 0.3, 1.2][samples.below(5)];
        Region { center: Vector::from_degrees(longitude, latitude), radius }
    }

    /// A valid geometry.
    pub fn geometry(&self, samples: &mut Samples) -> Datum {
        match samples.below(4) {
            0 => point_datum(degrees(self.place(samples, self.center, self.radius))).unwrap(),
            1 => loop {
                let places: Vec<_> =
                    (0..2 + samples.below(6)).map(|_| self.place(samples, self.center, self.radius)).collect();
                let line = line_datum(&places.into_iter().map(plain).collect::<Vec<_>>());
                if shape(&line).is_ok() {
                    return line;
                }
            },
            _ => loop {
                let center = self.place(samples, self.center, self.radius / 2.0);
                let outer = self.radius * (0.2 + 0.8 * unit(samples));
                let shell = star(samples, center, outer, 0.5);
                let hole = star(samples, center, outer * 0.4, 0.5);
                let with_hole = samples.below(3) == 0;
                let rings: Vec<&[(f64, f64)]> = if with_hole { vec![&shell, &hole] } else { vec![&shell] };
                let polygon = polygon_datum(&rings);
                if shape(&polygon).is_ok() {
                    return polygon;
                }
            },
        }
    }

    /// A point within `radius` of `center`; now and then the center itself.
    pub fn place(&self, samples: &mut Samples, center: Vector, radius: f64) -> Vector {
        if samples.below(20) == 0 {
            return center;
        }
        let (east, north) = frame(center);
        let (x, y) = (2.0 * unit(samples) - 1.0, 2.0 * unit(samples) - 1.0);
        (center + east * (x * radius) + north * (y * radius)).normalized()
    }

    pub fn any_place(&self, samples: &mut Samples) -> Vector {
        self.place(samples, self.center, self.radius)
    }
}

/// The corners of a star around `center`: at rising angles, at distances from `least` of the radius to all of it.
fn star(samples: &mut Samples, center: Vector, radius: f64, least: f64) -> Vec<(f64, f64)> {
    let (east, north) = frame(center);
    let count = 3 + samples.below(12);
    let corner = |number: usize, part: f64| {
        let angle = std::f64::consts::TAU * number as f64 / count as f64;
        (center + (east * angle.cos() + north * angle.sin()) * (radius * part)).normalized()
    };
    (0..count).map(|number| plain(corner(number, least + (1.0 - least) * unit(samples)))).collect()
}

fn frame(center: Vector) -> (Vector, Vector) {
    let east = center.orthogonal();
    (east, center.cross(east))
}

pub fn unit(samples: &mut Samples) -> f64 {
    (samples.next() >> 11) as f64 / (1u64 << 53) as f64
}

fn degrees(point: Vector) -> LonLat {
    LonLat::of(point)
}

fn plain(point: Vector) -> (f64, f64) {
    point.to_degrees()
}
