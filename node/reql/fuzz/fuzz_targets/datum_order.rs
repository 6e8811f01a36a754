//! The laws of datums: order, forms in memory, JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| photondb_reql_fuzz::datum_order::run(input));
