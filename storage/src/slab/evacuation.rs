//! Which extents are worth emptying, so that the page file becomes shorter.
//!
//! Two things make a file longer than what it holds: extents of a class that are sparsely filled, and extents without
//! pages below others. The first are emptied into the free slots of their class, emptiest first; the last extents of the
//! file are moved into those without pages. Slots that a superblock or a reader still needs are no waste: they become
//! free by themselves.

use std::cmp::Reverse;

use crate::limits::{COMPACTION_TOLERANCE_EXTENTS, COMPACTION_TOLERANCE_ONE_OF};
use crate::slab::FreeSet;
use crate::slab::size_class::SizeClass;

/// How much waste of the page file compaction leaves alone, in extents of 1 MiB: the larger of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// So many.
    pub extents: usize,
    /// One of so many that are needed.
    pub one_of: usize,
}

impl Tolerance {
    /// Nothing: for a directory that nobody else uses.
    pub const NONE: Tolerance = Tolerance { extents: 0, one_of: usize::MAX };
}

/// What is left alone while a node runs: free slots are soon filled by the next writes.
impl Default for Tolerance {
    fn default() -> Self {
        Tolerance { extents: COMPACTION_TOLERANCE_EXTENTS, one_of: COMPACTION_TOLERANCE_ONE_OF }
    }
}

/// An extent with pages.
#[derive(Clone, Copy)]
struct Row {
    number: u32,
    class: SizeClass,
    /// Slots in a tree, or given out for one.
    live: usize,
    free: usize,
}

impl FreeSet {
    /// Extents to close and empty, at most `extents_max`; none when what can be won is within the tolerance.
    pub fn extents_to_empty(&self, tolerance: Tolerance, extents_max: usize) -> Vec<u32> {
        let rows = self.rows();
        let length = self.needed_extents() as usize;
        let held_alone = self.extents().iter().filter(|extent| extent.class.is_some()).count() - rows.len();
        let dense: usize = SizeClass::ascending().map(|class| extents_for(&rows, class)).sum();
        let wasted = length - held_alone - dense;
        if wasted == 0 || wasted <= tolerance.extents.max(length / tolerance.one_of) {
            return Vec::new();
        }
        let mut chosen: Vec<u32> = SizeClass::ascending().flat_map(|class| sparse(&rows, class)).collect();
        if !chosen.is_empty() {
            // Whatever else is moved in the same round could take the free slots that these count on, and the file would grow.
            chosen.truncate(extents_max);
            return chosen;
        }
        // Each extent without pages that lies below can take one from the end.
        let mut kept: Vec<&Row> = rows.iter().collect();
        let mut vacant =
            (0u32..).zip(self.extents()).filter(|(_, extent)| extent.class.is_none()).map(|(number, _)| number);
        while let (Some(to), Some(from)) = (vacant.next(), kept.pop()) {
            if to >= from.number {
                break;
            }
            chosen.push(from.number);
        }
        chosen.truncate(extents_max);
        chosen
    }

    /// Extents with live slots, in order of the file.
    fn rows(&self) -> Vec<Row> {
        let row = |(number, extent): (u32, &super::extent::Extent)| {
            let (class, live) = (extent.class?, extent.used.union(&extent.ahead).len());
            (live > 0).then(|| Row { number, class, live, free: extent.free_slots() })
        };
        (0u32..).zip(self.extents()).filter_map(row).collect()
    }
}

/// How many extents the pages of a class need.
fn extents_for(rows: &[Row], class: SizeClass) -> usize {
    let live: usize = rows.iter().filter(|row| row.class == class).map(|row| row.live).sum();
    live.div_ceil(class.slots_per_extent())
}

/// The emptiest extents of a class, as many as its others have free slots for now.
fn sparse(rows: &[Row], class: SizeClass) -> Vec<u32> {
    let mut of_class: Vec<&Row> = rows.iter().filter(|row| row.class == class).collect();
    let surplus = of_class.len() - extents_for(rows, class);
    of_class.sort_unstable_by_key(|row| (row.live, Reverse(row.number)));
    let mut free: usize = of_class.iter().map(|row| row.free).sum();
    let mut taken = 0;
    let fits = |row: &&&Row| {
        free -= row.free;
        taken += row.live;
        taken <= free
    };
    of_class.iter().take(surplus).take_while(fits).map(|row| row.number).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::page::format::PageId;

    /// A set in which slots were taken, of which some were given up again, and both superblocks know it.
    fn set(taken: &[(u16, bool)]) -> FreeSet {
        let mut set = FreeSet::new();
        let classes: Vec<SizeClass> = SizeClass::ascending().filter(|class| class.slot_bytes() >= 32 << 10).collect();
        let pages: Vec<(PageId, bool)> = taken
            .iter()
            .map(|(class, keep)| (set.allocate(classes[usize::from(*class) % classes.len()]).page, *keep))
            .collect();
        set.published();
        pages.iter().filter(|(_, keep)| !keep).for_each(|(page, _)| set.unlink_unread(*page));
        (0..2).for_each(|_| set.published());
        set
    }

    /// Does what compaction does with a round's choice; returns how many pages moved.
    fn empty(set: &mut FreeSet, chosen: &[u32]) -> usize {
        chosen.iter().for_each(|number| set.close(*number));
        let mut moved = 0;
        for &number in chosen {
            let extent = set.extents()[number as usize].clone();
            let class = extent.class.expect("only extents with pages are chosen");
            for slot in extent.used.iter() {
                set.allocate(class);
                set.unlink_unread(PageId::new(class, number, slot));
                moved += 1;
            }
        }
        (0..2).for_each(|_| set.published());
        set.open_closed();
        set.trim();
        moved
    }

    #[test]
    fn a_dense_file_is_left_alone() {
        let set = set(&[(0, true); 40]);
        assert_eq!(set.extents_to_empty(Tolerance::NONE, usize::MAX), []);
    }

    #[test]
    fn waste_within_the_tolerance_is_left_alone() {
        let set = set(&[[(0, true), (0, false)]; 60].concat());
        assert!(set.extents_to_empty(Tolerance { extents: 3, one_of: 8 }, usize::MAX).is_empty());
        assert!(!set.extents_to_empty(Tolerance::NONE, usize::MAX).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Rounds end, never make the file longer, and leave no more than the tolerance.
        #[test]
        fn rounds_make_the_file_as_short_as_it_can_be(
            taken in prop::collection::vec((0u16..4, prop::bool::weighted(0.4)), 1..600),
            extents_max in 1usize..9,
        ) {
            let mut set = set(&taken);
            let live = |set: &FreeSet| set.occupancy().used_slots;
            let (kept, mut rounds) = (live(&set), 0);
            loop {
                let chosen = set.extents_to_empty(Tolerance::NONE, extents_max);
                if chosen.is_empty() {
                    break;
                }
                let distinct: BTreeSet<u32> = chosen.iter().copied().collect();
                prop_assert!(distinct.len() == chosen.len() && chosen.len() <= extents_max);
                let before = set.needed_extents();
                empty(&mut set, &chosen);
                prop_assert!(set.needed_extents() <= before);
                prop_assert_eq!(live(&set), kept);
                rounds += 1;
                prop_assert!(rounds < 400, "rounds end");
            }
            let dense: usize = SizeClass::ascending().map(|class| extents_for(&set.rows(), class)).sum();
            prop_assert_eq!(set.needed_extents() as usize, dense);
            prop_assert!(set.extents_to_empty(Tolerance::default(), extents_max).is_empty());
        }
    }
}
