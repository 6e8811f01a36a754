//! One damaged superblock is survived by the other; two are refused; files of different ages are refused; a newer
//! program's superblock is refused; identity and boot counter survive the loss of either.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::sync::Arc;

use bytes::Bytes;
use harness::options;
use photondb_storage::disk::simulated::{Fault, SimulatedDisk};
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::superblock::Superblock;
use photondb_storage::{Engine, StorageError, TreeId, TreeSetId};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);

fn open(disk: &SimulatedDisk) -> Result<Engine, StorageError> {
    Engine::open(Arc::new(disk.clone()), options())
}

fn commit(engine: &Engine, text: &str) {
    let set = engine.tree_set(SET).unwrap_or_else(|| engine.create_tree_set(SET).unwrap());
    let mut transaction = set.begin();
    if !transaction.has_tree(TREE) {
        transaction.create_tree(TREE).unwrap();
    }
    transaction.put(TREE, b"key", text.as_bytes()).unwrap();
    transaction.set_meta(Bytes::copy_from_slice(text.as_bytes())).unwrap();
    transaction.commit().unwrap();
}

fn value(engine: &Engine) -> Option<Bytes> {
    engine.tree_set(SET)?.get(TREE, b"key").unwrap()
}

fn overwrite(disk: &SimulatedDisk, slot: u64, bytes: &[u8]) {
    disk.open("superblock", OpenMode::Existing).unwrap().write_all_at(bytes, slot * 4096).unwrap();
}

#[test]
fn the_other_one_serves() {
    let disk = SimulatedDisk::new(1);
    let engine = open(&disk).unwrap();
    commit(&engine, "older");
    engine.checkpoint().unwrap();
    commit(&engine, "newer");
    let generation = engine.checkpoint().unwrap().generation;
    assert_eq!(engine.tree_set(SET).unwrap().durable_meta().unwrap(), "older");
    drop(engine);
    for (slot, expected) in [(generation % 2, "older"), ((generation + 1) % 2, "newer")] {
        let disk = disk.fork(2);
        disk.restart();
        overwrite(&disk, slot, &[0xA5; 512]);
        let engine = open(&disk).unwrap();
        assert_eq!(value(&engine).unwrap(), expected);
        // The opening repaired the damaged slot.
        drop(engine);
        overwrite(&disk, slot, &[0xA5; 512]);
        assert_eq!(value(&open(&disk).unwrap()).unwrap(), expected);
    }
}

#[test]
fn both_damaged_is_refused() {
    let disk = SimulatedDisk::new(1);
    drop(open(&disk).unwrap());
    overwrite(&disk, 0, &[1; 512]);
    overwrite(&disk, 1, &[1; 512]);
    assert!(matches!(open(&disk), Err(StorageError::NoSuperblock { .. })));
}

#[test]
fn missing_beside_pages_is_refused() {
    let disk = SimulatedDisk::new(1);
    let engine = open(&disk).unwrap();
    commit(&engine, "something");
    engine.close().unwrap();
    disk.remove("superblock").unwrap();
    assert!(matches!(open(&disk), Err(StorageError::NoSuperblock { .. })));
}

#[test]
fn older_than_the_log_is_refused() {
    let disk = SimulatedDisk::new(1);
    let engine = open(&disk).unwrap();
    commit(&engine, "something");
    let mut old = vec![0; 8192];
    disk.open("superblock", OpenMode::ReadOnly).unwrap().read_exact_at(&mut old, 0).unwrap();
    for round in 0..4 {
        commit(&engine, &format!("round {round}"));
        engine.checkpoint().unwrap();
    }
    engine.close().unwrap();
    overwrite(&disk, 0, &old);
    assert!(matches!(open(&disk), Err(StorageError::StaleCheckpoint { .. })));
}

/// A sync that fails, or a process that is killed before it, leaves a superblock that is seen and not on the disk. The
/// opening after it may lose power while it writes the other one.
#[test]
fn or_one_that_was_only_seen_is_survived() {
    for seed in 0..60 {
        let disk = SimulatedDisk::new(seed);
        let engine = open(&disk).unwrap();
        for round in 0..3 {
            commit(&engine, &format!("round {round}"));
            engine.checkpoint().unwrap();
        }
        commit(&engine, "the last");
        disk.strike_file_after(Fault::SyncError, 0, "superblock");
        engine.checkpoint().unwrap_err();
        drop(engine);
        disk.kill();
        for operations in 0..12 {
            let again = disk.fork(seed * 100 + operations);
            again.crash_at(operations);
            drop(open(&again));
            again.restart();
            open(&again).unwrap_or_else(|error| panic!("seed {seed}, operation {operations}: {error}"));
        }
    }
}

#[test]
fn of_a_newer_program_is_refused() {
    let disk = SimulatedDisk::new(1);
    drop(open(&disk).unwrap());
    let mut block = Superblock { generation: 9, ..Superblock::default() }.encode();
    block[8..12].copy_from_slice(&3u32.to_le_bytes());
    let checksum = crc32fast::hash(&block[..4092]);
    block[4092..].copy_from_slice(&checksum.to_le_bytes());
    overwrite(&disk, 0, &block);
    match open(&disk) {
        Err(StorageError::NewerFormat { found: 3, supported: 2, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn loses_neither_identity_nor_boot_counter() {
    let disk = SimulatedDisk::new(1);
    let engine = open(&disk).unwrap();
    assert_eq!(engine.identity().boot, 1);
    engine.set_identity(11, 22).unwrap();
    engine.set_identity(11, 22).unwrap();
    assert!(matches!(engine.set_identity(11, 23), Err(StorageError::IdentitySet { cluster: 11, node: 22 })));
    drop(engine);
    for (slot, boot) in [(0, 2), (1, 3)] {
        overwrite(&disk, slot, &[0; 4096]);
        let identity = open(&disk).unwrap().identity();
        assert_eq!((identity.cluster, identity.node, identity.boot), (Some(11), Some(22), boot));
    }
}

#[test]
fn one_process_per_directory() {
    let disk = SimulatedDisk::new(1);
    let engine = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(StorageError::Locked { .. })));
    drop(engine);
    open(&disk).unwrap();
}
