//! Shards of new tables, and where their replicas are wanted.

use photondb_proto::{Epoch, MemberId, NodeId, ShardId, TableId};

use super::join;
use super::schema::table_mut;
use crate::command::{NewShard, Response};
use crate::error::StateError;
use crate::joining::Attempt;
use crate::limits::{REPLICAS_PER_SHARD_MAX, SHARDS_PER_TABLE_MAX};
use crate::shard::{Founder, Generation, Member, Placement, Role, Shard};
use crate::state::ClusterState;

/// Numbers the shards of a new table and their members.
pub(super) fn begin(state: &mut ClusterState, table: &str, new: &[NewShard]) -> Result<Vec<Shard>, StateError> {
    check_ranges(table, new)?;
    new.iter().try_for_each(|shard| check_placement(state, &shard.placement, table))?;
    Ok(new.iter().map(|shard| number_shard(state, shard)).collect())
}

/// Ascending without gap or overlap from the first key to past the last.
fn check_ranges(table: &str, shards: &[NewShard]) -> Result<(), StateError> {
    let invalid = || Err(StateError::ShardsInvalid { table: table.to_owned() });
    if shards.is_empty() || shards.len() > SHARDS_PER_TABLE_MAX {
        return invalid();
    }
    let mut expected: Option<&[u8]> = Some(&[]);
    for shard in shards {
        if expected != Some(shard.range.start()) {
            return invalid();
        }
        expected = shard.range.end();
    }
    if expected.is_some() { invalid() } else { Ok(()) }
}

fn number_shard(state: &mut ClusterState, new: &NewShard) -> Shard {
    let id = ShardId(state.next_shard);
    state.next_shard += 1;
    let voters = &new.placement.voters;
    let mut members = Vec::with_capacity(voters.len());
    for node in voters {
        members.push(Member { id: next_member(state), node: *node, role: Role::Voter });
    }
    Shard {
        id,
        range: new.range.clone(),
        epoch: Epoch(1),
        generation: Generation(1),
        founders: members.iter().map(|member| Founder { id: member.id, node: member.node }).collect(),
        members,
        // Who does not vote joins, as the planner has it.
        placement: new.placement.clone(),
        reached: None,
        parent: None,
        cuts: Vec::new(),
        rescue: None,
        joining: None,
        attempt: Attempt(0),
    }
}

/// A number that no member had.
pub(super) fn next_member(state: &mut ClusterState) -> MemberId {
    let id = MemberId(state.next_member);
    state.next_member += 1;
    id
}

pub(super) fn place(state: &mut ClusterState, id: TableId, wanted: &[Placement]) -> Result<Response, StateError> {
    let table = state.table(id).ok_or(StateError::TableNotFound { id })?;
    let invalid = || StateError::ShardsInvalid { table: table.name.clone() };
    if wanted.len() != table.shards.len() {
        return Err(invalid());
    }
    for (shard, placement) in table.shards.iter().zip(wanted) {
        check_placement(state, placement, &table.name)?;
        join::check_is_free(state, shard.id)?;
    }
    for (shard, placement) in table_mut(state, id)?.shards.iter_mut().zip(wanted) {
        shard.placement.clone_from(placement);
        shard.joining = None;
    }
    Ok(Response::Done)
}

pub(super) fn place_one(state: &mut ClusterState, id: ShardId, wanted: &Placement) -> Result<Response, StateError> {
    let (table, _) = state.shard(id).ok_or(StateError::ShardNotFound { id })?;
    let table = table.id;
    check_placement(state, wanted, &state.tables[&table].name)?;
    join::check_is_free(state, id)?;
    let shard = shard_mut(state, id)?;
    // Who only names another one to lead says nothing of a join.
    if !shard.placement.has_roles_of(wanted) {
        shard.joining = None;
    }
    shard.placement.clone_from(wanted);
    table_mut(state, table)?.place_side_by_side();
    Ok(Response::Done)
}

/// Somebody votes, nobody twice, and everybody is known.
pub(super) fn check_placement(state: &ClusterState, placement: &Placement, table: &str) -> Result<(), StateError> {
    let mut nodes: Vec<NodeId> = placement.nodes().collect();
    let count = nodes.len();
    nodes.sort_unstable();
    nodes.dedup();
    if placement.voters.is_empty() || nodes.len() != count || count > REPLICAS_PER_SHARD_MAX {
        return Err(StateError::ShardsInvalid { table: table.to_owned() });
    }
    match nodes.into_iter().find(|node| state.node(*node).is_none()) {
        Some(id) => Err(StateError::NodeNotFound { id }),
        None => Ok(()),
    }
}

pub(super) fn substitute(
    state: &mut ClusterState,
    id: ShardId,
    lost: NodeId,
    by: NodeId,
) -> Result<Response, StateError> {
    state.node(by).ok_or(StateError::NodeNotFound { id: by })?;
    join::check_is_free(state, id)?;
    let placement = &mut shard_mut(state, id)?.placement;
    if placement.contains(by) {
        return Ok(Response::Done);
    }
    if let Some(voter) = placement.voters.iter_mut().find(|voter| **voter == lost) {
        *voter = by;
    } else if placement.nonvoting.remove(&lost) {
        placement.nonvoting.insert(by);
    }
    let table = state.shard(id).ok_or(StateError::ShardNotFound { id })?.0.id;
    table_mut(state, table)?.place_side_by_side();
    Ok(Response::Done)
}

pub(super) fn shard_mut(state: &mut ClusterState, id: ShardId) -> Result<&mut Shard, StateError> {
    let table = state.shard(id).ok_or(StateError::ShardNotFound { id })?.0.id;
    let table = table_mut(state, table)?;
    table
        .shards
        .iter_mut()
        .chain(&mut table.joined)
        .find(|shard| shard.id == id)
        .ok_or(StateError::ShardNotFound { id })
}
