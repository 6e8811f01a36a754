//! What the leader of a shard's group does next, so that the group's membership becomes what the state says.

use std::collections::BTreeSet;

use photondb_proto::{MemberId, NodeId};

use crate::shard::{Role, Shard};

/// The membership in force in a group, as its leader knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMembers {
    /// Who votes; in a joint membership, in either half.
    pub voters: BTreeSet<MemberId>,
    /// Who is filled without voting.
    pub learners: BTreeSet<MemberId>,
    /// Whether a change of voters is half done.
    pub joint: bool,
    /// Learners that have all but the newest of the log.
    pub caught_up: BTreeSet<MemberId>,
}

/// One change of a group, or a word to the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The member is to be filled.
    AddLearner(MemberId, NodeId),
    /// These vote from now on.
    ChangeVoters(BTreeSet<MemberId>),
    /// The member is in the group no more.
    RemoveLearner(MemberId),
    /// The group is what the state wants, and the state does not know.
    Report,
    /// The group is what the state wants, and the shard is to be cut.
    Cut,
}

/// The next order; `None`: nothing is to be done, or a member is waited for. Safe to ask again after any crash: it looks only
/// at what is.
pub fn next_order(shard: &Shard, group: &GroupMembers) -> Option<Order> {
    let mut voters = shard.wanted_voters();
    let failed = shard.members.iter().filter(|member| member.role == Role::Failed).map(|member| member.id);
    let (failed, unborn): (Vec<_>, Vec<_>) = failed.partition(|member| group.voters.contains(member));
    let learners = shard.wanted_learners();
    let any = |role: Role| shard.members.iter().any(|member| member.role == role);
    // One that failed counts as it did until the change that replaces it, as long as something can be decided with it.
    let decides = voters.len() > failed.len();
    if decides {
        voters.extend(&failed);
    }
    // Nobody leaves while one of those who stay failed, or the one that was to come: the planner keeps somebody first.
    let nobody_comes = !any(Role::Joining);
    let lacking = !failed.is_empty() && (nobody_comes || !decides) || !unborn.is_empty() && nobody_comes;
    let waits = lacking && any(Role::Leaving) && !group.joint;
    if voters.is_empty() || waits && !voters.is_superset(&group.voters) {
        return None;
    }
    if group.joint {
        return Some(Order::ChangeVoters(voters));
    }
    let is_in = |member: &MemberId| group.voters.contains(member) || group.learners.contains(member);
    if let Some(missing) = voters.union(&learners).find(|member| !is_in(member)) {
        let node = shard.member(*missing).map(|member| member.node)?;
        return Some(Order::AddLearner(*missing, node));
    }
    if group.voters != voters {
        let ready = voters.difference(&group.voters).all(|member| group.caught_up.contains(member));
        return ready.then_some(Order::ChangeVoters(voters));
    }
    if let Some(left) = group.learners.difference(&learners).next() {
        return Some(Order::RemoveLearner(*left));
    }
    match shard.reached {
        Some(_) if !shard.cuts.is_empty() => Some(Order::Cut),
        _ => shard.is_changing().then_some(Order::Report),
    }
}
