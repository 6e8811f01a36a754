//! What a query read, counted for each place of the query where a table is named: for `explain: "analyze"`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use photondb_reql::BacktraceId;

use crate::limits::OBSERVED_TABLES_MAX;

/// The counts of one query.
#[derive(Default)]
pub(crate) struct Observed(RefCell<BTreeMap<BacktraceId, Rc<Tally>>>);

/// What was read where a table is named.
#[derive(Default)]
pub(crate) struct Tally {
    /// How often reading began.
    pub opened: Cell<u64>,
    /// Rows that the shards gave.
    pub rows: Cell<u64>,
    /// How long that took, waiting included.
    pub took: Cell<Duration>,
}

impl Observed {
    /// Reading begins once more at this place. `None`: there are too many to count.
    pub fn opened(&self, id: BacktraceId) -> Option<Rc<Tally>> {
        let mut tallies = self.0.borrow_mut();
        if !tallies.contains_key(&id) && tallies.len() >= OBSERVED_TABLES_MAX {
            return None;
        }
        let tally = tallies.entry(id).or_default();
        tally.opened.set(tally.opened.get() + 1);
        Some(tally.clone())
    }

    /// What was read there; `None`: nothing.
    pub fn at(&self, id: BacktraceId) -> Option<Rc<Tally>> {
        self.0.borrow().get(&id).cloned()
    }

    /// Rows that all reads of the query gave.
    pub fn rows(&self) -> u64 {
        self.0.borrow().values().map(|tally| tally.rows.get()).sum()
    }
}

impl Tally {
    /// Counts a batch.
    pub fn read(&self, rows: usize, took: Duration) {
        self.rows.set(self.rows.get() + rows as u64);
        self.took.set(self.took.get() + took);
    }
}
