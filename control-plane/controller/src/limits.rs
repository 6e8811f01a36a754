//! Every maximum of this crate.

use std::time::Duration;

/// How long the start of a node waits until its member of the cluster state's group leads, when nobody else votes. Founding
/// takes milliseconds; a start with a long log to re-apply takes longer.
pub const BOOTSTRAP_WAIT: Duration = Duration::from_secs(60);

/// How long a change waits for a leader before it is refused.
pub const LEADER_WAIT: Duration = Duration::from_secs(10);

/// How long one call to another node may take.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a node that starts waits for one of the others, before it goes on with what it has heard: it asks again. Longer
/// than an answer for which a quorum is asked ([`VOUCH_CONFIRM_MAX`]).
pub const START_CALL_MAX: Duration = Duration::from_secs(2);

/// How long a change that is made elsewhere may take to be applied here too. After that it is answered all the same.
pub const FOLLOW_WAIT: Duration = Duration::from_secs(5);

/// Between two attempts at something that nobody can do now: at least, and at most as much more.
pub const RETRY_PERIOD: Duration = Duration::from_millis(20);

/// Between two attempts of a node that is not taken in, or not registered: at least, and at most as much more.
pub const JOIN_RETRY_PERIOD: Duration = Duration::from_millis(200);

/// How often a node that waits for others says so.
pub const WAITING_SAID_PERIOD: Duration = Duration::from_secs(5);

/// How long a node that opens its directory waits for others whose word is certain, before it is content with a majority:
/// longer than an election, after which there is somebody whose word is.
pub const VOUCH_PATIENCE: Duration = Duration::from_secs(3);

/// How long a node that is asked for its word tries to make it a certain one.
pub const VOUCH_CONFIRM_MAX: Duration = Duration::from_millis(700);

const _: () = assert!(VOUCH_CONFIRM_MAX.as_millis() * 2 < START_CALL_MAX.as_millis());

/// How often a node tells the leader that it lives.
pub const HEARTBEAT_PERIOD: Duration = Duration::from_secs(1);

/// The same of a node that is about to stop.
pub const STOPPING_HEARTBEAT_PERIOD: Duration = Duration::from_millis(100);

/// How long it counts what a node has said that it bears. Beyond that it is not known: a node that is not heard is given nothing anyway,
/// and one that comes back says it with its first word.
pub const BURDEN_COUNTS_FOR: Duration = Duration::from_secs(60);

const _: () = assert!(HEARTBEAT_PERIOD.as_millis() * 10 < BURDEN_COUNTS_FOR.as_millis());

/// How often the leader looks whether something is to be done, when nothing tells it.
pub const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// How long a node may be down until others take the places of what it has, unless something else is chosen.
pub const NODE_LOST_AFTER: Duration = Duration::from_secs(600);

/// A member that lacks so many entries at most has caught up: it may vote.
pub const CAUGHT_UP_ENTRIES: u64 = 64;

/// Calls of one sender that are remembered as carried out.
pub const CALLS_REMEMBERED_MAX: usize = 4096;

/// Bytes of the whole encoded cluster state, which is one value of a tree. A change that would make it larger is refused:
/// one that could not be stored would end every node, and again at each start.
pub const STATE_BYTES_MAX: usize = 24 << 20;

const _: () = assert!(STATE_BYTES_MAX < photondb_storage::limits::VALUE_BYTES_MAX);

/// What is late because a simulator wants it to be is late by this.
pub const BUGGIFIED_PAUSE: Duration = Duration::from_millis(50);

/// How long a node that is registered waits for the cluster state to come to it, before it says once more that it is there.
pub const REGISTERED_WAIT: Duration = Duration::from_secs(5);
