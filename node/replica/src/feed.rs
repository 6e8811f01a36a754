//! Listening to a table: its shards' committed changes, decoded, with the fiber parked while there are none.
//!
//! A shard of which this node has a member is listened to here, whether or not that leads: it applies the same changes. The
//! others are listened to at their leaders. Each source knows where in its shard's changes it stands, so that after an
//! interruption it goes on there, from the change log: no gap, no double.

mod here;
mod there;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use photondb_query::table::{Change, Position, ShardNumber, Subscription};
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_runtime::fiber;
use photondb_shard::secondary::decode_datum;
use photondb_shard::{Cursor, DocumentChange, ShardError};
use photondb_storage::fault::{buggify, fault_point};
use tokio::sync::Notify;

use crate::error::{Doing, ReplicaError};
use crate::limits::FEED_CHANGES_AT_ONCE;
use crate::routes::TableRoutes;
use here::Here;
use there::{News, There};

/// A subscription to all shards of a table.
pub struct TableFeed {
    table: String,
    sources: Vec<Source>,
    /// What waits for the reader.
    ready: Vec<Change>,
    /// Notified by the shards of this node.
    arrived: Arc<Notify>,
}

enum Source {
    Here(Here),
    There(There),
}

impl TableFeed {
    /// Listens to everything committed after this call. Called on a fiber. Errors: a shard has no leader.
    pub fn open(table: &str, routes: &TableRoutes) -> std::result::Result<TableFeed, ReplicaError> {
        let arrived = Arc::new(Notify::new());
        let mut sources = Vec::with_capacity(routes.all().len());
        for route in routes.all() {
            sources.push(match &route.here {
                Some(replica) => Source::Here(Here::open(replica, route, routes.router().as_ref(), &arrived)?),
                None => {
                    let router = routes.router().ok_or(ReplicaError::NotLeading)?;
                    Source::There(There::open(&router, route)?)
                }
            });
        }
        Ok(TableFeed { table: table.to_owned(), sources, ready: Vec::new(), arrived })
    }

    /// Moves what has come to `ready`.
    fn collect(&mut self, cx: &mut Context<'_>) -> std::result::Result<(), ReplicaError> {
        let at_once = if buggify!("replica/feed-source-by-source") { 1 } else { FEED_CHANGES_AT_ONCE };
        for source in &mut self.sources {
            if self.ready.len() >= at_once {
                break;
            }
            source.collect(&mut self.ready, &self.arrived, cx)?;
        }
        Ok(())
    }
}

impl Source {
    fn collect(
        &mut self,
        ready: &mut Vec<Change>,
        arrived: &Arc<Notify>,
        cx: &mut Context<'_>,
    ) -> std::result::Result<(), ReplicaError> {
        loop {
            let next = match self {
                Source::Here(here) => match here.collect(ready) {
                    // The member has left this node; the shard may be elsewhere.
                    Err(ReplicaError::Shard(ShardError::Gone)) => match here.elsewhere() {
                        Some(there) => Source::There(there),
                        None => return Err(ShardError::Gone.into()),
                    },
                    collected => return collected,
                },
                Source::There(there) => match there.collect(ready, cx)? {
                    News::None => return Ok(()),
                    News::IsHere(replica) => Source::Here(there.here(&replica, arrived)),
                },
            };
            *self = next;
        }
    }
}

impl Subscription for TableFeed {
    fn next(&mut self) -> Result<Vec<Change>> {
        let arrived = self.arrived.clone();
        while self.ready.is_empty() {
            let mut notified = pin!(arrived.notified());
            let looked = fiber::wait(poll_fn(|cx| match self.collect(cx) {
                Ok(()) if self.ready.is_empty() => notified.as_mut().poll(cx).map(Ok),
                looked => Poll::Ready(looked),
            }));
            looked.map_err(|error| error.for_query(&self.table, Doing::Subscribe))?;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    fn try_next(&mut self) -> Result<Vec<Change>> {
        let looked = self.collect(&mut Context::from_waker(Waker::noop()));
        looked.map_err(|error| error.for_query(&self.table, Doing::Subscribe))?;
        Ok(std::mem::take(&mut self.ready))
    }
}

fn decode(shard: ShardNumber, index: u64, change: &DocumentChange) -> std::result::Result<Change, ReplicaError> {
    let datum = |bytes: &Option<_>| bytes.as_ref().map(decode_datum).transpose();
    Ok(Change { old: datum(&change.old)?, new: datum(&change.new)?, position: Position { shard, index } })
}

/// Of `count` changes of an entry of which the first is number `first`, how many are known at `cursor`; moves it behind them,
/// and behind the entry if these are the `last` ones of it.
fn pass(cursor: &mut Cursor, index: u64, first: u32, count: u32, last: bool) -> u32 {
    let entry = photondb_shard::Position(index);
    if entry < cursor.position && !fault_point!("feed-tells-again") {
        return count;
    }
    let given = if entry == cursor.position { cursor.given } else { 0 };
    let known = if fault_point!("feed-tells-again") { 0 } else { given.saturating_sub(first).min(count) };
    *cursor = match last {
        true => Cursor::after(entry),
        false => Cursor { position: entry, given: given.max(first.saturating_add(count)) },
    };
    known
}

/// A document as the evaluator sees it; `Null` where there is none.
pub(crate) fn document_or_null(bytes: Option<&bytes::Bytes>) -> std::result::Result<Datum, ReplicaError> {
    Ok(match bytes {
        Some(bytes) => decode_datum(bytes)?,
        None => Datum::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_passed_over_once() {
        let at = |position, given| Cursor { position: photondb_shard::Position(position), given };
        for (cursor, index, first, last, known, behind) in [
            (at(5, 0), 4, 0, true, 3, at(5, 0)),
            (at(5, 0), 5, 0, true, 0, at(6, 0)),
            (at(5, 2), 5, 0, true, 2, at(6, 0)),
            (at(5, 2), 5, 2, false, 0, at(5, 5)),
            (at(5, 7), 5, 2, false, 3, at(5, 7)),
            (at(5, 2), 8, 0, true, 0, at(9, 0)),
        ] {
            let mut moved = cursor;
            assert_eq!((pass(&mut moved, index, first, 3, last), moved), (known, behind), "{cursor:?} {index} {first}");
        }
    }
}
