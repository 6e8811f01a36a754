//! A bit flipped anywhere in the page file is reported by the check and never served: a read gives the right answer or
//! an error.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;

use harness::{Random, assert_clean, full, plain_options};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::{Direction, Engine, KeyRange, StorageError, TreeId, TreeSetId, verify};

const SET: TreeSetId = TreeSetId(3);
const TREE: TreeId = TreeId(0);

fn database() -> (SimulatedDisk, BTreeMap<Vec<u8>, Vec<u8>>) {
    let disk = SimulatedDisk::new(1);
    let engine = Engine::open(Arc::new(disk.clone()), plain_options()).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    let mut random = Random::new(5);
    let mut rows = BTreeMap::new();
    let mut transaction = set.begin();
    transaction.create_tree(TREE).unwrap();
    for number in 0..400u32 {
        let length = if number % 50 == 0 { 100_000 } else { random.below(600) as usize };
        let (key, value) = (number.to_be_bytes().to_vec(), vec![number as u8; length]);
        transaction.put(TREE, &key, &value).unwrap();
        rows.insert(key, value);
    }
    transaction.commit().unwrap();
    engine.close().unwrap();
    assert_clean(&Arc::new(disk.clone()));
    (disk, rows)
}

/// Reads everything by scan and by key; whatever comes back without an error is right.
fn read_everything(disk: &SimulatedDisk, rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), StorageError> {
    let engine = Engine::open(Arc::new(disk.clone()), plain_options())?;
    let set = engine.tree_set(SET).expect("a set that is in the catalogue opens, or opening fails");
    for (key, value) in rows {
        match set.get(TREE, key) {
            Ok(read) => assert_eq!(read.as_deref(), Some(&value[..])),
            Err(error) => assert!(matches!(error, StorageError::DamagedPage { .. }), "{error}"),
        }
    }
    let mut cursor = set.snapshot().cursor(TREE, KeyRange::all(), Direction::Forward)?;
    for (key, value) in rows {
        match cursor.next() {
            Ok(read) => assert_eq!(read.map(|(k, v)| (k.to_vec(), v.to_vec())), Some((key.clone(), value.clone()))),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[test]
fn in_any_page() {
    let (disk, rows) = database();
    let length = disk.open("pages", OpenMode::ReadOnly).unwrap().len().unwrap();
    let mut random = Random::new(7);
    let (mut reported, mut unused) = (0, 0);
    for _ in 0..if full() { 5_000 } else { 250 } {
        let offset = random.below(length);
        let damaged = disk.fork(random.next());
        assert!(damaged.flip_bit("pages", offset));
        let read = read_everything(&damaged.fork(1), &rows);
        let report = match verify::check(Arc::new(damaged.clone()), &mut |_| {}) {
            Ok(report) => report,
            Err(error) => panic!("the check itself fails: {error}"),
        };
        match read {
            Err(error) => {
                assert!(!report.problems.is_empty(), "byte {offset}: {error}, but the check finds nothing");
                reported += 1;
            }
            Ok(()) if report.problems.is_empty() => unused += 1,
            // Damage in the books of the allocator or in an extent header: reads do not pass there.
            Ok(()) => reported += 1,
        }
    }
    println!("{reported} reported, {unused} in bytes that hold nothing");
    assert!(reported > 30);
}

#[test]
fn with_page_offset_and_both_sums() {
    let (disk, _) = database();
    // The first slot of the first extent is in use; this is in the middle of its payload.
    assert!(disk.flip_bit("pages", 4096 + 100));
    let report = verify::check(Arc::new(disk), &mut |_| {}).unwrap();
    let StorageError::DamagedPage { offset, expected, found, .. } = &report.problems[0].problem else {
        panic!("{:?}", report.problems)
    };
    assert_eq!(*offset, 4096 + 32);
    assert_eq!(report.problems[0].offset, Some(4096 + 32));
    assert_ne!(expected, found);
}
