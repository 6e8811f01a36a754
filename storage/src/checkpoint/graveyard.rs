//! Dropped sets: their slots leave the state being built at once, and are free when nobody can reach them.

use std::sync::Arc;

use crate::btree::{AtDamage, collect_refs};
use crate::checkpoint::{Checkpointer, catalogue};
use crate::error::Result;
use crate::page::format::{PageId, PageRef};
use crate::transaction::{Ambient, Shared, Snapshot, TreeSetId};

/// A dropped set, and its slots.
pub(crate) struct Grave {
    shared: Arc<Shared>,
    /// Those that superblocks know.
    stored: Vec<PageId>,
    /// Those that no superblock ever named.
    unnamed: Vec<PageId>,
}

impl Checkpointer {
    /// Takes note of slots that readers let go.
    pub(super) fn take_released(&mut self, ambient: &Ambient) {
        let released = std::mem::take(&mut *ambient.released.lock());
        let free_set = &mut self.free_set;
        released.stored.into_iter().for_each(|page| free_set.release(page));
        released.unnamed.into_iter().for_each(|page| free_set.give_back(page));
        self.graveyard.retain_mut(|grave| {
            // Nobody else does it for a dropped set, and others may wait for what its readers held (T5).
            grave.shared.reclaim_idle();
            // With no handle left its versions can still be held for readers of sets that gave it trees.
            let unreachable = Arc::get_mut(&mut grave.shared).is_some_and(|shared| !shared.has_history());
            if unreachable {
                grave.stored.drain(..).for_each(|page| free_set.release(page));
                grave.unnamed.drain(..).for_each(|page| free_set.give_back(page));
            }
            !unreachable
        });
    }

    /// Takes the slots of dropped sets out of the state being built.
    pub(super) fn bury(&mut self, ambient: &Ambient) -> Result<Vec<TreeSetId>> {
        let source = catalogue::open(self.newest.catalogue, ambient).snapshot();
        let mut dropped = Vec::new();
        for shared in &self.to_drop {
            let mut roots = Vec::new();
            // Of several sets that had this number since it was stored, the first is the one that was.
            if !dropped.contains(&shared.id)
                && let Some(record) = catalogue::find(&source, shared.id)?
            {
                roots.extend(record.trees.iter().filter_map(|(_, root)| root.page));
                dropped.push(shared.id);
            }
            let mut stored = slots_of(&source, roots, shared)?;
            stored.iter().for_each(|page| self.free_set.unlink(*page));
            // Slots that left the set earlier may wait for the same readers.
            let published = shared.published.read();
            stored.extend(published.stored_slots_in_history());
            stored.sort_unstable();
            stored.dedup();
            stored.retain(|page| self.free_set.is_awaiting_readers(*page));
            let mut unnamed = published.slots_written_ahead();
            drop(published);
            unnamed.extend(shared.dropped_slots.lock().iter().copied());
            unnamed.sort_unstable();
            unnamed.dedup();
            unnamed.retain(|page| self.free_set.is_ahead(*page));
            self.graveyard.push(Grave { shared: Arc::clone(shared), stored, unnamed });
        }
        Ok(dropped)
    }
}

/// The slots of a superblock that a dropped set has: those of its record, without the trees that went to other sets since,
/// and with those that came (T5). Nobody needs what is damaged of it: it keeps nothing else from becoming durable, and offline compaction finds
/// the slots below.
fn slots_of(source: &Snapshot, mut roots: Vec<PageRef>, shared: &Shared) -> Result<Vec<PageId>> {
    let transfers = shared.published.read().transfers.clone();
    roots.extend(transfers.came());
    let mut refs = Vec::new();
    for root in roots {
        let is_gone = |page| transfers.has_gone(page);
        collect_refs(source, root, &Snapshot::refs_of_value, &is_gone, AtDamage::GoOn, &mut refs)?;
    }
    Ok(refs.into_iter().filter_map(PageRef::page_id).collect())
}
