//! Shards that are joined to their left neighbours (K12).

use photondb_proto::{Epoch, KeyRange, ShardId, TableId};

use super::members::planned;
use super::schema::table_mut;
use super::shards::shard_mut;
use crate::command::{Response, ShardRepair};
use crate::error::StateError;
use crate::joining::{Attempt, Stage};
use crate::schema::Table;
use crate::shard::{Generation, Reached, Shard};
use crate::state::ClusterState;

/// A shard, and the generation that a command was planned for.
type Planned = (ShardId, Generation);

/// Refuses what changes the members or places of a shard while it is joined with a neighbour, and afterwards.
pub(super) fn check_is_free(state: &ClusterState, id: ShardId) -> Result<(), StateError> {
    let (table, shard) = state.shard(id).ok_or(StateError::ShardNotFound { id })?;
    if table.is_bound(shard) { Err(StateError::ShardJoining { shard: id }) } else { Ok(()) }
}

pub(super) fn wish(state: &mut ClusterState, id: TableId, wanted: &[Planned]) -> Result<Response, StateError> {
    let table = state.table(id).ok_or(StateError::TableNotFound { id })?;
    for (shard, generation) in wanted {
        check_wish(table, planned(state, *shard, *generation)?)?;
    }
    let table = table_mut(state, id)?;
    for shard in &mut table.shards {
        if wanted.iter().any(|(id, _)| *id == shard.id) {
            shard.joining = Some(Stage::Wanted);
        }
    }
    table.place_side_by_side();
    Ok(Response::Done)
}

fn check_wish(table: &Table, shard: &Shard) -> Result<(), StateError> {
    if shard.joining.is_some_and(Stage::binds) {
        return Err(StateError::ShardJoining { shard: shard.id });
    }
    if !table.shards.iter().any(|there| there.id == shard.id) {
        return Err(StateError::ShardNotFound { id: shard.id });
    }
    // What is being cut off from either is no matter: the boundary is to go that is between them, and waits for that.
    table.left_of(shard.id).map(drop).ok_or(StateError::NoLeftNeighbour { shard: shard.id })
}

pub(super) fn begin(state: &mut ClusterState, left: Planned, right: Planned) -> Result<Response, StateError> {
    let (on_left, on_right) = (planned(state, left.0, left.1)?, planned(state, right.0, right.1)?);
    let (table, _) = state.shard(right.0).ok_or(StateError::ShardNotFound { id: right.0 })?;
    if !table.may_begin_join(on_left, on_right) {
        return Err(StateError::ShardBusy { shard: right.0 });
    }
    shard_mut(state, left.0)?.generation.0 += 1;
    let shard = shard_mut(state, right.0)?;
    shard.generation.0 += 1;
    shard.attempt.0 += 1;
    shard.joining = Some(Stage::Freezing);
    Ok(Response::Done)
}

pub(super) fn frozen(
    state: &mut ClusterState,
    id: ShardId,
    attempt: Attempt,
    at: Reached,
) -> Result<Response, StateError> {
    let (table, shard) = state.shard(id).ok_or(StateError::ShardNotFound { id })?;
    // Who has failed may have lost the entry that the leader counted on: such an attempt is given up while it can be.
    if is_at(shard, attempt, Stage::Freezing) && !table.has_failed_beside(shard) {
        shard_mut(state, id)?.joining = Some(Stage::Frozen { at });
    }
    Ok(Response::Done)
}

pub(super) fn undo(state: &mut ClusterState, id: ShardId, attempt: Attempt) -> Result<Response, StateError> {
    let shard = shard_mut(state, id)?;
    if is_at(shard, attempt, Stage::Freezing) {
        shard.joining = Some(Stage::Thawing);
    }
    Ok(Response::Done)
}

pub(super) fn thawed(
    state: &mut ClusterState,
    id: ShardId,
    attempt: Attempt,
    epoch: Epoch,
) -> Result<Response, StateError> {
    let shard = shard_mut(state, id)?;
    if is_at(shard, attempt, Stage::Thawing) {
        if epoch < shard.epoch {
            return Err(StateError::StaleReport { shard: id });
        }
        shard.epoch = epoch;
        shard.joining = Some(Stage::Wanted);
    }
    Ok(Response::Done)
}

fn is_at(shard: &Shard, attempt: Attempt, stage: Stage) -> bool {
    shard.joining == Some(stage) && shard.attempt == attempt
}

pub(super) fn joined(
    state: &mut ClusterState,
    id: ShardId,
    into: ShardId,
    attempt: Attempt,
    epoch: Epoch,
) -> Result<Response, StateError> {
    let (table, shard) = state.shard(id).ok_or(StateError::ShardNotFound { id })?;
    let stale = StateError::StaleReport { shard: id };
    let at = match shard.joining.filter(|_| shard.attempt == attempt) {
        Some(Stage::Joined { into: has, .. }) if has == into => return Ok(Response::Done),
        Some(Stage::Frozen { at }) => at,
        _ => return Err(stale),
    };
    let left = table.left_of(id).filter(|left| left.id == into).ok_or(stale.clone())?;
    if epoch <= left.epoch.max(shard.epoch) {
        return Err(stale);
    }
    let table = table.id;
    let table = table_mut(state, table)?;
    let position = table.shards.iter().position(|shard| shard.id == id).expect("it has a left neighbour");
    let mut right = table.shards.remove(position);
    let left = &mut table.shards[position - 1];
    let (start, end) = (left.range.start().to_vec(), right.range.end().map(<[u8]>::to_vec));
    left.range = KeyRange::new(start, end).expect("what begins before a range and ends with it has keys");
    left.epoch = epoch;
    left.generation.0 += 1;
    right.generation.0 += 1;
    right.joining = Some(Stage::Joined { at, into, epoch });
    table.joined.push(right);
    Ok(Response::Done)
}

pub(super) fn retired(state: &mut ClusterState, id: ShardId) -> Result<Response, StateError> {
    // It was forgotten before, if it ever was one.
    let Some((table, shard)) = state.shard(id) else { return Ok(Response::Done) };
    if !shard.is_joined() {
        return Err(StateError::StaleReport { shard: id });
    }
    let table = table.id;
    table_mut(state, table)?.joined.retain(|shard| shard.id != id);
    Ok(Response::Done)
}

/// By how much the epoch of a shard may have risen since its attempt began without anybody having said so: by a freeze and a thaw.
const EPOCHS_OF_ATTEMPT: u64 = 2;

/// Refuses to repair one half of a join without the other where there is no way back, and both apart: what the left one takes lies on
/// the same node, or nothing is left of either.
pub(super) fn check_repairs(table: &Table, repairs: &[ShardRepair]) -> Result<(), StateError> {
    let of = |id: ShardId| repairs.iter().find(|repair| repair.shard == id);
    let begins = |repair: &ShardRepair| (repair.placement.voters.first().copied(), repair.from.is_some());
    for right in table.shards.iter().filter(|shard| shard.stays_frozen()) {
        let left = table.left_of(right.id).and_then(|left| of(left.id));
        if left.map(begins) != of(right.id).map(begins) {
            return Err(StateError::ShardJoining { shard: right.id });
        }
    }
    Ok(())
}

/// The epoch with which the other group begins. It is above any that a replica of the old one can have, except where there is no way
/// back from a freeze.
pub(super) fn epoch_of_repair(table: &Table, repair: &ShardRepair) -> Epoch {
    let Some(shard) = table.shards.iter().find(|shard| shard.id == repair.shard) else { return Epoch(0) };
    let raised = |by| Epoch(shard.epoch.0 + by);
    if let Some(right) = table.frozen_beside(shard.id) {
        // That of the join, which may be applied and is to be reported by a new leader with a higher one: a report of the old
        // leader that comes late must not be believed.
        let joined = shard.epoch.0.max(right.epoch.0 + 1) + 1;
        return Epoch(if repair.from.is_some() { joined } else { joined + 1 });
    }
    match shard.joining {
        // Nothing is evaluated under it any more, and what was adopted has it.
        Some(Stage::Frozen { .. }) if repair.from.is_some() => shard.epoch,
        Some(Stage::Freezing | Stage::Thawing | Stage::Frozen { .. }) => raised(EPOCHS_OF_ATTEMPT + 1),
        _ => raised(1),
    }
}

impl Table {
    /// An attempt ends with the group that was to be frozen. Where the other one has ended, this one is to be thawed. A shard from whose
    /// freeze there is no way back stays frozen in its other group, unless nothing is left of it.
    pub(super) fn repair_joins(&mut self, repairs: &[ShardRepair]) {
        let mut left_is_repaired = false;
        for shard in &mut self.shards {
            let repair = repairs.iter().find(|repair| repair.shard == shard.id);
            shard.joining = match (shard.joining, repair) {
                (Some(Stage::Freezing | Stage::Thawing), Some(_)) => Some(Stage::Wanted),
                (Some(Stage::Freezing), None) if left_is_repaired => Some(Stage::Thawing),
                (Some(Stage::Frozen { .. }), Some(ShardRepair { from: None, .. })) => Some(Stage::Wanted),
                (joining, _) => joining,
            };
            left_is_repaired = repair.is_some();
        }
    }
}
