//! One run of equal slots: which are used, and which are not free although unused.

use crate::error::{Result, StorageError};
use crate::slab::format::{EXTENT_RECORD_BYTES, MAP_WORDS};
use crate::slab::size_class::SizeClass;

/// One bit per slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotMap([u64; MAP_WORDS]);

impl SlotMap {
    /// Whether a slot is marked.
    pub fn has(&self, slot: u16) -> bool {
        self.0[usize::from(slot / 64)] & 1 << (slot % 64) != 0
    }

    /// Marks a slot; false when it was marked.
    pub fn insert(&mut self, slot: u16) -> bool {
        let before = self.has(slot);
        self.0[usize::from(slot / 64)] |= 1 << (slot % 64);
        !before
    }

    /// Unmarks a slot; false when it was not marked.
    pub fn remove(&mut self, slot: u16) -> bool {
        let before = self.has(slot);
        self.0[usize::from(slot / 64)] &= !(1 << (slot % 64));
        before
    }

    /// Whether no slot is marked.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; MAP_WORDS]
    }

    /// How many slots are marked.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Slots marked here or there.
    pub fn union(&self, other: &SlotMap) -> SlotMap {
        SlotMap(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// The first slot below `slots` that is not marked.
    pub fn first_unmarked(&self, slots: usize) -> Option<u16> {
        let index = (0..MAP_WORDS).find(|&word| self.0[word] != u64::MAX)?;
        let slot = index * 64 + self.0[index].trailing_ones() as usize;
        (slot < slots).then(|| u16::try_from(slot).expect("an extent has at most 256 slots"))
    }

    /// The marked slots.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..(MAP_WORDS * 64) as u16).filter(|&slot| self.has(slot))
    }
}

/// An extent of the page file.
#[derive(Clone, Debug, Default)]
pub struct Extent {
    /// `None`: it can take any class.
    pub class: Option<SizeClass>,
    /// Slots of the state being built.
    pub used: SlotMap,
    /// Slots of a superblock's state that are not in the state being built: one per superblock, newest first.
    pub held: [SlotMap; 2],
    /// Slots that left the tree but can still be reached by a reader.
    pub readers: SlotMap,
}

impl Extent {
    fn taken(&self) -> SlotMap {
        self.used.union(&self.held[0]).union(&self.held[1]).union(&self.readers)
    }

    /// A slot that nobody needs.
    pub fn free_slot(&self) -> Option<u16> {
        self.taken().first_unmarked(self.class?.slots_per_extent())
    }

    /// Whether nobody needs any slot.
    pub fn is_idle(&self) -> bool {
        self.taken().is_empty()
    }

    /// The stored form: what the state being built uses.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // An extent without used pages is stored without class: a reopened store may give it any.
        let class = if self.used.is_empty() { None } else { self.class };
        out.push(class.map_or(0, |class| class.number() + 1));
        out.extend_from_slice(&[0; 7]);
        for word in self.used.0 {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Reads the stored form.
    pub fn decode(record: &[u8]) -> Result<Self> {
        assert!(record.len() == EXTENT_RECORD_BYTES, "the caller cuts records");
        let inconsistent = |detail: &str| StorageError::Inconsistent { detail: format!("free set: {detail}") };
        let mut words = [0; MAP_WORDS];
        for (word, bytes) in words.iter_mut().zip(record[8..].chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        }
        let used = SlotMap(words);
        let class = match record[0].checked_sub(1) {
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
