//! A full disk fails the checkpoint and nothing else: reads and commits go on, what was durable stays, and the
//! checkpoint succeeds once there is room. A failed write behaves the same; a failed sync is fatal.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{assert_clean, plain_options};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::Purpose;
use photondb_storage::{Engine, EngineOptions, TreeId, TreeSet, TreeSetId};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);

fn fill(set: &TreeSet, rows: std::ops::Range<u32>) {
    let mut transaction = set.begin();
    if !transaction.has_tree(TREE) {
        transaction.create_tree(TREE).unwrap();
    }
    for number in rows {
        transaction.put(TREE, &number.to_be_bytes(), &[number as u8; 1000]).unwrap();
    }
    transaction.commit().unwrap();
}

fn check_rows(set: &TreeSet, rows: std::ops::Range<u32>) {
    for number in rows {
        assert_eq!(set.get(TREE, &number.to_be_bytes()).unwrap().unwrap()[..], [number as u8; 1000]);
    }
}

#[test]
fn is_refused_and_recovered_from() {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), plain_options()).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    fill(&set, 0..1000);
    engine.checkpoint().unwrap();
    // Room for some of what comes, so that the checkpoint fails in the middle.
    disk.set_capacity(disk.used_bytes() + (3 << 20));
    fill(&set, 1000..12_000);
    for _ in 0..3 {
        let error = engine.checkpoint().unwrap_err();
        assert!(error.is_full() && !error.is_fatal(), "{error}");
        check_rows(&set, 0..12_000);
    }
    // A crash now leaves the checkpoint before.
    let crashed = disk.fork(3);
    crashed.restart();
    let survivor = Engine::open(Arc::new(crashed.clone()), plain_options()).unwrap();
    check_rows(&survivor.tree_set(SET).unwrap(), 0..1000);
    assert!(survivor.tree_set(SET).unwrap().get(TREE, &1000u32.to_be_bytes()).unwrap().is_none());
    drop(survivor);
    assert_clean(&Arc::new(crashed));
    // With room again everything is written.
    fill(&set, 12_000..12_100);
    disk.set_capacity(u64::MAX);
    engine.checkpoint().unwrap();
    drop((set, engine));
    assert_clean(&Arc::new(disk.clone()));
    let engine = Engine::open(Arc::new(disk), plain_options()).unwrap();
    check_rows(&engine.tree_set(SET).unwrap(), 0..12_100);
}

#[test]
fn a_failed_write_is_tried_again() {
    for failing in 0..12 {
        let disk = SimulatedDisk::new(1);
        let engine = Engine::open(Arc::new(disk.clone()), plain_options()).unwrap();
        let set = engine.create_tree_set(SET).unwrap();
        fill(&set, 0..300);
        engine.checkpoint().unwrap();
        fill(&set, 200..600);
        while engine.wal().step().unwrap() {}
        disk.fail_write_after(failing);
        if let Err(error) = engine.checkpoint() {
            assert!(!error.is_fatal(), "{error}");
        }
        disk.fail_write_after(u64::MAX);
        fill(&set, 500..700);
        engine.drop_tree_set(SET).unwrap();
        let other = engine.create_tree_set(TreeSetId(2)).unwrap();
        fill(&other, 0..100);
        engine.checkpoint().unwrap();
        check_rows(&other, 0..100);
        check_rows(&set, 0..700);
        drop((set, other, engine));
        assert_clean(&Arc::new(disk));
    }
}

/// Nodes that were written before the checkpoint keep their slots when it fails, at whatever write it does.
#[test]
fn a_checkpoint_that_fails_keeps_what_was_evicted() {
    let mut failed = 0;
    for failing in 0..10 {
        let disk = SimulatedDisk::new(1);
        let options = EngineOptions { cache_bytes: 200 << 10, ..plain_options() };
        let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
        let set = engine.create_tree_set(SET).unwrap();
        fill(&set, 0..300);
        engine.checkpoint().unwrap();
        let before = set.snapshot();
        fill(&set, 200..600);
        while engine.evict_step(50_000).unwrap() {}
        assert!(engine.metrics().pages_evicted > 0);
        fill(&set, 400..500);
        while engine.wal().step().unwrap() {}
        disk.fail_write_after(failing);
        failed += u32::from(engine.checkpoint().is_err());
        disk.fail_write_after(u64::MAX);
        check_rows(&set, 0..600);
        fill(&set, 550..700);
        while engine.evict_step(50_000).unwrap() {}
        let after = set.snapshot();
        fill(&set, 0..100);
        engine.checkpoint().unwrap();
        for snapshot in [before, after] {
            assert_eq!(snapshot.get(TREE, &50u32.to_be_bytes()).unwrap().unwrap()[..], [50; 1000]);
        }
        check_rows(&set, 0..700);
        engine.checkpoint().unwrap();
        drop((set, engine));
        assert_clean(&Arc::new(disk));
    }
    assert!(failed > 2, "{failed} of the checkpoints met the failure");
}

#[test]
fn who_waits_for_memory_is_told() {
    let disk = SimulatedDisk::new(1);
    let options = EngineOptions { cache_bytes: 2 << 20, ..plain_options() };
    let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    fill(&set, 0..100);
    engine.wait_for_memory().unwrap();
    disk.set_capacity(disk.used_bytes());
    fill(&set, 100..3_000);
    let called = Arc::new(AtomicBool::new(false));
    let on_free = Arc::clone(&called);
    engine.when_memory_is_free(Box::new(move || on_free.store(true, Ordering::Relaxed)));
    assert!(engine.is_memory_short() && !called.load(Ordering::Relaxed));
    assert!(engine.wait_for_memory().unwrap_err().is_full());
    assert!(called.load(Ordering::Relaxed), "nobody waits for memory that does not come");
    assert!(engine.wait_for_memory().unwrap_err().is_full());
    assert!(engine.admit(100, Purpose::Write).unwrap_err().is_full());
    check_rows(&set, 0..3_000);
    disk.set_capacity(u64::MAX);
    while engine.evict_step(1 << 20).unwrap() {}
    engine.wait_for_memory().unwrap();
    engine.admit(100, Purpose::Write).unwrap();
    assert!(engine.metrics().dirty_bytes <= 1 << 20);
    check_rows(&set, 0..3_000);
}

/// Whoever installs a snapshot makes a checkpoint too. What it fails of refuses writes, and is over when there is space again.
#[test]
fn a_checkpoint_that_failed_is_due_whoever_made_it() {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), plain_options()).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    fill(&set, 0..100);
    engine.checkpoint().unwrap();
    assert!(!engine.should_checkpoint());
    fill(&set, 100..3_000);
    disk.set_capacity(disk.used_bytes());
    assert!(engine.checkpoint().unwrap_err().is_full());
    assert!(engine.admit(100, Purpose::Write).unwrap_err().is_full());
    assert!(engine.should_checkpoint());
    disk.set_capacity(u64::MAX);
    assert!(engine.should_checkpoint());
    engine.checkpoint().unwrap();
    assert!(!engine.should_checkpoint());
    engine.admit(100, Purpose::Write).unwrap();
}

#[test]
fn a_failed_sync_is_fatal() {
    for failing in 0..2 {
        let disk = SimulatedDisk::new(1);
        let engine = Engine::open(Arc::new(disk.clone()), plain_options()).unwrap();
        let set = engine.create_tree_set(SET).unwrap();
        fill(&set, 0..300);
        while engine.wal().step().unwrap() {}
        disk.fail_sync_after(failing);
        assert!(engine.checkpoint().unwrap_err().is_fatal());
        assert!(engine.checkpoint().unwrap_err().is_fatal());
    }
}
