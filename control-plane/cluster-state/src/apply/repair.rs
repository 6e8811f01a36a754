//! Other groups for shards whose own ones have lost their majority for good (K11).

use photondb_proto::{Epoch, MemberId, TableId};

use super::join;
use super::members::planned;
use super::schema::table_mut;
use super::shards::{check_placement, next_member, shard_mut};
use crate::command::{Response, ShardRepair};
use crate::error::StateError;
use crate::shard::{Founder, Member, Rescue, Role};
use crate::state::ClusterState;

pub(super) fn begin_anew(
    state: &mut ClusterState,
    id: TableId,
    repairs: &[ShardRepair],
) -> Result<Response, StateError> {
    let table = state.table(id).ok_or(StateError::TableNotFound { id })?;
    for (number, repair) in repairs.iter().enumerate() {
        let once = !repairs[..number].iter().any(|other| other.shard == repair.shard);
        if !once || !table.shards.iter().any(|shard| shard.id == repair.shard) {
            return Err(StateError::ShardNotFound { id: repair.shard });
        }
        check(state, &table.name, repair)?;
    }
    join::check_repairs(table, repairs)?;
    let epochs: Vec<Epoch> = repairs.iter().map(|repair| join::epoch_of_repair(table, repair)).collect();
    for (repair, epoch) in repairs.iter().zip(epochs) {
        replace_group(state, repair, epoch)?;
    }
    let table = table_mut(state, id)?;
    table.repair_joins(repairs);
    table.place_side_by_side();
    Ok(Response::Done)
}

fn check(state: &ClusterState, table: &str, repair: &ShardRepair) -> Result<(), StateError> {
    let shard = planned(state, repair.shard, repair.generation)?;
    check_placement(state, &repair.placement, table)?;
    let Some(from) = repair.from else { return Ok(()) };
    // Its state is taken over where it lies.
    let home = repair.placement.voters.first();
    let found = shard.member(from).filter(|member| member.role != Role::Discarded && Some(&member.node) == home);
    found.map(drop).ok_or(StateError::MemberUnsuitable { shard: repair.shard, member: from })
}

fn replace_group(state: &mut ClusterState, repair: &ShardRepair, epoch: Epoch) -> Result<(), StateError> {
    let node = repair.placement.voters[0];
    let (founder, from) = (next_member(state), repair.from);
    let cuts = shard_mut(state, repair.shard)?.cuts.len();
    let cut_off: Vec<MemberId> = (0..cuts).map(|_| next_member(state)).collect();
    let shard = shard_mut(state, repair.shard)?;
    let voter = |id| Member { id, node, role: Role::Voter };
    shard.epoch = epoch;
    shard.generation.0 += 1;
    shard.founders = vec![Founder { id: founder, node }];
    shard.members = vec![voter(founder)];
    shard.placement.clone_from(&repair.placement);
    shard.reached = None;
    shard.parent = None;
    let empty = if from.is_none() { shard.epoch } else { shard.epoch_of_empty() };
    shard.rescue = Some(Rescue { founder, from, epoch: shard.epoch, empty });
    // The member that is taken over may have applied a cut already that nobody has reported.
    for (cut, member) in shard.cuts.iter_mut().zip(cut_off) {
        cut.members = vec![voter(member)];
    }
    if from.is_none() {
        shard.cuts.clear();
    }
    Ok(())
}
