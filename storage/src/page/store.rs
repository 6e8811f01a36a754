//! The page file with its cache: the one place where pages are read.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;

use crate::btree::format::open_stored;
use crate::btree::node::Node;
use crate::disk::File;
use crate::error::{Result, StorageError};
use crate::fault::buggify;
use crate::limits::UNSYNCED_PAGE_BYTES_MAX;
use crate::page::cache::{Cached, PageCache};
use crate::page::format::{self, PageId, PageKind};
use crate::page::overflow;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Name of the page file.
pub const PAGE_FILE: &str = "pages";

/// Reads pages, checked, through the cache.
pub struct PageStore {
    /// `None` for the engine in memory, which never makes a reference to a slot.
    file: Option<Arc<dyn File>>,
    cache: PageCache,
    /// Bytes written to the file and not synced.
    unsynced_bytes: AtomicUsize,
    /// Bytes of slots read from the file.
    read_bytes: AtomicU64,
}

impl PageStore {
    /// A store over a file, or over nothing.
    pub fn new(file: Option<Arc<dyn File>>, cache_bytes: usize) -> Self {
        PageStore {
            file,
            cache: PageCache::new(cache_bytes),
            unsynced_bytes: AtomicUsize::new(0),
            read_bytes: AtomicU64::new(0),
        }
    }

    /// The cache.
    pub fn cache(&self) -> &PageCache {
        &self.cache
    }

    /// Bytes of slots read from the file since it was opened.
    pub fn bytes_read(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// The page file. Panics in the engine in memory, which has no checkpoint.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        self.file.as_ref().expect("only a store on disk names slots")
    }

    /// Notes that so much was written to the page file, and syncs it when that has become much: one long sync at the end of
    /// a checkpoint would hold up every sync of the log on the same disk.
    pub(crate) fn wrote(&self, bytes: usize) -> Result<()> {
        let unsynced = self.unsynced_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unsynced > UNSYNCED_PAGE_BYTES_MAX || buggify!("storage/pages-synced-early") { self.sync() } else { Ok(()) }
    }

    /// Makes everything written to the page file durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.unsynced_bytes.store(0, Ordering::Relaxed);
        self.file().sync_data().map_err(|error| StorageError::sync(PAGE_FILE, error))
    }

    /// Whether there is a disk.
    pub fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// A tree node.
    pub fn node(&self, id: PageId) -> Result<Arc<Node>> {
        if let Some(Cached::Node(node)) = self.cache.get(id) {
            return Ok(node);
        }
        let node = Arc::new(self.node_uncached(id)?);
        self.cache.insert(id, Cached::Node(Arc::clone(&node)));
        Ok(node)
    }

    /// A tree node for somebody who will not want it again: from the cache, but it does not come in for that.
    pub(crate) fn node_in_passing(&self, id: PageId) -> Result<Arc<Node>> {
        match self.cache.get(id) {
            Some(Cached::Node(node)) => Ok(node),
            _ => self.node_uncached(id).map(Arc::new),
        }
    }

    /// A tree node, straight from the file.
    pub(crate) fn node_uncached(&self, id: PageId) -> Result<Node> {
        self.node_of(id, self.read_any(id)?)
    }

    /// The tree node that a page read from slot `id` holds.
    pub(crate) fn node_of(&self, id: PageId, page: format::Page) -> Result<Node> {
        let damaged = |detail, found| StorageError::DamagedPage {
            page: id,
            offset: id.offset() + format::HEADER_BYTES as u64,
            detail,
            expected: PageKind::Leaf as u64,
            found,
        };
        let kind = page.kind;
        let node = open_stored(page.body).map_err(|flaw| damaged(flaw, kind as u64))?;
        let expected = if node.is_leaf() { PageKind::Leaf } else { PageKind::Branch };
        if kind == expected { Ok(node) } else { Err(damaged("kind of a tree node", kind as u64)) }
    }

    /// A large value.
    pub fn value(&self, id: PageId, length: u32) -> Result<Bytes> {
        if let Some(Cached::Value(value)) = self.cache.get(id)
            && value.len() == length as usize
        {
            return Ok(value);
        }
        let value = overflow::read(self, id, length)?;
        self.cache.insert(id, Cached::Value(value.clone()));
        Ok(value)
    }

    /// The body of a page of a known kind, past the cache.
    pub(crate) fn read(&self, id: PageId, kind: PageKind) -> Result<Vec<u8>> {
        let page = self.read_any(id)?;
        if page.kind == kind {
            return Ok(page.body);
        }
        let (expected, found) = (kind as u64, page.kind as u64);
        Err(StorageError::DamagedPage { page: id, offset: id.offset() + 6, detail: "page kind", expected, found })
    }

    /// What a slot that a person named is called in its present life.
    pub(crate) fn in_present_life(&self, slot: PageId) -> Result<PageId> {
        let found = format::page_id_in(&self.header(slot)?);
        Ok(found.filter(|found| found.is_slot_of(slot)).unwrap_or(slot))
    }

    /// Bytes that the page in a slot takes, header included, as its header says. The page was read before: nothing is
    /// checked here.
    pub(crate) fn stored_bytes(&self, id: PageId) -> Result<u64> {
        Ok(format::HEADER_BYTES as u64 + format::payload_bytes(&self.header(id)?))
    }

    fn header(&self, id: PageId) -> Result<[u8; format::HEADER_BYTES]> {
        let mut header = [0; format::HEADER_BYTES];
        let read = self.file().read_exact_at(&mut header, id.offset());
        read.map_err(|error| StorageError::io("read of", PAGE_FILE, error))?;
        Ok(header)
    }

    /// A page of any kind, straight from the file. Read into a buffer that the thread keeps: the largest slot is 64 KiB.
    pub(crate) fn read_any(&self, id: PageId) -> Result<format::Page> {
        thread_local! {
            static SLOT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        }
        let slot_bytes = id.class().slot_bytes();
        let mut buffer = SLOT.take();
        if buffer.len() < slot_bytes {
            buffer.resize(slot_bytes, 0);
        }
        let page = self.read_slot(id, &mut buffer[..slot_bytes]);
        SLOT.set(buffer);
        page
    }

    fn read_slot(&self, id: PageId, slot: &mut [u8]) -> Result<format::Page> {
        self.read_bytes.fetch_add(slot.len() as u64, Ordering::Relaxed);
        self.file().read_exact_at(slot, id.offset()).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => StorageError::DamagedPage {
                page: id,
                offset: id.offset(),
                detail: "page lies behind the end of the file",
                expected: slot.len() as u64,
                found: 0,
            },
            _ => StorageError::io("read of", PAGE_FILE, error),
        })?;
        format::decode(id, slot)
    }
}

impl std::fmt::Debug for PageStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageStore").field("on_disk", &self.is_on_disk()).finish_non_exhaustive()
    }
}
