//! Terms that reduce a sequence to one value.

use std::collections::BTreeSet;

use crate::datum::{Array, Datum};
use crate::error::{Error, Result};
use crate::eval::sequence::Reading;
use crate::eval::signature::expected_kind;
use crate::eval::terms::random::Reservoir;
use crate::eval::terms::sequence::predicate;
use crate::eval::{Args, Func, Sequence, Shortcut, Value};
use crate::term::TermKind;
use crate::transform::{Aggregate, GroupBy, Transform};

/// `count`: of elements, of those equal to a value, of those that a predicate accepts. Of a string its characters, of
/// binary data its bytes, of an object its fields.
pub fn count(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let first = args.value(0)?;
    if args.len() == 1 {
        match &first {
            Value::Datum(Datum::String(text)) => return Ok(Datum::from(text.chars().count()).into()),
            Value::Datum(Datum::Binary(data)) => return Ok(Datum::from(data.len()).into()),
            Value::Datum(Datum::Object(fields)) => return Ok(Datum::from(fields.len()).into()),
            Value::Row(row) => {
                if let Datum::Object(fields) = row.read(cx)? {
                    return Ok(Datum::from(fields.len()).into());
                }
            }
            _ => {}
        }
    }
    let sequence = |value: Value| args.value_as_finite_sequence(0, value);
    if args.len() == 1 {
        return Aggregate::Count.run(sequence(first)?, cx);
    }
    let predicate = predicate(args, 1)?;
    Aggregate::Count.run(sequence(first)?.then(Transform::Filter { predicate, default: None }), cx)
}

/// `sum`, `avg`, `min`, `max`.
pub fn of_numbers(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let first = args.value(0)?;
    let index = args.optarg("index")?;
    let by = if args.len() > 1 { Some(args.function(1, Shortcut::GetField)?) } else { None };
    if index.is_some() {
        let name = args.kind().name().to_ascii_lowercase();
        return Err(match by {
            Some(_) => Error::logic(format!("Cannot provide both a function and an index to {name}.")),
            // A whole table does `min` and `max` by itself.
            None if first.kind_name() == "TABLE" => Error::logic(format!("Cannot call {name} on an index.")),
            None => expected_kind("TABLE", &first).at(args.id(0)),
        });
    }
    let sequence = args.value_as_finite_sequence(0, first)?;
    let aggregate = match args.kind() {
        TermKind::Sum => Aggregate::Sum(by),
        TermKind::Avg => Aggregate::Avg(by),
        TermKind::Min => Aggregate::Min(by),
        _ => Aggregate::Max(by),
    };
    aggregate.run(sequence, cx)
}

/// `reduce`.
pub fn reduce(args: &Args<'_>) -> Result<Value> {
    let sequence = args.finite_sequence(0)?;
    Aggregate::Reduce(args.function(1, Shortcut::None)?).run(sequence, args.cx())
}

/// `group` of anything but a whole table by an index.
pub fn group(args: &Args<'_>) -> Result<Value> {
    let functions =
        (1..args.len()).map(|index| args.function(index, Shortcut::GetField)).collect::<Result<Vec<_>>>()?;
    if args.optarg_string("index")?.is_some() {
        return Err(expected_kind("TABLE", &args.value(0)?).at(args.id(0)));
    }
    let sequence = args.sequence(0)?;
    if functions.is_empty() {
        return Err(Error::logic("Cannot group by nothing."));
    }
    let multi = args.optarg_bool("multi")?.unwrap_or(false);
    if sequence.is_grouped() {
        return Err(Error::logic("Cannot call `group` on the output of `group` (did you mean to `ungroup`?)."));
    }
    let by = GroupBy { functions, index: None, multi, id: args.call().id };
    sequence.then(Transform::Group(by)).into_value(args.cx())
}

/// `is_empty`. Of a feed it waits for the first change.
pub fn is_empty(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let first = args.sequence(0)?.then(Transform::Limit(1)).open(cx)?.next_batch(1, cx)?;
    Ok(Value::from(first.is_empty()))
}

/// `contains`: whether for each value there is an element equal to it, for each predicate one that it accepts. Each
/// element counts for one value at most.
pub fn contains(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let sequence = args.sequence(0)?;
    let mut values = Vec::new();
    let mut predicates = Vec::new();
    for index in 1..args.len() {
        match predicate(args, index)? {
            Func::Equals(value) => values.push(value),
            function => predicates.push(function),
        }
    }
    let mut found = false;
    sequence.for_each_batch(cx, |batch| {
        for element in &batch {
            if let Some(position) = values.iter().position(|value| value == element) {
                values.swap_remove(position);
            }
            for position in 0..predicates.len() {
                if predicates[position].apply(element.clone(), cx)?.is_truthy() {
                    predicates.swap_remove(position);
                    break;
                }
            }
            if values.is_empty() && predicates.is_empty() {
                found = true;
                return Ok(Reading::Enough);
            }
        }
        Ok(Reading::On)
    })?;
    Ok(Value::from(found))
}

/// `distinct` of what is not read in the order that it asks for: every value once, in order.
pub fn distinct(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    if args.optarg("index")?.is_some() {
        return Err(Error::logic("Can only perform an indexed distinct on a TABLE."));
    }
    let mut seen = BTreeSet::new();
    args.finite_sequence(0)?.for_each_batch(cx, |batch| {
        for element in batch {
            if !seen.contains(&element) {
                cx.hold(element.footprint())?;
                // It outlives its neighbours, with whom it may share memory.
                seen.insert(element.detach());
                cx.check_array_length(seen.len())?;
            }
        }
        Ok(Reading::On)
    })?;
    Ok(Datum::from(seen.into_iter().collect::<Array>()).into())
}

/// `sample`: so many elements drawn by chance.
pub fn sample(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    // In this order in RethinkDB, too.
    let count = args.integer(1)?;
    let first = args.value(0)?;
    let Ok(size) = usize::try_from(count) else {
        return Err(Error::logic(format!("Number of items to sample must be non-negative, got `{count}`.")));
    };
    let sequence = args.value_as_finite_sequence(0, first)?;
    let table = sequence.table.clone();
    let mut reservoir = Reservoir::new(size);
    sequence.for_each_batch(cx, |batch| {
        for element in batch {
            reservoir.offer(element, cx)?;
        }
        cx.check_array_length(reservoir.kept())?;
        Ok(Reading::On)
    })?;
    Sequence::selected(Array::from(reservoir.finish(cx)), table).into_value(cx)
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::{OVER_TWO, check, check_within};

    #[test]
    fn of_all_elements() {
        check(&[
            ("[43,[[2,[1,2,1]]]]", "3"),
            ("[43,[[2,[1,2,1]],1]]", "2"),
            ("[43,[[2,[1,2,3]],[69,[[2,[1]],[21,[[10,[1]],1]]]]]]", "2"),
            (r#"[43,["naïve"]]"#, "5"),
            (r#"[43,[{"a":1}]]"#, "1"),
            ("[145,[[2,[]]]]", "0"),
            (r#"[145,[[2,[{"a":1},{},{"a":2}]],"a"]]"#, "3"),
            (r#"[145,[[2,[{"a":"x"}]],"a"]]"#, "QueryLogic: Expected type NUMBER but found STRING."),
            ("[146,[[2,[1,2]]]]", "1.5"),
            (r#"[147,[[2,[{"a":2},{"a":1},{}]],"a"]]"#, r#"{"a":1}"#),
            (r#"[148,[[2,[{"a":2},{"a":1},{}]],"a"]]"#, r#"{"a":2}"#),
            (
                "[147,[[2,[]]]]",
                "NonExistence: Cannot take the min of an empty stream.  (If you passed `min` a field name, it may be that no elements of the stream had that field.)",
            ),
            ("[37,[[2,[1,2,3]],[69,[[2,[1,2]],[24,[[10,[1]],[10,[2]]]]]]]]", "6"),
            ("[37,[[2,[]],[69,[[2,[1,2]],1]]]]", "NonExistence: Cannot reduce over an empty stream."),
            ("[86,[[2,[]]]]", "true"),
            ("[86,[[173,[]]]]", "false"),
            ("[42,[[2,[2,1,2]]]]", "[1,2]"),
        ]);
    }

    #[test]
    fn a_sample_is_an_array() {
        check_within(
            2,
            &[
                ("[43,[[81,[[173,[5]],2]]]]", "2"),
                ("[81,[[173,[5]],3]]", OVER_TWO),
                ("[43,[[81,[[173,[2]],4294967296]]]]", "2"),
            ],
        );
        check(&[(
            "[81,[[173,[5]],-3000000000]]",
            "QueryLogic: Number of items to sample must be non-negative, got `-3000000000`.",
        )]);
    }

    #[test]
    fn only_tables_have_indexes() {
        let no_table = "QueryLogic: Expected type TABLE but found DATUM:\n[\n\t1\n]";
        let distinct = "QueryLogic: Can only perform an indexed distinct on a TABLE.";
        check(&[
            (r#"[145,[[2,[1]]],{"index":"a"}]"#, no_table),
            (r#"[146,[[2,[1]]],{"index":"a"}]"#, no_table),
            (r#"[147,[[2,[1]]],{"index":"a"}]"#, no_table),
            (r#"[144,[[2,[1]],"a"],{"index":"a"}]"#, no_table),
            (r#"[42,[[2,[1]]],{"index":"a"}]"#, distinct),
            (r#"[148,[[2,[1]],"a"],{"index":"a"}]"#, "QueryLogic: Cannot provide both a function and an index to max."),
            // The option is looked at first.
            (r#"[145,[[2,[1]],[12,["second"]]],{"index":[12,["first"]]}]"#, "User: first"),
            (r#"[42,[[2,[1]]],{"index":[12,["first"]]}]"#, "User: first"),
            (r#"[144,[[2,[1]]],{"index":1}]"#, "QueryLogic: Expected type STRING but found NUMBER."),
        ]);
    }

    #[test]
    fn contains_counts_each_element_once() {
        check(&[
            ("[93,[[2,[1,2]],1,2]]", "true"),
            ("[93,[[2,[1,2]],1,1]]", "false"),
            ("[93,[[2,[1,2]],[69,[[2,[1]],[21,[[10,[1]],1]]]]]]", "true"),
            (
                "[93,[[173,[]],5]]",
                "QueryLogic: Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.",
            ),
        ]);
    }

    #[test]
    fn groups_are_reduced_apart() {
        let rows = r#"[2,[{"a":1,"b":2},{"a":2,"b":3},{"a":1,"b":4},{"b":5}]]"#;
        let with = |query: &str| query.replace("ROWS", rows);
        let grouped = |data: &str| format!(r#"{{"$reql_type$":"GROUPED_DATA","data":{data}}}"#);
        let check_one = |query: &str, expected: &str| check(&[(&with(query), expected)]);
        check_one(r#"[43,[[144,[ROWS,"a"]]]]"#, &grouped("[[null,1],[1,2],[2,1]]"));
        check_one(r#"[145,[[144,[ROWS,"a"]],"b"]]"#, &grouped("[[null,5],[1,6],[2,3]]"));
        check_one(r#"[170,[[144,[ROWS,"a"]],"b"]]"#, &grouped("[[null,[5]],[1,[2,4]],[2,[3]]]"));
        // A group of which nothing is left is none.
        check_one(r#"[43,[[39,[[144,[ROWS,"a"]],{"b":3}]]]]"#, &grouped("[[2,1]]"));
        // Terms that know nothing of streams are done to each group's value.
        check_one(r#"[24,[[43,[[144,[ROWS,"a"]]]],10]]"#, &grouped("[[null,11],[1,12],[2,11]]"));
        check_one(r#"[71,[[170,[[144,[ROWS,"a"]],"b"]],1]]"#, &grouped("[[null,[5]],[1,[2]],[2,[3]]]"));
        check_one(
            r#"[150,[[43,[[144,[ROWS,"a"]]]]]]"#,
            r#"[{"group":null,"reduction":1},{"group":1,"reduction":2},{"group":2,"reduction":1}]"#,
        );
        check_one(
            r#"[43,[[144,[[2,[{"a":[2,[1,2]]},{"a":[2,[2,3]]},{"a":[2,[]]}]],"a"],{"multi":true}]]]"#,
            &grouped("[[null,1],[1,1],[2,2],[3,1]]"),
        );
        check_one(r#"[43,[[144,[ROWS,"a","b"]]]]"#, &grouped("[[[null,5],1],[[1,2],1],[[1,4],1],[[2,3],1]]"));
        check_one(r#"[52,[[144,[ROWS,"a"]]]]"#, r#""GROUPED_STREAM""#);
        check_one("[144,[ROWS]]", "QueryLogic: Cannot group by nothing.");
        check_one(
            r#"[144,[[144,[ROWS,"a"]],"b"]]"#,
            "QueryLogic: Cannot call `group` on the output of `group` (did you mean to `ungroup`?).",
        );
        check_one("[150,[1]]", "QueryLogic: Expected type GROUPED_DATA but found DATUM:\n1");
    }
}
