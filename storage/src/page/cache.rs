//! A bounded cache of clean pages, evicted by the clock algorithm.
//!
//! P1: an entry is the content of its slot in the current life of that slot. The checkpoint forgets a slot's entry
//! before it reuses the slot, and no reader can load a slot that may be reused, because readers hold pins.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::btree::node::Node;
use crate::page::format::PageId;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

const SHARDS: usize = 16;

/// Something read from the page file and proved to be what was written.
#[derive(Clone, Debug)]
pub enum Cached {
    /// A tree node.
    Node(Arc<Node>),
    /// A large value, its pieces joined.
    Value(Bytes),
}

impl Cached {
    fn memory_bytes(&self) -> usize {
        match self {
            Cached::Node(node) => node.memory_bytes() + 64,
            Cached::Value(value) => value.len() + 128,
        }
    }
}

/// The cache.
pub struct PageCache {
    shards: Vec<Mutex<Shard>>,
    bytes_per_shard: usize,
    misses: AtomicU64,
}

#[derive(Default)]
struct Shard {
    index: FxHashMap<PageId, usize>,
    entries: Vec<Entry>,
    hand: usize,
    bytes: usize,
    hits: u64,
}

struct Entry {
    page: PageId,
    content: Cached,
    bytes: usize,
    referenced: bool,
}

impl PageCache {
    /// A cache of at most about `bytes`.
    pub fn new(bytes: usize) -> Self {
        PageCache {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            bytes_per_shard: bytes / SHARDS,
            misses: AtomicU64::new(0),
        }
    }

    fn shard(&self, page: PageId) -> &Mutex<Shard> {
        let mixed = page.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.shards[(mixed >> 60) as usize]
    }

    /// Looks a page up.
    pub fn get(&self, page: PageId) -> Option<Cached> {
        let mut shard = self.shard(page).lock();
        let Some(&at) = shard.index.get(&page) else {
            drop(shard);
            self.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        shard.hits += 1;
        let entry = &mut shard.entries[at];
        entry.referenced = true;
        Some(entry.content.clone())
    }

    /// Keeps a page, evicting others when the budget is spent. A page larger than half a shard is not kept.
    pub fn insert(&self, page: PageId, content: Cached) {
        let bytes = content.memory_bytes();
        if bytes > self.bytes_per_shard / 2 {
            return;
        }
        let mut shard = self.shard(page).lock();
        shard.remove(page);
        while shard.bytes + bytes > self.bytes_per_shard {
            shard.evict_one();
        }
        let at = shard.entries.len();
        shard.entries.push(Entry { page, content, bytes, referenced: false });
        shard.index.insert(page, at);
        shard.bytes += bytes;
    }

    /// Forgets a page, because its slot gets another life.
    pub fn remove(&self, page: PageId) {
        self.shard(page).lock().remove(page);
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().bytes).sum()
    }

    /// Lookups that found their page, and that did not.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        let hits = self.shards.iter().map(|shard| shard.lock().hits).sum::<u64>();
        (hits, self.misses.load(Ordering::Relaxed))
    }
}

impl Shard {
    fn remove(&mut self, page: PageId) {
        let Some(at) = self.index.remove(&page) else { return };
        let entry = self.entries.swap_remove(at);
        self.bytes -= entry.bytes;
        if let Some(moved) = self.entries.get(at) {
            self.index.insert(moved.page, at);
        }
    }

    fn evict_one(&mut self) {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let entry = &mut self.entries[self.hand];
            if !entry.referenced {
                let page = entry.page;
                self.remove(page);
                return;
            }
            entry.referenced = false;
            self.hand += 1;
        }
    }
}
