//! What was given of one lane, and which changes of its keys that includes.
//!
//! A selection by primary key is read in key order, and what is remembered is for each chunk its last key and its position. A selection by
//! an index is read in the order of the index, in which documents can move; there the position is remembered for each document that
//! was given. A document that stands at several places is given at the first of them, for all: at the next one the snapshot may be
//! another. What meets a geometry is read in no order; there a change of a document that was not given yet is shown at once instead
//! of it.
//!
//! By an index, looks that find nothing come between rows: of values that no document of the lane has, of entries of other keys. A chunk
//! is then as old as the first of these looks; what was looked at behind the last chunk counts as one. A document that was not given is shown
//! with the first change behind that: if a later look includes the change and still did not find the document, another change follows.
//!
//! All that is forgotten, once the lane has ended, when everything has been told that happened to its keys up to its newest snapshot: from
//! there on every change is newer than what was given. That is so behind a change with a higher index
//!
//! - of the shard that was read last. At the snapshot that one had the lane's keys, and what others did to them before, as long as they
//!   were theirs, is told before it tells anything behind the entry that brought it the keys;
//! - of a key of the lane, whoever tells it. The key went from the shard that was read last to this one, which tells
//!   nothing of it before the other one has told everything up to there (a split), or everything (a join).

use std::collections::BTreeMap;

use photondb_proto::KeyRange;
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;

use super::Fate;
use crate::table::{Position, Progress, Row, ShardNumber, Snapshots};

/// In which order content is read, and so what is to be remembered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Keys,
    Index,
    Documents,
}

/// What was given of one lane.
pub(super) struct Lane {
    keys: KeyRange,
    given: Given,
    /// Where content is not read in the order of keys: each document that was given or shown, with the index of what was.
    pub documents: BTreeMap<Datum, u64>,
    /// Of which shard it was read last.
    shard: ShardNumber,
    /// `None`: it was not read yet.
    snapshots: Option<Snapshots>,
    /// Some of what lies behind the last chunk was read since this snapshot, and nothing was found there.
    blank: Option<u64>,
    /// Nothing more of it is to come.
    ended: bool,
    /// All changes of its keys that are still to come are newer than everything that was given of it.
    forgotten: bool,
}

/// Up to where a lane was read, and from which snapshots.
#[derive(Clone)]
enum Given {
    /// The last key of each chunk with the chunk's position; ascending.
    Keys(Vec<(Datum, u64)>),
    /// The place in the index and the key up to which was read, with positions.
    Index(Vec<((Datum, Datum), u64)>),
    /// In no order.
    Documents,
}

impl Lane {
    /// One of which nothing was read.
    pub fn new(kind: Kind, keys: &KeyRange) -> Lane {
        let given = match kind {
            Kind::Keys => Given::Keys(Vec::new()),
            Kind::Index => Given::Index(Vec::new()),
            Kind::Documents => Given::Documents,
        };
        let (keys, documents, shard) = (keys.clone(), BTreeMap::new(), ShardNumber::default());
        Lane { keys, given, documents, shard, snapshots: None, blank: None, ended: false, forgotten: false }
    }

    /// A part of it becomes a lane of its own, of which the same was given.
    pub fn cut_off(&mut self, keys: &KeyRange) -> Lane {
        let goes = |(key, _): &(Datum, u64)| PrimaryKey::new(key).is_ok_and(|key| keys.contains(key.as_bytes()));
        let (gone, kept) = std::mem::take(&mut self.documents).into_iter().partition(goes);
        self.documents = kept;
        Lane { keys: keys.clone(), given: self.given.clone(), documents: gone, ..*self }
    }

    /// Knows what the scan says of it.
    pub fn follow(&mut self, progress: &Progress, at_end: bool) {
        if self.keys != progress.keys {
            self.keys = progress.keys.clone();
        }
        (self.shard, self.snapshots, self.blank) = (progress.shard, progress.snapshots, progress.blank);
        self.ended |= progress.ended || at_end;
        // Of what was never read, nothing was given.
        self.forgotten |= self.ended && self.snapshots.is_none();
    }

    /// A chunk ends with `row`.
    pub fn given_up_to(&mut self, row: &Row, primary_key: &str) {
        let since = self.snapshots.map_or(row.position.index, |read| read.since);
        match &mut self.given {
            Given::Keys(chunks) => extend(chunks, key_of(row, primary_key), since),
            Given::Index(chunks) => {
                let key = key_of(row, primary_key);
                let place = row.index_value.as_ref().unwrap_or(&key).detach();
                extend(chunks, (place, key), since);
            }
            Given::Documents => {}
        }
    }

    /// Whether the encoded key is one of its keys.
    pub fn has(&self, key: &[u8]) -> bool {
        self.keys.contains(key)
    }

    /// The newest snapshot that it was read from.
    pub fn newest(&self) -> Option<Position> {
        self.snapshots.map(|read| Position { shard: self.shard, index: read.last })
    }

    /// What becomes of a change of one of its keys, as long as it is not forgotten.
    pub fn fate(&self, key: &Datum, places: &[Datum], index: u64) -> Fate {
        let by_position = |position: u64| if index > position { Fate::Show } else { Fate::Drop };
        if let Some(given) = self.documents.get(key) {
            return by_position(*given);
        }
        match &self.given {
            // What is still ahead is given as it is then. With a newer change behind the end the lane is forgotten.
            Given::Keys(chunks) => chunk_of(chunks, key).map_or(Fate::Drop, by_position),
            Given::Documents if places.is_empty() => Fate::Drop,
            Given::Documents => Fate::ShowAsNew,
            // It was not given. If its new place is behind the reading, it never will be.
            Given::Index(chunks) => {
                let place = |place: &Datum| chunk_of(chunks, &(place.clone(), key.clone())).or(self.blank);
                match places.iter().find_map(place).map(by_position) {
                    Some(Fate::Show) => Fate::ShowAsNew,
                    _ => Fate::Drop,
                }
            }
        }
    }

    /// Whether everything up to its newest snapshot has been told when this change is; `own`: it is one of its keys.
    pub fn is_passed_by(&self, change: Position, own: bool) -> bool {
        let is_newer = self.snapshots.is_some_and(|read| change.index > read.last);
        !self.forgotten && self.ended && is_newer && (own || change.shard == self.shard)
    }

    /// Forgets what was given. Gives the bytes that its documents took.
    pub fn forget(&mut self) -> usize {
        self.forgotten = true;
        self.given = Given::Documents;
        std::mem::take(&mut self.documents).keys().map(remembered).sum()
    }

    pub fn is_forgotten(&self) -> bool {
        self.forgotten
    }
}

/// What is remembered outlives the documents it comes from.
pub(super) fn key_of(row: &Row, primary_key: &str) -> Datum {
    row.document.field(primary_key).unwrap_or(Datum::Null).detach()
}

/// What a document that is remembered takes, in bytes.
pub(super) fn remembered(key: &Datum) -> usize {
    key.footprint() + size_of::<u64>()
}

/// The position of the chunk that a place was read with, if it was.
fn chunk_of<T: Ord>(chunks: &[(T, u64)], place: &T) -> Option<u64> {
    chunks.get(chunks.partition_point(|(last, _)| last < place)).map(|(_, position)| *position)
}

/// Chunks that end at `last` now. What follows from the same snapshot is one chunk with what was before.
fn extend<T>(chunks: &mut Vec<(T, u64)>, last: T, index: u64) {
    match chunks.last_mut() {
        Some((end, of)) if *of == index => *end = last,
        _ => chunks.push((last, index)),
    }
}
