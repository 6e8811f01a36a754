//! Initial content, and which changes it includes already.
//!
//! A selection by primary key is read in key order, and what is remembered is for each chunk its last key and its
//! position. A selection by an index is read in the order of the index, in which documents can move; there the position
//! is remembered for each document that was given. A document that stands at several places is given at the first of them, for
//! all: at the next one the snapshot may be another. What meets a geometry is read in no order; there a change of a document
//! that was not given yet is shown at once instead of it. All that is forgotten when a change arrives that is younger than all of
//! it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::Cx;

use crate::limits::INITIAL_CHUNK_ROWS;
use crate::selection::{Part, TableRef, by_cells};
use crate::table::{Access, Change, Keys, Order, Position, Row, Rows};

/// The initial content of one feed.
pub(super) struct Initial {
    rows: Option<Box<dyn Rows>>,
    given: Given,
    /// The position of the newest chunk.
    newest: Position,
    primary_key: photondb_reql::Str,
    /// What is counted for the documents in `given`, in bytes.
    held: usize,
}

enum Given {
    /// The last key of each chunk with the chunk's position; ascending.
    ByKey(Vec<(Datum, Position)>),
    /// The place in the index and the key up to which was read, with positions; and each document that was given.
    ByIndex { chunks: Vec<((Datum, Datum), Position)>, documents: BTreeMap<Datum, Position> },
    /// Each document that was given or shown, with the position of what was.
    ByDocument(BTreeMap<Datum, Position>),
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
        if !include {
            return Ok(Initial {
                rows: None,
                given: Given::Nothing,
                newest: Position::default(),
                primary_key,
                held: 0,
            });
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
            range @ Keys::Range(_) => (range, Order::Ascending),
        };
        let given = if matches!(keys, Keys::Cells(_)) {
            Given::ByDocument(BTreeMap::new())
        } else if access.index.is_some() || matches!(keys, Keys::Each(_)) {
            Given::ByIndex { chunks: Vec::new(), documents: BTreeMap::new() }
        } else {
            Given::ByKey(Vec::new())
        };
        let rows = table.table.scan(&Access { index: access.index, keys, order }, table.mode)?;
        Ok(Initial { rows: Some(rows), given, newest: Position::default(), primary_key, held: 0 })
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
        let position = rows.position();
        let at_end = batch.is_empty() || rows.is_at_end();
        self.newest = self.newest.max(position);
        if at_end {
            self.rows = None;
        }
        // What is remembered outlives the documents it comes from.
        let key_of = |row: &Row| row.document.field(&self.primary_key).unwrap_or(Datum::Null).detach();
        let mut bytes = 0;
        match &mut self.given {
            Given::ByKey(chunks) => {
                if let Some(last) = batch.last() {
                    chunks.push((key_of(last), position));
                }
            }
            Given::ByIndex { chunks, documents } => {
                if let Some(last) = batch.last() {
                    let key = key_of(last);
                    let place = last.index_value.as_ref().unwrap_or(&key).detach();
                    chunks.push(((place, key), position));
                }
                batch.retain(|row| first_of_its_document(documents, key_of(row), position, &mut bytes));
            }
            Given::ByDocument(documents) => {
                batch.retain(|row| first_of_its_document(documents, key_of(row), position, &mut bytes));
            }
            Given::Nothing => {}
        }
        cx.hold(bytes)?;
        self.held += bytes;
        Ok(batch)
    }

    /// What becomes of a change. `places` are the places of the new document in the order that is read.
    pub fn fate(&mut self, key: &Datum, places: &[Datum], change: &Change, cx: &Cx) -> Result<Fate> {
        if self.is_complete() && change.position > self.newest {
            self.given = Given::Nothing;
            cx.release(std::mem::take(&mut self.held));
        }
        let fate = self.fate_of(key, places, change);
        if fate == Fate::ShowAsNew {
            cx.hold(remembered(key))?;
            self.held += remembered(key);
        }
        Ok(fate)
    }

    fn fate_of(&mut self, key: &Datum, places: &[Datum], change: &Change) -> Fate {
        let reading = self.rows.is_some();
        let by_position = |position: Position| if change.position > position { Fate::Show } else { Fate::Drop };
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
                    documents.insert(key.detach(), before(change.position));
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
                    Some(position) if change.position > position => {
                        documents.insert(key.detach(), before(change.position));
                        Fate::ShowAsNew
                    }
                    _ => Fate::Drop,
                }
            }
        }
    }
}

/// Whether nothing was given of a document before; then it is remembered, and `bytes` grows by what that takes.
fn first_of_its_document(
    documents: &mut BTreeMap<Datum, Position>,
    key: Datum,
    position: Position,
    bytes: &mut usize,
) -> bool {
    let Entry::Vacant(place) = documents.entry(key) else { return false };
    *bytes += remembered(place.key());
    place.insert(position);
    true
}

/// What a document in `given` takes, in bytes.
fn remembered(key: &Datum) -> usize {
    key.footprint() + size_of::<Position>()
}

/// The last position before one: several changes of a document may have one position, and the first of them was shown.
fn before(position: Position) -> Position {
    Position(position.0.saturating_sub(1))
}
