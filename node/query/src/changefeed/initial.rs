//! Initial content, and which changes it includes already.
//!
//! What was given is remembered of each shard by itself, because a position tells something of its own shard only. A selection
//! by primary key is read in key order, and what is remembered is for each chunk its last key and its position. A selection by an
//! index is read in the order of the index, in which documents can move; there the position is remembered for each document that
//! was given. A document that stands at several places is given at the first of them, for all: at the next one the snapshot may be
//! another. What meets a geometry is read in no order; there a change of a document that was not given yet is shown at once instead
//! of it. All that is forgotten when a change of the same shard arrives that is younger than all of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::Cx;

use crate::limits::INITIAL_CHUNK_ROWS;
use crate::selection::{Part, TableRef, by_cells};
use crate::table::{Access, Change, Keys, Order, Position, Progress, Row, Rows, ShardNumber};

/// The initial content of one feed.
pub(super) struct Initial {
    rows: Option<Box<dyn Rows>>,
    kind: Kind,
    shards: BTreeMap<ShardNumber, Reading>,
    primary_key: photondb_reql::Str,
}

/// In which order content is read, and so what is to be remembered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Keys,
    Index,
    Documents,
}

/// What was given of one shard. Positions are indexes of its log.
struct Reading {
    given: Given,
    /// The newest snapshot it was read from.
    newest: u64,
    /// Nothing more of it is to come.
    ended: bool,
    /// What is counted for the documents in `given`, in bytes.
    held: usize,
}

enum Given {
    /// The last key of each chunk with the chunk's position; ascending.
    ByKey(Vec<(Datum, u64)>),
    /// The place in the index and the key up to which was read, with positions; and each document that was given.
    ByIndex { chunks: Vec<((Datum, Datum), u64)>, documents: BTreeMap<Datum, u64> },
    /// Each document that was given or shown, with the position of what was.
    ByDocument(BTreeMap<Datum, u64>),
    /// Everything that could matter is long past.
    Nothing,
}

/// What becomes of a change while initial content is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is shown.
    Show,
    /// The document was not given before: only what it is now is shown.
    ShowAsNew,
    /// What was or will be given includes it.
    Drop,
}

impl Initial {
    /// Begins to read. Without `include`, nothing is given, and every change is shown.
    pub fn open(table: &TableRef, include: bool, cx: &Cx) -> Result<Initial> {
        let primary_key = table.info().primary_key.clone();
        let shards = BTreeMap::new();
        if !include {
            return Ok(Initial { rows: None, kind: Kind::Keys, shards, primary_key });
        }
        let access = match &table.part {
            Part::Intersecting { index, geometry } => by_cells(index, geometry, cx),
            _ => table.access().expect("only a geometry has no access"),
        };
        let (keys, order) = match access.keys {
            // In the order of the index, like everything else.
            Keys::Each(mut keys) => {
                keys.sort();
                keys.dedup();
                (Keys::Each(keys), Order::Any)
            }
            cells @ Keys::Cells(_) => (cells, Order::Any),
            range @ Keys::Range(_) => (range, Order::AscendingInShards),
        };
        let kind = if matches!(keys, Keys::Cells(_)) {
            Kind::Documents
        } else if access.index.is_some() || matches!(keys, Keys::Each(_)) {
            Kind::Index
        } else {
            Kind::Keys
        };
        let access = Access { index: access.index, keys, order };
        let rows = table.table.scan(&access, super::current(table.mode))?;
        Ok(Initial { rows: Some(rows), kind, shards, primary_key })
    }

    /// Whether everything was given.
    pub fn is_complete(&self) -> bool {
        self.rows.is_none()
    }

    /// The first rows. Little content is read to its end, so that nothing of it is still to come.
    pub fn first(&mut self, cx: &Cx) -> Result<Vec<Row>> {
        let mut rows = self.next(cx)?;
        while !rows.is_empty() && rows.len() < INITIAL_CHUNK_ROWS && !self.is_complete() {
            rows.extend(self.next(cx)?);
        }
        Ok(rows)
    }

    /// The next rows, each document once, however often it stands in the selection; none at the end.
    pub fn next(&mut self, cx: &Cx) -> Result<Vec<Row>> {
        loop {
            let batch = self.next_chunk(cx)?;
            // A chunk of nothing but what was given before is not the end.
            if !batch.is_empty() || self.is_complete() {
                return Ok(batch);
            }
        }
    }

    fn next_chunk(&mut self, cx: &Cx) -> Result<Vec<Row>> {
        let Some(rows) = &mut self.rows else { return Ok(Vec::new()) };
        let mut batch = rows.next_batch(INITIAL_CHUNK_ROWS)?;
        cx.steps_of(batch.len());
        let at_end = batch.is_empty() || rows.is_at_end();
        for progress in rows.progress() {
            if !self.shards.contains_key(&progress.shard) {
                let reading = inherited(&self.shards, &rows.lineage(progress.shard), at_end);
                self.shards.insert(progress.shard, reading.unwrap_or_else(|| Reading::new(self.kind)));
            }
            if let Some(reading) = self.shards.get_mut(&progress.shard) {
                reading.has_read(progress, at_end);
            }
        }
        if at_end {
            self.rows = None;
        }
        for run in batch.chunk_by(|left, right| left.position == right.position) {
            let reading = reading_of(&mut self.shards, &run[0], self.kind);
            if let Some(last) = run.last() {
                reading.given_up_to(last, &self.primary_key);
            }
        }
        let mut bytes = 0;
        if self.kind != Kind::Keys {
            batch.retain(|row| {
                let key = key_of(row, &self.primary_key);
                reading_of(&mut self.shards, row, self.kind).gives(key, row.position.index, &mut bytes)
            });
        }
        cx.hold(bytes)?;
        Ok(batch)
    }

    /// What becomes of a change. `places` are the places of the new document in the order that is read.
    pub fn fate(&mut self, key: &Datum, places: &[Datum], change: &Change, cx: &Cx) -> Result<Fate> {
        let index = change.position.index;
        let shard = change.position.shard;
        if !self.shards.contains_key(&shard)
            && let Some(reading) = inherited(&self.shards, &change.lineage, self.rows.is_none())
        {
            self.shards.insert(shard, reading);
        }
        let Some(reading) = self.shards.get_mut(&shard) else {
            // A shard of which nothing was read is all ahead, or outside of what is given.
            return Ok(if self.rows.is_some() { Fate::Drop } else { Fate::Show });
        };
        if reading.ended && index > reading.newest {
            reading.given = Given::Nothing;
            cx.release(std::mem::take(&mut reading.held));
        }
        let fate = reading.fate_of(key, places, index);
        if fate == Fate::ShowAsNew {
            cx.hold(remembered(key))?;
            reading.held += remembered(key);
        }
        Ok(fate)
    }
}

/// What was given of a shard before it was cut off, as far as it was given of the one that it was cut off from. What that one gave
/// later was not the other's. `None`: nothing is known of any of its ancestors.
fn inherited(shards: &BTreeMap<ShardNumber, Reading>, lineage: &[Position], at_end: bool) -> Option<Reading> {
    // The nearest that is known; what it had when the line left it is what counts.
    let (known, from) = lineage.iter().find_map(|from| Some((shards.get(&from.shard)?, from)))?;
    let given = match &known.given {
        Given::ByKey(chunks) => Given::ByKey(up_to(chunks, from.index)),
        Given::ByIndex { chunks, documents } => {
            Given::ByIndex { chunks: up_to(chunks, from.index), documents: documents.clone() }
        }
        Given::ByDocument(documents) => Given::ByDocument(documents.clone()),
        Given::Nothing => Given::Nothing,
    };
    let ended = at_end || known.ended && known.newest <= from.index;
    // The documents are counted where they were given.
    Some(Reading { given, newest: known.newest.min(from.index), ended, held: 0 })
}

fn up_to<T: Clone>(chunks: &[(T, u64)], index: u64) -> Vec<(T, u64)> {
    chunks.iter().filter(|(_, of)| *of <= index).cloned().collect()
}

impl Reading {
    fn new(kind: Kind) -> Reading {
        let given = match kind {
            Kind::Keys => Given::ByKey(Vec::new()),
            Kind::Index => Given::ByIndex { chunks: Vec::new(), documents: BTreeMap::new() },
            Kind::Documents => Given::ByDocument(BTreeMap::new()),
        };
        Reading { given, newest: 0, ended: false, held: 0 }
    }

    fn has_read(&mut self, progress: &Progress, at_end: bool) {
        self.newest = self.newest.max(progress.last);
        self.ended |= progress.ended || at_end;
    }

    /// A chunk ends with `row`.
    fn given_up_to(&mut self, row: &Row, primary_key: &str) {
        let index = row.position.index;
        match &mut self.given {
            Given::ByKey(chunks) => extend(chunks, key_of(row, primary_key), index),
            Given::ByIndex { chunks, .. } => {
                let key = key_of(row, primary_key);
                let place = row.index_value.as_ref().unwrap_or(&key).detach();
                extend(chunks, (place, key), index);
            }
            Given::ByDocument(_) | Given::Nothing => {}
        }
    }

    /// Whether a row is given; `bytes` grows by what is remembered of it.
    fn gives(&mut self, key: Datum, index: u64, bytes: &mut usize) -> bool {
        match &mut self.given {
            // It may stand at several places, and is given at the first of them, for all: at the next one the snapshot may be
            // another.
            Given::ByIndex { documents, .. } | Given::ByDocument(documents) => {
                let Entry::Vacant(place) = documents.entry(key) else { return false };
                *bytes += remembered(place.key());
                self.held += remembered(place.key());
                place.insert(index);
                true
            }
            Given::ByKey(_) | Given::Nothing => true,
        }
    }

    fn fate_of(&mut self, key: &Datum, places: &[Datum], index: u64) -> Fate {
        let reading = !self.ended;
        let by_position = |position: u64| if index > position { Fate::Show } else { Fate::Drop };
        match &mut self.given {
            Given::Nothing => Fate::Show,
            Given::ByKey(chunks) => {
                let chunk = chunks.partition_point(|(last, _)| last < key);
                match chunks.get(chunk) {
                    Some((_, position)) => by_position(*position),
                    // Ahead of the reading, or behind its end.
                    None if reading => Fate::Drop,
                    None => by_position(self.newest),
                }
            }
            Given::ByDocument(documents) => match documents.get(key) {
                Some(position) => by_position(*position),
                None if places.is_empty() => Fate::Drop,
                None => {
                    documents.insert(key.detach(), before(index));
                    Fate::ShowAsNew
                }
            },
            Given::ByIndex { chunks, documents } => {
                if let Some(position) = documents.get(key) {
                    return by_position(*position);
                }
                // It was not given. If its new place is behind the reading, it never will be.
                let passed = places.iter().find_map(|place| {
                    let here = (place.clone(), key.clone());
                    let chunk = chunks.partition_point(|(last, _)| *last < here);
                    let behind_the_end = (!reading).then_some(self.newest);
                    chunks.get(chunk).map(|(_, position)| *position).or(behind_the_end)
                });
                match passed {
                    Some(position) if index > position => {
                        documents.insert(key.detach(), before(index));
                        Fate::ShowAsNew
                    }
                    _ => Fate::Drop,
                }
            }
        }
    }
}

fn reading_of<'a>(shards: &'a mut BTreeMap<ShardNumber, Reading>, row: &Row, kind: Kind) -> &'a mut Reading {
    shards.entry(row.position.shard).or_insert_with(|| Reading::new(kind))
}

/// What is remembered outlives the documents it comes from.
fn key_of(row: &Row, primary_key: &str) -> Datum {
    row.document.field(primary_key).unwrap_or(Datum::Null).detach()
}

/// Chunks that end at `last` now. What follows from the same snapshot is one chunk with what was before.
fn extend<T>(chunks: &mut Vec<(T, u64)>, last: T, index: u64) {
    match chunks.last_mut() {
        Some((end, of)) if *of == index => *end = last,
        _ => chunks.push((last, index)),
    }
}

/// What a document in `given` takes, in bytes.
fn remembered(key: &Datum) -> usize {
    key.footprint() + size_of::<u64>()
}

/// The last position before one: several changes of a document may have one position, and the first of them was shown.
fn before(index: u64) -> u64 {
    index.saturating_sub(1)
}
