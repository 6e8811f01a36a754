//! A directory that lost every file of its log is not opened as if it had a new one, and the check says so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::sync::Arc;

use harness::options;
use photondb_storage::disk::Disk;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Engine, StorageError, verify};

fn without_log(disk: &SimulatedDisk) {
    for name in disk.names().into_iter().filter(|name| name.starts_with("wal-")) {
        disk.remove(&name).unwrap();
    }
    disk.sync_directory().unwrap();
}

#[test]
fn after_any_opening() {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
    engine.close().unwrap();
    without_log(&disk);
    let report = verify::check(Arc::new(disk.clone()), &mut |_| {}).unwrap();
    assert!(matches!(report.problems[0].problem, StorageError::NoLog { boot: 1 }), "{:?}", report.problems);
    for _ in 0..2 {
        let refused = Engine::open(Arc::new(disk.clone()), options());
        assert!(matches!(refused, Err(StorageError::NoLog { boot: 1 })), "{refused:?}");
    }
}

/// The power goes at each operation of the first opening: what is there afterwards opens.
#[test]
fn not_when_the_first_opening_was_cut_short() {
    for operations in 0.. {
        let disk = SimulatedDisk::new(operations);
        disk.crash_at(operations);
        let opened = Engine::open(Arc::new(disk.clone()), options());
        let survived = opened.is_ok();
        drop(opened);
        disk.restart();
        Engine::open(Arc::new(disk.clone()), options()).unwrap().close().unwrap();
        if survived {
            break;
        }
    }
}
