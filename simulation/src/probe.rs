//! Rare paths, and how often a run came by: a sweep that never does proves less than it seems to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use photondb_storage::wal::WalMetrics;

/// A rare path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What happens on it.
    pub name: &'static str,
    /// Whether a sweep fails that never took it.
    pub must: bool,
}

impl Probe {
    /// A path that every sweep must take.
    pub const fn must(name: &'static str) -> Probe {
        Probe { name, must: true }
    }

    /// A path that a sweep may miss, which its report says.
    pub const fn may(name: &'static str) -> Probe {
        Probe { name, must: false }
    }
}

/// What is counted.
pub const PROBES: [Probe; 10] = [
    Probe::must("checkpoint made"),
    Probe::must("checkpoint failed for lack of space"),
    Probe::must("changed pages written ahead of a checkpoint"),
    Probe::must("writer waited for memory"),
    Probe::must("log segment freed"),
    Probe::must("log record moved forward"),
    Probe::must("write refused for lack of space"),
    Probe::must("power lost before a node had opened"),
    Probe::must("process ended for lack of space"),
    Probe::must("index read while another is built"),
];

/// Their names.
pub const ALL: [&str; PROBES.len()] = {
    let mut names = [""; PROBES.len()];
    let mut at = 0;
    while at < PROBES.len() {
        names[at] = PROBES[at].name;
        at += 1;
    }
    names
};

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
