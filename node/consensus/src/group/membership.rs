//! Changing who belongs to the group. Each change may be repeated by whoever finds it unfinished: a caller or a leader may
//! die in its middle (C11; CRATES trap 12).

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use openraft::errors::{ChangeMembershipError, ClientWriteError, PreconditionFailed, RaftError};
use openraft::raft::{ClientWriteResponse, Precondition};
use openraft::{AsyncRuntime, ChangeMembers, async_runtime::watch::WatchReceiver};
use photondb_proto::{MemberId, NodeId};
use photondb_storage::fault::fault_point;

use super::{Group, Inner};
use crate::error::ConsensusError;
use crate::limits::{
    MEMBERSHIP_WAIT, NEW_VOTERS_LOOK_PERIOD, NEW_VOTERS_SILENCE_MAX, SUCCESSOR_SILENCE_MAX, TRANSFER_WAIT,
};
use crate::members::Members;
use crate::position::LogPosition;
use crate::runtime::Runtime;
use crate::types::{Types, log_id};

type Changed = Result<ClientWriteResponse<Types>, RaftError<Types, ClientWriteError<Types>>>;

impl Group {
    /// Adds a member that gets the log and has no vote, and returns when the membership is committed; the member need not
    /// have got anything then ([`matched`](Self::matched) tells). Does nothing when it belongs to the group already.
    ///
    /// Errors: [`ConsensusError::NotLeader`], [`ConsensusError::ChangeInProgress`], `Timeout`, `Fatal`. After the last two it
    /// may have been added.
    pub async fn add_learner(&self, member: MemberId, node: NodeId) -> Result<(), ConsensusError> {
        if self.membership().nodes.contains_key(&member) {
            return Ok(());
        }
        let nodes = BTreeMap::from([(member, node)]);
        self.change(self.inner.raft.change_membership(ChangeMembers::AddNodes(nodes), true)).await
    }

    /// Makes `voters` the voters, if the membership in force is still the one at `expected`. Who loses the vote stays as a
    /// learner. Returns when the new voters alone are in force and committed. When a change was left in its middle, this
    /// one begins there; with the same voters it completes it. A leader that loses its vote hands over then. Gives where the
    /// membership stands.
    ///
    /// New voters must have been learners. That they have caught up is the caller's care: until then a quorum may wait for
    /// them. A change that waits for members that are silent cannot be taken back, so none is begun (C11).
    ///
    /// Errors: [`ConsensusError::VotersSilent`], [`ConsensusError::MembershipChanged`], [`ConsensusError::NotAMembership`], [`ConsensusError::NotLeader`],
    /// [`ConsensusError::ChangeInProgress`], `Timeout`, `Fatal`. After the last two the change may be made, or half made.
    pub async fn change_voters(
        &self,
        voters: BTreeSet<MemberId>,
        expected: Option<LogPosition>,
    ) -> Result<Option<LogPosition>, ConsensusError> {
        let now = self.membership();
        if now.position != expected {
            return Err(ConsensusError::MembershipChanged { group: self.id(), found: now.position });
        }
        photondb_storage::probe!("joint change taken over in its middle", now.is_joint());
        if now.is_joint() || now.voters.first() != Some(&voters) {
            if !now.is_joint() && !fault_point!("members-changed-unheard") && self.are_silent(&voters, &now).await? {
                photondb_storage::probe!("change of members not begun while the new voters are silent");
                return Err(ConsensusError::VotersSilent { group: self.id(), voters });
            }
            let condition = Precondition::LastMembershipLogId { last_membership_log_id: expected.map(log_id) };
            let changes = ChangeMembers::ReplaceAllVoters(voters);
            self.change(self.inner.raft.change_membership_if(changes, true, [condition])).await?;
        }
        self.hand_over_without_vote().await;
        Ok(self.membership().position)
    }

    /// Whether this member leads, and too few of `voters`, all of them members, answer what is sent to them from now on, for anything to be
    /// decided with them. Who answered a moment ago may be the one whose loss is not noticed yet. Whoever leads no more is told so by what
    /// comes next.
    async fn are_silent(&self, voters: &BTreeSet<MemberId>, now: &Members) -> Result<bool, ConsensusError> {
        if self.led().is_none() || !voters.iter().all(|voter| now.nodes.contains_key(voter)) {
            return Ok(false);
        }
        let (inner, leadership) = (&*self.inner, self.leadership());
        let asked = leadership.now();
        inner.raft.trigger().heartbeat().await.map_err(|error| inner.fatal(error))?;
        loop {
            if leadership.hears_majority_of(voters, asked) {
                return Ok(false);
            }
            if self.led().is_none() {
                return Ok(false);
            }
            if leadership.now().since(asked) > NEW_VOTERS_SILENCE_MAX {
                return Ok(true);
            }
            Runtime::sleep(NEW_VOTERS_LOOK_PERIOD).await;
        }
    }

    /// A leader that has lost its vote would lead on, without a lease for ever: it hands over to the voter that has most.
    async fn hand_over_without_vote(&self) {
        let voters = self.membership().all_voters();
        if self.led().is_none() || voters.contains(&self.member()) {
            return;
        }
        photondb_storage::probe!("leader that lost its vote hands over");
        let matched = self.matched();
        if let Some(to) = voters.into_iter().max_by_key(|voter| matched.get(voter).copied().flatten())
            && let Err(error) = self.transfer_leadership(to).await
        {
            // It stays silent from here on, so that the voters elect one of them.
            tracing::info!(group = %self.id(), %to, %error, "leadership could not be handed over");
        }
    }

    /// Takes a learner out of the group. Returns when that is committed; the member itself is not told, and must be stopped
    /// and erased. Does nothing when it does not belong to the group.
    ///
    /// Errors: as [`change_voters`](Self::change_voters); `NotAMembership` when it has a vote.
    pub async fn remove_learner(&self, member: MemberId) -> Result<(), ConsensusError> {
        let now = self.membership();
        if !now.nodes.contains_key(&member) {
            return Ok(());
        }
        let condition = Precondition::LastMembershipLogId { last_membership_log_id: now.position.map(log_id) };
        let changes = ChangeMembers::RemoveNodes(BTreeSet::from([member]));
        self.change(self.inner.raft.change_membership_if(changes, true, [condition])).await
    }

    /// Whether `member` answers at the moment what the leader sends: it runs, and takes part. Leadership should be given to nobody
    /// else.
    pub fn hears(&self, member: MemberId) -> bool {
        self.inner.is_heard_of(member, SUCCESSOR_SILENCE_MAX)
    }

    /// Lets the voter `to` take over. This member answers no read and takes no proposal in its term from here on, whether or
    /// not the other succeeds; if it does not, whoever is elected next leads. Returns when another leads.
    ///
    /// Errors: [`ConsensusError::NotLeader`]; [`ConsensusError::NotAMembership`] when `to` has no vote; `Timeout`.
    pub async fn transfer_leadership(&self, to: MemberId) -> Result<(), ConsensusError> {
        let inner = &*self.inner;
        let Some(term) = self.led() else { return Err(inner.not_leading()) };
        if !self.membership().all_voters().contains(&to) {
            let reason = format!("member {to} has no vote");
            return Err(ConsensusError::NotAMembership { group: inner.group, reason });
        }
        if to == inner.member {
            return Ok(());
        }
        inner.leadership.cede(term);
        inner.raft.trigger().transfer_leader(to).await.map_err(|error| inner.fatal(error))?;
        let mut metrics = inner.raft.server_metrics();
        let taken_over = async {
            loop {
                if metrics.borrow_watched().vote.leader_id.term > term.0 {
                    return Ok(());
                }
                metrics.changed().await.map_err(|_| inner.ended())?;
            }
        };
        inner.within(TRANSFER_WAIT, taken_over).await.unwrap_or_else(|| Err(inner.late("elect another leader")))
    }

    /// Follows [`membership`](Self::membership): wakes when it, or whether it is committed, may have changed.
    pub async fn membership_changed(&self, known: &Members) -> Result<Members, ConsensusError> {
        let mut metrics = self.inner.raft.server_metrics();
        loop {
            let now = Members::of(&metrics.borrow_and_update().membership_config);
            if now != *known {
                return Ok(now);
            }
            metrics.changed().await.map_err(|_| self.inner.ended())?;
        }
    }

    async fn change(&self, changing: impl Future<Output = Changed>) -> Result<(), ConsensusError> {
        let inner = &*self.inner;
        match inner.within(MEMBERSHIP_WAIT, changing).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(RaftError::APIError(error))) => Err(inner.not_changed(error)),
            Some(Err(RaftError::Fatal(fatal))) => Err(inner.fatal(fatal)),
            None => Err(inner.late("commit a membership")),
        }
    }
}

impl Inner {
    fn not_changed(&self, error: ClientWriteError<Types>) -> ConsensusError {
        let group = self.group;
        match error {
            ClientWriteError::ForwardToLeader(_) => self.not_leading(),
            // Another leader may have committed it.
            ClientWriteError::LogEntryDiscarded(_) => self.late("commit a membership"),
            ClientWriteError::PreconditionFailed(PreconditionFailed::LastMembershipLogIdMismatch {
                actual, ..
            }) => {
                let found = actual.as_ref().map(crate::types::position);
                ConsensusError::MembershipChanged { group, found }
            }
            ClientWriteError::PreconditionFailed(_) => ConsensusError::ChangeInProgress { group },
            ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_),
            ) => ConsensusError::ChangeInProgress { group },
            ClientWriteError::ChangeMembershipError(error) => {
                ConsensusError::NotAMembership { group, reason: error.to_string() }
            }
        }
    }
}
