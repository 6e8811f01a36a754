//! Reading a table's shards. Each batch is read from a fresh snapshot and the next one goes on after its last key, so
//! that a long scan pins nothing.
//!
//! A scan has a lane for each shard of the table, which are the shard's keys, and stay in lanes when shards are split or joined under it
//! (`moved.rs`). Of a shard that has more keys than a lane nothing else is given by it. By the primary key, lanes follow each
//! other. By an index, each has entries of the whole range: where the order matters they are merged.

mod alike;
mod elsewhere;
#[cfg(test)]
pub(crate) mod fed;
mod merge;
mod moved;
mod part;

use std::ops::Bound;
use std::sync::Arc;

use photondb_query::table::{Access, DatumRange, Glanced, Keys, Order, Position, Progress, ReadMode, Row, Rows};
use photondb_reql::datum::format::document_node;
use photondb_reql::datum::{Datum, Str};
use photondb_reql::error::Result;
use photondb_reql::eval::Glance;
use photondb_runtime::fiber;
use photondb_shard::read::{GeoScan, IndexRow, IndexRows, KeyBounds};
use photondb_shard::secondary::decode_datum;
use photondb_shard::{Reader, ShardError};
use photondb_storage::Direction;
use photondb_storage::fault::{buggify, fault_point};

use crate::error::{Doing, ReplicaError};
use crate::keys;
use crate::limits::{LOOKS_BETWEEN_YIELDS, MERGE_ROWS_MIN};
use crate::routes::{Route, TableRoutes};
use merge::Merge;

pub(crate) use alike::Alike;
pub(crate) use part::{Look, Part};

/// A scan in progress.
pub struct TableScan {
    table: Str,
    /// As they are known. Looks go by those of the lanes.
    routes: Arc<TableRoutes>,
    lanes: Vec<Lane>,
    /// How far each lane is.
    progress: Vec<Progress>,
    mode: ReadMode,
    look: Look,
    /// Whether somebody counts on an order that its shards have only together.
    merges: bool,
    /// What looks into a geospatial index keep for the next ones.
    geo: GeoScan,
    /// What is still to be read, the next one last.
    stages: Vec<Stage>,
}

/// Keys that are read of one shard together.
struct Lane {
    /// The way to whoever has them, to all of them and no others.
    route: Arc<Route>,
    /// How many parts are not read to their ends.
    left: usize,
}

#[expect(clippy::large_enum_variant, reason = "nearly all are parts, which nobody wants to look for elsewhere")]
enum Stage {
    /// Of one lane, by its number.
    Part(usize, Part),
    /// Of several, in the order of an index.
    Merge(Merge),
}

impl TableScan {
    /// Prepares a scan; nothing is read yet. Errors: a bound or a key that cannot be one.
    pub fn new(table: Str, routes: Arc<TableRoutes>, access: &Access, mode: ReadMode) -> Result<TableScan> {
        let direction = if access.order == Order::Descending { Direction::Backward } else { Direction::Forward };
        let cells = match &access.keys {
            Keys::Cells(wanted) => Some(wanted.clone()),
            _ => None,
        };
        let look = Look { index: access.index.clone(), cells, direction, ordered: access.order != Order::Any };
        let merges = look.index.is_some() && matches!(access.order, Order::Ascending | Order::Descending);
        let lanes = routes.all().iter().map(|route| Lane { route: route.clone(), left: 0 }).collect();
        let ahead = |route: &Arc<Route>| Progress::ahead(route.range.clone(), route.number());
        let progress = routes.all().iter().map(ahead).collect();
        let (geo, stages) = (GeoScan::default(), Vec::new());
        let mut scan = TableScan { table, routes, lanes, progress, mode, look, merges, geo, stages };
        scan.plan(&access.keys)?;
        (0..scan.lanes.len()).for_each(|lane| scan.note_end(lane));
        if direction == Direction::Forward {
            scan.stages.reverse();
        }
        Ok(scan)
    }

    fn plan(&mut self, keys: &Keys) -> Result<()> {
        let by_index = self.look.index.is_some();
        let range = |scan: &mut TableScan, range: &DatumRange| -> Result<()> {
            if by_index {
                if let Some((bounds, cut)) = keys::index_bounds(range)? {
                    scan.add(Part::of(bounds, cut.then(|| range.clone())));
                }
            } else if let Some(bounds) = keys::primary_bounds(range)? {
                scan.add(Part::of(bounds, None));
            }
            Ok(())
        };
        match keys {
            Keys::Range(all) => range(self, all),
            Keys::Cells(cells) => {
                cells.iter().for_each(|range| self.add(Part::of(keys::cell_bounds(range), None)));
                Ok(())
            }
            Keys::Each(each) if by_index => each.iter().try_for_each(|key| range(self, &point(key))),
            Keys::Each(each) => each.iter().try_for_each(|key| {
                let key = Bound::Included(keys::primary(key)?);
                self.add(Part::of(KeyBounds::new(key.clone(), key), None));
                Ok(())
            }),
        }
    }

    /// One range, at all lanes that can have some of it.
    fn add(&mut self, part: Part) {
        if self.merges && self.lanes.len() > 1 {
            self.lanes.iter_mut().for_each(|lane| lane.left += 1);
            self.stages.push(Stage::Merge(Merge::of((0..self.lanes.len()).map(|lane| (lane, part.clone())))));
            return;
        }
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(part) = part.of_keys(&lane.route.range, self.look.index.is_some()) {
                lane.left += 1;
                self.stages.push(Stage::Part(number, part));
            }
        }
    }

    fn batch(&mut self, want: usize, glance: &mut Glance<'_>) -> std::result::Result<Glanced, ReplicaError> {
        for looks in 1.. {
            let found = match self.stages.pop() {
                None => break,
                Some(Stage::Part(lane, mut part)) => match self.glance_at(lane, &mut part, want, glance) {
                    Ok((found, more)) => {
                        match more {
                            true => self.stages.push(Stage::Part(lane, part)),
                            false => self.end_of_part(lane),
                        }
                        found
                    }
                    Err(ReplicaError::Shard(ShardError::Moved)) => {
                        self.stages.push(Stage::Part(lane, part));
                        self.moved(lane)?;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                Some(Stage::Merge(mut merge)) => match self.merged(&mut merge, want, glance) {
                    Ok(found) => {
                        if !merge.runs.is_empty() {
                            self.stages.push(Stage::Merge(merge));
                        }
                        found
                    }
                    Err((lane, ReplicaError::Shard(ShardError::Moved))) => {
                        self.stages.push(Stage::Merge(merge));
                        self.moved(lane)?;
                        continue;
                    }
                    Err((_, error)) => return Err(error),
                },
            };
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

    /// Some rows of one part, and whether there may be more.
    fn glance_at(
        &mut self,
        lane: usize,
        part: &mut Part,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<(Glanced, bool), ReplicaError> {
        if self.look.index.is_some() {
            let (IndexRows { rows, more }, position) = self.index_rows(lane, part, want)?;
            let rows = rows.into_iter().map(|row| (row, Origin { lane, position }));
            return Ok((look(rows, glance)?, more));
        }
        match self.reader(lane)? {
            Some(reader) => self.documents(&reader, lane, part, want, glance),
            None => self.documents_elsewhere(lane, part, want, glance),
        }
    }

    /// A view of this node's member, if that is fresh enough and has all keys that it is asked for.
    fn reader(&self, lane: usize) -> std::result::Result<Option<Reader>, ReplicaError> {
        let route = &self.lanes[lane].route;
        let Some(replica) = &route.here else { return Ok(None) };
        match replica.read_range(&route.range, route.epoch, self.mode) {
            Err(ReplicaError::NotLeading) => Ok(None),
            reader => reader.map(Some),
        }
    }

    fn documents(
        &mut self,
        reader: &Reader,
        lane: usize,
        part: &mut Part,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<(Glanced, bool), ReplicaError> {
        let glance = |document: &[u8]| document_node(document).is_some_and(&mut *glance);
        let found = self.look.documents(reader, part, want, glance)?;
        let position = self.looked(lane, reader.position().0);
        let more = found.last.is_some();
        if found.examined > 0 {
            self.progress[lane].finds(more);
        }
        let row =
            |(_, document): &(_, _)| Ok(Row { document: decode_datum(document)?, index_value: None, lane, position });
        let rows = found.rows.iter().map(row).collect::<std::result::Result<_, ReplicaError>>()?;
        Ok((Glanced { rows, examined: found.examined }, more))
    }

    /// Some rows of a part of an index.
    fn index_rows(
        &mut self,
        lane: usize,
        part: &mut Part,
        want: usize,
    ) -> std::result::Result<(IndexRows, Position), ReplicaError> {
        match self.reader(lane)? {
            Some(reader) => self.index_rows_of(&reader, lane, part, want),
            None => self.index_rows_elsewhere(lane, part, want),
        }
    }

    fn index_rows_of(
        &mut self,
        reader: &Reader,
        lane: usize,
        part: &mut Part,
        want: usize,
    ) -> std::result::Result<(IndexRows, Position), ReplicaError> {
        let index = self.look.index.clone().expect("asked of an index only");
        let keys = &self.lanes[lane].route.range;
        let found = self.look.by_index(&index, reader, keys, part, want, &mut self.geo)?;
        let position = self.looked(lane, reader.position().0);
        self.found(lane, &found, part);
        Ok((found, position))
    }

    /// Some rows of several lanes, in order. Errors: with the lane that failed; what was read is kept.
    fn merged(
        &mut self,
        merge: &mut Merge,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<Glanced, (usize, ReplicaError)> {
        let each = want.div_ceil(merge.runs.len().max(1)).max(MERGE_ROWS_MIN).min(want);
        let mut looks = 0;
        while let Some(empty) = merge.empty_run() {
            let run = &mut merge.runs[empty];
            let Some(part) = &mut run.part else { continue };
            let lane = run.from.lane;
            let found = self.index_rows(lane, part, each);
            let (IndexRows { rows, more }, position) = found.map_err(|error| (lane, error))?;
            if !more {
                run.part = None;
            }
            run.from.position = position;
            run.rows.extend(rows);
            looks += 1;
            if looks % LOOKS_BETWEEN_YIELDS == 0 {
                fiber::yield_now();
            }
        }
        let direction = self.look.direction;
        let mut next = 0;
        let rows = std::iter::from_fn(|| {
            // What a run has next must be known before the next of all is.
            let known = next < want && (next == 0 || merge.empty_run().is_none());
            next += 1;
            if known { merge.pop(direction) } else { None }
        });
        let found = look(rows, glance).map_err(|error| (0, error))?;
        merge.take_ended().for_each(|lane| self.end_of_part(lane));
        Ok(found)
    }

    /// A lane is read at this index.
    fn looked(&mut self, lane: usize, index: u64) -> Position {
        let index = if fault_point!("feed-without-position") { 0 } else { index };
        let position = Position { shard: self.lanes[lane].route.number(), index };
        self.progress[lane].looks(position);
        position
    }

    /// These rows were found there by an index; `part` is what is left, if there is more.
    fn found(&mut self, lane: usize, found: &IndexRows, part: &Part) {
        if let Some(last) = found.rows.last() {
            self.progress[lane].finds(found.more && part.goes_on_behind(last, self.look.direction));
        }
    }

    fn end_of_part(&mut self, lane: usize) {
        self.lanes[lane].left -= 1;
        self.note_end(lane);
    }

    fn note_end(&mut self, lane: usize) {
        self.progress[lane].ended = self.lanes[lane].left == 0;
    }
}

impl Rows for TableScan {
    fn next_batch(&mut self, want: usize) -> Result<Vec<Row>> {
        self.glance_batch(want, &mut |_| false).map(|found| found.rows)
    }

    fn glance_batch(&mut self, want: usize, glance: &mut Glance<'_>) -> Result<Glanced> {
        let want = if buggify!("replica/scan-row-by-row") { 1 } else { want };
        if buggify!("replica/scan-gives-way") {
            fiber::yield_now();
        }
        self.batch(want.max(1), glance).map_err(|error| error.for_query(&self.table, Doing::Read))
    }

    fn progress(&self) -> &[Progress] {
        &self.progress
    }

    fn is_at_end(&self) -> bool {
        self.stages.is_empty()
    }

    fn held_bytes(&self) -> usize {
        self.geo.bytes()
    }
}

/// Where a row comes from: by which lane, and from which snapshot.
#[derive(Clone, Copy)]
struct Origin {
    lane: usize,
    position: Position,
}

/// Looks at documents found by an index, in their order.
fn look(
    rows: impl Iterator<Item = (IndexRow, Origin)>,
    glance: &mut Glance<'_>,
) -> std::result::Result<Glanced, ReplicaError> {
    let mut found = Glanced::default();
    for (row, Origin { lane, position }) in rows {
        found.examined += 1;
        if !document_node(&row.document).is_some_and(&mut *glance) {
            let document = decode_datum(&row.document)?;
            found.rows.push(Row { document, index_value: Some(row.value), lane, position });
        }
    }
    Ok(found)
}

/// The range that holds one key.
pub(crate) fn point(key: &Datum) -> DatumRange {
    DatumRange { left: key.clone(), left_closed: true, right: key.clone(), right_closed: true }
}
