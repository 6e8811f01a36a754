//! Every maximum of this crate.

use std::time::Duration;

/// How long the start of a node waits until its member of the cluster state's group leads. Founding takes milliseconds;
/// a start with a long log to re-apply takes longer.
pub const BOOTSTRAP_WAIT: Duration = Duration::from_secs(60);

/// How long a change waits for a leader before it is refused.
pub const LEADER_WAIT: Duration = Duration::from_secs(10);
