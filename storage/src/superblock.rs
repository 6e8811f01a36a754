//! The root of everything: two slots, the older of which is overwritten.
//!
//! C1: a superblock is written only after everything it refers to is synced. C2: whatever happens while one slot is
//! written, the other is valid and refers to pages that nobody has touched.

use std::sync::Arc;

use crate::disk::{Disk, File, OpenMode};
use crate::error::{Result, StorageError};

pub mod format;

pub use format::Superblock;
use format::{BLOCK_BYTES, Flaw};

/// Name of the superblock file.
pub const SUPERBLOCK_FILE: &str = "superblock";
/// Name of a superblock file whose creation is not finished.
pub(crate) const UNFINISHED_FILE: &str = "superblock.new";

/// The open superblock file.
pub struct Superblocks {
    file: Arc<dyn File>,
}

/// What was found in the two slots.
#[derive(Debug)]
pub struct Found {
    /// The newest valid superblock.
    pub newest: Superblock,
    /// The other slot, when it is valid too.
    pub older: Option<Superblock>,
}

impl Superblocks {
    /// Whether the directory has a superblock file.
    pub fn exists(disk: &dyn Disk) -> Result<bool> {
        let names = disk.list().map_err(|error| StorageError::io("listing of", &disk.describe(), error))?;
        Ok(names.iter().any(|name| name == SUPERBLOCK_FILE))
    }

    /// Creates the file with `first` in both slots. The name appears only when its content is durable, so a crash
    /// leaves either no superblock file or a valid one.
    pub fn create(disk: &dyn Disk, first: &Superblock) -> Result<Self> {
        let io = |operation, error| StorageError::io(operation, UNFINISHED_FILE, error);
        match disk.remove(UNFINISHED_FILE) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io("removal of", error)),
        }
        let file = disk.open(UNFINISHED_FILE, OpenMode::CreateNew).map_err(|error| io("creation of", error))?;
        let mut blocks = first.encode();
        blocks.extend(first.encode());
        file.write_all_at(&blocks, 0).map_err(|error| io("write of", error))?;
        file.sync_data().map_err(|error| StorageError::sync(UNFINISHED_FILE, error))?;
        // Names survive one by one: the page file's must not be lost where the superblock's is kept.
        disk.sync_directory().map_err(|error| StorageError::sync(&disk.describe(), error))?;
        disk.rename(UNFINISHED_FILE, SUPERBLOCK_FILE).map_err(|error| io("renaming of", error))?;
        disk.sync_directory().map_err(|error| StorageError::sync(&disk.describe(), error))?;
        Ok(Superblocks { file })
    }

    /// Opens the file.
    pub fn open(disk: &dyn Disk, mode: OpenMode) -> Result<Self> {
        let file = disk.open(SUPERBLOCK_FILE, mode);
        Ok(Superblocks { file: file.map_err(|error| StorageError::io("opening of", SUPERBLOCK_FILE, error))? })
    }

    /// Both slots as they are. Errors: the machine's.
    pub fn slots(&self) -> Result<[Result<Superblock, Flaw>; 2]> {
        Ok([self.read_slot(0)?, self.read_slot(1)?])
    }

    /// Reads both slots. Errors: `NewerFormat` when either is a newer program's, `NoSuperblock` when neither is valid.
    pub fn read(&self) -> Result<Found> {
        let [first, second] = self.slots()?;
        for slot in [&first, &second] {
            if let Err(Flaw::Newer { version }) = slot {
                return Err(StorageError::NewerFormat {
                    name: SUPERBLOCK_FILE.to_owned(),
                    found: *version,
                    supported: format::SUPERBLOCK_FORMAT_VERSION,
                });
            }
        }
        match (first, second) {
            (Ok(a), Ok(b)) if a.generation >= b.generation => Ok(Found { newest: a, older: Some(b) }),
            (Ok(a), Ok(b)) => Ok(Found { newest: b, older: Some(a) }),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => {
                crate::probe!("one of the two superblocks is torn");
                Ok(Found { newest: one, older: None })
            }
            (Err(a), Err(b)) => {
                Err(StorageError::NoSuperblock { detail: format!("slot 0: {}, slot 1: {}", a.detail(), b.detail()) })
            }
        }
    }

    fn read_slot(&self, slot: u64) -> Result<Result<Superblock, Flaw>> {
        let mut block = vec![0; BLOCK_BYTES];
        match self.file.read_exact_at(&mut block, slot * BLOCK_BYTES as u64) {
            Ok(()) => Ok(Superblock::decode(&block)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Err(Flaw::Damaged("cut short"))),
            Err(error) => Err(StorageError::io("read of", SUPERBLOCK_FILE, error)),
        }
    }

    /// Writes a superblock that was read over itself, and syncs it. After the death of a process it may be seen without
    /// being on the disk; the other slot must not be overwritten before it is (C2). Rewriting what is there changes nothing.
    pub(crate) fn write_again(&self, superblock: &Superblock) -> Result<()> {
        let offset = superblock.generation % 2 * BLOCK_BYTES as u64;
        let mut block = vec![0; BLOCK_BYTES];
        let io = |operation, error| StorageError::io(operation, SUPERBLOCK_FILE, error);
        self.file.read_exact_at(&mut block, offset).map_err(|error| io("read of", error))?;
        self.file.write_all_at(&block, offset).map_err(|error| io("write of", error))?;
        self.file.sync_data().map_err(|error| StorageError::sync(SUPERBLOCK_FILE, error))
    }

    /// Writes a superblock over the older one and syncs it (C2: generations alternate between the slots). After an error
    /// that is not fatal it is not there.
    pub fn publish(&self, superblock: &Superblock) -> Result<()> {
        let slot = superblock.generation % 2;
        let write = self.file.write_all_at(&superblock.encode(), slot * BLOCK_BYTES as u64);
        if let Err(error) = write {
            let error = StorageError::io("write of", SUPERBLOCK_FILE, error);
            // A write that fails may have arrived as a whole. Trying again would then overwrite what it refers to.
            return match self.read_slot(slot) {
                Ok(found) if found.as_ref() != Ok(superblock) => Err(error),
                _ => Err(StorageError::Poisoned(Box::new(error))),
            };
        }
        self.file.sync_data().map_err(|error| StorageError::sync(SUPERBLOCK_FILE, error))
    }
}
