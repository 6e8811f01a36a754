//! Runs with a name: every seed that ever failed because of the product, under what it showed.
//!
//! A seed means a run only together with the code that draws from it. Where a change of the simulator makes it mean
//! another one, the claim is also held by a test beside the code that was wrong, which the scenario names.

use std::time::Duration;

use crate::{Plan, Workload};

/// A run that failed once.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it showed; also its name on the command line.
    pub name: &'static str,
    /// The seed.
    pub seed: u64,
    /// The load.
    pub workload: Workload,
    /// How long it ran, in virtual seconds.
    pub seconds: u64,
    /// What was wrong.
    pub story: &'static str,
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "ready_index_after_crash",
        seed: 27,
        workload: Workload::IndexAgrees,
        seconds: 5,
        story: "After a crash the entry that declares an index ready was applied again from the log, but what had been built \
                since the last checkpoint was lost: queries read an index with holes until it was built again. (node/shard: \
                an_index_whose_building_a_crash_took_back_is_not_read_before_it_is_built_again)",
    },
    Scenario {
        name: "ready_index_after_crash_too",
        seed: 53,
        workload: Workload::IndexAgrees,
        seconds: 5,
        story: "The same, with an index on an element of an array.",
    },
    Scenario {
        name: "request_half_done_on_a_full_disk",
        seed: 131,
        workload: Workload::Register,
        seconds: 4,
        story: "Three writes of one document in one request: the first was applied, the second refused for lack of space, and \
                the client was told of the whole request that nothing was written. (node/replica: ShardTable::write)",
    },
];

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        ALL.iter().find(|scenario| scenario.name == name)
    }

    /// The run.
    pub fn plan(&self) -> Plan {
        Plan::draw(self.seed, Some(self.workload), Duration::from_secs(self.seconds))
    }
}
