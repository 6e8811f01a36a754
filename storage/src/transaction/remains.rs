//! Memory of what nobody can reach any more, until somebody has the time to give it back.
//!
//! A reader or a checkpoint that held a version for long lets go of much at once. The commit that finds that out must not be
//! held up by it: it gives back a bounded part, and so do those after it.

use crate::page::format::PageId;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::transaction::frames::Content;
use crate::transaction::published::Dead;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Remains {
    parts: Mutex<Parts>,
    /// How many there are, so that nobody takes the lock for nothing.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Parts {
    contents: Vec<Content>,
    /// Slots that left the trees, whose content the cache may have.
    pages: Vec<PageId>,
}

impl Remains {
    /// Keeps the memory of what is dead.
    pub fn add(&self, dead: Dead) {
        let Dead { contents, stored, unnamed, .. } = dead;
        let added = contents.len() + stored.len() + unnamed.len();
        if added == 0 {
            return;
        }
        let mut parts = self.parts.lock();
        parts.contents.extend(contents);
        parts.pages.extend(stored);
        parts.pages.extend(unnamed);
        self.count.fetch_add(added, Ordering::Relaxed);
    }

    /// Takes out `max` things at most; last, whether there are more.
    pub fn take(&self, max: usize) -> (Vec<Content>, Vec<PageId>, bool) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return (Vec::new(), Vec::new(), false);
        }
        let mut parts = self.parts.lock();
        let contents_left = parts.contents.len().saturating_sub(max);
        let contents = parts.contents.split_off(contents_left);
        let pages_left = parts.pages.len().saturating_sub(max - contents.len());
        let pages = parts.pages.split_off(pages_left);
        // Their room goes with the last of them.
        if contents_left == 0 && pages_left == 0 {
            *parts = Parts::default();
        }
        let left = self.count.fetch_sub(contents.len() + pages.len(), Ordering::Relaxed) - contents.len() - pages.len();
        (contents, pages, left > 0)
    }
}
