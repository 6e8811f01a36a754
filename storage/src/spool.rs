//! Chunks of bytes that wait in a file of the data directory until they are read again, once, in order: a snapshot on its
//! way from another node.
//!
//! ```text
//! file     chunk after chunk, each: length u32, CRC-32 of the bytes u32, the bytes   (little-endian)
//! ```
//!
//! Never synced: what a crash leaves of a spool is worth nothing and is removed at the next start ([`sweep`]). The file is
//! removed when its writer or its reader is dropped.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, File, OpenMode};
use crate::error::{Result, StorageError};

/// What the names of all spools begin with.
pub const PREFIX: &str = "spool-";
const HEADER_BYTES: usize = 8;

/// A spool that is being written.
pub struct Spool {
    place: Place,
    end: u64,
}

/// The file, as long as somebody needs it.
struct Place {
    disk: Arc<dyn Disk>,
    name: String,
    file: Arc<dyn File>,
}

impl Spool {
    /// An empty spool. `number` must be that of no other spool that is in use in this directory.
    pub fn create(disk: Arc<dyn Disk>, number: u64) -> Result<Spool> {
        let name = format!("{PREFIX}{number:016x}");
        let file =
            disk.open(&name, OpenMode::CreateNew).map_err(|error| StorageError::io("creation of", &name, error))?;
        Ok(Spool { place: Place { disk, name, file }, end: 0 })
    }

    /// Adds a chunk. Errors: the machine's, [`StorageError::Full`] among them; the spool is of no use then.
    pub fn append(&mut self, chunk: &[u8]) -> Result<()> {
        let length = u32::try_from(chunk.len())
            .map_err(|_| self.place.error("writing of", io::ErrorKind::InvalidInput.into()))?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + chunk.len());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(chunk).to_le_bytes());
        bytes.extend_from_slice(chunk);
        let Place { file, .. } = &self.place;
        file.write_all_at(&bytes, self.end).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => StorageError::Full { needed_bytes: bytes.len() as u64 },
            _ => self.place.error("writing of", error),
        })?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// The chunks, in the order in which they were added.
    pub fn into_chunks(self) -> Chunks {
        Chunks { place: self.place, next: 0, end: self.end }
    }
}

/// Reads a spool.
pub struct Chunks {
    place: Place,
    next: u64,
    end: u64,
}

impl Chunks {
    fn read(&mut self) -> Result<Bytes> {
        let mut header = [0; HEADER_BYTES];
        self.place.read(&mut header, self.next)?;
        let [a, b, c, d, e, f, g, h] = header;
        let (length, crc) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let begin = self.next + HEADER_BYTES as u64;
        if begin + u64::from(length) > self.end {
            return Err(self.place.damaged());
        }
        let mut chunk = vec![0; length as usize];
        self.place.read(&mut chunk, begin)?;
        if crc32fast::hash(&chunk) != crc {
            return Err(self.place.damaged());
        }
        self.next = begin + u64::from(length);
        Ok(chunk.into())
    }
}

impl Iterator for Chunks {
    type Item = Result<Bytes>;

    /// Errors: the machine's, or that the bytes are not what was written. Nothing follows an error.
    fn next(&mut self) -> Option<Result<Bytes>> {
        if self.next >= self.end {
            return None;
        }
        let chunk = self.read();
        if chunk.is_err() {
            self.next = self.end;
        }
        Some(chunk)
    }
}

/// Removes what an earlier life of the node has left. Errors: the machine's.
pub fn sweep(disk: &dyn Disk) -> Result<()> {
    let names = disk.list().map_err(|error| StorageError::io("listing of", &disk.describe(), error))?;
    for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
        disk.remove(name).map_err(|error| StorageError::io("removal of", name, error))?;
    }
    Ok(())
}

impl Place {
    fn read(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        self.file.read_exact_at(buffer, at).map_err(|error| self.error("reading of", error))
    }

    fn error(&self, operation: &'static str, error: io::Error) -> StorageError {
        StorageError::io(operation, &self.name, error)
    }

    fn damaged(&self) -> StorageError {
        self.error("reading of", io::Error::new(io::ErrorKind::InvalidData, "the bytes are not what was written"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = self.disk.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::SimulatedDisk;

    fn disk() -> Arc<dyn Disk> {
        Arc::new(SimulatedDisk::new(1))
    }

    #[test]
    fn chunks_come_back_in_order_and_leave_nothing() {
        let disk = disk();
        let mut spool = Spool::create(disk.clone(), 1).unwrap();
        let chunks = [Bytes::from_static(b"one"), Bytes::new(), Bytes::from(vec![7; 100_000])];
        for chunk in &chunks {
            spool.append(chunk).unwrap();
        }
        let found: Result<Vec<_>> = spool.into_chunks().collect();
        assert_eq!(found.unwrap(), chunks);
        assert!(disk.list().unwrap().is_empty());
    }

    #[test]
    fn damage_is_an_error_and_the_end() {
        let disk = disk();
        let mut spool = Spool::create(disk.clone(), 1).unwrap();
        spool.append(b"one").unwrap();
        spool.append(b"two").unwrap();
        spool.place.file.write_all_at(b"x", HEADER_BYTES as u64).unwrap();
        let mut chunks = spool.into_chunks();
        assert!(matches!(chunks.next(), Some(Err(StorageError::Io { .. }))));
        assert!(chunks.next().is_none());
    }

    #[test]
    fn what_an_earlier_life_left_is_swept_and_nothing_else() {
        let disk = disk();
        std::mem::forget(Spool::create(disk.clone(), 3).unwrap());
        disk.open("wal-1", OpenMode::CreateNew).unwrap();
        sweep(&*disk).unwrap();
        assert_eq!(disk.list().unwrap(), ["wal-1"]);
    }
}
