//! Reads the table as `TableScan` does.

use std::cell::RefCell;
use std::rc::Rc;

use photondb_reql::error::Result;

use super::model::{Selection, Step, World, document, number, range};
use crate::table::{Position, Progress, Row, Rows, ShardNumber};

/// Of a larger batch nothing would be left to be read later.
const ROWS_MAX: usize = 3;

pub struct Scan {
    world: Rc<RefCell<World>>,
    selection: Selection,
    lanes: Vec<Lane>,
    progress: Vec<Progress>,
    /// The next one last.
    left: Vec<Part>,
    /// What happens between looks that find nothing, the next one last.
    between: Vec<Step>,
}

/// Of whom it is read, and its keys.
#[derive(Clone, Copy)]
struct Lane {
    shard: ShardNumber,
    keys: (u8, u8),
}

/// A part of a lane that is to be read.
#[derive(Clone, Copy)]
struct Part {
    lane: usize,
    /// Places of the index, or keys.
    span: (u8, u8),
    /// What was read last.
    after: Option<Entry>,
}

/// Place and key: the order of the tree.
type Entry = (u8, u8);

/// What a look at the tree of a shard gives.
struct Found {
    index: u64,
    rows: Vec<(Entry, u64)>,
    /// What was looked at last.
    last: Option<Entry>,
    more: bool,
}

impl Scan {
    pub fn open(world: &Rc<RefCell<World>>, selection: Selection, between: Vec<Step>) -> Scan {
        let mut lanes: Vec<_> =
            world.borrow().live().map(|shard| Lane { shard: shard.number, keys: shard.keys }).collect();
        lanes.sort_by_key(|lane| lane.keys);
        let progress = lanes.iter().map(|lane| Progress::ahead(range(lane.keys), lane.shard)).collect();
        let mut scan = Scan { world: world.clone(), selection, lanes, progress, left: Vec::new(), between };
        for span in selection.spans() {
            let parts = (0..scan.lanes.len()).filter_map(|lane| scan.part_of(lane, Part { lane, span, after: None }));
            let parts: Vec<_> = parts.collect();
            scan.left.extend(parts);
        }
        scan.left.reverse();
        scan.note_ends();
        scan
    }

    /// What a lane can have of a part.
    fn part_of(&self, lane: usize, part: Part) -> Option<Part> {
        let keys = self.lanes[lane].keys;
        let (low, high) = match self.selection.by_index() {
            true => part.span,
            false => (part.span.0.max(keys.0), part.span.1.min(keys.1)),
        };
        let low = part.after.filter(|_| !self.selection.by_index()).map_or(low, |(_, key)| low.max(key + 1));
        (low < high).then_some(Part { lane, span: (low, high), ..part })
    }

    fn note_ends(&mut self) {
        for (lane, progress) in self.progress.iter_mut().enumerate() {
            progress.ended = self.left.iter().all(|part| part.lane != lane);
        }
    }

    /// A look; `None`: the shard has not all keys of the lane.
    fn look(&self, part: &Part, want: usize) -> Option<Found> {
        let (world, lane) = (self.world.borrow(), self.lanes[part.lane]);
        let shard = world.shard(lane.shard);
        if lane.keys.0 < shard.keys.0 || shard.keys.1 < lane.keys.1 {
            return None;
        }
        let by_index = self.selection.by_index();
        let of_shard = world.documents.iter().filter(|(key, _)| shard.keys.0 <= **key && **key < shard.keys.1);
        let entries = of_shard.map(|(key, (place, version))| ((if by_index { *place } else { *key }, *key), *version));
        let is_left = |(place, key): Entry| {
            part.span.0 <= place && place < part.span.1 && part.after.is_none_or(|after| after < (place, key))
        };
        let mut rows: Vec<_> = entries.filter(|(entry, _)| is_left(*entry)).collect();
        rows.sort_unstable();
        let more = rows.len() > want;
        rows.truncate(want);
        let last = rows.last().map(|(entry, _)| *entry);
        rows.retain(|((_, key), _)| lane.keys.0 <= *key && *key < lane.keys.1);
        Some(Found { index: shard.index, rows, last, more })
    }

    /// A lane goes on at those that have its keys now.
    fn moved(&mut self, lane: usize) {
        let (world, of) = (self.world.clone(), self.lanes[lane].keys);
        let (world, new) = (world.borrow(), self.lanes.len());
        let keys = |has: (u8, u8)| (has.0.max(of.0), has.1.min(of.1));
        let mut heirs: Vec<_> = world.live().map(|heir| Lane { shard: heir.number, keys: keys(heir.keys) }).collect();
        heirs.retain(|heir| heir.keys.0 < heir.keys.1);
        heirs.sort_by_key(|heir| heir.keys);
        self.lanes[lane] = heirs[0];
        self.progress[lane].keys = range(heirs[0].keys);
        for heir in &heirs[1..] {
            self.lanes.push(*heir);
            self.progress.push(Progress { keys: range(heir.keys), of: Some(lane), ..self.progress[lane].clone() });
        }
        for part in std::mem::take(&mut self.left) {
            if part.lane != lane {
                self.left.push(part);
                continue;
            }
            let parts = (new..self.lanes.len()).rev().chain([lane]);
            let parts: Vec<_> = parts.filter_map(|lane| self.part_of(lane, part)).collect();
            self.left.extend(parts);
        }
        self.note_ends();
    }

    /// The rows of one look, if there are any.
    fn read(&mut self, mut part: Part, want: usize) -> Vec<Row> {
        let lane = part.lane;
        let Some(found) = self.look(&part, want) else {
            self.left.push(part);
            self.moved(lane);
            return Vec::new();
        };
        let position = Position { shard: self.lanes[lane].shard, index: found.index };
        self.progress[lane].looks(position);
        if let Some((last, _)) = found.rows.last() {
            self.progress[lane].finds(found.more);
            part.after = Some(*last);
        } else {
            part.after = found.last;
        }
        if found.more {
            self.left.push(part);
        }
        self.note_ends();
        let by_index = self.selection.by_index();
        let row = |((place, key), version)| Row {
            document: document(key, (place, version)),
            index_value: by_index.then(|| number(place)),
            lane,
            position,
        };
        found.rows.into_iter().map(row).collect()
    }
}

impl Rows for Scan {
    fn next_batch(&mut self, want: usize) -> Result<Vec<Row>> {
        while let Some(part) = self.left.pop() {
            let rows = self.read(part, want.min(ROWS_MAX));
            if !rows.is_empty() {
                return Ok(rows);
            }
            if let Some(step) = self.between.pop() {
                self.world.borrow_mut().step(step);
            }
        }
        Ok(Vec::new())
    }

    fn progress(&self) -> &[Progress] {
        &self.progress
    }

    fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }
}
