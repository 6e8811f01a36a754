//! A tree set that was dropped leaves its number to another, at once and as often as one likes, and nothing of either
//! is taken for the other.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::{assert_clean, options};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Compression, Engine, StorageError, TreeId, TreeSet, TreeSetId, TreeSetOptions};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);

fn put(set: &TreeSet, value: &[u8]) {
    let mut transaction = set.begin();
    if !transaction.has_tree(TREE) {
        transaction.create_tree(TREE).unwrap();
    }
    for key in 0..500u16 {
        transaction.put(TREE, &key.to_be_bytes(), value).unwrap();
    }
    transaction.commit().unwrap();
}

fn assert_holds(engine: &Engine, value: &[u8]) {
    let set = engine.tree_set(SET).unwrap();
    assert_eq!(set.get(TREE, &7u16.to_be_bytes()).unwrap().unwrap(), value);
}

#[test]
fn several_times_between_two_checkpoints() {
    let disk = Arc::new(SimulatedDisk::new(1));
    let engine = Engine::open(disk.clone(), options()).unwrap();
    put(&engine.create_tree_set(SET).unwrap(), b"first");
    engine.checkpoint().unwrap();
    engine.drop_tree_set(SET).unwrap();
    for _ in 0..2 {
        put(&engine.create_tree_set(SET).unwrap(), b"between");
        engine.drop_tree_set(SET).unwrap();
    }
    engine.checkpoint().unwrap();
    assert_clean_copy(&disk);
    assert!(engine.tree_sets().is_empty());
    put(&engine.create_tree_set(SET).unwrap(), b"last");
    engine.close().unwrap();
    assert_clean(&disk);
    assert_holds(&Engine::open(disk.clone(), options()).unwrap(), b"last");
}

/// What is damaged is given up, and keeps nothing else from becoming durable.
#[test]
fn though_its_pages_are_damaged() {
    let disk = Arc::new(SimulatedDisk::new(1));
    for documents in [1, 500u16] {
        let engine = Engine::open(disk.clone(), options()).unwrap();
        let plain = TreeSetOptions { compression: Compression::None };
        let mut transaction = engine.create_tree_set_with(SET, plain).unwrap().begin();
        transaction.create_tree(TREE).unwrap();
        for key in 0..documents {
            transaction.put(TREE, &key.to_be_bytes(), &[7; 100]).unwrap();
        }
        transaction.commit().unwrap();
        engine.close().unwrap();
        let engine = Engine::open(disk.clone(), options()).unwrap();
        // Every node of the tree but none of the catalogue: a key of it stands there.
        let bytes = disk.bytes_of("pages").unwrap();
        let pages = (0..bytes.len() - 40).step_by(512).filter(|at| bytes[*at..].starts_with(b"PhPg"));
        let of_tree =
            pages.filter(|at| bytes[*at..bytes.len().min(at + 512)].windows(8).any(|window| window == [7; 8]));
        let of_tree: Vec<usize> = of_tree.collect();
        assert!(!of_tree.is_empty());
        of_tree.iter().for_each(|at| assert!(disk.flip_bit("pages", *at as u64 + 44)));
        engine.drop_tree_set(SET).unwrap();
        engine.checkpoint().unwrap();
        put(&engine.create_tree_set(SET).unwrap(), b"next");
        engine.close().unwrap();
        let engine = Engine::open(disk.clone(), options()).unwrap();
        assert_holds(&engine, b"next");
        engine.drop_tree_set(SET).unwrap();
        engine.close().unwrap();
    }
}

fn assert_clean_copy(disk: &SimulatedDisk) {
    let copy = disk.fork(1);
    copy.kill();
    assert_clean(&Arc::new(copy));
}

/// Dropping waits for an open transaction. A successor that was stored meanwhile would be taken for what was dropped.
#[test]
fn not_before_it_is_dropped() {
    let disk = Arc::new(SimulatedDisk::new(1));
    let engine = Engine::open(disk.clone(), options()).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    put(&set, b"first");
    engine.checkpoint().unwrap();
    let open = set.begin();
    let dropped = Arc::new(AtomicBool::new(false));
    let dropper = {
        let (engine, dropped) = (engine.clone(), Arc::clone(&dropped));
        std::thread::spawn(move || {
            engine.drop_tree_set(SET).unwrap();
            dropped.store(true, Ordering::SeqCst);
        })
    };
    // However far the other thread has come: it cannot be through.
    for _ in 0..50 {
        assert!(matches!(engine.create_tree_set(SET), Err(StorageError::TreeSetExists(SET))));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!dropped.load(Ordering::SeqCst));
    open.commit().unwrap();
    dropper.join().unwrap();
    put(&engine.create_tree_set(SET).unwrap(), b"second");
    engine.checkpoint().unwrap();
    put(&set, b"of a dropped set");
    engine.checkpoint().unwrap();
    assert_holds(&engine, b"second");
    drop(set);
    engine.close().unwrap();
    assert_clean(&disk);
    assert_holds(&Engine::open(disk.clone(), options()).unwrap(), b"second");
}
