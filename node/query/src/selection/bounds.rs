//! `between`, `get_all`: which keys.

use photondb_reql::TermKind;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Cx, Value};

use super::{Part, Slice};
use crate::keys;
use crate::mismatch;
use crate::table::{DatumRange, Order};

/// `between(left, right, {index, left_bound, right_bound})`.
pub(crate) fn between(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_slice)?;
    let left_closed = bound(args, "left_bound", true)?;
    let right_closed = bound(args, "right_bound", false)?;
    let left = args.convert(1, |value, cx| end(args, value, Datum::MinVal, cx))?;
    let right = args.convert(2, |value, cx| end(args, value, Datum::MaxVal, cx))?;
    let slice = table.as_slice().cloned().unwrap_or_default();
    let ordered_by = slice.index.clone().filter(|_| slice.range.is_none());
    let index = match args.optarg_string("index")? {
        Some(index) => index,
        None => ordered_by.unwrap_or_else(|| table.info().primary_key.clone()),
    };
    if slice.range.is_some() {
        return Err(Error::logic("Cannot perform multiple BETWEENs on the same table.").at(table.id));
    }
    if let Some(other) = &slice.index
        && *other != index
    {
        let message = format!("Cannot call BETWEEN on index `{index}` after ordering on index `{other}`.");
        return Err(Error::logic(message).at(table.id));
    }
    let range = DatumRange { left, left_closed, right, right_closed };
    Ok(table.with(Part::Slice(Slice { index: Some(index), range: Some(range), order: slice.order })).into_value())
}

fn bound(args: &Args<'_>, name: &str, default: bool) -> Result<bool> {
    let Some(text) = args.optarg_string(name)? else { return Ok(default) };
    match text.as_str() {
        "open" => Ok(false),
        "closed" => Ok(true),
        _ => Err(Error::logic(format!(
            "Expected `open` or `closed` for optarg `{name}` (got `{}`).",
            Datum::from(text).print_truncated()
        ))),
    }
}

/// One end of a range. To the term of old drivers `null` is no bound.
fn end(args: &Args<'_>, value: Value, unbounded: Datum, cx: &Cx) -> Result<Datum> {
    match value.into_datum(cx)? {
        Datum::Null if args.kind() == TermKind::BetweenDeprecated => Ok(unbounded),
        Datum::Null => {
            Err(Error::logic("Cannot use `null` in BETWEEN, use `r.minval` or `r.maxval` to denote unboundedness."))
        }
        datum => Ok(datum),
    }
}

/// `get_all(key, ..., {index})`.
pub(crate) fn get_all(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let index = args.optarg_string("index")?;
    let mut found = Vec::with_capacity(args.len() - 1);
    for position in 1..args.len() {
        found.push(args.convert(position, key_argument)?);
    }
    let secondary = table.secondary(index.as_ref());
    for key in &found {
        match secondary {
            Some(_) => keys::check_secondary(key)?,
            None => keys::check_primary(key)?,
        }
    }
    Ok(table.with(Part::Keys { index, keys: found }).into_value())
}

fn key_argument(value: Value, cx: &Cx) -> Result<Datum> {
    let datum = value.into_datum(cx)?;
    if datum.is_ptype("GEOMETRY") {
        return Err(Error::logic("Cannot use a geospatial index with `get_all`. Use `get_intersecting` instead."));
    }
    if datum.is_null() {
        return Err(Error::non_existence("Keys cannot be NULL."));
    }
    Ok(datum)
}

/// The same slice, of a table that came about at `id`, ordered. Errors: it is ordered already, or ranged by another index.
pub(super) fn sorted(
    slice: &Slice,
    index: &photondb_reql::Str,
    order: Order,
    id: photondb_reql::BacktraceId,
) -> Result<Slice> {
    if slice.order != Order::Any {
        return Err(Error::logic("Cannot perform multiple indexed ORDER_BYs on the same table.").at(id));
    }
    if let Some(other) = &slice.index
        && other != index
    {
        let message = format!("Cannot order by index `{index}` after calling BETWEEN on index `{other}`.");
        return Err(Error::logic(message).at(id));
    }
    Ok(Slice { index: Some(index.clone()), range: slice.range.clone(), order })
}
