//! One shard of the cache: two queues and remembered names. See the module above.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Cached;
use crate::page::format::PageId;

/// How often a page was asked for counts up to here.
const USES_MAX: u8 = 3;

/// The small queue's part of the budget: one of so many.
const SMALL_ONE_OF: usize = 10;

/// No entry.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    Small,
    Main,
}

/// A kept page, in one of the two queues.
struct Entry {
    page: PageId,
    /// `None`: the place is free.
    content: Option<Cached>,
    bytes: usize,
    uses: u8,
    queue: Queue,
    older: u32,
    newer: u32,
}

/// The ends of a queue.
#[derive(Clone, Copy)]
struct Ends {
    oldest: u32,
    newest: u32,
    bytes: usize,
}

impl Default for Ends {
    fn default() -> Self {
        Ends { oldest: NONE, newest: NONE, bytes: 0 }
    }
}

#[derive(Default)]
pub(super) struct Shard {
    index: FxHashMap<PageId, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    small: Ends,
    main: Ends,
    /// Pages that left the small queue without being asked for again, oldest first; as many as there are entries.
    left: VecDeque<PageId>,
    /// Those of them that have not come back since.
    remembered: FxHashSet<PageId>,
    hits: u64,
}

impl Shard {
    pub fn new() -> Self {
        Shard::default()
    }

    pub fn bytes(&self) -> usize {
        self.small.bytes + self.main.bytes
    }

    pub fn hits(&self) -> u64 {
        self.hits
    }

    pub fn get(&mut self, page: PageId) -> Option<Cached> {
        let at = *self.index.get(&page)?;
        self.hits += 1;
        let entry = &mut self.entries[at as usize];
        entry.uses = (entry.uses + 1).min(USES_MAX);
        entry.content.clone()
    }

    /// Keeps a page of `bytes`, so that all are `bytes_max` at most, which must be more. Returns what had to go.
    pub fn insert(&mut self, page: PageId, content: Cached, bytes: usize, bytes_max: usize) -> Vec<Cached> {
        let before = self.remove_entry(page);
        let mut evicted = self.shrink_to(bytes_max - bytes);
        evicted.extend(before);
        let queue = if self.remembered.remove(&page) { Queue::Main } else { Queue::Small };
        let entry = Entry { page, content: Some(content), bytes, uses: 0, queue, older: NONE, newer: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("entries are bounded by memory")
            }
        };
        self.index.insert(page, at);
        self.link(at);
        evicted
    }

    /// Lets pages go until all are `bytes_max` at most. Returns them.
    pub fn shrink_to(&mut self, bytes_max: usize) -> Vec<Cached> {
        let mut evicted = Vec::new();
        while self.bytes() > bytes_max {
            evicted.extend(self.evict_one(bytes_max));
        }
        evicted
    }

    /// Forgets a page and its name.
    pub fn remove(&mut self, page: PageId) -> Option<Cached> {
        self.remembered.remove(&page);
        self.remove_entry(page)
    }

    fn remove_entry(&mut self, page: PageId) -> Option<Cached> {
        let at = self.index.remove(&page)?;
        self.unlink(at);
        self.free.push(at);
        self.entries[at as usize].content.take()
    }

    /// Makes room in a shard of `bytes_max`; `None`: something moved on instead. The caller asks only while there are
    /// entries.
    fn evict_one(&mut self, bytes_max: usize) -> Option<Cached> {
        let from_small = self.small.bytes > bytes_max / SMALL_ONE_OF || self.main.oldest == NONE;
        let at = if from_small { self.small.oldest } else { self.main.oldest };
        let entry = &mut self.entries[at as usize];
        let page = entry.page;
        if entry.uses == 0 {
            if from_small {
                self.remember(page);
            }
            return self.remove_entry(page);
        }
        // From the small queue it begins anew in the main one; there it has been round once more.
        entry.uses = if from_small { 0 } else { entry.uses - 1 };
        self.unlink(at);
        self.entries[at as usize].queue = Queue::Main;
        self.link(at);
        None
    }

    fn remember(&mut self, page: PageId) {
        if !self.remembered.insert(page) {
            return;
        }
        self.left.push_back(page);
        while self.left.len() > self.index.len() {
            if let Some(oldest) = self.left.pop_front() {
                self.remembered.remove(&oldest);
            }
        }
    }

    fn ends(&mut self, queue: Queue) -> &mut Ends {
        match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        }
    }

    /// Puts an entry at the newest end of its queue.
    fn link(&mut self, at: u32) {
        let (queue, bytes) = (self.entries[at as usize].queue, self.entries[at as usize].bytes);
        let ends = self.ends(queue);
        let before = std::mem::replace(&mut ends.newest, at);
        ends.bytes += bytes;
        if before == NONE {
            ends.oldest = at;
        } else {
            self.entries[before as usize].newer = at;
        }
        (self.entries[at as usize].older, self.entries[at as usize].newer) = (before, NONE);
    }

    fn unlink(&mut self, at: u32) {
        let Entry { queue, bytes, older, newer, .. } = self.entries[at as usize];
        let ends = self.ends(queue);
        ends.bytes -= bytes;
        if older == NONE {
            ends.oldest = newer;
        }
        if newer == NONE {
            ends.newest = older;
        }
        if older != NONE {
            self.entries[older as usize].newer = newer;
        }
        if newer != NONE {
            self.entries[newer as usize].older = older;
        }
    }
}
