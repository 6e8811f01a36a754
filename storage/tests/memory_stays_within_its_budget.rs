//! Clean and dirty pages together stay within the budget, whatever is written and read, and a table several times larger
//! than memory is right.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::ops::ControlFlow;
use std::sync::Arc;

use harness::{Random, assert_clean, plain_options};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, TreeId, TreeSet, TreeSetId};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);

fn put(set: &TreeSet, numbers: impl IntoIterator<Item = u32>) {
    let mut transaction = set.begin();
    if !transaction.has_tree(TREE) {
        transaction.create_tree(TREE).unwrap();
    }
    for number in numbers {
        transaction.put(TREE, &number.to_be_bytes(), &[number as u8; 1000]).unwrap();
    }
    transaction.commit().unwrap();
}

/// A table much larger than the budget is written and read while memory stays within it.
#[test]
fn under_random_writes() {
    let disk = SimulatedDisk::new(1);
    let budget = 4 << 20;
    let engine =
        Engine::open(Arc::new(disk.clone()), EngineOptions { cache_bytes: budget, ..plain_options() }).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    let mut random = Random::new(1);
    let keys = 20_000;
    for step in 0..4_000 {
        engine.wait_for_memory().unwrap();
        put(&set, (0..10).map(|_| random.below(keys) as u32));
        let metrics = engine.metrics();
        // A transaction of ten puts changes at most thirty nodes or so beyond the limit.
        assert!(metrics.dirty_bytes <= metrics.dirty_bytes_max + (400 << 10), "{metrics:?}");
        if step % 1_000 == 999 {
            engine.checkpoint().unwrap();
        }
    }
    let metrics = engine.metrics();
    assert!(metrics.pages_evicted > 1_000 && metrics.page_file_used_bytes > 4 * budget as u64, "{metrics:?}");
    // Forwarding addresses end with the checkpoints, and so does what a churn of unnamed slots takes.
    engine.checkpoint().unwrap();
    engine.checkpoint().unwrap();
    assert!(engine.metrics().forwarding_bytes < 4_000, "{:?}", engine.metrics());
    let mut entries = 0;
    let mut cursor = set.snapshot().cursor(TREE, KeyRange::all(), Direction::Forward).unwrap();
    let visit = |key: &[u8], value: &[u8]| {
        entries += 1;
        assert!(value.iter().all(|byte| *byte == key[3]));
        ControlFlow::<()>::Continue(())
    };
    cursor.for_each(visit).unwrap();
    assert!(entries > 15_000);
    drop((cursor, set, engine));
    assert_clean(&Arc::new(disk));
}

/// A reader that held much lets it go. No commit is held up by all of that, and soon the memory is back.
#[test]
fn commits_give_back_what_a_reader_held_in_parts() {
    let engine = Engine::in_memory(plain_options());
    let set = engine.create_tree_set(SET).unwrap();
    put(&set, 0..12_000);
    let alone = engine.metrics().dirty_bytes;
    let reader = set.snapshot();
    put(&set, 0..12_000);
    let both = engine.metrics().dirty_bytes;
    assert!(both > alone / 10 * 19, "the reader holds {alone} of {both} bytes");
    drop(reader);
    let mut commits = 0;
    while engine.metrics().dirty_bytes > alone + alone / 10 {
        let before = engine.metrics().dirty_bytes;
        put(&set, [commits]);
        let after = engine.metrics().dirty_bytes;
        assert!(after < before && before - after < alone / 3, "from {before} to {after}");
        commits += 1;
    }
    assert!((3..50).contains(&commits), "{commits} commits");
}

/// Values of many sizes are written ahead with their leaves, more than one piece of them at a time, while a reader holds leaves
/// that share them. Each leaf names the slot that its value has.
#[test]
fn large_values_are_written_once_with_their_leaves() {
    for seed in 1..40 {
        let disk = SimulatedDisk::new(seed);
        let options = EngineOptions { cache_bytes: 64 << 10, dirty_bytes: 32 << 10, ..plain_options() };
        let engine = Engine::open(Arc::new(disk.clone()), options.clone()).unwrap();
        let set = engine.create_tree_set(SET).unwrap();
        let mut random = Random::new(seed);
        let mut transaction = set.begin();
        // The hand of eviction comes to the first frame last.
        transaction.create_tree(TreeId(9)).unwrap();
        transaction.put(TreeId(9), b"first", b"frame").unwrap();
        transaction.create_tree(TREE).unwrap();
        // One leaf, and of pages a little more than is written at once.
        let length = 20_000 + random.below(8_000) as usize;
        let values = (1 << 20) / (length + 200);
        let lengths: Vec<usize> = [10].into_iter().chain(std::iter::repeat_n(length, values)).collect();
        for (number, length) in lengths.iter().enumerate() {
            transaction.put(TREE, &(number as u32).to_be_bytes(), &vec![number as u8; *length]).unwrap();
        }
        transaction.commit().unwrap();
        let reader = set.snapshot();
        put(&set, [0]);
        while engine.evict_step(usize::MAX).unwrap() {}
        drop(reader);
        let holds_all = |set: &TreeSet| {
            for (number, length) in lengths.iter().enumerate() {
                let length = if *length == 10 { 1_000 } else { *length };
                let value = set.get(TREE, &(number as u32).to_be_bytes()).unwrap().unwrap();
                assert!(
                    value.len() == length && value.iter().all(|byte| *byte == number as u8),
                    "seed {seed}, {number}"
                );
            }
        };
        holds_all(&set);
        engine.checkpoint().unwrap();
        // What was given back by mistake is used again.
        put(&set, 1_000..3_000);
        engine.checkpoint().unwrap();
        holds_all(&set);
        drop((set, engine));
        assert_clean(&Arc::new(disk));
    }
}

/// What was written ahead is handed over to the names that stored nodes have for it by the commits that follow, without a
/// checkpoint, and the addresses go.
#[test]
fn commits_let_forwarding_addresses_go() {
    let options = EngineOptions { cache_bytes: 64 << 10, dirty_bytes: 32 << 10, ..plain_options() };
    let engine = Engine::open(Arc::new(SimulatedDisk::new(1)), options).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    put(&set, 0..12_000);
    while engine.evict_step(usize::MAX).unwrap() {}
    let before = engine.metrics().forwarding_bytes;
    assert!(before > 100_000, "{before}");
    for number in 0..50 {
        put(&set, [number]);
    }
    let after = engine.metrics().forwarding_bytes;
    assert!(after < before / 4, "{before} bytes became {after}");
}
