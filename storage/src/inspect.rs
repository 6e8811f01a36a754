//! What a data directory holds, for people and programs that look at it from outside: superblocks, trees, space, log,
//! single pages.
//!
//! Nothing is opened for writing and nothing is changed. Each part stands alone: what is damaged is said in its place,
//! and the other parts are still shown. Whether everything is as it should be is the check's business ([`crate::verify`]).

mod key_text;
mod page;
mod space;
mod trees;

use std::sync::Arc;

use crate::disk::read_only::ReadOnlyDisk;
use crate::disk::{DirectoryLock, Disk, OpenMode};
use crate::error::{Result, StorageError};
use crate::page::PageId;
use crate::page::store::{PAGE_FILE, PageStore};
use crate::superblock::format::{BLOCK_BYTES, Flaw};
use crate::superblock::{Superblock, Superblocks};
use crate::verify::lock_to_look;
use crate::wal::{LogSurvey, Lsn, survey};

pub use key_text::KeyText;
pub use page::{EntryReport, PageReport, parse_page};
pub use space::{ClassReport, SpaceReport};
pub use trees::{Footprint, TreeReport, TreeSetReport, TreesReport};

/// A directory that is looked at.
pub struct Inspector {
    disk: Arc<dyn Disk>,
    superblocks: Vec<SuperblockReport>,
    _lock: Option<Box<dyn DirectoryLock>>,
}

/// One of the two superblocks.
#[derive(Clone, Debug)]
pub struct SuperblockReport {
    /// 0 or 1.
    pub slot: u64,
    /// Where it lies in the file.
    pub offset: u64,
    /// Whether this is the one an opening starts from.
    pub newest: bool,
    /// What it says, or why it is none.
    pub content: Result<Superblock, Flaw>,
}

impl Inspector {
    /// Looks at a directory that no process has open. `unlocked`: take no lock.
    ///
    /// Errors: `Locked`; `NoDatabase` when there is none; the machine's.
    pub fn open(disk: Arc<dyn Disk>, unlocked: bool) -> Result<Self> {
        let lock = if unlocked { None } else { lock_to_look(&*disk)? };
        let disk: Arc<dyn Disk> = Arc::new(ReadOnlyDisk::new(disk));
        let names = disk.list().map_err(|error| StorageError::io("listing of", &disk.describe(), error))?;
        let mut superblocks = Vec::new();
        if Superblocks::exists(&*disk)? {
            let slots = Superblocks::open(&*disk, OpenMode::ReadOnly)?.slots()?;
            let generation = |read: &Result<Superblock, Flaw>| read.as_ref().ok().map(|valid| valid.generation);
            let newest = slots.iter().filter_map(generation).max();
            for (slot, content) in (0u64..).zip(slots) {
                let newest = newest.is_some() && generation(&content) == newest;
                superblocks.push(SuperblockReport { slot, offset: slot * BLOCK_BYTES as u64, newest, content });
            }
        } else if !names.iter().any(|name| name == PAGE_FILE || name.starts_with("wal-")) {
            return Err(StorageError::NoDatabase { directory: disk.describe() });
        }
        Ok(Inspector { disk, superblocks, _lock: lock })
    }

    /// Both superblocks; none when the file is missing.
    pub fn superblocks(&self) -> &[SuperblockReport] {
        &self.superblocks
    }

    /// The superblock an opening would start from. Errors: neither is valid.
    pub fn newest(&self) -> Result<&Superblock> {
        let newest = self.superblocks.iter().find(|report| report.newest);
        newest.and_then(|report| report.content.as_ref().ok()).ok_or_else(|| {
            let flaws = self.superblocks.iter().filter_map(|report| report.content.as_ref().err());
            let details: Vec<_> = flaws.map(|flaw| flaw.detail()).collect();
            let detail = if details.is_empty() { "the file is missing".to_owned() } else { details.join(", ") };
            StorageError::NoSuperblock { detail }
        })
    }

    /// The tree sets and their trees. `deep`: reads every page, to say how much it holds.
    pub fn trees(&self, deep: bool) -> Result<TreesReport> {
        Ok(trees::report(&self.store()?, self.newest()?, deep))
    }

    /// How the page file is filled.
    pub fn space(&self) -> Result<SpaceReport> {
        space::report(&*self.store()?, self.newest()?)
    }

    /// The log. It is read from what the newest superblock names as its start; without one, from its beginning.
    pub fn log(&self) -> Result<LogSurvey> {
        let start = self.newest().map_or(Lsn::ZERO, |newest| Lsn::new(newest.wal_start));
        survey(&*self.disk, start, &mut |_, _| {})
    }

    /// One page.
    pub fn page(&self, id: PageId) -> Result<PageReport> {
        page::report(&*self.store()?, id)
    }

    fn store(&self) -> Result<Arc<PageStore>> {
        let file = self.disk.open(PAGE_FILE, OpenMode::ReadOnly);
        let file = file.map_err(|error| StorageError::io("opening of", PAGE_FILE, error))?;
        Ok(Arc::new(PageStore::new(Some(file), 0)))
    }
}
