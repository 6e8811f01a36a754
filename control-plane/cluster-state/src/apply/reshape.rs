//! A table as somebody wants it, by one command (K13).

use photondb_proto::{DatabaseId, TableId};

use super::schema::{self, table_mut};
use super::shards::{check_placement, shard_mut};
use super::{cuts, join};
use crate::command::{Reshaped, Response, TableSettings};
use crate::error::StateError;
use crate::joining::Stage;
use crate::state::ClusterState;

pub(super) fn reshape(
    state: &mut ClusterState,
    id: TableId,
    named: Option<&(DatabaseId, String)>,
    settings: &TableSettings,
    shards: &[Reshaped],
) -> Result<Response, StateError> {
    // What is refused in the end must not have begun: it is done to a copy, which shares what is not touched.
    let mut next = state.clone();
    if let Some((database, name)) = named {
        schema::move_table(&mut next, id, *database, name)?;
    }
    schema::set_table_config(&mut next, id, settings)?;
    if !shards.is_empty() {
        check_planned(&next, id, shards)?;
        take_back_wishes(&mut next, id)?;
        cut(&mut next, shards)?;
        wish(&mut next, id, shards)?;
        place(&mut next, id, shards)?;
    }
    *state = next;
    Ok(Response::Done)
}

/// The table has the shards that this was planned for, and no others are on their way.
fn check_planned(state: &ClusterState, id: TableId, wanted: &[Reshaped]) -> Result<(), StateError> {
    let table = state.table(id).ok_or(StateError::TableNotFound { id })?;
    let there = table.shards.iter().map(|shard| (shard.id, shard.epoch));
    if !there.eq(wanted.iter().map(|wanted| (wanted.shard, wanted.epoch))) {
        return Err(StateError::ShardsChanged { table: table.name.clone() });
    }
    match table.shards.iter().find(|shard| !shard.cuts.is_empty()) {
        Some(cut) => Err(StateError::ShardBusy { shard: cut.id }),
        None => Ok(()),
    }
}

/// Those of before: which there are from now on is said anew, and what is wished for cannot be cut.
fn take_back_wishes(state: &mut ClusterState, id: TableId) -> Result<(), StateError> {
    for shard in &mut table_mut(state, id)?.shards {
        shard.joining = shard.joining.filter(|stage| stage.binds());
    }
    Ok(())
}

fn cut(state: &mut ClusterState, wanted: &[Reshaped]) -> Result<(), StateError> {
    for wanted in wanted.iter().filter(|wanted| !wanted.cuts.is_empty()) {
        let generation = shard_mut(state, wanted.shard)?.generation;
        cuts::begin(state, wanted.shard, generation, &wanted.cuts)?;
    }
    Ok(())
}

fn wish(state: &mut ClusterState, id: TableId, wanted: &[Reshaped]) -> Result<(), StateError> {
    let mut wishes = Vec::new();
    for wanted in wanted.iter().filter(|wanted| wanted.placement.is_none()) {
        let shard = shard_mut(state, wanted.shard)?;
        if shard.joining.is_none() {
            wishes.push((shard.id, shard.generation));
        }
    }
    join::wish(state, id, &wishes).map(drop)
}

fn place(state: &mut ClusterState, id: TableId, wanted: &[Reshaped]) -> Result<(), StateError> {
    let name = table_mut(state, id)?.name.clone();
    for wanted in wanted {
        let Some(placement) = &wanted.placement else { continue };
        check_placement(state, placement, &name)?;
        let shard = shard_mut(state, wanted.shard)?;
        if shard.joining.is_some_and(Stage::binds) {
            return Err(StateError::ShardJoining { shard: shard.id });
        }
        if shard.placement != *placement {
            join::check_is_free(state, wanted.shard)?;
            shard_mut(state, wanted.shard)?.placement.clone_from(placement);
        }
    }
    table_mut(state, id)?.place_side_by_side();
    Ok(())
}
