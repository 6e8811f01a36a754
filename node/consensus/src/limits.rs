//! Every maximum of this crate, and the timers of a group.

use std::time::Duration;

/// The leader tells its followers that it lives this often.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);

/// A follower that hears nothing for a random time between these two asks for an election.
pub const ELECTION_TIMEOUT_MIN: Duration = Duration::from_millis(500);
/// See [`ELECTION_TIMEOUT_MIN`].
pub const ELECTION_TIMEOUT_MAX: Duration = Duration::from_millis(700);

/// Entries appended by one storage call, and sent in one message.
pub const APPEND_ENTRIES_MAX: u64 = 4096;

/// Payload bytes given to the WAL at once, unless one entry alone is larger.
pub const APPEND_BYTES_MAX: usize = 8 << 20;

/// Proposals of one group that wait to be taken by its core. One more is refused as [`Busy`](crate::ProposeError::Busy).
pub const PROPOSALS_WAITING_MAX: u64 = 16_384;

/// Messages between the tasks of one group.
pub const NOTIFICATIONS_WAITING_MAX: u64 = 16_384;

/// Entries handed to the state machine as one transaction.
pub const APPLY_ENTRIES_MAX: usize = 1024;

/// Command bytes handed to the state machine as one transaction, unless one entry alone is larger. A machine that writes a
/// page for a change of a hundred bytes makes some 80 MiB of it.
pub const APPLY_BYTES_MAX: usize = 1 << 20;

/// Bytes read from the log at once, unless one entry alone is larger.
pub const READ_BYTES_MAX: usize = 1 << 20;

/// The largest command. Larger inserts are cut before they are proposed (DESIGN section 3, "Sizes").
pub const COMMAND_BYTES_MAX: usize = 32 << 20;

/// Members named in one membership; more in stored bytes is damage.
pub const MEMBERS_MAX: usize = 1024;

/// How long [`purge_behind`](crate::Group::purge_behind) waits for the core to take note of a checkpoint.
pub const PURGE_WAIT: Duration = Duration::from_secs(10);
