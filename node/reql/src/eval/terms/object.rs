//! `keys`, `values` and `object`. What is done to one object or to each of a sequence is in [`shape`](super::shape).

use crate::datum::{Array, Datum, Object, ObjectBuilder};
use crate::error::{Error, Result};
use crate::eval::{Args, Value};

/// `keys`.
pub fn keys(args: &Args<'_>) -> Result<Value> {
    let fields = plain_object(args, "keys")?;
    args.cx().check_array_length(fields.len())?;
    Ok(Datum::from(fields.keys().map(Datum::from).collect::<Array>()).into())
}

/// `values`, in the order of the keys.
pub fn values(args: &Args<'_>) -> Result<Value> {
    let fields = plain_object(args, "values")?;
    args.cx().check_array_length(fields.len())?;
    Ok(Datum::from(fields.values().collect::<Array>()).into())
}

fn plain_object(args: &Args<'_>, name: &str) -> Result<Object> {
    args.convert(0, |value, cx| match value.into_datum(cx)? {
        Datum::Object(fields) if fields.node().ptype().is_none() => Ok(fields),
        other => Err(Error::logic(format!("Cannot call `{name}` on objects of type `{}`.", other.type_name()))),
    })
}

/// `object`: from names and values in turn.
pub fn object(args: &Args<'_>) -> Result<Value> {
    if !args.len().is_multiple_of(2) {
        let count = args.len();
        return Err(Error::logic(format!("OBJECT expects an even number of arguments (but found {count}).")));
    }
    let mut fields = ObjectBuilder::with_capacity(args.len() / 2);
    for index in (0..args.len()).step_by(2) {
        let (name, value) = (args.string(index)?, args.datum(index + 1)?);
        if let Some(earlier) = fields.get(&name) {
            return Err(duplicate_key("object", &name, earlier, &value));
        }
        fields.insert(name, value);
    }
    Ok(Datum::from_fields(fields.build())?.into())
}

/// A field given twice to `object` or `coerce_to`.
pub fn duplicate_key(what: &str, name: &str, earlier: &Datum, later: &Datum) -> Error {
    Error::logic(format!(
        "Duplicate key {} in {what}.  (got {} and {} as values)",
        Datum::from(name).print(),
        earlier.print_truncated(),
        later.print_truncated()
    ))
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::{OVER_TWO, check, check_within};

    #[test]
    fn keys_values_object() {
        check(&[
            (r#"[94,[{"b":1,"a":2}]]"#, r#"["a","b"]"#),
            (r#"[186,[{"b":1,"a":2}]]"#, "[2,1]"),
            (r#"[143,["a",1,"b",[2,[]]]]"#, r#"{"a":1,"b":[]}"#),
            ("[143,[]]", "{}"),
        ]);
    }

    #[test]
    fn arrays_of_them_are_limited() {
        check_within(
            2,
            &[
                (r#"[94,[{"a":1,"b":2}]]"#, r#"["a","b"]"#),
                (r#"[94,[{"a":1,"b":2,"c":3}]]"#, OVER_TWO),
                (r#"[186,[{"a":1,"b":2,"c":3}]]"#, OVER_TWO),
            ],
        );
    }

    #[test]
    fn faults() {
        check(&[
            ("[94,[null]]", "QueryLogic: Cannot call `keys` on objects of type `NULL`."),
            ("[186,[[101,[0]]]]", "QueryLogic: Cannot call `values` on objects of type `PTYPE<TIME>`."),
            (r#"[143,["a"]]"#, "QueryLogic: OBJECT expects an even number of arguments (but found 1)."),
            ("[143,[1,1]]", "QueryLogic: Expected type STRING but found NUMBER."),
            (r#"[143,["a",1,"a",2]]"#, r#"QueryLogic: Duplicate key "a" in object.  (got 1 and 2 as values)"#),
        ]);
    }
}
