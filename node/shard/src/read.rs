//! Reading a shard at one snapshot.

mod geo;
mod index_cursor;

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use photondb_proto::{Epoch, KeyRange};
use photondb_reql::datum::Datum;
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::{Direction, Snapshot};

use crate::error::ShardError;
use crate::format::{VALUE_DOCUMENT, VALUE_HEADER_BYTES, check_value};
use crate::limits::{READ_BYTES_MAX, ROWS_BUFFER_BYTES, SAMPLE_BYTES_MAX, SAMPLE_STRIDE};
use crate::primary;
use crate::schema::{Index, IndexState, Schema};
use crate::secondary;
use crate::shard::{Position, State, View, trees};
use crate::traffic::Traffic;
pub use geo::{GeoRows, GeoScan};
pub(crate) use index_cursor::IndexCursor;

/// Bounds of encoded keys of one tree. (A `KeyRange` of `proto` is a shard's part of its table.)
pub use photondb_storage::KeyRange as KeyBounds;

/// A shard as it was at one position.
pub struct Reader {
    pub(crate) snapshot: Snapshot,
    pub(crate) schema: Arc<Schema>,
    pub(crate) position: Position,
    range: Option<KeyRange>,
    epoch: Epoch,
    frozen: bool,
    traffic: Arc<Traffic>,
}

/// Some of a shard's documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many documents the shard has.
    pub documents: u64,
    /// The sizes of some, key and document as they are encoded, in bytes.
    pub sizes: Vec<u64>,
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

/// What one look at documents by an index found.
#[derive(Clone, Debug)]
pub struct IndexRows {
    /// The documents.
    pub rows: Vec<IndexRow>,
    /// Whether there may be more behind them.
    pub more: bool,
}

/// One entry of an index, its document not read.
#[derive(Clone, Debug)]
pub struct IndexEntry {
    /// Its key.
    pub entry: Bytes,
    /// The value under which the document stands here.
    pub value: Datum,
    /// The encoded primary key.
    pub primary_key: Bytes,
}

/// What one look at documents found.
#[derive(Clone, Debug)]
pub struct Documents {
    /// Encoded keys and documents.
    pub rows: Vec<(Bytes, Bytes)>,
    /// How many documents were looked at.
    pub examined: usize,
    /// The key after which to go on; `None`: there are no more.
    pub last: Option<Bytes>,
}

impl Reader {
    pub(crate) fn new(snapshot: Snapshot, view: &View, position: Position, traffic: &Arc<Traffic>) -> Reader {
        let (schema, range, traffic) = (view.schema.clone(), view.range.clone(), traffic.clone());
        Reader { snapshot, schema, position, range, epoch: view.epoch, frozen: view.frozen.is_some(), traffic }
    }

    /// Where whoever looks at ranges and indexes by it notes that.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Errors: [`ShardError::Moved`] when not all keys of the range that the shard was asked for are the shard's, or it is frozen.
    pub fn check_range(&self, asked: &KeyRange) -> Result<(), ShardError> {
        match &self.range {
            _ if self.frozen && !fault_point!("frozen-still-read") => Err(ShardError::Moved),
            Some(range) if !range.covers(asked) && !fault_point!("range-not-checked") => Err(ShardError::Moved),
            _ => Ok(()),
        }
    }

    /// The keys it has; `None`: those that it began with.
    pub fn range(&self) -> Option<&KeyRange> {
        self.range.as_ref()
    }

    /// Raised by then by each change of who answers for which keys.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The last entry whose effects it holds.
    pub fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn state(&self) -> Result<State, ShardError> {
        let meta = self.snapshot.meta();
        if meta.is_empty() { Ok(State::default()) } else { State::decode(&meta) }
    }

    /// The indexes as they were.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The encoded document with this encoded key, for somebody who asks for it by that. Errors: [`ShardError::Moved`] when the key is
    /// another shard's, or the shard is frozen.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, ShardError> {
        self.traffic.note_get(key);
        self.document(key)
    }

    /// The same, not counted as a read.
    pub(crate) fn document(&self, key: &[u8]) -> Result<Option<Bytes>, ShardError> {
        if self.frozen && !fault_point!("frozen-still-read")
            || self.range.as_ref().is_some_and(|range| !range.contains(key))
        {
            return Err(ShardError::Moved);
        }
        self.snapshot.get(trees::PRIMARY, key)?.as_ref().map(primary::document).transpose()
    }

    /// About `want` documents with their keys, in the order of keys; fewer when they are large. Those are left out for which
    /// `glance`, which sees each where it lies in its page, answers that it has seen enough of them. Neighbours share a
    /// buffer: who keeps few of many takes copies.
    pub fn documents(
        &self,
        bounds: &KeyBounds,
        direction: Direction,
        want: usize,
        mut glance: impl FnMut(&[u8]) -> bool,
    ) -> Result<Documents, ShardError> {
        let mut rows = Rows::with_capacity(want.min(1024));
        let (mut examined, mut bytes) = (0, 0);
        let bytes_max = if buggify!("shard/documents-cut-short") { 0 } else { READ_BYTES_MAX };
        let mut cursor = self.snapshot.cursor(trees::PRIMARY, bounds.clone(), direction)?;
        let stopped = cursor.for_each(|key, value| {
            if let Err(error) = check_value(value, VALUE_DOCUMENT) {
                return ControlFlow::Break(Err(error));
            }
            let document = &value[VALUE_HEADER_BYTES..];
            examined += 1;
            bytes += document.len();
            if !glance(document) {
                rows.push(key, document);
            }
            if examined < want && bytes < bytes_max {
                return ControlFlow::Continue(());
            }
            ControlFlow::Break(Ok(Bytes::copy_from_slice(key)))
        })?;
        Ok(Documents { rows: rows.finish(), examined, last: stopped.transpose()? })
    }

    /// Every document with its key, all at once: for whoever checks a shard.
    pub fn all_documents(&self) -> Result<Vec<(Bytes, Bytes)>, ShardError> {
        let (mut all, mut bounds) = (Vec::new(), KeyBounds::all());
        loop {
            let found = self.documents(&bounds, Direction::Forward, usize::MAX, |_| false)?;
            all.extend(found.rows);
            let Some(last) = found.last else { return Ok(all) };
            bounds = KeyBounds::after(last);
        }
    }

    /// The number of documents within bounds, in O(log n).
    pub fn count_documents(&self, bounds: &KeyBounds) -> Result<u64, ShardError> {
        Ok(self.snapshot.count(trees::PRIMARY, bounds)?)
    }

    /// Keys that divide the documents into `parts` of about the same number, in O(log n) for each; fewer when there are too few
    /// documents. A part begins with its key.
    pub fn divide(&self, parts: usize) -> Result<Vec<Bytes>, ShardError> {
        let all = KeyBounds::all();
        let count = self.count_documents(&all)?;
        let mut keys: Vec<Bytes> = Vec::with_capacity(parts);
        for part in 1..parts as u64 {
            let Some((key, _)) = self.snapshot.nth(trees::PRIMARY, &all, count * part / parts as u64)? else { break };
            // The first key of all would leave nothing before it.
            if count * part / parts as u64 > 0 && keys.last() != Some(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// The sizes of some documents, in bytes, each as likely as any other; at most `want`, fewer when they are large. In O(log n) for each.
    pub fn sample_sizes(&self, want: usize) -> Result<Sample, ShardError> {
        let all = KeyBounds::all();
        let documents = self.count_documents(&all)?;
        let want = usize::try_from(documents).unwrap_or(usize::MAX).min(want);
        let want = if want.is_multiple_of(SAMPLE_STRIDE) { want.saturating_sub(1) } else { want };
        let mut sample = Sample { documents, sizes: Vec::with_capacity(want) };
        let mut read = 0;
        for number in 0..want {
            // Far from each other from the first on, so that the sample may end early.
            let (number, of) = ((number * SAMPLE_STRIDE % want) as u128, want as u128);
            let at = u64::try_from(u128::from(documents) * (2 * number + 1) / (2 * of)).unwrap_or(u64::MAX);
            let Some((key, document)) = self.snapshot.nth(trees::PRIMARY, &all, at)? else { break };
            let size = (key.len() + document.len()) as u64;
            sample.sizes.push(size);
            read += size;
            if read > SAMPLE_BYTES_MAX {
                break;
            }
        }
        Ok(sample)
    }

    /// An index that is ready, and whole here.
    pub fn index(&self, name: &str) -> Result<&Arc<Index>, ShardError> {
        let index = self.schema.index(name).ok_or_else(|| ShardError::NoIndex(name.to_owned()))?;
        let taken_back = index.state == IndexState::Ready && !index.is_usable();
        photondb_storage::probe!("ready index not read, what was built of it is lost here", taken_back);
        if index.is_usable() { Ok(index) } else { Err(ShardError::NotReady(name.to_owned())) }
    }

    /// About `want` documents by an index, in the order of index values; fewer when they are large.
    pub fn index_rows(
        &self,
        name: &str,
        bounds: &KeyBounds,
        direction: Direction,
        want: usize,
    ) -> Result<IndexRows, ShardError> {
        let bytes_max = if buggify!("shard/index-rows-cut-short") { 0 } else { READ_BYTES_MAX };
        let (entries, more) = self.index_entries(name, bounds, direction, want)?;
        let mut found = IndexRows { rows: Vec::with_capacity(entries.len()), more };
        let wanted = entries.len();
        let mut bytes = 0;
        for IndexEntry { entry, value, primary_key } in entries {
            let document = self.indexed_document(&primary_key)?;
            bytes += document.len();
            found.rows.push(IndexRow { entry, value, primary_key, document });
            if bytes >= bytes_max {
                found.more |= found.rows.len() < wanted;
                break;
            }
        }
        Ok(found)
    }

    /// About `want` entries of an index, in the order of their keys, fewer when their values are large; and whether there may
    /// be more.
    pub fn index_entries(
        &self,
        name: &str,
        bounds: &KeyBounds,
        direction: Direction,
        want: usize,
    ) -> Result<(Vec<IndexEntry>, bool), ShardError> {
        let index = self.index(name)?;
        let mut entries = Vec::with_capacity(want.min(1024));
        let mut bytes = 0;
        let mut cursor = IndexCursor::new(self, index, bounds, direction)?;
        while entries.len() < want && bytes < READ_BYTES_MAX {
            let Some((entry, stored)) = cursor.next()? else { return Ok((entries, false)) };
            bytes += entry.len() + stored.len();
            let (primary_key, value) = secondary::decode(&stored)?;
            entries.push(IndexEntry { entry, value, primary_key });
        }
        Ok((entries, true))
    }

    /// The encoded document that an entry of an index names.
    pub fn indexed_document(&self, primary_key: &[u8]) -> Result<Bytes, ShardError> {
        self.document(primary_key)?.ok_or(ShardError::Format {
            what: "an index entry",
            offset: 0,
            reason: "names a document that is not there",
        })
    }

    /// The number of index entries within bounds, in O(log n).
    pub fn count_index(&self, name: &str, bounds: &KeyBounds) -> Result<u64, ShardError> {
        self.count_entries(self.index(name)?, bounds)
    }

    pub(crate) fn count_entries(&self, index: &Index, bounds: &KeyBounds) -> Result<u64, ShardError> {
        let in_rest = match self.rest_of(index) {
            Some(rest) => self.snapshot.count(rest, bounds)?,
            None => 0,
        };
        Ok(self.snapshot.count(index.tree, bounds)? + in_rest)
    }
}

/// Keys and documents on their way out of the pages, in buffers that many share.
struct Rows {
    rows: Vec<(Bytes, Bytes)>,
    buffer: Vec<u8>,
    /// Where in the buffer a key begins, its document, and the next row.
    places: Vec<[usize; 3]>,
}

impl Rows {
    fn with_capacity(rows: usize) -> Rows {
        Rows { rows: Vec::with_capacity(rows), buffer: Vec::new(), places: Vec::new() }
    }

    /// Takes a copy.
    fn push(&mut self, key: &[u8], document: &[u8]) {
        let bytes = key.len() + document.len();
        if self.buffer.len() + bytes > ROWS_BUFFER_BYTES {
            self.flush();
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(ROWS_BUFFER_BYTES.max(bytes));
        }
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(document);
        self.places.push([begin, begin + key.len(), begin + bytes]);
    }

    fn flush(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        // A few rows must not keep a buffer for many.
        buffer.shrink_to_fit();
        let buffer = Bytes::from(buffer);
        let places = self.places.drain(..);
        self.rows.extend(places.map(|[key, document, end]| (buffer.slice(key..document), buffer.slice(document..end))));
    }

    fn finish(mut self) -> Vec<(Bytes, Bytes)> {
        self.flush();
        self.rows
    }
}
