//! What to do next, as a pure function of the state: state in, commands out.
//!
//! The leader of the cluster state asks again whenever the state has changed, and proposes what it is given. Each command
//! carries what it was planned for, so that one that comes late does nothing. Nothing here remembers anything: a new leader
//! goes on where the last one stopped, after any crash.

mod burden;
mod join;
mod members;
mod meta;
mod obey;
mod place;
mod repair;
mod rescue;

use crate::command::Command;
use crate::schema::Table;
use crate::shard::Shard;
use crate::state::ClusterState;

pub use burden::{Burden, Burdens};
pub use members::next_step;
pub use meta::{meta_learners, meta_voters};
pub use obey::{GroupMembers, Order, next_order};
pub use place::{DEFAULT_TAG, PlaceError, Tagged, Wish, ZONE_TAG_PREFIX, part_placement, place};
pub use rescue::{Rescues, Survivor, rescue};

/// Everything that may be done now: at most one command for each shard (K2).
pub fn plan(state: &ClusterState) -> Vec<Command> {
    let of_table =
        |table: &Table| table.shards.iter().filter_map(|shard| step(state, table, shard)).collect::<Vec<_>>();
    let steps = state.tables().flat_map(|table| of_table(table));
    let joined = state.tables().flat_map(|table| &table.joined).filter_map(|shard| join::retire(state, shard));
    steps.chain(joined).chain(repair::gone(state)).collect()
}

fn step(state: &ClusterState, table: &Table, shard: &Shard) -> Option<Command> {
    match table.is_bound(shard) {
        true => join::undo(state, table, shard),
        false => change(state, shard).or_else(|| join::begin(state, table, shard)),
    }
}

/// What is to be changed about the places or the members of a shard.
fn change(state: &ClusterState, shard: &Shard) -> Option<Command> {
    // One that is to be joined gets the places of its left neighbour, whatever becomes of those.
    let has_own_places = shard.joining.is_none();
    let substitute = has_own_places.then(|| repair::substitute(state, shard)).flatten();
    substitute.or_else(|| next_step(state, shard))
}
