//! One bit per slot of an extent.

use smallvec::SmallVec;

/// A set of slots. Grows with the largest slot marked, because only extents of small slots need more than four words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotMap {
    /// The last word is never zero.
    words: SmallVec<[u64; 4]>,
}

impl SlotMap {
    /// Takes words as they are stored.
    pub fn from_words(words: impl IntoIterator<Item = u64>) -> Self {
        let mut map = SlotMap { words: words.into_iter().collect() };
        map.trim();
        map
    }

    /// The first `count` words; zero where nothing is marked.
    pub fn words(&self, count: usize) -> impl Iterator<Item = u64> + '_ {
        (0..count).map(|word| self.words.get(word).copied().unwrap_or_default())
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    /// Whether a slot is marked.
    pub fn has(&self, slot: u16) -> bool {
        self.words.get(usize::from(slot / 64)).is_some_and(|word| word & 1 << (slot % 64) != 0)
    }

    /// Marks a slot; false when it was marked.
    pub fn insert(&mut self, slot: u16) -> bool {
        let before = self.has(slot);
        let word = usize::from(slot / 64);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (slot % 64);
        !before
    }

    /// Unmarks a slot; false when it was not marked.
    pub fn remove(&mut self, slot: u16) -> bool {
        let before = self.has(slot);
        if before {
            self.words[usize::from(slot / 64)] &= !(1 << (slot % 64));
            self.trim();
        }
        before
    }

    /// Whether no slot is marked.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many slots are marked.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Slots marked here or there.
    pub fn union(&self, other: &SlotMap) -> SlotMap {
        let count = self.words.len().max(other.words.len());
        SlotMap { words: self.words(count).zip(other.words(count)).map(|(a, b)| a | b).collect() }
    }

    /// The first slot below `slots` that is not marked.
    pub fn first_unmarked(&self, slots: usize) -> Option<u16> {
        let word = self.words.iter().position(|word| *word != u64::MAX).unwrap_or(self.words.len());
        let ones = self.words.get(word).map_or(0, |word| word.trailing_ones() as usize);
        let slot = word * 64 + ones;
        (slot < slots).then(|| u16::try_from(slot).expect("an extent has at most 1,020 slots"))
    }

    /// The marked slots.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..(self.words.len() * 64) as u16).filter(|&slot| self.has(slot))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((0u16..1020, any::<bool>()), 0..300)) {
            let (mut map, mut model) = (SlotMap::default(), BTreeSet::new());
            for (slot, insert) in steps {
                if insert {
                    prop_assert_eq!(map.insert(slot), model.insert(slot));
                } else {
                    prop_assert_eq!(map.remove(slot), model.remove(&slot));
                }
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.is_empty(), model.is_empty());
            prop_assert!(map.iter().eq(model.iter().copied()));
            let free = (0..1020).find(|slot| !model.contains(slot));
            prop_assert_eq!(map.first_unmarked(1020), free);
            prop_assert_eq!(SlotMap::from_words(map.words(16)), map.clone());
            prop_assert_eq!(map.union(&SlotMap::default()), map);
        }
    }
}
