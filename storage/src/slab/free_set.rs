//! Which slots are free now, free after the next checkpoints, free after the last reader.
//!
//! F1: a slot is given out only when the state being built does not use it, neither superblock needs it, and no reader
//! can reach it. F2: the stored maps name exactly the slots reachable from the superblock that stores them.
//!
//! The stored form covers only what is used: an opening writes both superblocks for the same state, so nothing is held
//! after it, and readers do not outlive the process.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use crate::error::{Result, StorageError};
use crate::page::format::{PageId, PageKind};
use crate::page::store::PageStore;
use crate::slab::extent::Extent;
use crate::slab::format::{CHUNKS_PER_DIRECTORY, EXTENT_RECORD_BYTES, EXTENTS_PER_CHUNK};
use crate::slab::size_class::SizeClass;

/// The books of the page file. Only the checkpoint changes them.
#[derive(Clone, Debug, Default)]
pub struct FreeSet {
    extents: Vec<Extent>,
    /// Extents of each class that may have a free slot.
    open: Vec<BTreeSet<u32>>,
    /// Extents without a class.
    idle: BTreeSet<u32>,
    /// Where each chunk is stored.
    chunks: Vec<Option<PageId>>,
    /// Chunks that differ from what is stored.
    dirty_chunks: BTreeSet<usize>,
    /// Where each directory page is stored.
    directory: Vec<PageId>,
    /// Slots that readers let go before a checkpoint saw them leave the tree.
    released_early: FxHashSet<PageId>,
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
}

impl FreeSet {
    /// An empty page file.
    pub fn new() -> Self {
        FreeSet { open: vec![BTreeSet::new(); SizeClass::COUNT], ..FreeSet::default() }
    }

    /// Reads the stored form.
    pub fn load(store: &PageStore, directory: &[PageId], extents: u32) -> Result<Self> {
        let inconsistent = |detail: &str| StorageError::Inconsistent { detail: format!("free set: {detail}") };
        let mut set = FreeSet::new();
        set.directory = directory.to_vec();
        for &page in directory {
            for bytes in store.read(page, PageKind::FreeDirectory)?.chunks(8) {
                let bits = u64::from_le_bytes(bytes.try_into().map_err(|_| inconsistent("directory is cut short"))?);
                let chunk = match bits {
                    0 => None,
                    bits => Some(PageId::from_bits(bits).ok_or_else(|| inconsistent("reference of a chunk"))?),
                };
                set.chunks.push(chunk);
            }
        }
        if set.chunks.len() != (extents as usize).div_ceil(EXTENTS_PER_CHUNK) {
            return Err(inconsistent("number of chunks"));
        }
        for &chunk in &set.chunks {
            match chunk {
                None => set.extents.extend(std::iter::repeat_n(Extent::default(), EXTENTS_PER_CHUNK)),
                Some(page) => {
                    let body = store.read(page, PageKind::FreeChunk)?;
                    if body.len() != EXTENTS_PER_CHUNK * EXTENT_RECORD_BYTES {
                        return Err(inconsistent("length of a chunk"));
                    }
                    for record in body.chunks_exact(EXTENT_RECORD_BYTES) {
                        set.extents.push(Extent::decode(record)?);
                    }
                }
            }
        }
        set.extents.truncate(extents as usize);
        for (number, extent) in (0..extents).zip(&set.extents) {
            match extent.class {
                None => set.idle.insert(number),
                Some(class) => set.open[usize::from(class.number())].insert(number),
            };
        }
        Ok(set)
    }

    /// The extents, by number.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// The stored pages of the free set itself.
    pub fn own_pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.directory.iter().copied().chain(self.chunks.iter().copied().flatten())
    }

    /// The directory, for the superblock.
    pub fn directory(&self) -> &[PageId] {
        &self.directory
    }

    /// Sums.
    pub fn occupancy(&self) -> Occupancy {
        let mut occupancy = Occupancy { extents: self.extents.len(), ..Occupancy::default() };
        for extent in &self.extents {
            let used = extent.used.len();
            occupancy.used_slots += used;
            occupancy.used_bytes += (used * extent.class.map_or(0, SizeClass::slot_bytes)) as u64;
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

    /// Gives out a slot: the lowest one, so that the file stays dense at its start.
    pub fn allocate(&mut self, class: SizeClass) -> Allocated {
        let open = usize::from(class.number());
        while let Some(&number) = self.open[open].first() {
            if let Some(slot) = self.extents[number as usize].free_slot() {
                let page = PageId::new(class, number, slot);
                self.extent_mut(page).used.insert(slot);
                return Allocated { page, opened_extent: false };
            }
            self.open[open].pop_first();
        }
        let number = match self.idle.pop_first() {
            Some(number) => number,
            None => {
                let number = u32::try_from(self.extents.len()).expect("the page file is below 2^32 extents");
                self.extents.push(Extent::default());
                if self.chunks.len() * EXTENTS_PER_CHUNK < self.extents.len() {
                    self.chunks.push(None);
                }
                number
            }
        };
        self.extents[number as usize].class = Some(class);
        self.open[open].insert(number);
        let page = PageId::new(class, number, 0);
        self.extent_mut(page).used.insert(0);
        Allocated { page, opened_extent: true }
    }

    /// A slot is not in the state being built any more; readers may still reach it.
    pub fn unlink(&mut self, page: PageId) {
        let released = self.released_early.remove(&page);
        let extent = self.extent_mut(page);
        assert!(extent.used.remove(page.slot()), "F2: a page leaves the tree once");
        extent.held[0].insert(page.slot());
        if !released {
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
        if self.extents[page.extent() as usize].readers.has(page.slot()) {
            self.extents[page.extent() as usize].readers.remove(page.slot());
            self.reopen(page.extent());
        } else {
            self.released_early.insert(page);
        }
    }

    /// Whether readers may still reach a slot that left the tree.
    pub fn is_awaiting_readers(&self, page: PageId) -> bool {
        self.extents[page.extent() as usize].readers.has(page.slot())
    }

    /// Looks again at an extent some slots of which became free.
    fn reopen(&mut self, number: u32) {
        let extent = &mut self.extents[number as usize];
        let Some(class) = extent.class else { return };
        let open = &mut self.open[usize::from(class.number())];
        if extent.is_idle() {
            extent.class = None;
            open.remove(&number);
            self.idle.insert(number);
        } else {
            open.insert(number);
        }
    }

    /// The state being built was published over the older superblock: what only that one needed is free.
    pub fn published(&mut self) {
        for number in 0..u32::try_from(self.extents.len()).expect("the page file is below 2^32 extents") {
            let extent = &mut self.extents[number as usize];
            let expired = std::mem::take(&mut extent.held[1]);
            extent.held[1] = std::mem::take(&mut extent.held[0]);
            if !expired.is_empty() {
                self.reopen(number);
            }
        }
    }

    /// Gives every changed chunk, and the directory over it, a fresh slot, until giving them changes nothing more.
    /// Returns the pages to write with their bodies.
    pub fn store(
        &mut self,
        opened: &mut impl FnMut(&Allocated) -> Result<()>,
    ) -> Result<Vec<(PageId, PageKind, Vec<u8>)>> {
        let mut moved_chunks = BTreeSet::new();
        let mut moved_directory = BTreeSet::new();
        loop {
            if let Some(&chunk) = self.dirty_chunks.difference(&moved_chunks).next() {
                moved_chunks.insert(chunk);
                if let Some(old) = self.chunks[chunk] {
                    self.unlink_unread(old);
                }
                let fresh = self.allocate(page_class(EXTENTS_PER_CHUNK * EXTENT_RECORD_BYTES));
                opened(&fresh)?;
                self.chunks[chunk] = Some(fresh.page);
                continue;
            }
            let stale = |index: &usize| !moved_directory.contains(index);
            let pages = self.chunks.len().div_ceil(CHUNKS_PER_DIRECTORY);
            let Some(index) = moved_chunks.iter().map(|chunk| chunk / CHUNKS_PER_DIRECTORY).find(stale) else { break };
            // The size is taken for a full page, so that a chunk added meanwhile still fits the slot.
            let entries = self.chunks.len() - index * CHUNKS_PER_DIRECTORY + 64;
            let fresh = self.allocate(page_class(entries.min(CHUNKS_PER_DIRECTORY) * 8));
            opened(&fresh)?;
            moved_directory.insert(index);
            if index < self.directory.len() {
                let old = std::mem::replace(&mut self.directory[index], fresh.page);
                self.unlink_unread(old);
            } else {
                assert!(index == self.directory.len() && index < pages, "directory pages are added in order");
                self.directory.push(fresh.page);
            }
        }
        self.dirty_chunks.clear();
        Ok(self.bodies(&moved_chunks, &moved_directory))
    }

    fn bodies(&self, chunks: &BTreeSet<usize>, directory: &BTreeSet<usize>) -> Vec<(PageId, PageKind, Vec<u8>)> {
        let mut bodies = Vec::new();
        for &chunk in chunks {
            let mut body = Vec::with_capacity(EXTENTS_PER_CHUNK * EXTENT_RECORD_BYTES);
            for number in chunk * EXTENTS_PER_CHUNK..(chunk + 1) * EXTENTS_PER_CHUNK {
                self.extents.get(number).unwrap_or(&Extent::default()).encode(&mut body);
            }
            bodies.push((self.chunks[chunk].expect("a changed chunk has a slot"), PageKind::FreeChunk, body));
        }
        for &index in directory {
            let chunks = self.chunks.iter().skip(index * CHUNKS_PER_DIRECTORY).take(CHUNKS_PER_DIRECTORY);
            let body = chunks.flat_map(|chunk| chunk.map_or(0, PageId::to_bits).to_le_bytes()).collect();
            bodies.push((self.directory[index], PageKind::FreeDirectory, body));
        }
        bodies
    }
}

fn page_class(body_bytes: usize) -> SizeClass {
    SizeClass::fitting(crate::page::format::HEADER_BYTES + body_bytes).expect("pages of the free set fit a slot")
}
