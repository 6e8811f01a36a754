//! Compaction: makes the page file as short as what it holds, while everything goes on.
//!
//! It goes in rounds. A round chooses extents worth emptying (`slab/evacuation.rs`) and closes them: nothing is put there
//! any more. Step by step, a short transaction each, what lies in them is moved: its nodes become dirty, and the next
//! checkpoint writes them elsewhere. After two more checkpoints no superblock needs the old slots; extents that are empty
//! then are free, and those at the end of the file are cut off. A crash in between loses nothing but the round.

use rustc_hash::FxHashSet;

use super::Engine;
use crate::error::{Result, StorageError};
use crate::fault::buggify;
use crate::limits::{COMPACTION_EXTENTS_PER_ROUND, COMPACTION_PAUSE_CHECKPOINTS};
use crate::page::format::PageId;
use crate::page::store::PageStore;
use crate::slab::format::{EXTENT_HEADER_USED_BYTES, check_extent_header, extent_offset};
use crate::slab::{FreeSet, SizeClass, Tolerance};
use crate::sync::atomic::Ordering;
use crate::transaction::{Place, TreeSetId};

/// How far compaction is.
#[derive(Debug)]
pub(super) enum Round {
    /// None is under way, and none begins before this generation.
    None { not_before: u64 },
    /// Pages are being moved out of closed extents.
    Moving { extents: FxHashSet<u32>, at: (TreeSetId, Place) },
    /// Everything was moved; the generation that frees the slots is waited for.
    Settling { extents: FxHashSet<u32>, until: u64 },
}

impl Default for Round {
    fn default() -> Self {
        Round::None { not_before: 0 }
    }
}

/// What [`Engine::compact`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Size of the page file before, in bytes.
    pub bytes_before: u64,
    /// Size of the page file afterwards, in bytes.
    pub bytes_after: u64,
    /// Slots whose content was moved.
    pub slots_moved: u64,
    /// Slots that the books had as used and that nothing led to.
    pub slots_found: u64,
    /// Extents whose header was not what was written there.
    pub headers_found: u64,
}

impl Engine {
    /// Moves pages out of about `slots_max` slots of extents that are worth emptying. Returns how many it were or, while it
    /// only looks, 1; 0: nothing is worth doing now, be it that the file is dense, or that what was moved waits for
    /// checkpoints. For an owner who calls it now and then, when there is little else to do.
    ///
    /// It waits for open transactions, and while dirty memory is short. Errors: those of a checkpoint; a page that cannot
    /// be read, which stays where it is, and ends the round.
    pub fn compact_step(&self, slots_max: usize) -> Result<usize> {
        self.step(self.inner.options.compaction, slots_max.max(1))
    }

    fn step(&self, tolerance: Tolerance, slots_max: usize) -> Result<usize> {
        if !self.inner.ambient.store.is_on_disk() {
            return Ok(0);
        }
        self.wait_for_memory()?;
        let mut round = self.inner.compaction.lock();
        if let Round::Settling { extents, until } = &*round {
            let awaits = self.inner.settles_at.load(Ordering::Relaxed) != 0;
            match self.settle_round(extents, *until, awaits)? {
                Some(next) => *round = next,
                None => return Ok(0),
            }
        }
        if let Round::None { not_before } = *round {
            let choose = |free_set: &FreeSet| free_set.extents_to_empty(tolerance, COMPACTION_EXTENTS_PER_ROUND);
            match self.begin_round(not_before, choose)? {
                Some(begun) => *round = begun,
                None => return Ok(0),
            }
        }
        let Round::Moving { extents, at } = &mut *round else { return Ok(0) };
        let slots_max = if buggify!("storage/compacted-by-one") { 1 } else { slots_max };
        let moved = match buggify!("storage/compaction-cut-short") {
            true => Ok(None),
            false => self.move_some(extents, at, slots_max),
        };
        match moved {
            Ok(Some(slots)) => Ok(slots.max(1)),
            Ok(None) | Err(_) => {
                // Dirty now; named elsewhere by the next checkpoint, free after the one behind it.
                let until = self.generation()? + 2;
                self.inner.settles_at.store(until, Ordering::Relaxed);
                *round = Round::Settling { extents: std::mem::take(extents), until };
                moved.map(|_| 0)
            }
        }
    }

    /// Moves on in the sets, in order of their ids. `None`: there are no more.
    fn move_some(
        &self,
        extents: &FxHashSet<u32>,
        at: &mut (TreeSetId, Place),
        slots_max: usize,
    ) -> Result<Option<usize>> {
        let next = self.live_sets().into_iter().find(|set| set.id() >= at.0);
        let Some(set) = next else { return Ok(None) };
        let place = if set.id() == at.0 { std::mem::take(&mut at.1) } else { Place::default() };
        let step = set.relocate(&place, slots_max, &|page: PageId| extents.contains(&page.extent()))?;
        self.inner.counters.lock().slots_compacted += step.slots as u64;
        *at = match step.next {
            Some(place) => (set.id(), place),
            // The last id of all is the catalogue's, so there is always a next one.
            None => (TreeSetId(set.id().0 + 1), Place::default()),
        };
        Ok(Some(step.slots))
    }

    fn generation(&self) -> Result<u64> {
        let checkpointer = self.inner.checkpointer.lock();
        checkpointer.as_ref().map(|checkpointer| checkpointer.newest.generation).ok_or(StorageError::Stopped)
    }

    fn begin_round(&self, not_before: u64, choose: impl FnOnce(&FreeSet) -> Vec<u32>) -> Result<Option<Round>> {
        let mut checkpointer = self.inner.checkpointer.lock();
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(StorageError::Stopped);
        }
        let Some(checkpointer) = checkpointer.as_mut() else { return Ok(None) };
        if checkpointer.stopped {
            return Err(StorageError::Stopped);
        }
        if checkpointer.newest.generation < not_before {
            return Ok(None);
        }
        let chosen = choose(&checkpointer.free_set);
        if chosen.is_empty() {
            return Ok(None);
        }
        let extents: FxHashSet<u32> = chosen.into_iter().collect();
        extents.iter().for_each(|extent| checkpointer.free_set.close(*extent));
        checkpointer.free_set.move_own_pages(|page| extents.contains(&page.extent()));
        Ok(Some(Round::Moving { extents, at: (TreeSetId(0), Place::default()) }))
    }

    /// Ends a round once its slots are free, or no checkpoint is to come that could free them. A round that freed nothing, because readers or pages that cannot be read stood
    /// in its way, is not repeated soon.
    fn settle_round(&self, extents: &FxHashSet<u32>, until: u64, awaits: bool) -> Result<Option<Round>> {
        let mut checkpointer = self.inner.checkpointer.lock();
        let Some(checkpointer) = checkpointer.as_mut() else { return Err(StorageError::Stopped) };
        let generation = checkpointer.newest.generation;
        if generation < until && awaits {
            return Ok(None);
        }
        checkpointer.free_set.open_closed();
        let is_empty = |extent: &u32| {
            checkpointer.free_set.extents().get(*extent as usize).is_none_or(|extent| extent.class.is_none())
        };
        let pause = if extents.iter().any(is_empty) { 0 } else { COMPACTION_PAUSE_CHECKPOINTS };
        Ok(Some(Round::None { not_before: generation + pause }))
    }

    /// Makes the page file as short as it can be, and mends its books. For a directory that nobody else uses: it keeps
    /// at it until nothing more can be won. `progress` is told the size of the page file after each round.
    ///
    /// Errors: those of a checkpoint; a page that cannot be read. What was done so far is whole.
    pub fn compact(&self, progress: &mut dyn FnMut(u64)) -> Result<CompactionReport> {
        let bytes = |engine: &Engine| engine.metrics().page_file_bytes;
        let mut report = CompactionReport { bytes_before: bytes(self), ..CompactionReport::default() };
        let moved_before = self.metrics().slots_compacted;
        report.slots_found = self.find_lost_slots()?;
        report.headers_found = self.empty_extents_with_broken_headers()?;
        // What is dropped is freed and not moved.
        while self.reclaim_step(RECLAIMED_AT_ONCE)? > 0 {
            self.checkpoint()?;
        }
        self.publish_twice()?;
        let mut is_worth_it = true;
        while is_worth_it {
            is_worth_it = false;
            while self.step(Tolerance::NONE, MOVED_AT_ONCE)? > 0 {
                is_worth_it = true;
            }
            self.publish_twice()?;
            progress(bytes(self));
        }
        report.bytes_after = bytes(self);
        report.slots_moved = self.metrics().slots_compacted - moved_before;
        Ok(report)
    }

    /// Nothing that left the trees before is needed any more.
    fn publish_twice(&self) -> Result<()> {
        (0..2).try_for_each(|_| self.checkpoint().map(drop))
    }

    /// A header is written anew when its extent is used again.
    fn empty_extents_with_broken_headers(&self) -> Result<u64> {
        let broken = {
            let checkpointer = self.inner.checkpointer.lock();
            let Some(checkpointer) = checkpointer.as_ref() else { return Ok(0) };
            extents_with_broken_headers(&checkpointer.free_set, &self.inner.ambient.store)
        };
        if broken.is_empty() {
            return Ok(0);
        }
        let count = broken.len() as u64;
        if let Some(round) = self.begin_round(0, |_| broken)? {
            *self.inner.compaction.lock() = round;
        }
        while self.step(Tolerance::NONE, MOVED_AT_ONCE)? > 0 {}
        self.publish_twice()?;
        Ok(count)
    }

    fn find_lost_slots(&self) -> Result<u64> {
        let sets = self.live_sets();
        let mut checkpointer = self.inner.checkpointer.lock();
        let Some(checkpointer) = checkpointer.as_mut() else { return Ok(0) };
        checkpointer.give_back_lost_slots(&sets, &self.inner.ambient)
    }
}

fn extents_with_broken_headers(free_set: &FreeSet, store: &PageStore) -> Vec<u32> {
    let is_broken = |number: u32, class: SizeClass| {
        let mut header = [0; EXTENT_HEADER_USED_BYTES];
        let read = store.file().read_exact_at(&mut header, extent_offset(number));
        read.is_err() || check_extent_header(number, class, &header).is_err()
    };
    let used = (0u32..).zip(free_set.extents()).filter(|(_, extent)| !extent.used.is_empty());
    used.filter_map(|(number, extent)| is_broken(number, extent.class?).then_some(number)).collect()
}

/// Pages of dropped trees that offline compaction frees between two checkpoints.
const RECLAIMED_AT_ONCE: usize = 1 << 16;

/// Slots that offline compaction leaves behind in one transaction.
const MOVED_AT_ONCE: usize = 1024;

#[cfg(all(test, not(shuttle)))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::simulated::SimulatedDisk;
    use crate::engine::EngineOptions;
    use crate::transaction::{TreeId, TreeSet};
    use crate::verify::{self, CheckReport, Remedy};

    const TREE: TreeId = TreeId(1);

    fn check(disk: &SimulatedDisk) -> CheckReport {
        verify::check(Arc::new(disk.clone()), &mut |_| {}).unwrap()
    }

    fn open(disk: &SimulatedDisk) -> Engine {
        Engine::open(Arc::new(disk.clone()), EngineOptions::default()).unwrap()
    }

    fn put(set: &TreeSet, keys: std::ops::Range<u32>) {
        let mut transaction = set.begin();
        if !transaction.has_tree(TREE) {
            transaction.create_tree(TREE).unwrap();
        }
        for key in keys {
            transaction.put(TREE, &key.to_be_bytes(), &[7; 500]).unwrap();
        }
        transaction.commit().unwrap();
    }

    #[test]
    fn books_that_call_a_slot_used_that_nothing_leads_to_are_mended() {
        let disk = SimulatedDisk::new(1);
        let engine = open(&disk);
        let set = engine.create_tree_set(TreeSetId(1)).unwrap();
        put(&set, 0..100);
        engine.checkpoint().unwrap();
        {
            let mut checkpointer = engine.inner.checkpointer.lock();
            let free_set = &mut checkpointer.as_mut().unwrap().free_set;
            // Into an extent that is there, so that its header is.
            let class = free_set.extents()[0].class.unwrap();
            assert!(!free_set.allocate(class).opened_extent);
        }
        drop(set);
        engine.close().unwrap();
        let problems = check(&disk).problems;
        // Both superblocks have it.
        assert!(!problems.is_empty() && problems.iter().all(|found| found.remedy == Remedy::Compact), "{problems:#?}");

        let engine = open(&disk);
        assert_eq!(engine.compact(&mut |_| {}).unwrap().slots_found, 1);
        engine.close().unwrap();
        assert!(check(&disk).problems.is_empty(), "{:#?}", check(&disk).problems);
        assert_eq!(open(&disk).compact(&mut |_| {}).unwrap().slots_found, 0);
    }

    #[test]
    fn an_extent_header_that_rotted_is_written_anew() {
        let disk = SimulatedDisk::new(1);
        let engine = open(&disk);
        let set = engine.create_tree_set(TreeSetId(1)).unwrap();
        put(&set, 0..100);
        drop(set);
        engine.close().unwrap();
        assert!(disk.flip_bit(crate::page::store::PAGE_FILE, 10));
        let problems = check(&disk).problems;
        assert!(!problems.is_empty() && problems.iter().all(|found| found.remedy == Remedy::Compact), "{problems:#?}");

        let engine = open(&disk);
        assert_eq!(engine.compact(&mut |_| {}).unwrap().headers_found, 1);
        engine.close().unwrap();
        assert!(check(&disk).problems.is_empty(), "{:#?}", check(&disk).problems);
    }

    #[test]
    fn a_page_that_cannot_be_read_ends_the_round_and_nothing_else() {
        let disk = SimulatedDisk::new(1);
        let options =
            EngineOptions { cache_bytes: 0, compression: crate::Compression::None, ..EngineOptions::default() };
        let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
        let set = engine.create_tree_set(TreeSetId(1)).unwrap();
        put(&set, 0..40_000);
        engine.checkpoint().unwrap();
        let leaves: Vec<u64> = {
            let bytes = disk.bytes_of(crate::page::store::PAGE_FILE).unwrap();
            let starts = (0..bytes.len()).step_by(512);
            starts.filter(|at| bytes[*at..].starts_with(b"PhPg") && bytes[at + 6] == 1).map(|at| at as u64).collect()
        };
        let mut transaction = set.begin();
        for key in (0..40_000u32).filter(|key| !key.is_multiple_of(40)) {
            transaction.delete(TREE, &key.to_be_bytes()).unwrap();
        }
        transaction.commit().unwrap();
        (0..3).for_each(|_| assert!(engine.checkpoint().is_ok()));
        let bytes = disk.bytes_of(crate::page::store::PAGE_FILE).unwrap();
        let living = (0..bytes.len()).step_by(512);
        let last = living.filter(|at| bytes[*at..].starts_with(b"PhPg") && bytes[at + 6] == 1).max();
        assert!(!leaves.is_empty());
        for at in (0..=last.unwrap()).step_by(512) {
            disk.flip_bit(crate::page::store::PAGE_FILE, at as u64 + 100);
        }
        let mut failed = 0;
        for _ in 0..20 {
            while let Ok(1..) = engine.compact_step(64).inspect_err(|_| failed += 1) {}
            engine.checkpoint().ok();
        }
        assert!(failed > 0, "a page that moves is damaged");
        // The set takes writes that need none of the damaged pages.
        assert!(engine.create_tree_set(TreeSetId(2)).is_ok());
        put(&engine.tree_set(TreeSetId(2)).unwrap(), 0..10);
    }

    #[test]
    fn a_round_that_moved_nothing_asks_for_no_checkpoints_that_have_nothing_to_write() {
        let engine = open(&SimulatedDisk::new(1));
        let set = engine.create_tree_set(TreeSetId(1)).unwrap();
        put(&set, 0..100);
        (0..3).for_each(|_| assert!(engine.checkpoint().is_ok()));
        // Whatever lay in its extents is gone by now.
        *engine.inner.compaction.lock() =
            Round::Moving { extents: FxHashSet::default(), at: (TreeSetId(0), Place::default()) };
        while engine.compact_step(64).unwrap() > 0 {}
        assert!(engine.should_checkpoint(), "the round is to end");
        let made = (0..10).take_while(|_| engine.should_checkpoint() && engine.checkpoint().is_ok()).count();
        assert!(made < 10, "a checkpoint stays due when there is nothing to write");
        assert_eq!(engine.compact_step(64).unwrap(), 0);
        assert!(matches!(*engine.inner.compaction.lock(), Round::None { .. }), "the round has ended");
    }
}
