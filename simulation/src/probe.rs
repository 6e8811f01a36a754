//! Rare paths, and how often a run came by: a sweep that never does proves less than it seems to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use photondb_storage::wal::WalMetrics;

/// What is counted.
pub const ALL: [&str; 10] = [
    "checkpoint made",
    "checkpoint failed for lack of space",
    "changed pages written ahead of a checkpoint",
    "writer waited for memory",
    "log segment freed",
    "log record moved forward",
    "write refused for lack of space",
    "power lost before a node had opened",
    "process ended for lack of space",
    "index read while another is built",
];

/// Counts. Clones share them.
#[derive(Clone, Default)]
pub struct Probes(Rc<RefCell<BTreeMap<&'static str, u64>>>);

impl Probes {
    /// The path `name` was taken `times`.
    pub fn reach(&self, name: &'static str, times: u64) {
        assert!(ALL.contains(&name), "{name} is no probe");
        if times > 0 {
            *self.0.borrow_mut().entry(name).or_default() += times;
        }
    }

    /// What the log did between two looks at its counters.
    pub fn log_went_on(&self, before: &WalMetrics, now: &WalMetrics) {
        self.reach("log segment freed", now.segments_released - before.segments_released);
        self.reach("log record moved forward", now.records_moved - before.records_moved);
    }

    /// All counts.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.borrow().clone()
    }
}
