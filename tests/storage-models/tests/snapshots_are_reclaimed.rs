//! Versions of a tree set, in every order the checker can think of: one thread commits, others take snapshots, read them
//! and let them go, another makes checkpoints, with a cache that keeps little or nothing. A snapshot never changes and
//! whatever it reaches is there; in the end everything that left the trees is free again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/schedules.rs"]
mod harness;

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use harness::{holds, random};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::WalOptions;
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, Snapshot, TreeId, TreeSet, TreeSetId, verify};
use shuttle::thread;

const TREE: TreeId = TreeId(0);
const SET: TreeSetId = TreeSetId(1);
/// Enough keys for two levels, few enough to be written often.
const KEYS: u64 = 30;
const COMMITS: u64 = 4;
/// Commits after those, alone, one before each checkpoint: enough for what is free to be used again.
const LAST: u64 = COMMITS + 5;

fn options() -> EngineOptions {
    EngineOptions {
        wal: WalOptions { segment_bytes: 64 << 10, first_segment_bytes: 64 << 10, ..WalOptions::default() },
        // Either no page is kept, or a few; what is cached would hide a slot that was given away too early.
        cache_bytes: if random().is_multiple_of(2) { 0 } else { 16 * 20_000 },
        ..EngineOptions::default()
    }
}

fn value(number: u64, key: u64) -> Vec<u8> {
    // One key has a value of its own slots.
    let length = if key == 7 { 9_000 } else { 600 };
    [&number.to_le_bytes()[..], &vec![key as u8; length]].concat()
}

fn number_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

/// Whether commit `number` writes a key: the first and the last ones write all, the others those that the number divides,
/// and the last one.
fn writes(number: u64, key: u64) -> bool {
    number == 1 || number > COMMITS || key.is_multiple_of(number) || key == KEYS - 1
}

fn commit(set: &TreeSet, number: u64) {
    let mut transaction = set.begin();
    for key in 0..KEYS {
        if writes(number, key) {
            transaction.put(TREE, &key.to_be_bytes(), &value(number, key)).unwrap();
        }
    }
    transaction.set_meta(Bytes::copy_from_slice(&number.to_le_bytes())).unwrap();
    transaction.commit().unwrap();
}

/// What `commit` left of a key after `number` commits.
fn expected(number: u64, key: u64) -> u64 {
    (1..=number).rev().find(|number| writes(*number, key)).unwrap()
}

fn check(snapshot: &Snapshot) -> u64 {
    let number = number_of(&snapshot.meta());
    let mut key = 0u64;
    let mut cursor = snapshot.cursor(TREE, KeyRange::all(), Direction::Forward).unwrap();
    let visit = |found: &[u8], bytes: &[u8]| {
        assert_eq!(found, key.to_be_bytes());
        assert!(bytes == value(expected(number, key), key), "T2: a snapshot never changes");
        key += 1;
        ControlFlow::<()>::Continue(())
    };
    cursor.for_each(visit).unwrap();
    assert_eq!(key, KEYS);
    number
}

fn reader(set: &TreeSet) {
    let mut before = 0;
    for _ in 0..2 {
        let first = set.snapshot();
        let key = random() % KEYS;
        let one = set.get(TREE, &key.to_be_bytes()).unwrap().unwrap();
        let number = check(&first);
        assert!(number >= before, "versions only go on");
        assert!(number_of(&one) >= expected(number, key), "a read sees at least what a snapshot before it did");
        let second = set.snapshot();
        drop(first);
        thread::yield_now();
        before = check(&second);
        assert!(before >= number);
    }
}

fn prepare(engine: &Engine) -> TreeSet {
    let set = engine.create_tree_set(SET).unwrap();
    let mut transaction = set.begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    commit(&set, 1);
    set
}

fn beside_checkpoints() {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
    let set = prepare(&engine);
    // What it reaches lies in slots, that the others replace.
    engine.checkpoint().unwrap();
    let held_all_along = set.snapshot();
    let writer = {
        let set = set.clone();
        thread::spawn(move || (2..=COMMITS).for_each(|number| commit(&set, number)))
    };
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let set = set.clone();
            thread::spawn(move || reader(&set))
        })
        .collect();
    let checkpoints = {
        let engine = engine.clone();
        thread::spawn(move || {
            for _ in 0..3 {
                engine.checkpoint().unwrap();
            }
        })
    };
    writer.join().unwrap();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    checkpoints.join().unwrap();
    for number in COMMITS + 1..=LAST {
        commit(&set, number);
        engine.checkpoint().unwrap();
    }
    assert_eq!(check(&set.snapshot()), LAST);
    assert_eq!(check(&held_all_along), 1);
    drop(held_all_along);

    // Nobody reads any more: what the superblocks still hold is free after two more, and memory at once.
    for _ in 0..3 {
        engine.checkpoint().unwrap();
    }
    let metrics = engine.metrics();
    assert_eq!(metrics.dirty_bytes, 0, "every frame was written, or freed");
    assert_eq!(metrics.page_file_held_bytes, 0, "every slot that left the trees is free");
    drop(set);
    engine.close().unwrap();
    let report = verify::check(Arc::new(disk.clone()), &mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let engine = Engine::open(Arc::new(disk), options()).unwrap();
    let fresh = engine.metrics();
    assert_eq!(
        metrics.page_file_used_bytes, fresh.page_file_used_bytes,
        "an opening finds no slot that was still held"
    );
    assert_eq!(check(&engine.tree_set(SET).unwrap().snapshot()), LAST);
}

#[test]
fn beside_commits_and_checkpoints_nothing_goes_early_and_all_goes_in_the_end() {
    holds(1000, beside_checkpoints);
}

/// The set is dropped while others still read it.
fn dropped_under_readers() {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
    let set = prepare(&engine);
    engine.checkpoint().unwrap();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let set = set.clone();
            thread::spawn(move || reader(&set))
        })
        .collect();
    let other = {
        let engine = engine.clone();
        thread::spawn(move || {
            engine.drop_tree_set(SET).unwrap();
            engine.checkpoint().unwrap();
            // Another takes its name, and its space as soon as it may.
            let set = prepare(&engine);
            engine.checkpoint().unwrap();
            commit(&set, 2);
            engine.checkpoint().unwrap();
        })
    };
    commit(&set, 2);
    drop(set);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    other.join().unwrap();
    for _ in 0..3 {
        engine.checkpoint().unwrap();
    }
    let metrics = engine.metrics();
    assert_eq!(metrics.dirty_bytes, 0, "every frame was written, or freed");
    assert_eq!(metrics.page_file_held_bytes, 0, "every slot that left the trees is free");
    engine.close().unwrap();
    let report = verify::check(Arc::new(disk), &mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn a_dropped_set_lives_as_long_as_its_readers() {
    holds(600, dropped_under_readers);
}

/// Two threads want to write at once, and a third lets its transactions go.
fn two_writers() {
    let engine = Engine::in_memory(options());
    let set = prepare(&engine);
    let writers: Vec<_> = (0..3)
        .map(|thread| {
            let set = set.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    let mut transaction = set.begin();
                    let number = number_of(&transaction.meta()) + 1;
                    transaction.set_meta(Bytes::copy_from_slice(&number.to_le_bytes())).unwrap();
                    if thread == 0 { transaction.rollback() } else { transaction.commit().unwrap() }
                }
            })
        })
        .collect();
    let snapshot = set.snapshot();
    let seen = number_of(&snapshot.meta());
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(number_of(&snapshot.meta()), seen, "T2: a snapshot never changes");
    assert_eq!(number_of(&set.meta()), 7, "T3: one transaction is open per set");
}

#[test]
fn writers_take_turns() {
    holds(3000, two_writers);
}
