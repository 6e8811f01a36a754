//! What crosses a boundary between crates or nodes: identifiers and key ranges. The floor of the workspace: no crate of it is imported here.

pub mod ids;
pub mod key_range;

pub use ids::{DatabaseId, Epoch, GroupId, IndexId, MemberId, NodeId, SchemaVersion, ShardId, TableId};
pub use key_range::KeyRange;
