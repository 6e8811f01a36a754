//! Makes the trees durable: pin, sync the log, write what is only in memory, sync, switch superblocks, let go.
//!
//! C1 and C2 stand in [`crate::superblock`]. C3: the log is synced through everything submitted when the versions were
//! pinned, before the superblock names them; the owner may have applied entries that were not yet durable. C4: a
//! checkpoint that fails before its superblock is written has changed nothing: the books are put back, the slots it
//! wrote are free.

pub mod catalogue;
mod page_writer;
mod relocate;
mod tree_writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::btree::{Root, collect_refs};
use crate::error::{Result, StorageError};
use crate::page::compression::Compression;
use crate::page::format::PageId;
use crate::page::store::PageStore;
use crate::slab::FreeSet;
use crate::slab::format::{EXTENT_BYTES, extent_offset};
use crate::superblock::{Superblock, Superblocks};
use crate::sync::{Condvar, Mutex};
use crate::transaction::{Ambient, Shared, Snapshot, TreeSet, TreeSetId};
use crate::wal::Wal;
use catalogue::Record;
use page_writer::PageWriter;
use relocate::relocate;
use tree_writer::{WrittenFrames, write_tree};

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
    pub graveyard: Vec<(Arc<Shared>, Vec<PageId>)>,
    /// Both superblocks name the same state, and nothing waits in between.
    pub both_same: bool,
    /// A sync failed: nothing is known, nothing more is written.
    pub stopped: bool,
}

/// A set taking part in a checkpoint.
struct Pinned {
    shared: Arc<Shared>,
    snapshot: Snapshot,
    unlinked: Vec<(u64, PageId)>,
    written: WrittenFrames,
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
        clean: bool,
    ) -> Result<CheckpointReport> {
        if self.stopped {
            return Err(StorageError::Stopped);
        }
        let mut pinned = self.pin(sets);
        let unchanged = pinned.is_empty() && self.to_drop.is_empty();
        if unchanged && self.both_same && !clean {
            self.take_released(ambient);
            return Ok(CheckpointReport { generation: self.newest.generation, ..CheckpointReport::default() });
        }
        self.take_released(ambient);
        let books = self.free_set.clone();
        let buried = self.graveyard.len();
        let outcome = self.write(&mut pinned, ambient, wal, compression, clean);
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
                self.free_set = books;
                self.graveyard.truncate(buried);
                for Pinned { shared, unlinked, snapshot, .. } in pinned {
                    drop(snapshot);
                    let mut state = shared.take_writer();
                    state.unlinked.extend(unlinked);
                    shared.return_writer(state);
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
        let mut pinned = Vec::new();
        for set in sets {
            let mut state = set.shared.take_writer();
            set.shared.reclaim_idle(&mut state);
            let snapshot = set.snapshot();
            let changed = self.stored.get(&set.id()).is_none_or(|(number, _)| *number != snapshot.version().number);
            if changed {
                let unlinked = std::mem::take(&mut state.unlinked);
                let shared = Arc::clone(&set.shared);
                pinned.push(Pinned { shared, snapshot, unlinked, written: WrittenFrames::default() });
            }
            set.shared.return_writer(state);
        }
        pinned
    }

    /// Takes note of slots that readers let go.
    fn take_released(&mut self, ambient: &Ambient) {
        for page in ambient.released.lock().drain(..) {
            self.free_set.release(page);
        }
        let free_set = &mut self.free_set;
        self.graveyard.retain_mut(|(shared, pages)| {
            let unreachable = Arc::get_mut(shared).is_some();
            if unreachable {
                pages.drain(..).for_each(|page| free_set.release(page));
            }
            !unreachable
        });
    }

    fn write(
        &mut self,
        pinned: &mut [Pinned],
        ambient: &Ambient,
        wal: &Wal,
        compression: Compression,
        clean: bool,
    ) -> Result<(CheckpointReport, Superblock)> {
        sync_log(wal)?;
        let generation = self.newest.generation + 1;
        self.free_set.trim();
        for set in pinned.iter() {
            set.unlinked.iter().for_each(|(_, page)| self.free_set.unlink(*page));
        }
        let dropped = self.bury(ambient)?;
        let mut writer = PageWriter::new(&ambient.store, &mut self.free_set, generation, compression);
        let mut records = Vec::new();
        for set in pinned.iter_mut() {
            let compression = set.shared.compression();
            writer.set_compression(compression);
            let mut trees = Vec::new();
            for &(id, root) in &set.snapshot.version().trees {
                trees.push((id, write_tree(&set.snapshot, root, &mut writer, &mut set.written)?));
            }
            records.push((set.shared.id, Record { trees, meta: set.snapshot.meta(), compression }));
        }
        writer.set_compression(compression);
        let catalogue = write_catalogue(self.newest.catalogue, &dropped, &records, ambient, &mut writer)?;
        let (pages, bytes) = writer.finish()?;
        let superblock = Superblock {
            generation,
            clean,
            wal_start: wal.start_lsn().get(),
            catalogue,
            extents: u32::try_from(self.free_set.extents().len()).expect("extents have 32-bit numbers"),
            directory: self.free_set.directory().to_vec(),
            ..self.newest.clone()
        };
        self.superblocks.publish(&superblock)?;
        Ok((CheckpointReport { generation, tree_sets: records.len() as u64, pages, bytes }, superblock))
    }

    /// Takes the slots of dropped sets out of the state being built.
    fn bury(&mut self, ambient: &Ambient) -> Result<Vec<TreeSetId>> {
        let source = catalogue::open(self.newest.catalogue, ambient).snapshot();
        let mut dropped = Vec::new();
        for shared in &self.to_drop {
            let Some(record) = catalogue::find(&source, shared.id)? else { continue };
            let mut refs = Vec::new();
            for root in record.trees.iter().filter_map(|(_, root)| root.page) {
                collect_refs(&source, root, &Snapshot::refs_of_value, &mut refs)?;
            }
            let mut pages: Vec<PageId> = refs.into_iter().filter_map(|page| page.page_id()).collect();
            pages.iter().for_each(|page| self.free_set.unlink(*page));
            // Slots that left the set earlier may wait for the same readers.
            pages.extend(shared.pages_in_history());
            pages.retain(|page| self.free_set.is_awaiting_readers(*page));
            self.graveyard.push((Arc::clone(shared), pages));
            dropped.push(shared.id);
        }
        Ok(dropped)
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
        for Pinned { shared, snapshot, written, .. } in pinned {
            let (number, meta) = (snapshot.version().number, snapshot.meta());
            let (relocated, unchanged) = relocate(&shared, &written, snapshot);
            let previous = self.stored.insert(shared.id, (if unchanged { relocated } else { number }, meta));
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
    if dropped.is_empty() && records.is_empty() {
        return Ok(stored);
    }
    let set = catalogue::open(stored, ambient);
    let mut transaction = set.begin();
    for id in dropped {
        transaction.delete(catalogue::CATALOGUE_TREE, &catalogue::key(*id))?;
    }
    for (id, record) in records {
        transaction.put(catalogue::CATALOGUE_TREE, &catalogue::key(*id), &record.encode())?;
    }
    transaction.commit()?;
    let mut state = set.shared.take_writer();
    state.unlinked.drain(..).for_each(|(_, page)| writer.free_set().unlink_unread(page));
    set.shared.return_writer(state);
    let snapshot = set.snapshot();
    let root = snapshot.version().root(catalogue::CATALOGUE_TREE)?;
    write_tree(&snapshot, root, writer, &mut WrittenFrames::default())
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
