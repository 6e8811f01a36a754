//! Optional arguments of terms that measure.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::{Args, signature};
use crate::geo::{Ellipsoid, Unit};

/// Corners of a circle unless the query says otherwise.
const CIRCLE_VERTICES: u32 = 32;

/// `geo_system`: the name of an ellipsoid, or its radius `a` at the equator in meters and its flattening `f`.
pub fn ellipsoid(args: &Args<'_>) -> Result<Ellipsoid> {
    let name = "geo_system";
    let id = args.optarg_node(name).map_or(args.call().id, |node| node.id());
    match args.optarg_datum(name)? {
        None => Ok(Ellipsoid::wgs84()),
        Some(system @ Datum::Object(_)) => {
            let (equator, flattening) = (system.field("a")?.as_number()?, system.field("f")?.as_number()?);
            if equator <= 0.0 {
                return Err(Error::logic("The equator radius `a` must be positive.").at(id));
            }
            if !(0.0..1.0).contains(&flattening) {
                return Err(Error::logic("The flattening `f` must be in the range [0, 1).").at(id));
            }
            Ok(Ellipsoid::new(equator, flattening))
        }
        Some(system) => match system.as_string().map_err(|error| error.at(id))?.as_str() {
            "WGS84" => Ok(Ellipsoid::wgs84()),
            "unit_sphere" => Ok(Ellipsoid::unit_sphere()),
            other => {
                let options = r#"(valid options: "WGS84", "unit_sphere")"#;
                Err(Error::logic(format!("Unrecognized geo system \"{other}\" {options}.")).at(id))
            }
        },
    }
}

/// `unit`.
pub fn unit(args: &Args<'_>) -> Result<Unit> {
    let Some(name) = args.optarg_string("unit")? else { return Ok(Unit::Meter) };
    Unit::named(&name).ok_or_else(|| Error::logic(format!("Unrecognized distance unit `{name}`.")))
}

/// `num_vertices`.
pub fn vertex_count(args: &Args<'_>) -> Result<u32> {
    let count = args.optarg_as("num_vertices", |datum| {
        let number = signature::integer(datum)?;
        match u32::try_from(number) {
            Ok(0) => Err(Error::logic("num_vertices must be positive.")),
            Ok(count) => Ok(count),
            Err(_) => Err(Error::logic(format!("Integer too large: {number}"))),
        }
    })?;
    Ok(count.unwrap_or(CIRCLE_VERTICES))
}
