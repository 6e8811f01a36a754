//! Initial content, and which changes it includes already.
//!
//! What was given is remembered of each lane by itself ([`Rows::progress`]): a range of keys, whosever they are by then. All that happens to
//! one key is ordered by index, and told in that order, over all shards that ever have it ([`Position`]); of which shard a row or a change
//! comes does not matter. So a change is judged by the lane that has its key. What was given of a lane before it was cut counts for
//! both parts. How a change is judged, and when a lane is forgotten, stands in [`lane`].

mod lane;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::Cx;
use photondb_reql::key::PrimaryKey;

use crate::limits::INITIAL_CHUNK_ROWS;
use crate::selection::{Part, TableRef, by_cells};
use crate::table::{Access, Change, Keys, Order, Position, Progress, Row, Rows, ShardNumber};
use lane::{Kind, Lane, remembered};

/// The initial content of one feed.
pub(super) struct Initial {
    rows: Option<Box<dyn Rows>>,
    kind: Kind,
    /// In the order of their numbers.
    lanes: Vec<Lane>,
    primary_key: photondb_reql::Str,
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
        let mut initial = Initial { rows, kind, lanes: Vec::new(), primary_key };
        initial.follow(false);
        initial
    }

    /// Whether everything was given.
    pub fn is_complete(&self) -> bool {
        self.rows.is_none()
    }

    /// The shards of which content was read, each with the newest of its snapshots; of changes up to there, some may still have to be
    /// dropped. Who is told of the others comes behind them: a lane counts with the shard that it was read of last, and that one tells
    /// what is newer only behind all that happened to the lane's keys in others before.
    pub fn newest(&self) -> impl Iterator<Item = (ShardNumber, u64)> {
        let mut newest: BTreeMap<ShardNumber, u64> = BTreeMap::new();
        for Position { shard, index } in self.lanes.iter().filter_map(Lane::newest) {
            let of_shard = newest.entry(shard).or_default();
            *of_shard = index.max(*of_shard);
        }
        newest.into_iter()
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
        // What was cut meanwhile was cut before these rows were read.
        self.follow(at_end);
        if at_end {
            self.rows = None;
        }
        for run in batch.chunk_by(|left, right| (left.lane, left.position) == (right.lane, right.position)) {
            if let Some(last) = run.last() {
                self.lanes[last.lane].given_up_to(last, &self.primary_key);
            }
        }
        let mut bytes = 0;
        if self.kind != Kind::Keys {
            batch.retain(|row| {
                // It may stand at several places, and is given at the first of them, for all: at the next one the snapshot may be
                // another.
                let documents = &mut self.lanes[row.lane].documents;
                let Entry::Vacant(place) = documents.entry(lane::key_of(row, &self.primary_key)) else { return false };
                bytes += remembered(place.key());
                place.insert(row.position.index);
                true
            });
        }
        cx.hold(bytes)?;
        Ok(batch)
    }

    /// Knows of each lane what the scan says of it.
    fn follow(&mut self, at_end: bool) {
        let Initial { rows: Some(rows), kind, lanes, .. } = self else { return };
        let (known, progress) = (lanes.len(), rows.progress());
        for Progress { keys, of, .. } in &progress[known..] {
            // One that is not known either has given nothing that the one before it had not.
            let of = std::iter::successors(*of, |of| progress[*of].of).find(|of| *of < known);
            let lane = match of {
                Some(of) => lanes[of].cut_off(keys),
                None => Lane::new(*kind, keys),
            };
            lanes.push(lane);
        }
        lanes.iter_mut().zip(progress).for_each(|(lane, progress)| lane.follow(progress, at_end));
    }

    /// What becomes of a change. `places` are the places of the new document in the order that is read.
    pub fn fate(&mut self, key: &Datum, places: &[Datum], change: &Change, cx: &Cx) -> Result<Fate> {
        let of = self.lane_of(key);
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if lane.is_passed_by(change.position, of == Some(number)) {
                cx.release(lane.forget());
            }
        }
        let lane = of.map(|number| &mut self.lanes[number]).filter(|lane| !lane.is_forgotten());
        // Of a key that no lane has, nothing is or was given.
        let Some(lane) = lane else { return Ok(Fate::Show) };
        let fate = lane.fate(key, places, change.position.index);
        if fate == Fate::ShowAsNew {
            cx.hold(remembered(key))?;
            // Several changes of a document may have one position, and this is the first of them.
            lane.documents.insert(key.detach(), change.position.index.saturating_sub(1));
        }
        Ok(fate)
    }

    /// Which of the lanes that are not forgotten has a key.
    fn lane_of(&self, key: &Datum) -> Option<usize> {
        if self.lanes.iter().all(Lane::is_forgotten) {
            return None;
        }
        let key = PrimaryKey::new(key).ok()?;
        self.lanes.iter().position(|lane| !lane.is_forgotten() && lane.has(key.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
