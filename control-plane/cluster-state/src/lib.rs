//! What the cluster is: databases, tables, indexes, users, permissions, nodes; and every change to it.
//!
//! Pure and deterministic: no clock, no randomness, no I/O. UUIDs come in with the commands; what is counted (shards,
//! members, indexes) is counted here, so that no number is ever given twice. The same commands in the same order give the
//! same state and the same answers on every node.
//!
//! Readers hold an `Arc<ClusterState>` and look up by name or id in O(log n); a change makes a new state that shares what
//! it did not touch.

mod apply;
mod command;
mod error;
mod format;
mod joining;
pub mod limits;
mod membership;
mod names;
pub mod plan;
mod schema;
mod shard;
mod state;
mod users;

pub use apply::apply;
pub use command::{
    Change, Command, NewCut, NewShard, PermissionChange, Reshaped, Response, ShardRepair, TableSettings,
};
pub use error::{NameKind, StateError};
pub use format::FormatError;
pub use joining::{Attempt, Stage};
pub use membership::{Address, Incarnation, Liveness, Node, Service};
pub use photondb_proto::ClusterId;
pub use schema::{Compression, Database, Durability, Index, Table, WriteAcks};
pub use shard::{Cut, Founder, Generation, Member, Placement, Reached, Rescue, Role, Shard};
pub use state::{ClusterState, META_FOUNDER};
pub use users::{ADMIN, Credentials, Permission, Permissions, Scope, User};
