//! One look at a part of a tree of one shard: what is asked, and what is left of it behind that.
//!
//! Nothing is kept between two looks but what is left, so that each may be at another member, or from another node.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use photondb_query::table::DatumRange;
use photondb_reql::datum::Str;
use photondb_reql::geo::CellRanges;
use photondb_shard::Reader;
use photondb_shard::read::{Documents, GeoScan, IndexRows, KeyBounds};
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
        if let Some(last) = &found.last {
            part.go_on_after(last.clone(), self.direction);
        }
        Ok(found)
    }

    /// About `want` documents by `index`, and whether there may be more.
    pub fn by_index(
        &self,
        index: &str,
        reader: &Reader,
        part: &mut Part,
        want: usize,
        geo: &mut GeoScan,
    ) -> Result<IndexRows, ReplicaError> {
        match &self.cells {
            Some(cells) => self.by_cells(index, cells, reader, part, want, geo),
            None => self.by_values(index, reader, part, want),
        }
    }

    fn by_values(&self, index: &str, reader: &Reader, part: &mut Part, want: usize) -> Result<IndexRows, ReplicaError> {
        if let Some(mut alike) = part.alike.take() {
            let (rows, more) = alike.next(reader, index, self.direction, part.exact.as_ref(), want)?;
            match more {
                true => part.alike = Some(alike),
                false => alike.pass(&mut part.bounds, self.direction),
            }
            return Ok(IndexRows { rows, more: true });
        }
        let IndexRows { mut rows, mut more } = reader.index_rows(index, &part.bounds, self.direction, want)?;
        if self.ordered {
            let cut = rows.iter().enumerate().find_map(|(at, row)| Some((at, Alike::to(&row.entry, &part.bounds)?)));
            if let Some((at, alike)) = cut {
                part.alike = Some(alike);
                rows.truncate(at);
                more = true;
            }
        }
        if let Some(last) = rows.last() {
            part.go_on_after(last.entry.clone(), self.direction);
        }
        if let Some(exact) = &part.exact {
            rows.retain(|row| exact.contains(&row.value));
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
