//! A read that fails is an error of that one operation: the same one tried again succeeds, a cursor goes on where it
//! was, and a transaction keeps what it has.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::sync::Arc;

use harness::{assert_clean, options};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, StorageError, TreeId, TreeSetId};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);
const ROWS: u32 = 3_000;

fn value(number: u32) -> Vec<u8> {
    vec![number as u8; if number.is_multiple_of(100) { 70_000 } else { 100 }]
}

/// A database with nothing of it in memory: the cache is too small to keep anything.
fn cold() -> (SimulatedDisk, Engine) {
    let disk = SimulatedDisk::new(1);
    let options = EngineOptions { cache_bytes: 0, ..options() };
    let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    let mut transaction = set.begin();
    transaction.create_tree(TREE).unwrap();
    for number in 0..ROWS {
        transaction.put(TREE, &number.to_be_bytes(), &value(number)).unwrap();
    }
    transaction.commit().unwrap();
    engine.checkpoint().unwrap();
    (disk, engine)
}

#[test]
fn of_a_point_read() {
    let (disk, engine) = cold();
    let set = engine.tree_set(SET).unwrap();
    for reads in 0..3 {
        disk.fail_read_after(reads);
        let failed = (0..3).filter(|_| matches!(set.get(TREE, &[0; 4]), Err(StorageError::Io { .. }))).count();
        assert_eq!(failed, 1);
        assert_eq!(set.get(TREE, &[0; 4]).unwrap().unwrap()[..], value(0)[..]);
    }
}

#[test]
fn of_a_cursor() {
    let (disk, engine) = cold();
    let set = engine.tree_set(SET).unwrap();
    for direction in [Direction::Forward, Direction::Backward] {
        let mut cursor = set.snapshot().cursor(TREE, KeyRange::all(), direction).unwrap();
        let (mut numbers, mut failures) = (Vec::new(), 0);
        loop {
            disk.fail_read_after(1);
            match cursor.next() {
                Ok(Some((key, found))) => {
                    let number = u32::from_be_bytes(key[..].try_into().unwrap());
                    assert_eq!(found[..], value(number)[..]);
                    numbers.push(number);
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(error, StorageError::Io { .. }), "{error}");
                    failures += 1;
                    disk.fail_read_after(100);
                    let (key, _) = cursor.next().unwrap().unwrap();
                    numbers.push(u32::from_be_bytes(key[..].try_into().unwrap()));
                }
            }
        }
        disk.fail_read_after(u64::MAX);
        if direction == Direction::Backward {
            numbers.reverse();
        }
        assert!(numbers.into_iter().eq(0..ROWS));
        assert!(failures > 3);
    }
}

#[test]
fn of_a_transaction() {
    let (disk, engine) = cold();
    let set = engine.tree_set(SET).unwrap();
    let mut transaction = set.begin();
    let mut failures = 0;
    for number in (0..ROWS).rev() {
        disk.fail_read_after(u64::from(number % 5));
        let removed = match transaction.delete(TREE, &number.to_be_bytes()) {
            Ok(removed) => removed,
            Err(error) => {
                assert!(matches!(error, StorageError::Io { .. }), "{error}");
                failures += 1;
                disk.fail_read_after(u64::MAX);
                // A failed operation has changed nothing.
                transaction.delete(TREE, &number.to_be_bytes()).unwrap()
            }
        };
        assert!(removed);
        disk.fail_read_after(u64::MAX);
        assert_eq!(transaction.count(TREE, &KeyRange::all()).unwrap(), u64::from(number));
    }
    assert!(failures > 10);
    transaction.commit().unwrap();
    for _ in 0..3 {
        engine.checkpoint().unwrap();
    }
    drop((set, engine));
    assert_clean(&Arc::new(disk));
}
