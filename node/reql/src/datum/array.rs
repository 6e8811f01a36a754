//! `Array`: an immutable sequence, either a tree in memory or a view over encoded bytes.

use std::fmt;

use bytes::Bytes;

use super::format;
use super::node::ArrayNode;
use super::repr::Repr;
use super::{Datum, Measures};

/// An array; a clone costs one counter.
#[derive(Clone)]
pub struct Array(Repr<Datum>);

impl Array {
    pub fn new() -> Array {
        Array::from(Vec::new())
    }

    pub(super) fn view(value: Bytes) -> Array {
        Array(Repr::View(value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, index: usize) -> Option<Datum> {
        match &self.0 {
            Repr::Tree(tree) => tree.parts.get(index).cloned(),
            Repr::View(value) => Repr::<Datum>::container(value).element(index).map(|item| format::lift(value, item)),
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Datum> + ExactSizeIterator + '_ {
        (0..self.len()).map(|index| self.get(index).unwrap_or(Datum::Null))
    }

    /// The elements from `start` up to but without `end`, both clipped to the length.
    pub fn slice(&self, start: usize, end: usize) -> Array {
        let end = end.min(self.len());
        if start == 0 && end == self.len() {
            return self.clone();
        }
        Array::from((start..end).filter_map(|index| self.get(index)).collect::<Vec<_>>())
    }

    /// The elements as a vector of one's own, without copying them when nobody else holds this array.
    pub fn into_vec(self) -> Vec<Datum> {
        match self.0.into_parts() {
            Ok(parts) => parts,
            Err(view) => Array(view).iter().collect(),
        }
    }

    /// 1 + the greatest depth of an element.
    pub fn depth(&self) -> usize {
        self.0.depth()
    }

    pub fn node(&self) -> ArrayNode<'_> {
        match &self.0 {
            Repr::Tree(tree) => ArrayNode::Tree(&tree.parts),
            Repr::View(value) => ArrayNode::View(Repr::<Datum>::container(value)),
        }
    }

    pub(super) fn size_hint(&self) -> usize {
        self.0.size_hint()
    }

    pub(super) fn measures(&self) -> Measures {
        self.0.measures()
    }

    pub(super) fn heap(&self) -> usize {
        self.0.heap()
    }

    /// The encoded value, when this is a view.
    pub(super) fn encoded(&self) -> Option<&[u8]> {
        self.0.encoded()
    }

    /// The elements of a tree; empty for a view.
    pub(super) fn items(&self) -> &[Datum] {
        self.0.parts()
    }

    /// Moves the elements out when nobody else holds them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Datum>) {
        self.0.dismantle_into(pending);
    }
}

impl Default for Array {
    fn default() -> Array {
        Array::new()
    }
}

impl From<Vec<Datum>> for Array {
    fn from(items: Vec<Datum>) -> Array {
        Array(Repr::tree(items))
    }
}

impl FromIterator<Datum> for Array {
    fn from_iter<I: IntoIterator<Item = Datum>>(items: I) -> Array {
        Array::from(items.into_iter().collect::<Vec<_>>())
    }
}

impl IntoIterator for Array {
    type Item = Datum;
    type IntoIter = std::vec::IntoIter<Datum>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_vec().into_iter()
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
