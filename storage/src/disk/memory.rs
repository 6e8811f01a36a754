//! A disk that is only memory: for `--memory`. Everything is durable at once and gone with the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::{DirectoryLock, Disk, File, OpenMode};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, RwLock};

/// Named byte vectors.
#[derive(Default)]
pub struct MemoryDisk {
    files: Mutex<BTreeMap<String, Arc<RwLock<Vec<u8>>>>>,
    locked: Arc<AtomicBool>,
}

impl MemoryDisk {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut files = self.files.lock();
        let bytes = match (mode, files.get(name)) {
            (OpenMode::CreateNew, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::CreateNew, None) => Arc::clone(files.entry(name.to_owned()).or_default()),
            (_, Some(bytes)) => Arc::clone(bytes),
            (_, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(MemoryFile { bytes, read_only: mode == OpenMode::ReadOnly }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        let bytes = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.lock().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock { locked: Arc::clone(&self.locked) }))
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

struct MemoryLock {
    locked: Arc<AtomicBool>,
}

impl DirectoryLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.locked.store(false, Ordering::Release);
    }
}

struct MemoryFile {
    bytes: Arc<RwLock<Vec<u8>>>,
    read_only: bool,
}

impl MemoryFile {
    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}

impl File for MemoryFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.bytes.read();
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, written: &[u8], offset: u64) -> io::Result<()> {
        self.writable()?;
        let mut bytes = self.bytes.write();
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::StorageFull)?;
        let end = start.checked_add(written.len()).ok_or(io::ErrorKind::StorageFull)?;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(written);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.read().len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.writable()?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        let mut bytes = self.bytes.write();
        if bytes.is_empty() {
            // Zeroed memory from the system costs nothing until it is touched; `resize` would touch all of it.
            *bytes = vec![0; length];
        } else {
            bytes.resize(length, 0);
        }
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        if self.len()? < length { self.set_len(length) } else { Ok(()) }
    }
}
