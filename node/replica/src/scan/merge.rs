//! A range of an index over several shards, in the order of the index.
//!
//! Of each shard some rows are held that come next there. The first of all is given as long as each shard that may have more
//! has shown its next one. A shard is read again only when nothing of it is held.

use std::cmp::Ordering;
use std::collections::VecDeque;

use photondb_query::table::Position;
use photondb_reql::key::IndexKey;
use photondb_shard::read::IndexRow;
use photondb_storage::Direction;

use super::part::Part;

/// The shards that take part, and how far each is.
pub(super) struct Merge {
    pub lanes: Vec<Lane>,
}

/// One shard.
pub(super) struct Lane {
    /// Its place among the table's.
    pub shard: usize,
    /// What is left to be read; `None`: nothing.
    pub part: Option<Part>,
    /// What was read and not given.
    pub rows: VecDeque<IndexRow>,
    /// The snapshot that these are from.
    pub position: Position,
}

impl Merge {
    pub fn of(parts: impl Iterator<Item = (usize, Part)>) -> Merge {
        let lane = |(shard, part)| {
            let (rows, position) = (VecDeque::new(), Position::default());
            Lane { shard, part: Some(part), rows, position }
        };
        Merge { lanes: parts.map(lane).collect() }
    }

    /// Whether something of a shard is still to come.
    pub fn has(&self, shard: usize) -> bool {
        self.lanes.iter().any(|lane| lane.shard == shard)
    }

    /// What is left to be read of a shard is to be read of another one, too. Whether anything is.
    pub fn share(&mut self, shard: usize, with: usize) -> bool {
        let left = self.lanes.iter().find(|lane| lane.shard == shard).and_then(|lane| lane.part.clone());
        let Some(part) = left else { return false };
        let (rows, position) = (VecDeque::new(), Position::default());
        self.lanes.push(Lane { shard: with, part: Some(part), rows, position });
        true
    }

    /// The lane that must be read before anything can be given.
    pub fn empty_lane(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.rows.is_empty() && lane.part.is_some())
    }

    /// Takes the next row of all, with its snapshot. `None`: nothing is held.
    pub fn pop(&mut self, direction: Direction) -> Option<(IndexRow, Position)> {
        let order = |left: &Lane, right: &Lane| match (left.rows.front(), right.rows.front()) {
            (Some(left), Some(right)) => match direction {
                Direction::Forward => place(left, right),
                Direction::Backward => place(right, left),
            },
            // Lanes that hold nothing come last.
            (left, right) => left.is_none().cmp(&right.is_none()),
        };
        let first = self.lanes.iter_mut().min_by(|left, right| order(left, right))?;
        first.rows.pop_front().map(|row| (row, first.position))
    }

    /// Takes out the lanes of which nothing is left; gives their shards.
    pub fn take_ended(&mut self) -> impl Iterator<Item = usize> {
        self.lanes.extract_if(.., |lane| lane.rows.is_empty() && lane.part.is_none()).map(|lane| lane.shard)
    }
}

/// The order of two entries: that of their keys, and where one is cut that of the whole values first.
fn place(left: &IndexRow, right: &IndexRow) -> Ordering {
    let is_cut = |row: &IndexRow| IndexKey::parse(&row.entry).is_ok_and(|key| key.truncated);
    if is_cut(left) || is_cut(right) {
        (&left.value, &left.entry).cmp(&(&right.value, &right.entry))
    } else {
        left.entry.cmp(&right.entry)
    }
}
