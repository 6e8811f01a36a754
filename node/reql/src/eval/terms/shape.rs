//! Terms of one object that are done to each element when they meet a sequence: `pluck`, `without`, `merge`, `has_fields`,
//! `with_fields`, `get_field` and `bracket`; and of one geometry: `intersects` and `includes`.

use crate::datum::{Datum, Str};
use crate::error::{Error, Result};
use crate::eval::merge::{check_mergeable, is_literal, merge, stray_literal};
use crate::eval::paths::Paths;
use crate::eval::signature::NO_RECURSE;
use crate::eval::terms::geo::as_geometry;
use crate::eval::terms::geo::partner::Partner;
use crate::eval::terms::nth::nth;
use crate::eval::{Args, CallNode, Cx, Func, Node, Shortcut, Value};
use crate::term::{BacktraceId, TermKind};
use crate::transform::{Members, Transform};

/// Such a term with its arguments read.
#[derive(Clone, Debug)]
pub enum Shape {
    /// `pluck`.
    Pluck(Paths),
    /// `without`.
    Without(Paths),
    /// `has_fields`.
    HasFields(Paths),
    /// `get_field`, and `bracket` with a name.
    Field(Str),
    /// `merge`: what is merged in, and where it stands.
    Merge(Vec<(Func, BacktraceId)>),
    /// `intersects` and `includes`.
    Partner(Box<Partner>),
}

impl Shape {
    /// Reads everything but the first argument.
    pub fn read(kind: TermKind, args: &Args<'_>) -> Result<Shape> {
        let paths = || {
            let paths = (1..args.len()).map(|index| args.datum(index)).collect::<Result<Vec<_>>>()?;
            Paths::from_args(paths)
        };
        Ok(match kind {
            TermKind::Pluck => Shape::Pluck(paths()?),
            TermKind::Without => Shape::Without(paths()?),
            TermKind::HasFields => Shape::HasFields(paths()?),
            TermKind::Merge => {
                let parts = (1..args.len())
                    .map(|index| Ok((args.function(index, Shortcut::Constant)?, args.id(index))))
                    .collect::<Result<Vec<_>>>()?;
                Shape::Merge(parts)
            }
            TermKind::Intersects | TermKind::Includes => Shape::Partner(Box::new(Partner::read(kind, args)?)),
            _ => Shape::Field(args.string(1)?),
        })
    }

    /// Does the term to an object.
    pub fn on_object(&self, object: &Datum, cx: &Cx) -> Result<Datum> {
        match self {
            Shape::Pluck(paths) => Ok(Datum::from(paths.project(object.as_object()?))),
            Shape::Without(paths) => Ok(Datum::from(paths.unproject(object.as_object()?))),
            Shape::HasFields(paths) => Ok(Datum::from(paths.found_in(object))),
            Shape::Field(name) => object.field(name),
            Shape::Partner(partner) => partner.holds_for(object, cx).map(Datum::from),
            Shape::Merge(parts) => {
                let mut merged = object.clone();
                for (part, id) in parts {
                    let part = match part {
                        Func::Constant(datum) => datum.clone(),
                        function => function.apply(merged.clone(), cx)?,
                    };
                    if is_literal(&part) {
                        return Err(stray_literal());
                    }
                    check_mergeable(&part).map_err(|error| error.at(*id))?;
                    merged = merge(&merged, &part)?;
                }
                Ok(merged)
            }
        }
    }

    /// Does the term to an element of a sequence, which must be an object.
    pub fn on_element(&self, element: &Datum, kind: TermKind, cx: &Cx) -> Result<Datum> {
        check_element(kind, element)?;
        self.on_object(element, cx)
    }
}

/// Refuses an element of a sequence that is no object.
pub fn check_element(kind: TermKind, element: &Datum) -> Result<()> {
    match element {
        Datum::Array(_) => Err(Error::logic(format!("Cannot perform {} on a sequence of sequences.", name(kind)))),
        _ => check_object(kind, element),
    }
}

fn name(kind: TermKind) -> String {
    kind.name().to_ascii_lowercase()
}

/// Refuses what is no object: other types, and the pseudo-types; but terms of geometry want nothing else.
pub fn check_object(kind: TermKind, datum: &Datum) -> Result<()> {
    let of_geometry = matches!(kind, TermKind::Intersects | TermKind::Includes);
    match datum {
        Datum::Object(fields) if of_geometry => match fields.node().ptype() {
            Some(b"GEOMETRY") => Ok(()),
            Some(_) => Err(cannot_call(kind, datum)),
            None => as_geometry(datum.clone()).map(drop),
        },
        Datum::Object(fields) if fields.node().ptype().is_none() => Ok(()),
        Datum::Object(_) => Err(cannot_call(kind, datum)),
        other => Err(cannot_perform(kind, &Value::Datum(other.clone()))),
    }
}

fn cannot_call(kind: TermKind, datum: &Datum) -> Error {
    Error::logic(format!("Cannot call `{}` on objects of type `{}`.", name(kind), datum.type_name()))
}

fn cannot_perform(kind: TermKind, value: &Value) -> Error {
    let message =
        format!("Cannot perform {} on a non-object non-sequence `{}`.", name(kind), value.describe_truncated());
    match value {
        Value::Datum(datum) => Error::wrong_type(datum, message),
        _ => Error::logic(message),
    }
}

/// Evaluates one of these terms.
pub fn eval(args: &Args<'_>) -> Result<Value> {
    let (kind, cx) = (args.kind(), args.cx());
    let first = args.value(0)?;
    match first {
        Value::Datum(datum @ Datum::Object(_)) => on_object(args, &datum),
        Value::Datum(Datum::Array(_)) | Value::Sequence(_) | Value::Table(_) => {
            if args.optarg_node(NO_RECURSE).is_some() && args.optarg_bool(NO_RECURSE)? == Some(true) {
                return Err(Error::logic(format!("Cannot perform {} on a sequence of sequences.", name(kind))));
            }
            first.into_sequence(cx)?.then(Transform::Members(Members::new(args))).into_value(cx)
        }
        Value::Row(row) => match row.read(cx)? {
            datum @ Datum::Object(_) => on_object(args, &datum),
            other => Err(cannot_perform(kind, &Value::Datum(other)).at(args.id(0))),
        },
        other => Err(cannot_perform(kind, &other).at(args.id(0))),
    }
}

fn on_object(args: &Args<'_>, object: &Datum) -> Result<Value> {
    check_object(args.kind(), object).map_err(|error| error.at(args.id(0)))?;
    Shape::read(args.kind(), args)?.on_object(object, args.cx()).map(Value::Datum)
}

/// The field of a plain object under a name written in the query: the most frequent of all terms, without ceremony.
/// `None`: it must be evaluated like any other.
pub fn known_field(call: &CallNode, first: &Datum) -> Option<Value> {
    match (call.kind, first, call.args.as_slice()) {
        (
            TermKind::Bracket | TermKind::GetField,
            Datum::Object(fields),
            [_, Node::Constant(Datum::String(name), _)],
        ) => {
            if fields.node().ptype().is_some() {
                return None;
            }
            fields.get(name).map(Value::Datum)
        }
        _ => None,
    }
}

/// `bracket`: a name takes a field, a number an element.
pub fn bracket(args: &Args<'_>) -> Result<Value> {
    let first = args.value(0)?;
    let index = args.datum(1)?;
    match &index {
        Datum::Number(_) => nth(args, first, &index),
        Datum::String(_) => {
            args.put_first(first);
            eval(args)
        }
        other => Err(Error::wrong_type(
            other,
            format!("Expected NUMBER or STRING as second argument to `bracket` but found {}.", other.type_name()),
        )),
    }
}

/// `with_fields`: the elements that have the fields, with nothing but them. It is `has_fields` and then `pluck`, which
/// shows in its errors.
pub fn with_fields(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let first = match args.value(0)? {
        Value::Row(row) => Value::Datum(row.read(cx)?),
        first => first,
    };
    match &first {
        Value::Datum(Datum::Array(_)) | Value::Sequence(_) | Value::Table(_) => {}
        Value::Datum(datum @ Datum::Object(_)) => {
            check_object(TermKind::HasFields, datum).map_err(|error| error.at(args.id(0)))?;
            let has = Shape::read(TermKind::HasFields, args)?.on_object(datum, cx)?;
            return Err(cannot_perform(TermKind::Pluck, &Value::Datum(has)));
        }
        other => return Err(cannot_perform(TermKind::HasFields, other).at(args.id(0))),
    }
    let having = Members::of_kind(args, TermKind::HasFields);
    let only = Members::of_kind(args, TermKind::Pluck);
    first.into_sequence(cx)?.then(Transform::Members(having)).then(Transform::Members(only)).into_value(cx)
}

#[cfg(test)]
mod tests {
    use crate::eval::merge::stray_literal;
    use crate::eval::terms::checked::check;

    #[test]
    fn of_objects_and_of_each_of_a_sequence() {
        let rows = r#"[2,[{"a":1,"b":{"c":1,"d":2}},{"a":null}]]"#;
        let cases = [
            (r#"[33,[{"a":1,"b":2,"c":3},"a","c"]]"#, r#"{"a":1,"c":3}"#),
            (r#"[33,[ROWS,{"b":"c"}]]"#, r#"[{"b":{"c":1}},{}]"#),
            (r#"[34,[ROWS,{"b":{"c":true}}]]"#, r#"[{"a":1,"b":{"d":2}},{"a":null}]"#),
            (r#"[32,[ROWS,"a"]]"#, r#"[{"a":1,"b":{"c":1,"d":2}}]"#),
            (r#"[32,[{"a":null},"a"]]"#, "false"),
            (r#"[96,[ROWS,"a"]]"#, r#"[{"a":1}]"#),
            // Half a time is none; nothing can be taken of everything.
            (r#"[33,[{"a":[101,[0]]},{"a":"$reql_type$"}]]"#, "{}"),
            (r#"[33,[{"a":[101,[0]]},{"a":"epoch_time"}]]"#, r#"{"a":{"epoch_time":0}}"#),
            (
                r#"[34,[{"a":[101,[0]]},{"a":"timezone"}]]"#,
                r#"{"a":{"$reql_type$":"TIME","epoch_time":0,"timezone":"+00:00"}}"#,
            ),
            (r#"[34,[{"a":[101,[0]]},{"a":"$reql_type$"}]]"#, r#"{"a":{"epoch_time":0,"timezone":"+00:00"}}"#),
            (r#"[33,[{"a":5,"b":[2,[1]],"c":5},{"a":{},"b":[2,[]],"c":"d"}]]"#, r#"{"a":{},"b":[{}]}"#),
            (r#"[31,[ROWS,"b"]]"#, r#"[{"c":1,"d":2}]"#),
            (r#"[170,[ROWS,"a"]]"#, "[1,null]"),
            (r#"[31,[{"a":1},"b"]]"#, "NonExistence: No attribute `b` in object:\n{\n\t\"a\":\t1\n}"),
            (r#"[33,[1,"a"]]"#, "QueryLogic: Cannot perform pluck on a non-object non-sequence `1`."),
            (r#"[33,[null,"a"]]"#, "NonExistence: Cannot perform pluck on a non-object non-sequence `null`."),
            (r#"[33,[[2,[[2,[]]]],"a"]]"#, "QueryLogic: Cannot perform pluck on a sequence of sequences."),
            (r#"[33,[{},1]]"#, "QueryLogic: Invalid path argument `1`."),
            (r#"[33,[[2,[]],1]]"#, "[]"),
            // What lacks something does not pass a filter, and gives no field; neither does anything when an argument does.
            (r#"[32,[[2,[null,{"a":1},{}]],"a"]]"#, r#"[{"a":1}]"#),
            (r#"[96,[[2,[null,{"a":1,"b":2}]],"a"]]"#, r#"[{"a":1}]"#),
            (r#"[32,[[2,[{"a":1}]],[31,[{},"z"]]]]"#, "[]"),
            (r#"[31,[[2,[{"a":1}]],null]]"#, "[]"),
            (r#"[31,[[2,[1]],null]]"#, "QueryLogic: Cannot perform get_field on a non-object non-sequence `1`."),
            (r#"[33,[[2,[{"a":1}]],[31,[{},"z"]]]]"#, "NonExistence: No attribute `z` in object:\n{}"),
            (r#"[33,[[2,[null]],"a"]]"#, "NonExistence: Cannot perform pluck on a non-object non-sequence `null`."),
            (
                r#"[170,[{},true]]"#,
                "QueryLogic: Expected NUMBER or STRING as second argument to `bracket` but found BOOL.",
            ),
            (
                r#"[31,[[101,[0]],"epoch_time"]]"#,
                "QueryLogic: Cannot call `get_field` on objects of type `PTYPE<TIME>`.",
            ),
        ];
        for (query, expected) in cases {
            check(&[(&query.replace("ROWS", rows), expected)]);
        }
    }

    #[test]
    fn literals_are_stray_behind_terms_that_do_not_hand_on_where_they_are() {
        for stray in [
            r#"[65,[true,{"a":[137,[]]},{}]]"#,
            r#"[92,[null,{"a":[137,[]]}]]"#,
            r#"{"a":[92,[[137,[]],1]]}"#,
            r#"[64,[[69,[[2,[1]],{"a":[137,[]]}]],1]]"#,
            r#"[69,[[2,[1]],{"a":[65,[true,[137,[]],1]]}]]"#,
            r#"{"a":[2,[1,[137,[]]]]}"#,
        ] {
            let expected = format!("QueryLogic: {}", stray_literal().message);
            check(&[(&*format!(r#"[35,[{{"a":1}},{stray}]]"#), &*expected)]);
        }
    }

    #[test]
    fn merge_goes_into_objects_and_stops_at_literals() {
        check(&[
            (r#"[35,[{"a":{"b":1,"c":1}},{"a":{"b":2}}]]"#, r#"{"a":{"b":2,"c":1}}"#),
            (r#"[35,[{"a":{"b":1,"c":1}},{"a":[137,[{"b":2}]]}]]"#, r#"{"a":{"b":2}}"#),
            (r#"[35,[{"a":1,"b":1},{"a":[137,[]]}]]"#, r#"{"b":1}"#),
            (r#"[35,[{"a":{"b":1}},[154,[[2,[{"a":[137,[{"c":1}]]}]]]]]]"#, r#"{"a":{"c":1}}"#),
            (r#"[35,[{"a":1},{"a":[2,[[137,[]],2]]}]]"#, r#"{"a":[2]}"#),
            (r#"[35,[{"a":1},[64,[{"a":[137,[]]},1]]]]"#, "{}"),
            (r#"[35,[{"a":1},[69,[[2,[1]],{"b":[24,[[170,[[10,[1]],"a"]],1]]}]]]]"#, r#"{"a":1,"b":2}"#),
            (r#"[35,[[2,[{"a":1},{"a":2}]],{"b":0}]]"#, r#"[{"a":1,"b":0},{"a":2,"b":0}]"#),
            (
                r#"[35,[{"a":1},[137,[1]]]]"#,
                "QueryLogic: Stray literal keyword found: literal is only legal inside of the object passed to merge or update and cannot nest inside other literals.",
            ),
            (
                r#"[137,[1]]"#,
                "QueryLogic: Stray literal keyword found: literal is only legal inside of the object passed to merge or update and cannot nest inside other literals.",
            ),
        ]);
    }
}
