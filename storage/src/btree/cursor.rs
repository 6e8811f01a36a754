//! Walks a range in either direction, a leaf at a time.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use crate::btree::Root;
use crate::btree::node::{Node, Value};
use crate::btree::range::KeyRange;
use crate::btree::source::NodeSource;
use crate::error::Result;

/// Which way a cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Ascending keys.
    #[default]
    Forward,
    /// Descending keys.
    Backward,
}

/// A position in a range of one view of a tree.
#[derive(Debug)]
pub struct RangeCursor<S> {
    source: S,
    root: Root,
    range: KeyRange,
    direction: Direction,
    /// Branches above the leaf, each with the index of the child that is being walked.
    path: Vec<(Arc<Node>, usize)>,
    /// The leaf, and the indices in it that lie in the range and are still to come.
    leaf: Option<(Arc<Node>, usize, usize)>,
    /// Whether the range may go on in further leaves.
    more: bool,
    started: bool,
    /// Where keys are put together; the prefix of the leaf stays in it.
    key: Vec<u8>,
}

impl<S: NodeSource> RangeCursor<S> {
    pub(crate) fn new(source: S, root: Root, range: KeyRange, direction: Direction) -> Self {
        RangeCursor {
            source,
            root,
            range,
            direction,
            path: Vec::new(),
            leaf: None,
            more: true,
            started: false,
            key: Vec::new(),
        }
    }

    /// The next entry. Errors: a page on the way is damaged or cannot be read; the cursor may then be tried again.
    #[expect(clippy::should_implement_trait, reason = "an iterator would hide the error")]
    pub fn next(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        if !self.find_leaf()? {
            return Ok(None);
        }
        let Some((leaf, low, high)) = &self.leaf else { return Ok(None) };
        let index = if self.direction == Direction::Forward { *low } else { *high - 1 };
        let entry = (leaf.key(index).to_bytes(), self.source.bytes_of(leaf.value(index))?);
        self.consume();
        Ok(Some(entry))
    }

    /// Reads the next entry where it lies; `None` at the end of the range. Errors as [`RangeCursor::next`].
    pub fn next_with<R>(&mut self, read: impl FnOnce(&[u8], &[u8]) -> R) -> Result<Option<R>> {
        let mut read = Some(read);
        self.for_each(|key, value| match read.take() {
            Some(read) => ControlFlow::Break(read(key, value)),
            None => unreachable!("the visit ends with the first entry"),
        })
    }

    /// Visits entries without allocating until the range ends (`None`) or the visitor breaks; the entry it broke at is
    /// consumed, and the cursor can go on behind it.
    pub fn for_each<B>(&mut self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<B>) -> Result<Option<B>> {
        while self.find_leaf()? {
            let Some((leaf, low, high)) = &mut self.leaf else { continue };
            let key = &mut self.key;
            key.clear();
            key.extend_from_slice(leaf.prefix());
            let prefix = key.len();
            while low < high {
                let index = if self.direction == Direction::Forward { *low } else { *high - 1 };
                key.truncate(prefix);
                leaf.append_remainder(index, key);
                let flow = match leaf.value(index) {
                    Value::Inline(value) => visit(key, value),
                    Value::Large(large) => visit(key, &self.source.large_value(large)?),
                };
                match self.direction {
                    Direction::Forward => *low += 1,
                    Direction::Backward => *high -= 1,
                }
                if let ControlFlow::Break(answer) = flow {
                    return Ok(Some(answer));
                }
            }
        }
        Ok(None)
    }

    fn consume(&mut self) {
        if let Some((_, low, high)) = &mut self.leaf {
            match self.direction {
                Direction::Forward => *low += 1,
                Direction::Backward => *high -= 1,
            }
        }
    }

    /// Moves to a leaf with entries left; false at the end of the range.
    fn find_leaf(&mut self) -> Result<bool> {
        loop {
            if let Some((_, low, high)) = &self.leaf
                && low < high
            {
                return Ok(true);
            }
            if !self.more {
                return Ok(false);
            }
            if !self.started {
                self.seek()?;
            } else {
                self.next_leaf()?;
            }
        }
    }

    fn seek(&mut self) -> Result<()> {
        self.path.clear();
        let Some(page) = self.root.page else {
            self.more = false;
            return Ok(());
        };
        let mut node = self.source.node(page)?;
        while !node.is_leaf() {
            let index = match (self.direction, &self.range.start, &self.range.end) {
                (Direction::Forward, Bound::Included(key) | Bound::Excluded(key), _) => node.child_index(key),
                (Direction::Forward, Bound::Unbounded, _) => 0,
                (Direction::Backward, _, Bound::Included(key) | Bound::Excluded(key)) => node.child_index(key),
                (Direction::Backward, _, Bound::Unbounded) => node.len() - 1,
            };
            let child = self.source.node_at_level(node.child(index).page, node.level() - 1)?;
            self.path.push((node, index));
            node = child;
        }
        self.started = true;
        self.enter(node);
        Ok(())
    }

    fn next_leaf(&mut self) -> Result<()> {
        let forward = self.direction == Direction::Forward;
        // The path changes only when every read has succeeded, so that a failed cursor can be tried again.
        let mut depth = self.path.len();
        loop {
            let Some((node, index)) = depth.checked_sub(1).map(|at| &self.path[at]) else {
                self.more = false;
                return Ok(());
            };
            let has_next = if forward { index + 1 < node.len() } else { *index > 0 };
            if has_next {
                break;
            }
            depth -= 1;
        }
        let (node, index) = &self.path[depth - 1];
        let index = if forward { index + 1 } else { index - 1 };
        let mut below = Vec::new();
        let mut child = self.source.node_at_level(node.child(index).page, node.level() - 1)?;
        while !child.is_leaf() {
            let index = if forward { 0 } else { child.len() - 1 };
            let next = self.source.node_at_level(child.child(index).page, child.level() - 1)?;
            below.push((child, index));
            child = next;
        }
        self.path.truncate(depth);
        self.path[depth - 1].1 = index;
        self.path.extend(below);
        self.enter(child);
        Ok(())
    }

    fn enter(&mut self, leaf: Arc<Node>) {
        let (low, high) = (self.range.low_index(&leaf), self.range.high_index(&leaf));
        self.more = match self.direction {
            Direction::Forward => high == leaf.len(),
            Direction::Backward => low == 0,
        };
        self.leaf = Some((leaf, low, high.max(low)));
    }
}
