//! All groups of this node: start, initialize, find, stop, erase.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::{Config, SnapshotPolicy};
use parking_lot::Mutex;
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_storage::wal::{Record, StreamId, Wal};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::ConsensusError;
use crate::fatal::{Fatal, OnFatal};
use crate::group::{Group, Raft};
use crate::limits;
use crate::log_store::LogStore;
use crate::network::NoPeers;
use crate::position::LogPosition;
use crate::replicated::Replicated;
use crate::state_machine::StateMachine;
use crate::supervise;
use crate::types::position;

/// What may be chosen about the groups of a node. The timers are the same on every node of a cluster (DESIGN section 3).
#[derive(Clone, Debug)]
pub struct Options {
    /// How often a leader tells that it lives.
    pub heartbeat_interval: std::time::Duration,
    /// The shortest silence after which a follower asks for an election.
    pub election_timeout_min: std::time::Duration,
    /// The longest.
    pub election_timeout_max: std::time::Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            heartbeat_interval: limits::HEARTBEAT_INTERVAL,
            election_timeout_min: limits::ELECTION_TIMEOUT_MIN,
            election_timeout_max: limits::ELECTION_TIMEOUT_MAX,
        }
    }
}

/// The groups of one node, on one WAL and one executor. Clones share them.
#[derive(Clone)]
pub struct Groups {
    shared: Arc<Shared>,
}

struct Shared {
    wal: Arc<Wal>,
    /// Where every task of every group runs.
    executor: Handle,
    fatal: OnFatal,
    config: Arc<Config>,
    groups: Mutex<BTreeMap<GroupId, Slot>>,
}

enum Slot {
    /// Being started or stopped.
    Changing,
    Running(Group),
}

impl Groups {
    /// `executor` runs all groups (the dedicated Raft thread's runtime, with its timer enabled); `fatal` ends the node.
    pub fn new(wal: Arc<Wal>, executor: Handle, fatal: OnFatal, options: Options) -> Groups {
        let config = Arc::new(config(&options));
        Groups { shared: Arc::new(Shared { wal, executor, fatal, config, groups: Mutex::default() }) }
    }

    /// Opens this node's member of `group`, re-applies what is known committed, and starts it. When the member is the
    /// only voter of the membership in force, it stands for election at once; [`Group::wait_leading`] waits for that.
    pub async fn start(
        &self,
        group: GroupId,
        member: MemberId,
        machine: Arc<dyn Replicated>,
    ) -> Result<Group, ConsensusError> {
        self.open(group, member, machine, None).await
    }

    /// As [`start`](Self::start); a member that has never held anything first founds the group with itself, on `node`, as
    /// its only member. Safe to repeat: a member that has a log or a vote is only started.
    ///
    /// Only for the member that the control plane has named the founder: two founders are two groups of one name.
    pub async fn initialize(
        &self,
        group: GroupId,
        member: MemberId,
        node: NodeId,
        machine: Arc<dyn Replicated>,
    ) -> Result<Group, ConsensusError> {
        self.open(group, member, machine, Some(node)).await
    }

    /// The group, if it runs here.
    pub fn find(&self, group: GroupId) -> Option<Group> {
        match self.shared.groups.lock().get(&group) {
            Some(Slot::Running(found)) => Some(found.clone()),
            _ => None,
        }
    }

    /// Every group that runs here, in order.
    pub fn list(&self) -> Vec<Group> {
        let groups = self.shared.groups.lock();
        groups
            .values()
            .filter_map(|slot| match slot {
                Slot::Running(group) => Some(group.clone()),
                Slot::Changing => None,
            })
            .collect()
    }

    /// Ends the group's tasks; when this returns nothing of it is applied any more, and what it wrote is durable.
    pub async fn stop(&self, group: GroupId) -> Result<(), ConsensusError> {
        let shared = Arc::clone(&self.shared);
        let found = {
            let mut groups = shared.groups.lock();
            let Some(Slot::Running(found)) = groups.get(&group) else {
                return Err(ConsensusError::NotRunning { group });
            };
            let found = found.clone();
            groups.insert(group, Slot::Changing);
            found
        };
        // A task of its own, so that dropping this future leaves no half-stopped group.
        let stopping = self.shared.executor.spawn(async move {
            let result = supervise::stop(&found).await;
            shared.groups.lock().remove(&group);
            result
        });
        stopping.await.unwrap_or_else(|error| Err(ended(group, error)))
    }

    /// Leaves a tombstone in place of a stopped member's log: its id never comes back (C7).
    pub async fn erase(&self, member: MemberId) -> Result<(), ConsensusError> {
        let running = self.list().into_iter().find(|group| group.member() == member);
        if let Some(group) = running {
            return Err(ConsensusError::AlreadyRunning { group: group.id() });
        }
        let (done, wait) = oneshot::channel();
        let completion = Box::new(move |result| {
            // Nobody waits any more; the tombstone stands nevertheless.
            let _ = done.send(result);
        });
        self.shared.wal.submit(StreamId(member.0), vec![Record::Erased], Some(completion));
        let result = wait.await.expect("the WAL completes everything submitted");
        result.map_err(|source| ConsensusError::Storage { member, source })
    }

    async fn open(
        &self,
        group: GroupId,
        member: MemberId,
        machine: Arc<dyn Replicated>,
        founder: Option<NodeId>,
    ) -> Result<Group, ConsensusError> {
        {
            let mut groups = self.shared.groups.lock();
            if groups.contains_key(&group) {
                return Err(ConsensusError::AlreadyRunning { group });
            }
            groups.insert(group, Slot::Changing);
        }
        let shared = Arc::clone(&self.shared);
        // On the executor, because openraft starts its tasks where it is called; and to its end, whoever waits for it.
        let opening = self.shared.executor.spawn(async move {
            let result = shared.open(group, member, machine, founder).await;
            let mut groups = shared.groups.lock();
            match &result {
                Ok(opened) => groups.insert(group, Slot::Running(opened.clone())),
                Err(_) => groups.remove(&group),
            };
            result
        });
        opening.await.unwrap_or_else(|error| Err(ended(group, error)))
    }
}

impl Shared {
    async fn open(
        &self,
        group: GroupId,
        member: MemberId,
        machine: Arc<dyn Replicated>,
        founder: Option<NodeId>,
    ) -> Result<Group, ConsensusError> {
        let fatal = Fatal { group, member, end: Arc::clone(&self.fatal) };
        let ended = |reason: String| ConsensusError::Fatal { group, reason };

        let log = LogStore::open(Arc::clone(&self.wal), fatal.clone())?;
        let pristine = log.is_pristine();
        let leadership = log.leadership();
        let state_machine =
            StateMachine::open(Arc::clone(&machine), Arc::clone(&leadership), Arc::clone(&self.wal), fatal.clone())
                .map_err(|source| ConsensusError::Format { member, source })?;
        if let Some(applied) = state_machine.applied()
            && pristine
        {
            let applied: LogPosition = position(applied);
            return Err(ConsensusError::LogMissing { group, member, applied: applied.to_string() });
        }

        if let Some(node) = founder
            && !pristine
            && log.is_empty()
            && state_machine.applied().is_none()
        {
            log.found(node);
        }

        let raft = Raft::build(member, Arc::clone(&self.config), NoPeers, log.clone(), state_machine)
            .await
            .map_err(|error| ended(error.to_string()))?;
        raft.run();
        let opened = Group::new(group, member, raft, log, machine, self.executor.clone());
        supervise::spawn(opened.clone(), fatal);

        match founder {
            Some(node) if pristine => {
                let founders = BTreeMap::from([(member, node)]);
                opened.raft().initialize(founders).await.map_err(|error| ended(error.to_string()))?;
            }
            _ => supervise::elect_if_alone(&opened).await.map_err(|error| ended(error.to_string()))?,
        }
        Ok(opened)
    }
}

fn ended(group: GroupId, error: tokio::task::JoinError) -> ConsensusError {
    ConsensusError::Fatal { group, reason: error.to_string() }
}

fn config(options: &Options) -> Config {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "photondb".to_owned(),
        heartbeat_interval: millis(options.heartbeat_interval),
        heartbeat_min_interval: Some(millis(options.heartbeat_interval) / 2),
        election_timeout_min: millis(options.election_timeout_min),
        election_timeout_max: millis(options.election_timeout_max),
        max_payload_entries: limits::APPEND_ENTRIES_MAX,
        max_append_entries: Some(limits::APPEND_ENTRIES_MAX),
        api_batch_capacity: limits::APPEND_ENTRIES_MAX,
        api_channel_size: Some(limits::PROPOSALS_WAITING_MAX),
        notification_channel_size: Some(limits::NOTIFICATIONS_WAITING_MAX),
        // Snapshots are checkpoints, purges follow them, and both are ours to time (CRATES 1.5, bug 2116).
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        purge_batch_size: 1,
        // A restarted leader is elected again (CRATES trap 8).
        enable_leader_restore: Some(false),
        enable_pre_vote: Some(true),
        ..Config::default()
    };
    config.validate().expect("the limits of this crate agree with each other")
}
