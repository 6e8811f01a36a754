//! What to do next, as a pure function of the state and of what nodes say of themselves: those in, commands out. What nodes say decides
//! which of them takes a place, and never whether something is done.
//!
//! The leader of the cluster state asks again whenever the state has changed, and proposes what it is given. Each command
//! carries what it was planned for, so that one that comes late does nothing. Nothing here remembers anything: a new leader
//! goes on where the last one stopped, after any crash.

mod burden;
mod join;
mod loads;
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
use loads::Loads;

pub use burden::{Burden, Burdens};
pub use members::next_step;
pub use meta::{meta_learners, meta_voters};
pub use obey::{GroupMembers, Order, next_order};
pub use place::{DEFAULT_TAG, PlaceError, Tagged, Wish, ZONE_TAG_PREFIX, part_placement, place};
pub use rescue::{Rescues, Survivor, rescue};

/// Everything that may be done now: at most one command for each shard (K2).
pub fn plan(state: &ClusterState, burdens: &Burdens) -> Vec<Command> {
    let mut loads = Loads::of(state, burdens, None);
    let mut steps = Vec::new();
    for table in state.tables() {
        for shard in &table.shards {
            let step = step(state, table, shard, &loads);
            if let Some(Command::Substitute { by, .. }) = &step {
                loads.give(*by);
            }
            steps.extend(step);
        }
    }
    steps.extend(state.tables().flat_map(|table| &table.joined).filter_map(|shard| join::retire(state, shard)));
    steps.extend(repair::gone(state));
    steps
}

fn step(state: &ClusterState, table: &Table, shard: &Shard, loads: &Loads) -> Option<Command> {
    match table.is_bound(shard) {
        true => join::undo(state, table, shard),
        false => change(state, shard, loads).or_else(|| join::begin(state, table, shard, loads)),
    }
}

/// What is to be changed about the places or the members of a shard.
fn change(state: &ClusterState, shard: &Shard, loads: &Loads) -> Option<Command> {
    // One that is to be joined gets the places of its left neighbour, whatever becomes of those.
    let has_own_places = shard.joining.is_none();
    let substitute = has_own_places.then(|| repair::substitute(state, shard, loads)).flatten();
    substitute.or_else(|| next_step(state, shard))
}
