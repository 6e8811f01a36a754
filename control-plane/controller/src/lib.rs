//! Runs the cluster state: one Raft group whose state machine it is, the way to change it, and the way to hear of
//! changes.
//!
//! Today a node is a cluster of one: [`Controller::open`] founds it, and registers the node at each start. The loop that
//! plans moves and repairs comes with the second node.

mod controller;
mod error;
pub mod limits;
mod offline;
mod replicated_state;

pub use controller::{Controller, Registration};
pub use error::ControllerError;
pub use offline::{accept_loss, state_on_disk};
pub use replicated_state::{CLUSTER_STATE_SET, ReplicatedState};
