//! Reads arbitrary bytes as a segment of the log. `cargo +nightly fuzz run wal_reader`, from `storage/`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = photondb_storage::wal::examine(bytes);
});
