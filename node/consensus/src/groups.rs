//! All groups of this node: found, join, find, stop, erase.

mod open;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::Config;
use openraft::vote::RaftVote;
use parking_lot::Mutex;
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_runtime::clock::{Clock, Moment};
use photondb_runtime::peers::{NoPeers, Peers, Serve};
use photondb_runtime::random::Random;
use photondb_runtime::system::{SystemClock, SystemRandom};
use photondb_runtime::task::{Blocking, JoinError, JoinHandle};
use photondb_storage::StorageError;
use photondb_storage::spool::{self, Spool};
use photondb_storage::wal::{Record, StreamId, Wal};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::error::ConsensusError;
use crate::fatal::OnFatal;
use crate::format;
use crate::group::Group;
use crate::limits::SNAPSHOTS_RECEIVED_MAX;
use crate::network::{Transfer, Transfers};
use crate::options::Options;
use crate::replicated::Replicated;
use crate::runtime::{self, Context};
use crate::service::Service;
use crate::service::interrupted::Interrupted;
use crate::supervise;
use crate::types::{LeaderId, Vote};

/// What the groups of a node run on.
pub struct GroupsParts {
    /// The node's log.
    pub wal: Arc<Wal>,
    /// Runs all groups: the dedicated Raft thread's runtime, with its timer enabled.
    pub executor: Handle,
    /// Ends the node.
    pub fatal: OnFatal,
    /// Timers.
    pub options: Options,
    /// This node.
    pub node: NodeId,
    /// The way to the others.
    pub peers: Arc<dyn Peers>,
    /// What leases are counted on. It must not stand still while the machine sleeps.
    pub clock: Arc<dyn Clock>,
    /// Where election timeouts come from.
    pub random: Arc<dyn Random>,
}

impl GroupsParts {
    /// For a node without peers, on the machine's own clock and randomness.
    pub fn alone(wal: Arc<Wal>, executor: Handle, fatal: OnFatal, node: NodeId) -> GroupsParts {
        let (clock, random) = (Arc::new(SystemClock::new()), Arc::new(SystemRandom));
        GroupsParts { wal, executor, fatal, options: Options::default(), node, peers: Arc::new(NoPeers), clock, random }
    }
}

/// The groups of one node, on one WAL and one executor. Clones share them.
#[derive(Clone)]
pub struct Groups {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) wal: Arc<Wal>,
    executor: Handle,
    fatal: OnFatal,
    node: NodeId,
    peers: Arc<dyn Peers>,
    clock: Arc<dyn Clock>,
    context: Arc<Context>,
    options: Options,
    config: Arc<Config>,
    pub(crate) blocking: Blocking,
    /// A turn for each snapshot that is being received.
    pub(crate) receiving: Semaphore,
    /// What is here of snapshots that broke off.
    pub(crate) interrupted: Arc<Interrupted>,
    /// The snapshots that are being sent.
    transfers: Arc<Transfers>,
    spools: AtomicU64,
    groups: Mutex<BTreeMap<GroupId, Slot>>,
}

enum Slot {
    /// Being started or stopped.
    Changing,
    Running(Group),
}

impl Groups {
    /// No group runs yet. Panics when the options contradict each other: they are constants of a program.
    pub fn new(parts: GroupsParts) -> Groups {
        let GroupsParts { wal, executor, fatal, options, node, peers, clock, random } = parts;
        let config = Arc::new(options.config());
        let context = {
            // Time begins where the executor's does.
            let _clock = executor.enter();
            Arc::new(Context::new(random, options.clock_rate))
        };
        if let Err(error) = spool::sweep(&**wal.disk()) {
            tracing::warn!(%error, "what an earlier start left of snapshots could not be removed");
        }
        let interrupted = Arc::new(Interrupted::new(options.blocking));
        let shared = Shared {
            wal,
            executor,
            fatal,
            node,
            peers,
            clock,
            context,
            config,
            blocking: options.blocking,
            options,
            receiving: Semaphore::new(SNAPSHOTS_RECEIVED_MAX),
            interrupted,
            transfers: Arc::default(),
            spools: AtomicU64::new(0),
            groups: Mutex::default(),
        };
        Groups { shared: Arc::new(shared) }
    }

    /// What answers the groups of other nodes.
    pub fn service(&self) -> Arc<dyn Serve> {
        Arc::new(Service { shared: Arc::clone(&self.shared) })
    }

    /// Founds `group` with this member, on `node`, as its only one, unless it has been founded: then it is only started.
    /// The sole voter stands for election at once; [`Group::wait_leading`] waits for that.
    ///
    /// Only for the member that the control plane has named the founder: two founders are two groups of one name.
    pub async fn initialize(
        &self,
        group: GroupId,
        member: MemberId,
        node: NodeId,
        machine: Arc<dyn Replicated>,
    ) -> Result<Group, ConsensusError> {
        self.found(group, member, BTreeMap::from([(member, node)]), machine).await
    }

    /// Founds `group` with several voters. Each of them calls this, on its node, with the same `founders`: the log's first
    /// entry names them all and is the same everywhere. Safe to repeat: a member that has a log is only started.
    ///
    /// Errors: [`ConsensusError::NotAMembership`] when `member` is not one of the founders, or not on this node;
    /// [`ConsensusError::Suspect`] when it has voted and has no log.
    pub async fn found(
        &self,
        group: GroupId,
        member: MemberId,
        founders: BTreeMap<MemberId, NodeId>,
        machine: Arc<dyn Replicated>,
    ) -> Result<Group, ConsensusError> {
        self.open(group, member, machine, founders, false).await
    }

    /// Starts this node's member as its log has it, and re-applies what is known committed. One that has never held anything
    /// waits to be added by a leader; it never elects itself.
    ///
    /// When the member is the only voter of the membership in force, it stands for election at once. Any other that has
    /// ever answered a leader says nothing to anybody for one election timeout: its last life may have promised a leader
    /// to vote for nobody else (C10).
    pub async fn join(
        &self,
        group: GroupId,
        member: MemberId,
        machine: Arc<dyn Replicated>,
    ) -> Result<Group, ConsensusError> {
        self.open(group, member, machine, BTreeMap::new(), false).await
    }

    /// The node's log.
    pub(crate) fn wal(&self) -> &Arc<Wal> {
        &self.shared.wal
    }

    /// Where work runs that waits for the disk, so that no group waits with it.
    pub fn blocking(&self) -> Blocking {
        self.shared.blocking
    }

    /// The moment by the clock that leases are counted on.
    pub fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    /// The group, if it runs here.
    pub fn find(&self, group: GroupId) -> Option<Group> {
        self.shared.find(group)
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

    /// The snapshots that members on this node send to others at the moment, the oldest first.
    pub fn transfers(&self) -> Vec<Transfer> {
        self.shared.transfers.under_way()
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
        let stopping = self.shared.spawn(async move {
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
        self.write(member, vec![Record::Erased]).await
    }

    /// Notes durably that the member is new: its number was given to this node just now, and nothing has ever been written
    /// under it. Without that a log that damage may have robbed of whole streams lets no new member begin.
    pub async fn begin(&self, member: MemberId) -> Result<(), ConsensusError> {
        if self.shared.wal.state(StreamId(member.0)).is_some() {
            return Ok(());
        }
        // What a member that has never voted starts with.
        let vote = Vote::from_leader_id(LeaderId { term: 0, voted_for: member }, false);
        self.write(member, vec![Record::Vote(format::encode_vote(&vote))]).await
    }

    /// Durable on return.
    pub(crate) async fn write(&self, member: MemberId, records: Vec<Record>) -> Result<(), ConsensusError> {
        let (done, wait) = oneshot::channel();
        let completion = Box::new(move |result| {
            // Nobody waits any more; the records stand nevertheless.
            let _ = done.send(result);
        });
        self.shared.wal.submit(StreamId(member.0), records, Some(completion));
        let result = wait.await.expect("the WAL completes everything submitted");
        result.map_err(|source| ConsensusError::Storage { member, source })
    }

    pub(crate) async fn open(
        &self,
        group: GroupId,
        member: MemberId,
        machine: Arc<dyn Replicated>,
        founders: BTreeMap<MemberId, NodeId>,
        is_new: bool,
    ) -> Result<Group, ConsensusError> {
        if !founders.is_empty() && founders.get(&member) != Some(&self.shared.node) {
            let reason = format!("member {member} on node {} is not one of the founders", self.shared.node);
            return Err(ConsensusError::NotAMembership { group, reason });
        }
        {
            let mut groups = self.shared.groups.lock();
            if groups.contains_key(&group) {
                return Err(ConsensusError::AlreadyRunning { group });
            }
            groups.insert(group, Slot::Changing);
        }
        let shared = Arc::clone(&self.shared);
        // On the executor, because openraft starts its tasks where it is called; and to its end, whoever waits for it.
        let opening = self.shared.spawn(async move {
            let opened = shared.open(group, member, machine, founders, is_new).await;
            let mut groups = shared.groups.lock();
            match &opened {
                Ok(opened) => groups.insert(group, Slot::Running(opened.clone())),
                Err(_) => groups.remove(&group),
            };
            opened
        });
        opening.await.unwrap_or_else(|error| Err(ended(group, error)))
    }
}

impl Shared {
    pub(crate) fn find(&self, group: GroupId) -> Option<Group> {
        match self.groups.lock().get(&group) {
            Some(Slot::Running(found)) => Some(found.clone()),
            _ => None,
        }
    }

    /// Whether the group is being started or stopped.
    pub(crate) fn is_changing(&self, group: GroupId) -> bool {
        matches!(self.groups.lock().get(&group), Some(Slot::Changing))
    }

    /// Starts a task of this node's on the executor.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.executor.spawn(runtime::within(Arc::clone(&self.context), future))
    }

    /// A file for a snapshot that is being received.
    pub(crate) fn spool(&self) -> Result<Spool, StorageError> {
        let number = self.spools.fetch_add(1, Ordering::Relaxed);
        Spool::create(Arc::clone(self.wal.disk()), number)
    }
}

fn ended(group: GroupId, error: JoinError) -> ConsensusError {
    ConsensusError::Fatal { group, reason: error.to_string() }
}
