//! Storage under faults, from one seed: an engine and its log used as the node uses them, on a disk that fails, lies and
//! loses power, compared with a model after every recovery. `fault-run` runs seeds and repeats one.
//!
//! What must hold: what was acknowledged is there, or the damage is reported; never a wrong answer; never a directory that
//! does not open again once nothing fails; never a panic.

pub mod effect;
pub mod ending;
pub mod events;
pub mod group;
pub mod history;
pub mod life;
pub mod plan;
pub mod random;
pub mod run;
pub mod trees;
pub mod zones;

pub use plan::Plan;
pub use run::{Report, run};
