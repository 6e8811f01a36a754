//! Terms that make one sequence of another, element by element.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::function::Closure;
use crate::eval::terms::bounds;
use crate::eval::terms::slice::{self, Slice};
use crate::eval::terms::zipped::Zipped;
use crate::eval::{Args, Batch, Cx, Func, Node, Sequence, Shortcut, Stream, Value};
use crate::transform::Transform;

/// `map`, over one sequence or over several side by side.
pub fn map(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let count = args.len() - 1;
    let mut sequences = (0..count).map(|index| args.sequence(index)).collect::<Result<Vec<_>>>()?;
    let function = args.function(count, Shortcut::None)?;
    if let Some(arity) = function.arity()
        && arity != 0
        && arity != count
    {
        return Err(Error::logic(format!(
            "The function passed to `map` expects {arity} argument{}, but {count} sequence{} found.",
            if arity == 1 { "" } else { "s" },
            if count == 1 { " was" } else { "s were" }
        )));
    }
    match sequences.pop() {
        Some(only) if sequences.is_empty() => only.then(Transform::Map(function)).into_value(cx),
        last => {
            sequences.extend(last);
            for (index, sequence) in sequences.iter().enumerate() {
                sequence.check_ungrouped().map_err(|error| error.at(args.id(index)))?;
            }
            Zipped::open(sequences, function, cx)
        }
    }
}

/// `concat_map`.
pub fn concat_map(args: &Args<'_>) -> Result<Value> {
    let sequence = args.sequence(0)?;
    let function = args.function(1, Shortcut::None)?;
    sequence.then(Transform::ConcatMap(function)).into_value(args.cx())
}

/// `filter`.
pub fn filter(args: &Args<'_>) -> Result<Value> {
    let first = args.value(0)?;
    let predicate = args.function(1, Shortcut::Matches)?;
    let sequence = args.value_as_sequence(0, first)?;
    // The compiler has made a function of the default, to be called where it is needed.
    let default = match args.optarg_node("default") {
        Some(Node::Function(function)) => {
            Some(Func::Closure(Closure { function: function.clone(), scope: args.scope().clone() }))
        }
        _ => None,
    };
    sequence.then(Transform::Filter { predicate, default }).into_value(args.cx())
}

/// `offsets_of`: where a value stands, or the elements that a predicate accepts.
pub fn offsets_of(args: &Args<'_>) -> Result<Value> {
    // In this order in RethinkDB, too.
    let predicate = predicate(args, 1)?;
    let sequence = args.sequence(0)?;
    sequence.then(Transform::OffsetsOf(predicate)).into_value(args.cx())
}

/// Argument `index` as a predicate: a function, or a value that elements are compared with.
pub fn predicate(args: &Args<'_>, index: usize) -> Result<Func> {
    args.convert(index, |value, cx| match value {
        Value::Function(function) => Ok(function),
        value => value.into_datum(cx).map(Func::Equals),
    })
}

/// `zip`.
pub fn zip(args: &Args<'_>) -> Result<Value> {
    args.sequence(0)?.then(Transform::Zip).into_value(args.cx())
}

/// `limit`.
pub fn limit(args: &Args<'_>) -> Result<Value> {
    let sequence = args.sequence(0)?;
    let limit = args.small_integer(1)?;
    let Ok(count) = u64::try_from(limit) else {
        return Err(Error::logic(format!("LIMIT takes a non-negative argument (got {limit})")));
    };
    sequence.to_be_cut(args.id(0)).then(Transform::Limit(count)).into_value(args.cx())
}

/// `skip`: a slice to the end.
pub fn skip(args: &Args<'_>) -> Result<Value> {
    let first = args.value(0)?;
    let left_open = bounds::left_is_open(args)?;
    let slice = Slice { left: args.integer(1)?, left_open, right: -1, right_open: false };
    sliced(args, first, &slice)
}

/// `slice`.
pub fn slice(args: &Args<'_>) -> Result<Value> {
    let first = args.value(0)?;
    let slice = Slice::read(args)?;
    sliced(args, first, &slice)
}

fn sliced(args: &Args<'_>, value: Value, slice: &Slice) -> Result<Value> {
    let cx = args.cx();
    let sequence = match value {
        Value::Datum(datum) => {
            return slice::slice(&datum, slice).map(Value::Datum).map_err(|error| error.at(args.id(0)));
        }
        Value::Row(row) => {
            let document = row.read(cx)?;
            return slice::slice(&document, slice).map(Value::Datum).map_err(|error| error.at(args.id(0)));
        }
        value @ (Value::Sequence(_) | Value::Table(_)) => value.into_sequence(cx)?,
        _ => return Err(Error::logic("Cannot slice non-sequences.").at(args.id(0))),
    };
    let (start, count) = slice.of_stream()?;
    let sequence = sequence.to_be_cut(args.id(0));
    let sequence = if start == 0 { sequence } else { sequence.then(Transform::Skip(start)) };
    match count {
        Some(count) => sequence.then(Transform::Limit(count)),
        None => sequence,
    }
    .into_value(cx)
}

/// `range`: whole numbers from 0 or a start up to but without an end; without an end for ever.
pub fn range(args: &Args<'_>) -> Result<Value> {
    let (next, end) = match args.len() {
        0 => (0, None),
        1 => (0, Some(args.integer(0)?)),
        _ => (args.integer(0)?, Some(args.integer(1)?)),
    };
    Ok(Value::Sequence(Sequence::stream(Box::new(Range { next, end }))))
}

struct Range {
    next: i64,
    end: Option<i64>,
}

impl Stream for Range {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let end = self.next.saturating_add(i64::try_from(want.max(1)).unwrap_or(i64::MAX));
        let end = self.end.map_or(end, |last| last.min(end));
        let batch: Batch = (self.next..end).map(Datum::from).collect();
        self.next = self.next.max(end);
        cx.steps_of(batch.len());
        Ok(batch)
    }

    fn infinite(&self) -> bool {
        self.end.is_none()
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn map_over_one_and_over_several() {
        check(&[
            ("[38,[[2,[1,2]],[69,[[2,[1]],[24,[[10,[1]],1]]]]]]", "[2,3]"),
            ("[38,[[2,[1,2,3]],[173,[]],[69,[[2,[1,2]],[26,[[10,[1]],[10,[2]]]]]]]]", "[0,2,6]"),
            (
                "[38,[[2,[1]],[69,[[2,[1,2]],1]]]]",
                "QueryLogic: The function passed to `map` expects 2 arguments, but 1 sequence was found.",
            ),
            ("[38,[[2,[1]],1]]", "QueryLogic: Expected type FUNCTION but found DATUM:\n1"),
            ("[40,[[2,[1,2]],[69,[[2,[1]],[2,[[10,[1]],[10,[1]]]]]]]]", "[1,1,2,2]"),
            ("[40,[[2,[1]],[69,[[2,[1]],[10,[1]]]]]]", "QueryLogic: Cannot convert NUMBER to SEQUENCE"),
        ]);
    }

    #[test]
    fn filter_by_function_and_by_pattern() {
        check(&[
            ("[39,[[2,[1,2,3]],[69,[[2,[1]],[21,[[10,[1]],1]]]]]]", "[2,3]"),
            (r#"[39,[[2,[{"a":1,"b":1},{"a":2},{"b":1}]],{"a":1}]]"#, r#"[{"a":1,"b":1}]"#),
            (r#"[39,[[2,[{"a":{"b":1,"c":2}},{"a":{"b":2}}]],{"a":{"b":1}}]]"#, r#"[{"a":{"b":1,"c":2}}]"#),
            (r#"[39,[[2,[{"a":1},{}]],{"a":1}],{"default":true}]"#, r#"[{"a":1},{}]"#),
            (r#"[39,[[2,[{"a":1},{}]],{"a":1}],{"default":[12,[]]}]"#, "NonExistence: No attribute `a` in object."),
            (r#"[39,[[2,[{"a":1},{}]],{"a":1}],{"default":[12,["x"]]}]"#, "User: x"),
            (r#"[39,[[2,[1]],"a"]]"#, "[1]"),
            (r#"[39,[[2,[1,null,{"a":1}]],{}]]"#, r#"[1,null,{"a":1}]"#),
            (r#"[39,[[2,[1]],{"a":1}]]"#, "QueryLogic: Expected type OBJECT but found NUMBER."),
            ("[39,[1,true]]", "QueryLogic: Cannot convert NUMBER to SEQUENCE"),
            (r#"[39,[[2,[{"a":{"b":1,"c":2}},{"a":{"b":1}}]],{"a":[137,[{"b":1}]]}]]"#, r#"[{"a":{"b":1}}]"#),
            (
                r#"[39,[[2,[{"a":1}]],[69,[[2,[1]],{"a":[137,[1]]}]]]]"#,
                "QueryLogic: Stray literal keyword found: literal is only legal inside of the object passed to merge or update and cannot nest inside other literals.",
            ),
        ]);
    }

    #[test]
    fn a_limit_ends_what_is_endless() {
        check(&[
            ("[71,[[173,[]],3]]", "[0,1,2]"),
            ("[71,[[38,[[173,[]],[69,[[2,[1]],[27,[10,[25,[3,[10,[1]]]]]]]]]],3]]", "[3.3333333333333337,5,10]"),
            ("[71,[[2,[1,2,3]],2]]", "[1,2]"),
            ("[71,[[2,[1]],-1]]", "QueryLogic: LIMIT takes a non-negative argument (got -1)"),
            ("[71,[[2,[1]],3000000000]]", "QueryLogic: Integer too large: 3000000000"),
            (
                "[43,[[173,[]]]]",
                "QueryLogic: Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.",
            ),
            ("[71,[[70,[[173,[]],3]],2]]", "[3,4]"),
            ("[70,[[2,[1,2,3]],-1]]", "[3]"),
            (r#"[70,[[2,[1,2,3]],1],{"left_bound":"open"}]"#, "[3]"),
            (r#"[70,[[173,[4]],1],{"left_bound":"open"}]"#, "[2,3]"),
            ("[70,[[173,[3]],-1]]", "QueryLogic: Cannot use a negative left index on a stream."),
            ("[30,[[173,[9]],2,4]]", "[2,3]"),
            (r#"[30,[[173,[9]],2,4],{"left_bound":"open","right_bound":"closed"}]"#, "[3,4]"),
            ("[173,[3,1]]", "[]"),
        ]);
    }

    #[test]
    fn a_limit_ends_nothing_for_who_reads_to_the_end() {
        let infinite = "QueryLogic: Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.";
        let add = "[69,[[2,[1,2]],[24,[[10,[1]],[10,[2]]]]]]";
        check(&[
            ("[43,[[71,[[173,[]],10]]]]", infinite),
            ("[43,[[30,[[173,[]],2,4]]]]", infinite),
            ("[145,[[71,[[173,[]],10]]]]", infinite),
            (r#"[51,[[71,[[173,[]],10]],"array"]]"#, infinite),
            (&format!("[187,[[71,[[173,[]],3]],0,{add}]]"), infinite),
            ("[43,[[44,[[71,[[173,[]],3]],[2,[1]]]]]]", infinite),
            // Of these the endless one is not asked, or not for everything.
            ("[43,[[71,[[173,[]],0]]]]", "0"),
            ("[86,[[71,[[173,[]],10]]]]", "false"),
            (&format!("[43,[[38,[[71,[[173,[]],3]],[173,[]],{add}]]]]"), "3"),
            (&format!("[43,[[38,[[173,[]],[173,[]],{add}]]]]"), infinite),
        ]);
    }

    #[test]
    fn positions_of_elements() {
        check(&[
            ("[87,[[2,[5,6,5]],5]]", "[0,2]"),
            ("[87,[[2,[5,6,7]],[69,[[2,[1]],[21,[[10,[1]],5]]]]]]", "[1,2]"),
            (r#"[72,[[2,[{"left":{"a":1,"b":1},"right":{"b":2}},{"left":{"c":1}}]]]]"#, r#"[{"a":1,"b":2},{"c":1}]"#),
            ("[72,[[2,[{}]]]]", "QueryLogic: ZIP can only be called on the result of a join."),
        ]);
    }
}
