//! Runs the cluster state: one Raft group whose state machine it is, the way to change it, and the way to hear of
//! changes.
//!
//! Every node has a member of that group. A few vote, the others only watch. [`Controller::start`] founds a cluster, has the
//! node taken in by one, or goes on where it was; from then on any node may change the state, and the one that leads the
//! group hears who lives, plans, and proposes ([`photondb_cluster_state::plan`]). `control-plane/README.md` numbers what
//! holds.

mod beating;
mod burdens;
mod contacts;
mod controller;
mod error;
mod forward;
mod leading;
pub mod limits;
mod messages;
mod offline;
mod once;
mod parts;
mod replicated_state;
mod service;
mod starting;
mod vouching;
mod waiting;

pub use contacts::{Contacts, Discovery};
pub use controller::Controller;
pub use error::ControllerError;
pub use offline::{accept_loss, state_on_disk};
pub use parts::{Begin, Options, Parts, Registration};
pub use replicated_state::{CLUSTER_STATE_SET, ReplicatedState};
