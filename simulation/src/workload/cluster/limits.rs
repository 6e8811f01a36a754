//! How long a workload waits and how much it keeps.

use std::time::Duration;

/// For what must succeed in the end, in virtual time: the setup, and reads after faults have healed.
pub const INSIST_MAX: Duration = Duration::from_secs(60);

/// Between two tries of it.
pub const INSIST_PAUSE: Duration = Duration::from_millis(100);

/// Replicas of a table, where there are nodes for so many.
pub const REPLICAS: u64 = 3;

/// How long nodes are waited for that are to hold them.
pub const JOINING_MAX: Duration = Duration::from_secs(20);

/// For the events of a feed that are still under way when nobody writes any more.
pub const FEED_SETTLES: Duration = Duration::from_secs(5);

/// How long a step of a follower listens.
pub const LISTEN: Duration = Duration::from_millis(100);

/// Elements of a list, so that reads of it stay small.
pub const LIST_ELEMENTS_MAX: i64 = 400;

/// Operations on one key of a register: the search for an order grows with them.
pub const OPERATIONS_PER_KEY_MAX: usize = 500;

/// The same in a second, so that they are not all over before anything goes wrong.
pub const OPERATIONS_PER_KEY_SECOND: u64 = 35;

/// Tables, databases or indexes that one client has at once.
pub const NAMES_PER_CLIENT: u64 = 3;
