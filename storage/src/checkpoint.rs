//! Makes the trees durable: pin, sync the log, write what is only in memory, sync, switch superblocks, let go.
//!
//! C1 and C2 stand in [`crate::superblock`]. C3: the log is synced through everything submitted when the versions were
//! pinned, before the superblock names them; the owner may have applied entries that were not yet durable. C4: a
//! checkpoint that fails before its superblock is written has changed nothing: the books are put back, the slots it
//! wrote are free.

pub mod catalogue;
mod evict;
mod graveyard;
mod lost;
mod page_writer;
mod tree_writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::btree::Root;
use crate::error::{Result, StorageError};
use crate::fault::{buggify, fault_point};
use crate::page::compression::Compression;
use crate::page::format::PageId;
use crate::page::store::{PAGE_FILE, PageStore};
use crate::slab::FreeSet;
use crate::slab::format::{EXTENT_BYTES, extent_offset};
use crate::superblock::{Superblock, Superblocks};
use crate::sync::atomic::Ordering;
use crate::sync::{Condvar, Mutex};
use crate::transaction::{Ambient, Place, Shared, Snapshot, TreeId, TreeSet, TreeSetId};
use crate::wal::Wal;
use catalogue::Record;
use graveyard::Grave;
pub(crate) use page_writer::Amount;
use page_writer::PageWriter;
use tree_writer::TreeWriter;

/// The file is cut when its unused end is larger than this part of the rest, and than an extent: the next checkpoint
/// would otherwise often take back what this one gave away.
const FILE_SLACK_FRACTION: u64 = 32;

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointReport {
    /// The generation of the superblock that made it durable.
    pub generation: u64,
    /// Tree sets that had changed.
    pub tree_sets: u64,
    /// Pages written.
    pub pages: u64,
    /// Bytes of the slots written.
    pub bytes: u64,
}

/// What a checkpoint has to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything that was committed before.
    Whole,
    /// What it comes to: nobody relies on this one.
    Passing,
    /// Everything, and nothing follows.
    Clean,
}

/// The state only checkpoints touch.
pub(crate) struct Checkpointer {
    pub superblocks: Superblocks,
    pub newest: Superblock,
    pub free_set: FreeSet,
    /// Per set in the catalogue: the version that is there, and the blob stored with it.
    pub stored: BTreeMap<TreeSetId, (u64, Bytes)>,
    /// Sets that were dropped and are still in the catalogue.
    pub to_drop: Vec<Arc<Shared>>,
    /// Slots of dropped sets that handles can still reach.
    pub graveyard: Vec<Grave>,
    /// Both superblocks name the same state, and nothing waits in between.
    pub both_same: bool,
    /// A sync failed: nothing is known, nothing more is written.
    pub stopped: bool,
}

/// A set taking part in a checkpoint.
struct Pinned {
    shared: Arc<Shared>,
    snapshot: Snapshot,
    /// Slots that left the tree up to the snapshot.
    unlinked: Vec<(u64, PageId)>,
    /// The trees, in slots.
    trees: Vec<(TreeId, Root)>,
}

impl Pinned {
    fn record(&self) -> Record {
        let compression = self.shared.compression();
        Record { trees: self.trees.clone(), meta: self.snapshot.meta(), compression }
    }
}

impl Checkpointer {
    /// Runs a checkpoint over `sets`. Errors: a full disk or a failed write leave everything as it was, to be tried
    /// again; a failed sync is fatal (`StorageError::is_fatal`).
    pub fn run(
        &mut self,
        sets: &[TreeSet],
        ambient: &Ambient,
        wal: &Wal,
        compression: Compression,
        reach: Reach,
    ) -> Result<CheckpointReport> {
        if self.stopped {
            return Err(StorageError::Stopped);
        }
        let clean = reach == Reach::Clean;
        let mut pinned = self.pin(sets);
        self.take_released(ambient);
        let unchanged = pinned.is_empty() && self.to_drop.is_empty() && !self.free_set.has_changes();
        if unchanged && self.both_same && !clean {
            return Ok(CheckpointReport { generation: self.newest.generation, ..CheckpointReport::default() });
        }
        let outcome = sync_log(wal).and_then(|()| self.write_trees(&mut pinned, ambient, compression));
        let outcome =
            outcome.and_then(|written| match reach == Reach::Passing && buggify!("storage/checkpoint-given-up") {
                true => Err(StorageError::Full { needed_bytes: 0 }),
                false => Ok(written),
            });
        let outcome = outcome.and_then(|written| {
            let (books, buried) = (self.free_set.clone(), self.graveyard.len());
            self.write(&pinned, written, ambient, wal, compression, clean).inspect_err(|_| {
                self.free_set = books;
                self.graveyard.truncate(buried);
            })
        });
        match outcome {
            Ok((report, superblock)) => {
                self.newest = superblock;
                self.both_same = unchanged;
                self.settle(sets, pinned);
                self.cut_file(&ambient.store);
                wal.checkpoint_published(report.generation);
                Ok(report)
            }
            Err(error) => {
                self.stopped = error.is_fatal();
                for Pinned { shared, unlinked, .. } in pinned {
                    shared.end_checkpoint(Err(unlinked));
                }
                Err(error)
            }
        }
    }

    /// Writes both superblocks for the same state with changed particulars, so that losing one loses nothing of them.
    /// A failed write leaves either the old or the new particulars, and stops this checkpointer: memory cannot know.
    pub fn publish_same_state(&mut self, change: impl FnOnce(&mut Superblock)) -> Result<()> {
        if self.stopped {
            return Err(StorageError::Stopped);
        }
        let mut superblock = self.newest.clone();
        change(&mut superblock);
        for _ in 0..2 {
            superblock.generation += 1;
            if let Err(error) = self.superblocks.publish(&superblock) {
                self.stopped = true;
                return Err(error);
            }
            self.newest = superblock.clone();
            self.free_set.published();
        }
        // Both superblocks now know what only the newer one knew.
        Ok(())
    }

    /// Pins every set that changed since it was stored.
    fn pin(&self, sets: &[TreeSet]) -> Vec<Pinned> {
        let pin = |set: &TreeSet| {
            let shared = Arc::clone(&set.shared);
            let stored = self.stored.get(&shared.id).map(|(number, _)| *number);
            let (snapshot, unlinked) = shared.begin_checkpoint(stored)?;
            Some(Pinned { shared, snapshot, unlinked, trees: Vec::new() })
        };
        sets.iter().filter_map(pin).collect()
    }

    /// Writes everything that only memory has, ahead of the superblock. What was written when it fails stays written.
    fn write_trees(&mut self, pinned: &mut [Pinned], ambient: &Ambient, compression: Compression) -> Result<Amount> {
        let generation = self.newest.generation + 1;
        let mut writer = PageWriter::new(&ambient.store, &mut self.free_set, generation, compression);
        for Pinned { shared, snapshot, trees, .. } in pinned {
            writer.set_compression(shared.compression());
            let mut tree_writer = TreeWriter::new(shared, &mut writer);
            for &(id, root) in &snapshot.version().trees {
                trees.push((id, tree_writer.write_tree(root)?));
            }
            tree_writer.forward()?;
        }
        Ok(writer.written())
    }

    /// Makes what was written the state of a new superblock.
    fn write(
        &mut self,
        pinned: &[Pinned],
        written: Amount,
        ambient: &Ambient,
        wal: &Wal,
        compression: Compression,
        clean: bool,
    ) -> Result<(CheckpointReport, Superblock)> {
        let generation = self.newest.generation + 1;
        self.free_set.trim();
        for set in pinned {
            set.unlinked.iter().for_each(|(_, page)| self.free_set.unlink(*page));
            set.shared.slots_to_adopt().into_iter().for_each(|page| self.free_set.adopt(page));
        }
        let dropped = self.bury(ambient)?;
        let records: Vec<_> = pinned.iter().map(|set| (set.shared.id, set.record())).collect();
        let mut writer = PageWriter::new(&ambient.store, &mut self.free_set, generation, compression);
        let catalogue = write_catalogue(self.newest.catalogue, &dropped, &records, ambient, &mut writer)?;
        writer.finish()?;
        let (pages, bytes) = (written.pages + writer.written().pages, written.bytes + writer.written().bytes);
        drop(writer);
        let mut superblock = Superblock {
            generation,
            clean,
            wal_start: wal.start_lsn().get(),
            catalogue,
            extents: u32::try_from(self.free_set.extents().len()).expect("extents have 32-bit numbers"),
            directory: self.free_set.directory().to_vec(),
            ..self.newest.clone()
        };
        let settled = ambient.settled_boot.load(Ordering::Relaxed);
        superblock.openings.retain(|opening| opening.boot >= settled);
        self.superblocks.publish(&superblock)?;
        if fault_point!("superblock-before-data") {
            ambient.store.file().sync_data().map_err(|error| StorageError::sync(PAGE_FILE, error))?;
        }
        Ok((CheckpointReport { generation, tree_sets: records.len() as u64, pages, bytes }, superblock))
    }

    /// After the superblock is durable: everything written is named by its slot, and memory is given back.
    fn settle(&mut self, sets: &[TreeSet], pinned: Vec<Pinned>) {
        self.free_set.published();
        let dropped = std::mem::take(&mut self.to_drop);
        for shared in &dropped {
            self.stored.remove(&shared.id);
        }
        drop(dropped);
        // Sets that did not change are the same in both superblocks; the others' older state is set below.
        for set in sets {
            if let Some((_, meta)) = self.stored.get(&set.id()) {
                *set.shared.durable_meta.lock() = Some(meta.clone());
            }
        }
        for Pinned { shared, snapshot, .. } in pinned {
            let (number, meta) = (snapshot.version().number, snapshot.meta());
            drop(snapshot);
            shared.end_checkpoint(Ok(()));
            // What only this checkpoint held is given back here, and not by the next commit.
            shared.reclaim_idle();
            let number = shared.settle(number).unwrap_or(number);
            let too_new = fault_point!("purge-past-checkpoint").then(|| (number, meta.clone()));
            let previous = too_new.or(self.stored.insert(shared.id, (number, meta)));
            *shared.durable_meta.lock() = previous.map(|(_, meta)| meta);
        }
    }
}

impl Checkpointer {
    /// Gives the end of the page file back (F3). What was cut may still be named as unused extents by either superblock;
    /// an extent that gets a class reaches for the file's end anew. A cut that fails is tried again next time.
    fn cut_file(&self, store: &PageStore) {
        let needed_bytes = extent_offset(self.free_set.needed_extents());
        let slack_bytes = needed_bytes / FILE_SLACK_FRACTION + EXTENT_BYTES as u64;
        if store.file().len().is_ok_and(|length| length > needed_bytes + slack_bytes) {
            store.file().set_len(needed_bytes).ok();
        }
    }
}

/// Brings the catalogue up to date and writes it. It has no readers but checkpoints, so it is opened from its stored
/// root each time and leaves nothing in memory.
fn write_catalogue(
    stored: Root,
    dropped: &[TreeSetId],
    records: &[(TreeSetId, Record)],
    ambient: &Ambient,
    writer: &mut PageWriter<'_>,
) -> Result<Root> {
    let closed = writer.free_set().closed().clone();
    if dropped.is_empty() && records.is_empty() && closed.is_empty() {
        return Ok(stored);
    }
    let set = catalogue::open(stored, ambient);
    let mut transaction = set.begin();
    let mut place = Some(Place::default());
    while let Some(at) = place.take().filter(|_| !closed.is_empty()) {
        place = transaction.relocate(&at, usize::MAX, &|page: PageId| closed.contains(&page.extent()))?.next;
    }
    for id in dropped {
        transaction.delete(catalogue::CATALOGUE_TREE, &catalogue::key(*id))?;
    }
    for (id, record) in records {
        transaction.put(catalogue::CATALOGUE_TREE, &catalogue::key(*id), &record.encode())?;
    }
    transaction.commit()?;
    let Some((snapshot, unlinked)) = set.shared.begin_checkpoint(None) else { return Ok(stored) };
    unlinked.into_iter().for_each(|(_, page)| writer.free_set().unlink_unread(page));
    let root = snapshot.version().root(catalogue::CATALOGUE_TREE)?;
    let mut tree_writer = TreeWriter::new(&set.shared, writer);
    let root = tree_writer.write_tree(root)?;
    tree_writer.forward()?;
    set.shared.slots_to_adopt().into_iter().for_each(|page| writer.free_set().adopt(page));
    Ok(root)
}

/// Waits until everything submitted to the log so far is durable (C3), writing it here when nobody else does.
fn sync_log(wal: &Wal) -> Result<()> {
    let outcome = Arc::new((Mutex::new(None), Condvar::new()));
    let reporter = Arc::clone(&outcome);
    wal.barrier(Box::new(move |result| {
        *reporter.0.lock() = Some(result);
        reporter.1.notify_all();
    }));
    loop {
        if let Some(result) = outcome.0.lock().take() {
            return result;
        }
        let worked = wal.step()?;
        let mut result = outcome.0.lock();
        if !worked && result.is_none() {
            // The writer thread has taken the barrier and is about to answer it.
            outcome.1.wait(&mut result);
        }
    }
}
