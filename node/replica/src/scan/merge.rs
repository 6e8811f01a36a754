//! A range of an index over several lanes, in the order of the index.
//!
//! Of each lane some rows are held that come next there. The first of all is given as long as each lane that may have more
//! has shown its next one. A lane is read again only when nothing of it is held.

use std::cmp::Ordering;
use std::collections::VecDeque;

use photondb_query::table::Position;
use photondb_reql::key::IndexKey;
use photondb_shard::read::IndexRow;
use photondb_storage::Direction;

use super::Origin;
use super::part::Part;

/// The lanes that take part, and how far each is.
pub(super) struct Merge {
    pub runs: Vec<Run>,
}

/// What comes of one lane.
pub(super) struct Run {
    /// Which lane, and the snapshot that the rows are from.
    pub from: Origin,
    /// What is left to be read; `None`: nothing.
    pub part: Option<Part>,
    /// What was read and not given.
    pub rows: VecDeque<IndexRow>,
}

impl Run {
    fn of(lane: usize, part: Part) -> Run {
        Run { from: Origin { lane, position: Position::default() }, part: Some(part), rows: VecDeque::new() }
    }
}

impl Merge {
    pub fn of(parts: impl Iterator<Item = (usize, Part)>) -> Merge {
        Merge { runs: parts.map(|(lane, part)| Run::of(lane, part)).collect() }
    }

    /// Whether something of a lane is still to come.
    pub fn has(&self, lane: usize) -> bool {
        self.runs.iter().any(|run| run.from.lane == lane)
    }

    /// What is left to be read of a lane is to be read of another one, too. Whether anything is.
    pub fn share(&mut self, lane: usize, with: usize) -> bool {
        let left = self.runs.iter().find(|run| run.from.lane == lane).and_then(|run| run.part.clone());
        let Some(part) = left else { return false };
        self.runs.push(Run::of(with, part));
        true
    }

    /// The run that must be read before anything can be given.
    pub fn empty_run(&self) -> Option<usize> {
        self.runs.iter().position(|run| run.rows.is_empty() && run.part.is_some())
    }

    /// Takes the next row of all. `None`: nothing is held.
    pub fn pop(&mut self, direction: Direction) -> Option<(IndexRow, Origin)> {
        let order = |left: &Run, right: &Run| match (left.rows.front(), right.rows.front()) {
            (Some(left), Some(right)) => match direction {
                Direction::Forward => place(left, right),
                Direction::Backward => place(right, left),
            },
            // Runs that hold nothing come last.
            (left, right) => left.is_none().cmp(&right.is_none()),
        };
        let first = self.runs.iter_mut().min_by(|left, right| order(left, right))?;
        first.rows.pop_front().map(|row| (row, first.from))
    }

    /// Takes out the runs of which nothing is left; gives their lanes.
    pub fn take_ended(&mut self) -> impl Iterator<Item = usize> {
        self.runs.extract_if(.., |run| run.rows.is_empty() && run.part.is_none()).map(|run| run.from.lane)
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
