//! A frozen view of a tree set.

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::{LargeValue, Node};
use crate::btree::source::NodeSource;
use crate::btree::{Cursor, Direction, KeyRange, RangeCursor, search};
use crate::error::Result;
use crate::page::format::{PageId, PageRef, Target};
use crate::page::overflow;
use crate::transaction::frames::Content;
use crate::transaction::published::Version;
use crate::transaction::tree_set::Shared;
use crate::transaction::writer::is_dropped;
use crate::transaction::{TreeId, TreeSetId};

/// The state of a tree set at one commit. Cheap to clone; holds memory and slots while it lives, so scans of long
/// ranges take a new one now and then.
#[derive(Clone, Debug)]
pub struct Snapshot {
    shared: Arc<Shared>,
    version: Arc<Version>,
}

impl Snapshot {
    pub(crate) fn new(shared: Arc<Shared>, version: Arc<Version>) -> Self {
        Snapshot { shared, version }
    }

    pub(crate) fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// The set's name.
    pub fn id(&self) -> TreeSetId {
        self.shared.id
    }

    /// The value of a key.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Bytes>> {
        search::get(self, self.version.root(tree)?, key)
    }

    /// Reads the value of a key where it lies, without a copy.
    pub fn get_with<R>(&self, tree: TreeId, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        search::get_with(self, self.version.root(tree)?, key, read)
    }

    /// Walks a range. The cursor keeps this snapshot alive.
    pub fn cursor(&self, tree: TreeId, range: KeyRange, direction: Direction) -> Result<Cursor> {
        Ok(RangeCursor::new(self.clone(), self.version.root(tree)?, range, direction))
    }

    /// Number of entries in a range, in O(log n).
    pub fn count(&self, tree: TreeId, range: &KeyRange) -> Result<u64> {
        search::count(self, self.version.root(tree)?, range)
    }

    /// The `n`-th entry of a range, from 0, in O(log n).
    pub fn nth(&self, tree: TreeId, range: &KeyRange, n: u64) -> Result<Option<(Bytes, Bytes)>> {
        search::nth(self, self.version.root(tree)?, range, n)
    }

    /// The trees of the set, in order.
    pub fn trees(&self) -> Vec<TreeId> {
        self.version.trees.iter().map(|(id, _)| *id).filter(|id| !is_dropped(*id)).collect()
    }

    /// Whether the set has this tree.
    pub fn has_tree(&self, tree: TreeId) -> bool {
        self.version.root(tree).is_ok()
    }

    /// The owner's blob.
    pub fn meta(&self) -> Bytes {
        self.version.meta.clone()
    }
}

impl Snapshot {
    /// Everything a large value takes on disk.
    pub(crate) fn refs_of_value(&self, value: LargeValue) -> Result<Vec<PageRef>> {
        match value.page.target() {
            Target::Frame(_) => Ok(vec![value.page]),
            Target::Page(id) => {
                let slots = overflow::slots(&self.shared.ambient.store, id, value.length)?;
                Ok(slots.into_iter().map(|slot| PageRef::page(slot, false)).collect())
            }
        }
    }
}

impl Snapshot {
    /// What a frame holds, or the slot it forwards to.
    fn frame(&self, frame: u32) -> Result<Content, PageId> {
        match self.shared.published.read().frames.get(frame) {
            Content::Evicted(evicted) => Err(evicted.slot()),
            content => Ok(content.clone()),
        }
    }
}

impl NodeSource for Snapshot {
    fn node(&self, page: PageRef) -> Result<Arc<Node>> {
        let slot = match page.target() {
            Target::Frame(frame) => match self.frame(frame) {
                Ok(content) => return Ok(content.into_node()),
                Err(slot) => slot,
            },
            Target::Page(slot) => slot,
        };
        self.shared.note(self.shared.ambient.store.node(slot))
    }

    fn large_value(&self, value: LargeValue) -> Result<Bytes> {
        let slot = match value.page.target() {
            Target::Frame(frame) => match self.frame(frame) {
                Ok(content) => return Ok(content.into_value()),
                Err(slot) => slot,
            },
            Target::Page(slot) => slot,
        };
        self.shared.note(self.shared.ambient.store.value(slot, value.length))
    }
}
