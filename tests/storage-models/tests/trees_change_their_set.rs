//! A tree moves between two sets while it is written, read, made durable, and while either set is dropped, in every order
//! the checker can think of. A snapshot never changes, nobody waits for ever, each superblock has the tree in one set, and
//! in the end everything that left the trees is free again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/schedules.rs"]
mod harness;

use std::ops::ControlFlow;
use std::sync::Arc;

use harness::{holds, random};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::WalOptions;
use photondb_storage::{
    Direction, Engine, EngineOptions, KeyRange, Moved, MovedMetas, Snapshot, StorageError, TreeId, TreeSet, TreeSetId,
    verify,
};
use shuttle::thread;

const TREE: TreeId = TreeId(0);
const LEFT: TreeSetId = TreeSetId(1);
const RIGHT: TreeSetId = TreeSetId(2);
/// Enough keys for two levels.
const KEYS: u64 = 30;
const COMMITS: u64 = 3;

fn options() -> EngineOptions {
    EngineOptions {
        wal: WalOptions { segment_bytes: 64 << 10, first_segment_bytes: 64 << 10, ..WalOptions::default() },
        // What is cached would hide a slot that was given away too early.
        cache_bytes: if random().is_multiple_of(2) { 0 } else { 16 * 20_000 },
        ..EngineOptions::default()
    }
}

/// Writes all keys where the tree is. False: it is not here.
fn commit(set: &TreeSet, number: u64) -> bool {
    let mut transaction = set.begin();
    if !transaction.has_tree(TREE) {
        return false;
    }
    for key in 0..KEYS {
        let length = if key == 7 { 9_000 } else { 600 };
        let value = [&number.to_le_bytes()[..], &vec![key as u8; length]].concat();
        transaction.put(TREE, &key.to_be_bytes(), &value).unwrap();
    }
    transaction.commit().unwrap();
    true
}

/// The number that wrote every key; `None`: the tree is not here.
fn check(snapshot: &Snapshot) -> Option<u64> {
    let mut cursor = snapshot.cursor(TREE, KeyRange::all(), Direction::Forward).ok()?;
    let (mut key, mut number) = (0u64, None);
    let visit = |found: &[u8], bytes: &[u8]| {
        assert_eq!(found, key.to_be_bytes());
        let written = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert_eq!(*number.get_or_insert(written), written, "T1: a commit is visible as a whole");
        assert!(bytes[8..].iter().all(|byte| *byte == key as u8));
        key += 1;
        ControlFlow::<()>::Continue(())
    };
    cursor.for_each(visit).unwrap();
    assert_eq!(key, KEYS);
    number
}

fn prepare(engine: &Engine) -> [TreeSet; 2] {
    let sets = [LEFT, RIGHT].map(|id| engine.create_tree_set(id).unwrap());
    let mut transaction = sets[0].begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    assert!(commit(&sets[0], 1));
    sets
}

fn assert_clean_after_a_kill(disk: &SimulatedDisk) {
    let copy = disk.fork(1);
    copy.kill();
    let report = verify::check(Arc::new(copy), &mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

fn back_and_forth() {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
    let sets = prepare(&engine);
    engine.checkpoint().unwrap();
    let held_all_along = sets[0].snapshot();
    let mover = {
        let engine = engine.clone();
        thread::spawn(move || {
            for (from, to) in [(LEFT, RIGHT), (RIGHT, LEFT), (LEFT, RIGHT)] {
                let moved = engine.checkpoint_and_move_trees(from, to, &[(TREE, TREE)], MovedMetas::default());
                match moved {
                    Ok(Moved::Done) => {}
                    // Somebody writes all the time.
                    Ok(Moved::NotYet) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        })
    };
    let writer = {
        let sets = sets.clone();
        thread::spawn(move || (2..=COMMITS).for_each(|number| while !sets.iter().any(|set| commit(set, number)) {}))
    };
    let reader = {
        let sets = sets.clone();
        thread::spawn(move || {
            let mut before = 0;
            for _ in 0..2 {
                // The tree is in one of them: first the one is looked at, then the other, and it may go the other way meanwhile.
                let snapshots = sets.each_ref().map(TreeSet::snapshot);
                thread::yield_now();
                let found = snapshots.iter().filter_map(check).max();
                before = found.map_or(before, |number| number.max(before));
                assert!((0..=COMMITS).contains(&before));
            }
        })
    };
    let checkpoints = {
        let (engine, disk) = (engine.clone(), disk.clone());
        thread::spawn(move || {
            engine.checkpoint().unwrap();
            assert_clean_after_a_kill(&disk);
        })
    };
    for thread in [mover, writer, reader, checkpoints] {
        thread.join().unwrap();
    }
    for number in COMMITS + 1..=COMMITS + 5 {
        assert!(sets.iter().any(|set| commit(set, number)));
        engine.checkpoint().unwrap();
    }
    assert_eq!(check(&held_all_along), Some(1));
    drop(held_all_along);
    for _ in 0..5 {
        engine.checkpoint().unwrap();
    }
    let metrics = engine.metrics();
    assert_eq!(metrics.dirty_bytes, 0, "every frame was written, or freed");
    assert_eq!(metrics.page_file_held_bytes, 0, "every slot that left the trees is free");
    let found: Vec<u64> = sets.iter().filter_map(|set| check(&set.snapshot())).collect();
    assert_eq!(found, [COMMITS + 5], "T5: it is in one set");
    drop(sets);
    engine.close().unwrap();
    assert_clean_after_a_kill(&disk);
}

#[test]
fn beside_writes_reads_and_checkpoints() {
    holds(600, back_and_forth);
}

/// One set is dropped while the tree moves, and a checkpoint comes at any time.
fn beside_a_drop(dropped: TreeSetId) {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
    let sets = prepare(&engine);
    engine.checkpoint().unwrap();
    let held = sets[0].snapshot();
    drop(sets);
    let mover = {
        let engine = engine.clone();
        thread::spawn(move || match engine.move_trees(LEFT, RIGHT, &[(TREE, TREE)], MovedMetas::default()) {
            Ok(Moved::Done) => true,
            Err(StorageError::NoTreeSet(id)) if id == dropped => false,
            other => panic!("{other:?}"),
        })
    };
    let dropper = {
        let engine = engine.clone();
        thread::spawn(move || engine.drop_tree_set(dropped).unwrap())
    };
    engine.checkpoint().unwrap();
    assert_clean_after_a_kill(&disk);
    let moved = mover.join().unwrap();
    dropper.join().unwrap();
    engine.checkpoint().unwrap();
    assert_clean_after_a_kill(&disk);
    // What is free by now is used for this.
    let other = engine.create_tree_set(TreeSetId(3)).unwrap();
    let mut transaction = other.begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    for number in 2..5 {
        assert!(commit(&other, number));
        let there = moved && dropped == LEFT;
        assert_eq!(engine.tree_set(RIGHT).is_some_and(|set| commit(&set, number)), there);
        engine.checkpoint().unwrap();
    }
    assert_eq!(check(&held), Some(1));
    drop((held, other));
    for _ in 0..5 {
        engine.checkpoint().unwrap();
    }
    let metrics = engine.metrics();
    assert_eq!((metrics.dirty_bytes, metrics.page_file_held_bytes), (0, 0), "everything that nobody needs is free");
    engine.close().unwrap();
    assert_clean_after_a_kill(&disk);
}

#[test]
fn beside_a_drop_of_the_set_it_leaves() {
    holds(400, || beside_a_drop(LEFT));
}

#[test]
fn beside_a_drop_of_the_set_it_comes_to() {
    holds(400, || beside_a_drop(RIGHT));
}
