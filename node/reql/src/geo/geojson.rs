//! Geometry as clients see it: objects of GeoJSON with a mark. Reading one checks everything about it, in RethinkDB's words.

use super::effort::Effort;
use super::line::Line;
use super::polygon::{Polygon, check_ring_count};
use super::ring::Ring;
use super::shape::Shape;
use super::vector::Vector;
use crate::datum::number::print_exact;
use crate::datum::{Array, Datum, Object, PTYPE_FIELD};
use crate::error::{Error, Result};

/// A place as a client gives it, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LonLat {
    pub longitude: f64,
    pub latitude: f64,
}

impl LonLat {
    /// Of a point of the sphere.
    pub fn of(point: Vector) -> LonLat {
        let (longitude, latitude) = point.to_degrees();
        LonLat { longitude, latitude }
    }

    /// On the sphere, by one of the ways to get there. Errors: no such longitude or latitude.
    pub fn to_vector(self, project: Project) -> Result<Vector> {
        let LonLat { mut longitude, latitude } = self;
        let outside = |what: &str, limit: u32, found: f64| {
            Err(Error::logic(format!("{what} must be between -{limit} and {limit}.  Got {}.", print_exact(found))))
        };
        if !(-180.0..=180.0).contains(&longitude) {
            return outside("Longitude", 180, longitude);
        }
        if longitude == 180.0 {
            longitude = -180.0;
        }
        if !(-90.0..=90.0).contains(&latitude) {
            return outside("Latitude", 90, latitude);
        }
        Ok(project(longitude, latitude))
    }
}

/// [`Vector::from_degrees`], or the other one.
pub type Project = fn(f64, f64) -> Vector;

/// The place that a position (an array of two numbers) names.
pub fn position(datum: &Datum) -> Result<LonLat> {
    let parts = datum.as_array()?;
    match parts.len() {
        2 => {}
        0 | 1 => return Err(Error::logic("Too few coordinates.  Need at least longitude and latitude.")),
        3 => {
            return Err(Error::logic(
                "A third altitude coordinate in GeoJSON positions was found, but is not supported.",
            ));
        }
        more => {
            return Err(Error::logic(format!(
                "Too many coordinates.  GeoJSON position should have no more than three coordinates, but got {more}."
            )));
        }
    }
    let part = |index: usize| parts.get(index).unwrap_or(Datum::Null).as_number();
    Ok(LonLat { longitude: part(0)?, latitude: part(1)? })
}

/// The place of a geometry that must be a point; its range is not checked.
pub fn point_of(geometry: &Datum) -> Result<LonLat> {
    position(&coordinates_of(geometry, "Point")?)
}

/// The places of a geometry that must be a line; nothing else is checked.
pub fn line_positions(geometry: &Datum) -> Result<Vec<LonLat>> {
    let coordinates = coordinates_of(geometry, "LineString")?;
    coordinates.as_array()?.iter().map(|datum| position(&datum)).collect()
}

/// The coordinates of a geometry that must be of one type.
fn coordinates_of(geometry: &Datum, expected: &str) -> Result<Datum> {
    let kind = geometry.field("type")?;
    let kind = kind.as_string()?;
    let coordinates = geometry.field("coordinates")?;
    if *kind != *expected {
        return Err(Error::logic(format!("Expected geometry of type `{expected}` but found `{kind}`.")));
    }
    Ok(coordinates)
}

impl Shape {
    /// What an object of GeoJSON describes. Errors: it is no valid geometry, or too complex.
    pub fn of(geometry: &Datum, effort: &mut Effort<'_>) -> Result<Shape> {
        let kind = geometry.field("type")?;
        let kind = kind.as_string()?;
        let coordinates = geometry.field("coordinates")?;
        match kind.as_str() {
            "Point" => Ok(Shape::Point(position(&coordinates)?.to_vector(Vector::from_degrees)?)),
            "LineString" => line(&coordinates, effort).map(Shape::Line),
            "Polygon" => polygon(&coordinates, effort).map(Shape::Polygon),
            "MultiPoint" | "MultiLineString" | "MultiPolygon" | "GeometryCollection" | "Feature"
            | "FeatureCollection" => Err(Error::logic(format!("GeoJSON type `{kind}` is not supported."))),
            _ => Err(Error::logic(format!("Unrecognized GeoJSON type `{kind}`."))),
        }
    }

    /// What an object of GeoJSON describes that must be a polygon. Errors: as of [`Shape::of`].
    pub fn polygon_of(geometry: &Datum, effort: &mut Effort<'_>) -> Result<Polygon> {
        polygon(&coordinates_of(geometry, "Polygon")?, effort)
    }

    /// Where a geometry that must be a point is.
    pub fn point_at(geometry: &Datum) -> Result<Vector> {
        point_of(geometry)?.to_vector(Vector::from_degrees)
    }
}

fn line(coordinates: &Datum, effort: &mut Effort<'_>) -> Result<Line> {
    let positions = coordinates.as_array()?;
    if positions.len() < 2 {
        return Err(Error::logic("GeoJSON LineString must have at least two positions."));
    }
    let vertices = vertices(positions, Vector::from_degrees, effort)?;
    Line::new(vertices, effort)?
        .ok_or_else(|| Error::logic("Invalid LineString.  Are there antipodal or duplicate vertices?"))
}

fn polygon(coordinates: &Datum, effort: &mut Effort<'_>) -> Result<Polygon> {
    let rings = coordinates.as_array()?;
    check_ring_count(rings.len())?;
    let mut rings = rings.iter().map(|coordinates| ring(&coordinates, effort));
    let Some(shell) = rings.next() else { return Ok(Polygon::empty()) };
    let shell = shell?;
    let holes = rings.collect::<Result<Vec<Ring>>>()?;
    Polygon::new(shell, holes, effort)?
        .map_err(|_unused| Error::logic("Some edges in GeoJSON polygon could not be used.  Are they intersecting?"))
}

fn ring(coordinates: &Datum, effort: &mut Effort<'_>) -> Result<Ring> {
    let positions = coordinates.as_array()?;
    if positions.len() < 4 {
        return Err(Error::logic("GeoJSON LinearRing must have at least four positions."));
    }
    let mut vertices = vertices(positions, Vector::from_degrees, effort)?;
    if vertices.first() != vertices.last() {
        return Err(Error::logic("First and last vertex of GeoJSON LinearRing must be identical."));
    }
    vertices.pop();
    let ring = Ring::new(vertices, effort)?;
    if !ring.is_valid(effort)? {
        return Err(Error::logic(
            "Invalid LinearRing.  Are there antipodal or duplicate vertices? Is it self-intersecting?",
        ));
    }
    Ok(ring)
}

/// The vertices at some positions, unchecked but for their range.
pub fn vertices(positions: &Array, project: Project, effort: &mut Effort<'_>) -> Result<Vec<Vector>> {
    let vertex = |datum: Datum| {
        effort.take(4)?;
        position(&datum)?.to_vector(project)
    };
    positions.iter().map(vertex).collect()
}

/// A point as an object, not checked.
pub fn point_datum(at: LonLat) -> Result<Datum> {
    Ok(geometry("Point", pair(at)?))
}

/// A line as an object, not checked.
pub fn line_datum(places: Vec<LonLat>) -> Result<Datum> {
    Ok(geometry("LineString", pairs(places)?))
}

/// A polygon without holes as an object, not checked. Its ring is closed if it is not.
pub fn polygon_datum(mut places: Vec<LonLat>) -> Result<Datum> {
    if let (Some(first), Some(last)) = (places.first().copied(), places.last())
        && first != *last
    {
        places.push(first);
    }
    Ok(geometry("Polygon", Datum::from(vec![pairs(places)?])))
}

fn pairs(places: Vec<LonLat>) -> Result<Datum> {
    Ok(Datum::from(places.into_iter().map(pair).collect::<Result<Vec<Datum>>>()?))
}

fn pair(at: LonLat) -> Result<Datum> {
    Ok(Datum::from(vec![Datum::number(at.longitude)?, Datum::number(at.latitude)?]))
}

/// An object of GeoJSON with the mark that makes it geometry.
pub fn geometry(kind: &'static str, coordinates: Datum) -> Datum {
    let fields = [(PTYPE_FIELD, Datum::from("GEOMETRY")), ("coordinates", coordinates), ("type", Datum::from(kind))];
    Datum::Object(Object::from(fields))
}
