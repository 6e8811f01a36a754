//! A disk that says it has synced and has not: with it a run must fail, which shows that the checkers look.

use std::io;
use std::sync::Arc;

use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::disk::{DirectoryLock, Disk, File, OpenMode};

/// The simulated disk, with or without its word on durability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Honesty {
    /// What is synced is durable.
    #[default]
    Honest,
    /// Syncs of files do nothing.
    Lying,
}

/// `disk` as the node gets it.
pub fn as_seen_by_node(disk: &SimulatedDisk, honesty: Honesty) -> Arc<dyn Disk> {
    match honesty {
        Honesty::Honest => Arc::new(disk.clone()),
        Honesty::Lying => Arc::new(LyingDisk(disk.clone())),
    }
}

struct LyingDisk(SimulatedDisk);

impl Disk for LyingDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(LyingFile(self.0.open(name, mode)?)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        self.0.lock()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

struct LyingFile(Arc<dyn File>);

impl File for LyingFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.0.allocate(length)
    }
}
