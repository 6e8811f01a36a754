//! `changes`.

use photondb_reql::TermKind;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Node, Sequence, Source, Stream, Value, eval};
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
    surroundings.feed_shows_states.set(options.include_states);
    let value = args.value(0)?;
    if let Some(Node::Call(call)) = args.call().args.first()
        && call.kind == TermKind::Union
        && !call.spliced
        && matches!(value, Value::Sequence(_))
    {
        if options.resume.is_some() {
            return Err(changefeed::not_exact(
                "a union",
                "an element would have to say it of every part; make a feed of each of them",
            ));
        }
        let mut feeds = Vec::with_capacity(call.args.len());
        for node in &call.args {
            feeds.push(of(eval(node, args.scope(), args.cx())?, options.clone(), args)?);
        }
        return Ok(Value::Sequence(changefeed::of_feeds(feeds)));
    }
    Ok(Value::Sequence(Sequence::stream(of(value, options, args)?)))
}

fn of(value: Value, options: FeedOptions, args: &Args<'_>) -> Result<Box<dyn Stream>> {
    if let Some(row) = mismatch::as_row(&value) {
        return of_row(&row, options, args);
    }
    let sequence = value.into_sequence(args.cx()).map_err(|error| error.at(args.id(0)))?;
    let Source::Table(table) = &sequence.source else { return Err(eager().at(args.id(0))) };
    let Some(table) = table.as_any().downcast_ref::<TableRef>().cloned() else { return Err(eager().at(args.id(0))) };
    let ordered = table.as_slice().is_some_and(|slice| slice.order != Order::Any);
    let mut transforms = sequence.transforms;
    let limit = transforms.iter().position(|transform| matches!(transform, Transform::Limit(_)));
    if let Some(position) = limit {
        if !ordered {
            return Err(Error::logic("Cannot get changes on the first elements of an unordered stream."));
        }
        let behind = transforms.split_off(position);
        let [Transform::Limit(count)] = behind.as_slice() else { return Err(eager()) };
        allowed(&transforms)?;
        let count = usize::try_from(*count).unwrap_or(usize::MAX);
        args.cx().check_array_length(count)?;
        refuse_tokens(&options, "`order_by` with `limit`")?;
        return Ok(Box::new(LimitFeed::open(table, transforms, count, options, args.cx())?));
    }
    if options.include_offsets {
        return Err(Error::logic("Cannot include offsets for range subs."));
    }
    if ordered {
        return Err(Error::logic("Cannot call `changes` on an ordered stream."));
    }
    allowed(&transforms)?;
    Ok(Box::new(RangeFeed::open(table, transforms, false, options, args.cx())?))
}

fn of_row(row: &RowRef, options: FeedOptions, args: &Args<'_>) -> Result<Box<dyn Stream>> {
    match row.origin {
        Origin::Place => Err(eager().at(args.id(0))),
        Origin::Extreme => {
            refuse_tokens(&options, "`min` or `max`")?;
            Ok(Box::new(LimitFeed::open(row.table.clone(), Vec::new(), 1, options, args.cx())?))
        }
        Origin::Key => {
            if options.include_offsets {
                return Err(Error::logic("Cannot include offsets for point subs."));
            }
            let table = row.table.with(Part::Keys { index: None, keys: vec![row.key.clone()] });
            Ok(Box::new(RangeFeed::open(table, Vec::new(), true, options, args.cx())?))
        }
    }
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
        // A document that has not changed must be seen as it was before.
        let (traits, place) = transform.traits();
        if !traits.deterministic() {
            let error = Error::logic("Cannot call `changes` after a non-deterministic function.");
            return Err(match place {
                Some(place) => error.at(place),
                None => error,
            });
        }
        match transform {
            Transform::Map(_) | Transform::Filter { .. } | Transform::Members(_) => {}
            Transform::ConcatMap(_) => return Err(Error::logic("Cannot call `changes` after `concat_map`.")),
            _ => return Err(eager()),
        }
    }
    Ok(())
}

fn eager() -> Error {
    Error::logic("Cannot call `changes` on an eager stream.")
}
