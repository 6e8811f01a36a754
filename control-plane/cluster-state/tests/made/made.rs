//! Commands that make what tests of the cluster state begin with.

use std::collections::BTreeSet;

use photondb_cluster_state::{ClusterState, Command, Compression, Durability, Incarnation, NewShard, WriteAcks};
use photondb_proto::{NodeId, TableId};

/// A node that has opened its directory for the first time.
pub fn register(id: NodeId, tags: BTreeSet<String>) -> Command {
    let (name, incarnation) = (format!("n{}", id.0), Incarnation(1));
    Command::RegisterNode { id, name, tags, addresses: vec![], boots: 1, incarnation }
}

/// A table `t` of these shards in the database that there is from the beginning.
pub fn create_table(state: &ClusterState, id: TableId, shards: Vec<NewShard>) -> Command {
    Command::CreateTable {
        id,
        database: state.database_named("test").expect("is there from the beginning").id,
        name: "t".into(),
        primary_key: "id".into(),
        durability: Durability::Hard,
        write_acks: WriteAcks::Majority,
        shards,
        compression: Compression::Lz4,
    }
}
