//! Every maximum of this crate.

use std::time::Duration;

/// How long the start of a node waits until its member of the cluster state's group leads. Founding takes milliseconds;
/// a start with a long log to re-apply takes longer.
pub const BOOTSTRAP_WAIT: Duration = Duration::from_secs(60);

/// How long a change waits for a leader before it is refused.
pub const LEADER_WAIT: Duration = Duration::from_secs(10);

/// Bytes of the whole encoded cluster state, which is one value of a tree. A change that would make it larger is refused:
/// one that could not be stored would end every node, and again at each start.
pub const STATE_BYTES_MAX: usize = 24 << 20;

const _: () = assert!(STATE_BYTES_MAX < photondb_storage::limits::VALUE_BYTES_MAX);
