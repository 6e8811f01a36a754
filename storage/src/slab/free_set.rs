//! Which slots are free now, free after the next checkpoints, free after the last reader.
//!
//! F1: a slot is given out only when the state being built does not use it, neither superblock needs it, and no reader
//! can reach it. F2: the stored maps name exactly the slots reachable from the superblock that stores them. F3: the
//! file is cut only behind the last extent that any slot of which is needed in the sense of F1.
//!
//! The stored form covers only what is used: an opening writes both superblocks for the same state, so nothing is held
//! after it, and readers do not outlive the process.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::checksum::incarnation;
use crate::fault::fault_point;
use crate::page::format::{LIFE_MAX, PageId};
use crate::slab::extent::Extent;
use crate::slab::format::EXTENTS_PER_CHUNK;
use crate::slab::placement::{Choice, Placement};
use crate::slab::size_class::SizeClass;
use crate::sync::atomic::{AtomicU64, Ordering};

mod ahead;
mod stored;

pub use stored::decode_chunk;

/// The books of the page file. Only the checkpoint changes them.
#[derive(Clone, Debug, Default)]
pub struct FreeSet {
    extents: Vec<Extent>,
    placement: Placement,
    /// Where each chunk is stored.
    chunks: Vec<Option<PageId>>,
    /// Chunks that differ from what is stored.
    dirty_chunks: BTreeSet<usize>,
    /// Where each directory page is stored.
    directory: Vec<PageId>,
    /// Directory pages that differ from what is stored for another reason than a chunk that moved.
    dirty_directory: BTreeSet<usize>,
    /// Slots that readers let go before a checkpoint saw them leave the tree.
    released_early: FxHashSet<PageId>,
    /// What the numbers of lives are drawn from: differs for every opening.
    life_seed: u64,
    /// Lives begun so far. Shared with copies of the books: putting a copy back begins no life a second time.
    lives: Arc<AtomicU64>,
}

/// A slot given out, and whether its extent just got its class.
pub struct Allocated {
    /// The slot.
    pub page: PageId,
    /// The extent's header must be written, and the file must reach its end.
    pub opened_extent: bool,
}

/// How the page file is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Extents of the file.
    pub extents: usize,
    /// Extents without any page.
    pub idle_extents: usize,
    /// Slots that hold a page of the newest checkpoint.
    pub used_slots: usize,
    /// Their size in bytes.
    pub used_bytes: u64,
    /// Bytes in slots that left the trees, and that a reader or one of the superblocks still needs.
    pub held_bytes: u64,
}

impl FreeSet {
    /// An empty page file.
    pub fn new() -> Self {
        FreeSet::default()
    }

    /// The extents, by number.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// The stored pages of the free set itself.
    pub fn own_pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.directory.iter().copied().chain(self.chunks.iter().copied().flatten())
    }

    /// Whether what is stored of the books, or where something lies, is to change with the next checkpoint.
    pub fn has_changes(&self) -> bool {
        !self.dirty_chunks.is_empty() || !self.dirty_directory.is_empty() || !self.closed().is_empty()
    }

    /// Every slot of the state being built.
    pub fn used_pages(&self) -> impl Iterator<Item = PageId> + '_ {
        let classed =
            (0u32..).zip(&self.extents).filter_map(|(number, extent)| Some((number, extent.class?, &extent.used)));
        classed.flat_map(|(number, class, used)| used.iter().map(move |slot| PageId::new(class, number, slot)))
    }

    /// The directory, for the superblock.
    pub fn directory(&self) -> &[PageId] {
        &self.directory
    }

    /// Sums.
    pub fn occupancy(&self) -> Occupancy {
        let mut occupancy = Occupancy { extents: self.needed_extents() as usize, ..Occupancy::default() };
        for extent in &self.extents[..occupancy.extents] {
            let used = extent.used.len();
            occupancy.used_slots += used;
            occupancy.used_bytes += (used * extent.class.map_or(0, SizeClass::slot_bytes)) as u64;
            let held = extent.needed_slots() - used;
            occupancy.held_bytes += (held * extent.class.map_or(0, SizeClass::slot_bytes)) as u64;
            occupancy.idle_extents += usize::from(used == 0);
        }
        occupancy
    }

    fn extent_mut(&mut self, page: PageId) -> &mut Extent {
        self.dirty_chunks.insert(page.extent() as usize / EXTENTS_PER_CHUNK);
        let extent = &mut self.extents[page.extent() as usize];
        assert!(extent.class == Some(page.class()), "F1: a slot belongs to an extent of its class");
        extent
    }

    /// Gives out a slot for a page of `class`, or a larger one (see [`super::placement`]).
    pub fn allocate(&mut self, class: SizeClass) -> Allocated {
        let allocated = self.choose(class);
        let page = allocated.page;
        let fresh = self.extent_mut(page).used.insert(page.slot());
        assert!(fresh, "F1: a slot is given out once");
        allocated
    }

    /// Says how many checkpoints the directory had when it was opened, so that a slot does not begin a life again that it
    /// had before the opening (P2).
    pub fn begin_lives(&mut self, generation: u64) {
        self.life_seed = generation;
    }

    fn draw_life(&self) -> u16 {
        let count = self.lives.fetch_add(1, Ordering::Relaxed);
        let drawn = incarnation(self.life_seed, count) % u64::from(LIFE_MAX) + 1;
        u16::try_from(drawn).expect("LIFE_MAX has 14 bits")
    }

    fn choose(&mut self, class: SizeClass) -> Allocated {
        let (page, opened_extent) = match self.placement.choose(class, &self.extents) {
            Choice::Slot { class, extent, slot } => (PageId::new(class, extent, slot), false),
            Choice::Open { class, extent } => {
                let number = extent.unwrap_or_else(|| self.grow());
                self.extents[number as usize].class = Some(class);
                self.placement.classed(number, class);
                (PageId::new(class, number, 0), true)
            }
        };
        Allocated { page: page.in_life(self.draw_life()), opened_extent }
    }

    fn grow(&mut self) -> u32 {
        let number = u32::try_from(self.extents.len()).expect("the page file is below 2^32 extents");
        self.extents.push(Extent::default());
        if self.chunks.len() * EXTENTS_PER_CHUNK < self.extents.len() {
            self.chunks.push(None);
        }
        number
    }

    /// A slot is not in the state being built any more; readers may still reach it.
    pub fn unlink(&mut self, page: PageId) {
        if self.is_ahead(page) {
            return self.unlink_ahead(page);
        }
        let released = self.released_early.remove(&page);
        let extent = self.extent_mut(page);
        assert!(extent.used.remove(page.slot()), "F2: a page leaves the tree once");
        extent.held[0].insert(page.slot());
        if !released && !fault_point!("reuse-under-reader") {
            extent.readers.insert(page.slot());
        }
    }

    /// A slot of the free set itself, or one that no reader ever saw, is not in the state being built any more.
    pub fn unlink_unread(&mut self, page: PageId) {
        let extent = self.extent_mut(page);
        assert!(extent.used.remove(page.slot()), "F2: a page leaves the tree once");
        extent.held[0].insert(page.slot());
    }

    /// No reader can reach a slot any more. May come before [`FreeSet::unlink`].
    pub fn release(&mut self, page: PageId) {
        if self.is_awaiting_readers(page) {
            self.extents[page.extent() as usize].readers.remove(page.slot());
            self.reopen(page.extent());
        } else {
            self.released_early.insert(page);
        }
    }

    /// Whether readers may still reach a slot that left the tree.
    pub fn is_awaiting_readers(&self, page: PageId) -> bool {
        self.extents.get(page.extent() as usize).is_some_and(|extent| extent.readers.has(page.slot()))
    }

    /// Looks again at an extent some slots of which became free.
    fn reopen(&mut self, number: u32) {
        let extent = &mut self.extents[number as usize];
        let Some(class) = extent.class else { return };
        if extent.is_idle() {
            extent.class = None;
            self.placement.emptied(number, class);
        } else {
            self.placement.has_room(number, class);
        }
    }

    /// The state being built was published over the older superblock: what only that one needed is free.
    pub fn published(&mut self) {
        for number in 0..u32::try_from(self.extents.len()).expect("the page file is below 2^32 extents") {
            let extent = &mut self.extents[number as usize];
            let expired = std::mem::take(&mut extent.held[1]);
            extent.held[1] = std::mem::take(&mut extent.held[0]);
            if fault_point!("free-too-early") {
                extent.held[1] = Default::default();
            }
            if !expired.is_empty() {
                self.reopen(number);
            }
        }
    }

    /// Puts nothing into an extent until [`FreeSet::open_closed`], so that it can be emptied.
    pub fn close(&mut self, extent: u32) {
        self.placement.close(extent);
    }

    /// Extents that are being emptied.
    pub fn closed(&self) -> &BTreeSet<u32> {
        self.placement.closed()
    }

    /// Puts pages into closed extents again.
    pub fn open_closed(&mut self) {
        for number in self.placement.take_closed() {
            match self.extents[number as usize].class {
                Some(class) => self.placement.has_room(number, class),
                None => self.placement.unclassed(number),
            }
        }
    }

    /// Extents up to the last one that is needed (F3): the file may be cut behind it.
    pub fn needed_extents(&self) -> u32 {
        let needed = self.extents.iter().rposition(|extent| extent.class.is_some()).map_or(0, |last| last + 1);
        u32::try_from(needed).expect("the page file is below 2^32 extents")
    }

    /// Forgets the extents at the end of the file that nobody needs (F3), and with them the chunks that described only
    /// such. To be called where the state being built begins: it changes what will be stored.
    pub fn trim(&mut self) {
        let needed = self.needed_extents() as usize;
        while self.extents.len() > needed {
            let number = u32::try_from(self.extents.len() - 1).expect("the page file is below 2^32 extents");
            self.placement.forgotten(number);
            self.extents.pop();
        }
        self.trim_stored();
    }
}

#[cfg(test)]
mod tests;
