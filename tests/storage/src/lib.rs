//! Storage under faults, from one seed: an engine and its log used as the node uses them, on a disk that fails, lies and
//! loses power, compared with a model after every recovery. `fault-run` runs seeds and repeats one.
//!
//! What must hold: what was acknowledged is there, or the damage is reported; never a wrong answer; never a directory that
//! does not open again once nothing fails; never a panic.
//!
//! Two kinds of runs. On an *honest* disk power is lost, calls fail, writes are cut short and space runs out, at any call,
//! recovery's included; nothing acknowledged may then be missing, and nothing may be called damaged. On a *lying* disk
//! writes get lost or go elsewhere, reads give what stood there before, and bits flip in every kind of bytes (`zones`);
//! whatever that spoils must be reported, or make no difference.
//!
//! `campaign` runs many seeds. `scenario` keeps those that failed. Deliberate bugs (`photondb_storage::fault`) show that
//! the runs look: `fault-run --mutant list` names them, `fault-run --mutant skip-one-sync --seed 1 --runs 1000` notices one.

pub mod campaign;
pub mod effect;
pub mod ending;
pub mod events;
pub mod group;
pub mod history;
pub mod life;
pub mod plan;
pub mod random;
pub mod run;
pub mod scenario;
pub mod sums;
pub mod trees;
pub mod zones;

pub use plan::Plan;
pub use run::{Report, run};
