//! One group of this node: propose, ask who leads, purge.

use std::future::{Future, IntoFuture};
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
use photondb_proto::{GroupId, MemberId, NodeId};
use tokio::runtime::Handle;

use crate::error::{ConsensusError, ProposeError};
use crate::leadership::Leadership;
use crate::limits::{COMMAND_BYTES_MAX, PURGE_WAIT};
use crate::log_store::LogStore;
use crate::position::{LogPosition, Term};
use crate::replicated::Replicated;
use crate::state_machine::StateMachine;
use crate::types::{Command, Types, log_id};

pub(crate) type Raft = openraft::Raft<Types, StateMachine>;

/// A handle to a group that runs on this node. Clones share it.
#[derive(Clone)]
pub struct Group {
    inner: Arc<Inner>,
}

struct Inner {
    group: GroupId,
    member: MemberId,
    raft: Raft,
    log: LogStore,
    leadership: Arc<Leadership>,
    machine: Arc<dyn Replicated>,
    stopping: AtomicBool,
    executor: Handle,
}

impl Group {
    pub(crate) fn new(
        group: GroupId,
        member: MemberId,
        raft: Raft,
        log: LogStore,
        machine: Arc<dyn Replicated>,
        executor: Handle,
    ) -> Group {
        let leadership = log.leadership();
        let stopping = AtomicBool::new(false);
        Group { inner: Arc::new(Inner { group, member, raft, log, leadership, machine, stopping, executor }) }
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.inner.group
    }

    /// This node's member of it.
    pub fn member(&self) -> MemberId {
        self.inner.member
    }

    /// The term this member leads in, once it has applied everything of earlier terms. One atomic load.
    pub fn leading(&self) -> Option<Term> {
        self.inner.leadership.get()
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
        let led = self.leading();
        if led != Some(term) {
            return Err(ProposeError::NotLeader { asked: term, led, leader: None });
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

    /// Waits until this member leads and has applied everything of earlier terms.
    pub async fn wait_leading(&self, timeout: Duration) -> Result<Term, ConsensusError> {
        let mut changes = self.inner.leadership.subscribe();
        let inner = &*self.inner;
        let elected = async { changes.wait_for(Option::is_some).await.map(|term| *term) };
        match inner.within(timeout, elected).await {
            Some(Ok(term)) => Ok(term.expect("waited for it")),
            Some(Err(_)) => Err(inner.fatal("it was stopped")),
            None => Err(ConsensusError::Timeout { group: inner.group, what: "elect this member" }),
        }
    }

    /// Purges the log behind what [`Replicated::durable`] says a checkpoint holds (C5). To be called after each
    /// checkpoint. Gives the position up to which the log is purged, if it is.
    pub async fn purge_behind(&self) -> Result<Option<LogPosition>, ConsensusError> {
        let inner = &*self.inner;
        let durable = inner.machine.durable();
        let unreadable = |source| ConsensusError::Format { member: inner.member, source };
        let Some(durable) = durable.position().map_err(unreadable)? else { return Ok(None) };
        if inner.log.purged_index().is_some_and(|purged| purged >= durable.index) {
            return Ok(Some(durable));
        }
        // openraft purges no further than its last snapshot; the checkpoint is declared to be one.
        inner.raft.trigger().snapshot().await.map_err(|error| inner.fatal(error))?;
        let mut snapshots = inner.raft.watch_snapshot_progress();
        let wanted = Some(log_id(durable));
        match inner.within(PURGE_WAIT, snapshots.wait_until_ge(&wanted)).await {
            Some(Ok(_)) => {}
            Some(Err(_)) => return Err(inner.fatal("it was stopped")),
            None => return Err(ConsensusError::Timeout { group: inner.group, what: "note a checkpoint" }),
        }
        inner.raft.trigger().purge_log(durable.index).await.map_err(|error| inner.fatal(error))?;
        Ok(Some(durable))
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

    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn leadership(&self) -> &Leadership {
        &self.inner.leadership
    }
}

type Outcome = openraft::type_config::alias::OneshotReceiverOf<Types, ClientWriteResult<Types>>;

impl Inner {
    fn not_leader(&self, asked: Term, to: &ForwardToLeader<Types>) -> ProposeError {
        let leader: Option<(MemberId, NodeId)> = to.leader_id.zip(to.leader_node);
        ProposeError::NotLeader { asked, led: self.leadership.get(), leader }
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
}
