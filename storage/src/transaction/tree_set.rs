//! A tree set: the published version, the versions readers still hold, and the right to write.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::btree::Root;
use crate::btree::node::Value;
use crate::btree::search::{Step, step};
use crate::btree::source::wrong_level;
use crate::error::{Result, StorageError};
use crate::page::cache::Cached;
use crate::page::compression::Compression;
use crate::page::format::{PageId, Target};
use crate::page::store::PageStore;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, RwLock};
use crate::transaction::frames::{Content, Frames};
use crate::transaction::writer::is_dropped;
use crate::transaction::{Snapshot, Transaction, TreeId, TreeSetId};

/// What all tree sets of an engine share.
#[derive(Debug)]
pub(crate) struct Ambient {
    /// Where clean pages come from.
    pub store: Arc<PageStore>,
    /// Slots that no reader can reach any more, for the next checkpoint to take.
    pub released: Mutex<Vec<PageId>>,
    /// Memory of all frames, in bytes.
    pub dirty_bytes: AtomicUsize,
    /// Sets opened so far.
    sets_opened: AtomicU64,
}

impl Ambient {
    pub fn new(store: Arc<PageStore>) -> Self {
        Ambient { store, released: Mutex::default(), dirty_bytes: AtomicUsize::new(0), sets_opened: AtomicU64::new(0) }
    }
}

/// One committed state of a tree set.
#[derive(Debug)]
pub(crate) struct Version {
    /// Counts commits. Never the same for two sets of one engine, even when one takes the other's id.
    pub number: u64,
    /// Roots, sorted by tree.
    pub trees: Vec<(TreeId, Root)>,
    /// The owner's blob.
    pub meta: Bytes,
}

impl Version {
    pub fn root(&self, tree: TreeId) -> Result<Root> {
        match self.trees.binary_search_by_key(&tree, |(id, _)| *id) {
            Ok(at) if !is_dropped(tree) => Ok(self.trees[at].1),
            _ => Err(StorageError::NoTree(tree)),
        }
    }
}

/// What readers see.
#[derive(Debug)]
pub(crate) struct Published {
    pub version: Arc<Version>,
    pub frames: Frames,
}

/// A version that was replaced, with what only it and its ancestors could reach.
#[derive(Debug)]
pub(crate) struct Superseded {
    version: Arc<Version>,
    pub frames: Vec<u32>,
    pub pages: Vec<PageId>,
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
    /// Replaced versions, oldest first, until no reader holds them.
    pub history: VecDeque<Superseded>,
    /// Slots that left the tree, with the version that no longer has them, until a checkpoint covers it.
    pub unlinked: Vec<(u64, PageId)>,
}

/// What nobody can reach any more.
#[derive(Default)]
struct Dead {
    contents: Vec<Content>,
    pages: Vec<PageId>,
}

/// What a commit changes.
pub(crate) struct Changes {
    pub fresh: Vec<(u32, Content)>,
    pub retired_frames: Vec<u32>,
    pub retired_pages: Vec<PageId>,
    pub trees: Vec<(TreeId, Root)>,
    pub meta: Bytes,
}

/// A tree set, behind its handles.
#[derive(Debug)]
pub(crate) struct Shared {
    pub id: TreeSetId,
    pub ambient: Arc<Ambient>,
    pub published: RwLock<Published>,
    writer: Mutex<Option<Box<WriterState>>>,
    writer_returned: Condvar,
    /// The owner's blob as of the older superblock: what lies behind it may be forgotten elsewhere.
    pub durable_meta: Mutex<Option<Bytes>>,
    /// Set when the engine dropped the set: it is then only in memory, and ends with its handles.
    pub dropped: AtomicBool,
    /// Number of the compression of pages written from now on.
    compression: AtomicU32,
}

impl Shared {
    pub fn new(id: TreeSetId, ambient: Arc<Ambient>, trees: Vec<(TreeId, Root)>, meta: Bytes) -> Self {
        let number = ambient.sets_opened.fetch_add(1, Ordering::Relaxed) << 40;
        Shared {
            id,
            ambient,
            published: RwLock::new(Published {
                version: Arc::new(Version { number, trees, meta }),
                frames: Frames::default(),
            }),
            writer: Mutex::new(Some(Box::default())),
            writer_returned: Condvar::new(),
            durable_meta: Mutex::new(None),
            dropped: AtomicBool::new(false),
            compression: AtomicU32::new(Compression::None.number().into()),
        }
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

    /// Ends the set's part in the engine. From here on its slots are taken back as a whole, not one by one.
    pub fn mark_dropped(&self) {
        let state = self.take_writer();
        self.dropped.store(true, Ordering::Release);
        self.return_writer(state);
    }

    /// Slots that left the trees while readers could still reach them.
    pub fn pages_in_history(&self) -> Vec<PageId> {
        let state = self.take_writer();
        let pages = state.history.iter().flat_map(|superseded| superseded.pages.iter().copied()).collect();
        self.return_writer(state);
        pages
    }

    /// Waits for the right to write (T3).
    pub fn take_writer(&self) -> Box<WriterState> {
        let mut writer = self.writer.lock();
        loop {
            match writer.take() {
                Some(state) => return state,
                None => self.writer_returned.wait(&mut writer),
            }
        }
    }

    /// Gives the right to write back.
    pub fn return_writer(&self, state: Box<WriterState>) {
        let before = self.writer.lock().replace(state);
        assert!(before.is_none(), "T3: one transaction is open per set");
        self.writer_returned.notify_one();
    }

    /// Makes a new version visible, and frees what no reader holds any more (T1, T4).
    pub fn publish(&self, state: &mut WriterState, changes: Changes) {
        let mut dead = Dead::default();
        let mut added_bytes = 0;
        let mut published = self.published.write();
        let number = published.version.number + 1;
        for (frame, content) in changes.fresh {
            added_bytes += content.memory_bytes();
            // A checkpoint may replace a frame's content by the same content under new names.
            dead.contents.extend(published.frames.set(frame, content));
        }
        let version = Arc::new(Version { number, trees: changes.trees, meta: changes.meta });
        let replaced = std::mem::replace(&mut published.version, version);
        state.unlinked.extend(changes.retired_pages.iter().map(|&page| (number, page)));
        state.history.push_back(Superseded {
            version: replaced,
            frames: changes.retired_frames,
            pages: changes.retired_pages,
        });
        self.reclaim(state, &mut published, &mut dead);
        drop(published);
        // Added first: the sum never passes below zero.
        self.ambient.dirty_bytes.fetch_add(added_bytes, Ordering::Relaxed);
        self.bury(dead);
    }

    /// Gives back what nobody can reach, after the lock that readers wait for was released.
    fn bury(&self, dead: Dead) {
        let freed_bytes = dead.contents.iter().map(Content::memory_bytes).sum();
        self.ambient.dirty_bytes.fetch_sub(freed_bytes, Ordering::Relaxed);
        if dead.pages.is_empty() {
            return;
        }
        dead.pages.iter().for_each(|page| self.ambient.store.cache().remove(*page));
        if !self.dropped.load(Ordering::Acquire) {
            self.ambient.released.lock().extend(dead.pages);
        }
    }

    /// Frees what only versions without readers could reach. A version that is not published any more gets no new
    /// readers except from those that hold it, so exclusive access now is exclusive access for ever.
    fn reclaim(&self, state: &mut WriterState, published: &mut Published, dead: &mut Dead) {
        while let Some(oldest) = state.history.front_mut() {
            if Arc::get_mut(&mut oldest.version).is_none() {
                return;
            }
            let Some(oldest) = state.history.pop_front() else { return };
            for frame in oldest.frames {
                dead.contents.push(published.frames.take(frame).expect("T4: a retired frame is freed once"));
                state.free_frames.push(frame);
            }
            dead.pages.extend(oldest.pages);
        }
    }

    /// Frees what readers have let go since the last commit.
    pub fn reclaim_idle(&self, state: &mut WriterState) {
        let mut dead = Dead::default();
        let mut published = self.published.write();
        self.reclaim(state, &mut published, &mut dead);
        drop(published);
        self.bury(dead);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let frames = &self.published.get_mut().frames;
        self.ambient.dirty_bytes.fetch_sub(frames.memory_bytes(), Ordering::Relaxed);
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
            let node = match page.target() {
                Target::Frame(frame) => published.frames.get(frame).as_node(),
                Target::Page(id) => match self.shared.ambient.store.cache().get(id) {
                    Some(Cached::Node(node)) => {
                        cached = node;
                        &cached
                    }
                    _ => break,
                },
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
                    Target::Frame(frame) => return Ok(Some(published.frames.get(frame).as_value().clone())),
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
