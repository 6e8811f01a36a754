//! Every input that the fuzzer kept, in `storage/fuzz/corpus`, goes through the function it was made for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // A failure names its input.
        println!("{}", file.display());
        run(&std::fs::read(&file).unwrap());
    }
}

#[test]
fn wal_reader() {
    replay("wal_reader", targets::wal_reader::run);
}

#[test]
fn page_parser() {
    replay("page_parser", targets::page_parser::run);
}

#[test]
fn superblock() {
    replay("superblock", targets::superblock::run);
}

#[test]
fn operations() {
    replay("operations", targets::operations::run);
}
