//! What a table's indexes are like, from what its shards say of theirs.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use photondb_proto::IndexId;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::request::Ask;
use photondb_query::table::{IndexInfo, ReadMode};
use photondb_shard::Reader;
use photondb_shard::read::KeyBounds;
use photondb_shard::schema::Built;

use super::{ReplicaResult, ShardTable};
use crate::error::ReplicaError;
use crate::forward::Told;
use crate::message::Malformed;
use crate::replica::TableReplicas;
use crate::routes::{Route, TableRoutes};

/// An index of one shard.
pub(crate) struct ShardIndex {
    pub id: IndexId,
    pub name: String,
    pub usable: bool,
    pub outdated: bool,
    /// From 0 to 1.
    pub part_built: f64,
    pub multi: bool,
    pub geo: bool,
    pub definition: Bytes,
}

impl ShardTable {
    /// As the shard's leader has them. While there is none, as this node's member has them.
    pub(super) fn indexes_in(&self, routes: &TableRoutes, route: &Arc<Route>) -> ReplicaResult<Vec<ShardIndex>> {
        let told = |told| match told {
            Told::Indexes(indexes) => Ok(indexes.indexes.into_iter().map(ShardIndex::from).collect()),
            _ => Err(Malformed("no indexes where they were asked for").into()),
        };
        let ask = || Ask::ListIndexes(wire::ListIndexes {});
        match (self.read(routes, route, ReadMode::Single, indexes_of, ask, told), &route.here) {
            (Err(ReplicaError::NotLeading | ReplicaError::Unavailable { .. }), Some(replica)) => {
                indexes_of(&replica.read_outdated()?)
            }
            (indexes, _) => indexes,
        }
    }
}

/// The indexes that a view of a shard shows.
pub(crate) fn indexes_of(reader: &Reader) -> ReplicaResult<Vec<ShardIndex>> {
    let index = |index: &Arc<photondb_shard::Index>| ShardIndex {
        id: index.id,
        name: index.name.clone(),
        usable: index.is_usable(),
        outdated: index.outdated,
        part_built: part_built(reader, &index.built),
        multi: index.multi,
        geo: index.geo,
        definition: index.definition.clone(),
    };
    Ok(reader.schema().indexes.values().map(index).collect())
}

/// An index as the members of its table that run on this node have it.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexHere {
    /// Its name.
    pub name: String,
    /// Every one of them may answer by it.
    pub usable: bool,
    /// One of them has it of another version of the evaluator.
    pub outdated: bool,
    /// How far it is built where it is built least, from 0 to 1.
    pub part_built: f64,
}

impl TableReplicas {
    /// The table's indexes as they are here, by name. A member that cannot be read is left out.
    pub fn indexes(&self) -> Vec<IndexHere> {
        let read = |replica: &Arc<crate::Replica>| indexes_of(&replica.read_outdated()?);
        let told = self.shards().iter().filter_map(|replica| match read(replica) {
            Ok(indexes) => Some(indexes),
            Err(error) => {
                tracing::debug!(shard = %replica.id, %error, "the indexes of a shard are not told");
                None
            }
        });
        let here = |index: IndexInfo| IndexHere {
            name: index.name.to_string(),
            usable: index.ready,
            outdated: index.outdated,
            part_built: index.progress,
        };
        together(told.collect()).into_iter().map(here).collect()
    }
}

/// How many documents have no entry in an index; `None`: it may file a document more than once.
pub(crate) fn left_out(reader: &Reader, index: &str) -> ReplicaResult<Option<u64>> {
    if reader.index(index)?.multi {
        return Ok(None);
    }
    let documents = reader.count_documents(&KeyBounds::all())?;
    Ok(Some(documents.saturating_sub(reader.count_index(index, &KeyBounds::all())?)))
}

/// The indexes of a table, by name: those of its first shard, each as far as all shards are.
pub(super) fn together(shards: Vec<Vec<ShardIndex>>) -> Vec<IndexInfo> {
    let Some((first, others)) = shards.split_first() else { return Vec::new() };
    let whole = |index: &ShardIndex| {
        let (mut ready, mut outdated, mut progress) = (index.usable, index.outdated, index.part_built);
        for here in others.iter().filter_map(|shard| shard.iter().find(|here| here.id == index.id)) {
            ready &= here.usable;
            outdated |= here.outdated;
            progress = progress.min(here.part_built);
        }
        IndexInfo {
            name: index.name.as_str().into(),
            ready,
            progress,
            multi: index.multi,
            geo: index.geo,
            outdated,
            definition: index.definition.to_vec(),
            query: String::new(),
        }
    };
    let mut indexes: Vec<IndexInfo> = first.iter().map(whole).collect();
    indexes.sort_by(|left, right| left.name.cmp(&right.name));
    indexes
}

/// Which part of its documents an index covers, from 0 to 1.
fn part_built(reader: &Reader, built: &Built) -> f64 {
    match built {
        Built::Whole => 1.0,
        Built::Nothing => 0.0,
        Built::UpTo(mark) => {
            let below = KeyBounds::new(Bound::Unbounded, Bound::Included(mark.clone()));
            let count = |bounds| reader.count_documents(bounds).unwrap_or(0);
            count(&below) as f64 / count(&KeyBounds::all()).max(1) as f64
        }
    }
}

impl From<ShardIndex> for wire::Index {
    fn from(index: ShardIndex) -> wire::Index {
        wire::Index {
            index_id: index.id.0,
            name: index.name,
            usable: index.usable,
            outdated: index.outdated,
            part_built: index.part_built,
            multi: index.multi,
            geo: index.geo,
            definition: index.definition,
        }
    }
}

impl From<wire::Index> for ShardIndex {
    fn from(index: wire::Index) -> ShardIndex {
        ShardIndex {
            id: IndexId(index.index_id),
            name: index.name,
            usable: index.usable,
            outdated: index.outdated,
            part_built: index.part_built.clamp(0.0, 1.0),
            multi: index.multi,
            geo: index.geo,
            definition: index.definition,
        }
    }
}
