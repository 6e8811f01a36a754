//! Other places for what is on nodes that are lost, or that are to leave.

use photondb_proto::NodeId;

use super::loads::Loads;
use super::place::crowd;
use crate::command::Command;
use crate::membership::Service;
use crate::shard::{Placement, Shard};
use crate::state::ClusterState;

/// Another node for one that is lost or to leave. `None`: nothing is to be replaced, or nobody can take its place; then it is waited for.
pub(super) fn substitute(state: &ClusterState, shard: &Shard, loads: &Loads) -> Option<Command> {
    let is_lost = |node: &NodeId| state.node(*node).is_none_or(|node| node.is_lost());
    let goes = |node: &NodeId| state.node(*node).is_none_or(|node| node.is_to_be_replaced());
    // What is lost first: the others hold on until their turn comes.
    let lost = shard.placement.nodes().find(is_lost).or_else(|| shard.placement.nodes().find(goes))?;
    let by = instead_of(state, lost, &shard.placement, loads)?;
    Some(Command::Substitute { shard: shard.id, lost, by })
}

/// The node that suits best where `lost` was, and has no place yet: one with the same tags if there is such, of those one in a zone that has
/// fewest of the others, and of those the one with least to bear.
pub(super) fn instead_of(state: &ClusterState, lost: NodeId, placed: &Placement, loads: &Loads) -> Option<NodeId> {
    let tags = state.node(lost).map(|node| node.tags_beside_zone().collect::<Vec<_>>());
    let others = || placed.nodes().filter(|node| *node != lost);
    let candidates = state.nodes().filter(|node| node.is_open() && !placed.contains(node.id));
    let best = candidates.min_by_key(|node| {
        let has_other_tags = tags.as_ref().is_none_or(|tags| !node.tags_beside_zone().eq(tags.iter().copied()));
        (has_other_tags, crowd(state, others(), node), loads.score(node.id), node.id)
    });
    best.map(|node| node.id)
}

/// Nodes that were to leave and hold nothing any more.
pub(super) fn gone(state: &ClusterState) -> impl Iterator<Item = Command> + '_ {
    let leaving = state.nodes().filter(|node| node.service == Service::Leaving);
    leaving.filter(|node| !state.has_shards_on(node.id)).map(|node| Command::NodeGone { id: node.id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Incarnation, Liveness};
    use crate::plan::Burdens;
    use crate::schema::{Compression, Durability, WriteAcks};
    use crate::{NewShard, apply};
    use photondb_proto::{KeyRange, TableId};

    /// Nodes with these tags, and a table with one shard on some of them.
    fn cluster(tags: &[&[&str]], nodes: &[u128]) -> ClusterState {
        let mut state = ClusterState::at_birth();
        for (number, tags) in tags.iter().enumerate() {
            let register = Command::RegisterNode {
                id: NodeId(number as u128 + 1),
                name: format!("n{number}"),
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
                addresses: vec![],
                boots: 1,
                incarnation: Incarnation(1),
            };
            apply(&mut state, &register).unwrap();
        }
        let create = Command::CreateTable {
            id: TableId(1),
            database: state.database_named("test").unwrap().id,
            name: "t".into(),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: vec![NewShard::voting(KeyRange::all(), nodes.iter().copied().map(NodeId).collect())],
            compression: Compression::None,
        };
        apply(&mut state, &create).unwrap();
        state
    }

    fn who_replaces(state: &mut ClusterState, lost: u128) -> Option<NodeId> {
        apply(state, &Command::SetLiveness { id: NodeId(lost), boots: 1, liveness: Liveness::Lost }).unwrap();
        let table = state.tables().next().unwrap();
        match substitute(state, &table.shards[0], &Loads::of(state, &Burdens::new(), None))? {
            Command::Substitute { lost: of, by, .. } if of == NodeId(lost) => Some(by),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_is_in_a_zone_of_its_own_takes_the_place_of_a_lost_node() {
        let tags: &[&[&str]] = &[&["zone-a"], &["zone-b"], &["zone-c"], &["zone-a"], &["zone-b"], &["zone-c"]];
        for (lost, by) in [(1, 4), (2, 5), (3, 6)] {
            assert_eq!(who_replaces(&mut cluster(tags, &[1, 2, 3]), lost), Some(NodeId(by)));
        }
        // Nobody else is in its zone: any other will do.
        assert_eq!(who_replaces(&mut cluster(&tags[..4], &[1, 2, 3]), 2), Some(NodeId(4)));
    }

    #[test]
    fn a_tag_counts_more_than_the_zone() {
        let tags: &[&[&str]] = &[&["fast", "zone-a"], &["fast", "zone-b"], &["slow", "zone-c"], &["fast", "zone-b"]];
        assert_eq!(who_replaces(&mut cluster(tags, &[1, 2]), 1), Some(NodeId(4)));
    }
}
