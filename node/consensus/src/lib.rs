//! openraft made ours: the groups of a node, each a log in the node's WAL and a state machine that its owner brings.
//!
//! This crate promises that an outcome given to a proposer is that of a command which a quorum has on disk, applied
//! once, at one position, on every member alike. It is the only crate that names openraft; `README.md` says which of our
//! names stands for which of the paper's, and numbers the invariants (C1..) that the code cites.

mod birth;
mod error;
mod fatal;
mod format;
mod group;
mod groups;
mod inherit;
mod leadership;
mod lease;
pub mod limits;
mod log_store;
mod loss;
mod members;
mod network;
mod observation;
mod options;
mod position;
mod replicated;
mod runtime;
mod service;
mod state_machine;
mod supervise;
mod types;
mod wire;

pub use birth::Birth;
pub use error::{ApplyError, ConsensusError, ProposeError};
pub use fatal::OnFatal;
pub use format::FormatError;
pub use group::{Group, Successor};
pub use groups::{Groups, GroupsParts};
pub use loss::{AcceptedLoss, accept_loss, entries_not_applied, members_on_disk};
pub use members::Members;
pub use network::Transfer;
pub use observation::{GroupState, Role};
pub use options::Options;
pub use position::{LogPosition, Term};
pub use replicated::{Applied, CommittedEntry, PartRead, Replicated, Snapshot, SnapshotChunks};
