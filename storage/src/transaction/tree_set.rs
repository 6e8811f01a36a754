//! A tree set: the published version, the versions readers still hold, and the right to write.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::btree::Root;
use crate::btree::node::Value;
use crate::btree::search::{Step, step};
use crate::btree::source::wrong_level;
use crate::error::{Result, StorageError};
use crate::page::cache::Cached;
use crate::page::compression::Compression;
use crate::page::format::{PageId, PageRef, Target};
use crate::page::store::PageStore;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, RwLock};
use crate::transaction::frames::{Content, Evicted};
use crate::transaction::memory::Memory;
use crate::transaction::published::{Changes, Dead, Published, Version};
use crate::transaction::remains::Remains;
use crate::transaction::transfer::Transfers;
use crate::transaction::{Snapshot, Transaction, TreeId, TreeSetId};

/// What all tree sets of an engine share.
#[derive(Debug)]
pub(crate) struct Ambient {
    /// Where clean pages come from.
    pub store: Arc<PageStore>,
    /// Slots that no reader can reach any more, for the books.
    pub released: Mutex<Released>,
    /// Memory of all frames.
    pub memory: Memory,
    /// Sets opened so far.
    sets_opened: AtomicU64,
    /// Openings of the directory before this one need not be remembered.
    pub settled_boot: AtomicU64,
}

/// Slots that no reader can reach any more.
#[derive(Debug, Default)]
pub(crate) struct Released {
    /// Those that superblocks know.
    pub stored: Vec<PageId>,
    /// Those that no superblock ever named.
    pub unnamed: Vec<PageId>,
}

impl Ambient {
    pub fn new(store: Arc<PageStore>) -> Self {
        Self::with_dirty_max(store, usize::MAX)
    }

    /// With the dirty memory at which admission waits.
    pub fn with_dirty_max(store: Arc<PageStore>, dirty_max: usize) -> Self {
        let memory = Memory::new(dirty_max);
        let (sets_opened, settled_boot) = (AtomicU64::new(0), AtomicU64::new(0));
        Ambient { store, released: Mutex::default(), memory, sets_opened, settled_boot }
    }
}

/// What the one writer owns between transactions.
#[derive(Debug, Default)]
pub(crate) struct WriterState {
    /// Frame numbers that are free.
    pub free_frames: Vec<u32>,
    /// The first frame number never used.
    pub frames_end: u32,
    /// Per frame, 1 + its position among the fresh nodes of the open transaction; 0: not fresh.
    pub fresh_of: Vec<u32>,
    /// Frames that were handed over and are retired with the next version.
    handed_over: Vec<u32>,
}

/// A tree set, behind its handles.
#[derive(Debug)]
pub(crate) struct Shared {
    pub id: TreeSetId,
    pub ambient: Arc<Ambient>,
    pub published: RwLock<Published>,
    writer: Mutex<Option<Box<WriterState>>>,
    writer_returned: Condvar,
    /// How many wait for the right to write.
    writers_waiting: AtomicUsize,
    /// Memory of this set's frames, in bytes.
    pub dirty_bytes: AtomicUsize,
    /// Memory of what nobody can reach, not given back yet.
    remains: Remains,
    /// Where eviction goes on.
    pub eviction_hand: AtomicU32,
    /// The owner's blob as of the older superblock: what lies behind it may be forgotten elsewhere.
    pub durable_meta: Mutex<Option<Bytes>>,
    /// Set when the engine dropped the set: it is then only in memory, and ends with its handles.
    pub dropped: AtomicBool,
    /// Number of the compression of pages written from now on.
    compression: AtomicU32,
    /// Slots written ahead that the set had when it was dropped.
    pub dropped_slots: Mutex<Vec<PageId>>,
    /// The first damaged page that somebody met.
    damage: Mutex<Option<StorageError>>,
    is_damaged: AtomicBool,
}

impl Shared {
    pub fn new(id: TreeSetId, ambient: Arc<Ambient>, trees: Vec<(TreeId, Root)>, meta: Bytes) -> Self {
        let number = ambient.sets_opened.fetch_add(1, Ordering::Relaxed) << 40;
        Shared {
            id,
            ambient,
            published: RwLock::new(Published::new(Version { number, trees, meta })),
            writer: Mutex::new(Some(Box::default())),
            writer_returned: Condvar::new(),
            writers_waiting: AtomicUsize::new(0),
            dirty_bytes: AtomicUsize::new(0),
            remains: Remains::default(),
            eviction_hand: AtomicU32::new(0),
            durable_meta: Mutex::new(None),
            dropped: AtomicBool::new(false),
            compression: AtomicU32::new(Compression::None.number().into()),
            dropped_slots: Mutex::default(),
            damage: Mutex::new(None),
            is_damaged: AtomicBool::new(false),
        }
    }

    /// Keeps in mind that a page which was read is damaged.
    #[inline]
    pub fn note<T>(&self, read: Result<T>) -> Result<T> {
        if let Err(error) = &read
            && error.is_damage()
            && !self.is_damaged.swap(true, Ordering::AcqRel)
        {
            *self.damage.lock() = Some(error.clone());
        }
        read
    }

    /// The first damage that was met.
    pub fn damage(&self) -> Option<StorageError> {
        if self.is_damaged.load(Ordering::Acquire) { self.damage.lock().clone() } else { None }
    }

    /// How pages are written from now on.
    pub fn compression(&self) -> Compression {
        let number = self.compression.load(Ordering::Relaxed);
        u8::try_from(number).ok().and_then(Compression::from_number).expect("only numbers of compressions are stored")
    }

    /// Chooses how pages are written from now on.
    pub fn store_compression(&self, compression: Compression) {
        self.compression.store(compression.number().into(), Ordering::Relaxed);
    }

    /// Ends the set's part in the engine. From here on its slots are taken back as a whole, not one by one. False: that
    /// was done before.
    pub fn mark_dropped(&self) -> bool {
        let state = self.take_writer();
        let published = self.published.write();
        let before = self.dropped.swap(true, Ordering::AcqRel);
        if !before {
            *self.dropped_slots.lock() = published.slots_written_ahead();
        }
        drop(published);
        self.return_writer(state);
        !before
    }

    /// Waits for the right to write (T3).
    pub fn take_writer(&self) -> Box<WriterState> {
        let mut writer = self.writer.lock();
        loop {
            match writer.take() {
                Some(state) => return state,
                None => {
                    self.writers_waiting.fetch_add(1, Ordering::Relaxed);
                    self.writer_returned.wait(&mut writer);
                    self.writers_waiting.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// The right to write, unless a transaction is open.
    pub fn try_take_writer(&self) -> Option<Box<WriterState>> {
        self.writer.lock().take()
    }

    /// Gives the right to write back.
    pub fn return_writer(&self, state: Box<WriterState>) {
        let before = self.writer.lock().replace(state);
        assert!(before.is_none(), "T3: one transaction is open per set");
        self.writer_returned.notify_one();
    }

    /// Makes a new version visible, and frees what no reader holds any more (T1, T4).
    pub fn publish(&self, state: &mut WriterState, changes: Changes) {
        let buried_max = self.expect(&changes);
        let mut published = self.published.write();
        let dead = self.replace(&mut published, state, changes);
        drop(published);
        self.let_go(dead, buried_max);
    }

    /// Counts the memory of what is about to be published. Returns how much of what is dead may be given back for it.
    pub(super) fn expect(&self, changes: &Changes) -> usize {
        let added_bytes = changes.fresh.iter().map(|(_, content)| content.dirty_bytes()).sum();
        // Added first: the sum never passes below zero.
        self.add_dirty(added_bytes);
        // As much as this commit makes, twice, so that what a reader held for long is gone after as many commits.
        BURIED_PER_COMMIT_MIN.max(2 * changes.fresh.len())
    }

    /// Makes a new version the one of `published`, which is this set's.
    pub(super) fn replace(&self, published: &mut Published, state: &mut WriterState, changes: Changes) -> Dead {
        let mut dead = Dead::default();
        published.replace(changes, std::mem::take(&mut state.handed_over));
        published.reclaim(&mut dead);
        dead.dropped = self.dropped.load(Ordering::Acquire);
        state.free_frames.append(&mut published.freed_frames);
        dead
    }

    /// Gives back some of what nobody can reach.
    pub(super) fn let_go(&self, mut dead: Dead, things_max: usize) {
        self.release(&mut dead);
        self.remains.add(dead);
        self.bury(things_max);
    }

    fn add_dirty(&self, bytes: usize) {
        self.dirty_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.ambient.memory.add_dirty(bytes);
        self.ambient.store.cache().lend(bytes);
    }

    /// Lets the books know of slots that nobody can reach, after the lock that readers wait for was released.
    fn release(&self, dead: &mut Dead) {
        if dead.dropped || (dead.stored.is_empty() && dead.unnamed.is_empty()) {
            return;
        }
        let mut released = self.ambient.released.lock();
        released.stored.extend_from_slice(&dead.stored);
        released.unnamed.extend_from_slice(&dead.unnamed);
    }

    /// Gives back memory that nobody can reach, of about `things_max` nodes and values. Returns whether there is more.
    fn bury(&self, things_max: usize) -> bool {
        let (contents, pages, more) = self.remains.take(things_max);
        let cache = self.ambient.store.cache();
        pages.into_iter().for_each(|page| cache.remove(page));
        let freed_bytes = contents.iter().map(Content::dirty_bytes).sum();
        let forwarding_bytes = contents.iter().map(Content::forwarding_bytes).sum();
        drop(contents);
        self.dirty_bytes.fetch_sub(freed_bytes, Ordering::Relaxed);
        self.ambient.memory.sub_forwarding(forwarding_bytes);
        cache.give_back(freed_bytes);
        self.ambient.memory.sub_dirty(freed_bytes);
        more
    }

    /// Gives back all memory that nobody can reach, in pieces. For threads that nobody waits for.
    fn bury_all(&self, mut dead: Dead) {
        self.release(&mut dead);
        self.remains.add(dead);
        while self.bury(BURIED_PER_COMMIT_MIN) {}
    }

    /// Whether somebody holds a version that was replaced, or did when that was last looked at.
    pub fn has_history(&self) -> bool {
        self.published.read().has_history()
    }

    /// Frees what readers have let go since the last commit.
    pub fn reclaim_idle(&self) {
        let mut dead = Dead::default();
        let mut published = self.published.write();
        published.reclaim(&mut dead);
        dead.dropped = self.dropped.load(Ordering::Acquire);
        drop(published);
        self.bury_all(dead);
    }

    /// Pins the newest version for a checkpoint, with the slots of superblocks that left the tree up to it; `None` when it
    /// is the version `stored`. From here until [`Shared::end_checkpoint`] no slot written ahead is given up.
    pub fn begin_checkpoint(self: &Arc<Self>, stored: Option<u64>) -> Option<(Snapshot, Vec<(u64, PageId)>)> {
        self.reclaim_idle();
        let mut published = self.published.write();
        if stored == Some(published.version.number) {
            return None;
        }
        published.checkpointing = true;
        let unlinked = std::mem::take(&mut published.unlinked);
        for (_, slot) in &unlinked {
            published.ahead.remove(slot);
        }
        let version = Arc::clone(&published.version);
        drop(published);
        Some((Snapshot::new(Arc::clone(self), version), unlinked))
    }

    /// The slots that the superblock about to be written is the first to name.
    pub fn slots_to_adopt(&self) -> Vec<PageId> {
        self.published.read().ahead.iter().copied().collect()
    }

    /// Ends what [`Shared::begin_checkpoint`] began: the slots are named, or what left the tree still has.
    pub fn end_checkpoint(&self, outcome: Result<(), Vec<(u64, PageId)>>) {
        let mut published = self.published.write();
        published.checkpointing = false;
        match outcome {
            Ok(()) => {
                published.ahead = FxHashSet::default();
                published.transfers = Transfers::default();
            }
            Err(unlinked) => published.unlinked.extend(unlinked),
        }
    }

    /// Lets frames forward to where their content was written. Returns the slots of those that were freed meanwhile.
    pub fn forward(&self, written: Vec<(u32, Content, Evicted)>) -> Vec<PageId> {
        let (mut dead, mut lost) = (Dead::default(), Vec::new());
        let mut forwarding_bytes = 0;
        let mut published = self.published.write();
        for (frame, original, evicted) in &written {
            if published.forward(*frame, original, evicted, &mut dead) {
                forwarding_bytes += evicted.memory_bytes();
            } else {
                lost.extend(evicted.slots());
            }
        }
        drop(published);
        self.ambient.memory.add_forwarding(forwarding_bytes);
        drop(written);
        self.bury_all(dead);
        lost
    }

    /// Lets the writer hand slots over to the names that stored nodes have for them (see [`Published::hand_over`]).
    pub fn hand_over(&self, state: &mut WriterState, frames_max: usize) {
        state.handed_over.extend(self.published.write().hand_over(frames_max));
    }

    /// After a checkpoint: hands over what was written, and lets the newest version name its roots by their slots; a
    /// transaction that is open goes on with that itself. Returns the number of the newest version when its content is
    /// still that of version `stored`.
    pub fn settle(&self, stored: u64) -> Option<u64> {
        for _ in 0..SETTLE_PIECES_MAX {
            let Some(mut state) = self.try_take_writer() else { break };
            self.hand_over(&mut state, HANDED_OVER_PER_STEP);
            let settled = !self.published.read().has_handovers();
            let unchanged = settled.then(|| self.name_roots_by_slots(&mut state, stored));
            self.return_writer(state);
            if let Some(unchanged) = unchanged {
                return unchanged;
            }
            // Who waits would not get it: this thread would have taken it again before that one is awake.
            if self.writers_waiting.load(Ordering::Relaxed) > 0 {
                break;
            }
        }
        (self.published.read().version.number == stored).then_some(stored)
    }

    pub(super) fn name_roots_by_slots(&self, state: &mut WriterState, stored: u64) -> Option<u64> {
        let mut published = self.published.write();
        let version = Arc::clone(&published.version);
        let mut trees = version.trees.clone();
        for (_, root) in &mut trees {
            let Some(frame) = root.page.and_then(PageRef::as_frame) else { continue };
            if let Some(page) = published.hand_over_root(frame) {
                root.page = Some(page);
                state.handed_over.push(frame);
            }
        }
        drop(published);
        let (before, meta) = (version.number, version.meta.clone());
        drop(version);
        let mut number = before;
        if !state.handed_over.is_empty() {
            self.publish(state, Changes { trees, meta, ..Changes::default() });
            number += 1;
        }
        (before == stored).then_some(number)
    }
}

/// What a commit gives back of memory that nobody can reach, at least.
const BURIED_PER_COMMIT_MIN: usize = 256;

/// Frames that are handed over while the tree set is locked for once.
pub(super) const HANDED_OVER_PER_STEP: usize = 512;

/// How often a checkpoint does that per set at most; transactions go on with it.
const SETTLE_PIECES_MAX: usize = 256;

impl Drop for Shared {
    fn drop(&mut self) {
        while self.bury(usize::MAX) {}
        let published = self.published.get_mut();
        let (mut dirty_bytes, mut forwarding_bytes) = (0, 0);
        for content in published.frames.contents() {
            dirty_bytes += content.dirty_bytes();
            forwarding_bytes += content.forwarding_bytes();
        }
        self.ambient.memory.sub_forwarding(forwarding_bytes);
        self.ambient.store.cache().give_back(dirty_bytes);
        self.ambient.memory.sub_dirty(dirty_bytes);
    }
}

/// A handle on the trees of one owner. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TreeSet {
    pub(crate) shared: Arc<Shared>,
}

impl TreeSet {
    /// The set's name.
    pub fn id(&self) -> TreeSetId {
        self.shared.id
    }

    /// The first damaged page that somebody has met while reading or changing the set: what it held is lost here.
    pub fn damage(&self) -> Option<StorageError> {
        self.shared.damage()
    }

    /// Begins the one transaction of this set; waits while another is open. Calling it twice on one thread without
    /// ending the first, or calling `Engine::checkpoint` with one open on the same thread, waits for ever.
    pub fn begin(&self) -> Transaction {
        Transaction::begin(Arc::clone(&self.shared))
    }

    /// The last commit, frozen. O(1). What it can reach stays in memory and on disk until it is dropped.
    pub fn snapshot(&self) -> Snapshot {
        let version = Arc::clone(&self.shared.published.read().version);
        Snapshot::new(Arc::clone(&self.shared), version)
    }

    /// Reads one key of the last commit. Keeps nothing alive, and waits for no disk when the path is in memory.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Bytes>> {
        let published = self.shared.published.read();
        let Some(mut page) = published.version.root(tree)?.page else { return Ok(None) };
        let mut level = None;
        loop {
            let cached;
            let content = match page.target() {
                Target::Frame(frame) => published.frames.get(frame),
                Target::Page(id) => match self.shared.ambient.store.cache().get(id) {
                    Some(Cached::Node(node)) => {
                        cached = Content::Node(node);
                        &cached
                    }
                    _ => break,
                },
            };
            let node = match content {
                Content::Node(node) => node,
                Content::Evicted(evicted) => {
                    page = evicted.page;
                    continue;
                }
                Content::Value(_) => panic!("B4: a child reference names a node"),
            };
            if let Some(level) = level
                && level != node.level()
            {
                return Err(wrong_level(page, level, node.level()));
            }
            match step(node, key) {
                Step::Down(child, below) => (page, level) = (child, Some(below)),
                Step::Missing => return Ok(None),
                Step::Found(Value::Inline(value)) => return Ok(Some(Bytes::copy_from_slice(value))),
                Step::Found(Value::Large(large)) => match large.page.target() {
                    Target::Frame(frame) => match published.frames.get(frame) {
                        Content::Value(value) => return Ok(Some(value.clone())),
                        _ => break,
                    },
                    Target::Page(_) => break,
                },
            }
        }
        // Something must be read from disk: pin the version instead of keeping the writer out.
        let snapshot = Snapshot::new(Arc::clone(&self.shared), Arc::clone(&published.version));
        drop(published);
        snapshot.get(tree, key)
    }

    /// The owner's blob as of the last commit.
    pub fn meta(&self) -> Bytes {
        self.shared.published.read().version.meta.clone()
    }

    /// The owner's blob as of the older of the two superblocks: whatever happens to the newer one, recovery starts at
    /// this or later. What the owner's log holds up to it may be purged. `None` until both superblocks know the set.
    pub fn durable_meta(&self) -> Option<Bytes> {
        self.shared.durable_meta.lock().clone()
    }

    /// How this set's pages are written.
    pub fn compression(&self) -> Compression {
        self.shared.compression()
    }

    /// Chooses how pages are written from now on, durably with the next checkpoint; those there are stay as they are
    /// until they change or move. Waits for an open transaction.
    pub fn set_compression(&self, compression: Compression) -> Result<()> {
        if compression == self.compression() {
            return Ok(());
        }
        // A commit, so that the next checkpoint stores the set's record.
        let mut transaction = self.begin();
        self.shared.store_compression(compression);
        let meta = transaction.meta();
        transaction.set_meta(meta)?;
        transaction.commit()
    }

    /// Whether the engine has dropped this set.
    pub fn is_dropped(&self) -> bool {
        self.shared.dropped.load(Ordering::Acquire)
    }
}
