//! The door to storage: open, tree sets, checkpoint, close.
//!
//! An engine starts no thread. Its owner runs [`Engine::checkpoint`] on a thread of its own, and somebody steps the
//! log; a checkpoint steps it itself when nobody else does.

mod compaction;
mod pressure;
mod transfer;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bytes::Bytes;

pub use self::compaction::CompactionReport;
use self::compaction::Round;
use crate::checkpoint::catalogue::CATALOGUE_SET;
use crate::checkpoint::{CheckpointReport, Checkpointer, Reach};
use crate::disk::{DirectoryLock, Disk};
use crate::error::{Result, StorageError};
use crate::fault::buggify;
use crate::limits::RECLAIM_PAGES_PER_CHECKPOINT;
pub use crate::page::compression::Compression;
use crate::page::store::PageStore;
use crate::recovery;
pub use crate::slab::Tolerance;
pub use crate::superblock::format::Opening;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::transaction::{Ambient, Shared, TreeSet, TreeSetId};
use crate::wal::{Admission, Purpose, StreamId, StreamState, Wal, WalOptions};

/// How many times the memory at which a checkpoint is due may have changed before writes are refused because checkpoints
/// fail.
const DIRTY_FACTOR_MAX: usize = 2;

/// A checkpoint that wrote less than this part of what was dirty found most of it held by readers, or by nobody it knows.
const CHECKPOINT_IN_VAIN_FRACTION: u64 = 4;

/// How an engine is run. Nothing here is stored.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Budget of pages in memory, clean and changed, in bytes.
    pub cache_bytes: usize,
    /// What changed nodes may take of it, in bytes; at most half. A checkpoint is due when seven eighths of it changed.
    pub dirty_bytes: usize,
    /// Bytes written to the log since the last checkpoint at which the next is due.
    pub checkpoint_wal_bytes: u64,
    /// Of tree sets created from now on without a choice of their own.
    pub compression: Compression,
    /// What [`Engine::compact_step`] leaves alone.
    pub compaction: Tolerance,
    /// The log's.
    pub wal: WalOptions,
}

impl EngineOptions {
    /// What changed nodes may take before admission waits.
    pub(crate) fn dirty_bytes_max(&self) -> usize {
        self.dirty_bytes.min(self.cache_bytes / 2)
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            cache_bytes: 128 << 20,
            dirty_bytes: 256 << 20,
            checkpoint_wal_bytes: 128 << 20,
            compression: Compression::default(),
            compaction: Tolerance::default(),
            wal: WalOptions::default(),
        }
    }
}

/// How a tree set is kept. Stored with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeSetOptions {
    /// For its pages.
    pub compression: Compression,
}

/// Who this directory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, once it is known.
    pub cluster: Option<u128>,
    /// The node, once it is known.
    pub node: Option<u128>,
    /// Raised durably at every opening, so never the same for two runs.
    pub boot: u64,
    /// Tells this opening from others with the same counter, of copies: [`WalOptions::incarnation_seed`]. 0: it was not given.
    pub opening: u64,
}

/// Sizes now, and counters since the opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineMetrics {
    /// Memory of changed nodes, in bytes.
    pub dirty_bytes: u64,
    /// Memory that may become of it before admission waits, in bytes.
    pub dirty_bytes_max: u64,
    /// Memory of forwarding addresses of changed nodes that were written, until the next checkpoints, in bytes.
    pub forwarding_bytes: u64,
    /// Pages written to give memory back, and not by a checkpoint.
    pub pages_evicted: u64,
    /// Bytes of their slots.
    pub page_bytes_evicted: u64,
    /// Slots whose content compaction moved elsewhere.
    pub slots_compacted: u64,
    /// How often somebody waited for memory.
    pub memory_waits: u64,
    /// Memory of cached clean pages, in bytes.
    pub cache_bytes: u64,
    /// Page lookups served from the cache.
    pub cache_hits: u64,
    /// Page lookups that went to the file.
    pub cache_misses: u64,
    /// Bytes of slots read from the page file.
    pub page_bytes_read: u64,
    /// Checkpoints published.
    pub checkpoints: u64,
    /// Pages written by them.
    pub pages_written: u64,
    /// Bytes written by them.
    pub page_bytes_written: u64,
    /// Size of the page file as of the last checkpoint, in bytes.
    pub page_file_bytes: u64,
    /// Bytes of it in slots that hold a page of the last checkpoint.
    pub page_file_used_bytes: u64,
    /// Bytes of it in slots that left the trees, and that a reader or one of the superblocks still needs.
    pub page_file_held_bytes: u64,
    /// Tree sets.
    pub tree_sets: u64,
}

/// Storage of one node. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    options: EngineOptions,
    wal: Arc<Wal>,
    recovered: BTreeMap<StreamId, StreamState>,
    ambient: Arc<Ambient>,
    sets: Mutex<BTreeMap<TreeSetId, TreeSet>>,
    /// Sets dropped since the last checkpoint began.
    dropped: Mutex<Vec<Arc<Shared>>>,
    identity: Mutex<Identity>,
    openings: Vec<Opening>,
    /// `None`: the engine in memory.
    checkpointer: Mutex<Option<Checkpointer>>,
    /// Generation of the last checkpoint of the engine in memory.
    memory_generation: AtomicU64,
    wal_bytes_at_checkpoint: AtomicU64,
    dropped_any: AtomicBool,
    counters: Mutex<EngineMetrics>,
    closed: AtomicBool,
    failures: Mutex<Failures>,
    /// Whether there is any.
    failing: AtomicBool,
    /// The owner calls [`Engine::evict_step`].
    evicts: AtomicBool,
    /// Bytes of pages written ahead since the last checkpoint began.
    evicted_bytes: AtomicU64,
    /// Dirty memory and that of forwarding addresses that the last checkpoint could not give back.
    left_at_checkpoint: Mutex<(usize, usize)>,
    /// How far compaction is. Taken before `checkpointer`.
    compaction: Mutex<Round>,
    /// The generation that frees what compaction has left; 0: it waits for none, or there is nothing that could be freed.
    settles_at: AtomicU64,
    _lock: Option<Box<dyn DirectoryLock>>,
}

/// Why pages could not be written, until they can.
#[derive(Default)]
struct Failures {
    checkpoint: Option<StorageError>,
    eviction: Option<StorageError>,
}

impl Engine {
    /// Opens the directory, creating what it lacks: takes its lock, picks the superblock, opens the log, and raises the
    /// boot counter durably.
    ///
    /// Errors: `Locked`; `NewerFormat`; `NoSuperblock`, `StaleCheckpoint`, `NoLog`, `LogMissing`, `DamagedPage` or `Inconsistent`
    /// when the directory is damaged or mixed; the machine's.
    pub fn open(disk: Arc<dyn Disk>, options: EngineOptions) -> Result<Engine> {
        let lock = disk.lock().map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => StorageError::Locked { directory: disk.describe() },
            _ => StorageError::io("locking of", &disk.describe(), error),
        })?;
        let opened = recovery::open(&disk, &options)?;
        let superblock = &opened.checkpointer.newest;
        let (cluster, node) = superblock.identity.unzip();
        let identity = Identity { cluster, node, boot: superblock.boot, opening: options.wal.incarnation_seed };
        let openings = superblock.openings.clone();
        let inner = Inner {
            wal_bytes_at_checkpoint: AtomicU64::new(opened.wal.metrics().bytes_written),
            options,
            wal: opened.wal,
            recovered: opened.streams,
            ambient: opened.ambient,
            sets: Mutex::new(opened.sets),
            dropped: Mutex::default(),
            identity: Mutex::new(identity),
            openings,
            counters: Mutex::default(),
            checkpointer: Mutex::new(Some(opened.checkpointer)),
            memory_generation: AtomicU64::new(0),
            dropped_any: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            failures: Mutex::default(),
            failing: AtomicBool::new(false),
            evicts: AtomicBool::new(false),
            evicted_bytes: AtomicU64::new(0),
            left_at_checkpoint: Mutex::new((0, 0)),
            compaction: Mutex::default(),
            settles_at: AtomicU64::new(0),
            _lock: Some(lock),
        };
        let engine = Engine { inner: Arc::new(inner) };
        engine.count_occupancy();
        Ok(engine)
    }

    /// An engine without a disk: the same trees, whose nodes simply stay in memory.
    pub fn in_memory(options: EngineOptions) -> Engine {
        let store = Arc::new(PageStore::new(None, 0));
        let opening = options.wal.incarnation_seed;
        let inner = Inner {
            options,
            wal: Wal::in_memory(),
            recovered: BTreeMap::new(),
            ambient: Arc::new(Ambient::new(store)),
            sets: Mutex::default(),
            dropped: Mutex::default(),
            identity: Mutex::new(Identity { boot: 1, opening, ..Identity::default() }),
            openings: Vec::new(),
            checkpointer: Mutex::new(None),
            memory_generation: AtomicU64::new(0),
            wal_bytes_at_checkpoint: AtomicU64::new(0),
            dropped_any: AtomicBool::new(false),
            counters: Mutex::default(),
            closed: AtomicBool::new(false),
            failures: Mutex::default(),
            failing: AtomicBool::new(false),
            evicts: AtomicBool::new(false),
            evicted_bytes: AtomicU64::new(0),
            left_at_checkpoint: Mutex::new((0, 0)),
            compaction: Mutex::default(),
            settles_at: AtomicU64::new(0),
            _lock: None,
        };
        Engine { inner: Arc::new(inner) }
    }

    /// The log.
    pub fn wal(&self) -> &Arc<Wal> {
        &self.inner.wal
    }

    /// What each stream of the log was when it was opened.
    pub fn recovered_streams(&self) -> BTreeMap<StreamId, StreamState> {
        self.inner.recovered.clone()
    }

    /// Who this directory is.
    pub fn identity(&self) -> Identity {
        *self.inner.identity.lock()
    }

    /// The openings by which others may know this directory, oldest first, this one last; see [`Superblock::openings`]. Empty:
    /// none was ever given a number.
    ///
    /// [`Superblock::openings`]: crate::superblock::Superblock::openings
    pub fn openings(&self) -> &[Opening] {
        &self.inner.openings
    }

    /// Others know this opening: the next superblock forgets those before it.
    pub fn settle_opening(&self) {
        self.inner.ambient.settled_boot.store(self.identity().boot, Ordering::Relaxed);
    }

    /// Says who this directory is, for ever. Durable on return, in both superblocks. Repeating it changes nothing.
    /// Errors: `IdentitySet` when it is somebody else already.
    pub fn set_identity(&self, cluster: u128, node: u128) -> Result<()> {
        let mut checkpointer = self.inner.checkpointer.lock();
        let mut identity = self.inner.identity.lock();
        if let (Some(cluster_set), Some(node_set)) = (identity.cluster, identity.node) {
            if (cluster_set, node_set) == (cluster, node) {
                return Ok(());
            }
            return Err(StorageError::IdentitySet { cluster: cluster_set, node: node_set });
        }
        if let Some(checkpointer) = checkpointer.as_mut() {
            checkpointer.publish_same_state(|superblock| superblock.identity = Some((cluster, node)))?;
        }
        (identity.cluster, identity.node) = (Some(cluster), Some(node));
        Ok(())
    }

    /// The tree sets there are.
    pub fn tree_sets(&self) -> Vec<TreeSetId> {
        self.inner.sets.lock().keys().copied().collect()
    }

    /// Adds an empty tree set with the engine's compression. It is durable with the next checkpoint. Errors:
    /// `TreeSetExists`.
    pub fn create_tree_set(&self, id: TreeSetId) -> Result<TreeSet> {
        self.create_tree_set_with(id, TreeSetOptions { compression: self.inner.options.compression })
    }

    /// Adds an empty tree set. It is durable with the next checkpoint. Errors: `TreeSetExists`.
    pub fn create_tree_set_with(&self, id: TreeSetId, options: TreeSetOptions) -> Result<TreeSet> {
        let mut sets = self.inner.sets.lock();
        if id == CATALOGUE_SET || sets.contains_key(&id) {
            return Err(StorageError::TreeSetExists(id));
        }
        let shared = Shared::new(id, Arc::clone(&self.inner.ambient), Vec::new(), Bytes::new());
        shared.store_compression(options.compression);
        let set = TreeSet { shared: Arc::new(shared) };
        sets.insert(id, set.clone());
        Ok(set)
    }

    /// A handle on a tree set.
    pub fn tree_set(&self, id: TreeSetId) -> Option<TreeSet> {
        self.inner.sets.lock().get(&id).cloned()
    }

    /// Drops a tree set; durable with the next checkpoint, which also takes its space back. Handles and snapshots that
    /// exist go on working in memory. Waits for an open transaction of the set; until then its number is taken. Errors:
    /// `NoTreeSet`.
    pub fn drop_tree_set(&self, id: TreeSetId) -> Result<()> {
        let set = self.tree_set(id).ok_or(StorageError::NoTreeSet(id))?;
        if !set.shared.mark_dropped() {
            return Err(StorageError::NoTreeSet(id));
        }
        // Both lists change as one: a checkpoint that stored a successor before it took this set out of the catalogue
        // would later take the successor out.
        let mut sets = self.inner.sets.lock();
        // A checkpoint may have come first.
        if let Entry::Occupied(entry) = sets.entry(id)
            && Arc::ptr_eq(&entry.get().shared, &set.shared)
        {
            entry.remove();
            self.inner.dropped.lock().push(set.shared);
            self.inner.dropped_any.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The sets to work on.
    fn live_sets(&self) -> Vec<TreeSet> {
        self.inner.sets.lock().values().filter(|set| !set.is_dropped()).cloned().collect()
    }

    /// Makes everything committed so far durable. Blocks; writes go on meanwhile. Waits for open transactions.
    ///
    /// Errors: `Full` and other failed writes change nothing and may be tried again; after a fatal error
    /// ([`StorageError::is_fatal`]) the process must end.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        self.checkpoint_of(Reach::Whole)
    }

    /// The same for an owner who relies on nothing in particular being durable then, because there will be another: a tree set
    /// may be left to that.
    pub fn checkpoint_in_passing(&self) -> Result<CheckpointReport> {
        self.checkpoint_of(Reach::Passing)
    }

    fn checkpoint_of(&self, reach: Reach) -> Result<CheckpointReport> {
        let outcome = self.run_checkpoint(reach);
        self.note(|failures| {
            failures.checkpoint = outcome.as_ref().err().cloned();
            if failures.checkpoint.is_none() {
                failures.eviction = None;
            }
        });
        outcome
    }

    fn note(&self, change: impl FnOnce(&mut Failures)) {
        let mut failures = self.inner.failures.lock();
        change(&mut failures);
        let failing = failures.checkpoint.is_some() || failures.eviction.is_some();
        self.inner.failing.store(failing, Ordering::Release);
        // Nobody waits for what does not come. While a checkpoint fails, eviction may still succeed.
        let evicts = self.inner.evicts.load(Ordering::Relaxed);
        let stuck = failures.eviction.is_some() || (failures.checkpoint.is_some() && !evicts);
        drop(failures);
        self.inner.ambient.memory.set_stuck(stuck);
    }

    /// Why pages cannot be written.
    fn failure(&self) -> Option<StorageError> {
        if !self.inner.failing.load(Ordering::Acquire) {
            return None;
        }
        let failures = self.inner.failures.lock();
        failures.checkpoint.clone().or_else(|| failures.eviction.clone())
    }

    /// Promises room for an entry of `bytes` that is about to be proposed; to be asked before, and held until it is
    /// answered. See [`Wal::admit`](crate::wal::Wal::admit).
    ///
    /// Errors: `Full` when the log or the last checkpoint found no space; what the last checkpoints failed of when so much
    /// has changed since that memory would run out.
    pub fn admit(&self, bytes: usize, purpose: Purpose) -> Result<Admission> {
        let inner = &self.inner;
        if purpose == Purpose::Write
            && let Some(failure) = self.failure()
        {
            let memory = &inner.ambient.memory;
            if failure.is_full() || memory.dirty() > DIRTY_FACTOR_MAX * memory.dirty_max() {
                crate::probe!("write refused while pages cannot be written");
                return Err(failure);
            }
        }
        inner.wal.admit(bytes, purpose)
    }

    /// Whether there is space for new data, as far as the last attempts to have some say: otherwise [`Engine::admit`] refuses writes
    /// because the disk is full.
    pub fn has_space(&self) -> bool {
        !self.inner.wal.is_short() && self.failure().is_none_or(|failure| !failure.is_full())
    }

    fn run_checkpoint(&self, reach: Reach) -> Result<CheckpointReport> {
        let inner = &self.inner;
        // A dropped tree that cannot be read keeps its space, and nothing else from becoming durable.
        self.reclaim_step(RECLAIM_PAGES_PER_CHECKPOINT).ok();
        let mut checkpointer = inner.checkpointer.lock();
        if inner.closed.load(Ordering::Acquire) {
            return Err(StorageError::Stopped);
        }
        let wal_bytes = inner.wal.metrics().bytes_written;
        let dirty_before = inner.ambient.memory.dirty();
        let evicted_bytes = inner.evicted_bytes.load(Ordering::Relaxed);
        let settles_at = inner.settles_at.load(Ordering::Relaxed);
        let (sets, dropped, are_all) = {
            let mut sets = inner.sets.lock();
            inner.dropped_any.store(false, Ordering::Relaxed);
            let mut dropped = std::mem::take(&mut *inner.dropped.lock());
            // T5: a set whose drop is half done takes part as dropped, or trees that came or went would be in no set, or in two.
            let half_dropped = sets.extract_if(.., |_, set| set.is_dropped());
            dropped.extend(half_dropped.map(|(_, set)| set.shared));
            let left_out = |set: &TreeSet| {
                reach == Reach::Passing && !set.shared.has_transfers() && buggify!("storage/checkpoint-leaves-set-out")
            };
            let taken: Vec<TreeSet> = sets.values().filter(|set| !left_out(set)).cloned().collect();
            let are_all = taken.len() == sets.len();
            (taken, dropped, are_all)
        };
        let before = checkpointer.as_ref().map(|checkpointer| checkpointer.newest.generation);
        let report = match checkpointer.as_mut() {
            Some(checkpointer) => {
                checkpointer.to_drop.extend(dropped);
                let run = checkpointer.run(&sets, &inner.ambient, &inner.wal, inner.options.compression, reach);
                crate::probe!("checkpoint overtaken by a crash or a failing disk", run.is_err());
                run?
            }
            None => self.checkpoint_in_memory(&sets),
        };
        inner.wal_bytes_at_checkpoint.store(wal_bytes, Ordering::Relaxed);
        inner.evicted_bytes.fetch_sub(evicted_bytes, Ordering::Relaxed);
        // Where nothing has changed no generation follows, and both superblocks need all that they will need.
        let rests = are_all && before == Some(report.generation);
        if report.generation >= settles_at || rests {
            // Unless a later round waits by now.
            inner.settles_at.compare_exchange(settles_at, 0, Ordering::Relaxed, Ordering::Relaxed).ok();
        }
        drop(checkpointer);
        let memory = &inner.ambient.memory;
        let in_vain = report.bytes < dirty_before as u64 / CHECKPOINT_IN_VAIN_FRACTION;
        *inner.left_at_checkpoint.lock() = (if in_vain { memory.dirty() } else { 0 }, memory.forwarding());
        let mut counters = inner.counters.lock();
        counters.checkpoints += 1;
        counters.pages_written += report.pages;
        counters.page_bytes_written += report.bytes;
        drop(counters);
        self.count_occupancy();
        Ok(report)
    }

    /// Memory is as durable as it gets: what was committed may be forgotten by the owner's log.
    fn checkpoint_in_memory(&self, sets: &[TreeSet]) -> CheckpointReport {
        for set in sets {
            set.shared.reclaim_idle();
            *set.shared.durable_meta.lock() = Some(set.meta());
        }
        let generation = self.inner.memory_generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.inner.wal.checkpoint_published(generation);
        CheckpointReport { generation, tree_sets: sets.len() as u64, ..CheckpointReport::default() }
    }

    fn count_occupancy(&self) {
        let checkpointer = self.inner.checkpointer.lock();
        let Some(checkpointer) = checkpointer.as_ref() else { return };
        let occupancy = checkpointer.free_set.occupancy();
        let extents_bytes = (occupancy.extents * crate::slab::format::EXTENT_BYTES) as u64;
        let file_bytes = self.inner.ambient.store.file().len().unwrap_or(extents_bytes);
        let mut counters = self.inner.counters.lock();
        counters.page_file_bytes = file_bytes;
        counters.page_file_used_bytes = occupancy.used_bytes;
        counters.page_file_held_bytes = occupancy.held_bytes;
    }

    /// Frees about `pages_max` pages of dropped trees; 0: there are none left. Waits for open transactions. Every
    /// checkpoint does some of it; calling it between checkpoints frees more, sooner. Errors: a page of a dropped tree
    /// cannot be read; its space is not found again.
    pub fn reclaim_step(&self, pages_max: usize) -> Result<usize> {
        let pages_max = if buggify!("storage/reclaimed-by-one") { pages_max.min(1) } else { pages_max };
        let sets = self.live_sets();
        let (mut freed, mut failure) = (0, None);
        for set in sets {
            match set.reclaim_dropped(pages_max - freed) {
                Ok(pages) => freed = pages_max.min(freed + pages),
                Err(error) => failure = failure.or(Some(error)),
            }
            if freed == pages_max {
                break;
            }
        }
        failure.map_or(Ok(freed), Err)
    }

    /// Whether so much has changed since the last checkpoint that the next is due: in the log, or in nodes, those written
    /// ahead included. The caller adds time.
    pub fn should_checkpoint(&self) -> bool {
        let inner = &self.inner;
        let written = inner.wal.metrics().bytes_written;
        let since = written.saturating_sub(inner.wal_bytes_at_checkpoint.load(Ordering::Relaxed));
        let memory = &inner.ambient.memory;
        // Superblocks still need the pages in whose place these come, so that this bounds by how much the page file outgrows
        // what it holds: by twice as much, one share for each of the two superblocks.
        let evicted = usize::try_from(inner.evicted_bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        // What the last one left is held by something else. Another one would not change that, and eviction must have its turn.
        let (dirty, forwarding) = *inner.left_at_checkpoint.lock();
        let grown = memory.dirty().saturating_add(evicted).saturating_sub(dirty);
        let changed = grown.max(memory.forwarding().saturating_sub(forwarding));
        (inner.ambient.store.is_on_disk() && changed >= memory.checkpoint_bytes())
            || since >= inner.options.checkpoint_wal_bytes
            || inner.dropped_any.load(Ordering::Relaxed)
            || inner.settles_at.load(Ordering::Relaxed) > 0
            // Writes may be refused until one succeeds, whoever made the last.
            || inner.failing.load(Ordering::Acquire)
            || buggify!("storage/checkpoint-early")
    }

    /// Ends the engine: a last checkpoint and a clean end of the log. Other handles then refuse to checkpoint. Without
    /// it nothing is lost, the next opening replays more.
    pub fn close(self) -> Result<()> {
        self.run_checkpoint(Reach::Clean)?;
        self.inner.closed.store(true, Ordering::Release);
        self.inner.wal.close()
    }

    /// Sizes and counters.
    pub fn metrics(&self) -> EngineMetrics {
        let mut metrics = *self.inner.counters.lock();
        let cache = self.inner.ambient.store.cache();
        (metrics.cache_hits, metrics.cache_misses) = cache.hits_and_misses();
        metrics.cache_bytes = cache.bytes() as u64;
        metrics.page_bytes_read = self.inner.ambient.store.bytes_read();
        let memory = &self.inner.ambient.memory;
        (metrics.dirty_bytes, metrics.dirty_bytes_max) = (memory.dirty() as u64, memory.dirty_max() as u64);
        (metrics.forwarding_bytes, metrics.memory_waits) = (memory.forwarding() as u64, memory.waits());
        metrics.tree_sets = self.inner.sets.lock().len() as u64;
        metrics
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("identity", &self.identity()).finish_non_exhaustive()
    }
}
