//! What ends a life of the node, and when: drawn from the seed.

use std::time::Duration;

use crate::plan::Plan;
use crate::random::Random;

/// What will happen to one life of the node, counted from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It may go on to the end of the run.
    None,
    /// The machine loses power at a moment.
    PowerLoss {
        /// When.
        after: Duration,
    },
    /// The machine loses power during a changing call to the disk.
    PowerLossAtOperation {
        /// When the calls begin to be counted.
        after: Duration,
        /// Which call, from zero.
        operation: u64,
    },
    /// The process ends, like by `kill -9`; what it wrote stays.
    Kill {
        /// When.
        after: Duration,
    },
    /// The disk fills up.
    FullDisk {
        /// When.
        after: Duration,
        /// What still fits then.
        room_bytes: u64,
        /// How long it lasts.
        lasts: Duration,
    },
}

/// The fault of the next life.
pub fn draw(random: &mut Random, plan: &Plan) -> Fault {
    let after = random.millis(plan.life_ms.clone());
    match random.below(12) {
        0 => Fault::None,
        1 | 2 => Fault::Kill { after },
        3 => {
            let room_bytes = random.pick(&[0, 4 << 10, 64 << 10, 600 << 10]);
            Fault::FullDisk { after, room_bytes, lasts: random.millis(100..=4_000) }
        }
        4..=6 => Fault::PowerLoss { after },
        // From the very first call on: opening a directory is where half-made things are found.
        7 | 8 => Fault::PowerLossAtOperation { after: Duration::ZERO, operation: random.below(60) },
        _ => {
            let operations = random.pick(&[20, 200]);
            Fault::PowerLossAtOperation { after, operation: random.below(operations) }
        }
    }
}
