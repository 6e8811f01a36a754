//! What values stand for where a function is wanted: a field name for that field, an object for a pattern.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::merge::as_literal;
use crate::eval::terms::shape::{Shape, check_object};
use crate::eval::{Cx, Sequence, Value};
use crate::term::TermKind;

/// `get_field` with a known name: of an object its field, of an array the field of each element that has it.
pub fn get_field(field: &Datum, from: &Datum, cx: &Cx) -> Result<Value> {
    let shape = || field.as_string().map(|name| Shape::Field(name.clone()));
    match from {
        Datum::Array(items) => {
            let shape = shape()?;
            let mut found = Vec::new();
            for item in Sequence::array(items.clone()).read_unlimited(cx)? {
                match shape.on_element(&item, TermKind::GetField, cx) {
                    Ok(value) => found.push(value),
                    Err(error) if error.is_non_existence() => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(Datum::from(found).into())
        }
        other => {
            check_object(TermKind::GetField, other)?;
            shape()?.on_object(other, cx).map(Value::from)
        }
    }
}

/// Whether a value is as `filter(pattern)` wants it: an object has the pattern's fields with equal values, nested objects
/// likewise. What is no object stands for its own truth.
pub fn matches(pattern: &Datum, value: &Datum) -> Result<bool> {
    match pattern {
        Datum::Object(_) => fits(pattern, value),
        other => Ok(other.is_truthy()),
    }
}

fn fits(pattern: &Datum, value: &Datum) -> Result<bool> {
    if let Some(literal) = as_literal(pattern) {
        return Ok(literal == *value);
    }
    let wanted = pattern.as_object()?;
    // Whoever wants nothing takes anything: only a field that is looked for needs an object.
    if wanted.is_empty() {
        return Ok(true);
    }
    let fields = value.as_object()?;
    for (name, wanted) in wanted.iter() {
        let Some(found) = fields.get(&name) else {
            return Err(Error::non_existence(format!("No attribute `{name}` in object.")));
        };
        let fits = match (&wanted, &found) {
            (Datum::Object(_), Datum::Object(_)) => fits(&wanted, &found)?,
            _ => wanted == found,
        };
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}
