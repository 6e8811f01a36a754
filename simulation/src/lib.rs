//! One node in one thread, from one number: its storage, consensus, shard and replica as they are in the product, on
//! virtual time and a simulated disk, with clients, with crashes and restarts, checked.
//!
//! A run is a function of the commit and its [`Plan`], which is a function of a seed: [`run`] twice gives the same trace
//! hash. `README.md` says how to run, repeat and write one.

pub mod buggify;
pub mod checker;
pub mod client;
mod clock;
pub mod cluster;
pub mod command;
pub mod disk;
mod document;
pub mod ended;
pub mod faults;
pub mod history;
pub mod ledger;
pub mod machine;
pub mod model;
pub mod network;
mod node;
pub mod observation;
pub mod peers;
pub mod plan;
pub mod probe;
pub mod random;
pub mod scenario;
pub mod shrink;
mod site;
pub mod sweep;
pub mod term;
mod trace;
pub mod workload;
mod world;

pub use checker::Violation;
pub use plan::Plan;
pub use workload::Workload;
pub use world::{Report, run};

impl Report {
    /// The command that repeats the run and prints its events.
    pub fn repeat_command(&self) -> String {
        let Plan { seed, workload, duration, .. } = &self.plan;
        let seconds = duration.as_secs();
        format!("cargo run -p photondb-simulation -- node {seed} --scenario {workload} --seconds {seconds}")
    }
}
