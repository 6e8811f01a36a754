//! How arrays and objects are kept: as a tree in memory, with what is known of all of it, or as a view over encoded bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::format::{self, Container};
use super::{COUNTERS_BYTES, DEPTH_DROPPED_RECURSIVELY, Datum, Measures, Str};

/// What a tree is made of: the elements of an array, or the fields of an object.
pub(super) trait Part: Clone {
    fn value(&self) -> &Datum;

    fn into_value(self) -> Datum;

    /// What it adds to size and heap of a tree, in bytes, beside its value.
    fn beside_value(&self) -> (usize, usize);
}

impl Part for Datum {
    fn value(&self) -> &Datum {
        self
    }

    fn into_value(self) -> Datum {
        self
    }

    fn beside_value(&self) -> (usize, usize) {
        (1, 0)
    }
}

impl Part for (Str, Datum) {
    fn value(&self) -> &Datum {
        &self.1
    }

    fn into_value(self) -> Datum {
        self.1
    }

    fn beside_value(&self) -> (usize, usize) {
        (self.0.as_bytes().len() + 2, self.0.heap())
    }
}

/// A clone costs one counter.
#[derive(Clone)]
pub(super) enum Repr<P: Part> {
    Tree(Arc<Tree<P>>),
    /// The whole encoded value, tag included.
    View(Bytes),
}

pub(super) struct Tree<P: Part> {
    /// All parts included.
    measures: Measures,
    pub(super) parts: Vec<P>,
}

impl<P: Part> Drop for Tree<P> {
    fn drop(&mut self) {
        if self.measures.depth > DEPTH_DROPPED_RECURSIVELY {
            super::dismantle(std::mem::take(&mut self.parts).into_iter().map(P::into_value).collect());
        }
    }
}

impl<P: Part> Repr<P> {
    pub(super) fn tree(parts: Vec<P>) -> Repr<P> {
        let own = COUNTERS_BYTES + size_of::<Tree<P>>() + parts.capacity() * size_of::<P>();
        let mut measures = Measures { depth: 0, size: 3, heap: own };
        for part in &parts {
            let (of_value, (size, heap)) = (part.value().measures(), part.beside_value());
            measures.depth = measures.depth.max(of_value.depth);
            measures.size = measures.size.saturating_add(size).saturating_add(of_value.size);
            measures.heap = measures.heap.saturating_add(heap).saturating_add(of_value.heap);
        }
        measures.depth += 1;
        Repr::Tree(Arc::new(Tree { measures, parts }))
    }

    pub(super) fn container(value: &[u8]) -> Container<'_> {
        format::container(value)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Repr::Tree(tree) => tree.parts.len(),
            Repr::View(value) => Self::container(value).len(),
        }
    }

    /// 1 + the greatest depth of a value.
    pub(super) fn depth(&self) -> usize {
        match self {
            Repr::Tree(tree) => tree.measures.depth,
            Repr::View(value) => format::depth(value),
        }
    }

    pub(super) fn size_hint(&self) -> usize {
        match self {
            Repr::Tree(tree) => tree.measures.size,
            Repr::View(value) => value.len(),
        }
    }

    pub(super) fn heap(&self) -> usize {
        match self {
            Repr::Tree(tree) => tree.measures.heap,
            Repr::View(value) => value.len(),
        }
    }

    pub(super) fn measures(&self) -> Measures {
        match self {
            Repr::Tree(tree) => tree.measures,
            Repr::View(value) => Measures { depth: format::depth(value), size: value.len(), heap: value.len() },
        }
    }

    /// The encoded value, when this is a view.
    pub(super) fn encoded(&self) -> Option<&[u8]> {
        match self {
            Repr::Tree(_) => None,
            Repr::View(value) => Some(value),
        }
    }

    /// The parts of a tree; empty for a view.
    pub(super) fn parts(&self) -> &[P] {
        match self {
            Repr::Tree(tree) => &tree.parts,
            Repr::View(_) => &[],
        }
    }

    /// The parts of a tree as a vector of one's own, without copying them when nobody else holds it; a view comes back as it is.
    pub(super) fn into_parts(self) -> Result<Vec<P>, Self> {
        match self {
            Repr::Tree(tree) => Ok(match Arc::try_unwrap(tree) {
                Ok(mut tree) => std::mem::take(&mut tree.parts),
                Err(shared) => shared.parts.clone(),
            }),
            view @ Repr::View(_) => Err(view),
        }
    }

    /// Moves the values out when nobody else holds them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Datum>) {
        if let Repr::Tree(tree) = self
            && let Some(mut tree) = Arc::into_inner(tree)
        {
            pending.extend(std::mem::take(&mut tree.parts).into_iter().map(P::into_value));
        }
    }
}
