//! A write of a page that the disk confirms and forgets, or a read that gives what stood there before, is never answered
//! from: the page that an earlier life of the slot left there is a whole page, under a right checksum, in the right place.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_storage::disk::simulated::{Fault, SimulatedDisk};
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, StorageError, TreeId, TreeSetId};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(1);

fn open(disk: &SimulatedDisk) -> Result<Engine, StorageError> {
    // Without a cache: what is read comes from the disk.
    Engine::open(Arc::new(disk.clone()), EngineOptions { cache_bytes: 0, ..EngineOptions::default() })
}

/// Changes some entries, small ones and large ones, of a tree of a few hundred.
fn change(engine: &Engine, model: &mut Model, round: u64) {
    let set = engine.tree_set(SET).unwrap_or_else(|| engine.create_tree_set(SET).unwrap());
    let mut transaction = set.begin();
    if round == 0 {
        transaction.create_tree(TREE).unwrap();
    }
    for number in 0..40 {
        let key = format!("key {:04}", (round * 17 + number * 7) % 300).into_bytes();
        let length = if number % 8 == 0 { 3_000 } else { 120 };
        let value = vec![u8::try_from(round % 251).unwrap(); length];
        transaction.put(TREE, &key, &value).unwrap();
        model.insert(key, value);
    }
    transaction.commit().unwrap();
}

/// How many rounds it takes until checkpoints write into slots that had other pages before.
const ROUNDS: u64 = 12;

fn worked_disk() -> (SimulatedDisk, Engine, Model) {
    let (disk, mut model) = (SimulatedDisk::new(7), Model::new());
    // The disk remembers what stood in a sector before only when it may be asked for it.
    disk.strike_file_after(Fault::StaleRead, u64::MAX, "pages");
    let engine = open(&disk).unwrap();
    for round in 0..ROUNDS {
        change(&engine, &mut model, round);
        engine.checkpoint().unwrap();
    }
    (disk, engine, model)
}

/// Everything that can be read is what was written. Returns whether something could not be read.
fn is_reported(engine: &Engine, model: &Model) -> Result<bool, StorageError> {
    let snapshot = engine.tree_set(SET).unwrap().snapshot();
    let mut reported = false;
    for (key, value) in model {
        match snapshot.get(TREE, key) {
            Ok(found) => assert_eq!(found.as_deref(), Some(&value[..]), "{}", key.escape_ascii()),
            Err(StorageError::DamagedPage { .. }) => reported = true,
            Err(other) => return Err(other),
        }
    }
    let mut cursor = snapshot.cursor(TREE, KeyRange::all(), Direction::Forward)?;
    let mut expected = model.iter();
    loop {
        match cursor.next() {
            Ok(Some((key, value))) => {
                assert_eq!(expected.next().map(|(key, value)| (&key[..], &value[..])), Some((&key[..], &value[..])));
            }
            Ok(None) => {
                assert!(expected.next().is_none(), "a scan ends before the last entry");
                return Ok(reported);
            }
            Err(StorageError::DamagedPage { .. }) => return Ok(true),
            Err(other) => return Err(other),
        }
    }
}

#[test]
fn after_a_lost_write() {
    let mut reported = 0;
    for lost in 0..12 {
        let (disk, engine, mut model) = worked_disk();
        disk.strike_file_after(Fault::LostWrite, lost, "pages");
        change(&engine, &mut model, ROUNDS);
        engine.checkpoint().unwrap();
        let struck = disk.strikes_of(Fault::LostWrite);
        drop(engine);
        disk.crash();
        let found = open(&disk).and_then(|engine| is_reported(&engine, &model));
        match found {
            Ok(found) => reported += u64::from(found),
            Err(error) => {
                assert!(struck == 1, "nothing was lost: {error}");
                reported += 1;
            }
        }
    }
    assert!(reported > 2, "lost writes were noticed {reported} times only");
}

#[test]
fn by_a_stale_read() {
    let (disk, engine, mut model) = worked_disk();
    change(&engine, &mut model, ROUNDS);
    engine.checkpoint().unwrap();
    let mut reported = 0;
    for read in 0..60 {
        disk.strike_file_after(Fault::StaleRead, read, "pages");
        match is_reported(&engine, &model) {
            Ok(found) => reported += u64::from(found),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(reported > 10, "stale reads were noticed {reported} times only");
}
