//! A string of operations against `BTreeMap`: put, delete, commit, rollback, checkpoint, reopen.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, TreeId, TreeSetId, verify};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);

fuzz_target!(|data: &[u8]| {
    let disk = SimulatedDisk::new(1);
    let open = || Engine::open(Arc::new(disk.clone()), EngineOptions::default()).expect("the disk is sound");
    let mut engine = open();
    let mut set = engine.create_tree_set(SET).expect("the set is new");
    let mut committed: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut transaction = set.begin();
    transaction.create_tree(TREE).expect("the tree is new");
    transaction.commit().expect("in memory");
    for piece in data.chunks(16).take(400) {
        let mut model = committed.clone();
        let mut transaction = set.begin();
        for operation in piece.chunks_exact(4) {
            let key = vec![b'k'; usize::from(operation[1]) * 4];
            let key = [&operation[2..3], &key].concat();
            if operation[0] % 3 == 0 {
                let removed = transaction.delete(TREE, &key).expect("the pages are sound");
                assert_eq!(removed, model.remove(&key).is_some());
            } else {
                let value = vec![operation[3]; usize::from(operation[3]) * usize::from(operation[0])];
                transaction.put(TREE, &key, &value).expect("the pages are sound");
                model.insert(key, value);
            }
        }
        match piece[0] >> 5 {
            0 => transaction.rollback(),
            _ => {
                transaction.commit().expect("in memory");
                committed = model;
            }
        }
        if piece[0] >> 5 == 1 {
            engine.checkpoint().expect("the disk has room");
        }
        if piece[0] == 0x40 {
            drop(set);
            engine.close().expect("the disk has room");
            engine = open();
            set = engine.tree_set(SET).expect("the set was there");
        }
        let mut cursor = set.snapshot().cursor(TREE, KeyRange::all(), Direction::Forward).expect("the tree exists");
        for (key, value) in &committed {
            let (found_key, found) = cursor.next().expect("the pages are sound").expect("the key is there");
            assert!(found_key == key[..] && found == value[..]);
        }
    }
    drop(set);
    engine.close().expect("the disk has room");
    assert!(verify::check(Arc::new(disk), &mut |_| {}).expect("the disk is sound").problems.is_empty());
});
