//! Initial content, and which changes it includes already.
//!
//! What was given is remembered of each shard by itself, because a position tells something of its own shard only. A selection
//! by primary key is read in key order, and what is remembered is for each chunk its last key and its position. A selection by an
//! index is read in the order of the index, in which documents can move; there the position is remembered for each document that
//! was given. A document that stands at several places is given at the first of them, for all: at the next one the snapshot may be
//! another. What meets a geometry is read in no order; there a change of a document that was not given yet is shown at once instead
//! of it. All that is forgotten when a change of the same shard arrives that is younger than all of it.
//!
//! A shard may be split while it is read, or before it is read and after the subscription began. All that happens to one key is ordered by
//! index nevertheless, whosever it is ([`Position`]). What was given of the old shard counts for the new one; and what the old one tells of a
//! key that has gone to the new one is included in what that gives, if it was not given before.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::Cx;

use crate::limits::INITIAL_CHUNK_ROWS;
use crate::selection::{Part, TableRef, by_cells};
use crate::table::{Access, Change, Keys, Move, Order, Position, Progress, Row, Rows, ShardNumber, heirs};

/// The initial content of one feed.
pub(super) struct Initial {
    rows: Option<Box<dyn Rows>>,
    kind: Kind,
    shards: BTreeMap<ShardNumber, Reading>,
    /// Where content is not read in the order of keys: each document that was given or shown, with the position of what was.
    documents: BTreeMap<Datum, Position>,
    /// The keys that are read of another shard than the one that they were of.
    moves: Vec<Move>,
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
    /// It was read at all, and not only those that it was cut off from.
    was_read: bool,
    /// Nothing more of it is to come.
    ended: bool,
    /// A change has come that is younger than everything that was given of it; and so of what was cut off from it since.
    passed: bool,
    /// From which it was cut off, the nearest first.
    ancestors: Vec<ShardNumber>,
}

/// Up to where a shard was read, and from which snapshots.
enum Given {
    /// The last key of each chunk with the chunk's position; ascending.
    Keys(Vec<(Datum, u64)>),
    /// The place in the index and the key up to which was read, with positions.
    Index(Vec<((Datum, Datum), u64)>),
    /// In no order.
    Documents,
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
        if !include {
            return Ok(Initial::of(None, Kind::Keys, primary_key));
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
        Ok(Initial::of(Some(rows), kind, primary_key))
    }

    fn of(rows: Option<Box<dyn Rows>>, kind: Kind, primary_key: photondb_reql::Str) -> Initial {
        let (shards, documents, moves) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Initial { rows, kind, shards, documents, moves, primary_key }
    }

    /// Whether everything was given.
    pub fn is_complete(&self) -> bool {
        self.rows.is_none()
    }

    /// The shards of which content was read, each with the newest of its snapshots; of changes up to there, some may still have to be
    /// dropped. Who is told of the others comes behind them: those are of a shard from which keys were read of another.
    pub fn newest(&self) -> impl Iterator<Item = (ShardNumber, u64)> {
        self.shards.iter().filter(|(_, reading)| reading.was_read).map(|(shard, reading)| (*shard, reading.newest))
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
                let lineage = rows.lineage(progress.shard);
                let reading = inherited(&self.shards, &lineage, at_end).unwrap_or_else(|| Reading::new(self.kind));
                let ancestors = lineage.iter().map(|of| of.shard).collect();
                self.shards.insert(progress.shard, Reading { ancestors, ..reading });
            }
            if let Some(reading) = self.shards.get_mut(&progress.shard) {
                reading.has_read(progress, at_end);
            }
        }
        if self.moves.len() < rows.moves().len() {
            self.moves = rows.moves().to_vec();
        }
        if at_end {
            self.rows = None;
        }
        for run in batch.chunk_by(|left, right| left.position == right.position) {
            let reading = self.shards.entry(run[0].position.shard).or_insert_with(|| Reading::new(self.kind));
            if let Some(last) = run.last() {
                reading.given_up_to(last, &self.primary_key);
            }
        }
        let mut bytes = 0;
        if self.kind != Kind::Keys {
            batch.retain(|row| {
                // It may stand at several places, and is given at the first of them, for all: at the next one the snapshot may be
                // another.
                let Entry::Vacant(place) = self.documents.entry(key_of(row, &self.primary_key)) else { return false };
                bytes += remembered(place.key());
                place.insert(row.position);
                true
            });
        }
        cx.hold(bytes)?;
        Ok(batch)
    }

    /// What becomes of a change. `places` are the places of the new document in the order that is read.
    pub fn fate(&mut self, key: &Datum, places: &[Datum], change: &Change, cx: &Cx) -> Result<Fate> {
        let Position { shard, index } = change.position;
        if !self.shards.contains_key(&shard)
            && let Some(reading) = inherited(&self.shards, &change.lineage, self.rows.is_none())
        {
            self.shards.insert(shard, reading);
        }
        // To a shard that gives it, or has given it.
        let gives = |heir| self.rows.is_some() || self.shards.get(&heir).is_some_and(|reading| reading.was_read);
        let has_moved = heirs(&self.moves, shard, key).any(gives);
        if !has_moved {
            self.look_back(change.position, cx);
        }
        let Some(reading) = self.shards.get(&shard) else {
            // A shard of which nothing was read is all ahead, or outside of what is given.
            return Ok(if self.rows.is_some() || has_moved { Fate::Drop } else { Fate::Show });
        };
        let by_position = |position: u64| if index > position { Fate::Show } else { Fate::Drop };
        // What is still ahead is given as it is then. Of a key that has moved, the other shard gives that.
        let behind_the_end = (reading.ended && !has_moved).then_some(reading.newest);
        let is_past = reading.passed || self.rows.is_none() && reading.ended && index > reading.newest;
        if is_past && !has_moved {
            return Ok(Fate::Show);
        }
        if let Some(given) = self.documents.get(key) {
            return Ok(by_position(given.index));
        }
        let is_shown = match &reading.given {
            Given::Keys(chunks) => {
                let chunk = chunks.partition_point(|(last, _)| last < key);
                let position = chunks.get(chunk).map(|(_, position)| *position).or(behind_the_end);
                return Ok(position.map_or(Fate::Drop, by_position));
            }
            Given::Documents => !places.is_empty() && !reading.passed,
            // It was not given. If its new place is behind the reading, it never will be.
            Given::Index(chunks) => {
                let passed = places.iter().find_map(|place| {
                    let here = (place.clone(), key.clone());
                    let chunk = chunks.partition_point(|(last, _)| *last < here);
                    chunks.get(chunk).map(|(_, position)| *position).or(behind_the_end)
                });
                passed.is_some_and(|position| index > position)
            }
        };
        if !is_shown {
            return Ok(Fate::Drop);
        }
        cx.hold(remembered(key))?;
        // Several changes of a document may have one position, and this is the first of them. Whose the document is now needs to know.
        let shard = heirs(&self.moves, shard, key).last().unwrap_or(shard);
        self.documents.insert(key.detach(), Position { shard, index: index.saturating_sub(1) });
        Ok(Fate::ShowAsNew)
    }

    /// Forgets what cannot matter any more behind a change.
    fn look_back(&mut self, change: Position, cx: &Cx) {
        let passes = |reading: &Reading| !reading.passed && reading.ended && change.index > reading.newest;
        if self.rows.is_some() || !self.shards.get(&change.shard).is_some_and(passes) {
            return;
        }
        // What it tells of keys that have moved comes before what those tell to whom they went, and may still be to come.
        let is_of_it = |shard: &ShardNumber| self.family(*shard).any(|ancestor| ancestor == change.shard);
        if self.shards.iter().any(|(shard, reading)| !reading.passed && is_of_it(shard)) {
            return;
        }
        if let Some(reading) = self.shards.get_mut(&change.shard) {
            reading.passed = true;
            reading.given = Given::Documents;
        }
        let needed: Vec<ShardNumber> = self
            .shards
            .iter()
            .filter(|(_, reading)| !reading.passed)
            .flat_map(|(shard, _)| self.family(*shard).chain([*shard]))
            .collect();
        let mut bytes = 0;
        self.documents.retain(|key, given| {
            let is_needed = needed.contains(&given.shard);
            bytes += if is_needed { 0 } else { remembered(key) };
            is_needed
        });
        cx.release(bytes);
    }

    /// Whose keys a shard's were when the scan began, and in between. Of one that was there by then, nobody's: what was given of it was
    /// given of it alone.
    fn family(&self, shard: ShardNumber) -> impl Iterator<Item = ShardNumber> {
        let before = |of: &ShardNumber| self.moves.iter().find(|moved| moved.to == *of).map(|moved| moved.from);
        let known = self.shards.get(&shard).map(|reading| reading.ancestors.as_slice()).unwrap_or_default();
        let first = known.last().copied();
        let between = first.and_then(|_| before(&shard));
        let between = std::iter::successors(between, before).take_while(move |shard| Some(*shard) != first);
        between.chain(known.iter().copied())
    }
}

/// What was given of a shard before it was cut off, as far as it was given of the one that it was cut off from. What that one gave
/// later was not the other's. `None`: nothing is known of any of its ancestors.
fn inherited(shards: &BTreeMap<ShardNumber, Reading>, lineage: &[Position], at_end: bool) -> Option<Reading> {
    // The nearest that is known; what it had when the line left it is what counts.
    let (known, from) = lineage.iter().find_map(|from| Some((shards.get(&from.shard)?, from)))?;
    let given = match &known.given {
        Given::Keys(chunks) => Given::Keys(up_to(chunks, from.index)),
        Given::Index(chunks) => Given::Index(up_to(chunks, from.index)),
        Given::Documents => Given::Documents,
    };
    let ended = at_end || known.ended && known.newest <= from.index;
    let ancestors = lineage.iter().map(|from| from.shard).collect();
    let newest = known.newest.min(from.index);
    Some(Reading { given, newest, was_read: false, ended, passed: known.passed, ancestors })
}

fn up_to<T: Clone>(chunks: &[(T, u64)], index: u64) -> Vec<(T, u64)> {
    chunks.iter().filter(|(_, of)| *of <= index).cloned().collect()
}

impl Reading {
    fn new(kind: Kind) -> Reading {
        let given = match kind {
            Kind::Keys => Given::Keys(Vec::new()),
            Kind::Index => Given::Index(Vec::new()),
            Kind::Documents => Given::Documents,
        };
        Reading { given, newest: 0, was_read: false, ended: false, passed: false, ancestors: Vec::new() }
    }

    fn has_read(&mut self, progress: &Progress, at_end: bool) {
        self.newest = self.newest.max(progress.last);
        self.was_read = true;
        self.ended |= progress.ended || at_end;
    }

    /// A chunk ends with `row`.
    fn given_up_to(&mut self, row: &Row, primary_key: &str) {
        let index = row.position.index;
        match &mut self.given {
            Given::Keys(chunks) => extend(chunks, key_of(row, primary_key), index),
            Given::Index(chunks) => {
                let key = key_of(row, primary_key);
                let place = row.index_value.as_ref().unwrap_or(&key).detach();
                extend(chunks, (place, key), index);
            }
            Given::Documents => {}
        }
    }
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

#[cfg(test)]
mod tests;
