//! Waiting until this member may answer reads.

use std::time::Duration;

use openraft::AsyncRuntime;
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use photondb_storage::fault::{buggify, fault_point};

use super::Group;
use crate::error::ConsensusError;
use crate::limits::{BUGGIFIED_PAUSE, CONFIRM_WAIT};
use crate::position::{LogPosition, Term};
use crate::runtime::Runtime;
use crate::types::log_id;

impl Group {
    /// Confirms with a quorum that this member leads, after this call began, and waits until it has applied everything that
    /// was committed before. Gives the term: a state taken afterwards is current as of the call (the read index; C12). Calls
    /// at about the same time share one round of heartbeats.
    ///
    /// Errors: [`ConsensusError::NotLeader`] when another leads or no quorum answers; `Timeout`; `Fatal`.
    pub async fn confirm_leading(&self) -> Result<Term, ConsensusError> {
        let inner = &*self.inner;
        if fault_point!("quorum-not-asked")
            && let Some(term) = self.led()
        {
            return Ok(term);
        }
        let confirming = async {
            if buggify!("consensus/confirmed-late") {
                Runtime::sleep(3 * BUGGIFIED_PAUSE).await;
            }
            let confirmed = inner.raft.get_read_linearizer(ReadPolicy::ReadIndex).await;
            let confirmed = confirmed.map_err(|error| match error {
                RaftError::APIError(LinearizableReadError::ForwardToLeader(_)) => inner.not_leading(),
                RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => inner.not_leading(),
                RaftError::Fatal(fatal) => inner.fatal(fatal),
            })?;
            let read = confirmed.read_log_id();
            let term = Term(read.committed_leader_id().term);
            let wanted = Some(*read.log_id());
            inner.raft.watch_apply_progress().wait_until_ge(&wanted).await.map_err(|_| inner.ended())?;
            Ok(term)
        };
        inner.within(CONFIRM_WAIT, confirming).await.unwrap_or_else(|| Err(inner.late("confirm its leader")))
    }

    /// Waits until this member was elected and has applied everything of earlier terms. A read asks
    /// [`leading`](Self::leading) nevertheless.
    pub async fn wait_leading(&self, timeout: Duration) -> Result<Term, ConsensusError> {
        let mut changes = self.inner.leadership.subscribe();
        let inner = &*self.inner;
        let elected = async { changes.wait_for(Option::is_some).await.map(|term| *term) };
        match inner.within(timeout, elected).await {
            Some(Ok(term)) => Ok(term.expect("waited for it")),
            Some(Err(_)) => Err(inner.ended()),
            None => Err(inner.late("elect this member")),
        }
    }

    /// Waits until this member has applied the entry at `position`, and everything before it.
    ///
    /// Errors: `Timeout`; `Fatal` when the group ends.
    pub async fn wait_applied(&self, position: LogPosition, timeout: Duration) -> Result<(), ConsensusError> {
        let inner = &*self.inner;
        let wanted = Some(log_id(position));
        let mut applied = inner.raft.watch_apply_progress();
        match inner.within(timeout, applied.wait_until_ge(&wanted)).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) => Err(inner.ended()),
            None => Err(inner.late("apply an entry")),
        }
    }
}
