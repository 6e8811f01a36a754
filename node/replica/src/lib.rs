//! A shard, its Raft group and the cluster state made one: what the rest of a node sees as tables.
//!
//! - [`ReplicatedShard`] makes a [`photondb_shard::Shard`] the state machine of its group.
//! - [`Proposer`] evaluates writes in order against applied state and its own writes in flight, and proposes effects.
//! - [`ShardTable`] is `query::Table` over the shards of a table, here or at other nodes.
//! - [`Router`] knows the way to shards that this node does not lead; [`ShardService`] answers the routers of others.
//! - [`Replicas`] obeys the cluster state: it starts, changes and drops what this node is told to hold.

mod burden;
pub mod error;
pub mod feed;
mod forward;
pub mod keys;
pub mod limits;
mod message;
mod pressure;
pub mod proposer;
pub mod reconcile;
pub mod replica;
pub mod replicated_shard;
pub mod router;
pub mod routes;
pub mod scan;
pub mod serve;
pub mod status;
pub mod table;
mod writer;

pub use error::ReplicaError;
pub use proposer::Proposer;
pub use reconcile::{Full, Replicas, SplitPolicy};
pub use replica::{Replica, TableReplicas};
pub use replicated_shard::ReplicatedShard;
pub use router::{Router, RouterParts};
pub use routes::TableRoutes;
pub use serve::{ServiceParts, ShardService};
pub use table::ShardTable;
pub use table::indexes::IndexHere;
