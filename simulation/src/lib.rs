//! A whole cluster in one thread, from one number: the product's own nodes on virtual time, simulated disks and a simulated
//! network, with clients and faults, checked at every step and at the end.
//!
//! A run ([`cluster::run::run`]) is a function of the commit and its plan ([`cluster::plan::ClusterPlan`]), which is a function
//! of a seed: two processes that run it give the same trace hash. `README.md` says how to run, repeat and write one.

pub mod buggify;
pub mod checker;
pub mod client;
pub mod cluster;
pub mod command;
pub mod disk;
pub mod ended;
pub mod hosts;
pub mod judge;
#[cfg(not(madsim))]
pub mod library_clock;
pub mod machine;
pub mod model;
pub mod mutant;
pub mod network;
pub mod observation;
#[cfg(not(madsim))]
pub mod on_madsim;
pub mod peers;
pub mod probe;
pub mod shrink;
pub mod sweep;
pub mod trace;
pub mod workload;

pub use checker::Violation;
pub use photondb_history::{ledger, random, term};
