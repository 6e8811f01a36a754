//! A bounded cache of clean pages that a scan does not empty: S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO Queues Are All
//! You Need for Cache Eviction, SOSP 2023), with bytes in the place of objects.
//!
//! A page comes into a small queue, a tenth of the budget. At its end those that were asked for again go on to the main
//! queue; the others leave, and their names are remembered for a while: who comes back in that time goes to the main queue
//! at once. There a page goes round as often as it was asked for. So what is read once passes through the small queue
//! alone, and what becomes hot is in the main queue after its second miss at the latest.
//!
//! The budget is that of changed nodes too: what they take is lent to them, and what is clean has the rest.
//!
//! P1: an entry is the content of its slot in the current life of that slot. The checkpoint forgets a slot's entry
//! before it reuses the slot, and no reader can load a slot that may be reused, because readers hold pins.

mod shard;

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::Node;
use crate::fault::buggify;
use crate::page::format::PageId;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use shard::Shard;

const SHARDS: usize = 16;

/// Memory of an entry beside its content, in bytes: the entry itself, its place in the index, and a remembered name.
const ENTRY_BYTES: usize = 128;

/// How much more may be lent before pages leave for it.
const LENT_STEP_BYTES: usize = 1 << 20;

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
            Cached::Node(node) => node.memory_bytes() + ENTRY_BYTES,
            Cached::Value(value) => value.len() + ENTRY_BYTES,
        }
    }
}

/// The cache.
pub struct PageCache {
    shards: Vec<Mutex<Shard>>,
    /// Of clean pages and of what is lent.
    bytes_max: usize,
    lent_bytes: AtomicUsize,
    /// What was lent when pages last left for it, or less.
    fitted_to_bytes: AtomicUsize,
    misses: AtomicU64,
}

impl PageCache {
    /// A cache of at most about `bytes`.
    pub fn new(bytes: usize) -> Self {
        PageCache {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            bytes_max: bytes,
            lent_bytes: AtomicUsize::new(0),
            fitted_to_bytes: AtomicUsize::new(0),
            misses: AtomicU64::new(0),
        }
    }

    fn shard(&self, page: PageId) -> &Mutex<Shard> {
        let mixed = page.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.shards[(mixed >> 60) as usize]
    }

    /// Looks a page up.
    pub fn get(&self, page: PageId) -> Option<Cached> {
        if buggify!("storage/cache-tiny") {
            self.remove(page);
        }
        let found = self.shard(page).lock().get(page);
        if found.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Keeps a page, evicting others when the budget is spent. A page larger than half a shard is not kept.
    pub fn insert(&self, page: PageId, content: Cached) {
        let bytes = content.memory_bytes();
        let bytes_max = self.bytes_per_shard();
        if bytes > bytes_max / 2 || buggify!("storage/page-not-cached") {
            return;
        }
        // What leaves is freed after the lock is.
        let evicted = self.shard(page).lock().insert(page, content, bytes, bytes_max);
        drop(evicted);
    }

    /// What the pages of a shard may take.
    fn bytes_per_shard(&self) -> usize {
        self.bytes_max.saturating_sub(self.lent_bytes.load(Ordering::Relaxed)) / SHARDS
    }

    /// Takes so much out of the budget, until it is given back. Pages leave for it, about a MiB at a time.
    pub fn lend(&self, bytes: usize) {
        let lent = self.lent_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if lent <= self.fitted_to_bytes.load(Ordering::Relaxed).saturating_add(LENT_STEP_BYTES) {
            return;
        }
        self.fitted_to_bytes.store(lent, Ordering::Relaxed);
        let bytes_max = self.bytes_per_shard();
        for shard in &self.shards {
            let evicted = shard.lock().shrink_to(bytes_max);
            drop(evicted);
        }
    }

    /// Ends what [`PageCache::lend`] began.
    pub fn give_back(&self, bytes: usize) {
        let lent = self.lent_bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        if lent < self.fitted_to_bytes.load(Ordering::Relaxed) {
            self.fitted_to_bytes.store(lent, Ordering::Relaxed);
        }
    }

    /// Forgets a page, because its slot gets another life.
    pub fn remove(&self, page: PageId) {
        let removed = self.shard(page).lock().remove(page);
        drop(removed);
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().bytes()).sum()
    }

    /// Lookups that found their page, and that did not.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        let hits = self.shards.iter().map(|shard| shard.lock().hits()).sum::<u64>();
        (hits, self.misses.load(Ordering::Relaxed))
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::slab::SizeClass;

    const VALUE_BYTES: usize = 4096 - ENTRY_BYTES;
    /// Pages that the cache below has room for.
    const ROOM: u32 = 4096;

    fn cache() -> PageCache {
        PageCache::new(ROOM as usize * 4096)
    }

    fn page(number: u32) -> PageId {
        PageId::new(SizeClass::NODE, number / 100, (number % 100) as u16)
    }

    /// Reads as a store does; true when it was there.
    fn read(cache: &PageCache, number: u32) -> bool {
        let found = cache.get(page(number)).is_some();
        if !found {
            cache.insert(page(number), Cached::Value(Bytes::from(vec![0; VALUE_BYTES])));
        }
        found
    }

    fn share_found(cache: &PageCache, pages: std::ops::Range<u32>) -> f64 {
        let length = f64::from(pages.end - pages.start);
        f64::from(pages.map(|number| u32::from(read(cache, number))).sum::<u32>()) / length
    }

    #[test]
    fn a_scan_does_not_empty_it() {
        let cache = cache();
        let hot = 0..ROOM / 2;
        for _ in 0..3 {
            share_found(&cache, hot.clone());
        }
        // Twenty times what the cache holds, once each.
        for number in 10_000..10_000 + 20 * ROOM {
            read(&cache, number);
        }
        let kept = share_found(&cache, hot);
        assert!(kept > 0.95, "{kept} of the hot pages are left");
    }

    #[test]
    fn what_becomes_hot_comes_in_and_what_was_goes() {
        let cache = cache();
        for _ in 0..4 {
            share_found(&cache, 0..ROOM * 3 / 4);
        }
        let others = 20_000..20_000 + ROOM * 3 / 4;
        let mut found = 0.0;
        for _ in 0..8 {
            found = share_found(&cache, others.clone());
        }
        assert!(found > 0.9, "{found} of the pages that are hot now");
    }

    #[test]
    fn it_keeps_within_its_budget_and_forgets_what_it_is_told_to() {
        let cache = cache();
        for number in 0..10 * ROOM {
            read(&cache, number % (3 * ROOM));
            if number % 7 == 0 {
                cache.remove(page(number % (3 * ROOM)));
                assert!(cache.get(page(number % (3 * ROOM))).is_none());
            }
            assert!(number % 1000 != 0 || cache.bytes() <= ROOM as usize * 4096);
        }
        (0..3 * ROOM).for_each(|number| cache.remove(page(number)));
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn what_is_lent_is_taken_from_clean_pages_and_comes_back_to_them() {
        let cache = cache();
        let all = ROOM as usize * 4096;
        share_found(&cache, 0..2 * ROOM);
        assert!(cache.bytes() > all / 10 * 9, "{} of {all}", cache.bytes());
        // In small pieces, as commits take it, and without anything that comes in.
        for _ in 0..all / 2 / 1000 {
            cache.lend(1000);
        }
        assert!(cache.bytes() <= all / 2 + LENT_STEP_BYTES, "{} are left", cache.bytes());
        cache.give_back(all / 4);
        share_found(&cache, 2 * ROOM..4 * ROOM);
        assert!(cache.bytes() > all / 10 * 6 && cache.bytes() <= all / 4 * 3 + 4096, "{}", cache.bytes());
        cache.lend(2 * all);
        assert_eq!(cache.bytes(), 0, "nothing is left to them");
        cache.insert(page(1), Cached::Value(Bytes::from_static(b"value")));
        assert_eq!(cache.bytes(), 0);
    }
}
