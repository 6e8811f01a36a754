//! A shard, its Raft group and the cluster state made one: what the rest of a node sees as tables.
//!
//! - [`ReplicatedShard`] makes a [`photondb_shard::Shard`] the state machine of its group.
//! - [`Proposer`] evaluates writes in order against applied state and its own writes in flight, and proposes effects.
//! - [`ShardTable`] is `query::Table` over the shards of a table.
//! - [`Replicas`] obeys the cluster state: it starts, changes and drops what this node is told to hold.

pub mod error;
pub mod feed;
pub mod keys;
pub mod limits;
mod pressure;
pub mod proposer;
pub mod reconcile;
pub mod replica;
pub mod replicated_shard;
pub mod scan;
pub mod status;
pub mod table;

pub use error::ReplicaError;
pub use proposer::Proposer;
pub use reconcile::Replicas;
pub use replica::{Replica, TableReplicas};
pub use replicated_shard::ReplicatedShard;
pub use table::ShardTable;
