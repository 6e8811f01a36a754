//! Writers, readers, a log writer and a checkpointer at once: readers see whole commits only, in order, whatever is
//! written, replaced, evicted and reused meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use harness::{Random, assert_clean, full, options};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, Snapshot, TreeId, TreeSet, TreeSetId};

const TREE: TreeId = TreeId(0);
const KEYS: u64 = 2_000;

/// A commit raises `meta` by one and writes its number to a few keys and to "last".
fn write(set: &TreeSet, random: &mut Random, number: u64) {
    let mut transaction = set.begin();
    let value = |length: u64| [&number.to_le_bytes()[..], &vec![1; length as usize]].concat();
    for _ in 0..random.below(4) {
        let key = random.below(KEYS).to_be_bytes();
        match random.below(20) {
            0..=4 => drop(transaction.delete(TREE, &key).unwrap()),
            5 => drop(transaction.put(TREE, &key, &value(80_000)).unwrap()),
            _ => drop(transaction.put(TREE, &key, &value(random.below(500))).unwrap()),
        }
    }
    transaction.put(TREE, b"last", &value(0)).unwrap();
    transaction.set_meta(Bytes::copy_from_slice(&number.to_le_bytes())).unwrap();
    transaction.commit().unwrap();
}

fn number_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

fn check_snapshot(snapshot: &Snapshot) -> u64 {
    let number = number_of(&snapshot.meta());
    let mut entries = 0;
    let mut cursor = snapshot.cursor(TREE, KeyRange::all(), Direction::Forward).unwrap();
    let visit = |_: &[u8], value: &[u8]| {
        entries += 1;
        assert!(number_of(value) <= number, "a snapshot has nothing from later commits");
        ControlFlow::<()>::Continue(())
    };
    cursor.for_each(visit).unwrap();
    assert_eq!(snapshot.count(TREE, &KeyRange::all()).unwrap(), entries);
    assert_eq!(number_of(&snapshot.get(TREE, b"last").unwrap().unwrap()), number);
    number
}

fn run(engine: &Engine, commits: u64) {
    let sets: Vec<TreeSet> = (0..2).map(|id| engine.create_tree_set(TreeSetId(id)).unwrap()).collect();
    for set in &sets {
        let mut transaction = set.begin();
        transaction.create_tree(TREE).unwrap();
        transaction.commit().unwrap();
        write(set, &mut Random::new(0), 1);
    }
    let done = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let writers: Vec<_> = sets
            .iter()
            .enumerate()
            .map(|(index, set)| {
                scope.spawn(move || {
                    let mut random = Random::new(index as u64);
                    for number in 2..commits {
                        engine.wait_for_memory().unwrap();
                        write(set, &mut random, number);
                    }
                })
            })
            .collect();
        for set in &sets {
            let done = Arc::clone(&done);
            scope.spawn(move || {
                let (mut before, mut held) = (0, Vec::new());
                while !done.load(Ordering::Relaxed) {
                    let number = check_snapshot(&set.snapshot());
                    assert!(number >= before);
                    before = number_of(&set.get(TREE, b"last").unwrap().unwrap());
                    assert!(before >= number);
                    for key in (0..KEYS).step_by(97) {
                        set.get(TREE, &key.to_be_bytes()).unwrap();
                    }
                    held.push((number, set.snapshot()));
                    if held.len() > 5 {
                        check_snapshot(&held.remove(0).1);
                    }
                }
            });
        }
        let checkpointing = Arc::clone(&done);
        scope.spawn(move || {
            for step in 0.. {
                if checkpointing.load(Ordering::Relaxed) {
                    break;
                }
                match step % 50 {
                    0 => drop(engine.checkpoint().unwrap()),
                    _ => drop(engine.evict_step(20_000).unwrap()),
                }
                thread::yield_now();
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    for set in sets {
        assert_eq!(check_snapshot(&set.snapshot()), commits - 1);
    }
}

#[test]
fn on_disk_with_a_small_cache() {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), EngineOptions { cache_bytes: 300 << 10, ..options() }).unwrap();
    run(&engine, if full() { 100_000 } else { 3_000 });
    assert!(engine.metrics().cache_misses > 0);
    assert!(engine.metrics().pages_evicted > 0);
    engine.close().unwrap();
    assert_clean(&Arc::new(disk));
}

#[test]
fn in_memory() {
    run(&Engine::in_memory(options()), if full() { 100_000 } else { 3_000 });
}

#[test]
fn everything_can_move_to_another_thread() {
    fn shared<T: Send + Sync + 'static>() {}
    fn moved<T: Send + 'static>() {}
    shared::<Engine>();
    shared::<TreeSet>();
    shared::<Snapshot>();
    moved::<photondb_storage::Transaction>();
    moved::<photondb_storage::Cursor>();
}
