//! `nth`, and `bracket` with a number: one element by its position.

use crate::datum::{Array, Datum};
use crate::error::{Error, Result};
use crate::eval::sequence::Reading;
use crate::eval::signature::small_integer;
use crate::eval::terms::array::from_end;
use crate::eval::value::no_sequence;
use crate::eval::{Args, Value};
use crate::limits::SKIPPED_AT_ONCE_MAX;
use crate::transform::Transform;

/// `nth`.
pub fn eval(args: &Args<'_>) -> Result<Value> {
    let first = args.value(0)?;
    let index = args.datum(1)?;
    nth(args, first, &index)
}

/// Element number `index` of `value`; negative numbers count from the end, of a stream only -1.
pub fn nth(args: &Args<'_>, value: Value, index: &Datum) -> Result<Value> {
    let cx = args.cx();
    let integer = || small_integer(index).map_err(|error| error.at(args.id(1)));
    let sequence = match value {
        Value::Datum(Datum::Array(items)) => return element(&items, integer()?).map(Value::Datum),
        Value::Datum(datum) => return Err(no_sequence(&datum)),
        // A document is no sequence, and yet the number is looked at first.
        Value::Row(row) => {
            let index = integer()?;
            return element(row.read(cx)?.as_array()?, index).map(Value::Datum);
        }
        other => args.value_as_sequence(0, other)?,
    };
    let index = integer()?;
    if sequence.is_grouped() {
        let mut groups = Vec::new();
        for (group, elements) in sequence.read_groups(cx)? {
            groups.push((group, element(elements.into_datum(cx)?.as_array()?, index).map(Value::Datum)?));
        }
        return Ok(Value::Grouped(groups));
    }
    if index < -1 {
        return Err(Error::logic(format!("Cannot use an index < -1 ({index}) on a stream.")));
    }
    sequence.check_finite().map_err(|error| error.at(args.id(0)))?;
    let table = sequence.table.clone();
    let found = match u64::try_from(index) {
        Ok(position) => {
            let mut stream = sequence.then(Transform::Skip(position)).then(Transform::Limit(1)).open(cx)?;
            // A batch is held whole: what is skipped comes in pieces, however far the element is.
            let want = usize::try_from(position).unwrap_or(usize::MAX).saturating_add(1).min(SKIPPED_AT_ONCE_MAX);
            stream.next_batch(want, cx)?.pop()
        }
        // The last one.
        Err(_) => {
            let mut last = None;
            sequence.for_each_batch(cx, |mut batch| {
                last = batch.pop();
                Ok(Reading::On)
            })?;
            last
        }
    };
    let Some(found) = found else { return Err(out_of_bounds(index)) };
    Ok(match table {
        Some(table) => table.row(found),
        None => Value::Datum(found),
    })
}

fn element(items: &Array, index: i32) -> Result<Datum> {
    from_end(i64::from(index), items.len())
        .and_then(|place| items.get(usize::try_from(place).ok()?))
        .ok_or_else(|| out_of_bounds(index))
}

fn out_of_bounds(index: i32) -> Error {
    Error::non_existence(format!("Index out of bounds: {index}"))
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    const INFINITE: &str = "QueryLogic: Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.";

    #[test]
    fn from_either_end() {
        check(&[
            ("[45,[[2,[5,6,7]],1]]", "6"),
            ("[45,[[2,[5,6,7]],-1]]", "7"),
            ("[45,[[2,[5]],1]]", "NonExistence: Index out of bounds: 1"),
            ("[45,[[2,[5]],-2]]", "NonExistence: Index out of bounds: -2"),
            ("[45,[[173,[2000]],1000]]", "1000"),
            ("[45,[[173,[9]],-1]]", "8"),
            ("[45,[[173,[9]],-2]]", "QueryLogic: Cannot use an index < -1 (-2) on a stream."),
            ("[170,[[2,[5,6]],0]]", "5"),
            ("[45,[[173,[]],-2]]", "QueryLogic: Cannot use an index < -1 (-2) on a stream."),
            ("[45,[[173,[]],5]]", INFINITE),
            ("[170,[[173,[]],5]]", INFINITE),
            ("[45,[[71,[[173,[]],9]],5]]", INFINITE),
            ("[45,[1,0]]", "QueryLogic: Cannot convert NUMBER to SEQUENCE"),
            (r#"[45,[1,"x"]]"#, "QueryLogic: Cannot convert NUMBER to SEQUENCE"),
        ]);
    }
}
