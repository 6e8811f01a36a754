//! Half-open ranges of encoded primary keys.

use serde::{Deserialize, Serialize};

/// Keys from `start` (inclusive) to `end` (exclusive; `None` is past every key). Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> KeyRange {
        KeyRange { start: Vec::new(), end: None }
    }

    /// The range, or `None` when no key can lie in it.
    pub fn new(start: Vec<u8>, end: Option<Vec<u8>>) -> Option<KeyRange> {
        match &end {
            Some(end) if *end <= start => None,
            _ => Some(KeyRange { start, end }),
        }
    }

    /// The first key that may lie in the range.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// The first key past the range; `None`: there is none.
    pub fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && self.end.as_deref().is_none_or(|end| key < end)
    }

    /// The keys before `at`, and those from it on; `None` when one of them is none.
    pub fn cut(&self, at: &[u8]) -> Option<[KeyRange; 2]> {
        let left = KeyRange::new(self.start.clone(), Some(at.to_vec()))?;
        let right = KeyRange::new(at.to_vec(), self.end.clone())?;
        self.end.as_deref().is_none_or(|end| at < end).then_some([left, right])
    }

    /// Whether every key of `other` lies in this one.
    pub fn covers(&self, other: &KeyRange) -> bool {
        self.intersect(other).is_some_and(|both| both == *other)
    }

    /// The keys in both ranges; `None` when there are none.
    pub fn intersect(&self, other: &KeyRange) -> Option<KeyRange> {
        let start = self.start.clone().max(other.start.clone());
        let end = match (&self.end, &other.end) {
            (Some(left), Some(right)) => Some(left.min(right).clone()),
            (one, None) => one.clone(),
            (None, one) => one.clone(),
        };
        KeyRange::new(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &str, end: &str) -> Option<KeyRange> {
        KeyRange::new(start.into(), Some(end.into()))
    }

    #[test]
    fn an_empty_range_cannot_be_made() {
        assert_eq!(range("b", "b"), None);
        assert_eq!(range("b", "a"), None);
    }

    #[test]
    fn bounds_are_half_open() {
        let range = range("b", "d").expect("not empty");
        assert!(!range.contains(b"a") && range.contains(b"b") && range.contains(b"c") && !range.contains(b"d"));
        assert!(KeyRange::all().contains(b"") && KeyRange::all().contains(b"\xff\xff"));
    }

    #[test]
    fn a_cut_leaves_two_that_are_not_empty() {
        let whole = range("b", "d").expect("not empty");
        assert_eq!(whole.cut(b"c"), Some([range("b", "c").expect("left"), range("c", "d").expect("right")]));
        assert!(whole.cut(b"b").is_none() && whole.cut(b"d").is_none() && whole.cut(b"a").is_none());
        let all = KeyRange::all();
        assert!(
            all.cut(b"c").is_some_and(|[left, right]| all.covers(&left) && all.covers(&right) && !left.covers(&all))
        );
    }

    #[test]
    fn an_intersection_holds_what_both_hold() {
        let all = KeyRange::all();
        let left = range("a", "m").expect("not empty");
        let right = range("k", "z").expect("not empty");
        assert_eq!(left.intersect(&right), range("k", "m"));
        assert_eq!(left.intersect(&all), Some(left.clone()));
        assert_eq!(range("a", "b").expect("not empty").intersect(&right), None);
    }
}
