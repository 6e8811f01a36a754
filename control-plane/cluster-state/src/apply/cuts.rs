//! Shards that are cut off from others (K10).

use photondb_proto::{Epoch, KeyRange, ShardId};

use super::members::planned;
use super::schema::table_mut;
use super::shards::{check_placement, next_member};
use crate::command::{NewCut, Response};
use crate::error::StateError;
use crate::limits::{CUT_BYTES_MAX, SHARDS_PER_TABLE_MAX};
use crate::shard::{Cut, Founder, Generation, Member, Role, Shard};
use crate::state::ClusterState;

pub(super) fn begin(
    state: &mut ClusterState,
    id: ShardId,
    generation: Generation,
    new: &[NewCut],
) -> Result<Response, StateError> {
    let shard = planned(state, id, generation)?;
    if !shard.rests() {
        return Err(StateError::ShardBusy { shard: id });
    }
    let (table, _) = state.shard(id).ok_or(StateError::ShardNotFound { id })?;
    // Also where it is only wished for: what would be joined is another shard then.
    if table.is_joining(shard) {
        return Err(StateError::ShardJoining { shard: id });
    }
    let invalid = || StateError::ShardsInvalid { table: table.name.clone() };
    let shards = table.shards.iter().map(|shard| 1 + shard.cuts.len()).sum::<usize>() + new.len();
    let mut rest = shard.range.clone();
    for cut in new {
        if cut.at.as_slice() <= rest.start() || !rest.contains(&cut.at) || cut.at.len() > CUT_BYTES_MAX {
            return Err(invalid());
        }
        rest = KeyRange::new(cut.at.clone(), rest.end().map(<[u8]>::to_vec)).ok_or_else(invalid)?;
        check_placement(state, &cut.placement, &table.name)?;
    }
    if new.is_empty() || shards > SHARDS_PER_TABLE_MAX {
        return Err(invalid());
    }
    let (table, members) = (table.id, shard.members.clone());
    let cuts: Vec<Cut> = new.iter().map(|new| number(state, &members, new)).collect();
    for shard in &mut table_mut(state, table)?.shards {
        if shard.id == id {
            shard.cuts = cuts;
            shard.generation.0 += 1;
            break;
        }
    }
    Ok(Response::Done)
}

fn number(state: &mut ClusterState, members: &[Member], new: &NewCut) -> Cut {
    let shard = ShardId(state.next_shard);
    state.next_shard += 1;
    let members = members.iter().map(|member| Member { id: next_member(state), ..*member }).collect();
    Cut { at: new.at.clone(), shard, members, placement: new.placement.clone() }
}

pub(super) fn done(state: &mut ClusterState, id: ShardId, child: ShardId) -> Result<Response, StateError> {
    let (table, shard) = state.shard(id).ok_or(StateError::ShardNotFound { id })?;
    if table.with_members().any(|shard| shard.id == child) {
        return Ok(Response::Done);
    }
    if shard.cuts.last().is_none_or(|cut| cut.shard != child) {
        return Err(StateError::StaleReport { shard: id });
    }
    let table = table.id;
    let shards = &mut table_mut(state, table)?.shards;
    let at = shards.iter().position(|shard| shard.id == id).expect("it was found above");
    let parent = &mut shards[at];
    let Some(cut) = parent.cuts.pop() else { return Err(StateError::StaleReport { shard: id }) };
    let [left, right] = parent.range.cut(&cut.at).expect("cuts lie within the range, and are made from its end");
    parent.range = left;
    parent.epoch = Epoch(parent.epoch.0 + 1);
    parent.generation.0 += 1;
    let voters = cut.members.iter().filter(|member| member.role == Role::Voter);
    let child = Shard {
        id: cut.shard,
        range: right,
        epoch: parent.epoch,
        generation: Generation(1),
        // Who does not vote is no founder: it joins, and is filled.
        founders: voters.map(|member| Founder { id: member.id, node: member.node }).collect(),
        members: cut.members,
        placement: cut.placement,
        reached: None,
        parent: Some(id),
        cuts: Vec::new(),
        rescue: None,
        joining: None,
        // It is made of a state that may remember those of the other one.
        attempt: parent.attempt,
    };
    shards.insert(at + 1, child);
    Ok(Response::Done)
}
