//! What each fuzz target does with its input. Ordinary functions, which panic when something is wrong, so that the
//! corpus is replayed by an ordinary test as well (`storage/tests/fuzz_corpus_is_replayed.rs`).
//!
//! The first byte of an input chooses how the rest is used: as it is, or behind checksums made right, because random
//! bytes do not meet a checksum and everything behind it would never be reached.

pub mod directory;
#[allow(dead_code, reason = "each folder of targets uses a part of it")]
#[path = "../../../tests/fuzz/input.rs"]
pub mod input;
pub mod operations;
pub mod page_parser;
pub mod superblock;
pub mod wal_reader;
