//! Under churn the page file stops growing: replaced pages, deleted rows, dropped trees and dropped sets give their
//! slots back, after the superblocks and the readers that need them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::sync::Arc;

use harness::{Random, assert_clean, plain_options};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Engine, TreeId, TreeSet, TreeSetId};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);

fn churn(set: &TreeSet, random: &mut Random, writes: u64) {
    let mut transaction = set.begin();
    for _ in 0..writes {
        let key = (random.below(3_000) as u32).to_be_bytes();
        match random.below(3) {
            0 => drop(transaction.delete(TREE, &key).unwrap()),
            1 => drop(transaction.put(TREE, &key, &vec![1; random.below(70_000) as usize]).unwrap()),
            _ => drop(transaction.put(TREE, &key, &vec![1; random.below(1_000) as usize]).unwrap()),
        }
    }
    transaction.commit().unwrap();
}

#[test]
fn under_churn() {
    let disk = SimulatedDisk::new(1);
    let mut random = Random::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), plain_options()).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    let mut transaction = set.begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    let mut steady = 0;
    for round in 0..120 {
        let reader = (round % 7 == 0).then(|| set.snapshot());
        churn(&set, &mut random, 200);
        engine.checkpoint().unwrap();
        drop(reader);
        if round == 60 {
            steady = engine.metrics().page_file_bytes;
        }
    }
    let metrics = engine.metrics();
    assert!(metrics.page_file_bytes <= steady + steady / 4, "{} after {steady}", metrics.page_file_bytes);
    assert!(metrics.page_file_bytes <= metrics.page_file_used_bytes * 3, "{metrics:?}");
    drop((set, engine));
    assert_clean(&Arc::new(disk));
}

#[test]
fn after_dropping() {
    let disk = SimulatedDisk::new(1);
    let mut random = Random::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), plain_options()).unwrap();
    let mut sizes = Vec::new();
    for round in 0..30 {
        let set = engine.create_tree_set(TreeSetId(round)).unwrap();
        for tree in [TREE, TreeId(1)] {
            let mut transaction = set.begin();
            transaction.create_tree(tree).unwrap();
            transaction.commit().unwrap();
        }
        churn(&set, &mut random, 300);
        engine.checkpoint().unwrap();
        // A reader of the dropped set still reads, checkpoints later.
        let reader = set.snapshot();
        let before = reader.count(TREE, &photondb_storage::KeyRange::all()).unwrap();
        if round % 2 == 0 {
            let mut transaction = set.begin();
            transaction.drop_tree(TREE).unwrap();
            transaction.commit().unwrap();
            engine.checkpoint().unwrap();
        }
        engine.drop_tree_set(TreeSetId(round)).unwrap();
        drop(set);
        for _ in 0..3 {
            engine.checkpoint().unwrap();
        }
        let mut cursor =
            reader.cursor(TREE, photondb_storage::KeyRange::all(), photondb_storage::Direction::Backward).unwrap();
        let mut rows = 0;
        while cursor.next().unwrap().is_some() {
            rows += 1;
        }
        assert_eq!(rows, before);
        sizes.push(engine.metrics().page_file_bytes);
    }
    assert!(sizes[29] <= sizes[10] + (4 << 20), "{sizes:?}");
    for _ in 0..3 {
        engine.checkpoint().unwrap();
    }
    assert!(engine.metrics().page_file_used_bytes < 200 << 10, "{:?}", engine.metrics());
    drop(engine);
    assert_clean(&Arc::new(disk));
}

#[test]
fn in_memory_too() {
    let engine = Engine::in_memory(plain_options());
    let mut random = Random::new(1);
    let set = engine.create_tree_set(SET).unwrap();
    let mut transaction = set.begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    let mut steady = 0;
    for round in 0..200 {
        churn(&set, &mut random, 200);
        if round == 100 {
            steady = engine.metrics().dirty_bytes;
        }
    }
    assert!(engine.metrics().dirty_bytes <= steady + steady / 4);
    engine.drop_tree_set(SET).unwrap();
    drop(set);
    engine.checkpoint().unwrap();
    assert_eq!(engine.metrics().dirty_bytes, 0);
}
