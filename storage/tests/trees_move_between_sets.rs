//! A tree that moves to another set is there what it was here, and is not read for that. What readers of the set it left
//! can reach stays until they are gone, whatever becomes of either set; and no crash gives it to both sets or to neither.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::sync::Arc;

use bytes::Bytes;
use harness::{assert_clean, options};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{
    Direction, Engine, EngineOptions, Fill, KeyRange, Moved, MovedMetas, Snapshot, StorageError, Tolerance, TreeId,
    TreeSet, TreeSetId,
};

const LEFT: TreeSetId = TreeSetId(1);
const RIGHT: TreeSetId = TreeSetId(2);
const TREE: TreeId = TreeId(1);
const CUT: TreeId = TreeId(2);
const MOVED: TreeId = TreeId(9);
const ENTRIES: u32 = 20_000;

fn open(disk: &Arc<SimulatedDisk>) -> Engine {
    // No page is kept: what a slot holds is read where it lies.
    let options = EngineOptions { cache_bytes: 0, compaction: Tolerance::NONE, ..options() };
    Engine::open(disk.clone(), options).unwrap()
}

fn value(key: u32) -> Vec<u8> {
    // Some have slots of their own, and one has many.
    let length = match key {
        12_345 => 200_000,
        _ if key.is_multiple_of(997) => 5_000,
        _ => 100,
    };
    vec![key as u8; length]
}

fn fill(engine: &Engine) -> (TreeSet, TreeSet) {
    let (left, right) = (engine.create_tree_set(LEFT).unwrap(), engine.create_tree_set(RIGHT).unwrap());
    let mut transaction = left.begin();
    transaction.create_tree(TREE).unwrap();
    transaction.bulk_load(TREE, (0..ENTRIES).map(|key| (key.to_be_bytes(), value(key))), Fill::FULL).unwrap();
    transaction.set_meta(Bytes::from_static(b"whole")).unwrap();
    transaction.commit().unwrap();
    (left, right)
}

fn cut(set: &TreeSet, at: u32) {
    let mut transaction = set.begin();
    transaction.split_tree(TREE, &at.to_be_bytes(), CUT).unwrap();
    transaction.set_meta(Bytes::from_static(b"cut")).unwrap();
    transaction.commit().unwrap();
}

fn metas() -> MovedMetas {
    MovedMetas { from: Some(Bytes::from_static(b"given")), to: Some(Bytes::from_static(b"taken")) }
}

fn move_cut(engine: &Engine) -> Moved {
    engine.move_trees(LEFT, RIGHT, &[(CUT, MOVED)], metas()).unwrap()
}

fn checkpoints(engine: &Engine, count: usize) {
    for _ in 0..count {
        engine.checkpoint().unwrap();
    }
}

fn assert_holds(snapshot: &Snapshot, tree: TreeId, keys: std::ops::Range<u32>) {
    assert_eq!(snapshot.count(tree, &KeyRange::all()).unwrap(), u64::from(keys.end - keys.start));
    let mut cursor = snapshot.cursor(tree, KeyRange::all(), Direction::Forward).unwrap();
    for key in keys {
        let (found, bytes) = cursor.next().unwrap().unwrap();
        assert_eq!(found, key.to_be_bytes()[..]);
        assert!(bytes == value(key), "value of {key}");
    }
    assert!(cursor.next().unwrap().is_none());
}

/// Writes every entry of a tree anew, so that none of its pages stays.
fn rewrite(set: &TreeSet, tree: TreeId, keys: std::ops::Range<u32>) {
    let mut transaction = set.begin();
    for key in keys {
        transaction.put(tree, &key.to_be_bytes(), b"another").unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn it_is_there_what_it_was_here() {
    let disk = Arc::new(SimulatedDisk::new(1));
    let engine = open(&disk);
    let (left, right) = fill(&engine);
    engine.checkpoint().unwrap();
    cut(&left, 5_000);
    assert_eq!(move_cut(&engine), Moved::NotYet);
    assert_eq!(left.snapshot().trees(), [TREE, CUT]);
    assert!(right.snapshot().trees().is_empty() && left.meta() == "cut" && right.meta().is_empty());

    engine.checkpoint().unwrap();
    assert_eq!(move_cut(&engine), Moved::Done);
    assert!(left.meta() == "given" && right.meta() == "taken");
    assert_eq!((left.snapshot().trees(), right.snapshot().trees()), (vec![TREE], vec![MOVED]));
    assert_holds(&left.snapshot(), TREE, 0..5_000);
    assert_holds(&right.snapshot(), MOVED, 5_000..ENTRIES);
    // What is not in both superblocks may not be forgotten elsewhere.
    assert!(left.durable_meta().unwrap() == "whole" && right.durable_meta().unwrap().is_empty());
    engine.checkpoint().unwrap();
    assert!(left.durable_meta().unwrap() == "cut" && right.durable_meta().unwrap().is_empty());
    engine.checkpoint().unwrap();
    assert!(left.durable_meta().unwrap() == "given" && right.durable_meta().unwrap() == "taken");
    drop((left, right));
    engine.close().unwrap();
    assert_clean(&disk);
    let engine = open(&disk);
    assert_holds(&engine.tree_set(LEFT).unwrap().snapshot(), TREE, 0..5_000);
    assert_holds(&engine.tree_set(RIGHT).unwrap().snapshot(), MOVED, 5_000..ENTRIES);
}

#[test]
fn a_crash_before_the_next_checkpoint_leaves_it_where_it_was() {
    let disk = Arc::new(SimulatedDisk::new(1));
    let engine = open(&disk);
    let (left, _) = fill(&engine);
    cut(&left, 5_000);
    let moved = engine.checkpoint_and_move_trees(LEFT, RIGHT, &[(CUT, MOVED)], metas()).unwrap();
    assert_eq!(moved, Moved::Done);
    drop((left, engine));
    disk.kill();
    assert_clean(&disk);
    let engine = open(&disk);
    let (left, right) = (engine.tree_set(LEFT).unwrap(), engine.tree_set(RIGHT).unwrap());
    assert_holds(&left.snapshot(), CUT, 5_000..ENTRIES);
    assert!(right.snapshot().trees().is_empty() && left.meta() == "cut");
    // At once: nothing has changed since.
    assert_eq!(move_cut(&engine), Moved::Done);
    engine.checkpoint().unwrap();
    drop((left, right, engine));
    disk.kill();
    assert_clean(&disk);
    let engine = open(&disk);
    assert_holds(&engine.tree_set(RIGHT).unwrap().snapshot(), MOVED, 5_000..ENTRIES);
}

#[test]
fn nothing_is_read_for_it() {
    let disk = Arc::new(SimulatedDisk::new(1));
    let engine = open(&disk);
    let (left, right) = (engine.create_tree_set(LEFT).unwrap(), engine.create_tree_set(RIGHT).unwrap());
    let mut transaction = left.begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    let entries = (0..100_000u32).map(|key| (key.to_be_bytes(), value(key)));
    assert_eq!(left.bulk_load(TREE, entries, Fill::FULL).unwrap(), 100_000);
    engine.checkpoint().unwrap();
    let before = engine.metrics();
    let moved = engine.move_trees(LEFT, RIGHT, &[(TREE, TREE)], MovedMetas::default()).unwrap();
    assert_eq!(moved, Moved::Done);
    let after = engine.metrics();
    assert_eq!((before.cache_misses, before.page_bytes_read), (after.cache_misses, after.page_bytes_read));
    // Nor written, and no memory is taken by it.
    let report = engine.checkpoint().unwrap();
    assert!(report.pages < 20, "{report:?}");
    assert_eq!(engine.metrics().dirty_bytes, 0);
    assert_eq!(right.snapshot().count(TREE, &KeyRange::all()).unwrap(), 100_000);
}

#[test]
fn readers_of_the_set_it_left_go_on_reading_it() {
    let disk = Arc::new(SimulatedDisk::new(1));
    let engine = open(&disk);
    let (left, right) = fill(&engine);
    engine.checkpoint().unwrap();
    let before_the_cut = left.snapshot();
    cut(&left, 5_000);
    engine.checkpoint().unwrap();
    let before_the_move = left.snapshot();
    assert_eq!(move_cut(&engine), Moved::Done);
    for _ in 0..3 {
        rewrite(&right, MOVED, 5_000..ENTRIES);
        rewrite(&left, TREE, 0..5_000);
        checkpoints(&engine, 3);
        while engine.compact_step(1_000).unwrap() > 0 {}
    }
    assert_holds(&before_the_cut, TREE, 0..ENTRIES);
    drop(before_the_cut);
    rewrite(&right, MOVED, 5_000..ENTRIES);
    checkpoints(&engine, 3);
    assert_holds(&before_the_move, TREE, 0..5_000);
    assert_holds(&before_the_move, CUT, 5_000..ENTRIES);
    let held = engine.metrics().page_file_held_bytes;
    drop(before_the_move);
    checkpoints(&engine, 4);
    assert!(engine.metrics().page_file_held_bytes < held / 2, "what nobody reads is free again");
    drop((left, right));
    engine.close().unwrap();
    assert_clean(&disk);
}

#[test]
fn dropping_the_set_it_came_from_takes_nothing_of_it() {
    for checkpoints_between in 0..3 {
        let disk = Arc::new(SimulatedDisk::new(1));
        let engine = open(&disk);
        let (left, right) = fill(&engine);
        cut(&left, 5_000);
        engine.checkpoint().unwrap();
        let snapshot = left.snapshot();
        assert_eq!(move_cut(&engine), Moved::Done);
        checkpoints(&engine, checkpoints_between);
        engine.drop_tree_set(LEFT).unwrap();
        drop(left);
        checkpoints(&engine, 3);
        rewrite(&right, MOVED, 5_000..6_000);
        checkpoints(&engine, 3);
        rewrite(&right, MOVED, 6_000..9_000);
        checkpoints(&engine, 3);
        assert_holds(&snapshot, CUT, 5_000..ENTRIES);
        assert_holds(&snapshot, TREE, 0..5_000);
        drop((snapshot, right));
        engine.close().unwrap();
        assert_clean(&disk);
        let engine = open(&disk);
        assert_eq!(engine.tree_sets(), [RIGHT]);
        let right = engine.tree_set(RIGHT).unwrap().snapshot();
        assert_eq!(right.count(MOVED, &KeyRange::all()).unwrap(), u64::from(ENTRIES - 5_000));
        assert_eq!(right.get(MOVED, &19_999u32.to_be_bytes()).unwrap().unwrap(), value(19_999));
    }
}

#[test]
fn dropping_the_set_it_came_to_waits_for_readers_of_the_other() {
    for checkpoints_between in 0..3 {
        let disk = Arc::new(SimulatedDisk::new(1));
        let engine = open(&disk);
        let (left, right) = fill(&engine);
        cut(&left, 5_000);
        engine.checkpoint().unwrap();
        let snapshot = left.snapshot();
        assert_eq!(move_cut(&engine), Moved::Done);
        rewrite(&right, MOVED, 5_000..6_000);
        checkpoints(&engine, checkpoints_between);
        drop(right);
        engine.drop_tree_set(RIGHT).unwrap();
        for _ in 0..3 {
            rewrite(&left, TREE, 0..5_000);
            checkpoints(&engine, 3);
        }
        assert_holds(&snapshot, CUT, 5_000..ENTRIES);
        assert_holds(&snapshot, TREE, 0..5_000);
        drop(snapshot);
        rewrite(&left, TREE, 0..1);
        checkpoints(&engine, 5);
        let metrics = engine.metrics();
        assert!(metrics.page_file_held_bytes < 1 << 20, "what nobody reads is free again: {metrics:?}");
        drop(left);
        engine.close().unwrap();
        assert_clean(&disk);
    }
}

#[test]
fn what_cannot_be_moved_is_an_error_and_changes_nothing() {
    let disk = Arc::new(SimulatedDisk::new(1));
    let engine = open(&disk);
    let (left, right) = fill(&engine);
    let mut transaction = right.begin();
    transaction.create_tree(MOVED).unwrap();
    transaction.commit().unwrap();
    engine.checkpoint().unwrap();
    let attempt = |from, to, trees: &[(TreeId, TreeId)]| engine.move_trees(from, to, trees, metas()).unwrap_err();
    let nowhere = TreeSetId(77);
    assert!(matches!(attempt(LEFT, LEFT, &[(TREE, CUT)]), StorageError::SameTreeSet(LEFT)));
    assert!(matches!(attempt(LEFT, nowhere, &[(TREE, CUT)]), StorageError::NoTreeSet(id) if id == nowhere));
    assert!(matches!(attempt(nowhere, LEFT, &[(TREE, CUT)]), StorageError::NoTreeSet(id) if id == nowhere));
    assert!(matches!(attempt(LEFT, RIGHT, &[(CUT, CUT)]), StorageError::NoTree(CUT)));
    assert!(matches!(attempt(LEFT, RIGHT, &[(TREE, CUT), (TREE, TREE)]), StorageError::NoTree(TREE)));
    assert!(matches!(attempt(LEFT, RIGHT, &[(TREE, MOVED)]), StorageError::TreeExists(MOVED)));
    let beyond = TreeId(u32::MAX);
    assert!(matches!(attempt(LEFT, RIGHT, &[(TREE, beyond)]), StorageError::OverLimit { .. }));
    let metas = MovedMetas { to: Some(Bytes::from(vec![0; 2 << 20])), ..metas() };
    let refused = engine.move_trees(LEFT, RIGHT, &[(TREE, CUT)], metas);
    assert!(matches!(refused, Err(StorageError::OverLimit { .. })));
    assert!(left.meta() == "whole" && right.meta().is_empty());
    assert_eq!((left.snapshot().trees(), right.snapshot().trees()), (vec![TREE], vec![MOVED]));
    assert_holds(&left.snapshot(), TREE, 0..ENTRIES);
    engine.drop_tree_set(RIGHT).unwrap();
    assert!(matches!(attempt(LEFT, RIGHT, &[(TREE, CUT)]), StorageError::NoTreeSet(RIGHT)));
    drop((left, right));
    engine.close().unwrap();
    assert_clean(&disk);
}

#[test]
fn the_engine_in_memory_does_the_same() {
    let engine = Engine::in_memory(options());
    let (left, right) = fill(&engine);
    cut(&left, 5_000);
    let snapshot = left.snapshot();
    assert_eq!(move_cut(&engine), Moved::Done);
    assert!(left.meta() == "given" && right.meta() == "taken");
    assert_holds(&left.snapshot(), TREE, 0..5_000);
    assert_holds(&right.snapshot(), MOVED, 5_000..ENTRIES);
    rewrite(&right, MOVED, 5_000..ENTRIES);
    assert_holds(&snapshot, CUT, 5_000..ENTRIES);
    drop(snapshot);
    let moved = engine.checkpoint_and_move_trees(RIGHT, LEFT, &[(MOVED, CUT)], MovedMetas::default()).unwrap();
    assert_eq!(moved, Moved::Done);
    let mut transaction = left.begin();
    transaction.join_trees(TREE, CUT).unwrap();
    transaction.commit().unwrap();
    assert_eq!(left.snapshot().count(TREE, &KeyRange::all()).unwrap(), u64::from(ENTRIES));
    // Nothing of what was moved is left behind.
    engine.drop_tree_set(LEFT).unwrap();
    drop(left);
    engine.checkpoint().unwrap();
    assert_eq!(engine.metrics().dirty_bytes, 0);
}
