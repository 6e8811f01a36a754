//! What this member knows, without asking anybody.

use std::collections::BTreeMap;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use photondb_proto::MemberId;
use photondb_runtime::clock::Moment;

use super::Group;
use crate::members::Members;
use crate::observation::{GroupState, Role};
use crate::position::{LogPosition, Term};
use crate::types::position;

impl Group {
    /// What this member is at the moment.
    pub fn observe(&self) -> GroupState {
        let inner = &*self.inner;
        let metrics = inner.raft.metrics();
        let now = metrics.borrow_watched();
        let role = match now.state {
            _ if self.is_held() || self.is_stopping() || now.running_state.is_err() => Role::Idle,
            ServerState::Leader => Role::Leader,
            ServerState::Candidate => Role::Candidate,
            ServerState::Follower => Role::Follower,
            ServerState::Learner => Role::Learner,
            ServerState::Shutdown => Role::Idle,
        };
        GroupState {
            group: inner.group,
            member: inner.member,
            term: Term(now.vote.leader_id.term),
            voted_for: now.vote.leader_id.voted_for,
            led: now.vote.committed,
            role,
            last: inner.log.last(),
            committed: now.local_committed.as_ref().map(position),
            applied: now.last_applied.as_ref().map(position),
            purged: inner.log.purged(),
            members: Members::of(&now.membership_config),
        }
    }

    /// In which term this member answers reads by itself, and until when by the clock of its node; `None`: it does not. What
    /// [`leading`](Self::leading) asks.
    pub fn lease(&self) -> Option<(Term, Moment)> {
        self.leadership().lease()
    }

    /// The membership in force here: the newest in the log, committed or not.
    pub fn membership(&self) -> Members {
        Members::of(&self.inner.raft.server_metrics().borrow_watched().membership_config)
    }

    /// The newest membership known to be committed.
    pub fn committed_membership(&self) -> Members {
        Members::of(&self.inner.raft.server_metrics().borrow_watched().committed_membership_config)
    }

    /// At the leader: up to where each member's log, its own among them, is known to match; empty elsewhere. A member
    /// without a position has answered nothing yet.
    pub fn matched(&self) -> BTreeMap<MemberId, Option<LogPosition>> {
        let metrics = self.inner.raft.data_metrics();
        let now = metrics.borrow_watched();
        let replication = now.replication.iter().flatten();
        replication.map(|(member, matched)| (*member, matched.as_ref().map(position))).collect()
    }
}
