//! Reading a table's shards. Each batch is read from a fresh snapshot and the next one goes on after its last key, so
//! that a long scan pins nothing.
//!
//! By the primary key, shards follow each other. By an index, each has entries of the whole range: where the order matters
//! they are merged. Where a shard turns out to have been split, what is left of it to be read is read of those that there are then
//! (`moved.rs`).

mod alike;
mod elsewhere;
mod merge;
mod moved;
mod part;

use std::ops::Bound;
use std::sync::Arc;

use photondb_query::table::{
    Access, DatumRange, Glanced, Keys, Lineage, Move, Order, Position, Progress, ReadMode, Row, Rows, ShardNumber,
};
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
use smallvec::SmallVec;

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
    /// As they are known. What looks at shards goes by `shards`.
    routes: Arc<TableRoutes>,
    /// Those of the table, and behind them those that they were split into since.
    shards: Vec<Shard>,
    mode: ReadMode,
    look: Look,
    /// Whether somebody counts on an order that its shards have only together.
    merges: bool,
    /// What looks into a geospatial index keep for the next ones.
    geo: GeoScan,
    /// What is still to be read, the next one last.
    stages: Vec<Stage>,
    progress: SmallVec<[Progress; 1]>,
    /// Which keys are read of another shard than the one that they were of once.
    moves: Arc<[Move]>,
}

/// A shard that the scan reads.
struct Shard {
    route: Arc<Route>,
    /// How many parts are not read to their ends.
    left: usize,
    /// From which others it was cut off since the scan began.
    lineage: Lineage,
}

#[expect(clippy::large_enum_variant, reason = "nearly all are parts, which nobody wants to look for elsewhere")]
enum Stage {
    /// Of one shard, by its place among the table's.
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
        let shard = |route: &Arc<Route>| Shard { route: route.clone(), left: 0, lineage: Lineage::default() };
        let shards = routes.all().iter().map(shard).collect();
        let (geo, stages, progress) = (GeoScan::default(), Vec::new(), SmallVec::new());
        let moves = routes.moves().clone();
        let mut scan = TableScan { table, routes, shards, mode, look, merges, geo, stages, progress, moves };
        scan.plan(&access.keys)?;
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

    /// One range, at all shards that can have some of it.
    fn add(&mut self, part: Part) {
        if self.merges && self.shards.len() > 1 {
            self.shards.iter_mut().for_each(|shard| shard.left += 1);
            self.stages.push(Stage::Merge(Merge::of((0..self.shards.len()).map(|shard| (shard, part.clone())))));
            return;
        }
        for (number, shard) in self.shards.iter_mut().enumerate() {
            if self.look.index.is_some() || shard.route.overlaps(&part.bounds) {
                shard.left += 1;
                self.stages.push(Stage::Part(number, part.clone()));
            }
        }
    }

    fn batch(&mut self, want: usize, glance: &mut Glance<'_>) -> std::result::Result<Glanced, ReplicaError> {
        for looks in 1.. {
            let found = match self.stages.pop() {
                None => break,
                Some(Stage::Part(shard, mut part)) => match self.glance_at(shard, &mut part, want, glance) {
                    Ok((found, more)) => {
                        match more {
                            true => self.stages.push(Stage::Part(shard, part)),
                            false => self.end_of_part(shard),
                        }
                        found
                    }
                    Err(ReplicaError::Shard(ShardError::Moved)) => {
                        self.stages.push(Stage::Part(shard, part));
                        self.moved(shard)?;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                Some(Stage::Merge(mut merge)) => match self.merged(&mut merge, want, glance) {
                    Ok(found) => {
                        if !merge.lanes.is_empty() {
                            self.stages.push(Stage::Merge(merge));
                        }
                        found
                    }
                    Err((shard, ReplicaError::Shard(ShardError::Moved))) => {
                        self.stages.push(Stage::Merge(merge));
                        self.moved(shard)?;
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
        shard: usize,
        part: &mut Part,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<(Glanced, bool), ReplicaError> {
        if self.look.index.is_some() {
            let (IndexRows { rows, more }, position) = self.index_rows(shard, part, want)?;
            return Ok((look(rows.into_iter().map(|row| (row, position)), glance)?, more));
        }
        match self.reader(shard)? {
            Some(reader) => self.documents(&reader, shard, part, want, glance),
            None => self.documents_elsewhere(shard, part, want, glance),
        }
    }

    /// A view of this node's member, if that is fresh enough and has all keys that it is asked for.
    fn reader(&self, shard: usize) -> std::result::Result<Option<Reader>, ReplicaError> {
        let route = &self.shards[shard].route;
        let Some(replica) = &route.here else { return Ok(None) };
        match replica.read_range(&route.range, route.epoch, self.mode) {
            Err(ReplicaError::NotLeading) => Ok(None),
            reader => reader.map(Some),
        }
    }

    fn documents(
        &mut self,
        reader: &Reader,
        shard: usize,
        part: &mut Part,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<(Glanced, bool), ReplicaError> {
        let position = self.looked(shard, reader.position().0);
        let glance = |document: &[u8]| document_node(document).is_some_and(&mut *glance);
        let found = self.look.documents(reader, part, want, glance)?;
        let row = |(_, document): &(_, _)| Ok(Row { document: decode_datum(document)?, index_value: None, position });
        let rows = found.rows.iter().map(row).collect::<std::result::Result<_, ReplicaError>>()?;
        Ok((Glanced { rows, examined: found.examined }, found.last.is_some()))
    }

    /// Some rows of a part of an index.
    fn index_rows(
        &mut self,
        shard: usize,
        part: &mut Part,
        want: usize,
    ) -> std::result::Result<(IndexRows, Position), ReplicaError> {
        match self.reader(shard)? {
            Some(reader) => self.index_rows_of(&reader, shard, part, want),
            None => self.index_rows_elsewhere(shard, part, want),
        }
    }

    fn index_rows_of(
        &mut self,
        reader: &Reader,
        shard: usize,
        part: &mut Part,
        want: usize,
    ) -> std::result::Result<(IndexRows, Position), ReplicaError> {
        let index = self.look.index.clone().expect("asked of an index only");
        let found = self.look.by_index(&index, reader, part, want, &mut self.geo)?;
        Ok((found, self.looked(shard, reader.position().0)))
    }

    /// Some rows of several shards, in order. Errors: with the shard that failed; what was read is kept.
    fn merged(
        &mut self,
        merge: &mut Merge,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> std::result::Result<Glanced, (usize, ReplicaError)> {
        let each = want.div_ceil(merge.lanes.len().max(1)).max(MERGE_ROWS_MIN).min(want);
        let mut looks = 0;
        while let Some(empty) = merge.empty_lane() {
            let lane = &mut merge.lanes[empty];
            let Some(part) = &mut lane.part else { continue };
            let shard = lane.shard;
            let found = self.index_rows(shard, part, each);
            let (IndexRows { rows, more }, position) = found.map_err(|error| (shard, error))?;
            if !more {
                lane.part = None;
            }
            lane.position = position;
            lane.rows.extend(rows);
            looks += 1;
            if looks % LOOKS_BETWEEN_YIELDS == 0 {
                fiber::yield_now();
            }
        }
        let direction = self.look.direction;
        let mut next = 0;
        let rows = std::iter::from_fn(|| {
            // What a lane has next must be known before the next of all is.
            let known = next < want && (next == 0 || merge.empty_lane().is_none());
            next += 1;
            if known { merge.pop(direction) } else { None }
        });
        let found = look(rows, glance).map_err(|error| (0, error))?;
        merge.take_ended().for_each(|shard| self.end_of_part(shard));
        Ok(found)
    }

    /// A shard was read at this index.
    fn looked(&mut self, shard: usize, index: u64) -> Position {
        let index = if fault_point!("feed-without-position") { 0 } else { index };
        let number = self.shards[shard].route.number();
        match self.progress.iter_mut().find(|progress| progress.shard == number) {
            Some(progress) => progress.last = index,
            None => self.progress.push(Progress { shard: number, first: index, last: index, ended: false }),
        }
        Position { shard: number, index }
    }

    fn end_of_part(&mut self, shard: usize) {
        self.shards[shard].left -= 1;
        let number = self.shards[shard].route.number();
        if self.shards[shard].left == 0
            && let Some(progress) = self.progress.iter_mut().find(|progress| progress.shard == number)
        {
            progress.ended = true;
        }
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

    fn lineage(&self, shard: ShardNumber) -> Lineage {
        let found = self.shards.iter().find(|found| found.route.number() == shard);
        found.map(|found| found.lineage.clone()).unwrap_or_default()
    }

    fn moves(&self) -> &[Move] {
        &self.moves
    }

    fn is_at_end(&self) -> bool {
        self.stages.is_empty()
    }

    fn held_bytes(&self) -> usize {
        self.geo.bytes()
    }
}

/// Looks at documents found by an index, in their order.
fn look(
    rows: impl Iterator<Item = (IndexRow, Position)>,
    glance: &mut Glance<'_>,
) -> std::result::Result<Glanced, ReplicaError> {
    let mut found = Glanced::default();
    for (row, position) in rows {
        found.examined += 1;
        if !document_node(&row.document).is_some_and(&mut *glance) {
            let document = decode_datum(&row.document)?;
            found.rows.push(Row { document, index_value: Some(row.value), position });
        }
    }
    Ok(found)
}

/// The range that holds one key.
pub(crate) fn point(key: &Datum) -> DatumRange {
    DatumRange { left: key.clone(), left_closed: true, right: key.clone(), right_closed: true }
}
