//! Times as documents hold them.

use photondb_reql::datum::{Datum, Object};

/// A time in UTC, from microseconds since the epoch, to the millisecond as `now()` gives it.
pub(crate) fn from_micros(micros: i64) -> Datum {
    let millis = micros.div_euclid(1_000);
    Datum::Object(Object::from([
        ("$reql_type$", Datum::from("TIME")),
        ("epoch_time", Datum::Number(millis as f64 / 1e3)),
        ("timezone", Datum::from("+00:00")),
    ]))
}
