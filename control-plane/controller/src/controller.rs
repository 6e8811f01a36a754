//! The door to the cluster state: read it, change it, watch it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_cluster_state::plan::{Burden, Burdens};
use photondb_cluster_state::{ClusterId, ClusterState, Command, FormatError, Incarnation, Response, StateError};
use photondb_consensus::{Group, LogPosition, Term};
use photondb_proto::NodeId;
use photondb_runtime::peers::{PeerError, Serve};
use photondb_runtime::task;
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::wal::Purpose;
use tokio::sync::watch;

use crate::burdens::Told;
use crate::error::ControllerError;
use crate::leading::{self, Heard};
use crate::limits::{FOLLOW_WAIT, LEADER_WAIT, RETRY_PERIOD};
use crate::messages::Call;
use crate::once::CarriedOut;
use crate::parts::{Begin, Parts, Registration};
use crate::replicated_state::ReplicatedState;
use crate::service::ControlPlane;
use crate::waiting::Waiting;

/// The cluster state of this node. Clones share it.
#[derive(Clone)]
pub struct Controller {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) me: Registration,
    pub(crate) incarnation: Incarnation,
    pub(crate) replicated: Arc<ReplicatedState>,
    /// This node's member of the state's group, once it runs.
    pub(crate) group: OnceLock<Group>,
    /// The number of the last call to another node.
    serials: AtomicU64,
    pub(crate) carried_out: Mutex<CarriedOut>,
    pub(crate) heard: Mutex<Heard>,
    /// What nodes bear, this one among them.
    pub(crate) told: Mutex<Told>,
    /// What says what this node bears.
    bears: OnceLock<Box<dyn Fn() -> Option<Burden> + Send + Sync>>,
    /// What answers for this node's replicas.
    pub(crate) replicas: OnceLock<Arc<dyn Serve>>,
    /// The cluster that this node was told to found.
    pub(crate) wish: Mutex<Option<ClusterId>>,
    /// What its start waits for.
    pub(crate) waiting: Waiting,
    /// The node is about to stop: another is to lead.
    pub(crate) stopping: watch::Sender<bool>,
}

/// What one attempt came to.
pub(crate) enum Attempt<T> {
    /// It is done.
    Done(T),
    /// Nothing was done: for want of a leader, or because somebody else leads.
    Nothing(String),
    /// It makes no sense to try again.
    Failed(ControllerError),
}

impl Controller {
    /// The state as the directory has it. Nothing runs before [`start`](Self::start); but other nodes may be answered from
    /// here on ([`service`](Self::service)), which those need who start at the same time.
    pub fn new(parts: Parts, me: Registration) -> Result<Controller, ControllerError> {
        let replicated = Arc::new(ReplicatedState::open(parts.engine.clone())?);
        // Zero is for those who do not say.
        let incarnation = match parts.engine.identity().opening {
            0 => Incarnation(parts.random.next_u64() | 1),
            opening => Incarnation(opening),
        };
        let inner = Inner {
            parts,
            me,
            incarnation,
            replicated,
            group: OnceLock::new(),
            serials: AtomicU64::new(0),
            carried_out: Mutex::default(),
            heard: Mutex::default(),
            told: Mutex::default(),
            bears: OnceLock::new(),
            replicas: OnceLock::new(),
            wish: Mutex::default(),
            waiting: Waiting::default(),
            stopping: watch::Sender::new(false),
        };
        Ok(Controller { inner: Arc::new(inner) })
    }

    /// [`new`](Self::new) and [`start`](Self::start).
    pub async fn open(parts: Parts, me: Registration, begin: Begin) -> Result<Controller, ControllerError> {
        let controller = Controller::new(parts, me)?;
        controller.start(begin).await?;
        Ok(controller)
    }

    /// What answers other nodes: `photondb_runtime::peers::Service::Control`.
    pub fn service(&self) -> Arc<dyn Serve> {
        Arc::new(ControlPlane { controller: self.clone() })
    }

    /// What other nodes [`ask`](Self::ask) of this node's replicas is answered by `replicas` from here on.
    pub fn answer_for_replicas(&self, replicas: Arc<dyn Serve>) {
        let is_new = self.inner.replicas.set(replicas).is_ok();
        assert!(is_new, "replicas are there once");
    }

    /// From here on this node tells what it bears. `bears` is asked for that each second, and must not wait for anything; `None`: it
    /// is not known.
    pub fn tell_burden(&self, bears: impl Fn() -> Option<Burden> + Send + Sync + 'static) {
        let is_new = self.inner.bears.set(Box::new(bears)).is_ok();
        assert!(is_new, "what a node bears is told by one");
    }

    /// What nodes bear, as far as this one has heard it lately: from all of them where it leads, else from the leader.
    pub fn burdens(&self) -> Burdens {
        self.inner.burdens()
    }

    /// Asks the replicas of another node something that may be asked twice.
    pub async fn ask(&self, node: NodeId, body: Bytes, time_max: Duration) -> Result<Bytes, PeerError> {
        self.inner.ask_replicas(node, body, time_max).await
    }

    /// Changes the state and gives its answer, once it is applied here: [`state`](Self::state) shows it. Where this node does
    /// not lead, the leader is asked to; the command is sent again only if it is known not to have been proposed.
    pub async fn propose(&self, command: Command) -> Result<Response, ControllerError> {
        self.inner.propose(&command).await
    }

    /// The state with everything that was acknowledged, by whatever node, before this call.
    pub async fn confirm(&self) -> Result<Arc<ClusterState>, ControllerError> {
        let inner = &*self.inner;
        if fault_point!("state-not-confirmed") {
            return Ok(self.state());
        }
        let mut waited = Duration::ZERO;
        loop {
            match inner.try_confirm().await {
                Attempt::Done(at) => {
                    inner.follow(at).await?;
                    return Ok(self.state());
                }
                Attempt::Failed(error) => return Err(error),
                Attempt::Nothing(why) if waited >= LEADER_WAIT => return Err(ControllerError::NoLeader(why)),
                Attempt::Nothing(_) => waited += inner.pause(RETRY_PERIOD).await,
            }
        }
    }

    /// The state now.
    pub fn state(&self) -> Arc<ClusterState> {
        self.inner.replicated.state()
    }

    /// Holds the newest state, and tells when there is a newer one. A slow watcher sees the newest, not each.
    pub fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.inner.replicated.watch()
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.inner.me.node
    }

    /// The node is about to stop: it leads the cluster state no more where another can. Returns when another leads, or nobody can; gives
    /// whether this one leads no more. Waits for voters that lag, for ever if they do: the caller limits it. Dropped before it is done, the
    /// node goes on with it by itself.
    pub async fn lead_nothing(&self) -> bool {
        let inner = &*self.inner;
        inner.stopping.send_replace(true);
        let Some(group) = inner.group.get() else { return true };
        group.retire();
        group.hand_over(|| std::future::ready(leading::successor(inner))).await
    }

    /// The group of the cluster state, for purging its log behind checkpoints. Panics before [`start`](Self::start) is done.
    pub fn group(&self) -> &Group {
        self.inner.group.get().expect("a controller that was started has its group")
    }
}

impl Inner {
    pub(crate) fn group(&self) -> Result<&Group, ControllerError> {
        self.group.get().ok_or(ControllerError::NotStarted)
    }

    /// See [`Controller::burdens`].
    pub(crate) fn burdens(&self) -> Burdens {
        self.told.lock().burdens(self.parts.clock.now())
    }

    /// What this node bears; `None`: it does not know yet.
    pub(crate) fn own_burden(&self) -> Option<Burden> {
        let bears = self.bears.get()?;
        if buggify!("controller/burden-made-up") {
            // Up to four TiB, and 65,535 documents a second.
            let random = &self.parts.random;
            return Some(Burden { bytes: random.next_u64() >> 22, work: random.next_u64() >> 48 });
        }
        bears()
    }

    /// Whether the node is about to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// A number that no other call of this process has.
    pub(crate) fn serial(&self) -> u64 {
        self.serials.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) async fn propose(&self, command: &Command) -> Result<Response, ControllerError> {
        let encoded: Bytes = command.encode().into();
        let mut waited = Duration::ZERO;
        loop {
            match self.try_propose(&encoded).await {
                Attempt::Done(response) => return Ok(response),
                Attempt::Failed(error) => return Err(error),
                Attempt::Nothing(why) if waited >= LEADER_WAIT => return Err(ControllerError::NoLeader(why)),
                Attempt::Nothing(_) => waited += self.pause(RETRY_PERIOD).await,
            }
        }
    }

    /// Here if this node leads, at the leader otherwise.
    pub(crate) async fn try_propose(&self, command: &Bytes) -> Attempt<Response> {
        let group = match self.group() {
            Ok(group) => group,
            Err(error) => return Attempt::Failed(error),
        };
        if buggify!("controller/proposed-at-second-try") {
            return Attempt::Nothing("it was not tried".to_owned());
        }
        let outcome = match group.led() {
            Some(term) => match self.propose_here(term, command.clone()).await {
                Ok(outcome) => outcome,
                Err(ControllerError::NotProposed(error)) if error.is_known_not_proposed() => {
                    return Attempt::Nothing(error.to_string());
                }
                Err(error) => return Attempt::Failed(error),
            },
            None => {
                let Some((_, leader)) = group.leader() else { return Attempt::Nothing("none is known".to_owned()) };
                match self.call_once(leader, Call::Propose(command.clone())).await {
                    Attempt::Done((outcome, at)) => {
                        if let Err(error) = self.follow(at).await {
                            tracing::warn!(%error, "a change of the cluster state is not applied here yet");
                        }
                        outcome
                    }
                    Attempt::Nothing(why) => return Attempt::Nothing(why),
                    Attempt::Failed(error) => return Attempt::Failed(error),
                }
            }
        };
        let outcome: Result<Result<Response, StateError>, FormatError> = Response::decode_outcome(&outcome);
        match outcome {
            Ok(Ok(response)) => Attempt::Done(response),
            Ok(Err(refused)) => Attempt::Failed(refused.into()),
            Err(error) => Attempt::Failed(error.into()),
        }
    }

    /// Where this node leads in `term`.
    pub(crate) async fn propose_here(&self, term: Term, command: Bytes) -> Result<Bytes, ControllerError> {
        let admission = self.parts.engine.admit(command.len(), Purpose::Upkeep).map_err(ControllerError::NoRoom)?;
        let outcome = self.group()?.propose(term, command).await?;
        drop(admission);
        Ok(outcome)
    }

    pub(crate) async fn try_confirm(&self) -> Attempt<Option<LogPosition>> {
        let group = match self.group() {
            Ok(group) => group,
            Err(error) => return Attempt::Failed(error),
        };
        if buggify!("controller/confirmed-at-second-try") {
            return Attempt::Nothing("it was not tried".to_owned());
        }
        if group.led().is_some() {
            return match group.confirm_leading().await {
                Ok(_) => Attempt::Done(None),
                Err(error) => Attempt::Nothing(error.to_string()),
            };
        }
        let Some((_, leader)) = group.leader() else { return Attempt::Nothing("none is known".to_owned()) };
        self.call_confirm(leader).await
    }

    /// Waits until what the leader had applied is applied here.
    pub(crate) async fn follow(&self, at: Option<LogPosition>) -> Result<(), ControllerError> {
        match at {
            Some(at) => Ok(self.group()?.wait_applied(at, FOLLOW_WAIT).await?),
            None => Ok(()),
        }
    }

    /// Waits for `period`, and a random time up to as much more; gives how long.
    pub(crate) async fn pause(&self, period: Duration) -> Duration {
        let micros = u64::try_from(period.as_micros()).unwrap_or(u64::MAX).max(1);
        let time = period + Duration::from_micros(self.parts.random.next_u64() % micros);
        task::sleep(time).await;
        time
    }
}
