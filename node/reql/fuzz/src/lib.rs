//! What each fuzz target does with its input. Ordinary functions, which panic when something is wrong, so that the tests
//! run them as well (`node/reql/tests/fuzz_targets_hold.rs`): the corpus, and inputs drawn from a seed.
//!
//! What a target examines it is given as a `Subject`; a test gives it one with a deliberate bug and sees it noticed.

pub mod datum_order;
pub mod datums;
pub mod evaluator;
#[allow(dead_code, reason = "each folder of targets uses a part of it")]
#[path = "../../../../tests/fuzz/input.rs"]
pub mod input;
pub mod keys;
pub mod parser;
pub mod queries;
