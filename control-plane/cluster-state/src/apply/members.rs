//! Members of shards: planned changes, and what nodes report.

use std::collections::BTreeSet;

use photondb_proto::{MemberId, NodeId, ShardId};

use super::join;
use super::shards::{next_member, shard_mut};
use crate::command::Response;
use crate::error::StateError;
use crate::limits::REPLICAS_PER_SHARD_MAX;
use crate::shard::{Generation, Member, Reached, Role, Shard};
use crate::state::ClusterState;

pub(super) fn add(
    state: &mut ClusterState,
    id: ShardId,
    generation: Generation,
    node: NodeId,
    votes: bool,
    replaces: Option<MemberId>,
) -> Result<Response, StateError> {
    state.node(node).ok_or(StateError::NodeNotFound { id: node })?;
    let shard = planned(state, id, generation)?;
    join::check_is_free(state, id)?;
    if shard.is_changing() || shard.members.len() > REPLICAS_PER_SHARD_MAX {
        return Err(StateError::OtherGeneration { shard: id, is: shard.generation.0, asked: generation.0 });
    }
    if let Some(replaced) = replaces {
        let member = shard.member(replaced).filter(|member| !member.role.leaves());
        member.ok_or(StateError::MemberUnsuitable { shard: id, member: replaced })?;
    }
    // A node keeps one member of a shard; only one that is of no use any more makes room for another there.
    let in_the_way = shard.members.iter().find(|member| member.node == node && Some(member.id) != replaces);
    if let Some(member) = in_the_way {
        return Err(StateError::MemberUnsuitable { shard: id, member: member.id });
    }
    let member = next_member(state);
    let shard = shard_mut(state, id)?;
    if let Some(replaced) = shard.members.iter_mut().find(|member| Some(member.id) == replaces) {
        replaced.role = leaving(replaced.role);
    }
    let role = if votes { Role::Joining } else { Role::Nonvoting };
    shard.members.push(Member { id: member, node, role });
    shard.generation.0 += 1;
    Ok(Response::Member(member))
}

pub(super) fn retire(
    state: &mut ClusterState,
    id: ShardId,
    generation: Generation,
    member: MemberId,
    restores: Option<MemberId>,
) -> Result<Response, StateError> {
    planned(state, id, generation)?;
    join::check_is_free(state, id)?;
    let shard = shard_mut(state, id)?;
    let unsuitable = |member| StateError::MemberUnsuitable { shard: id, member };
    let voters = shard.wanted_voters();
    let stays = voters.iter().any(|voter| *voter != member) || restores.is_some();
    let found = shard.member(member).ok_or(unsuitable(member))?;
    if found.role.leaves() || !stays && found.role != Role::Nonvoting {
        return Err(unsuitable(member));
    }
    if let Some(restored) = restores {
        let leaving = shard.member(restored).filter(|member| member.role == Role::Leaving);
        let alone = |found: &Member| !shard.members.iter().any(|on| on.node == found.node && on.id != found.id);
        if !leaving.is_some_and(alone) || restored == member {
            return Err(unsuitable(restored));
        }
    }
    for changed in &mut shard.members {
        if changed.id == member {
            changed.role = leaving(changed.role);
        } else if Some(changed.id) == restores {
            // Whether it votes still is not known here; as one that joins it does so again.
            changed.role = Role::Joining;
        }
    }
    shard.generation.0 += 1;
    Ok(Response::Done)
}

pub(super) fn set_role(
    state: &mut ClusterState,
    id: ShardId,
    generation: Generation,
    member: MemberId,
    role: Role,
) -> Result<Response, StateError> {
    planned(state, id, generation)?;
    join::check_is_free(state, id)?;
    let shard = shard_mut(state, id)?;
    let unsuitable = StateError::MemberUnsuitable { shard: id, member };
    let others_vote = shard.wanted_voters().iter().any(|voter| *voter != member);
    let found = shard.members.iter_mut().find(|found| found.id == member).ok_or(unsuitable.clone())?;
    match (found.role, role) {
        (Role::Voter | Role::Joining, Role::Nonvoting) if others_vote => {}
        (Role::Nonvoting, Role::Joining) => {}
        _ => return Err(unsuitable),
    }
    found.role = role;
    shard.reached = None;
    shard.generation.0 += 1;
    Ok(Response::Done)
}

pub(super) fn reached(
    state: &mut ClusterState,
    id: ShardId,
    generation: Generation,
    at: Reached,
    voters: &BTreeSet<MemberId>,
    learners: &BTreeSet<MemberId>,
) -> Result<Response, StateError> {
    // K5: a report that was made before a member was added would else say of it that it is gone.
    planned(state, id, generation)?;
    let shard = shard_mut(state, id)?;
    if shard.reached.is_some_and(|known| known > at) {
        return Err(StateError::StaleReport { shard: id });
    }
    let before = shard.members.clone();
    shard.reached = Some(at);
    shard
        .members
        .retain(|member| !member.role.leaves() || voters.contains(&member.id) || learners.contains(&member.id));
    for member in &mut shard.members {
        if member.role == Role::Joining && voters.contains(&member.id) {
            member.role = Role::Voter;
        }
    }
    assert!(!shard.members.is_empty(), "K4: the last member is never told to leave");
    if shard.members != before {
        shard.generation.0 += 1;
    }
    Ok(Response::Done)
}

pub(super) fn failed(state: &mut ClusterState, id: ShardId, member: MemberId) -> Result<Response, StateError> {
    let shard = shard_mut(state, id)?;
    let unsuitable = StateError::MemberUnsuitable { shard: id, member };
    // What only this member has is not given up without asking people.
    let others_vote =
        shard.members.iter().any(|other| other.id != member && matches!(other.role, Role::Voter | Role::Leaving));
    let found = shard.members.iter_mut().find(|found| found.id == member).ok_or(unsuitable.clone())?;
    match found.role {
        Role::Failed | Role::Discarded => return Ok(Response::Done),
        Role::Leaving => found.role = Role::Discarded,
        _ if !others_vote => return Err(unsuitable),
        Role::Voter | Role::Joining | Role::Nonvoting => found.role = Role::Failed,
    }
    shard.generation.0 += 1;
    Ok(Response::Done)
}

fn leaving(role: Role) -> Role {
    if role.is_broken() { Role::Discarded } else { Role::Leaving }
}

pub(super) fn planned(state: &ClusterState, id: ShardId, generation: Generation) -> Result<&Shard, StateError> {
    let (_, shard) = state.shard(id).ok_or(StateError::ShardNotFound { id })?;
    if shard.generation != generation {
        return Err(StateError::OtherGeneration { shard: id, is: shard.generation.0, asked: generation.0 });
    }
    Ok(shard)
}
