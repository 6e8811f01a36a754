//! The pseudo-type GEOMETRY: recognised and stored, nothing computed.

use super::{Datum, Object};
use crate::error::{Error, Result};

/// Whether this is a geometry object.
pub fn is_geometry(datum: &Datum) -> bool {
    datum.is_ptype("GEOMETRY")
}

/// The shallow check that RethinkDB makes of every geometry object; coordinates are looked at only by geographic terms.
pub fn validate(fields: Object) -> Result<Object> {
    for name in ["type", "coordinates"] {
        if !fields.contains_key(name) {
            return Err(Error::non_existence(format!("Field `{name}` not found in geometry object.")));
        }
    }
    Ok(fields)
}
