//! Every fuzz target holds: on the inputs of its corpus, on changes of them, and on inputs drawn from a seed. And each
//! notices a bug that is put in on purpose.
//!
//! `PHOTONDB_SEED` repeats a run; a failure also prints its input.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "tests of whole nodes grow queries of more reach")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

#[path = "fuzz/drawn.rs"]
mod drawn;
#[path = "fuzz/planted.rs"]
mod planted;

use drawn::hold;

#[test]
fn parser() {
    hold("parser", targets::parser::run);
}

#[test]
fn datum_order() {
    hold("datum_order", targets::datum_order::run);
}

#[test]
fn keys() {
    hold("keys", targets::keys::run);
}

#[test]
fn evaluator() {
    hold("evaluator", targets::evaluator::run);
}
