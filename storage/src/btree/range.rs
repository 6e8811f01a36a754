//! Key ranges, open or closed at either end.

use std::ops::Bound;

use bytes::Bytes;

use crate::btree::node::Node;

/// A range of keys, ordered as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// Where it starts.
    pub start: Bound<Bytes>,
    /// Where it ends.
    pub end: Bound<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        KeyRange { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// A range between two bounds. When they cross, it is empty.
    pub fn new(start: Bound<Bytes>, end: Bound<Bytes>) -> Self {
        KeyRange { start, end }
    }

    /// `start` and everything from there to before `end`.
    pub fn half_open(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        KeyRange { start: Bound::Included(start.into()), end: Bound::Excluded(end.into()) }
    }

    /// `start` and everything after it.
    pub fn from(start: impl Into<Bytes>) -> Self {
        KeyRange { start: Bound::Included(start.into()), end: Bound::Unbounded }
    }

    /// Everything after `key`, without it.
    pub fn after(key: impl Into<Bytes>) -> Self {
        KeyRange { start: Bound::Excluded(key.into()), end: Bound::Unbounded }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        let mut end = prefix.to_vec();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        let end = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(Bytes::from(end))
            }
            None => Bound::Unbounded,
        };
        KeyRange { start: Bound::Included(prefix), end }
    }

    /// Whether a key lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        let after_start = match &self.start {
            Bound::Included(start) => key >= &start[..],
            Bound::Excluded(start) => key > &start[..],
            Bound::Unbounded => true,
        };
        let before_end = match &self.end {
            Bound::Included(end) => key <= &end[..],
            Bound::Excluded(end) => key < &end[..],
            Bound::Unbounded => true,
        };
        after_start && before_end
    }

    /// Index of the first entry of a leaf that does not lie before the range.
    pub(super) fn low_index(&self, leaf: &Node) -> usize {
        match &self.start {
            Bound::Included(key) => leaf.search(key).unwrap_or_else(|at| at),
            Bound::Excluded(key) => leaf.search(key).map_or_else(|at| at, |at| at + 1),
            Bound::Unbounded => 0,
        }
    }

    /// Index after the last entry of a leaf that does not lie behind the range.
    pub(super) fn high_index(&self, leaf: &Node) -> usize {
        match &self.end {
            Bound::Included(key) => leaf.search(key).map_or_else(|at| at, |at| at + 1),
            Bound::Excluded(key) => leaf.search(key).unwrap_or_else(|at| at),
            Bound::Unbounded => leaf.len(),
        }
    }
}
