//! Queries, each evaluated in several ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| photondb_reql_fuzz::evaluator::run(input));
