//! One look at a part of a tree of one shard: what is asked, and what is left of it behind that.
//!
//! Nothing is kept between two looks but what is left, so that each may be at another member, or from another node.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use photondb_proto::KeyRange;
use photondb_query::table::DatumRange;
use photondb_reql::datum::{Datum, Str};
use photondb_reql::geo::CellRanges;
use photondb_shard::Reader;
use photondb_shard::read::{Documents, GeoScan, IndexRow, IndexRows, KeyBounds};
use photondb_storage::Direction;

use super::alike::Alike;
use crate::error::ReplicaError;

/// A range of one tree.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub bounds: KeyBounds,
    /// The range as the query put it: a key in the tree may be a truncated index value.
    pub exact: Option<DatumRange>,
    /// The entries at the front of `bounds` that are alike in their keys and are being read in the order of their values.
    pub alike: Option<Alike>,
}

/// What is the same in all looks of a scan.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub index: Option<Str>,
    /// What is asked of a geospatial index.
    pub cells: Option<Arc<CellRanges>>,
    pub direction: Direction,
    /// Whether somebody counts on the order.
    pub ordered: bool,
}

impl Part {
    pub fn of(bounds: KeyBounds, exact: Option<DatumRange>) -> Part {
        Part { bounds, exact, alike: None }
    }

    /// As far as it can have some of these keys; `None`: it has none of them. Entries of an index may lie anywhere.
    pub fn of_keys(&self, keys: &KeyRange, by_index: bool) -> Option<Part> {
        let bounds = if by_index { self.bounds.clone() } else { within(&self.bounds, keys)? };
        Some(Part { bounds, ..self.clone() })
    }

    /// Whether what is left begins right behind this row, and nothing in between was passed over.
    pub fn goes_on_behind(&self, last: &IndexRow, direction: Direction) -> bool {
        let next = match direction {
            Direction::Forward => &self.bounds.start,
            Direction::Backward => &self.bounds.end,
        };
        match &self.alike {
            Some(alike) => alike.last.as_ref().is_some_and(|(_, entry)| *entry == last.entry),
            None => matches!(next, Bound::Excluded(entry) if *entry == last.entry),
        }
    }

    fn go_on_after(&mut self, last: Bytes, direction: Direction) {
        match direction {
            Direction::Forward => self.bounds.start = Bound::Excluded(last),
            Direction::Backward => self.bounds.end = Bound::Excluded(last),
        }
    }
}

impl Look {
    /// About `want` documents by the primary key, those excepted for which `glance` has seen enough. Whether there may be more
    /// is in [`Documents::last`].
    pub fn documents(
        &self,
        reader: &Reader,
        part: &mut Part,
        want: usize,
        glance: impl FnMut(&[u8]) -> bool,
    ) -> Result<Documents, ReplicaError> {
        let found = reader.documents(&part.bounds, self.direction, want, glance)?;
        // Of those that were seen enough of, the last one is known.
        let some = found.rows.first().map(|(key, _)| key).or(found.last.as_ref());
        reader.traffic().note_range(found.examined, some.map(|key| &key[..]));
        if let Some(last) = &found.last {
            part.go_on_after(last.clone(), self.direction);
        }
        Ok(found)
    }

    /// About `want` documents by `index`, of those that have their keys in `keys`, and whether there may be more. A shard may have others:
    /// then there may be more though none is found.
    pub fn by_index(
        &self,
        index: &str,
        reader: &Reader,
        keys: &KeyRange,
        part: &mut Part,
        want: usize,
        geo: &mut GeoScan,
    ) -> Result<IndexRows, ReplicaError> {
        let found = match &self.cells {
            Some(cells) => {
                let mut found = self.by_cells(index, cells, reader, part, want, geo)?;
                found.rows.retain(|row| keys.contains(&row.primary_key));
                found
            }
            None => self.by_values(index, reader, keys, part, want)?,
        };
        reader.traffic().note_found(found.rows.len());
        Ok(found)
    }

    fn by_values(
        &self,
        index: &str,
        reader: &Reader,
        keys: &KeyRange,
        part: &mut Part,
        want: usize,
    ) -> Result<IndexRows, ReplicaError> {
        let wanted = Wanted { keys, exact: part.exact.as_ref() };
        if let Some(mut alike) = part.alike.take() {
            let (rows, more) = alike.next(reader, index, self.direction, &wanted, want)?;
            match more {
                true => part.alike = Some(alike),
                false => alike.pass(&mut part.bounds, self.direction),
            }
            return Ok(IndexRows { rows, more: true });
        }
        let IndexRows { mut rows, mut more } = reader.index_rows(index, &part.bounds, self.direction, want)?;
        let mut alike = None;
        if self.ordered {
            let cut = rows.iter().enumerate().find_map(|(at, row)| Some((at, Alike::to(&row.entry, &part.bounds)?)));
            if let Some((at, found)) = cut {
                alike = Some(found);
                rows.truncate(at);
                more = true;
            }
        }
        let looked_at = rows.last().map(|row| row.entry.clone());
        rows.retain(|row| wanted.has(&row.value, &row.primary_key));
        let found = rows.last().map(|row| row.entry.clone());
        if found.is_none() || found == looked_at {
            part.alike = alike;
        }
        // What was read of a lane ends at a row, so what comes behind the last one is looked at again.
        if let Some(last) = found.or(looked_at) {
            part.go_on_after(last, self.direction);
        }
        Ok(IndexRows { rows, more })
    }

    fn by_cells(
        &self,
        index: &str,
        cells: &CellRanges,
        reader: &Reader,
        part: &mut Part,
        want: usize,
        geo: &mut GeoScan,
    ) -> Result<IndexRows, ReplicaError> {
        let found = reader.geo_rows(index, cells, &part.bounds, want, geo)?;
        if let Some(last) = found.last {
            part.go_on_after(last, self.direction);
        }
        Ok(IndexRows { rows: found.rows, more: found.more })
    }
}

/// Which entries of an index are meant, beside the bounds of their keys in it.
pub(crate) struct Wanted<'a> {
    /// The primary keys of their documents.
    pub keys: &'a KeyRange,
    /// Their values, where those are not told by the bounds.
    pub exact: Option<&'a DatumRange>,
}

impl Wanted<'_> {
    pub fn has(&self, value: &Datum, primary_key: &[u8]) -> bool {
        self.keys.contains(primary_key) && self.exact.is_none_or(|range| range.contains(value))
    }
}

/// The bounds within a range of keys; `None`: no key can lie there.
fn within(bounds: &KeyBounds, keys: &KeyRange) -> Option<KeyBounds> {
    let start = match &bounds.start {
        Bound::Included(key) | Bound::Excluded(key) if key.as_ref() >= keys.start() => bounds.start.clone(),
        Bound::Unbounded if keys.start().is_empty() => Bound::Unbounded,
        _ => Bound::Included(Bytes::copy_from_slice(keys.start())),
    };
    let end = match (&bounds.end, keys.end()) {
        (end, None) => end.clone(),
        (Bound::Included(key), Some(end)) if key.as_ref() < end => bounds.end.clone(),
        (Bound::Excluded(key), Some(end)) if key.as_ref() <= end => bounds.end.clone(),
        (_, Some(end)) => Bound::Excluded(Bytes::copy_from_slice(end)),
    };
    let is_empty = match (&start, &end) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
        _ => false,
    };
    (!is_empty).then(|| KeyBounds::new(start, end))
}

#[cfg(test)]
mod tests;
