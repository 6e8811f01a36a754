//! Opening: pick the superblock, read the books, open the log, raise the boot counter.
//!
//! R1: recovery starts from the newest valid superblock, once that is durable; a torn one is survived by the other. R2: it is refused when
//! the log has seen a checkpoint newer than the next one. R3: before an opening returns, both superblocks carry the new
//! boot counter, so that not even losing one repeats it. R4: a directory that was opened once has a log, because an
//! opening makes the log before it raises the counter; without a file of it, it is refused. Replaying the log into the
//! trees is the owner's part: per set it re-applies what lies above the position in `meta`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checkpoint::{Checkpointer, catalogue};
use crate::disk::{Disk, File, OpenMode};
use crate::engine::EngineOptions;
use crate::error::{Result, StorageError};
use crate::page::store::{PAGE_FILE, PageStore};
use crate::slab::FreeSet;
use crate::superblock::{Superblock, Superblocks};
use crate::transaction::{Ambient, Shared, TreeSet, TreeSetId};
use crate::wal::{self, Lsn, StreamId, StreamState, Wal};

/// An opened directory.
pub(crate) struct Opened {
    pub checkpointer: Checkpointer,
    pub ambient: Arc<Ambient>,
    pub sets: BTreeMap<TreeSetId, TreeSet>,
    pub wal: Arc<Wal>,
    pub streams: BTreeMap<StreamId, StreamState>,
}

/// Opens or creates a directory whose lock is held.
pub(crate) fn open(disk: &Arc<dyn Disk>, options: &EngineOptions) -> Result<Opened> {
    let (superblocks, newest, pages) = match Superblocks::exists(&**disk)? {
        true => open_existing(&**disk)?,
        false => create(&**disk)?,
    };
    // R4. Without it the log would begin anew, and votes and acknowledged entries with it.
    if newest.boot > 0 && !wal::exists(&**disk)? {
        return Err(StorageError::NoLog { boot: newest.boot });
    }
    let store = Arc::new(PageStore::new(Some(pages), options.cache_bytes));
    let mut free_set = FreeSet::load(&store, &newest.directory, newest.extents)?;
    free_set.begin_lives(newest.generation);
    let ambient = Arc::new(Ambient::with_dirty_max(store, options.dirty_bytes_max()));
    let mut sets = BTreeMap::new();
    let mut stored = BTreeMap::new();
    for (id, record) in catalogue::all(&catalogue::open(newest.catalogue, &ambient).snapshot())? {
        let shared = Shared::new(id, Arc::clone(&ambient), record.trees, record.meta.clone());
        shared.store_compression(record.compression);
        *shared.durable_meta.lock() = Some(record.meta.clone());
        let set = TreeSet { shared: Arc::new(shared) };
        stored.insert(id, (set.snapshot().version().number, record.meta));
        sets.insert(id, set);
    }
    let (wal, streams) = Wal::open(Arc::clone(disk), options.wal, Lsn::new(newest.wal_start), newest.generation)?;
    let mut checkpointer = Checkpointer {
        superblocks,
        newest,
        free_set,
        stored,
        to_drop: Vec::new(),
        graveyard: Vec::new(),
        both_same: true,
        stopped: false,
    };
    checkpointer.publish_same_state(|superblock| {
        superblock.open(options.wal.incarnation_seed);
        superblock.clean = false;
    })?;
    Ok(Opened { checkpointer, ambient, sets, wal, streams })
}

fn open_existing(disk: &dyn Disk) -> Result<(Superblocks, Superblock, Arc<dyn File>)> {
    let superblocks = Superblocks::open(disk, OpenMode::Existing)?;
    let newest = superblocks.read()?.newest;
    superblocks.write_again(&newest)?;
    let pages = disk.open(PAGE_FILE, OpenMode::Existing);
    let pages = pages.map_err(|error| StorageError::io("opening of", PAGE_FILE, error))?;
    Ok((superblocks, newest, pages))
}

/// The superblock's name is the last to become durable: without it there is no database yet, unless pages say so.
fn create(disk: &dyn Disk) -> Result<(Superblocks, Superblock, Arc<dyn File>)> {
    let pages = match disk.open(PAGE_FILE, OpenMode::CreateNew) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => disk.open(PAGE_FILE, OpenMode::Existing),
        other => other,
    };
    let pages = pages.map_err(|error| StorageError::io("creation of", PAGE_FILE, error))?;
    if !pages.is_empty().map_err(|error| StorageError::io("length of", PAGE_FILE, error))? {
        return Err(StorageError::NoSuperblock { detail: "the file is missing, but there are pages".to_owned() });
    }
    let first = Superblock { generation: 1, ..Superblock::default() };
    let superblocks = Superblocks::create(disk, &first)?;
    Ok((superblocks, first, pages))
}
