//! The terms of geometry, but for those that read tables. What a shape is and how shapes lie to each other is
//! [`crate::geo`]'s.

pub mod options;
pub mod partner;

use crate::datum::{Datum, ObjectBuilder, PTYPE_FIELD, Str};
use crate::error::{Error, Result, ResultExt};
use crate::eval::{Args, Cx, Value, signature};
use crate::geo::{self, Effort, LonLat, Shape};

const COORDINATES: &str = "coordinates";

/// Walking from the center of a circle to its border takes about a microsecond.
const STEPS_OF_CORNER: u32 = 8;

/// About what a corner takes in memory, here and as an array of two numbers.
const CORNER_BYTES: usize = 256;

/// A geometry. Like RethinkDB this lets every pseudo-type in; the others fail at the field they lack.
pub fn as_geometry(datum: Datum) -> Result<Datum> {
    if datum.ptype_name().is_none() {
        return Err(Error::logic(format!("Not a GEOMETRY pseudotype: `{}`.", datum.print_truncated())));
    }
    Ok(datum)
}

fn geometry_of(value: Value, cx: &Cx) -> Result<Datum> {
    as_geometry(value.into_datum(cx)?)
}

/// A place given as a point or as an array of two numbers; its range is not checked.
pub fn place(datum: &Datum) -> Result<LonLat> {
    if datum.is_ptype("GEOMETRY") {
        return geo::point_of(datum);
    }
    let parts = datum.as_array()?;
    if parts.len() != 2 {
        return Err(Error::logic(format!(
            "Expected point coordinate pair.  Got {} element array instead of a 2 element one.",
            parts.len()
        )));
    }
    let part = |index: usize| parts.get(index).unwrap_or(Datum::Null).as_number();
    Ok(LonLat { longitude: part(0)?, latitude: part(1)? })
}

/// The geometry, once it is known to be valid.
fn valid(geometry: Datum, cx: &Cx) -> Result<Value> {
    Shape::of(&geometry, &mut Effort::new(cx))?;
    Ok(geometry.into())
}

/// `point(longitude, latitude)`.
pub fn point(args: &Args<'_>) -> Result<Value> {
    valid(geo::point_datum(LonLat { longitude: args.number(0)?, latitude: args.number(1)? })?, args.cx())
}

/// `line(place, ...)`.
pub fn line(args: &Args<'_>) -> Result<Value> {
    valid(geo::line_datum(places(args)?)?, args.cx())
}

/// `polygon(place, ...)`.
pub fn polygon(args: &Args<'_>) -> Result<Value> {
    let places = places(args)?;
    args.cx().check_array_length(places.len() + usize::from(places.first() != places.last()))?;
    valid(geo::polygon_datum(places)?, args.cx())
}

fn places(args: &Args<'_>) -> Result<Vec<LonLat>> {
    args.cx().check_array_length(args.len())?;
    (0..args.len()).map(|index| place(&args.datum(index)?)).collect()
}

/// `fill(line)`: the polygon around which the line leads.
pub fn fill(args: &Args<'_>) -> Result<Value> {
    let places = geo::line_positions(&args.convert(0, geometry_of)?)?;
    args.cx().check_array_length(places.len() + usize::from(places.first() != places.last()))?;
    valid(geo::polygon_datum(places)?, args.cx())
}

/// `circle(center, radius, {num_vertices, geo_system, unit, fill})`.
pub fn circle(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let (center, radius) = (args.value(0)?, args.value(1)?);
    let filled = args.optarg_bool("fill")?.unwrap_or(true);
    let count = options::vertex_count(args)?;
    let ellipsoid = options::ellipsoid(args)?;
    let unit = options::unit(args)?;
    let center = place(&center.into_datum(cx).at(args.id(0))?)?;
    let radius = radius.into_datum(cx).and_then(|datum| signature::number(&datum)).at(args.id(1))?;
    let vertices = geo::vertices_of_circle(center, unit.to_meters(radius), count, &ellipsoid)?;
    cx.check_array_length(usize::try_from(count).unwrap_or(usize::MAX).saturating_add(1))?;
    let mark = cx.held();
    let mut corners = Vec::new();
    for corner in vertices {
        cx.steps(STEPS_OF_CORNER);
        cx.hold(CORNER_BYTES)?;
        corners.push(corner);
    }
    cx.release_to(mark);
    valid(if filled { geo::polygon_datum(corners)? } else { geo::line_datum(corners)? }, cx)
}

/// `geojson(object)`.
pub fn from_geojson(args: &Args<'_>) -> Result<Value> {
    let given = args.datum(0)?;
    let fields = given.as_object()?;
    if fields.get("crs").is_some_and(|system| !system.is_null()) {
        return Err(Error::logic(
            "Non-default coordinate reference systems are not supported in GeoJSON objects.  Make sure the `crs` field \
             of the geometry is null or non-existent.",
        ));
    }
    Shape::of(&given, &mut Effort::new(args.cx()))?;
    if fields.contains_key(PTYPE_FIELD) {
        return Err(Error::logic("GeoJSON object already had a $reql_type$ field."));
    }
    let mut marked = ObjectBuilder::from(fields.clone());
    marked.insert(Str::from_static(PTYPE_FIELD), "GEOMETRY");
    // The box around it is of no use here.
    marked.remove("bbox");
    Ok(Datum::from_fields(marked.build())?.into())
}

/// `to_geojson`.
pub fn to_geojson(args: &Args<'_>) -> Result<Value> {
    let geometry = args.convert(0, geometry_of)?;
    let mut plain = ObjectBuilder::from(geometry.as_object()?.clone());
    plain.remove(PTYPE_FIELD);
    Ok(Datum::Object(plain.build()).into())
}

/// `distance(geometry, geometry, {geo_system, unit})`: one of them is a point.
pub fn distance(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let (first, second) = (args.value(0)?, args.value(1)?);
    let ellipsoid = options::ellipsoid(args)?;
    let unit = options::unit(args)?;
    let first = geometry_of(first, cx).at(args.id(0))?;
    let first_is_point = *first.field("type")?.as_string()? == "Point";
    let second = || geometry_of(second, cx).at(args.id(1));
    let (point, other) = if first_is_point {
        let point = Shape::point_at(&first)?;
        (point, second()?)
    } else {
        (Shape::point_at(&second()?)?, first)
    };
    let effort = &mut Effort::new(cx);
    let meters = Shape::of(&other, effort)?.distance(point, &ellipsoid, effort)?;
    Ok(Datum::number(unit.from_meters(meters))?.into())
}

/// `polygon_sub(polygon, polygon)`: the first with the second as a hole in it.
pub fn polygon_sub(args: &Args<'_>) -> Result<Value> {
    let (shell, hole) = (shell(args, 0)?, shell(args, 1)?);
    let effort = &mut Effort::new(args.cx());
    if !Shape::polygon_of(&shell, effort)?.includes(&Shape::of(&hole, effort)?, effort)? {
        return Err(Error::logic("The second argument to `polygon_sub` is not contained in the first one."));
    }
    let mut rings: Vec<Datum> = shell.field(COORDINATES)?.as_array()?.iter().collect();
    let ring = hole.field(COORDINATES)?.as_array()?.get(0);
    rings.push(ring.ok_or_else(|| Error::non_existence("Index out of bounds: 0"))?);
    args.cx().check_array_length(rings.len())?;
    let result = geo::geometry("Polygon", Datum::from(rings));
    Shape::of(&result, effort)?;
    Ok(result.into())
}

/// An argument that must be a polygon without holes.
fn shell(args: &Args<'_>, index: usize) -> Result<Datum> {
    let polygon = args.convert(index, geometry_of)?;
    let kind = polygon.field("type")?;
    let kind = kind.as_string()?;
    if *kind != "Polygon" {
        return Err(Error::logic(format!("Expected a Polygon but found a {kind}.")).at(args.id(index)));
    }
    if polygon.field(COORDINATES)?.as_array()?.len() > 1 {
        let message = "Expected a Polygon with only an outer shell.  This one has holes.";
        return Err(Error::logic(message).at(args.id(index)));
    }
    Ok(polygon)
}

#[cfg(test)]
mod tests;
