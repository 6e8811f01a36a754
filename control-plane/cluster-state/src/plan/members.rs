//! The next change of a shard's members: from those there are towards those that are wanted.

use std::cmp::Reverse;

use photondb_proto::NodeId;

use crate::command::Command;
use crate::shard::{Member, Role, Shard};
use crate::state::ClusterState;

/// One step, or none: because nothing differs, or because the last step is not done.
///
/// A member is taken out only in one change with the one that takes its place, or when fewer are wanted (K3).
pub fn next_step(state: &ClusterState, shard: &Shard) -> Option<Command> {
    if !shard.cuts.is_empty() || has_unborn(state, shard) {
        return None;
    }
    if shard.is_changing() {
        return give_up(state, shard);
    }
    let votes = |node: NodeId| shard.placement.voters.contains(&node);
    let mut surplus: Vec<&Member> = shard.members.iter().filter(|member| is_surplus(shard, member)).collect();
    // What is of no use goes first, then what is not there, and those that were added last.
    surplus.sort_by_key(|member| (member.role != Role::Failed, is_up(state, member.node), Reverse(member.id)));
    let missing = shard.placement.nodes().find(|node| {
        let useful = |member: &&Member| member.node == *node && member.role != Role::Failed;
        is_up(state, *node) && !shard.members.iter().any(|member| useful(&member))
    });
    let generation = shard.generation;
    if let Some(node) = missing {
        // One that failed on that very node has to make room; else it is one of the same kind that goes.
        let there = surplus.iter().find(|member| member.node == node);
        let same_kind = surplus.iter().find(|member| (member.role != Role::Nonvoting) == votes(node));
        let replaces = there.or(same_kind).map(|member| member.id);
        return Some(Command::AddMember { shard: shard.id, generation, node, votes: votes(node), replaces });
    }
    let misplaced = shard.members.iter().find_map(|member| {
        let role = match member.role {
            Role::Voter if shard.placement.nonvoting.contains(&member.node) => Role::Nonvoting,
            Role::Nonvoting if votes(member.node) => Role::Joining,
            _ => return None,
        };
        // Who votes goes on until those vote that are wanted instead.
        let voters_are_there = shard
            .placement
            .voters
            .iter()
            .all(|node| shard.members.iter().any(|member| member.node == *node && member.role == Role::Voter));
        let may_stop = voters_are_there && is_spared(state, shard, member);
        (role == Role::Joining || may_stop).then_some((member.id, role))
    });
    if let Some((member, role)) = misplaced {
        return Some(Command::SetRole { shard: shard.id, generation, member, role });
    }
    // Only when every place that is wanted has its member, or none can be had: who goes now has no successor.
    let served = |node: NodeId| shard.members.iter().any(|member| member.node == node && member.role != Role::Failed);
    let goes = surplus.into_iter().find(|member| {
        let useless = member.role == Role::Failed || shard.placement.nodes().all(served);
        let goes = useless && !shard.placement.contains(member.node) && others_vote(shard, member);
        goes && (member.role == Role::Failed || is_spared(state, shard, member))
    });
    goes.map(|member| Command::RetireMember { shard: shard.id, generation, member: member.id, restores: None })
}

/// A change that cannot come to its end, because who joins failed or is lost. One that is wanted there no more joins all the
/// same: it may vote already, and its successor has to wait for that to be known.
fn give_up(state: &ClusterState, shard: &Shard) -> Option<Command> {
    // Also one that was to leave, and was told to stay.
    let lost = shard.members.iter().find(|member| member.role == Role::Joining && is_lost(state, member.node));
    // One that failed before this change began is replaced when the change is over.
    let joined_last = shard.members.iter().filter(|member| !member.role.leaves()).max_by_key(|member| member.id);
    let any = |role: Role| shard.members.iter().any(|member| member.role == role);
    let member = lost.or(joined_last.filter(|member| member.role == Role::Failed));
    if member.is_none() && cannot_decide(state, shard) && !any(Role::Leaving) {
        // One was told to vote no more.
        let spare = shard.members.iter().find(|member| member.role == Role::Nonvoting && is_up(state, member.node))?;
        let (generation, member) = (shard.generation, spare.id);
        return Some(Command::SetRole { shard: shard.id, generation, member, role: Role::Joining });
    }
    // Fewer were wanted, and meanwhile one of those that should stay failed, or is lost: the rest may decide nothing.
    let hangs = !any(Role::Joining) || cannot_decide(state, shard);
    let gone = shard.members.iter().find(|member| is_gone(state, member)).filter(|_| any(Role::Leaving) && hangs);
    let member = member.or(gone)?;
    let alone = |member: &Member| !shard.members.iter().any(|on| on.node == member.node && on.id != member.id);
    let stays = |other: &&Member| other.role == Role::Leaving && alone(other) && !is_lost(state, other.node);
    let leaving = shard.members.iter().find(stays);
    let restores = leaving.filter(|_| !others_vote(shard, member) || is_needed(shard)).map(|member| member.id);
    if restores.is_none() && !others_vote(shard, member) {
        return None;
    }
    let generation = shard.generation;
    Some(Command::RetireMember { shard: shard.id, generation, member: member.id, restores })
}

/// Whether all are there who vote when this one does no more. While one of them is not, a vote that is there is worth more
/// than the wish for fewer.
fn is_spared(state: &ClusterState, shard: &Shard, member: &Member) -> bool {
    let votes = |other: &&Member| other.id != member.id && matches!(other.role, Role::Voter | Role::Joining);
    !is_up(state, member.node) || shard.members.iter().filter(votes).all(|other| is_up(state, other.node))
}

/// Whether a shard that was cut off from this one has not begun yet: it is borne by the members that there are (K10).
fn has_unborn(state: &ClusterState, shard: &Shard) -> bool {
    state.shard(shard.id).is_some_and(|(table, _)| table.has_unborn(shard.id))
}

fn is_gone(state: &ClusterState, member: &Member) -> bool {
    member.role == Role::Failed || member.role == Role::Voter && is_lost(state, member.node)
}

/// Whether so many are lost or failed of those who are to vote that the group may never be made of them.
pub(super) fn cannot_decide(state: &ClusterState, shard: &Shard) -> bool {
    let voters = shard.wanted_voters();
    let lost = shard.members.iter().filter(|member| voters.contains(&member.id) && is_lost(state, member.node)).count();
    let failed = shard.members.iter().filter(|member| member.role == Role::Failed).count();
    (voters.len() - lost) * 2 <= voters.len() + failed
}

/// Whether fewer would vote than are wanted, if nobody stayed for who does not join.
fn is_needed(shard: &Shard) -> bool {
    shard.wanted_voters().len() <= shard.placement.voters.len()
}

fn others_vote(shard: &Shard, member: &Member) -> bool {
    member.role == Role::Nonvoting || shard.wanted_voters().iter().any(|voter| *voter != member.id)
}

fn is_surplus(shard: &Shard, member: &Member) -> bool {
    member.role == Role::Failed || !shard.placement.contains(member.node)
}

pub(super) fn is_up(state: &ClusterState, node: NodeId) -> bool {
    state.node(node).is_some_and(|node| node.is_up())
}

fn is_lost(state: &ClusterState, node: NodeId) -> bool {
    state.node(node).is_none_or(|node| node.is_lost())
}
