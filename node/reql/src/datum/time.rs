//! The pseudo-type TIME: `{"$reql_type$": "TIME", "epoch_time": seconds, "timezone": "+00:00"}`.
//!
//! Instants are doubles in seconds, rounded to milliseconds where an object is checked. The zone only matters for
//! printing and for the parts of a date; it never takes part in comparing.

mod iso8601;
mod zone;

pub use iso8601::{date_from_days, days_from_date, from_iso8601};
pub use zone::{sanitize_zone, zone_offset};

use super::number::check_finite;
use super::{Datum, Object, PTYPE_FIELD, Str};
use crate::error::{Error, Result};

const EPOCH_FIELD: &str = "epoch_time";
const ZONE_FIELD: &str = "timezone";

/// A time at `epoch` seconds, shown in a zone such as `+02:00`, `Z`, `-0800`.
pub fn from_epoch(epoch: f64, zone: &str) -> Result<Datum> {
    let zone = sanitize_zone(zone)?;
    Ok(build(round_to_millis(epoch)?, &zone))
}

fn build(epoch: f64, zone: &str) -> Datum {
    let zone = if zone == "+00:00" { Str::from_static("+00:00") } else { Str::from(zone) };
    Datum::Object(Object::from(vec![
        (Str::from_static(PTYPE_FIELD), Datum::String(Str::from_static("TIME"))),
        (Str::from_static(EPOCH_FIELD), Datum::Number(epoch)),
        (Str::from_static(ZONE_FIELD), Datum::String(zone)),
    ]))
}

/// Seconds since 1970 and zone of a time; nothing if this is no time.
pub fn parts(datum: &Datum) -> Option<(f64, Str)> {
    let Datum::Object(fields) = datum else { return None };
    if !datum.is_ptype("TIME") {
        return None;
    }
    match (fields.get(EPOCH_FIELD), fields.get(ZONE_FIELD)) {
        (Some(Datum::Number(epoch)), Some(Datum::String(zone))) => Some((epoch, zone)),
        _ => None,
    }
}

/// As [`parts`], with the error for what is no time.
pub fn require(datum: &Datum) -> Result<(f64, Str)> {
    parts(datum).ok_or_else(|| Error::logic(format!("Not a TIME pseudotype: `{}`.", datum.print_truncated())))
}

/// To the nearest millisecond, halves away from zero. Errors: its milliseconds are more than any number.
pub fn round_to_millis(seconds: f64) -> Result<f64> {
    check_finite((seconds * 1000.0).round() / 1000.0)
}

/// The time object with its instant rounded and its zone in the long form, or RethinkDB's complaint, which shows the fields
/// that come before the fault as they were put right.
pub fn validate(fields: Object) -> Result<Object> {
    let mut clean = fields.clone();
    let (mut has_epoch, mut has_zone) = (false, false);
    let mut complaint = None;
    for (name, value) in fields.iter() {
        match (name.as_str(), &value) {
            (PTYPE_FIELD, _) => {}
            (EPOCH_FIELD, Datum::Number(seconds)) => {
                has_epoch = true;
                let rounded = round_to_millis(*seconds)?;
                if rounded.to_bits() != seconds.to_bits() {
                    clean = clean.with(Str::from_static(EPOCH_FIELD), Datum::Number(rounded));
                }
            }
            (EPOCH_FIELD, other) => complaint = Some(wrong_field(EPOCH_FIELD, "number", other)),
            (ZONE_FIELD, Datum::String(text)) => match sanitize_zone(text) {
                Ok(zone) => {
                    has_zone = true;
                    if zone != text.as_str() {
                        clean = clean.with(Str::from_static(ZONE_FIELD), zone);
                    }
                }
                Err(_) => complaint = Some(format!("invalid timezone string `{}`", value.print_truncated())),
            },
            (ZONE_FIELD, other) => complaint = Some(wrong_field(ZONE_FIELD, "string", other)),
            (other, _) => complaint = Some(format!("unrecognized field `{other}`")),
        }
        if complaint.is_some() {
            break;
        }
    }
    let missing = |name: &str| format!("no field `{name}`");
    let complaint = match complaint {
        Some(complaint) => complaint,
        None if !has_epoch => missing(EPOCH_FIELD),
        None if !has_zone => missing(ZONE_FIELD),
        None => return Ok(clean),
    };
    let whole = Datum::Object(clean);
    Err(Error::logic(format!("Invalid time object constructed ({complaint}):\n{}", whole.print_truncated())))
}

fn wrong_field(name: &str, expected: &str, found: &Datum) -> String {
    format!("field `{name}` must be a {expected} (got `{}` of type {})", found.print_truncated(), found.type_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(epoch: Datum, zone: Datum) -> Object {
        Object::from([(PTYPE_FIELD, Datum::from("TIME")), (EPOCH_FIELD, epoch), (ZONE_FIELD, zone)])
    }

    #[test]
    fn a_valid_time_is_normalised() {
        let time = validate(object(Datum::Number(1.00049), Datum::from("Z"))).unwrap();
        assert_eq!(parts(&Datum::Object(time)), Some((1.0, Str::from("+00:00"))));
        assert_eq!(require(&from_epoch(2.5, "-0830").unwrap()), Ok((2.5, Str::from("-08:30"))));
    }

    #[test]
    fn complaints_name_the_first_fault() {
        let message = |fields: Object| validate(fields).unwrap_err().message;
        let missing = Object::from([(PTYPE_FIELD, Datum::from("TIME")), (EPOCH_FIELD, Datum::from(1))]);
        assert_eq!(
            message(missing),
            "Invalid time object constructed (no field `timezone`):\n{\n\t\"$reql_type$\":\t\"TIME\",\n\t\"epoch_time\":\t1\n}"
        );
        assert!(message(object(Datum::from("x"), Datum::from("Z"))).starts_with(
            "Invalid time object constructed (field `epoch_time` must be a number (got `\"x\"` of type STRING)):"
        ));
        assert!(
            message(object(Datum::from(1), Datum::from("+25:00")))
                .starts_with("Invalid time object constructed (invalid timezone string `\"+25:00\"`):")
        );
        assert_eq!(message(object(Datum::Number(1e307), Datum::from("Z"))), "Non-finite number: inf");
    }

    #[test]
    fn complaints_show_what_was_put_right() {
        let fields = Object::from([(PTYPE_FIELD, Datum::from("TIME")), (EPOCH_FIELD, Datum::Number(1.23456))]);
        assert_eq!(
            validate(fields.clone()).unwrap_err().message,
            "Invalid time object constructed (no field `timezone`):\n{\n\t\"$reql_type$\":\t\"TIME\",\n\t\"epoch_time\":\t1.235\n}"
        );
        // What comes behind the fault was not looked at.
        let fields = fields.with("a", 1);
        assert!(validate(fields).unwrap_err().message.ends_with("\t\"epoch_time\":\t1.23456\n}"));
    }
}
