//! Listening to a table: its shards' committed changes, decoded, with the fiber parked while there are none.
//!
//! A shard of which this node has a member is listened to here, whether or not that leads: it applies the same changes. The
//! others are listened to at their leaders. Each source knows where in its shard's changes it stands, so that after an
//! interruption it goes on there, from the change log: no gap, no double. Where a shard was cut off from another, that stands in
//! the other one's changes; from there on both are listened to. Where a shard was joined to another, that stands in the other one's
//! changes, too: what comes behind it waits until the shard that was joined has told all, which is listened to no more from then on.
//!
//! With a token a subscription begins where an earlier one stood, in the same way.

mod here;
mod notes;
mod place;
mod there;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use photondb_proto::{MemberId, ShardId, TableId};
use photondb_query::table::{self, Change, Cut, Join, Position, ShardNumber, Standing, Subscription};
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error as QueryError, Result};
use photondb_runtime::fiber;
use photondb_shard::secondary::decode_datum;
use photondb_shard::{Cursor, DocumentChange, ShardError};
use photondb_storage::fault::{buggify, fault_point};
use tokio::sync::Notify;

use crate::error::{Doing, ReplicaError};
use crate::limits::FEED_CHANGES_AT_ONCE;
use crate::router::{Router, Whereabouts};
use crate::routes::TableRoutes;
use here::Here;
use notes::Others;
pub(crate) use notes::{Joined, Note, notes};
use place::Place;
use there::There;

/// A subscription to all shards of a table.
pub struct TableFeed {
    table: String,
    id: TableId,
    router: Option<Arc<Router>>,
    sources: Vec<Source>,
    /// Shards that were cut off from these since it began.
    cuts: Vec<Cut>,
    /// Those that were joined to others of these since, and are no sources any more.
    joins: Vec<Join>,
    /// What waits for the reader.
    ready: Vec<Change>,
    /// Notified by the shards of this node.
    arrived: Arc<Notify>,
}

/// One shard.
struct Source {
    shard: ShardNumber,
    place: Place,
    /// It goes on from a token, and has told nothing yet.
    since_token: bool,
}

/// What has come from a source.
#[derive(Default)]
pub(super) struct News {
    /// The changes.
    changes: Vec<Told>,
    /// Shards that were cut off, each with the entry that did so.
    children: Vec<(u64, ShardId)>,
    /// Joins that it has passed.
    joined: Vec<Joined>,
}

/// A change that a source has told.
pub(super) struct Told {
    /// The entry that made it.
    entry: u64,
    change: DocumentChange,
    /// Where one stands who knows it.
    then: Cursor,
}

impl Told {
    /// Of an entry, the change of this number; `last`: it has no more.
    fn new(entry: u64, number: u32, change: DocumentChange, last: bool) -> Told {
        let position = photondb_shard::Position(entry);
        let then = if last { Cursor::after(position) } else { Cursor { position, given: number.saturating_add(1) } };
        Told { entry, change, then }
    }
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
            sources.push(Source { shard: route.number(), place, since_token: false });
        }
        TableFeed::of(table, routes, sources, arrived)
    }

    /// Listens to everything behind where an earlier subscription stood, of which `from` are all sources. Called on a fiber.
    ///
    /// Errors: a shard has no leader, or none that has come so far; [`ShardError::Moved`] if `routes` are older than `from`;
    /// [`ReplicaError::TokenTooOld`].
    pub fn open_from(
        table: &str,
        routes: &TableRoutes,
        from: &[table::Source],
    ) -> std::result::Result<TableFeed, ReplicaError> {
        photondb_storage::probe!("feed goes on by a token");
        let arrived = Arc::new(Notify::new());
        let mut sources = Vec::with_capacity(from.len());
        for table::Source { shard, standing, group } in from {
            let route = routes.find(ShardId(shard.0)).ok_or_else(|| not_there(routes, *shard))?;
            let rescued = (*group != 0).then_some(MemberId(*group));
            there::is_same_group(route, rescued)?;
            let here = route.here.as_ref().map_or(rescued, |replica| replica.rescued);
            if route.rescued < rescued || here != rescued {
                // This node is to hear still what became of the shard.
                return Err(ShardError::Moved.into());
            }
            let position = photondb_shard::Position(standing.index);
            let cursor = Cursor { position, given: standing.given };
            let router = routes.router();
            here::wait_for(router.as_ref(), route, cursor)?;
            let place = match &route.here {
                Some(replica) => Here::resume(replica, route, router.as_ref(), cursor, &arrived).map(Place::Here),
                None => {
                    There::open_at(&router.ok_or(ReplicaError::NotLeading)?, route, rescued, cursor).map(Place::There)
                }
            };
            let place = place.map_err(of_token)?;
            sources.push(Source { shard: *shard, place, since_token: true });
        }
        TableFeed::of(table, routes, sources, arrived)
    }

    fn of(
        table: &str,
        routes: &TableRoutes,
        sources: Vec<Source>,
        arrived: Arc<Notify>,
    ) -> std::result::Result<TableFeed, ReplicaError> {
        let id = routes.all().first().map(|route| route.table).ok_or(ReplicaError::NotLeading)?;
        let (table, router) = (table.to_owned(), routes.router());
        let (cuts, joins, ready) = (Vec::new(), Vec::new(), Vec::new());
        Ok(TableFeed { table, id, router, sources, cuts, joins, ready, arrived })
    }

    /// Moves what has come to `ready`.
    fn collect(&mut self, cx: &mut Context<'_>) -> std::result::Result<(), ReplicaError> {
        self.look(cx)?;
        while self.ready.is_empty() && self.may_go_on()? {
            self.look(cx)?;
        }
        Ok(())
    }

    /// Looks once at each source.
    fn look(&mut self, cx: &mut Context<'_>) -> std::result::Result<(), ReplicaError> {
        let at_once = if buggify!("replica/feed-source-by-source") { 1 } else { FEED_CHANGES_AT_ONCE };
        let mut next = 0;
        // Those that are found on the way are listened to at once.
        while next < self.sources.len() && self.ready.len() < at_once {
            let (before, rest) = self.sources.split_at_mut(next);
            let Some((source, behind)) = rest.split_first_mut() else { break };
            let mut news = News::default();
            let mut collected = source.place.collect(&mut news, &Others([before, behind]), &self.arrived, cx);
            if source.since_token {
                collected = collected.map_err(of_token);
                source.since_token = news.changes.is_empty();
            }
            for told in &news.changes {
                self.ready.push(source.decode(told)?);
            }
            for (index, child) in news.children {
                // A token that was not made here may name it beside the other one.
                if self.sources.iter().any(|known| known.shard.0 == child.0) {
                    continue;
                }
                let of = Position { shard: self.sources[next].shard, index };
                let child = self.child_of(next, index, child)?;
                self.cuts.push(Cut { of, to: child.shard });
                self.sources.push(child);
            }
            for joined in &news.joined {
                next = self.passes(next, joined);
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
        let cursor = Cursor::after(photondb_shard::Position(index));
        let place = Place::There(There::to_come(router, self.id, child, cursor));
        Ok(Source { shard: ShardNumber(child.0), place, since_token: self.sources[of].since_token })
    }
}

impl Source {
    fn decode(&self, told: &Told) -> std::result::Result<Change, ReplicaError> {
        let Told { entry, change, then } = told;
        let datum = |bytes: &Option<_>| bytes.as_ref().map(decode_datum).transpose();
        let (old, new) = (datum(&change.old)?, datum(&change.new)?);
        let position = Position { shard: self.shard, index: *entry };
        let then = standing(if fault_point!("token-leads-too-far") { Cursor::after(then.position) } else { *then });
        Ok(Change { old, new, position, then })
    }
}

/// As who came with a token is told.
fn of_token(error: ReplicaError) -> ReplicaError {
    match error {
        ReplicaError::Shard(ShardError::ChangesTrimmed { .. }) | ReplicaError::Retired => ReplicaError::TokenTooOld,
        error => error,
    }
}

/// Why a shard that a token names is not among those that there are.
fn not_there(routes: &TableRoutes, shard: ShardNumber) -> ReplicaError {
    let first = routes.all().first().map(|route| route.table);
    let whereabouts = routes.router().zip(first).map(|(router, table)| router.whereabouts(table, ShardId(shard.0)));
    match whereabouts {
        Some(Whereabouts::Retired) => ReplicaError::TokenTooOld,
        _ => ShardError::Moved.into(),
    }
}

fn standing(cursor: Cursor) -> Standing {
    Standing { index: cursor.position.0, given: cursor.given }
}

/// Why a feed that was open ends.
fn aborted(error: ReplicaError, table: &str) -> QueryError {
    match error {
        // The table was dropped. RethinkDB has no other words for it.
        ReplicaError::Shard(ShardError::Gone) => QueryError::op_failed("Changefeed aborted (unavailable)."),
        error => error.for_query(table, Doing::Subscribe),
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
            looked.map_err(|error| aborted(error, &self.table))?;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    fn try_next(&mut self) -> Result<Vec<Change>> {
        let looked = self.collect(&mut Context::from_waker(Waker::noop()));
        looked.map_err(|error| aborted(error, &self.table))?;
        Ok(std::mem::take(&mut self.ready))
    }

    fn sources(&self) -> Vec<table::Source> {
        let source = |source: &Source| {
            let group = source.place.rescued().map_or(0, |founder| founder.0);
            table::Source { shard: source.shard, standing: standing(source.place.cursor()), group }
        };
        self.sources.iter().map(source).collect()
    }

    fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    fn joins(&self) -> &[Join] {
        &self.joins
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
