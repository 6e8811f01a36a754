//! What this member knows, without asking anybody.

use std::collections::BTreeMap;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{RaftMetrics, ServerState};
use photondb_proto::MemberId;
use photondb_runtime::clock::Moment;

use super::Group;
use crate::members::Members;
use crate::observation::{GroupState, Role};
use crate::position::{LogPosition, Term};
use crate::types::{Types, position};

impl Group {
    /// What this member is at the moment.
    pub fn observe(&self) -> GroupState {
        let metrics = self.inner.raft.metrics();
        let now = metrics.borrow_watched();
        GroupState { members: Members::of(&now.membership_config), ..self.observe_without_members(&now) }
    }

    /// What this member is at the moment, if it is not as `known`: for who looks often.
    pub fn observe_change(&self, known: &GroupState) -> Option<GroupState> {
        let metrics = self.inner.raft.metrics();
        let now = metrics.borrow_watched();
        let state = self.observe_without_members(&now);
        // An entry of the log has one content.
        if now.membership_config.log_id().as_ref().map(position) != known.members.position {
            return Some(GroupState { members: Members::of(&now.membership_config), ..state });
        }
        let GroupState { group, member, term, voted_for, led, role, last, committed, applied, purged, members: _ } =
            known;
        let is_known = (state.group, state.member) == (*group, *member)
            && (state.term, state.voted_for, state.led, state.role) == (*term, *voted_for, *led, *role)
            && (state.last, state.committed, state.applied, state.purged) == (*last, *committed, *applied, *purged);
        (!is_known).then(|| GroupState { members: known.members.clone(), ..state })
    }

    fn observe_without_members(&self, now: &RaftMetrics<Types>) -> GroupState {
        let inner = &*self.inner;
        let purged = inner.log.purged();
        let role = match now.state {
            _ if self.is_held() || self.is_stopping() || now.running_state.is_err() => Role::Idle,
            ServerState::Leader => Role::Leader,
            ServerState::Candidate => Role::Candidate,
            ServerState::Follower => Role::Follower,
            ServerState::Learner => Role::Learner,
            ServerState::Shutdown => Role::Idle,
        };
        let applied = applied(now.last_applied.as_ref().map(position), purged, || {
            inner.machine.applied().position().ok().flatten()
        });
        GroupState {
            group: inner.group,
            member: inner.member,
            term: Term(now.vote.leader_id.term),
            voted_for: now.vote.leader_id.voted_for,
            led: now.vote.committed,
            role,
            last: inner.log.last(),
            // What others have committed is applied here before this log has synced it, and openraft counts it only then (102209).
            committed: now.local_committed.as_ref().map(position).max(applied),
            applied,
            purged,
            members: Members::default(),
        }
    }

    /// In which term this member answers reads by itself, and until when by the clock of its node; `None`: it does not. What
    /// [`leading`](Self::leading) asks.
    pub fn lease(&self) -> Option<(Term, Moment)> {
        self.leadership().lease()
    }

    /// The moment by the clock that leases are counted on.
    pub fn now(&self) -> Moment {
        self.leadership().now()
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

/// What is applied, by what openraft has `told`. It tells at the end of a round, in which it may purge the log behind a
/// snapshot that is installed and then wait for the disk, as for a vote; until then what the machine has `stored` says more.
fn applied(
    told: Option<LogPosition>,
    purged: Option<LogPosition>,
    stored: impl FnOnce() -> Option<LogPosition>,
) -> Option<LogPosition> {
    if purged > told { stored().max(told) } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> Option<LogPosition> {
        Some(LogPosition { term: Term(1), index })
    }

    #[test]
    fn a_snapshot_that_is_installed_counts_before_openraft_tells_of_it() {
        assert_eq!(applied(at(19), at(23), || at(23)), at(23));
        assert_eq!(applied(None, at(23), || at(23)), at(23));
    }

    #[test]
    fn a_log_that_is_purged_too_far_still_looks_so() {
        assert_eq!(applied(at(19), at(23), || at(20)), at(20));
        assert_eq!(applied(at(19), at(23), || None), at(19));
        assert_eq!(applied(at(19), at(12), || unreachable!("nobody asks for more than openraft tells")), at(19));
    }
}
