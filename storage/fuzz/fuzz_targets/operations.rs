//! A string of operations against `BTreeMap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| photondb_storage_fuzz::operations::run(input));
