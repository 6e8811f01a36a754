//! Moves what lies in unwanted slots: copies of nodes and large values go into frames, which the next checkpoint writes
//! to other slots.
//!
//! A walk over the branches above the leaves, a branch at a time. Leaves on disk are read only when they move, or when
//! large values lie there.

use bytes::Bytes;

use crate::btree::Root;
use crate::btree::cut::Edge;
use crate::btree::node::{LargeValue, Node, Value};
use crate::btree::source::NodeSource;
use crate::btree::workspace::Workspace;
use crate::btree::write::Visited;
use crate::error::Result;
use crate::page::format::{PageId, PageRef, Target};
use crate::transaction::Content;

/// How far a walk has come.
pub(crate) struct Relocated {
    /// Slots left behind.
    pub slots: usize,
    /// Where it goes on; `None`: the tree is done.
    pub next: Option<Vec<u8>>,
}

/// A large value that moves.
struct Mover {
    index: usize,
    value: LargeValue,
    bytes: Bytes,
    old: Vec<PageRef>,
}

impl Workspace {
    /// Moves what of the branch that `from` leads to, and of what hangs below it, lies in unwanted slots, until about
    /// `slots_max` have been left. An error leaves what has been moved so far, which is a correct tree.
    pub fn relocate(
        &mut self,
        root: &mut Root,
        from: &[u8],
        slots_max: usize,
        is_unwanted: &impl Fn(PageId) -> bool,
    ) -> Result<Relocated> {
        let path = self.visit(*root, Edge::Key(from), 1)?;
        let Some(last) = path.last() else { return Ok(Relocated { slots: 0, next: None }) };
        if last.node.is_leaf() {
            let leaf = last.page;
            drop(path);
            return Ok(Relocated { slots: self.relocate_leaf(root, Vec::new(), leaf, is_unwanted)?, next: None });
        }
        let leaves: Vec<PageRef> = (0..last.node.len()).map(|index| last.node.child(index).page).collect();
        let next = key_behind(&path);
        let mut slots = path.iter().filter(|visited| self.lies_in(visited.page, is_unwanted)).count();
        if slots > 0 {
            self.own_visited(root, path);
        } else {
            drop(path);
        }
        for (index, leaf) in leaves.into_iter().enumerate() {
            if slots >= slots_max {
                return Ok(Relocated { slots, next: Some(from.to_vec()) });
            }
            if !self.lies_in(leaf, is_unwanted) && !self.may_have_large_values(leaf) {
                continue;
            }
            let mut path = self.visit(*root, Edge::Key(from), 1)?;
            if let Some(last) = path.last_mut() {
                last.index = index;
            }
            slots += self.relocate_leaf(root, path, leaf, is_unwanted)?;
        }
        Ok(Relocated { slots, next })
    }

    /// Moves a leaf, or large values of it, at the end of a path. Everything is read before anything changes.
    fn relocate_leaf(
        &mut self,
        root: &mut Root,
        mut path: Vec<Visited>,
        page: PageRef,
        is_unwanted: &impl Fn(PageId) -> bool,
    ) -> Result<usize> {
        let leaf = self.node_at_level(page, 0)?;
        let movers = self.movers(&leaf, is_unwanted)?;
        let moves = self.lies_in(page, is_unwanted);
        if !moves && movers.is_empty() {
            return Ok(0);
        }
        path.push(Visited { page, node: leaf, index: 0 });
        let owned = self.own_visited(root, path);
        let leaf = owned[owned.len() - 1].page;
        let mut slots = usize::from(moves);
        for Mover { index, value, bytes, old } in movers {
            let page = self.add_value(bytes);
            self.node_mut(leaf).set_large(index, LargeValue { page, length: value.length });
            slots += old.len();
            old.into_iter().for_each(|page| self.retire(page));
        }
        Ok(slots)
    }

    /// The large values of a leaf that have a piece in an unwanted slot.
    fn movers(&self, leaf: &Node, is_unwanted: &impl Fn(PageId) -> bool) -> Result<Vec<Mover>> {
        let mut movers = Vec::new();
        for index in 0..leaf.len() {
            let Value::Large(value) = leaf.value(index) else { continue };
            let unwanted = match self.evicted(value.page) {
                Some(slots) => slots.into_iter().any(is_unwanted),
                None if value.page.as_frame().is_some() => false,
                None => self.refs_of_value(value)?.into_iter().filter_map(PageRef::page_id).any(is_unwanted),
            };
            if unwanted {
                let (bytes, old) = (self.large_value(value)?, self.refs_of_value(value)?);
                movers.push(Mover { index, value, bytes, old });
            }
        }
        Ok(movers)
    }

    /// Whether what a reference names lies in an unwanted slot; the pieces of a large value aside.
    fn lies_in(&self, page: PageRef, is_unwanted: &impl Fn(PageId) -> bool) -> bool {
        match page.target() {
            Target::Page(slot) => is_unwanted(slot),
            Target::Frame(_) => self.evicted(page).is_some_and(|slots| slots.into_iter().any(is_unwanted)),
        }
    }

    /// The slots that a frame forwards to.
    fn evicted(&self, page: PageRef) -> Option<Vec<PageId>> {
        match self.frame(page.as_frame()?) {
            Content::Evicted(evicted) => Some(evicted.slots().collect()),
            Content::Node(_) | Content::Value(_) => None,
        }
    }

    fn may_have_large_values(&self, page: PageRef) -> bool {
        match page.as_frame().map(|frame| self.frame(frame)) {
            None => page.has_large_values(),
            Some(Content::Evicted(evicted)) => evicted.page.has_large_values(),
            Some(_) => true,
        }
    }
}

/// The smallest key that belongs behind everything below the last node of a path.
fn key_behind(path: &[Visited]) -> Option<Vec<u8>> {
    let (_, above) = path.split_last()?;
    let turn = above.iter().rev().find(|visited| visited.index + 1 < visited.node.len())?;
    Some(turn.node.key(turn.index + 1).to_vec())
}
