//! One group of this node: propose, ask who leads, change who belongs to it, purge.

mod membership;
mod observing;
mod purging;
mod reading;
mod retiring;

use std::future::{Future, IntoFuture};
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use openraft::errors::{ClientWriteError, ForwardToLeader};
use openraft::impls::OneshotResponder;
use openraft::raft::ClientWriteResult;
use parking_lot::Mutex;
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_storage::fault::buggify;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::error::{ConsensusError, ProposeError};
use crate::leadership::Leadership;
use crate::limits::COMMAND_BYTES_MAX;
use crate::log_store::LogStore;
use crate::network::Network;
use crate::position::Term;
use crate::replicated::Replicated;
use crate::runtime::{Instant, now};
use crate::state_machine::StateMachine;
use crate::types::{Command, Types};

pub use retiring::Successor;

pub(crate) type Raft = openraft::Raft<Types, StateMachine>;

/// A handle to a group that runs on this node. Clones share it.
#[derive(Clone)]
pub struct Group {
    inner: Arc<Inner>,
}

/// What a group's handle is made of.
pub(crate) struct GroupParts {
    pub(crate) group: GroupId,
    pub(crate) member: MemberId,
    pub(crate) raft: Raft,
    pub(crate) log: LogStore,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) machine: Arc<dyn Replicated>,
    /// Closes when the apply task has ended.
    pub(crate) applying: watch::Receiver<()>,
    pub(crate) network: Network,
    pub(crate) executor: Handle,
}

struct Inner {
    parts: GroupParts,
    /// Who leads, as far as this member knows.
    leader: watch::Sender<Option<(MemberId, NodeId)>>,
    /// The end of the core is wanted.
    stopping: AtomicBool,
    /// Promises of the member's last life may still be in force (C10).
    held: AtomicBool,
    /// When a leader's word came last while it might not be heard.
    unheard: Mutex<Option<Instant>>,
    /// It is about to be stopped.
    retiring: AtomicBool,
}

impl Deref for Inner {
    type Target = GroupParts;

    fn deref(&self) -> &GroupParts {
        &self.parts
    }
}

impl Group {
    pub(crate) fn new(parts: GroupParts) -> Group {
        let (stopping, held, retiring) = (AtomicBool::new(false), AtomicBool::new(true), AtomicBool::new(false));
        let (leader, unheard) = (watch::Sender::new(None), Mutex::default());
        Group { inner: Arc::new(Inner { parts, leader, stopping, held, unheard, retiring }) }
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.inner.group
    }

    /// This node's member of it.
    pub fn member(&self) -> MemberId {
        self.inner.member
    }

    /// The term this member leads in, if it leads and knows that nobody else does: it has applied the first entry of its
    /// term, and a quorum has promised to elect nobody else for now (C4, C9). Two atomic loads, and a look at the clock
    /// unless the member is the only voter.
    ///
    /// A linearizable read notes the term, takes the state, and asks again: the same term, then the state is current. Empty
    /// does not mean that another leads: [`confirm_leading`](Self::confirm_leading) asks the others.
    pub fn leading(&self) -> Option<Term> {
        self.inner.leadership.leased()
    }

    /// The term this member was elected in, once it has applied the first entry of it; another may have been elected since.
    /// Enough to evaluate and propose writes, which are fenced to their term; not enough to answer reads.
    pub fn led(&self) -> Option<Term> {
        self.inner.leadership.led()
    }

    /// Who leads, as far as this member knows: a hint where to ask.
    pub fn leader(&self) -> Option<(MemberId, NodeId)> {
        *self.inner.leader.borrow()
    }

    /// Follows [`leader`](Self::leader).
    pub fn watch_leader(&self) -> watch::Receiver<Option<(MemberId, NodeId)>> {
        self.inner.leader.subscribe()
    }

    /// Follows [`led`](Self::led).
    pub fn watch_led(&self) -> watch::Receiver<Option<Term>> {
        self.inner.leadership.subscribe()
    }

    /// Proposes `command`, made for `term`. It is taken before this call returns, so that commands proposed one after the
    /// other enter the log in that order; the future gives the outcome of its apply. Dropping the future takes nothing
    /// back.
    ///
    /// Refused without being appended when this member does not lead in `term` (CRATES trap 9).
    pub fn propose(
        &self,
        term: Term,
        command: Bytes,
    ) -> impl Future<Output = Result<Bytes, ProposeError>> + Send + use<> {
        let taken = self.submit(term, command);
        let inner = Arc::clone(&self.inner);
        async move {
            match taken?.await {
                Ok(Ok(response)) => Ok(response.data),
                Ok(Err(ClientWriteError::ForwardToLeader(to))) => Err(inner.not_leader(term, &to)),
                // Its entry was cut from this member's log; another member may have committed it.
                Ok(Err(error)) => Err(ProposeError::Unknown { reason: error.to_string() }),
                Err(_) => Err(ProposeError::Fatal(format!("group {} ended", inner.group))),
            }
        }
    }

    fn submit(&self, term: Term, command: Bytes) -> Result<Outcome, ProposeError> {
        if command.len() > COMMAND_BYTES_MAX {
            return Err(ProposeError::TooLarge { bytes: command.len(), max: COMMAND_BYTES_MAX });
        }
        let led = self.led();
        if led != Some(term) {
            return Err(ProposeError::NotLeader { asked: term, led, leader: self.leader() });
        }
        if buggify!("consensus/queue-looks-full") {
            return Err(ProposeError::Busy);
        }
        let (responder, outcome) = OneshotResponder::<Types, ClientWriteResult<Types>>::new_pair();
        let request = self.inner.raft.write(Command(command)).with_leader(term.0).responder(responder);
        // The request only puts a message into the core's queue, which succeeds at the first poll unless the queue is
        // full. Unconstrained, because the caller's task budget must not make it look full. A request dropped unsent has
        // not been proposed.
        match tokio::task::unconstrained(request.into_future()).now_or_never() {
            Some(Ok(())) => Ok(outcome),
            Some(Err(fatal)) => Err(ProposeError::Fatal(fatal.to_string())),
            None => Err(ProposeError::Busy),
        }
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.inner.raft
    }

    pub(crate) fn log(&self) -> &LogStore {
        &self.inner.log
    }

    /// The end of the core is wanted from now on.
    pub(crate) fn set_stopping(&self) {
        self.inner.stopping.store(true, Ordering::Release);
    }

    /// Waits until nothing is applied any more; the core has ended already, or ends.
    pub(crate) async fn applying_ended(&self) {
        let closed = self.inner.applying.clone().changed().await;
        debug_assert!(closed.is_err(), "nothing is ever sent");
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::Acquire)
    }

    /// Whether it takes no part yet.
    pub(crate) fn is_held(&self) -> bool {
        self.inner.held.load(Ordering::Acquire)
    }

    /// A leader tells that it lives, and this member may not answer yet: it need not stand for election as soon as it may.
    pub(crate) fn note_leader_unheard(&self) {
        *self.inner.unheard.lock() = Some(now());
    }

    pub(crate) fn leader_unheard(&self) -> Option<Instant> {
        *self.inner.unheard.lock()
    }

    pub(crate) fn take_part(&self) {
        self.inner.held.store(false, Ordering::Release);
        self.inner.raft.runtime_config().elect(true);
        // Looked at last: it may have been retired meanwhile.
        if self.is_retiring() {
            self.inner.raft.runtime_config().elect(false);
        }
    }

    pub(crate) fn set_leader(&self, leader: Option<(MemberId, NodeId)>) {
        self.inner.leader.send_if_modified(|known| {
            let changed = *known != leader;
            *known = leader;
            changed
        });
    }

    pub(crate) fn leadership(&self) -> &Leadership {
        &self.inner.leadership
    }
}

type Outcome = openraft::type_config::alias::OneshotReceiverOf<Types, ClientWriteResult<Types>>;

impl Inner {
    fn not_leader(&self, asked: Term, to: &ForwardToLeader<Types>) -> ProposeError {
        let leader: Option<(MemberId, NodeId)> = to.leader_id.zip(to.leader_node);
        ProposeError::NotLeader { asked, led: self.leadership.led(), leader }
    }

    /// The outcome of `future`, unless `limit` passes first, by the clock of the executor: the caller may have none.
    async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let limit = {
            let _clock = self.executor.enter();
            tokio::time::sleep(limit)
        };
        match select(pin!(future), pin!(limit)).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    fn fatal(&self, reason: impl ToString) -> ConsensusError {
        ConsensusError::Fatal { group: self.group, reason: reason.to_string() }
    }

    fn ended(&self) -> ConsensusError {
        self.fatal("it was stopped")
    }

    fn late(&self, what: &'static str) -> ConsensusError {
        ConsensusError::Timeout { group: self.group, what }
    }

    fn not_leading(&self) -> ConsensusError {
        ConsensusError::NotLeader { group: self.group, leader: *self.leader.borrow() }
    }
}
