//! `query::Table` over the shards of one table, wherever they are.
//!
//! What this node leads is read and written here, without a detour. For the rest somebody who leads is looked for, and asked.

mod divide;
mod elsewhere;
pub(crate) mod indexes;

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::request::Ask;
use photondb_query::table::{
    Access, IndexInfo, Keys, ReadMode, Rows, Source, Subscription, Table, TableInfo, Write, WriteOptions, WriteResult,
};
use photondb_reql::datum::Datum;
use photondb_reql::error::{ErrorKind, Result};
use photondb_reql::eval::Cx;
use photondb_runtime::{fiber, task};
use photondb_shard::read::KeyBounds;
use photondb_shard::secondary::decode_datum;
use photondb_shard::{Reader, ShardError};
use photondb_storage::fault::fault_point;

use crate::error::{Doing, ReplicaError};
use crate::feed::TableFeed;
use crate::forward::Told;
use crate::keys;
use crate::limits::READ_TIME_MAX;
use crate::message::{self, Malformed};
use crate::replica::{Replica, check_no_more};
use crate::routes::{Route, TableRoutes};
use crate::scan::{TableScan, point};
use crate::writer::{KeyedWrite, Request, write_shard};
use elsewhere::{get_elsewhere, read_elsewhere, write_elsewhere};

pub use divide::Share;

type ReplicaResult<T> = std::result::Result<T, ReplicaError>;

/// A user's table, as queries see it.
pub struct ShardTable {
    info: TableInfo,
    /// Replaced when a shard turns out to have been split.
    routes: RefCell<Arc<TableRoutes>>,
}

impl ShardTable {
    /// The table described by `info`, whose shards are reached by `routes`.
    pub fn new(info: TableInfo, routes: Arc<TableRoutes>) -> ShardTable {
        ShardTable { info, routes: RefCell::new(routes) }
    }

    fn routes(&self) -> Arc<TableRoutes> {
        self.routes.borrow().clone()
    }

    /// Does something at the shards of the table, and again at those that there are by then as long as one of them has lost keys
    /// to another.
    fn at_shards<T>(&self, mut act: impl FnMut(&TableRoutes) -> ReplicaResult<T>) -> ReplicaResult<T> {
        loop {
            let routes = self.routes();
            let moved = match act(&routes) {
                Err(moved @ ReplicaError::Shard(ShardError::Moved)) => moved,
                done => return done,
            };
            let router = routes.router().ok_or(moved)?;
            let newer = fiber::wait(router.newer(&routes))?;
            *self.routes.borrow_mut() = newer;
        }
    }

    fn explain(&self, error: ReplicaError, doing: Doing) -> photondb_reql::error::Error {
        error.for_query(&self.name(), doing)
    }

    fn name(&self) -> String {
        format!("{}.{}", &*self.info.db_name, &*self.info.name)
    }

    /// Does something with a view of a shard that is as fresh as `mode` asks, or asks another node for the same.
    fn read<T>(
        &self,
        routes: &TableRoutes,
        route: &Arc<Route>,
        mode: ReadMode,
        here: impl Fn(&Reader) -> ReplicaResult<T>,
        ask: impl FnOnce() -> Ask,
        told: impl FnOnce(Told) -> ReplicaResult<T>,
    ) -> ReplicaResult<T> {
        if let Some(replica) = &route.here {
            match replica.read_range(&route.range, route.epoch, mode) {
                Err(ReplicaError::NotLeading) => {}
                reader => return here(&reader?),
            }
        }
        read_elsewhere(routes, route, mode, here, &ask(), told)
    }

    fn count_in(
        &self,
        routes: &TableRoutes,
        route: &Arc<Route>,
        index: Option<&str>,
        ranges: &[KeyBounds],
        mode: ReadMode,
    ) -> ReplicaResult<u64> {
        let count = |reader: &Reader| {
            check_no_more(reader, &route.range)?;
            let count = |bounds| match index {
                None => reader.count_documents(bounds),
                Some(index) => reader.count_index(index, bounds),
            };
            Ok(ranges.iter().map(count).sum::<std::result::Result<u64, ShardError>>()?)
        };
        let ask = || {
            Ask::Count(wire::Count {
                mode: message::mode(mode),
                index: index.map(str::to_owned),
                ranges: ranges.iter().map(message::scan::bounds).collect(),
            })
        };
        let told = |told| match told {
            Told::Counted(wire::Counted { count: Some(count) }) => Ok(count),
            _ => Err(Malformed("no count where one was asked for").into()),
        };
        self.read(routes, route, mode, count, ask, told)
    }

    /// Whether an index can be read.
    fn check_index(&self, routes: &TableRoutes, route: &Arc<Route>, index: &str, mode: ReadMode) -> ReplicaResult<()> {
        match &route.here {
            Some(replica) if mode == ReadMode::Outdated || replica.is_leading() => {
                replica.read_outdated()?.index(index)?;
                Ok(())
            }
            // An index that cannot be read cannot be counted either.
            _ => self.count_in(routes, route, Some(index), &[], mode).map(|_| ()),
        }
    }

    /// The document as this node has it; `Null` for none, and where it has nothing of the shard.
    fn document_here(&self, key: &Bytes) -> Datum {
        let routes = self.routes();
        let here = routes.for_key(key).ok().and_then(|route| route.here.as_ref());
        let found = here.map(|replica| get_here(replica, key, ReadMode::Outdated));
        found.and_then(|found| found.ok().flatten()).unwrap_or(Datum::Null)
    }
}

fn get_in(routes: &TableRoutes, route: &Arc<Route>, key: &Bytes, mode: ReadMode) -> ReplicaResult<Option<Datum>> {
    match &route.here {
        Some(replica) => match get_here(replica, key, mode) {
            Err(ReplicaError::NotLeading) => get_elsewhere(routes, route, key, mode),
            // The key may have come with a join that others have applied.
            Err(ReplicaError::Shard(ShardError::Moved)) if replica.lags(route.epoch) => {
                get_elsewhere(routes, route, key, mode)
            }
            found => found,
        },
        None => get_elsewhere(routes, route, key, mode),
    }
}

/// Without a snapshot, which a single document does not need.
fn get_here(replica: &Replica, key: &Bytes, mode: ReadMode) -> ReplicaResult<Option<Datum>> {
    if fault_point!("term-not-noted") {
        let document = replica.shard.get(key)?;
        fiber::wait(task::sleep(READ_TIME_MAX / 4));
        replica.answers_in().ok_or(ReplicaError::NotLeading)?;
        return Ok(document.as_ref().map(decode_datum).transpose()?);
    }
    let term = replica.answers_in();
    if term.is_none() && mode != ReadMode::Outdated {
        return Err(ReplicaError::NotLeading);
    }
    let document = replica.shard.get(key)?;
    if replica.answers_in() != term && mode != ReadMode::Outdated {
        return Err(ReplicaError::NotLeading);
    }
    Ok(document.as_ref().map(decode_datum).transpose()?)
}

impl Table for ShardTable {
    fn info(&self) -> &TableInfo {
        &self.info
    }

    fn get(&self, key: &Datum, mode: ReadMode) -> Result<Option<Datum>> {
        let key = keys::primary(key)?;
        let found = self.at_shards(|routes| get_in(routes, routes.for_key(&key)?, &key, mode));
        found.map_err(|error| self.explain(error, Doing::Read))
    }

    fn scan(&self, access: &Access, mode: ReadMode) -> Result<Box<dyn Rows>> {
        if let Some(index) = &access.index {
            let check = |routes: &TableRoutes| {
                routes.all().iter().try_for_each(|route| self.check_index(routes, route, index, mode))
            };
            self.at_shards(check).map_err(|error| self.explain(error, Doing::Read))?;
        }
        Ok(Box::new(TableScan::new(self.name().as_str().into(), self.routes(), access, mode)?))
    }

    fn count(&self, access: &Access, mode: ReadMode) -> Result<Option<u64>> {
        let ranges = match &access.keys {
            Keys::Range(range) => vec![range.clone()],
            Keys::Each(each) => each.iter().map(point).collect(),
            // Which geometries are meant is seen only by looking at them.
            Keys::Cells(_) => return Ok(None),
        };
        let mut all = Vec::with_capacity(ranges.len());
        for range in &ranges {
            // A truncated index value says nothing exact about its row.
            let bounds = match &access.index {
                None => keys::primary_bounds(range)?,
                Some(_) => match keys::index_bounds(range)? {
                    Some((_, true)) => return Ok(None),
                    exact => exact.map(|(bounds, _)| bounds),
                },
            };
            all.extend(bounds);
        }
        let count = |routes: &TableRoutes| {
            let count = |route| self.count_in(routes, route, access.index.as_deref(), &all, mode);
            routes.all().iter().map(count).sum()
        };
        let total: u64 = self.at_shards(count).map_err(|error| self.explain(error, Doing::Read))?;
        Ok(Some(total))
    }

    fn count_by_shard(&self, mode: ReadMode) -> Result<Option<Vec<u64>>> {
        Ok(Some(self.shares(mode)?.into_iter().map(|share| share.documents).collect()))
    }

    fn left_out(&self, index: &str, mode: ReadMode) -> Result<Option<u64>> {
        let left_out = |routes: &TableRoutes| {
            let mut total = 0;
            for route in routes.all() {
                let left_out_of = |reader: &Reader| {
                    check_no_more(reader, &route.range)?;
                    indexes::left_out(reader, index)
                };
                let ask = || Ask::LeftOut(wire::LeftOut { mode: message::mode(mode), index: index.to_owned() });
                let told = |told| match told {
                    Told::Counted(counted) => Ok(counted.count),
                    _ => Err(Malformed("no count where one was asked for").into()),
                };
                match self.read(routes, route, mode, left_out_of, ask, told)? {
                    Some(left_out) => total += left_out,
                    None => return Ok(None),
                }
            }
            Ok(Some(total))
        };
        self.at_shards(left_out).map_err(|error| self.explain(error, Doing::Read))
    }

    fn write(&self, writes: Vec<Write>, options: &WriteOptions, cx: &Cx) -> Result<Vec<WriteResult>> {
        let mut results: Vec<Option<WriteResult>> = vec![None; writes.len()];
        let mut keyed = Vec::with_capacity(writes.len());
        for write in writes {
            keyed.push(KeyedWrite { key: keys::primary(&write.key)?, write });
        }
        let request = Request { primary_key: &self.info.primary_key, options, cx };
        let written = self.at_shards(|routes| write_open(routes, &keyed, &request, &mut results));
        let failure = written.err();
        if let Some(failure) = failure {
            let error = self.explain(failure, Doing::Write);
            // What this request has written already stays written, so it cannot be said of the whole that it failed: the
            // writes that were not taken are refused one by one.
            if error.kind != ErrorKind::OpFailed || results.iter().all(Option::is_none) {
                return Err(error);
            }
            for (result, KeyedWrite { key, .. }) in results.iter_mut().zip(&keyed) {
                if result.is_none() {
                    *result = Some(WriteResult::Refused { error: error.clone(), old: self.document_here(key) });
                }
            }
        }
        Ok(results
            .into_iter()
            .map(|result| result.expect("each write belongs to one shard, which settled it"))
            .collect())
    }

    fn sync(&self) -> Result<()> {
        // An acknowledged write is durable already; a leader is still needed to say so.
        let sync = |routes: &TableRoutes, route: &Arc<Route>| {
            let told = |told| match told {
                Told::Synced(_) => Ok(()),
                _ => Err(Malformed("another answer than to `sync`").into()),
            };
            self.read(routes, route, ReadMode::Single, |_| Ok(()), || Ask::Sync(wire::Sync::default()), told)
        };
        let synced = self.at_shards(|routes| routes.all().iter().try_for_each(|route| sync(routes, route)));
        synced.map_err(|error| self.explain(error, Doing::Write))
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>> {
        let feed = self.at_shards(|routes| TableFeed::open(&self.name(), routes));
        Ok(Box::new(feed.map_err(|error| self.explain(error, Doing::Subscribe))?))
    }

    fn subscribe_from(&self, from: &[Source]) -> Result<Box<dyn Subscription>> {
        let feed = self.at_shards(|routes| TableFeed::open_from(&self.name(), routes, from));
        Ok(Box::new(feed.map_err(|error| self.explain(error, Doing::Subscribe))?))
    }

    fn indexes(&self) -> Result<Vec<IndexInfo>> {
        let list = |routes: &TableRoutes| {
            routes.all().iter().map(|route| self.indexes_in(routes, route)).collect::<ReplicaResult<Vec<_>>>()
        };
        Ok(indexes::together(self.at_shards(list).map_err(|error| self.explain(error, Doing::Read))?))
    }
}

/// Carries out the writes that have no result yet, each at the shard of its key.
fn write_open(
    routes: &TableRoutes,
    all: &[KeyedWrite],
    request: &Request<'_>,
    results: &mut [Option<WriteResult>],
) -> ReplicaResult<()> {
    let mut by_shard = vec![Vec::new(); routes.all().len()];
    for (index, write) in all.iter().enumerate().filter(|(index, _)| results[*index].is_none()) {
        by_shard[routes.place_of(&write.key)?].push(index);
    }
    let mut elsewhere = Vec::new();
    let mut moved = false;
    for (route, indexes) in routes.all().iter().zip(by_shard) {
        if indexes.is_empty() {
            continue;
        }
        let written = match &route.here {
            Some(replica) => write_shard(&replica.proposer, all, indexes, request, results),
            None => Err(ReplicaError::NotLeading),
        };
        match written {
            Ok(()) => {}
            Err(ReplicaError::NotLeading) => elsewhere.push(route),
            Err(ReplicaError::Shard(ShardError::Moved)) => moved = true,
            Err(error) => return Err(error),
        }
    }
    if !elsewhere.is_empty() {
        write_elsewhere(routes, &elsewhere, all, request, results)?;
    }
    if moved { Err(ShardError::Moved.into()) } else { Ok(()) }
}
