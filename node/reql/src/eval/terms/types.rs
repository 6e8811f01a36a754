//! `coerce_to`: which type becomes which, and how.

mod number;
mod text;

use crate::datum::{Datum, ObjectBuilder};
use crate::error::{Error, Result, ResultExt};
use crate::eval::sequence::Reading;
use crate::eval::terms::binary::from_text;
use crate::eval::terms::object::duplicate_key;
use crate::eval::{Args, Cx, Sequence, Value};

/// The types that can be named.
const TARGETS: [&str; 19] = [
    "DB",
    "TABLE",
    "TABLE_SLICE",
    "SELECTION<STREAM>",
    "SELECTION<ARRAY>",
    "STREAM",
    "SELECTION<OBJECT>",
    "DATUM",
    "FUNCTION",
    "GROUPED_DATA",
    "NULL",
    "BINARY",
    "BOOL",
    "NUMBER",
    "STRING",
    "ARRAY",
    "OBJECT",
    "MINVAL",
    "MAXVAL",
];

/// `coerce_to`.
pub fn coerce_to(args: &Args<'_>) -> Result<Value> {
    let value = args.value(0)?;
    let name = args.string(1)?.to_ascii_uppercase();
    let target =
        *TARGETS.iter().find(|known| **known == name).ok_or_else(|| Error::logic(format!("Unknown Type: {name}")))?;
    if is_already(&value, target) {
        return Ok(value);
    }
    match value {
        Value::Datum(datum) => from_datum(args, datum, target),
        Value::Row(row) => {
            let document = row.read(args.cx()).at(args.id(0))?;
            if datum_name(&document) == target {
                return Ok(Value::Row(row));
            }
            from_datum(args, document, target)
        }
        Value::Sequence(sequence) if sequence.is_plain_array() => {
            from_datum(args, sequence.read_array(args.cx())?.into(), target)
        }
        Value::Sequence(_) | Value::Table(_) => from_sequence(args, value, target),
        _ if target == "BOOL" => Ok(true.into()),
        other => Err(cannot(&other.type_name(), target).at(args.id(0))),
    }
}

/// The type of a datum where pseudo-types made of objects count as objects.
fn datum_name(datum: &Datum) -> &'static str {
    match datum {
        Datum::MinVal => "MINVAL",
        Datum::MaxVal => "MAXVAL",
        Datum::Null => "NULL",
        Datum::Bool(_) => "BOOL",
        Datum::Number(_) => "NUMBER",
        Datum::String(_) => "STRING",
        Datum::Binary(_) => "BINARY",
        Datum::Array(_) => "ARRAY",
        Datum::Object(_) => "OBJECT",
    }
}

/// Whether a value counts as one of the target type as it is.
fn is_already(value: &Value, target: &str) -> bool {
    match target {
        "STREAM" => matches!(value, Value::Sequence(_) | Value::Table(_) | Value::Datum(_)),
        "DATUM" => matches!(value, Value::Datum(_) | Value::Row(_)),
        // What is ordered in memory counts as any other selection.
        "SELECTION<ARRAY>" => false,
        "SELECTION<STREAM>" => match value {
            Value::Table(_) => true,
            Value::Sequence(sequence) => sequence.table.is_some(),
            _ => false,
        },
        "TABLE_SLICE" => matches!(value, Value::Table(table) if table.type_name().starts_with("TABLE")),
        target => match value {
            Value::Datum(datum) => datum_name(datum) == target,
            other => other.type_name() == target,
        },
    }
}

/// The string that a datum is coerced to. Errors: bytes that are not UTF-8; what JSON cannot hold.
pub fn to_text(datum: &Datum) -> Result<String> {
    match datum {
        Datum::String(text) => Ok(text.to_string()),
        Datum::Binary(bytes) => text::from_bytes(bytes).map(Into::into),
        other => other.to_json(),
    }
}

fn cannot(from: &str, target: &str) -> Error {
    Error::logic(format!("Cannot coerce {from} to {target}."))
}

fn from_datum(args: &Args<'_>, datum: Datum, target: &str) -> Result<Value> {
    if target == "DATUM" || datum_name(&datum) == target {
        return Ok(datum.into());
    }
    let coerced = match (&datum, target) {
        (Datum::Null, "BOOL") => Datum::Bool(false),
        (_, "BOOL") => Datum::Bool(true),
        (Datum::String(text), "BINARY") => from_text(text.as_bytes()),
        (_, "STRING") => Datum::from(to_text(&datum)?),
        (Datum::Object(fields), "ARRAY") => {
            args.cx().check_array_length(fields.len())?;
            let pairs = fields.iter().map(|(name, value)| Datum::from(vec![Datum::from(name), value]));
            Datum::from(pairs.collect::<Vec<_>>())
        }
        (Datum::String(text), "NUMBER") => Datum::number(number::parse(text.as_str())?)?,
        (Datum::Array(pairs), "OBJECT") => from_pairs(Sequence::array(pairs.clone()), args.cx())?,
        _ => {
            let message = format!("Cannot coerce {} to {target}.", datum_name(&datum));
            return Err(Error::wrong_type(&datum, message).at(args.id(0)));
        }
    };
    Ok(coerced.into())
}

fn from_sequence(args: &Args<'_>, value: Value, target: &str) -> Result<Value> {
    let cx = args.cx();
    match target {
        "BOOL" => Ok(true.into()),
        "ARRAY" | "DATUM" => Ok(Datum::from(value.into_finite_sequence(cx)?.read_array(cx)?).into()),
        "OBJECT" => Ok(from_pairs(value.into_finite_sequence(cx)?, cx)?.into()),
        _ => {
            let name = value.type_name();
            let name = if name == "SELECTION<ARRAY>" { "SELECTION<STREAM>" } else { name.as_str() };
            Err(cannot(name, target).at(args.id(0)))
        }
    }
}

/// An object of `[name, value]` pairs.
fn from_pairs(pairs: Sequence, cx: &Cx) -> Result<Datum> {
    let mut fields = ObjectBuilder::new();
    pairs.for_each_batch(cx, |batch| {
        for pair in batch {
            let items = pair.as_array()?;
            let (Some(name), Some(value), 2) = (items.get(0), items.get(1), items.len()) else {
                return Err(Error::logic(format!("Expected array of size 2, but got size {}.", items.len())));
            };
            let name = name.as_string()?;
            if let Some(earlier) = fields.get(name) {
                return Err(duplicate_key("coerced object", name, earlier, &value));
            }
            fields.insert(name.clone(), value);
        }
        Ok(Reading::On)
    })?;
    Datum::from_fields(fields.build())
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::{OVER_TWO, check, check_within};

    #[test]
    fn coercions() {
        check(&[
            (r#"[51,[1,"string"]]"#, r#""1""#),
            (r#"[51,["a","STRING"]]"#, r#""a""#),
            (r#"[51,[{"a":1},"array"]]"#, r#"[["a",1]]"#),
            (r#"[51,[[2,[[2,["a",1]]]],"object"]]"#, r#"{"a":1}"#),
            (r#"[51,["0xa","number"]]"#, "10"),
            (r#"[51,[null,"bool"]]"#, "false"),
            (r#"[51,[0,"bool"]]"#, "true"),
            (r#"[51,[false,"bool"]]"#, "false"),
            (r#"[51,["foo","binary"]]"#, r#"{"$reql_type$":"BINARY","data":"Zm9v"}"#),
            (r#"[51,[[155,["foo"]],"string"]]"#, r#""foo""#),
            (r#"[51,[[173,[3]],"array"]]"#, "[0,1,2]"),
            (r#"[51,[[2,[1]],"stream"]]"#, "[1]"),
            (r#"[51,[5,"datum"]]"#, "5"),
            (r#"[51,[[38,[[2,[1]],[69,[[2,[1]],[10,[1]]]]]],"string"]]"#, r#""[1]""#),
        ]);
    }

    #[test]
    fn arrays_of_fields_are_limited() {
        check_within(
            2,
            &[
                (r#"[51,[{"a":1,"b":2},"array"]]"#, r#"[["a",1],["b",2]]"#),
                (r#"[51,[{"a":1,"b":2,"c":3},"array"]]"#, OVER_TWO),
            ],
        );
    }

    #[test]
    fn faults() {
        check(&[
            (r#"[51,[1,"foo"]]"#, "QueryLogic: Unknown Type: FOO"),
            (r#"[51,[1,"array"]]"#, "QueryLogic: Cannot coerce NUMBER to ARRAY."),
            (r#"[51,[null,"number"]]"#, "NonExistence: Cannot coerce NULL to NUMBER."),
            (r#"[51,[[155,["x"]],"array"]]"#, "QueryLogic: Cannot coerce BINARY to ARRAY."),
            (r#"[51,[[173,[3]],"string"]]"#, "QueryLogic: Cannot coerce STREAM to STRING."),
            (
                r#"[51,[[173,[]],"object"]]"#,
                "QueryLogic: Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.",
            ),
            (r#"[51,["--1.2","number"]]"#, "QueryLogic: Could not coerce `--1.2` to NUMBER."),
            (r#"[51,["1e400","number"]]"#, "QueryLogic: Non-finite number: inf"),
            (
                r#"[51,[[2,[[2,["a",1]],[2,["a",2]]]],"object"]]"#,
                r#"QueryLogic: Duplicate key "a" in coerced object.  (got 1 and 2 as values)"#,
            ),
            (r#"[51,[[2,[[2,["a"]]]],"object"]]"#, "QueryLogic: Expected array of size 2, but got size 1."),
            (r#"[51,[[180,[]],"string"]]"#, "QueryLogic: Cannot convert `r.minval` to JSON."),
        ]);
    }
}
