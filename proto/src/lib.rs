//! What crosses a boundary between crates or nodes: identifiers, key ranges, messages and the stubs of gRPC services. The
//! floor of the workspace: no crate of it is imported here. Nothing here connects or listens.

pub mod convert;
pub mod ids;
pub mod key_range;
mod words;

pub use ids::{ClusterId, DatabaseId, Epoch, GroupId, IndexId, MemberId, NodeId, SchemaVersion, ShardId, TableId};
pub use key_range::KeyRange;

/// The messages and services of `photondb/v1/*.proto`.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("photondb.v1");

    /// What nodes tell each other of themselves.
    pub mod report {
        tonic::include_proto!("photondb.v1.report");
    }

    /// What nodes ask of each other's shards.
    pub mod shard {
        tonic::include_proto!("photondb.v1.shard");
    }
}
