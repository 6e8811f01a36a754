//! One file of the log: its name, its header, how it comes and goes.
//!
//! A segment that holds nothing any more is renamed to a spare, and a spare is renamed to the next segment. Each rename
//! is made durable before the next step, so the names `wal-*` on the disk are always one unbroken run of sequences.

use std::sync::Arc;

use super::Lsn;
use super::format::{HeaderFound, Kind, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::checksum::incarnation;
use crate::disk::{Disk, File, OpenMode};
use crate::error::StorageError;
use crate::fault::fault_point;

const PREFIX: &str = "wal-";
const SPARE_PREFIX: &str = "wal-spare-";

/// An open segment whose header is durable.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) name: String,
    pub(super) file: Arc<dyn File>,
}

/// The file name of a segment.
pub(super) fn segment_name(sequence: u64) -> String {
    format!("{PREFIX}{sequence:016x}")
}

/// The sequence in a segment's file name.
pub(super) fn parse_segment_name(name: &str) -> Option<u64> {
    parse_number(name.strip_prefix(PREFIX)?)
}

/// Whether this is the name of a file kept to become a segment.
pub(super) fn is_spare_name(name: &str) -> bool {
    name.strip_prefix(SPARE_PREFIX).and_then(parse_number).is_some()
}

fn parse_number(digits: &str) -> Option<u64> {
    let plain = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// Makes a file of `length`, with its space reserved.
fn allocate(disk: &dyn Disk, name: &str, length: u64) -> Result<Arc<dyn File>, StorageError> {
    let file = disk.open(name, OpenMode::CreateNew).map_err(|error| StorageError::io("create", name, error))?;
    if let Err(error) = file.allocate(length) {
        // Half a file must not keep the space somebody else may need. If it cannot be removed, recovery will.
        drop(file);
        let removed = disk.remove(name);
        let error = StorageError::io("allocate", name, error);
        return match removed {
            Ok(()) => Err(if error.is_full() { StorageError::Full { needed_bytes: length } } else { error }),
            Err(_) => Err(error),
        };
    }
    Ok(file)
}

/// Makes a new spare beside those named. Its name is none that a segment will get when it is retired: those are numbered from
/// below.
pub(super) fn reserve(disk: &dyn Disk, names: &[String], length: u64) -> Result<String, StorageError> {
    let name = (0..=names.len() as u64)
        .map(|number| format!("{SPARE_PREFIX}{:016x}", u64::MAX - number))
        .find(|name| !names.contains(name))
        .expect("one more name than are taken");
    allocate(disk, &name, length)?;
    Ok(name)
}

impl Segment {
    /// The position after the segment's last byte.
    pub(super) fn end(&self) -> Lsn {
        self.header.start.plus(self.header.length)
    }

    /// The offset of `position` in this file.
    pub(super) fn offset_of(&self, position: Lsn) -> u64 {
        position.get() - self.header.start.get()
    }

    /// Creates a segment from nothing: all zeros, space reserved, header and name durable.
    pub(super) fn create(
        disk: &dyn Disk,
        seed: u64,
        sequence: u64,
        start: Lsn,
        length: u64,
    ) -> Result<Self, StorageError> {
        let name = segment_name(sequence);
        let file = allocate(disk, &name, length)?;
        let segment = Self {
            header: SegmentHeader::first_version(incarnation(seed, sequence), sequence, start, length),
            name,
            file,
        };
        segment.write_header()?;
        sync_directory(disk)?;
        Ok(segment)
    }

    /// Makes a spare the next segment. The rename is durable before the header changes: whatever a crash leaves, a name
    /// and the header under it belong together, or the header is refused.
    pub(super) fn recycle(
        disk: &dyn Disk,
        spare: &str,
        seed: u64,
        sequence: u64,
        start: Lsn,
        length: u64,
    ) -> Result<Self, StorageError> {
        crate::probe!("log segment used again");
        let name = segment_name(sequence);
        disk.rename(spare, &name).map_err(|error| StorageError::io("rename", spare, error))?;
        sync_directory(disk)?;
        let file = disk.open(&name, OpenMode::Existing).map_err(|error| StorageError::io("open", &name, error))?;
        let segment = Self {
            header: SegmentHeader::first_version(incarnation(seed, sequence), sequence, start, length),
            name,
            file,
        };
        segment.write_header()?;
        Ok(segment)
    }

    /// Opens the file and reads its header. `Ok(None)`: it is not (yet) a segment of that sequence.
    pub(super) fn open(disk: &dyn Disk, sequence: u64) -> Result<Option<Self>, StorageError> {
        let name = segment_name(sequence);
        let io = |operation, error| StorageError::io(operation, &name, error);
        let file = disk.open(&name, OpenMode::Existing).map_err(|error| io("open", error))?;
        let length = file.len().map_err(|error| io("measure", error))?;
        if length < SEGMENT_HEADER_BYTES {
            return Ok(None);
        }
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES as usize];
        file.read_exact_at(&mut bytes, 0).map_err(|error| io("read", error))?;
        match SegmentHeader::decode(&bytes) {
            HeaderFound::Valid(header) if header.sequence == sequence && header.length == length => {
                Ok(Some(Self { header, name, file }))
            }
            HeaderFound::Newer(found) => {
                Err(StorageError::NewerFormat { name, found, supported: super::format::VERSION })
            }
            HeaderFound::Valid(_) | HeaderFound::Invalid => Ok(None),
        }
    }

    /// Turns the file into a spare; durable on return.
    pub(super) fn retire(disk: &dyn Disk, sequence: u64) -> Result<String, StorageError> {
        let name = segment_name(sequence);
        let spare = format!("{SPARE_PREFIX}{sequence:016x}");
        disk.rename(&name, &spare).map_err(|error| StorageError::io("rename", &name, error))?;
        sync_directory(disk)?;
        Ok(spare)
    }

    /// Writes the header and makes it durable.
    pub(super) fn write_header(&self) -> Result<(), StorageError> {
        self.write(&self.header.encode(), 0)?;
        self.sync()
    }

    /// Lets records of this kind into the segment; durable on return. Both copies of the header may be torn: each is whole
    /// in its sector, and both are of this segment.
    pub(super) fn admit_kind(&self, kind: Kind) -> Result<(), StorageError> {
        if kind.version() <= self.header.version {
            return Ok(());
        }
        self.write(&SegmentHeader { version: kind.version(), ..self.header }.encode(), 0)?;
        self.sync()
    }

    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), StorageError> {
        assert!(offset + bytes.len() as u64 <= self.header.length, "W2: a segment never grows");
        self.file.write_all_at(bytes, offset).map_err(|error| StorageError::io("write", &self.name, error))
    }

    pub(super) fn sync(&self) -> Result<(), StorageError> {
        match self.file.sync_data() {
            Err(error) if fault_point!("swallow-eio") && error.raw_os_error() == Some(5) => Ok(()),
            synced => synced.map_err(|error| StorageError::io("sync", &self.name, error)),
        }
    }
}

/// Removes a file of the log; durable on return.
pub(super) fn remove(disk: &dyn Disk, name: &str) -> Result<(), StorageError> {
    disk.remove(name).map_err(|error| StorageError::io("remove", name, error))?;
    sync_directory(disk)
}

fn sync_directory(disk: &dyn Disk) -> Result<(), StorageError> {
    disk.sync_directory().map_err(|error| StorageError::io("sync directory", &disk.describe(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_nothing_else_is() {
        assert_eq!(segment_name(0xab), "wal-00000000000000ab");
        assert_eq!(parse_segment_name("wal-00000000000000ab"), Some(0xab));
        for other in ["wal-ab", "wal-00000000000000AB", "wal-spare-00000000000000ab", "wal-+0000000000000ab", "LOCK"] {
            assert_eq!(parse_segment_name(other), None);
        }
        assert!(is_spare_name("wal-spare-00000000000000ab") && !is_spare_name("wal-00000000000000ab"));
    }
}
