//! What may be chosen about the groups of a node.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use photondb_runtime::task::Blocking;
use photondb_storage::fault::fault_point;

use crate::lease;
use crate::limits;

/// The timers are the same on every node of a cluster (DESIGN section 3): a longer lease beside a shorter election is a
/// stale read.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often a leader tells that it lives.
    pub heartbeat_interval: Duration,
    /// The shortest silence after which a follower asks for an election.
    pub election_timeout_min: Duration,
    /// The longest; and how long whoever answers a leader votes for nobody else.
    pub election_timeout_max: Duration,
    /// How long a leader answers reads by itself after it sent what a quorum answered.
    pub lease: Duration,
    /// How fast the timers of this node run, for simulated ones: seconds of the node in one of tokio's.
    pub clock_rate: f64,
    /// Where snapshots are read and written.
    pub blocking: Blocking,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            heartbeat_interval: limits::HEARTBEAT_INTERVAL,
            election_timeout_min: limits::ELECTION_TIMEOUT_MIN,
            election_timeout_max: limits::ELECTION_TIMEOUT_MAX,
            lease: limits::LEASE,
            clock_rate: 1.0,
            blocking: Blocking::Pool,
        }
    }
}

impl Options {
    pub(crate) fn config(&self) -> Config {
        assert!(
            lease::is_within_promise(self.lease, self.election_timeout_max),
            "C9: a lease ends before those who granted it may vote for another"
        );
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let config = Config {
            cluster_name: "photondb".to_owned(),
            heartbeat_interval: millis(self.heartbeat_interval),
            heartbeat_min_interval: Some(millis(self.heartbeat_interval) / 2),
            election_timeout_min: millis(self.election_timeout_min),
            election_timeout_max: millis(self.election_timeout_max),
            max_payload_entries: limits::APPEND_ENTRIES_MAX,
            max_append_entries: Some(limits::APPEND_ENTRIES_MAX),
            api_batch_capacity: limits::APPEND_ENTRIES_MAX,
            api_channel_size: Some(limits::PROPOSALS_WAITING_MAX),
            notification_channel_size: Some(limits::NOTIFICATIONS_WAITING_MAX),
            // Snapshots are checkpoints, purges follow them, and both are ours to time (CRATES 1.5, bug 2116).
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            purge_batch_size: 1,
            // Given when a member may take part (C10).
            enable_elect: false,
            // A restarted leader is elected again (CRATES trap 8).
            enable_leader_restore: Some(fault_point!("leader-restored")),
            enable_pre_vote: Some(true),
            ..Config::default()
        };
        config.validate().expect("the limits of this crate agree with each other")
    }
}
