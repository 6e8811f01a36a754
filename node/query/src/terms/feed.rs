//! `changes`.

use photondb_reql::BacktraceId;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Sequence, Source, Stream, Value};
use photondb_reql::transform::Transform;

use crate::changefeed::{self, FeedOptions, LimitFeed, RangeFeed};
use crate::mismatch;
use crate::row::{Origin, RowRef};
use crate::selection::{Part, TableRef};
use crate::surroundings::Surroundings;
use crate::table::Order;

/// `changes({squash, include_initial, ...})`.
pub(super) fn changes(surroundings: &Surroundings, args: &Args<'_>) -> Result<Value> {
    let options = FeedOptions::read(args, surroundings.queue_size)?;
    let value = args.value(0)?;
    if let Some(row) = mismatch::as_row(&value) {
        return Ok(Value::Sequence(Sequence::stream(of_row(&row, options, args)?)));
    }
    let sequence = value.into_sequence(args.cx()).map_err(|error| error.at(args.id(0)))?;
    if matches!(sequence.source, Source::Union(_)) && options.resume.is_some() {
        return Err(changefeed::not_exact(
            "a union",
            "an element would have to say it of every part; make a feed of each of them",
        ));
    }
    let mut feeds = Vec::new();
    for part in parts(sequence).map_err(|error| error.at(args.id(0)))? {
        feeds.push(of(part, options.clone(), args)?);
    }
    Ok(Value::Sequence(match feeds.pop() {
        Some(only) if feeds.is_empty() => Sequence::stream(only),
        last => changefeed::of_feeds(feeds.into_iter().chain(last).collect()),
    }))
}

/// A part of a union, or all of what is no union: what is followed by itself.
struct Followed {
    table: TableRef,
    transforms: Vec<Transform>,
    /// How many of its first elements; what is dropped behind is dropped before.
    limit: Option<u64>,
}

/// What a sequence consists of. What follows a union is done to each part.
fn parts(sequence: Sequence) -> Result<Vec<Followed>> {
    let Sequence { source, mut transforms, mut cut, .. } = sequence;
    let is_cut = |transform: &Transform| matches!(transform, Transform::Limit(_) | Transform::Skip(_));
    let mut limit = None;
    if let Some(place) = transforms.iter().rposition(is_cut) {
        let behind = transforms.split_off(place + 1);
        if !behind.iter().all(|transform| matches!(transform, Transform::Filter { .. })) {
            return Err(Error::logic(
                "Changefeeds are not supported on queries that have a transformation following a `limit` term.  \
                 Transformations include terms such as `filter`, `map`, `pluck`, etc.  Consider moving the transformation \
                 before the `limit` term.",
            ));
        }
        if !behind.is_empty() {
            cut = None;
        }
        limit = match transforms.pop() {
            Some(Transform::Limit(count)) if !transforms.iter().any(is_cut) => Some(count),
            _ => return Err(of_part(eager(), cut)),
        };
        transforms.extend(behind);
    } else if cut.is_some() {
        // All but the first none: as many as there are.
        limit = Some(u64::MAX);
    }
    match source {
        Source::Table(table) => match table.as_any().downcast_ref::<TableRef>().cloned() {
            Some(table) => Ok(vec![Followed { table, transforms, limit }]),
            None => Err(eager()),
        },
        Source::Union(sides) => {
            let mut parts = Vec::with_capacity(sides.len());
            for mut side in sides {
                side.transforms.extend(transforms.iter().cloned());
                parts.append(&mut self::parts(side)?);
            }
            match (limit, parts.as_mut_slice()) {
                (None, _) => {}
                (Some(_), [Followed { limit: own @ None, .. }]) => *own = limit,
                (Some(_), [_]) => return Err(of_part(eager(), cut)),
                (Some(_), _) => {
                    return Err(of_part(Error::logic("Cannot call `changes` on a slice of a union."), cut));
                }
            }
            Ok(parts)
        }
        Source::Array(_) | Source::Stream(_) => Err(eager()),
    }
}

/// An error about a part of a sequence: it points to what was cut, unless more was done to the part.
fn of_part(error: Error, cut: Option<BacktraceId>) -> Error {
    match cut {
        Some(cut) => error.at(cut),
        None => error,
    }
}

fn of(part: Followed, options: FeedOptions, args: &Args<'_>) -> Result<Box<dyn Stream>> {
    let Followed { table, transforms, limit } = part;
    // Of nothing in a table nothing is asked, not even what is done to it.
    let is_nothing = !table.info().system && table.asks_for_nothing();
    if !is_nothing {
        allowed(&transforms)?;
    }
    if let Some(count) = limit {
        if is_nothing {
            return Err(eager().at(args.id(0)));
        }
        let ordered = table.as_slice().is_some_and(|slice| slice.order != Order::Any);
        let (count, most) = (usize::try_from(count).unwrap_or(usize::MAX), args.cx().limits().array);
        if count > most {
            return Err(Error::resource(format!(
                "Array size limit `{most}` exceeded.  (`.limit(X).changes()` is illegal if X is larger than the array size \
                 limit.)"
            )));
        }
        not_of_the_system(&table)?;
        if !ordered {
            return Err(Error::logic("Cannot get changes on the first elements of an unordered stream."));
        }
        refuse_tokens(&options, "`order_by` with `limit`")?;
        return Ok(Box::new(LimitFeed::open(table, transforms, count, options, args.cx())?));
    }
    if options.include_offsets {
        let what = if is_nothing { "empty" } else { "range" };
        return Err(no_offsets(&table, what));
    }
    // An order without a limit says only by which index: changes have no order but their own.
    Ok(Box::new(RangeFeed::open(table, transforms, false, options, args.cx())?))
}

/// RethinkDB knows no first elements of system tables, either.
fn not_of_the_system(table: &TableRef) -> Result<()> {
    match table.info().system {
        true => Err(Error::op_failed("System tables don't support changefeeds on `.limit()`.")),
        false => Ok(()),
    }
}

fn of_row(row: &RowRef, options: FeedOptions, args: &Args<'_>) -> Result<Box<dyn Stream>> {
    match row.origin {
        Origin::Extreme => {
            not_of_the_system(&row.table)?;
            refuse_tokens(&options, "`min` or `max`")?;
            Ok(Box::new(LimitFeed::open(row.table.clone(), Vec::new(), 1, options, args.cx())?))
        }
        Origin::Key => {
            if options.include_offsets {
                return Err(no_offsets(&row.table, "point"));
            }
            let table = row.table.with(Part::Keys { index: None, keys: vec![row.key.clone()] });
            Ok(Box::new(RangeFeed::open(table, Vec::new(), true, options, args.cx())?))
        }
    }
}

/// Only first elements stand somewhere. RethinkDB does not say of a system table that the query is at fault.
fn no_offsets(table: &TableRef, what: &str) -> Error {
    let message = format!("Cannot include offsets for {what} subs.");
    if table.info().system { Error::op_failed(message) } else { Error::logic(message) }
}

fn refuse_tokens(options: &FeedOptions, what: &str) -> Result<()> {
    match options.resume {
        None => Ok(()),
        Some(_) => Err(changefeed::not_exact(what, "which elements there are is read from the whole table")),
    }
}

/// What can be shown of one document by itself.
fn allowed(transforms: &[Transform]) -> Result<()> {
    for transform in transforms {
        match transform {
            Transform::Map(_) | Transform::Filter { .. } | Transform::Members(_) => repeatable(transform)?,
            Transform::ConcatMap(_) => return Err(Error::logic("Cannot call `changes` after `concat_map`.")),
            Transform::Zip => return Err(Error::logic("Cannot call `changes` after `zip`.")),
            Transform::Group(_) => return Err(Error::logic("Cannot call `changes` after `group`.")),
            Transform::OffsetsOf(_) | Transform::Skip(_) | Transform::Limit(_) => return Err(eager()),
        }
    }
    Ok(())
}

/// A document that has not changed must be seen as it was before.
fn repeatable(transform: &Transform) -> Result<()> {
    let (traits, place) = transform.traits();
    if traits.repeatable() {
        return Ok(());
    }
    let error = Error::logic("Cannot call `changes` after a non-deterministic function.");
    Err(match place {
        Some(place) => error.at(place),
        None => error,
    })
}

fn eager() -> Error {
    Error::logic("Cannot call `changes` on an eager stream.")
}
