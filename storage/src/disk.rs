//! What storage asks of the machine: named files in one data directory, positioned reads and writes, explicit syncs.
//!
//! Three implementations: [`system`] (the real one), [`memory`] (for `--memory`: durable until the process ends) and
//! [`simulated`] (loses what was not synced, tears, flips bits, fills up, fails). Everything above this module sees only
//! these traits, so that a crash can be tried at every one of its calls.
//!
//! Durability contract, the same for both:
//! - Bytes written with [`File::write_at`] survive a crash only after [`File::sync_data`] returned `Ok` on that file.
//!   Until then any subset of the 512-byte sectors written may survive, in any order.
//! - A created, renamed or removed name survives only after [`Disk::sync_directory`] returned `Ok`.
//! - An error from a sync leaves the file's durability unknown for ever; the caller ends the process (DESIGN section 2).

use std::io;
use std::sync::Arc;

pub mod memory;
pub mod read_only;
pub mod simulated;
pub mod system;

/// The unit that a crash keeps or loses as a whole, in bytes.
pub const SECTOR_SIZE: usize = 512;

/// How [`Disk::open`] treats a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The file must exist; it is opened for reading and writing.
    Existing,
    /// The file must not exist; it is created empty.
    CreateNew,
    /// The file must exist; writes through this handle fail.
    ReadOnly,
}

/// One data directory. Names are relative to it, without separators.
pub trait Disk: Send + Sync + 'static {
    /// Opens `name`. Errors: `NotFound`, `AlreadyExists`, or what the system says.
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// All names in the directory, sorted.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Renames atomically, replacing `to`. Durable after [`Disk::sync_directory`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name. Durable after [`Disk::sync_directory`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the directory's names durable.
    fn sync_directory(&self) -> io::Result<()>;

    /// Takes the directory's exclusive lock until the returned guard is dropped. Errors: `WouldBlock` when another
    /// process holds it.
    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>>;

    /// As [`Disk::lock`], but creates nothing: `None` when there is no lock file, as in a copy that left it out.
    fn lock_present(&self) -> io::Result<Option<Box<dyn DirectoryLock>>> {
        self.lock().map(Some)
    }

    /// Where the directory is, for messages to people.
    fn describe(&self) -> String;
}

/// Holds the exclusive right to a data directory.
pub trait DirectoryLock: Send + Sync {}

/// One open file.
pub trait File: Send + Sync + 'static {
    /// Fills `buffer` from `offset`. Errors: `UnexpectedEof` when the file ends before the buffer is full.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, growing the file when needed. On error any part may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written so far durable, and the length when it grew (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeros) to `length` bytes.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Reserves and zero-fills space up to `length`, so that later writes below it change no metadata and cannot fail
    /// for lack of space. Errors: `StorageFull`.
    fn allocate(&self, length: u64) -> io::Result<()>;
}
