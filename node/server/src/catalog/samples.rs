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
        run(&mut state, command);
    }
    state
}

/// What the state does not refuse.
pub(crate) fn run(state: &mut Arc<ClusterState>, command: Command) {
    *state = state.applied(&command).unwrap_or_else(|error| panic!("{command:?}: {error}")).0;
}

/// One shard of all keys, whose first replicas are on these nodes.
pub(crate) fn whole(nodes: &[u128]) -> Vec<NewShard> {
    let nodes = nodes.iter().copied().map(NodeId).collect();
    vec![NewShard::voting(photondb_proto::KeyRange::all(), nodes)]
}

/// Shards that begin at these keys, and one of the keys before, whose first replicas are on node 1.
pub(crate) fn cut_at(starts: &[&str]) -> Vec<NewShard> {
    let mut shards = whole(&[1]);
    for start in starts {
        let last = shards.pop().expect("there is one");
        let halves = last.range.cut(start.as_bytes()).expect("they ascend");
        shards.extend(halves.map(|range| NewShard::voting(range, vec![NodeId(1)])));
    }
    shards
}
