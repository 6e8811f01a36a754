//! Reading a shard at one snapshot.

use std::sync::Arc;

use bytes::Bytes;
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::geo::CellRanges;
use photondb_storage::{Direction, Snapshot};

use crate::error::ShardError;
use crate::primary;
use crate::schema::{Index, Schema};
use crate::secondary;
use crate::shard::{Position, trees};

/// Bounds of encoded keys of one tree. (A `KeyRange` of `proto` is a shard's part of its table.)
pub use photondb_storage::KeyRange as KeyBounds;

/// A shard as it was at one position.
pub struct Reader {
    pub(crate) snapshot: Snapshot,
    pub(crate) schema: Arc<Schema>,
    pub(crate) position: Position,
}

/// One document found by an index.
#[derive(Clone, Debug)]
pub struct IndexRow {
    /// The key of the index entry: where to go on after it.
    pub entry: Bytes,
    /// The value under which it was found.
    pub value: Datum,
    /// The encoded primary key.
    pub primary_key: Bytes,
    /// The encoded document.
    pub document: Bytes,
}

/// What one look into a geospatial index found.
#[derive(Clone, Debug)]
pub struct GeoRows {
    /// The documents with their geometries.
    pub rows: Vec<IndexRow>,
    /// The key of the last entry looked at.
    pub last: Option<Bytes>,
    /// Whether there may be more entries within the bounds.
    pub more: bool,
}

impl Reader {
    /// The last entry whose effects it holds.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The indexes as they were.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The encoded document with this encoded key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, ShardError> {
        self.snapshot.get(trees::PRIMARY, key)?.as_ref().map(primary::document).transpose()
    }

    /// About `want` documents with their keys, in the order of keys.
    pub fn documents(
        &self,
        bounds: &KeyBounds,
        direction: Direction,
        want: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, ShardError> {
        let mut rows = Vec::with_capacity(want.min(1024));
        let mut cursor = self.snapshot.cursor(trees::PRIMARY, bounds.clone(), direction)?;
        while rows.len() < want {
            let Some((key, value)) = cursor.next()? else { break };
            rows.push((key, primary::document(&value)?));
        }
        Ok(rows)
    }

    /// The number of documents within bounds, in O(log n).
    pub fn count_documents(&self, bounds: &KeyBounds) -> Result<u64, ShardError> {
        Ok(self.snapshot.count(trees::PRIMARY, bounds)?)
    }

    /// An index that is ready, and whole here.
    pub fn index(&self, name: &str) -> Result<&Arc<Index>, ShardError> {
        let index = self.schema.index(name).ok_or_else(|| ShardError::NoIndex(name.to_owned()))?;
        if index.is_usable() { Ok(index) } else { Err(ShardError::NotReady(name.to_owned())) }
    }

    /// About `want` documents by an index, in the order of index values.
    pub fn index_rows(
        &self,
        name: &str,
        bounds: &KeyBounds,
        direction: Direction,
        want: usize,
    ) -> Result<Vec<IndexRow>, ShardError> {
        let index = self.index(name)?;
        let mut rows = Vec::with_capacity(want.min(1024));
        let mut cursor = self.snapshot.cursor(index.tree, bounds.clone(), direction)?;
        while rows.len() < want {
            let Some((entry, stored)) = cursor.next()? else { break };
            let (primary_key, value) = secondary::decode(&stored)?;
            let document = self.get(&primary_key)?.ok_or(ShardError::Format {
                what: "an index entry",
                offset: 0,
                reason: "names a document that is not there",
            })?;
            rows.push(IndexRow { entry, value, primary_key, document });
        }
        Ok(rows)
    }

    /// Documents by a geospatial index: those with an entry within `bounds`, which are one of `ranges`, unless it has one in
    /// an earlier part of `ranges`. Looks at about `want` entries.
    pub fn geo_rows(
        &self,
        name: &str,
        ranges: &CellRanges,
        bounds: &KeyBounds,
        want: usize,
    ) -> Result<GeoRows, ShardError> {
        let index = self.index(name)?;
        let cx = Cx::pure();
        let mut found = GeoRows { rows: Vec::new(), last: None, more: true };
        let mut cursor = self.snapshot.cursor(index.tree, bounds.clone(), Direction::Forward)?;
        for _ in 0..want {
            let Some((key, stored)) = cursor.next()? else {
                found.more = false;
                break;
            };
            let entry = secondary::geo::decode(&key, &stored)?;
            found.last = Some(key.clone());
            if !entry.is_first_in(ranges) {
                continue;
            }
            let document = self.get(&entry.primary_key)?.ok_or(ShardError::Format {
                what: "an index entry",
                offset: 0,
                reason: "names a document that is not there",
            })?;
            let values = index.function.values(&secondary::decode_datum(&document)?, index.multi, &cx);
            let value = values.into_iter().nth(entry.number as usize).ok_or(ShardError::Format {
                what: "an index entry",
                offset: 0,
                reason: "names a value that its document does not have",
            })?;
            found.rows.push(IndexRow { entry: key, value, primary_key: entry.primary_key, document });
        }
        Ok(found)
    }

    /// The number of index entries within bounds, in O(log n).
    pub fn count_index(&self, name: &str, bounds: &KeyBounds) -> Result<u64, ShardError> {
        let index = self.index(name)?;
        Ok(self.snapshot.count(index.tree, bounds)?)
    }
}
