//! Other places for what is on nodes that are lost, or that are to leave.

use photondb_proto::NodeId;

use super::place::loads;
use crate::command::Command;
use crate::membership::Service;
use crate::shard::{Placement, Shard};
use crate::state::ClusterState;

/// Another node for one that is lost or to leave: one with the same tags if there is such, and of those the one with least to
/// hold. `None`: nothing is to be replaced, or nobody can take its place; then it is waited for.
pub(super) fn substitute(state: &ClusterState, shard: &Shard) -> Option<Command> {
    let is_lost = |node: &NodeId| state.node(*node).is_none_or(|node| node.is_lost());
    let goes = |node: &NodeId| state.node(*node).is_none_or(|node| node.is_to_be_replaced());
    // What is lost first: the others hold on until their turn comes.
    let lost = shard.placement.nodes().find(is_lost).or_else(|| shard.placement.nodes().find(goes))?;
    let by = instead_of(state, lost, &shard.placement)?;
    Some(Command::Substitute { shard: shard.id, lost, by })
}

/// The node that suits best where `lost` was, and has no place yet.
pub(super) fn instead_of(state: &ClusterState, lost: NodeId, placed: &Placement) -> Option<NodeId> {
    let tags = state.node(lost).map(|node| &node.tags);
    let loads = loads(state, None);
    let candidates = state.nodes().filter(|node| node.is_open() && !placed.contains(node.id));
    let best = candidates
        .min_by_key(|node| (Some(&node.tags) != tags, loads.get(&node.id).copied().unwrap_or_default(), node.id));
    best.map(|node| node.id)
}

/// Nodes that were to leave and hold nothing any more.
pub(super) fn gone(state: &ClusterState) -> impl Iterator<Item = Command> + '_ {
    let leaving = state.nodes().filter(|node| node.service == Service::Leaving);
    leaving.filter(|node| !state.has_shards_on(node.id)).map(|node| Command::NodeGone { id: node.id })
}
