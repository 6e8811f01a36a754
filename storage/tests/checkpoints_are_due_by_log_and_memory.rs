//! A checkpoint is due when the log has grown, and when so many nodes have changed since the last, those that were written
//! ahead included. (Time is the caller's to add.)
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::sync::Arc;

use bytes::Bytes;
use harness::plain_options;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Record, StreamId};
use photondb_storage::{Engine, EngineOptions, TreeId, TreeSet, TreeSetId};

const TREE: TreeId = TreeId(0);

fn open(options: EngineOptions) -> (Engine, TreeSet) {
    let engine = Engine::open(Arc::new(SimulatedDisk::new(1)), options).unwrap();
    let set = engine.create_tree_set(TreeSetId(1)).unwrap();
    let mut transaction = set.begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    engine.checkpoint().unwrap();
    engine.checkpoint().unwrap();
    assert!(!engine.should_checkpoint());
    (engine, set)
}

fn put(set: &TreeSet, number: u32) {
    let mut transaction = set.begin();
    transaction.put(TREE, &number.to_be_bytes(), &[7; 1000]).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn by_what_the_log_has_written() {
    let (engine, _) = open(EngineOptions { checkpoint_wal_bytes: 100 << 10, ..plain_options() });
    let mut bytes = 0;
    for index in 1.. {
        let payload = Bytes::from(vec![1; 5_000]);
        engine.wal().submit(StreamId(1), vec![Record::Entry { index, term: 1, payload }], None);
        while engine.wal().step().unwrap() {}
        bytes += 5_000;
        if engine.should_checkpoint() {
            break;
        }
        assert!(bytes < 100 << 10, "{bytes} bytes are in the log");
    }
    assert!(bytes > 80 << 10, "after {bytes} bytes already");
    engine.checkpoint().unwrap();
    assert!(!engine.should_checkpoint());
}

#[test]
fn by_what_changed_nodes_take_when_nobody_writes_them_ahead() {
    let (engine, set) = open(EngineOptions { cache_bytes: 1 << 20, dirty_bytes: 256 << 10, ..plain_options() });
    let mut number = 0;
    while !engine.should_checkpoint() {
        number += 1;
        put(&set, number);
        assert!(number < 1_000);
    }
    let metrics = engine.metrics();
    assert!(metrics.dirty_bytes >= (256 << 10) / 8 * 7 && metrics.dirty_bytes_max == 256 << 10, "{metrics:?}");
    engine.checkpoint().unwrap();
    assert!(!engine.should_checkpoint());
}

#[test]
fn by_what_was_written_ahead_too() {
    let (engine, set) = open(EngineOptions { cache_bytes: 256 << 10, dirty_bytes: 64 << 10, ..plain_options() });
    let mut number: u32 = 0;
    while !engine.should_checkpoint() {
        let metrics = engine.metrics();
        assert!(metrics.page_bytes_evicted + metrics.dirty_bytes < 56 << 10, "{metrics:?}");
        while engine.evict_step(16 << 10).unwrap() {}
        number += 1;
        put(&set, number.wrapping_mul(0x9e37_79b1));
        assert!(engine.metrics().dirty_bytes < 128 << 10, "{:?}", engine.metrics());
        assert!(number < 100_000);
    }
    let metrics = engine.metrics();
    assert!(metrics.page_bytes_evicted > 0, "{metrics:?}");
    assert!(metrics.page_bytes_evicted + metrics.dirty_bytes >= 56 << 10, "{metrics:?}");
    engine.checkpoint().unwrap();
    engine.checkpoint().unwrap();
    assert!(!engine.should_checkpoint(), "{:?}", engine.metrics());
}

/// A reader holds what a checkpoint cannot give back: another one is not due at once, and eviction has its turn.
#[test]
fn not_again_because_of_what_a_reader_holds() {
    let (engine, set) = open(EngineOptions { cache_bytes: 512 << 10, dirty_bytes: 256 << 10, ..plain_options() });
    let mut readers = Vec::new();
    while engine.metrics().dirty_bytes < 250 << 10 {
        put(&set, readers.len() as u32 % 3);
        readers.push(set.snapshot());
    }
    assert!(engine.should_checkpoint());
    engine.checkpoint().unwrap();
    let metrics = engine.metrics();
    assert!(metrics.dirty_bytes > 224 << 10, "readers hold it: {metrics:?}");
    assert!(!engine.should_checkpoint());
    assert!(engine.should_evict());
    while engine.evict_step(64 << 10).unwrap() {}
    assert!(engine.metrics().dirty_bytes < 200 << 10, "{:?}", engine.metrics());
    drop(readers);
    let mut number: u32 = 0;
    while !engine.should_checkpoint() {
        put(&set, number.wrapping_mul(0x9e37_79b1));
        number += 1;
        assert!(number < 10_000, "it is due again: {:?}", engine.metrics());
    }
}
