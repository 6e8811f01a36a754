//! Entries that are alike as far as an index keeps their values, in the order of the whole values.
//!
//! Of a long value a key holds only the beginning, so entries with the same beginning stand in the order of their primary
//! keys. They are put in order here: each batch walks all of them and takes the first ones behind the batch before. What
//! is held at once is one batch, however many are alike.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use photondb_query::table::DatumRange;
use photondb_reql::datum::Datum;
use photondb_reql::key::IndexKey;
use photondb_runtime::fiber;
use photondb_shard::Reader;
use photondb_shard::limits::READ_BYTES_MAX;
use photondb_shard::read::{IndexRow, KeyBounds};
use photondb_storage::Direction;

use crate::error::ReplicaError;
use crate::limits::ALIKE_ENTRIES_AT_ONCE;

/// The entries of one beginning, as far as they lie within a scan.
#[derive(Clone, Debug)]
pub(crate) struct Alike {
    pub bounds: KeyBounds,
    /// The key of the beginning alone, and the first one behind everything that begins so.
    pub span: (Bytes, Bytes),
    /// The place of the entry that was given last.
    pub last: Option<Place>,
}

/// Whole value and key: the order of entries.
pub(crate) type Place = (Datum, Bytes);

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
        Some(Alike { bounds, span: (start, behind), last: None })
    }

    /// The next rows, about `want` of them within `exact`, and whether there are more.
    pub fn next(
        &mut self,
        reader: &Reader,
        index: &str,
        direction: Direction,
        exact: Option<&DatumRange>,
        want: usize,
    ) -> Result<(Vec<IndexRow>, bool), ReplicaError> {
        let mut first: BTreeMap<Place, Bytes> = BTreeMap::new();
        let mut bounds = self.bounds.clone();
        let mut more = false;
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
                if passed || exact.is_some_and(|range| !range.contains(&place.0)) {
                    continue;
                }
                first.insert(place, entry.primary_key);
                if first.len() > want {
                    more = true;
                    match direction {
                        Direction::Forward => first.pop_last(),
                        Direction::Backward => first.pop_first(),
                    };
                }
            }
        }
        let mut places: Vec<(Place, Bytes)> = first.into_iter().collect();
        if direction == Direction::Backward {
            places.reverse();
        }
        let mut rows = Vec::with_capacity(places.len());
        let mut bytes = 0;
        for ((value, entry), primary_key) in places {
            if bytes >= READ_BYTES_MAX {
                more = true;
                break;
            }
            let document = reader.indexed_document(&primary_key)?;
            bytes += document.len();
            self.last = Some((value.clone(), entry.clone()));
            rows.push(IndexRow { entry, value, primary_key, document });
        }
        Ok((rows, more))
    }

    /// What is left of the scan's bounds behind all of these.
    pub fn pass(self, bounds: &mut KeyBounds, direction: Direction) {
        match direction {
            Direction::Forward => bounds.start = Bound::Included(self.span.1),
            Direction::Backward => bounds.end = Bound::Excluded(self.span.0),
        }
    }
}
