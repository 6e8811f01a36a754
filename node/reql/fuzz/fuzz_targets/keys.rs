//! The laws of encoded keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| photondb_reql_fuzz::keys::run(input));
