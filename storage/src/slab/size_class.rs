//! Slot sizes. A page goes into the smallest class it fits; neighbours differ by at most a third, so the mean waste of
//! a slot stays near a sixth.

use crate::slab::format::{EXTENT_BYTES, EXTENT_HEADER_BYTES};

/// One of the slot sizes, ordered by size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SizeClass(u8);

/// Slot sizes by class number, in bytes. The numbers are part of the format: append only.
const SLOT_BYTES: [usize; 12] = [
    4 << 10,
    6 << 10,
    8 << 10,
    10 << 10,
    12 << 10,
    16 << 10,
    20 << 10,
    24 << 10,
    32 << 10,
    40 << 10,
    48 << 10,
    64 << 10,
];

impl SizeClass {
    /// How many classes there are.
    pub const COUNT: usize = SLOT_BYTES.len();

    /// The class with the largest slots.
    pub const LARGEST: SizeClass = SizeClass(SLOT_BYTES.len() as u8 - 1);

    /// The class of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        (usize::from(number) < Self::COUNT).then_some(SizeClass(number))
    }

    /// The stored number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The smallest class whose slots hold `bytes`; `None` when even the largest does not.
    pub fn fitting(bytes: usize) -> Option<Self> {
        let index = SLOT_BYTES.iter().position(|&slot| slot >= bytes)?;
        Self::from_number(u8::try_from(index).ok()?)
    }

    /// Bytes of a slot.
    pub fn slot_bytes(self) -> usize {
        SLOT_BYTES[usize::from(self.0)]
    }

    /// Slots of an extent of this class.
    pub fn slots_per_extent(self) -> usize {
        (EXTENT_BYTES - EXTENT_HEADER_BYTES) / self.slot_bytes()
    }
}
