//! Terms that look at what a value is: `type_of`, `info`, `ungroup`.

use crate::datum::{Datum, Object, ObjectBuilder};
use crate::error::Result;
use crate::eval::signature::expected_kind;
use crate::eval::stored::source::function_source;
use crate::eval::{Args, Value};

/// `type_of`.
pub fn type_of(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::from(args.value(0)?.type_name()).into())
}

/// `info` of everything but databases, tables and their parts.
pub fn info(args: &Args<'_>) -> Result<Value> {
    let value = args.value(0)?;
    let mut info = ObjectBuilder::new();
    match &value {
        Value::Db(_) | Value::Table(_) | Value::Row(_) => {
            args.put_first(value);
            return args.cx().world().term(args);
        }
        Value::Sequence(sequence) if sequence.table.is_some() => {
            args.put_first(value);
            return args.cx().world().term(args);
        }
        Value::Datum(datum) => {
            if let Datum::Binary(data) = datum {
                info.insert("count", Datum::from(data.len()));
            }
            if !matches!(datum, Datum::Null | Datum::MinVal | Datum::MaxVal) {
                info.insert("value", Datum::from(datum.print()));
            }
        }
        Value::Function(function) => {
            info.insert("source_code", Datum::from(function_source(function, args.cx())));
        }
        Value::Sequence(_) | Value::Grouped(_) => {}
    }
    info.insert("type", Datum::from(value.type_name()));
    Ok(Datum::from(info.build()).into())
}

/// `ungroup`: an array of `{group, reduction}`.
pub fn ungroup(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let groups = match args.value(0)? {
        Value::Grouped(groups) => groups,
        Value::Sequence(sequence) if sequence.is_grouped() => sequence.read_groups(cx)?,
        other => return Err(expected_kind("GROUPED_DATA", &other).at(args.id(0))),
    };
    let mut rows = Vec::with_capacity(groups.len());
    for (group, value) in groups {
        rows.push(Datum::from(Object::from([("group", group), ("reduction", value.into_answer(cx)?)])));
    }
    Ok(Datum::from(rows).into())
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn what_values_are() {
        check(&[
            ("[52,[1]]", r#""NUMBER""#),
            ("[52,[[173,[1]]]]", r#""STREAM""#),
            ("[52,[[69,[[2,[1]],1]]]]", r#""FUNCTION""#),
            ("[79,[[2,[1]]]]", r#"{"type":"ARRAY","value":"[\n\t1\n]"}"#),
            ("[79,[null]]", r#"{"type":"NULL"}"#),
            (
                r#"[79,[[69,[[2,[1]],[24,[[10,[1]],1]]]]]]"#,
                r#"{"source_code":"function(var1) { return r.add(var1, 1); }","type":"FUNCTION"}"#,
            ),
        ]);
    }
}
