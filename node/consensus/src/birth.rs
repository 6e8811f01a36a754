//! Groups that take up what the members of another group have (`docs/sharding.md`).
//!
//! A founder of such a group has a state to begin with, made by an entry of the other group's log on each node. Its own log begins
//! behind that entry, as if it had been purged up to there: the positions of the one log go on in the other, and terms do not
//! fall. What it begins with is the same for every founder, so none of them needs to be filled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use openraft::vote::RaftVote;
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_storage::wal::{Record, StreamId};

use crate::error::ConsensusError;
use crate::format;
use crate::group::Group;
use crate::groups::Groups;
use crate::position::LogPosition;
use crate::replicated::Replicated;
use crate::types::{LeaderId, Membership, StoredMembership, Vote, log_id};

/// With what a group begins that takes up what another had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The entry of the other log that made it.
    pub at: LogPosition,
    /// Those who begin it, all of whom vote. The same for each of them.
    pub founders: BTreeMap<MemberId, NodeId>,
}

impl Birth {
    /// The bytes of consensus that a founder's state machine begins with.
    pub fn consensus(&self) -> Bytes {
        let voters: BTreeSet<MemberId> = self.founders.keys().copied().collect();
        let membership = Membership::new(vec![voters], self.founders.clone()).expect("the voters are among the nodes");
        let at = log_id(self.at);
        format::encode_applied(Some(&at), &StoredMembership::new(Some(at), membership))
    }
}

impl Groups {
    /// Notes durably where the member's log begins, unless it has one. To be called before there is anything of its state:
    /// a state without a log is taken for a loss. Whether it had none.
    pub async fn bear(&self, member: MemberId, birth: &Birth) -> Result<bool, ConsensusError> {
        if self.wal().state(StreamId(member.0)).is_some() {
            return Ok(false);
        }
        // It has voted for nobody in the term that its log begins with, and never will.
        let vote = Vote::from_leader_id(LeaderId { term: birth.at.term.0, voted_for: member }, false);
        let purge = Record::Purge { upto: birth.at.index, payload: format::encode_log_id(&log_id(birth.at)) };
        self.write(member, vec![Record::Vote(format::encode_vote(&vote)), purge]).await?;
        Ok(true)
    }

    /// Starts a founder that was borne, with its state in `machine`. `is_new`: in this life of the process, and it was not started
    /// since; it has promised nobody anything then, and need not wait (C10).
    pub async fn begin_born(
        &self,
        group: GroupId,
        member: MemberId,
        machine: Arc<dyn Replicated>,
        is_new: bool,
    ) -> Result<Group, ConsensusError> {
        self.open(group, member, machine, BTreeMap::new(), is_new).await
    }
}
