//! Shards that have grown too much and are not cut in two, because there are as many as there may be.

use photondb_cluster_state::limits::SHARDS_PER_TABLE_MAX;
use photondb_cluster_state::{ClusterState, Shard as StoredShard, Table};
use photondb_proto::NodeId;

use crate::limits::GROUPS_PER_NODE_MAX;

/// What has as many shards as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The table.
    Table,
    /// A node that has a replica of the shard: it would have one of each half.
    Node(NodeId),
}

/// What keeps the shard from being cut in two.
pub(super) fn full(state: &ClusterState, table: &Table, shard: &StoredShard) -> Option<Full> {
    let parts = table.shards.iter().map(|shard| 1 + shard.cuts.len()).sum::<usize>();
    if parts >= SHARDS_PER_TABLE_MAX {
        return Some(Full::Table);
    }
    let groups = |node: NodeId| {
        let all = state.tables().flat_map(|table| &table.shards);
        all.filter(|shard| shard.placement.contains(node)).map(|shard| 1 + shard.cuts.len()).sum::<usize>()
    };
    shard.placement.nodes().find(|node| groups(*node) >= GROUPS_PER_NODE_MAX).map(Full::Node)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use photondb_cluster_state::{Command, Compression, Durability, NewShard, WriteAcks, apply};
    use photondb_proto::{KeyRange, TableId};

    use super::*;

    const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];

    fn state() -> ClusterState {
        let mut state = ClusterState::at_birth();
        for id in NODES {
            let (name, tags) = (format!("n{}", id.0), BTreeSet::new());
            let (addresses, incarnation) = (Vec::new(), Default::default());
            let register = Command::RegisterNode { id, name, tags, addresses, boots: 1, incarnation };
            apply(&mut state, &register).expect("the node is new");
        }
        state
    }

    /// Makes a table in so many shards, each on these nodes.
    fn create(state: &mut ClusterState, id: u128, shards: usize, nodes: &[NodeId]) {
        let start = |number: usize| if number == 0 { Vec::new() } else { vec![number as u8] };
        let range = |number| KeyRange::new(start(number), (number + 1 < shards).then(|| start(number + 1)));
        let new = |number| NewShard::voting(range(number).expect("has keys"), nodes.to_vec());
        let create = Command::CreateTable {
            id: TableId(id),
            database: state.database_named("test").expect("is there at birth").id,
            name: format!("t{id}"),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: (0..shards).map(new).collect(),
            compression: Compression::Lz4,
        };
        apply(state, &create).expect("the name is free");
    }

    fn found(state: &ClusterState, id: u128) -> Option<Full> {
        let table = state.table(TableId(id)).expect("is there");
        full(state, table, &table.shards[0])
    }

    #[test]
    fn a_table_has_no_more_shards_than_one_may_have() {
        let mut state = state();
        // On two nodes, so that neither has too many.
        create(&mut state, 1, SHARDS_PER_TABLE_MAX - 1, &NODES[..1]);
        create(&mut state, 2, 1, &NODES[1..]);
        assert_eq!((found(&state, 1), found(&state, 2)), (None, None));
        create(&mut state, 3, SHARDS_PER_TABLE_MAX, &NODES[1..]);
        assert_eq!(found(&state, 3), Some(Full::Table));
    }

    #[test]
    fn a_node_has_no_more_shards_than_are_good_for_it() {
        let mut state = state();
        create(&mut state, 1, GROUPS_PER_NODE_MAX - 2, &NODES[..1]);
        create(&mut state, 2, 1, &NODES);
        assert_eq!(found(&state, 2), None);
        create(&mut state, 3, 1, &NODES[..1]);
        assert_eq!(found(&state, 2), Some(Full::Node(NODES[0])));
        assert_eq!(found(&state, 1), Some(Full::Node(NODES[0])));
        create(&mut state, 4, 1, &NODES[1..]);
        assert_eq!(found(&state, 4), None);
    }
}
