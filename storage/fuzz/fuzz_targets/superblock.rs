//! Any bytes as superblocks.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| photondb_storage_fuzz::superblock::run(input));
