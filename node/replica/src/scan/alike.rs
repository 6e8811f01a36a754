//! Entries that are alike as far as an index keeps their values, in the order of the whole values.
//!
//! Of a long value a key holds only the beginning, so entries with the same beginning stand in the order of their primary
//! keys. They are put in order here: a walk over all of them takes the first ones behind the batch before, and remembers as
//! many of those that follow as [`ALIKE_AHEAD_BYTES`] hold, for the next batches. What is remembered holds for one snapshot: once
//! the shard has been written to, the next batch walks again.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use bytes::Bytes;
use photondb_reql::datum::Datum;
use photondb_reql::key::IndexKey;
use photondb_runtime::fiber;
use photondb_shard::limits::READ_BYTES_MAX;
use photondb_shard::read::{IndexRow, KeyBounds};
use photondb_shard::{Position, Reader};
use photondb_storage::Direction;

use super::part::Wanted;
use crate::error::ReplicaError;
use crate::limits::{ALIKE_AHEAD_BYTES, ALIKE_ENTRIES_AT_ONCE};

/// The entries of one beginning, as far as they lie within a scan.
#[derive(Clone, Debug)]
pub(crate) struct Alike {
    pub bounds: KeyBounds,
    /// The key of the beginning alone, and the first one behind everything that begins so.
    pub span: (Bytes, Bytes),
    /// The place of the entry that was given last.
    pub last: Option<Place>,
    pub ahead: Option<Ahead>,
}

/// Whole value and key: the order of entries.
pub(crate) type Place = (Datum, Bytes);

/// Entries behind the last one that was given, in the order of the scan.
#[derive(Clone, Debug)]
pub(crate) struct Ahead {
    /// The snapshot that they were found in.
    position: Position,
    /// With the primary keys of their documents.
    places: VecDeque<(Place, Bytes)>,
    /// Whether there are more behind these.
    more: bool,
}

impl Alike {
    /// The entries that begin as `entry` does, if it is cut. Nothing is read yet.
    pub fn to(entry: &[u8], within: &KeyBounds) -> Option<Alike> {
        let key = IndexKey::parse(entry).ok().filter(|key| key.truncated)?;
        let (start, behind) = key.span();
        let (start, behind) = (Bytes::from(start), Bytes::from(behind));
        let mut bounds = within.clone();
        if !matches!(&bounds.start, Bound::Included(low) | Bound::Excluded(low) if *low > start) {
            bounds.start = Bound::Included(start.clone());
        }
        if !matches!(&bounds.end, Bound::Included(high) | Bound::Excluded(high) if *high < behind) {
            bounds.end = Bound::Excluded(behind.clone());
        }
        Some(Alike { bounds, span: (start, behind), last: None, ahead: None })
    }

    /// The next rows, about `want` of those that are `wanted`, and whether there are more.
    pub fn next(
        &mut self,
        reader: &Reader,
        index: &str,
        direction: Direction,
        wanted: &Wanted<'_>,
        want: usize,
    ) -> Result<(Vec<IndexRow>, bool), ReplicaError> {
        let mut ahead = match self.ahead.take() {
            Some(ahead) if ahead.position == reader.position() && !ahead.places.is_empty() => ahead,
            _ => self.walk(reader, index, direction, wanted, want)?,
        };
        let mut rows = Vec::with_capacity(want.min(ahead.places.len()));
        let mut bytes = 0;
        while rows.len() < want && bytes < READ_BYTES_MAX {
            let Some(((value, entry), primary_key)) = ahead.places.pop_front() else { break };
            let document = reader.indexed_document(&primary_key)?;
            bytes += document.len();
            rows.push(IndexRow { entry, value, primary_key, document });
        }
        if let Some(row) = rows.last() {
            self.last = Some((row.value.clone(), row.entry.clone()));
        }
        let more = ahead.more || !ahead.places.is_empty();
        self.ahead = Some(ahead);
        Ok((rows, more))
    }

    /// Looks at all of them, and takes those that come next: `want`, and more as far as they may be remembered.
    fn walk(
        &self,
        reader: &Reader,
        index: &str,
        direction: Direction,
        wanted: &Wanted<'_>,
        want: usize,
    ) -> Result<Ahead, ReplicaError> {
        let mut first: BTreeMap<Place, Bytes> = BTreeMap::new();
        let mut bounds = self.bounds.clone();
        let (mut bytes, mut more) = (0, false);
        loop {
            let (entries, _) = reader.index_entries(index, &bounds, Direction::Forward, ALIKE_ENTRIES_AT_ONCE)?;
            let Some(last) = entries.last() else { break };
            // There may be very many: others have their turn, and the query can be ended.
            fiber::yield_now();
            bounds.start = Bound::Excluded(last.entry.clone());
            for entry in entries {
                let place = (entry.value, entry.entry);
                let passed = self.last.as_ref().is_some_and(|last| match direction {
                    Direction::Forward => place <= *last,
                    Direction::Backward => place >= *last,
                });
                if passed || !wanted.has(&place.0, &entry.primary_key) {
                    continue;
                }
                bytes += remembered(&place, &entry.primary_key);
                first.insert(place, entry.primary_key);
                while first.len() > want && bytes > ALIKE_AHEAD_BYTES {
                    more = true;
                    let farthest = match direction {
                        Direction::Forward => first.pop_last(),
                        Direction::Backward => first.pop_first(),
                    };
                    bytes -= farthest.map_or(0, |(place, primary_key)| remembered(&place, &primary_key));
                }
            }
        }
        let places = match direction {
            Direction::Forward => first.into_iter().collect(),
            Direction::Backward => first.into_iter().rev().collect(),
        };
        Ok(Ahead { position: reader.position(), places, more })
    }

    /// What is left of the scan's bounds behind all of these.
    pub fn pass(self, bounds: &mut KeyBounds, direction: Direction) {
        match direction {
            Direction::Forward => bounds.start = Bound::Included(self.span.1),
            Direction::Backward => bounds.end = Bound::Excluded(self.span.0),
        }
    }
}

/// What an entry takes while it is remembered, in bytes; its document is read when it is given.
fn remembered((value, entry): &Place, primary_key: &Bytes) -> usize {
    size_of::<(Place, Bytes)>() + value.footprint() + entry.len() + primary_key.len()
}
