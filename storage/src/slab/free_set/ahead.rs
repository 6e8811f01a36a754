//! Slots written ahead: given out for pages that no superblock names yet.
//!
//! They are in no stored map, so after a crash they are simply free. A checkpoint takes those its state reaches into that
//! state; those that left the tree before one came are free as soon as no reader can reach them.

use super::{Allocated, FreeSet};
use crate::page::format::PageId;
use crate::slab::size_class::SizeClass;

impl FreeSet {
    /// Gives out a slot that the state being built does not name yet.
    pub fn allocate_ahead(&mut self, class: SizeClass) -> Allocated {
        let allocated = self.choose(class);
        let page = allocated.page;
        let fresh = self.extent_mut(page).ahead.insert(page.slot());
        assert!(fresh, "F1: a slot is given out once");
        allocated
    }

    /// Whether a slot was given out and no superblock ever named it.
    pub fn is_ahead(&self, page: PageId) -> bool {
        self.extents.get(page.extent() as usize).is_some_and(|extent| extent.ahead.has(page.slot()))
    }

    /// The state being built names a slot written ahead.
    pub fn adopt(&mut self, page: PageId) {
        let extent = self.extent_mut(page);
        assert!(extent.ahead.remove(page.slot()), "F2: a page enters the tree once");
        extent.used.insert(page.slot());
    }

    /// A slot written ahead is needed by nobody any more.
    pub fn give_back(&mut self, page: PageId) {
        self.released_early.remove(&page);
        let removed = self.extent_mut(page).ahead.remove(page.slot());
        assert!(removed, "F1: a slot is given back once");
        self.reopen(page.extent());
    }

    /// A slot written ahead left the tree before a superblock named it; readers may still reach it.
    pub(super) fn unlink_ahead(&mut self, page: PageId) {
        let released = self.released_early.remove(&page);
        let extent = self.extent_mut(page);
        extent.ahead.remove(page.slot());
        if released {
            self.reopen(page.extent());
        } else {
            extent.readers.insert(page.slot());
        }
    }
}
