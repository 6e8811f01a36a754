//! Terms that make a changed copy of an array: `append`, `insert_at`, `delete_at` and their kin.

use crate::datum::{Array, Datum};
use crate::error::{Error, Result};
use crate::eval::terms::arithmetic::check_length;
use crate::eval::{Args, Value};

/// `append`.
pub fn append(args: &Args<'_>) -> Result<Value> {
    let (array, element) = (args.datum(0)?, args.datum(1)?);
    let mut items = into_items(array)?;
    items.push(element);
    finish(args, items)
}

/// `prepend`.
pub fn prepend(args: &Args<'_>) -> Result<Value> {
    let (array, element) = (args.datum(0)?, args.datum(1)?);
    let mut items = into_items(array)?;
    items.insert(0, element);
    finish(args, items)
}

/// `insert_at`: before the element at an index; -1 is behind the last.
pub fn insert_at(args: &Args<'_>) -> Result<Value> {
    let mut items = into_items(args.datum(0)?)?;
    let index = position(args, 1, items.len() + 1)?;
    let element = args.datum(2)?;
    check_index(index, items.len(), index <= items.len() as u64)?;
    items.insert(to_index(index), element);
    finish(args, items)
}

/// `splice_at`: as `insert_at`, for all elements of an array.
pub fn splice_at(args: &Args<'_>) -> Result<Value> {
    let mut items = into_items(args.datum(0)?)?;
    let index = position(args, 1, items.len() + 1)?;
    let inserted = args.datum(2)?;
    check_index(index, items.len(), index <= items.len() as u64)?;
    let index = to_index(index);
    items.splice(index..index, inserted.as_array()?.iter());
    finish(args, items)
}

/// `delete_at`: one element, or those from an index up to but without another.
pub fn delete_at(args: &Args<'_>) -> Result<Value> {
    let mut items = into_items(args.datum(0)?)?;
    let length = items.len();
    let start = position(args, 1, length)?;
    if args.len() == 2 {
        check_index(start, length, start < length as u64)?;
        items.remove(to_index(start));
        return finish(args, items);
    }
    let end = position(args, 2, length)?;
    check_index(start, length, start <= length as u64)?;
    check_index(end, length, end <= length as u64)?;
    if start > end {
        return Err(Error::logic(format!("Start index `{start}` is greater than end index `{end}`.")));
    }
    items.drain(to_index(start)..to_index(end));
    finish(args, items)
}

/// `change_at`: replaces one element.
pub fn change_at(args: &Args<'_>) -> Result<Value> {
    let mut items = into_items(args.datum(0)?)?;
    let index = position(args, 1, items.len())?;
    let element = args.datum(2)?;
    check_index(index, items.len(), index < items.len() as u64)?;
    items[to_index(index)] = element;
    finish(args, items)
}

/// The place that an index means among `size`: negative ones count from the end. It may still lie behind the end.
/// `None`: it lies before the start.
pub fn from_end(index: i64, size: usize) -> Option<u64> {
    if index >= 0 {
        return u64::try_from(index).ok();
    }
    (size as u64).checked_sub(index.unsigned_abs())
}

/// The error for an index that names nothing.
pub fn out_of_bounds(index: i64) -> Error {
    Error::non_existence(format!("Index out of bounds: {index}"))
}

fn position(args: &Args<'_>, argument: usize, size: usize) -> Result<u64> {
    let index = args.datum(argument)?.as_integer()?;
    from_end(index, size).ok_or_else(|| out_of_bounds(index))
}

fn check_index(index: u64, size: usize, fits: bool) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::non_existence(format!("Index `{index}` out of bounds for array of size: `{size}`.")))
}

/// Only called with what [`check_index`] has compared with a length.
fn to_index(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn into_items(array: Datum) -> Result<Vec<Datum>> {
    match array {
        Datum::Array(items) => Ok(Array::into_vec(items)),
        other => Err(Error::expected_type("ARRAY", &other)),
    }
}

fn finish(args: &Args<'_>, items: Vec<Datum>) -> Result<Value> {
    check_length(items.len(), args.cx().limits())?;
    Ok(Datum::from(items).into())
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn copies_with_a_change() {
        check(&[
            ("[29,[[2,[1]],2]]", "[1,2]"),
            ("[80,[[2,[1]],2]]", "[2,1]"),
            ("[82,[[2,[1,2]],1,9]]", "[1,9,2]"),
            ("[82,[[2,[1,2]],-1,9]]", "[1,2,9]"),
            ("[85,[[2,[1,2]],-3,[2,[8,9]]]]", "[8,9,1,2]"),
            ("[83,[[2,[1,2,3]],-1]]", "[1,2]"),
            ("[83,[[2,[1,2,3]],1,2]]", "[1,3]"),
            ("[83,[[2,[1,2,3,4]],4,4]]", "[1,2,3,4]"),
            ("[83,[[2,[]],0,0]]", "[]"),
            ("[84,[[2,[1,2]],-2,9]]", "[9,2]"),
        ]);
    }

    #[test]
    fn faults() {
        check(&[
            ("[29,[1,2]]", "QueryLogic: Expected type ARRAY but found NUMBER."),
            ("[82,[[2,[]],1,9]]", "NonExistence: Index `1` out of bounds for array of size: `0`."),
            ("[82,[[2,[1]],-3,9]]", "NonExistence: Index out of bounds: -3"),
            ("[85,[[2,[]],0,1]]", "QueryLogic: Expected type ARRAY but found NUMBER."),
            ("[83,[[2,[1,2,3]],2,1]]", "QueryLogic: Start index `2` is greater than end index `1`."),
            ("[83,[[2,[1]],1]]", "NonExistence: Index `1` out of bounds for array of size: `1`."),
            ("[84,[[2,[1]],1,9]]", "NonExistence: Index `1` out of bounds for array of size: `1`."),
            (r#"[84,[[2,[]],null,"foo"]]"#, "NonExistence: Expected type NUMBER but found NULL."),
        ]);
    }
}
