//! Scans over a table's shards. Each batch is read from a fresh snapshot and the next one goes on after its last key, so
//! that a long scan pins nothing.

mod alike;

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use photondb_query::table::{Access, DatumRange, Glanced, Keys, Order, Position, ReadMode, Row, Rows};
use photondb_reql::datum::format::document_node;
use photondb_reql::datum::{Datum, Str};
use photondb_reql::error::Result;
use photondb_reql::eval::Glance;
use photondb_reql::geo::CellRanges;
use photondb_runtime::fiber;
use photondb_shard::Reader;
use photondb_shard::read::{GeoScan, IndexRow, IndexRows, KeyBounds};
use photondb_shard::secondary::decode_datum;
use photondb_storage::Direction;

use crate::error::ReplicaError;
use crate::keys;
use crate::limits::LOOKS_BETWEEN_YIELDS;
use crate::replica::{Replica, TableReplicas};
use alike::Alike;

/// A scan in progress.
pub struct TableScan {
    table: Str,
    replicas: Arc<TableReplicas>,
    mode: ReadMode,
    index: Option<Str>,
    /// What is asked of a geospatial index.
    cells: Option<Arc<CellRanges>>,
    /// What looks into it keep for the next ones.
    geo: GeoScan,
    direction: Direction,
    /// Whether somebody counts on the order.
    ordered: bool,
    /// What is still to be read, the next one last.
    parts: Vec<Part>,
    position: Position,
}

/// A range of one tree of one shard.
struct Part {
    shard: usize,
    bounds: KeyBounds,
    /// The range as the query put it: a key in the tree may be a truncated index value.
    exact: Option<DatumRange>,
    /// The entries at the front of `bounds` that are alike in their keys and are being read in the order of their values.
    alike: Option<Alike>,
}

impl TableScan {
    /// Prepares a scan; nothing is read yet. Errors: a bound or a key that cannot be one.
    pub fn new(table: Str, replicas: Arc<TableReplicas>, access: &Access, mode: ReadMode) -> Result<TableScan> {
        let direction = if access.order == Order::Descending { Direction::Backward } else { Direction::Forward };
        let mut ranges = Vec::new();
        let mut cells = None;
        match (&access.keys, &access.index) {
            (Keys::Range(range), None) => ranges.extend(keys::primary_bounds(range)?.map(|bounds| (bounds, None))),
            (Keys::Range(range), Some(_)) => {
                ranges.extend(keys::index_bounds(range)?.map(|(bounds, cut)| (bounds, cut.then(|| range.clone()))));
            }
            (Keys::Cells(wanted), _) => {
                ranges.extend(wanted.iter().map(|range| (keys::cell_bounds(range), None)));
                cells = Some(wanted.clone());
            }
            (Keys::Each(each), index) => {
                for key in each {
                    if index.is_none() {
                        let key = keys::primary(key)?;
                        let key = Bound::Included(key);
                        ranges.push((KeyBounds::new(key.clone(), key), None));
                    } else {
                        let range = point(key);
                        ranges.extend(keys::index_bounds(&range)?.map(|(bounds, cut)| (bounds, cut.then_some(range))));
                    }
                }
            }
        }
        let mut parts = Vec::new();
        for (bounds, exact) in ranges {
            for shard in 0..replicas.shards().len() {
                parts.push(Part { shard, bounds: bounds.clone(), exact: exact.clone(), alike: None });
            }
        }
        if direction == Direction::Forward {
            parts.reverse();
        }
        let index = access.index.clone();
        let geo = GeoScan::default();
        let ordered = access.order != Order::Any;
        Ok(TableScan { table, replicas, mode, index, cells, geo, direction, ordered, parts, position: Position(0) })
    }

    fn batch(&mut self, want: usize, glance: &mut Glance<'_>) -> std::result::Result<Glanced, ReplicaError> {
        for looks in 1.. {
            let Some(mut part) = self.parts.pop() else { break };
            let reader = read(&self.replicas.shards()[part.shard], self.mode)?;
            self.position = Position(reader.position().0);
            let (found, more) = match (self.index.clone(), self.cells.clone()) {
                (None, _) => self.primary(&reader, &mut part, want, glance)?,
                (Some(index), Some(cells)) => self.geo(&reader, &index, &cells, &mut part, want, glance)?,
                (Some(index), None) => self.secondary(&reader, &index, &mut part, want, glance)?,
            };
            if more {
                self.parts.push(part);
            }
            if found.examined > 0 {
                return Ok(found);
            }
            // Many looks may find nothing: others have their turn, and the query can be ended.
            if looks % LOOKS_BETWEEN_YIELDS == 0 {
                fiber::yield_now();
            }
        }
        Ok(Glanced::default())
    }

    fn primary(
        &self,
        reader: &Reader,
        part: &mut Part,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<(Glanced, bool), ReplicaError> {
        let glance = |document: &[u8]| document_node(document).is_some_and(&mut *glance);
        let documents = reader.documents(&part.bounds, self.direction, want, glance)?;
        let row = |(_, document): &(Bytes, Bytes)| Ok(Row { document: decode_datum(document)?, index_value: None });
        let rows = documents.rows.iter().map(row).collect::<std::result::Result<_, ReplicaError>>()?;
        let found = Glanced { rows, examined: documents.examined };
        let more = documents.last.is_some();
        if let Some(last) = documents.last {
            self.go_on_after(part, last);
        }
        Ok((found, more))
    }

    fn secondary(
        &self,
        reader: &Reader,
        index: &str,
        part: &mut Part,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<(Glanced, bool), ReplicaError> {
        if let Some(mut alike) = part.alike.take() {
            let (rows, more) = alike.next(reader, index, self.direction, part.exact.as_ref(), want)?;
            match more {
                true => part.alike = Some(alike),
                false => alike.pass(&mut part.bounds, self.direction),
            }
            return Ok((look(rows, None, glance)?, true));
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
            self.go_on_after(part, last.entry.clone());
        }
        Ok((look(rows, part.exact.as_ref(), glance)?, more))
    }

    fn geo(
        &mut self,
        reader: &Reader,
        index: &str,
        cells: &CellRanges,
        part: &mut Part,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<(Glanced, bool), ReplicaError> {
        let rows = reader.geo_rows(index, cells, &part.bounds, want, &mut self.geo)?;
        if let Some(last) = rows.last {
            self.go_on_after(part, last);
        }
        Ok((look(rows.rows, None, glance)?, rows.more))
    }

    fn go_on_after(&self, part: &mut Part, last: Bytes) {
        match self.direction {
            Direction::Forward => part.bounds.start = Bound::Excluded(last),
            Direction::Backward => part.bounds.end = Bound::Excluded(last),
        }
    }
}

impl Rows for TableScan {
    fn next_batch(&mut self, want: usize) -> Result<Vec<Row>> {
        self.glance_batch(want, &mut |_| false).map(|found| found.rows)
    }

    fn glance_batch(&mut self, want: usize, glance: &mut Glance<'_>) -> Result<Glanced> {
        self.batch(want.max(1), glance).map_err(|error| error.for_query(&self.table))
    }

    fn position(&self) -> Position {
        self.position
    }

    fn is_at_end(&self) -> bool {
        self.parts.is_empty()
    }

    fn held_bytes(&self) -> usize {
        self.geo.bytes()
    }
}

/// Looks at documents found by an index, but for those outside of `exact`.
fn look(
    rows: Vec<IndexRow>,
    exact: Option<&DatumRange>,
    glance: &mut Glance<'_>,
) -> std::result::Result<Glanced, ReplicaError> {
    let mut found = Glanced::default();
    for row in rows {
        if exact.is_some_and(|range| !range.contains(&row.value)) {
            continue;
        }
        found.examined += 1;
        if !document_node(&row.document).is_some_and(&mut *glance) {
            found.rows.push(Row { document: decode_datum(&row.document)?, index_value: Some(row.value) });
        }
    }
    Ok(found)
}

/// A view of one member, as fresh as `mode` asks.
pub(crate) fn read(replica: &Replica, mode: ReadMode) -> std::result::Result<Reader, ReplicaError> {
    match mode {
        ReadMode::Single | ReadMode::Majority => replica.read(),
        ReadMode::Outdated => replica.read_outdated(),
    }
}

/// The range that holds one key.
pub(crate) fn point(key: &Datum) -> DatumRange {
    DatumRange { left: key.clone(), left_closed: true, right: key.clone(), right_closed: true }
}
