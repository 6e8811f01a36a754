//! Listening to a table: its shards' committed changes, decoded, with the fiber parked while there are none.
//!
//! A shard of which this node has a member is listened to here, whether or not that leads: it applies the same changes. The
//! others are listened to at their leaders. Each source knows where in its shard's changes it stands, so that after an
//! interruption it goes on there, from the change log: no gap, no double. Where a shard was cut off from another, that stands in
//! the other one's changes; from there on both are listened to.

mod here;
mod there;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use photondb_proto::{ShardId, TableId};
use photondb_query::table::{Change, Lineage, Position, ShardNumber, Subscription};
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_runtime::fiber;
use photondb_shard::secondary::decode_datum;
use photondb_shard::{Cursor, DocumentChange, ShardError};
use photondb_storage::fault::{buggify, fault_point};
use tokio::sync::Notify;

use crate::error::{Doing, ReplicaError};
use crate::limits::FEED_CHANGES_AT_ONCE;
use crate::router::Router;
use crate::routes::TableRoutes;
use here::Here;
use there::There;

/// A subscription to all shards of a table.
pub struct TableFeed {
    table: String,
    id: TableId,
    router: Option<Arc<Router>>,
    sources: Vec<Source>,
    /// What waits for the reader.
    ready: Vec<Change>,
    /// Notified by the shards of this node.
    arrived: Arc<Notify>,
}

/// One shard.
struct Source {
    shard: ShardNumber,
    lineage: Lineage,
    place: Place,
}

enum Place {
    Here(Here),
    There(There),
}

/// What has come from a source.
#[derive(Default)]
pub(super) struct News {
    /// The changes, each with the entry that made it.
    changes: Vec<(u64, DocumentChange)>,
    /// Shards that were cut off, each with the entry that did so.
    children: Vec<(u64, ShardId)>,
}

impl TableFeed {
    /// Listens to everything committed after this call. Called on a fiber. Errors: a shard has no leader.
    pub fn open(table: &str, routes: &TableRoutes) -> std::result::Result<TableFeed, ReplicaError> {
        let arrived = Arc::new(Notify::new());
        let mut sources = Vec::with_capacity(routes.all().len());
        for route in routes.all() {
            let place = match &route.here {
                Some(replica) => Place::Here(Here::open(replica, route, routes.router().as_ref(), &arrived)?),
                None => {
                    let router = routes.router().ok_or(ReplicaError::NotLeading)?;
                    Place::There(There::open(&router, route)?)
                }
            };
            sources.push(Source { shard: route.number(), lineage: Lineage::default(), place });
        }
        let id = routes.all().first().map(|route| route.table).ok_or(ReplicaError::NotLeading)?;
        Ok(TableFeed { table: table.to_owned(), id, router: routes.router(), sources, ready: Vec::new(), arrived })
    }

    /// Moves what has come to `ready`.
    fn collect(&mut self, cx: &mut Context<'_>) -> std::result::Result<(), ReplicaError> {
        let at_once = if buggify!("replica/feed-source-by-source") { 1 } else { FEED_CHANGES_AT_ONCE };
        let mut next = 0;
        // Those that are found on the way are listened to at once.
        while next < self.sources.len() && self.ready.len() < at_once {
            let source = &mut self.sources[next];
            let mut news = News::default();
            let collected = source.place.collect(&mut news, &self.arrived, cx);
            for (index, change) in &news.changes {
                self.ready.push(source.decode(*index, change)?);
            }
            for (index, child) in news.children {
                let child = self.child_of(next, index, child)?;
                self.sources.push(child);
            }
            collected?;
            next += 1;
        }
        Ok(())
    }

    /// A shard that an entry of another one cut off: it tells what happens behind that entry.
    fn child_of(&self, of: usize, index: u64, child: ShardId) -> std::result::Result<Source, ReplicaError> {
        photondb_storage::probe!("feed of a shard that was split");
        let router = self.router.as_ref().ok_or(ReplicaError::NotLeading)?;
        let Source { shard, lineage, .. } = &self.sources[of];
        let before = Position { shard: *shard, index: index.saturating_sub(1) };
        let lineage = std::iter::once(before).chain(lineage.iter().copied()).collect();
        let cursor = Cursor::after(photondb_shard::Position(index));
        let place = Place::There(There::to_come(router, self.id, child, cursor));
        Ok(Source { shard: ShardNumber(child.0), lineage, place })
    }
}

impl Source {
    fn decode(&self, index: u64, change: &DocumentChange) -> std::result::Result<Change, ReplicaError> {
        let datum = |bytes: &Option<_>| bytes.as_ref().map(decode_datum).transpose();
        let (old, new) = (datum(&change.old)?, datum(&change.new)?);
        Ok(Change { old, new, position: Position { shard: self.shard, index }, lineage: self.lineage.clone() })
    }
}

impl Place {
    fn collect(
        &mut self,
        news: &mut News,
        arrived: &Arc<Notify>,
        cx: &mut Context<'_>,
    ) -> std::result::Result<(), ReplicaError> {
        loop {
            let next = match self {
                Place::Here(here) => match here.collect(news) {
                    // The member has left this node; the shard may be elsewhere.
                    Err(ReplicaError::Shard(ShardError::Gone)) => match here.elsewhere()? {
                        Some(there) => Place::There(there),
                        None => return Err(ShardError::Gone.into()),
                    },
                    collected => return collected,
                },
                Place::There(there) => match there.collect(news, cx)? {
                    None => return Ok(()),
                    // This node has a member now.
                    Some(replica) => Place::Here(there.here(&replica, arrived)),
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
