//! Any bytes as a segment of the log.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| photondb_storage_fuzz::wal_reader::run(input));
