//! A cluster state for tests.

use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Command, Compression, Durability, Incarnation, NewShard, WriteAcks};
use photondb_proto::{NodeId, TableId};

/// The table of [`cluster`].
pub(crate) const TABLE: TableId = TableId(9);

/// The nodes 1, `ann`, and 2, `bob`, with the table `test.t`.
pub(crate) fn cluster(shards: Vec<NewShard>) -> Arc<ClusterState> {
    let mut state = Arc::new(ClusterState::at_birth());
    let register = |id: u128, name: &str| Command::RegisterNode {
        id: NodeId(id),
        name: name.to_owned(),
        tags: Default::default(),
        addresses: Vec::new(),
        boots: 1,
        incarnation: Incarnation(1),
    };
    let create = Command::CreateTable {
        id: TABLE,
        database: state.database_named("test").expect("is there from the beginning").id,
        name: "t".into(),
        primary_key: "id".into(),
        durability: Durability::Hard,
        write_acks: WriteAcks::Majority,
        shards,
        compression: Compression::Lz4,
    };
    for command in [register(1, "ann"), register(2, "bob"), create] {
        state = state.applied(&command).unwrap_or_else(|error| panic!("{command:?}: {error}")).0;
    }
    state
}

/// One shard of all keys, whose first replicas are on these nodes.
pub(crate) fn whole(nodes: &[u128]) -> Vec<NewShard> {
    let nodes = nodes.iter().copied().map(NodeId).collect();
    vec![NewShard::voting(photondb_proto::KeyRange::all(), nodes)]
}
