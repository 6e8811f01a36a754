//! Another disk, through which nothing can be changed: for looking at a directory.
//!
//! What examines a directory runs code that elsewhere opens files for writing. Here that code gets handles that only
//! read, so that "changes nothing" is a property of the disk and not a promise of every caller.

use std::io;
use std::sync::Arc;

use super::{DirectoryLock, Disk, File, OpenMode};

/// A disk that refuses everything but reading.
pub struct ReadOnlyDisk {
    inner: Arc<dyn Disk>,
}

impl ReadOnlyDisk {
    /// Looks at `inner`.
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self { inner }
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "the directory is only looked at"))
}

impl Disk for ReadOnlyDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        match mode {
            OpenMode::Existing | OpenMode::ReadOnly => {
                let file = self.inner.open(name, OpenMode::ReadOnly)?;
                Ok(Arc::new(ReadOnlyFile { file }))
            }
            OpenMode::CreateNew => refused(),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        refused()
    }

    fn sync_directory(&self) -> io::Result<()> {
        refused()
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        refused()
    }

    fn lock_present(&self) -> io::Result<Option<Box<dyn DirectoryLock>>> {
        self.inner.lock_present()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

struct ReadOnlyFile {
    file: Arc<dyn File>,
}

impl File for ReadOnlyFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        refused()
    }

    fn sync_data(&self) -> io::Result<()> {
        refused()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, _length: u64) -> io::Result<()> {
        refused()
    }

    fn allocate(&self, _length: u64) -> io::Result<()> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryDisk;

    #[test]
    fn nothing_can_be_changed_through_it() {
        let inner = Arc::new(MemoryDisk::new());
        let file = inner.open("a", OpenMode::CreateNew).unwrap();
        file.write_all_at(b"kept", 0).unwrap();
        let disk = ReadOnlyDisk::new(inner);
        let seen = disk.open("a", OpenMode::Existing).unwrap();
        let mut bytes = [0; 4];
        seen.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((&bytes, seen.len().unwrap()), (b"kept", 4));
        let refusals = [
            seen.write_all_at(b"x", 0),
            seen.set_len(0),
            seen.allocate(9),
            seen.sync_data(),
            disk.remove("a"),
            disk.rename("a", "b"),
            disk.sync_directory(),
            disk.open("b", OpenMode::CreateNew).map(drop),
            disk.lock().map(drop),
        ];
        for refusal in refusals {
            assert_eq!(refusal.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        assert_eq!(disk.list().unwrap(), ["a"]);
    }
}
