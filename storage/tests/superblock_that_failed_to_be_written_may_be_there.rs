//! A write that fails may have arrived all the same. A superblock of which that is so refers to slots that the next attempt
//! would give out again, so there is no next attempt.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use harness::{assert_clean, options};
use photondb_storage::disk::memory::MemoryDisk;
use photondb_storage::disk::{DirectoryLock, Disk, File, OpenMode};
use photondb_storage::{Engine, TreeId, TreeSetId};

const SET: TreeSetId = TreeSetId(1);
const TREE: TreeId = TreeId(0);

const WORKS: u8 = 0;
const FAILS_WITH_ALL_WRITTEN: u8 = 1;
const FAILS_WITH_NOTHING_WRITTEN: u8 = 2;

/// Memory, whose writes to the superblock fail in one of two ways.
#[derive(Clone)]
struct Unreliable {
    disk: Arc<MemoryDisk>,
    mood: Arc<AtomicU8>,
}

struct UnreliableFile {
    file: Arc<dyn File>,
    mood: Arc<AtomicU8>,
}

impl Disk for Unreliable {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(name, mode)?;
        if name != "superblock" {
            return Ok(file);
        }
        Ok(Arc::new(UnreliableFile { file, mood: Arc::clone(&self.mood) }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        self.disk.lock()
    }

    fn describe(&self) -> String {
        self.disk.describe()
    }
}

impl File for UnreliableFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mood = self.mood.load(Ordering::SeqCst);
        if mood != FAILS_WITH_NOTHING_WRITTEN {
            self.file.write_all_at(bytes, offset)?;
        }
        if mood == WORKS { Ok(()) } else { Err(io::Error::other("input/output error")) }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }
}

fn fill(engine: &Engine, value: &[u8]) {
    let set = engine.tree_set(SET).unwrap();
    let mut transaction = set.begin();
    for key in 0..2_000u16 {
        transaction.put(TREE, &key.to_be_bytes(), value).unwrap();
    }
    transaction.commit().unwrap();
}

/// Opened once before with the file in its place, so that the superblock is opened by its name.
fn engine() -> (Engine, Unreliable) {
    let disk = Unreliable { disk: Arc::new(MemoryDisk::new()), mood: Arc::default() };
    Engine::open(Arc::new(disk.clone()), options()).unwrap().close().unwrap();
    let engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
    let mut transaction = engine.create_tree_set(SET).unwrap().begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    fill(&engine, b"first");
    engine.checkpoint().unwrap();
    (engine, disk)
}

#[test]
fn when_it_is_there_nothing_is_tried_again() {
    let (engine, disk) = engine();
    fill(&engine, b"second");
    disk.mood.store(FAILS_WITH_ALL_WRITTEN, Ordering::SeqCst);
    let first = engine.checkpoint().unwrap_err();
    disk.mood.store(FAILS_WITH_NOTHING_WRITTEN, Ordering::SeqCst);
    fill(&engine, b"third");
    let second = engine.checkpoint().unwrap_err();
    drop(engine);
    disk.mood.store(WORKS, Ordering::SeqCst);
    assert_clean(&Arc::new(disk.clone()));
    assert!(first.is_fatal() && second.is_fatal(), "{first}, {second}");
    let engine = Engine::open(Arc::new(disk), options()).unwrap();
    let set = engine.tree_set(SET).unwrap();
    assert_eq!(set.get(TREE, &[0, 7]).unwrap().unwrap(), b"second"[..]);
}

#[test]
fn when_it_is_not_there_it_is_tried_again() {
    let (engine, disk) = engine();
    fill(&engine, b"second");
    disk.mood.store(FAILS_WITH_NOTHING_WRITTEN, Ordering::SeqCst);
    assert!(!engine.checkpoint().unwrap_err().is_fatal());
    disk.mood.store(WORKS, Ordering::SeqCst);
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    assert_clean(&Arc::new(disk));
}
