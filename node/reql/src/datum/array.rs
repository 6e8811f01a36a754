//! `Array`: an immutable sequence, either a tree in memory or a view over encoded bytes.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{self, Container};
use super::node::ArrayNode;
use super::{COUNTERS_BYTES, DEPTH_DROPPED_RECURSIVELY, Datum, Measures};

/// An array; a clone costs one counter.
#[derive(Clone)]
pub struct Array(Repr);

#[derive(Clone)]
enum Repr {
    Tree(Arc<Tree>),
    /// The whole encoded value, tag included.
    View(Bytes),
}

struct Tree {
    /// All elements included.
    measures: Measures,
    items: Vec<Datum>,
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.measures.depth > DEPTH_DROPPED_RECURSIVELY {
            super::dismantle(std::mem::take(&mut self.items));
        }
    }
}

impl Array {
    pub fn new() -> Array {
        Array::from(Vec::new())
    }

    pub(super) fn view(value: Bytes) -> Array {
        Array(Repr::View(value))
    }

    fn container(value: &[u8]) -> Container<'_> {
        format::container(value)
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Tree(tree) => tree.items.len(),
            Repr::View(value) => Array::container(value).len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, index: usize) -> Option<Datum> {
        match &self.0 {
            Repr::Tree(tree) => tree.items.get(index).cloned(),
            Repr::View(value) => Array::container(value).element(index).map(|item| format::lift(value, item)),
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
        match self.0 {
            Repr::Tree(tree) => match Arc::try_unwrap(tree) {
                Ok(mut tree) => std::mem::take(&mut tree.items),
                Err(shared) => shared.items.clone(),
            },
            Repr::View(_) => self.iter().collect(),
        }
    }

    /// 1 + the greatest depth of an element.
    pub fn depth(&self) -> usize {
        match &self.0 {
            Repr::Tree(tree) => tree.measures.depth,
            Repr::View(value) => format::depth(value),
        }
    }

    pub fn node(&self) -> ArrayNode<'_> {
        match &self.0 {
            Repr::Tree(tree) => ArrayNode::Tree(&tree.items),
            Repr::View(value) => ArrayNode::View(Array::container(value)),
        }
    }

    pub(super) fn size_hint(&self) -> usize {
        match &self.0 {
            Repr::Tree(tree) => tree.measures.size,
            Repr::View(value) => value.len(),
        }
    }

    pub(super) fn measures(&self) -> Measures {
        match &self.0 {
            Repr::Tree(tree) => tree.measures,
            Repr::View(value) => Measures { depth: format::depth(value), size: value.len(), heap: value.len() },
        }
    }

    pub(super) fn heap(&self) -> usize {
        match &self.0 {
            Repr::Tree(tree) => tree.measures.heap,
            Repr::View(value) => value.len(),
        }
    }

    /// The encoded value, when this is a view.
    pub(super) fn encoded(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Tree(_) => None,
            Repr::View(value) => Some(value),
        }
    }

    /// The elements of a tree; empty for a view.
    pub(super) fn items(&self) -> &[Datum] {
        match &self.0 {
            Repr::Tree(tree) => &tree.items,
            Repr::View(_) => &[],
        }
    }

    /// Moves the elements out when nobody else holds them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Datum>) {
        if let Repr::Tree(tree) = self.0
            && let Some(mut tree) = Arc::into_inner(tree)
        {
            pending.append(&mut tree.items);
        }
    }
}

impl Default for Array {
    fn default() -> Array {
        Array::new()
    }
}

impl From<Vec<Datum>> for Array {
    fn from(items: Vec<Datum>) -> Array {
        let own = COUNTERS_BYTES + size_of::<Tree>() + items.capacity() * size_of::<Datum>();
        let mut measures = Measures { depth: 0, size: 3, heap: own };
        for item in &items {
            let item = item.measures();
            measures.depth = measures.depth.max(item.depth);
            measures.size = measures.size.saturating_add(item.size).saturating_add(1);
            measures.heap = measures.heap.saturating_add(item.heap);
        }
        measures.depth += 1;
        Array(Repr::Tree(Arc::new(Tree { measures, items })))
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
