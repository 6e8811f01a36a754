//! What to do next, as a pure function of the state: state in, commands out.
//!
//! The leader of the cluster state asks again whenever the state has changed, and proposes what it is given. Each command
//! carries what it was planned for, so that one that comes late does nothing. Nothing here remembers anything: a new leader
//! goes on where the last one stopped, after any crash.

mod members;
mod meta;
mod obey;
mod place;
mod repair;
mod rescue;

use crate::command::Command;
use crate::state::ClusterState;

pub use members::next_step;
pub use meta::{meta_learners, meta_voters};
pub use obey::{GroupMembers, Order, next_order};
pub use place::{DEFAULT_TAG, PlaceError, Tagged, Wish, ZONE_TAG_PREFIX, part_placement, place};
pub use rescue::{Rescues, Survivor, rescue};

/// Everything that may be done now: at most one command for each shard (K2).
pub fn plan(state: &ClusterState) -> Vec<Command> {
    let shards = state.tables().flat_map(|table| &table.shards);
    let steps = shards.filter_map(|shard| repair::substitute(state, shard).or_else(|| next_step(state, shard)));
    steps.chain(repair::gone(state)).collect()
}
