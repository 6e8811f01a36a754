//! How the page file is filled.

use crate::error::{Result, StorageError};
use crate::page::store::{PAGE_FILE, PageStore};
use crate::slab::format::EXTENT_BYTES;
use crate::slab::{FreeSet, SizeClass};
use crate::superblock::Superblock;

/// The page file as the newest superblock's free set describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpaceReport {
    /// Length of the page file.
    pub file_bytes: u64,
    /// Extents that the free set knows.
    pub extents: u64,
    /// Those of them that hold no page: free for any size of slot.
    pub free_extents: u64,
    /// Slots that hold a page.
    pub used_slots: u64,
    /// Their size.
    pub used_bytes: u64,
    /// Slots without a page in extents that hold others: free for that size of slot.
    pub free_slots: u64,
    /// Their size.
    pub free_slot_bytes: u64,
    /// Per size of slot, smallest first; only those that an extent has.
    pub classes: Vec<ClassReport>,
}

/// The extents with slots of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassReport {
    /// Bytes of a slot.
    pub slot_bytes: u64,
    /// Extents with such slots.
    pub extents: u64,
    /// Slots of them that hold a page.
    pub used_slots: u64,
    /// All their slots.
    pub slots: u64,
}

impl SpaceReport {
    /// Bytes of the file for each byte in a used slot; `None` for an empty file.
    #[must_use]
    pub fn amplification(&self) -> Option<f64> {
        (self.used_bytes > 0).then(|| self.file_bytes as f64 / self.used_bytes as f64)
    }
}

pub(super) fn report(store: &PageStore, superblock: &Superblock) -> Result<SpaceReport> {
    let file_bytes = store.file().len().map_err(|error| StorageError::io("length of", PAGE_FILE, error))?;
    let free_set = FreeSet::load(store, &superblock.directory, superblock.extents)?;
    let mut report = SpaceReport { file_bytes, extents: free_set.extents().len() as u64, ..SpaceReport::default() };
    let mut classes: Vec<ClassReport> = vec![ClassReport::default(); SizeClass::COUNT];
    for extent in free_set.extents() {
        let Some(class) = extent.class.filter(|_| !extent.used.is_empty()) else {
            report.free_extents += 1;
            continue;
        };
        let one = &mut classes[usize::from(class.number())];
        one.slot_bytes = class.slot_bytes() as u64;
        one.extents += 1;
        one.used_slots += extent.used.len() as u64;
        one.slots += class.slots_per_extent() as u64;
    }
    classes.retain(|class| class.extents > 0);
    classes.sort_by_key(|class| class.slot_bytes);
    for class in &classes {
        report.used_slots += class.used_slots;
        report.used_bytes += class.used_slots * class.slot_bytes;
        report.free_slots += class.slots - class.used_slots;
        report.free_slot_bytes += (class.slots - class.used_slots) * class.slot_bytes;
    }
    debug_assert!(report.used_bytes <= report.extents * EXTENT_BYTES as u64);
    report.classes = classes;
    Ok(report)
}
