//! The pseudo-type GEOMETRY: recognised and stored, nothing computed.

use super::{Datum, Object, PTYPE_FIELD};
use crate::error::{Error, Result};

/// Whether this is a geometry object.
pub fn is_geometry(datum: &Datum) -> bool {
    datum.is_ptype("GEOMETRY")
}

/// The shallow check that RethinkDB makes of every geometry object; coordinates are looked at only by geographic terms.
pub fn validate(fields: Object) -> Result<Object> {
    for (name, value) in fields.iter() {
        match (name.as_str(), value) {
            ("coordinates", Datum::Array(_)) | ("type", Datum::String(_)) | ("crs" | PTYPE_FIELD, _) => {}
            ("coordinates", other) => return Err(Error::expected_type("ARRAY", &other)),
            ("type", other) => return Err(Error::expected_type("STRING", &other)),
            (other, _) => {
                return Err(Error::logic(format!("Unrecognized field `{other}` found in geometry object.")));
            }
        }
    }
    for name in ["type", "coordinates"] {
        if !fields.contains_key(name) {
            return Err(Error::non_existence(format!("Field `{name}` not found in geometry object.")));
        }
    }
    Ok(fields)
}
