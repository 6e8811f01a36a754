//! One run of equal slots: which are used, and which are not free although unused.

use crate::error::{Result, StorageError};
use crate::slab::format::{EXTENT_RECORD_BYTES, EXTENT_RECORD_HEADER_BYTES, MAP_WORDS_MAX};
use crate::slab::size_class::SizeClass;
pub use crate::slab::slot_map::SlotMap;

/// An extent of the page file.
#[derive(Clone, Debug, Default)]
pub struct Extent {
    /// `None`: it can take any class.
    pub class: Option<SizeClass>,
    /// Slots of the state being built.
    pub used: SlotMap,
    /// Slots of a superblock's state that are not in the state being built: one per superblock, newest first.
    pub held: [SlotMap; 2],
    /// Slots that were given out and that no superblock names yet.
    pub ahead: SlotMap,
    /// Slots that left the tree but can still be reached by a reader.
    pub readers: SlotMap,
}

/// Words of the stored map of an extent.
pub fn map_words(class: SizeClass) -> usize {
    class.slots_per_extent().div_ceil(64)
}

impl Extent {
    fn taken(&self) -> SlotMap {
        self.used.union(&self.held[0]).union(&self.held[1]).union(&self.ahead).union(&self.readers)
    }

    /// A slot that nobody needs.
    pub fn free_slot(&self) -> Option<u16> {
        self.taken().first_unmarked(self.class?.slots_per_extent())
    }

    /// How many slots nobody needs.
    pub fn free_slots(&self) -> usize {
        self.class.map_or(0, |class| class.slots_per_extent() - self.taken().len())
    }

    /// How many slots somebody needs.
    pub fn needed_slots(&self) -> usize {
        self.taken().len()
    }

    /// Whether nobody needs any slot.
    pub fn is_idle(&self) -> bool {
        [&self.used, &self.held[0], &self.held[1], &self.ahead, &self.readers].into_iter().all(SlotMap::is_empty)
    }

    /// The stored form: what the state being built uses.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // An extent without used pages is stored without class: a reopened store may give it any.
        let class = if self.used.is_empty() { None } else { self.class };
        let words = class.map_or(0, map_words);
        out.push(class.map_or(0, |class| class.number() + 1));
        out.push(u8::try_from(words).expect("a map has at most 16 words"));
        out.extend_from_slice(&[0; 6]);
        self.used.words(words).for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    /// Reads the stored form from the front of `chunk`.
    pub fn decode(chunk: &mut &[u8]) -> Result<Self> {
        let Some((header, rest)) = chunk.split_at_checked(EXTENT_RECORD_HEADER_BYTES) else {
            return Err(inconsistent("a chunk is cut short"));
        };
        let words = usize::from(header[1]);
        if words > MAP_WORDS_MAX {
            return Err(inconsistent("words of a slot map"));
        }
        let Some((map, rest)) = rest.split_at_checked(words * 8) else {
            return Err(inconsistent("a chunk is cut short"));
        };
        *chunk = rest;
        Self::checked(header[0], map)
    }

    /// Reads the stored form of chunk version 1: always a map of four words.
    pub fn decode_v1(record: &[u8]) -> Result<Self> {
        assert!(record.len() == EXTENT_RECORD_BYTES, "the caller cuts records");
        Self::checked(record[0], &record[EXTENT_RECORD_HEADER_BYTES..])
    }

    fn checked(class: u8, map: &[u8]) -> Result<Self> {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let used = SlotMap::from_words(map.chunks_exact(8).map(word));
        let class = match class.checked_sub(1) {
            None => None,
            Some(number) => Some(SizeClass::from_number(number).ok_or_else(|| inconsistent("unknown size class"))?),
        };
        let slots = class.map_or(0, SizeClass::slots_per_extent);
        if used.iter().any(|slot| usize::from(slot) >= slots) {
            return Err(inconsistent("a slot is used that does not exist"));
        }
        Ok(Extent { class, used, ..Extent::default() })
    }
}

fn inconsistent(detail: &str) -> StorageError {
    StorageError::Inconsistent { detail: format!("free set: {detail}") }
}
