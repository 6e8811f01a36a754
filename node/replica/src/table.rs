//! `query::Table` over the shards of one table.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use photondb_query::table::{
    Access, IndexInfo, Keys, ReadMode, Rows, Subscription, Table, TableInfo, Write, WriteOptions, WriteResult,
};
use photondb_query::write;
use photondb_reql::datum::Datum;
use photondb_reql::error::{ErrorKind, Result};
use photondb_reql::eval::Cx;
use photondb_runtime::fiber;
use photondb_shard::read::KeyBounds;
use photondb_shard::schema::Built;
use photondb_shard::{Effect, ShardError};

use crate::error::ReplicaError;
use crate::feed::{TableFeed, document_or_null};
use crate::keys;
use crate::limits::ATTEMPTS_MAX;
use crate::proposer::{Planned, Proposer, Settled};
use crate::replica::TableReplicas;
use crate::scan::{TableScan, point, read};

/// A user's table, as queries see it.
pub struct ShardTable {
    info: TableInfo,
    replicas: Arc<TableReplicas>,
}

impl ShardTable {
    /// The table described by `info`, whose shards are `replicas`.
    pub fn new(info: TableInfo, replicas: Arc<TableReplicas>) -> ShardTable {
        ShardTable { info, replicas }
    }

    /// The shards.
    pub fn replicas(&self) -> &Arc<TableReplicas> {
        &self.replicas
    }

    fn explain(&self, error: ReplicaError) -> photondb_reql::error::Error {
        error.for_query(&format!("{}.{}", &*self.info.db_name, &*self.info.name))
    }

    /// Writes to one shard: `indexes` name the writes of `all` that belong to it.
    fn write_shard(
        &self,
        proposer: &Proposer,
        all: &[KeyedWrite],
        indexes: Vec<usize>,
        options: &WriteOptions,
        cx: &Cx,
        results: &mut [Option<WriteResult>],
    ) -> Result<()> {
        let mut open = indexes;
        let mut attempts = 0;
        while !open.is_empty() {
            let keys: Vec<Bytes> = open.iter().map(|index| all[*index].key.clone()).collect();
            let (ticket, documents) = fiber::wait(proposer.read(&keys)).map_err(|error| self.explain(error))?;
            let mut planned = Vec::with_capacity(open.len());
            let mut evaluated = Vec::with_capacity(open.len());
            for (index, document) in open.iter().zip(documents) {
                let KeyedWrite { key, write } = &all[*index];
                let old = document_or_null(document.as_ref()).map_err(|error| self.explain(error))?;
                let (effect, result) = self.evaluate(key, write, old, options, cx);
                planned.push(Planned { key: key.clone(), expected: document, effect });
                evaluated.push(result);
            }
            let submitted = proposer.submit(&ticket, planned).map_err(|error| self.explain(error))?;
            let (taken, full) = (submitted.taken.clone(), submitted.full);
            match fiber::wait(submitted.settle()).map_err(|error| self.explain(error))? {
                Settled::Applied if taken.contains(&true) => {
                    let mut rest = Vec::new();
                    for ((index, result), taken) in open.iter().zip(evaluated).zip(taken) {
                        if taken { results[*index] = Some(result) } else { rest.push(*index) }
                    }
                    open = rest;
                }
                Settled::Applied if full => fiber::yield_now(),
                _ => {
                    attempts += 1;
                    if attempts == ATTEMPTS_MAX {
                        return Err(self.explain(ReplicaError::Unsettled { attempts }));
                    }
                    fiber::yield_now();
                }
            }
        }
        Ok(())
    }

    /// The document as this node has it; `Null` for none.
    fn document_now(&self, key: &Bytes) -> Result<Datum> {
        let read = || document_or_null(self.replicas.for_key(key)?.shard.get(key)?.as_ref());
        read().map_err(|error| self.explain(error))
    }

    fn evaluate(
        &self,
        key: &Bytes,
        write: &Write,
        old: Datum,
        options: &WriteOptions,
        cx: &Cx,
    ) -> (Option<Effect>, WriteResult) {
        match write::apply(&write.transition, &old, &self.info, &write.key, options, cx) {
            Err(error) => (None, WriteResult::Refused { error, old }),
            Ok(new) if new == old => (None, WriteResult::Done { old, new }),
            Ok(Datum::Null) => (Some(Effect::Delete { key: key.clone() }), WriteResult::Done { old, new: Datum::Null }),
            Ok(new) => {
                let mut document = Vec::with_capacity(256);
                new.encode(&mut document);
                let effect = Effect::Put { key: key.clone(), document: Bytes::from(document) };
                (Some(effect), WriteResult::Done { old, new })
            }
        }
    }
}

struct KeyedWrite {
    key: Bytes,
    write: Write,
}

impl Table for ShardTable {
    fn info(&self) -> &TableInfo {
        &self.info
    }

    fn get(&self, key: &Datum, mode: ReadMode) -> Result<Option<Datum>> {
        let key = keys::primary(key)?;
        let read = || {
            let replica = self.replicas.for_key(&key)?;
            let term = replica.group.leading();
            if term.is_none() && mode != ReadMode::Outdated {
                return Err(ReplicaError::NotLeading);
            }
            let document = replica.shard.get(&key)?;
            if replica.group.leading() != term && mode != ReadMode::Outdated {
                return Err(ReplicaError::NotLeading);
            }
            Ok(document.as_ref().map(photondb_shard::secondary::decode_datum).transpose()?)
        };
        read().map_err(|error| self.explain(error))
    }

    fn scan(&self, access: &Access, mode: ReadMode) -> Result<Box<dyn Rows>> {
        if let Some(index) = &access.index {
            for replica in self.replicas.shards() {
                let reader = read(replica, mode).map_err(|error| self.explain(error))?;
                reader.index(index).map_err(|error| self.explain(error.into()))?;
            }
        }
        let name = format!("{}.{}", &*self.info.db_name, &*self.info.name).as_str().into();
        Ok(Box::new(TableScan::new(name, self.replicas.clone(), access, mode)?))
    }

    fn count(&self, access: &Access, mode: ReadMode) -> Result<Option<u64>> {
        let ranges = match &access.keys {
            Keys::Range(range) => vec![range.clone()],
            Keys::Each(each) => each.iter().map(point).collect(),
            // Which geometries are meant is seen only by looking at them.
            Keys::Cells(_) => return Ok(None),
        };
        let mut total = 0;
        for range in &ranges {
            // A truncated index value says nothing exact about its row.
            let bounds = match &access.index {
                None => keys::primary_bounds(range)?,
                Some(_) => match keys::index_bounds(range)? {
                    Some((_, true)) => return Ok(None),
                    exact => exact.map(|(bounds, _)| bounds),
                },
            };
            let Some(bounds) = bounds else { continue };
            for replica in self.replicas.shards() {
                let reader = read(replica, mode).map_err(|error| self.explain(error))?;
                total += match &access.index {
                    None => reader.count_documents(&bounds),
                    Some(index) => reader.count_index(index, &bounds),
                }
                .map_err(|error| self.explain(error.into()))?;
            }
        }
        Ok(Some(total))
    }

    fn left_out(&self, index: &str, mode: ReadMode) -> Result<Option<u64>> {
        let mut left_out = 0;
        for replica in self.replicas.shards() {
            let reader = read(replica, mode).map_err(|error| self.explain(error))?;
            let multi = reader.index(index).map_err(|error| self.explain(error.into()))?.multi;
            if multi {
                return Ok(None);
            }
            let count = || {
                let documents = reader.count_documents(&KeyBounds::all())?;
                Ok(documents.saturating_sub(reader.count_index(index, &KeyBounds::all())?))
            };
            left_out += count().map_err(|error: ShardError| self.explain(error.into()))?;
        }
        Ok(Some(left_out))
    }

    fn write(&self, writes: Vec<Write>, options: &WriteOptions, cx: &Cx) -> Result<Vec<WriteResult>> {
        let mut results: Vec<Option<WriteResult>> = vec![None; writes.len()];
        let mut keyed = Vec::with_capacity(writes.len());
        let mut by_shard = vec![Vec::new(); self.replicas.shards().len()];
        for write in writes {
            let key = keys::primary(&write.key)?;
            let shard = self.replicas.shards().iter().position(|replica| replica.range.contains(&key));
            let shard = shard.ok_or_else(|| self.explain(ReplicaError::NotLeading))?;
            by_shard[shard].push(keyed.len());
            keyed.push(KeyedWrite { key, write });
        }
        for (replica, indexes) in self.replicas.shards().iter().zip(by_shard) {
            let Err(error) = self.write_shard(&replica.proposer, &keyed, indexes, options, cx, &mut results) else {
                continue;
            };
            // What this request has written already stays written, so it cannot be said of the whole that it failed: the
            // writes that were not taken are refused one by one.
            if error.kind != ErrorKind::OpFailed || results.iter().all(Option::is_none) {
                return Err(error);
            }
            for (result, KeyedWrite { key, .. }) in results.iter_mut().zip(&keyed) {
                if result.is_none() {
                    let old = self.document_now(key)?;
                    *result = Some(WriteResult::Refused { error: error.clone(), old });
                }
            }
            break;
        }
        Ok(results
            .into_iter()
            .map(|result| result.expect("each write belongs to one shard, which settled it"))
            .collect())
    }

    fn sync(&self) -> Result<()> {
        // An acknowledged write is durable already; a leader is still needed to say so.
        for replica in self.replicas.shards() {
            replica.read().map_err(|error| self.explain(error))?;
        }
        Ok(())
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>> {
        let name = format!("{}.{}", &*self.info.db_name, &*self.info.name);
        Ok(Box::new(TableFeed::open(&name, &self.replicas)))
    }

    fn indexes(&self) -> Result<Vec<IndexInfo>> {
        let Some(first) = self.replicas.shards().first() else { return Ok(Vec::new()) };
        let mut indexes = Vec::new();
        for index in first.shard.view().schema.indexes.values() {
            let (mut ready, mut outdated, mut progress) = (true, false, 1.0f64);
            for replica in self.replicas.shards() {
                let view = replica.shard.view();
                if let Some(here) = view.schema.indexes.get(&index.id) {
                    ready &= here.is_usable();
                    outdated |= here.outdated;
                    progress = progress.min(part_built(replica, &here.built));
                }
            }
            indexes.push(IndexInfo {
                name: index.name.as_str().into(),
                ready,
                progress,
                multi: index.multi,
                geo: index.geo,
                outdated,
                definition: index.definition.to_vec(),
                query: String::new(),
            });
        }
        indexes.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(indexes)
    }
}

/// Which part of its documents an index covers, from 0 to 1.
fn part_built(replica: &crate::replica::Replica, built: &Built) -> f64 {
    match built {
        Built::Whole => 1.0,
        Built::Nothing => 0.0,
        Built::UpTo(mark) => {
            let below = KeyBounds::new(Bound::Unbounded, Bound::Included(mark.clone()));
            let count = |bounds| replica.shard.read().and_then(|reader| reader.count_documents(bounds)).unwrap_or(0);
            count(&below) as f64 / count(&KeyBounds::all()).max(1) as f64
        }
    }
}
