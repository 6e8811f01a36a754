//! Any bytes as a page, and any page in a directory.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| photondb_storage_fuzz::page_parser::run(input));
