//! Giving up the part of the log that a checkpoint holds.

use std::time::Duration;

use photondb_storage::fault::{buggify, fault_point};

use super::{Group, Inner};
use crate::error::ConsensusError;
use crate::limits::{LAG_BYTES_MAX, LAG_ENTRIES_MAX, LAG_SILENCE_MAX, PURGE_WAIT};
use crate::position::LogPosition;
use crate::types::log_id;

impl Group {
    /// Purges the log behind what [`Replicated::durable`](crate::Replicated::durable) says a checkpoint holds (C5), but for
    /// what members still need of it, within [`LAG_ENTRIES_MAX`] and [`LAG_BYTES_MAX`]. To be called after each checkpoint.
    /// Gives the position up to which the log is purged, or will be as soon as none of it is being sent, if it is.
    pub async fn purge_behind(&self) -> Result<Option<LogPosition>, ConsensusError> {
        self.purge(true).await
    }

    /// The same, whoever still needs some of it: members that lag get a snapshot.
    pub async fn purge_behind_at_once(&self) -> Result<Option<LogPosition>, ConsensusError> {
        self.purge(false).await
    }

    async fn purge(&self, keeps_what_is_needed: bool) -> Result<Option<LogPosition>, ConsensusError> {
        let inner = &*self.inner;
        let purges_all = fault_point!("purged-past-checkpoint");
        let durable = if purges_all { inner.machine.applied() } else { inner.machine.durable() };
        let unreadable = |source| ConsensusError::Format { member: inner.member, source };
        let Some(durable) = durable.position().map_err(unreadable)? else { return Ok(None) };
        let keeps = keeps_what_is_needed && !buggify!("consensus/purged-though-needed");
        let needed = if keeps { self.needed_after(durable) } else { None };
        let upto = needed.unwrap_or(durable);
        let purged = inner.log.purged();
        if purged.is_some_and(|purged| purged.index >= upto.index) || buggify!("consensus/purged-late") {
            return Ok(purged);
        }
        // openraft purges no further than its last snapshot; the checkpoint is declared to be one.
        inner.raft.trigger().snapshot().await.map_err(|error| inner.fatal(error))?;
        let mut snapshots = inner.raft.watch_snapshot_progress();
        let wanted = Some(log_id(durable));
        match inner.within(PURGE_WAIT, snapshots.wait_until_ge(&wanted)).await {
            Some(Ok(_)) => {}
            Some(Err(_)) => return Err(inner.ended()),
            None => return Err(inner.late("note a checkpoint")),
        }
        inner.raft.trigger().purge_log(upto.index).await.map_err(|error| inner.fatal(error))?;
        Ok(Some(upto))
    }

    /// Where the log must begin for the member that lags most and is heard of; `None`: nobody needs what is before
    /// `durable`, or more than the budget, and will get a snapshot.
    fn needed_after(&self, durable: LogPosition) -> Option<LogPosition> {
        let inner = &*self.inner;
        let purged = inner.log.purged();
        let alive = |member| {
            let heard = inner.is_heard_of(member, LAG_SILENCE_MAX);
            photondb_storage::probe!("log purged past a silent follower, who needs a snapshot", !heard);
            heard
        };
        let needs = self.matched().into_iter().filter(|(member, _)| alive(*member)).map(|(_, matched)| matched);
        // Who needs what is gone is being sent a snapshot, and will go on from about here.
        let kept = needs.min()?.max(purged)?;
        let lag = durable.index.checked_sub(kept.index).filter(|lag| *lag > 0)?;
        let keeps = lag <= LAG_ENTRIES_MAX && inner.log.bytes() <= LAG_BYTES_MAX;
        photondb_storage::probe!("log purged past a follower, who needs a snapshot", !keeps);
        photondb_storage::probe!("log kept for a follower that lags", keeps);
        keeps.then_some(kept)
    }
}

impl Inner {
    /// Whether a member has answered, in the newest term this one led in, what was sent no longer than `silence_max` ago.
    pub(super) fn is_heard_of(&self, member: photondb_proto::MemberId, silence_max: Duration) -> bool {
        member == self.member
            || self.leadership.answered_at(member).is_some_and(|at| self.leadership.now().since(at) <= silence_max)
    }
}
