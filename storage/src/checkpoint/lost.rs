//! Slots that the books have as used although nothing leads to them: found by a walk over everything, and given back.
//!
//! There are none unless something was damaged: the check names them. Only for an engine that nobody else uses.

use rustc_hash::FxHashSet;

use crate::btree::{AtDamage, collect_refs};
use crate::checkpoint::{Checkpointer, catalogue};
use crate::error::Result;
use crate::page::format::PageId;
use crate::transaction::{Ambient, Snapshot, TreeSet};

impl Checkpointer {
    /// Gives back every used slot that neither the sets, nor the catalogue, nor the free set itself lead to; how many it
    /// were. While a set has anything that no checkpoint has settled, nothing is. Errors: a page that cannot be read, behind
    /// which nothing can be called lost.
    pub fn give_back_lost_slots(&mut self, sets: &[TreeSet], ambient: &Ambient) -> Result<u64> {
        // The books know slots, not their lives.
        let mut reached: FxHashSet<PageId> = self.free_set.own_pages().map(|page| page.in_life(0)).collect();
        let catalogue = catalogue::open(self.newest.catalogue, ambient).snapshot();
        for snapshot in sets.iter().map(TreeSet::snapshot).chain([catalogue]) {
            for root in snapshot.version().trees.iter().filter_map(|(_, root)| root.page) {
                let mut refs = Vec::new();
                collect_refs(&snapshot, root, &Snapshot::refs_of_value, &|_| false, AtDamage::Stop, &mut refs)?;
                if refs.iter().any(|page| page.as_frame().is_some()) {
                    return Ok(0);
                }
                reached.extend(refs.into_iter().filter_map(|page| Some(page.page_id()?.in_life(0))));
            }
        }
        let lost: Vec<PageId> = self.free_set.used_pages().filter(|page| !reached.contains(page)).collect();
        lost.iter().for_each(|page| self.free_set.unlink_unread(*page));
        Ok(lost.len() as u64)
    }
}
