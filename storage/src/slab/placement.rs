//! Where a page goes: a free slot of its class, one of a larger class, or a new extent.
//!
//! Lowest first, so that the file stays dense at its start and its end becomes empty. There are many classes, and an
//! extent of 1 MiB for each would make every small database tens of MiB: a page whose class has no free slot goes into
//! a larger slot until the bytes wasted that way reach an allowance, and only then the class gets an extent of its own.
//! The allowance falls with the square of the extents that the class has, so all of it ever wasted by one class is
//! below `WASTE_BYTES_FIRST * 1.65`, whatever the size of the file.

use std::collections::BTreeSet;

use crate::slab::extent::Extent;
use crate::slab::size_class::SizeClass;

/// Bytes that pages of a class may waste in larger slots before the class gets its first extent.
const WASTE_BYTES_FIRST: usize = 128 << 10;

/// Which extents have room.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// Extents of each class that may have a free slot.
    open: Vec<BTreeSet<u32>>,
    /// Extents without a class.
    idle: BTreeSet<u32>,
    /// Extents that are being emptied: nothing is put there.
    closed: BTreeSet<u32>,
    /// Extents of each class, full, open or closed.
    extents_of: Vec<usize>,
    /// Per class, bytes wasted in larger slots since it last got an extent.
    wasted_bytes: Vec<usize>,
}

/// What was found.
pub(super) enum Choice {
    /// A free slot.
    Slot { class: SizeClass, extent: u32, slot: u16 },
    /// An extent without class must get this one; without a number, the file must grow.
    Open { class: SizeClass, extent: Option<u32> },
}

impl Default for Placement {
    fn default() -> Self {
        Placement {
            open: vec![BTreeSet::new(); SizeClass::COUNT],
            idle: BTreeSet::new(),
            closed: BTreeSet::new(),
            extents_of: vec![0; SizeClass::COUNT],
            wasted_bytes: vec![0; SizeClass::COUNT],
        }
    }
}

impl Placement {
    /// Looks for room for a page of `class`.
    pub fn choose(&mut self, class: SizeClass, extents: &[Extent]) -> Choice {
        if let Some(slot) = self.slot_of(class, extents) {
            return slot;
        }
        let index = usize::from(class.number());
        let allowed = WASTE_BYTES_FIRST / (self.extents_of[index] + 1).pow(2);
        let waste_in = |other: SizeClass| other.slot_bytes() - class.slot_bytes();
        for larger in SizeClass::ascending().filter(|other| *other > class) {
            if self.wasted_bytes[index] + waste_in(larger) > allowed {
                break;
            }
            if let Some(slot) = self.slot_of(larger, extents) {
                self.wasted_bytes[index] += waste_in(larger);
                return slot;
            }
        }
        let general = if class <= SizeClass::NODE { SizeClass::NODE } else { SizeClass::LARGEST };
        let extent = self.idle.pop_first();
        if self.extents_of[index] == 0 && self.wasted_bytes[index] + waste_in(general) <= allowed {
            self.wasted_bytes[index] += waste_in(general);
            return Choice::Open { class: general, extent };
        }
        self.wasted_bytes[index] = 0;
        Choice::Open { class, extent }
    }

    fn slot_of(&mut self, class: SizeClass, extents: &[Extent]) -> Option<Choice> {
        let open = &mut self.open[usize::from(class.number())];
        while let Some(&extent) = open.first() {
            if let Some(slot) = extents[extent as usize].free_slot() {
                return Some(Choice::Slot { class, extent, slot });
            }
            open.pop_first();
        }
        None
    }

    /// An extent got a class.
    pub fn classed(&mut self, extent: u32, class: SizeClass) {
        self.idle.remove(&extent);
        self.extents_of[usize::from(class.number())] += 1;
        self.has_room(extent, class);
    }

    /// Slots of an extent became free.
    pub fn has_room(&mut self, extent: u32, class: SizeClass) {
        if !self.closed.contains(&extent) {
            self.open[usize::from(class.number())].insert(extent);
        }
    }

    /// An extent lost its class, because nobody needs any of its slots.
    pub fn emptied(&mut self, extent: u32, class: SizeClass) {
        self.extents_of[usize::from(class.number())] -= 1;
        self.open[usize::from(class.number())].remove(&extent);
        self.unclassed(extent);
    }

    /// An extent without class may be used.
    pub fn unclassed(&mut self, extent: u32) {
        if !self.closed.contains(&extent) {
            self.idle.insert(extent);
        }
    }

    /// Puts nothing into an extent any more.
    pub fn close(&mut self, extent: u32) {
        self.closed.insert(extent);
        self.idle.remove(&extent);
        for open in &mut self.open {
            open.remove(&extent);
        }
    }

    /// The closed extents.
    pub fn closed(&self) -> &BTreeSet<u32> {
        &self.closed
    }

    /// Ends all closing. The caller says which of these extents have room, and which no class.
    pub fn take_closed(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.closed)
    }

    /// The last extent of the file, which has no class, is no extent any more.
    pub fn forgotten(&mut self, extent: u32) {
        self.idle.remove(&extent);
        self.closed.remove(&extent);
    }
}
