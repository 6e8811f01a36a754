//! Slot sizes. A page goes into the smallest class it fits.
//!
//! Nodes that grew by random inserts lie anywhere between half full and full, so from 4 KiB to 8 KiB there is a class
//! every half KiB: the mean waste of a slot is then 256 bytes of about 5,700. Below 4 KiB lie compressed nodes and the
//! trees of small tables; above 8 KiB only large values, whose neighbours differ by at most a fifth.

use std::cmp::Ordering;

use crate::slab::format::{EXTENT_BYTES, EXTENT_HEADER_BYTES};

/// One of the slot sizes, ordered by size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SizeClass(u8);

/// Slot sizes by class number, in units of 512 bytes. The numbers are part of the format: append only.
const SLOT_SECTORS: [usize; 29] = [
    8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, // format version 1 of the page file knows these
    2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 15, 18, 28, 56, 72, 112,
];

const SECTOR_BYTES: usize = 512;

/// Class numbers from the smallest slot to the largest.
const BY_SIZE: [u8; SLOT_SECTORS.len()] = by_size();

const fn by_size() -> [u8; SLOT_SECTORS.len()] {
    let mut order = [0; SLOT_SECTORS.len()];
    let mut number = 0;
    while number < order.len() {
        let mut at = number;
        while at > 0 && SLOT_SECTORS[order[at - 1] as usize] > SLOT_SECTORS[number] {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = number as u8;
        number += 1;
    }
    order
}

// A page id keeps class + 1 in five bits.
const _: () = assert!(SizeClass::COUNT < 32);

impl SizeClass {
    /// How many classes there are.
    pub const COUNT: usize = SLOT_SECTORS.len();

    /// The class with the largest slots.
    pub const LARGEST: SizeClass = SizeClass(11);

    /// The class of the largest tree nodes.
    pub const NODE: SizeClass = SizeClass(2);

    /// The class of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        (usize::from(number) < Self::COUNT).then_some(SizeClass(number))
    }

    /// The stored number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Every class, from the smallest slot to the largest.
    pub fn ascending() -> impl Iterator<Item = Self> {
        BY_SIZE.into_iter().map(SizeClass)
    }

    /// The smallest class whose slots hold `bytes`; `None` when even the largest does not.
    pub fn fitting(bytes: usize) -> Option<Self> {
        Self::ascending().find(|class| class.slot_bytes() >= bytes)
    }

    /// Bytes of a slot.
    pub fn slot_bytes(self) -> usize {
        SLOT_SECTORS[usize::from(self.0)] * SECTOR_BYTES
    }

    /// Slots of an extent of this class.
    pub fn slots_per_extent(self) -> usize {
        (EXTENT_BYTES - EXTENT_HEADER_BYTES) / self.slot_bytes()
    }
}

impl PartialOrd for SizeClass {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SizeClass {
    fn cmp(&self, other: &Self) -> Ordering {
        self.slot_bytes().cmp(&other.slot_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_differ_and_ascend() {
        let sizes: Vec<usize> = SizeClass::ascending().map(SizeClass::slot_bytes).collect();
        assert!(sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");
        assert_eq!(sizes.len(), SizeClass::COUNT);
        assert_eq!(SizeClass::ascending().last(), Some(SizeClass::LARGEST));
        assert_eq!(SizeClass::NODE.slot_bytes(), 8192);
    }

    #[test]
    fn a_page_goes_into_the_smallest_slot_it_fits() {
        for bytes in 1..=SizeClass::LARGEST.slot_bytes() {
            let class = SizeClass::fitting(bytes).unwrap();
            assert!(class.slot_bytes() >= bytes);
            assert!(SizeClass::ascending().take_while(|smaller| *smaller < class).all(|c| c.slot_bytes() < bytes));
        }
        assert_eq!(SizeClass::fitting(SizeClass::LARGEST.slot_bytes() + 1), None);
    }

    /// The mean waste of random nodes, and of large values, as the module says.
    #[test]
    fn waste_is_as_small_as_claimed() {
        let waste = |from: usize, to: usize| {
            let bytes: usize = (from..=to).sum();
            let slots: usize = (from..=to).map(|bytes| SizeClass::fitting(bytes).unwrap().slot_bytes()).sum();
            slots as f64 / bytes as f64 - 1.0
        };
        assert!(waste(4 << 10, 8 << 10) < 0.045, "{}", waste(4 << 10, 8 << 10));
        assert!(waste(8 << 10, 64 << 10) < 0.09, "{}", waste(8 << 10, 64 << 10));
        assert!(waste(1 << 10, 4 << 10) < 0.11, "{}", waste(1 << 10, 4 << 10));
    }
}
