//! Any bytes as a message of a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| photondb_reql_fuzz::parser::run(input));
