//! Runs with a name: every seed that ever failed because of the product.
//!
//! A seed means a run only together with the code that draws from it. So each claim is also held by a test beside the
//! code that was wrong, which the story names.

use crate::Plan;
use crate::plan::STEPS;

/// A run that failed once.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it showed.
    pub name: &'static str,
    /// The seed.
    pub seed: u64,
    /// What was wrong.
    pub story: &'static str,
}

impl Scenario {
    /// What is run.
    pub fn plan(&self) -> Plan {
        Plan::draw(self.seed, STEPS)
    }
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "stale_read_of_a_slot_used_again",
        seed: 143,
        story: "A stale read of a leaf gave the root of the catalogue, which had been in the same slot before: a whole page, \
                under a right checksum, in its place. It was answered from. (storage: lost_page_write_is_reported)",
    },
    Scenario {
        name: "lost_write_to_a_slot_used_again",
        seed: 1728,
        story: "A lost write of a leaf left another tree's leaf in the slot, which was answered from.",
    },
    Scenario {
        name: "leaf_of_an_earlier_checkpoint",
        seed: 1806,
        story: "The same, with an older leaf of the same tree set.",
    },
    Scenario {
        name: "space_is_back_before_the_next_checkpoint",
        seed: 795857764444,
        story: "Space was back, and a write was still refused with what the last checkpoint failed of, as it may be until the \
                next one. The test took that for an error without a cause.",
    },
    Scenario {
        name: "more_is_promised_than_a_segment_takes",
        seed: 795858949437,
        story: "Entries for more than the next segment were admitted, the disk was full, and one that had been admitted was \
                refused.",
    },
    Scenario { name: "leaf_of_a_smaller_tree", seed: 2872, story: "The same, with a leaf of fewer entries." },
];
