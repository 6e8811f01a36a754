//! Other places for what is on nodes that are lost.

use photondb_proto::NodeId;

use super::place::loads;
use crate::command::Command;
use crate::shard::Shard;
use crate::state::ClusterState;

/// Another node for one that is lost: one with the same tags if there is such, and of those the one with least to hold.
/// `None`: nothing is lost, or nobody can take its place; then it is waited for.
pub(super) fn substitute(state: &ClusterState, shard: &Shard) -> Option<Command> {
    let is_lost = |node: &NodeId| state.node(*node).is_none_or(|node| node.is_lost());
    let lost = shard.placement.nodes().find(is_lost)?;
    let tags = state.node(lost).map(|node| &node.tags);
    let loads = loads(state, None);
    let mut candidates: Vec<_> =
        state.nodes().filter(|node| node.is_up() && !shard.placement.contains(node.id)).collect();
    candidates
        .sort_by_key(|node| (Some(&node.tags) != tags, loads.get(&node.id).copied().unwrap_or_default(), node.id));
    let by = candidates.first()?.id;
    Some(Command::Substitute { shard: shard.id, lost, by })
}
