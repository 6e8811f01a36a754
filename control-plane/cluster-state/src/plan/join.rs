//! When two neighbouring shards begin to be joined, and when an attempt is given up (K12).

use super::loads::Loads;
use super::members::{cannot_decide, is_up};
use crate::command::Command;
use crate::joining::Stage;
use crate::schema::Table;
use crate::shard::Shard;
use crate::state::ClusterState;

/// The beginning of a join that is wished for and that nothing stands in the way of, nor is to be done first.
pub(super) fn begin(state: &ClusterState, table: &Table, right: &Shard, loads: &Loads) -> Option<Command> {
    let left = table.left_of(right.id).filter(|left| table.may_begin_join(left, right))?;
    let rests = all_up(state, right) && super::change(state, left, loads).is_none();
    rests.then_some(Command::BeginJoin {
        shard: right.id,
        generation: right.generation,
        left: left.id,
        left_generation: left.generation,
    })
}

/// The end of an attempt in which somebody is not there whom it needs.
pub(super) fn undo(state: &ClusterState, table: &Table, right: &Shard) -> Option<Command> {
    let goes_on = all_up(state, right) && !table.has_failed_beside(right);
    let ends = right.joining == Some(Stage::Freezing) && !goes_on;
    ends.then_some(Command::UndoJoin { shard: right.id, attempt: right.attempt })
}

/// The end of a shard that was joined and whose group cannot say any more that it is done.
pub(super) fn retire(state: &ClusterState, joined: &Shard) -> Option<Command> {
    cannot_decide(state, joined).then_some(Command::ShardRetired { shard: joined.id })
}

/// Whether all nodes are there that have members of the shard. Those of its left neighbour are on the same ones.
fn all_up(state: &ClusterState, shard: &Shard) -> bool {
    shard.members.iter().all(|member| is_up(state, member.node))
}
