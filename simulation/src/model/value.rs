//! Values and their order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::fault::Fault;

/// A value of ReQL, without times, binaries and geometry.
#[derive(Clone, Debug)]
pub enum Value {
    /// Below everything; only as a bound.
    MinVal,
    /// An array.
    Array(Vec<Value>),
    /// A boolean.
    Bool(bool),
    /// Null.
    Null,
    /// A number; never infinite, never NaN.
    Number(f64),
    /// An object.
    Object(BTreeMap<String, Value>),
    /// A string.
    String(String),
    /// Above everything; only as a bound.
    MaxVal,
}

impl Value {
    /// From JSON. Errors: it holds a pseudotype.
    pub fn from_json(json: &serde_json::Value) -> Result<Value, Fault> {
        Ok(match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(bool) => Value::Bool(*bool),
            serde_json::Value::Number(number) => {
                Value::Number(number.as_f64().ok_or_else(|| Fault::undefined(format_args!("the number {number}")))?)
            }
            serde_json::Value::String(text) => Value::String(text.clone()),
            serde_json::Value::Array(elements) => {
                Value::Array(elements.iter().map(Value::from_json).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(fields) => {
                if fields.contains_key("$reql_type$") {
                    return Err(Fault::undefined("pseudotypes"));
                }
                let field = |(name, value): (&String, _)| Ok((name.clone(), Value::from_json(value)?));
                Value::Object(fields.iter().map(field).collect::<Result<_, Fault>>()?)
            }
        })
    }

    /// As JSON; whole numbers as such.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::MinVal | Value::MaxVal | Value::Null => serde_json::Value::Null,
            Value::Bool(bool) => (*bool).into(),
            Value::Number(number) => match whole(*number) {
                Some(whole) => whole.into(),
                None => (*number).into(),
            },
            Value::String(text) => text.as_str().into(),
            Value::Array(elements) => elements.iter().map(Value::to_json).collect(),
            Value::Object(fields) => {
                serde_json::Value::Object(fields.iter().map(|(name, value)| (name.clone(), value.to_json())).collect())
            }
        }
    }

    /// What `type_of` says.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::MinVal => "MINVAL",
            Value::Array(_) => "ARRAY",
            Value::Bool(_) => "BOOL",
            Value::Null => "NULL",
            Value::Number(_) => "NUMBER",
            Value::Object(_) => "OBJECT",
            Value::String(_) => "STRING",
            Value::MaxVal => "MAXVAL",
        }
    }

    /// Whether a test takes it for true: all but `false` and `null`.
    pub fn is_true(&self) -> bool {
        !matches!(self, Value::Null | Value::Bool(false))
    }

    /// The number. Errors: it is none; a `null` counts as missing.
    pub fn number(&self) -> Result<f64, Fault> {
        match self {
            Value::Number(number) => Ok(*number),
            other => Err(other.mistyped("NUMBER")),
        }
    }

    /// The whole number. Errors: it is none.
    pub fn whole(&self) -> Result<i64, Fault> {
        whole(self.number()?).ok_or_else(|| Fault::logic("a number that is not whole"))
    }

    /// The string. Errors: it is none; a `null` counts as missing.
    pub fn string(&self) -> Result<&str, Fault> {
        match self {
            Value::String(text) => Ok(text),
            other => Err(other.mistyped("STRING")),
        }
    }

    /// The fields. Errors: it is no object; a `null` counts as missing.
    pub fn fields(&self) -> Result<&BTreeMap<String, Value>, Fault> {
        match self {
            Value::Object(fields) => Ok(fields),
            other => Err(other.mistyped("OBJECT")),
        }
    }

    /// The field. Errors: it is missing, or this is no object.
    pub fn field(&self, name: &str) -> Result<&Value, Fault> {
        self.fields()?.get(name).ok_or_else(|| Fault::missing(format!("no attribute `{name}`")))
    }

    /// The error of a value of the wrong type.
    pub fn mistyped(&self, wanted: &str) -> Fault {
        let message = format!("expected type {wanted} but found {}", self.type_name());
        match self {
            Value::Null => Fault::missing(message),
            _ => Fault::logic(message),
        }
    }

    /// This object with the fields of `other` put in, objects into objects. Anything else gives way to `other`.
    pub fn merged(&self, other: &Value) -> Value {
        let (Value::Object(mine), Value::Object(theirs)) = (self, other) else { return other.clone() };
        let mut merged = mine.clone();
        for (name, value) in theirs {
            let value = match (mine.get(name), value) {
                (Some(old @ Value::Object(_)), Value::Object(_)) => old.merged(value),
                // An object that is put where none was is still a merge, into an empty one.
                (_, value) => value.clone(),
            };
            merged.insert(name.clone(), value);
        }
        Value::Object(merged)
    }

    /// Whether there is a bound anywhere in it, which has no JSON.
    pub fn has_bounds(&self) -> bool {
        match self {
            Value::MinVal | Value::MaxVal => true,
            Value::Array(elements) => elements.iter().any(Value::has_bounds),
            Value::Object(fields) => fields.values().any(Value::has_bounds),
            _ => false,
        }
    }

    fn rank(&self) -> u8 {
        // By the names of the types.
        match self {
            Value::MinVal => 0,
            Value::Array(_) => 1,
            Value::Bool(_) => 2,
            Value::Null => 3,
            Value::Number(_) => 4,
            Value::Object(_) => 5,
            Value::String(_) => 6,
            Value::MaxVal => 7,
        }
    }
}

fn whole(number: f64) -> Option<i64> {
    // Past this not every whole number is one of 64-bit floating point.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= WHOLE_MAX).then_some(number as i64)
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Array(a), Value::Array(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Number(a), Value::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Value::Object(a), Value::Object(b)) => a.iter().cmp(b.iter()),
            (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_different_types_go_by_the_names_of_their_types() {
        let ordered = [json!([]), json!([1]), json!([1, 2]), json!([2]), json!(false), json!(true), json!(null)];
        let more =
            [json!(-1), json!(2.5), json!({}), json!({"a": 2}), json!({"b": 1}), json!(""), json!("a"), json!("b")];
        let ordered: Vec<Value> = ordered.iter().chain(&more).map(|json| Value::from_json(json).unwrap()).collect();
        for (at, low) in ordered.iter().enumerate() {
            for (other, high) in ordered.iter().enumerate() {
                assert_eq!(low.cmp(high), at.cmp(&other), "{low:?} and {high:?}");
            }
            assert!(Value::MinVal < *low && *low < Value::MaxVal);
        }
    }

    #[test]
    fn merging_goes_into_objects() {
        let value = |json| Value::from_json(&json).unwrap();
        let merged = value(json!({"a": {"x": 1, "y": 2}, "b": 1})).merged(&value(json!({"a": {"y": 3}, "c": {}})));
        assert_eq!(merged, value(json!({"a": {"x": 1, "y": 3}, "b": 1, "c": {}})));
    }
}
