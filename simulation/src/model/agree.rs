//! Whether a server answered what the model expects.

use super::fault::Fault;
use super::thing::{Expected, Order};
use super::value::Value;
use crate::client::{Answer, ErrorKind};

/// Relative: the order of a sum is the server's business.
const TOLERANCE: f64 = 1e-9;

/// Compares an answer, or the kind of the error that came in its place. Errors: how they differ, for people.
pub fn agree(expected: &Result<Expected, Fault>, answered: &Result<Answer, ErrorKind>) -> Result<(), String> {
    let agrees = match (expected, answered) {
        (Err(Fault::Undefined(_)), _) => true,
        (Err(Fault::Error(wanted, _)), Err(kind)) => wanted == kind,
        (Ok(expected), Ok(answer)) => match Value::from_json(&answer.clone().into_value()) {
            Ok(found) => holds(expected, &found),
            Err(_) => false,
        },
        _ => false,
    };
    if agrees { Ok(()) } else { Err(format!("answered {answered:?}, expected {expected:?}")) }
}

fn holds(expected: &Expected, found: &Value) -> bool {
    match (expected, found) {
        (Expected::Value(Value::Array(wanted), order) | Expected::Rows(wanted, order), Value::Array(found)) => {
            same_rows(wanted, found, *order)
        }
        (Expected::Value(Value::Array(_), _) | Expected::Rows(..), _) => false,
        (Expected::Value(wanted, _), found) => same(wanted, found),
        (Expected::Summary(Value::Object(wanted)), Value::Object(found)) => {
            let is_new = |name: &&String| !wanted.contains_key(*name) && *name != "config_changes";
            found.keys().find(is_new).is_none()
                && wanted.iter().all(|(name, wanted)| match (name.as_str(), found.get(name), wanted) {
                    ("first_error", found, _) => found.is_some(),
                    ("changes", Some(Value::Array(found)), Value::Array(wanted)) => {
                        same_rows(wanted, found, Order::Any)
                    }
                    (_, found, wanted) => found.is_some_and(|found| same(wanted, found)),
                })
        }
        (Expected::Summary(_), _) => false,
    }
}

fn same_rows(wanted: &[Value], found: &[Value], order: Order) -> bool {
    let is_same = |wanted: &[Value], found: &[Value]| {
        wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| same(wanted, found))
    };
    match order {
        Order::Fixed => is_same(wanted, found),
        Order::Any => {
            let (mut wanted, mut found) = (wanted.to_vec(), found.to_vec());
            wanted.sort();
            found.sort();
            is_same(&wanted, &found)
        }
    }
}

fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => {
            (wanted - found).abs() <= TOLERANCE * wanted.abs().max(found.abs())
        }
        (Value::Array(wanted), Value::Array(found)) => same_rows(wanted, found, Order::Fixed),
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.len() == found.len()
                && wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| same(wanted, found)))
        }
        (wanted, found) => wanted == found,
    }
}
