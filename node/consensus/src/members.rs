//! Who belongs to a group.

use std::collections::{BTreeMap, BTreeSet};

use photondb_proto::{MemberId, NodeId};

use crate::position::LogPosition;
use crate::types::{StoredMembership, position};

/// The members of a group, as one entry of its log names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Where that entry stands; `None`: no membership is known yet, as with a member that waits to be added.
    pub position: Option<LogPosition>,
    /// One set of voters; in the middle of a change the old one and the new one, and a quorum of each is needed.
    pub voters: Vec<BTreeSet<MemberId>>,
    /// Members that get the log and have no vote.
    pub learners: BTreeSet<MemberId>,
    /// Where each member lives.
    pub nodes: BTreeMap<MemberId, NodeId>,
}

impl Members {
    pub(crate) fn of(stored: &StoredMembership) -> Members {
        let membership = stored.membership();
        Members {
            position: stored.log_id().as_ref().map(position),
            voters: membership.get_joint_config().clone(),
            learners: membership.learner_ids().collect(),
            nodes: membership.nodes().map(|(member, node)| (*member, *node)).collect(),
        }
    }

    /// Whether a change is in its middle.
    pub fn is_joint(&self) -> bool {
        self.voters.len() > 1
    }

    /// Everybody who has a vote now.
    pub fn all_voters(&self) -> BTreeSet<MemberId> {
        self.voters.iter().flatten().copied().collect()
    }

    /// Whether nobody but `member` is needed for a quorum.
    pub fn is_alone(&self, member: MemberId) -> bool {
        !self.voters.is_empty() && self.voters.iter().all(|set| set.iter().eq([&member]))
    }
}
