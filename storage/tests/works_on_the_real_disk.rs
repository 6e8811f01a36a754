//! The same engine on the machine's own file system: reopened, refused while open, checked, dropped without closing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use harness::assert_clean;
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::wal::{Record, StreamId};
use photondb_storage::{Compression, Engine, EngineOptions, KeyRange, StorageError, TreeId, TreeSetId, verify};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);

fn open(path: &Path) -> Result<Engine, StorageError> {
    let options = EngineOptions { cache_bytes: 1 << 20, compression: Compression::Lz4, ..EngineOptions::default() };
    Engine::open(Arc::new(SystemDisk::open(path).unwrap()), options)
}

#[test]
fn across_reopening() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4u64 {
        let engine = open(folder.path()).unwrap();
        assert_eq!(engine.identity().boot, round + 1);
        assert!(matches!(open(folder.path()), Err(StorageError::Locked { .. })));
        let disk = Arc::new(SystemDisk::open(folder.path()).unwrap());
        assert!(matches!(verify::check(disk, &mut |_| {}), Err(StorageError::Locked { .. })));
        let set = engine.tree_set(SET).unwrap_or_else(|| engine.create_tree_set(SET).unwrap());
        let mut transaction = set.begin();
        if round == 0 {
            transaction.create_tree(TREE).unwrap();
        }
        for key in 0..5_000u64 {
            let length = if key.is_multiple_of(500) { 150_000 } else { 300 };
            transaction.put(TREE, &(key * 4 + round).to_be_bytes(), &vec![round as u8; length]).unwrap();
        }
        transaction.commit().unwrap();
        let entry = Record::Entry { index: round + 1, term: 1, payload: Bytes::from_static(b"entry") };
        engine.wal().submit(StreamId(1), vec![entry], None);
        // Rounds end with and without closing; a checkpoint is what counts.
        match round % 2 {
            0 => engine.close().unwrap(),
            _ => drop(engine.checkpoint().unwrap()),
        }
    }
    assert_clean(&Arc::new(SystemDisk::open(folder.path()).unwrap()));
    let engine = open(folder.path()).unwrap();
    assert_eq!(engine.recovered_streams()[&StreamId(1)].last_index, Some(4));
    let set = engine.tree_set(SET).unwrap();
    assert_eq!(set.snapshot().count(TREE, &KeyRange::all()).unwrap(), 20_000);
    for key in (0..20_000u64).step_by(77) {
        assert_eq!(set.get(TREE, &key.to_be_bytes()).unwrap().unwrap()[0], (key % 4) as u8);
    }
    let metrics = engine.metrics();
    assert!(metrics.cache_bytes <= 1 << 20 && metrics.cache_misses > 0, "{metrics:?}");
}
