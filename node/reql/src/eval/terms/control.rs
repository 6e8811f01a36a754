//! Terms that decide what is evaluated, and those that make values of their arguments.

use smallvec::SmallVec;

use crate::datum::{Datum, ObjectBuilder};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::merge::{literal, stray_literal};
use crate::eval::terms::map_groups;
use crate::eval::{Args, Arguments, Func, Node, Shortcut, Value};

const EMPTY_ERROR: &str = "Empty ERROR term outside a default block.";

/// Whether an error is that of `r.error()`, which inside a `default` stands for the error that is being replaced.
pub fn is_empty_error(error: &Error) -> bool {
    error.kind == ErrorKind::QueryLogic && error.message == EMPTY_ERROR
}

/// `make_array`. With a grouped first element it makes one of each group.
pub fn make_array(args: &Args<'_>) -> Result<Value> {
    args.cx().check_array_length(args.len())?;
    if args.is_empty() {
        return Ok(Datum::from(Vec::new()).into());
    }
    let first = args.value(0)?;
    map_groups(args, first, |first| {
        args.put_first(first);
        let items = (0..args.len()).map(|index| args.datum(index)).collect::<Result<Vec<_>>>()?;
        Ok(Datum::from(items).into())
    })
}

/// `make_obj`. The compiler has put the fields in the order of their names.
pub fn make_obj(args: &Args<'_>) -> Result<Value> {
    let mut fields = ObjectBuilder::with_capacity(args.call().optargs.len());
    for (name, node) in &args.call().optargs {
        let value = crate::eval::eval(node, args.scope(), args.cx())?;
        fields.insert(name.clone(), value.into_datum(args.cx()).map_err(|error| error.at(node.id()))?);
    }
    Datum::from_fields(fields.build()).map(Value::Datum)
}

/// `funcall`: `do`. What is to be called is evaluated before the values. A grouped first value is done group by group.
pub fn funcall(args: &Args<'_>) -> Result<Value> {
    let function = args.function(0, Shortcut::Constant)?;
    if args.len() < 2 {
        return call(args, &function, None);
    }
    let first = args.value(1)?;
    map_groups(args, first, |first| call(args, &function, Some(first)))
}

fn call(args: &Args<'_>, function: &Func, mut first: Option<Value>) -> Result<Value> {
    let mut values: Arguments = SmallVec::with_capacity(args.len());
    for index in 1..args.len() {
        values.push(match first.take() {
            Some(value) => value.into_datum(args.cx()).map_err(|error| error.at(args.id(index)))?,
            None => args.datum(index)?,
        });
    }
    let given = matches!(function, Func::Constant(_)).then(|| args.call().args.first().map(Node::id)).flatten();
    let value = function.call_with(values, args.cx())?;
    if let Some(id) = given {
        args.cx().set_origin(id);
    }
    if let Value::Datum(datum) = &value {
        args.cx().hold_datum(datum)?;
    }
    Ok(value)
}

/// `branch`: pairs of condition and value, and a last value.
pub fn branch(args: &Args<'_>) -> Result<Value> {
    let first = args.value(0)?;
    map_groups(args, first, |first| {
        args.put_first(first);
        choose(args)
    })
}

fn choose(args: &Args<'_>) -> Result<Value> {
    if args.len().is_multiple_of(2) {
        return Err(Error::logic("Cannot call `branch` term with an even number of arguments."));
    }
    for index in (0..args.len() - 1).step_by(2) {
        if args.truth(index)? {
            return args.value(index + 1);
        }
    }
    args.value(args.len() - 1)
}

/// `and`: the first value that is not true, or the last.
pub fn and(args: &Args<'_>) -> Result<Value> {
    first_with_truth(args, false)
}

/// `or`: the first value that is true, or the last.
pub fn or(args: &Args<'_>) -> Result<Value> {
    first_with_truth(args, true)
}

fn first_with_truth(args: &Args<'_>, wanted: bool) -> Result<Value> {
    if args.is_empty() {
        return Ok(Value::from(!wanted));
    }
    let first = args.value(0)?;
    map_groups(args, first, |first| {
        args.put_first(first);
        let mut last = Value::from(!wanted);
        for index in 0..args.len() {
            let value = args.value(index)?;
            let at = |error: Error| error.at(args.id(index));
            let (value, truth) = match value {
                // A document stays one that can be written to.
                Value::Row(row) => {
                    let truth = row.read(args.cx()).map_err(at)?.is_truthy();
                    (Value::Row(row), truth)
                }
                other => {
                    let datum = other.into_datum(args.cx()).map_err(at)?;
                    let truth = datum.is_truthy();
                    (Value::Datum(datum), truth)
                }
            };
            last = value;
            if truth == wanted {
                break;
            }
        }
        Ok(last)
    })
}

/// `not`.
pub fn not(args: &Args<'_>) -> Result<Value> {
    Ok(Value::from(!args.truth(0)?))
}

/// `default`: another value in place of null and of an error for want of something.
pub fn default(args: &Args<'_>) -> Result<Value> {
    let (original, message) = match args.value(0) {
        Ok(Value::Datum(Datum::Null)) => (Ok(Value::Datum(Datum::Null)), Datum::Null),
        Ok(Value::Row(row)) => match row.read(args.cx())? {
            Datum::Null => (Ok(Value::Row(row)), Datum::Null),
            _ => return Ok(Value::Row(row)),
        },
        Ok(value) => return Ok(value),
        Err(error) if error.is_non_existence() => {
            let message = Datum::from(error.message.clone());
            (Err(error), message)
        }
        Err(error) => return Err(error),
    };
    let replacement = args.value(1).and_then(|value| match value {
        Value::Function(function) => function.call(&[message], args.cx()),
        value => Ok(value),
    });
    match replacement {
        Err(error) if is_empty_error(&error) => original,
        replacement => replacement,
    }
}

/// `error`.
pub fn error(args: &Args<'_>) -> Result<Value> {
    if args.is_empty() {
        return Err(Error::logic(EMPTY_ERROR));
    }
    Err(Error::user(args.string(0)?.as_str()))
}

/// `literal`.
pub fn make_literal(args: &Args<'_>) -> Result<Value> {
    if !args.call().literal_ok {
        return Err(stray_literal());
    }
    let value = if args.is_empty() { None } else { Some(args.datum(0)?) };
    Ok(literal(value).into())
}

/// `args` by itself, and `asc` and `desc`: the value they are given.
pub fn identity(args: &Args<'_>) -> Result<Value> {
    args.value(0)
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn only_what_is_chosen_is_evaluated() {
        check(&[
            (r#"[65,[true,1,[12,["no"]]]]"#, "1"),
            (r#"[65,[false,[12,["no"]],null,[12,["no"]],3]]"#, "3"),
            ("[65,[true,1,2,3]]", "QueryLogic: Cannot call `branch` term with an even number of arguments."),
            (r#"[67,[1,false,[12,["no"]]]]"#, "false"),
            (r#"[66,[null,2,[12,["no"]]]]"#, "2"),
            ("[67,[]]", "true"),
            ("[66,[]]", "false"),
            ("[23,[null]]", "true"),
            // The function of `do` first, fields by name.
            (r#"[64,[[12,["f"]],[12,["x"]]]]"#, "User: f"),
            (r#"{"b":[12,["b"]],"a":[12,["a"]]}"#, "User: a"),
            ("[23,[0]]", "false"),
        ]);
    }

    #[test]
    fn default_replaces_null_and_what_is_missing() {
        check(&[
            ("[92,[null,1]]", "1"),
            ("[92,[2,1]]", "2"),
            (r#"[92,[[31,[{},"a"]],1]]"#, "1"),
            (r#"[92,[[24,[1,"a"]],1]]"#, "QueryLogic: Expected type NUMBER but found STRING."),
            (
                r#"[92,[[146,[[2,[]]]],[69,[[2,[1]],[97,[[10,[1]],"^Cannot"]]]]]]"#,
                r#"{"end":6,"groups":[],"start":0,"str":"Cannot"}"#,
            ),
            ("[92,[null,[12,[]]]]", "null"),
            (r#"[92,[[45,[[2,[]],0]],[12,[]]]]"#, "NonExistence: Index out of bounds: 0"),
            ("[12,[]]", "QueryLogic: Empty ERROR term outside a default block."),
            (r#"[12,["a"]]"#, "User: a"),
        ]);
    }

    #[test]
    fn a_grouped_first_argument_is_taken_group_by_group() {
        let counts = "[43,[[144,[[2,[1,2,2]],[69,[[2,[1]],[10,[1]]]]]]]]";
        let groups = |data: &str| format!(r#"{{"$reql_type$":"GROUPED_DATA","data":{data}}}"#);
        for (query, expected) in [
            ("[2,[COUNTS,5]]", groups("[[1,[1,5]],[2,[2,5]]]")),
            (r#"[67,[COUNTS,"x"]]"#, groups(r#"[[1,"x"],[2,"x"]]"#)),
            ("[66,[[17,[COUNTS,1]],null]]", groups("[[1,true],[2,null]]")),
            (
                "[2,[5,COUNTS]]",
                "QueryLogic: Expected type DATUM but found GROUPED_DATA:\nVALUE GROUPED_DATA".to_owned(),
            ),
        ] {
            check(&[(&*query.replace("COUNTS", counts), &*expected)]);
        }
    }

    #[test]
    fn functions_are_called() {
        check(&[
            ("[64,[[69,[[2,[1,2]],[25,[[10,[1]],[10,[2]]]]]],5,3]]", "2"),
            ("[64,[7,1,2]]", "7"),
            (
                "[64,[[69,[[2,[1]],[10,[1]]]],1,2]]",
                "QueryLogic: Expected function with 2 arguments but found function with 1 argument.",
            ),
            (
                "[69,[[2,[1]],[10,[1]]]]",
                "QueryLogic: Query result must be of type DATUM, GROUPED_DATA, or STREAM (got FUNCTION).",
            ),
            (
                "[64,[[69,[[2,[1]],[10,[1]]]],[173,[2]]]]",
                "QueryLogic: Expected type DATUM but found SEQUENCE:\nVALUE SEQUENCE",
            ),
        ]);
    }
}
