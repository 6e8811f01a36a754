//! A transaction: the one writer of a tree set.

mod load;
mod relocate;
mod transfer;
mod trees;

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::{LargeValue, Node};
use crate::btree::source::NodeSource;
use crate::btree::workspace::Workspace;
use crate::btree::{Direction, KeyRange, RangeCursor, Root, TransactionCursor, search};
use crate::error::{Result, StorageError};
use crate::limits::META_BYTES_MAX;
use crate::page::format::PageRef;
use crate::transaction::published::Changes;
use crate::transaction::tree_set::{HANDED_OVER_PER_STEP, Shared, WriterState};
use crate::transaction::{TreeId, TreeSetId};
pub(crate) use relocate::Place;
pub(crate) use transfer::pass_trees;
pub(crate) use trees::is_dropped;

/// Changes that become visible together. Dropping it without [`Transaction::commit`] takes them back.
///
/// An error of one operation (a damaged page, a key too long) changes nothing; the transaction may go on or be dropped.
#[derive(Debug)]
pub struct Transaction {
    shared: Arc<Shared>,
    /// Present until the transaction ends.
    workspace: Option<Workspace>,
    trees: Vec<(TreeId, Root)>,
    meta: Bytes,
    changed: bool,
}

impl Transaction {
    pub(crate) fn begin(shared: Arc<Shared>) -> Self {
        let state = shared.take_writer();
        Self::open(shared, state)
    }

    /// Begins with the right to write that the caller has.
    pub(crate) fn open(shared: Arc<Shared>, mut state: Box<WriterState>) -> Self {
        // Only this writer can replace the published version, so what it names stays alive without a pin.
        let (trees, meta, hands_over) = {
            let published = shared.published.read();
            let version = &published.version;
            (version.trees.clone(), version.meta.clone(), published.has_handovers())
        };
        if hands_over {
            shared.hand_over(&mut state, HANDED_OVER_PER_STEP);
        }
        let workspace = Some(Workspace::new(Arc::clone(&shared), state));
        Transaction { shared, workspace, trees, meta, changed: false }
    }

    /// The set's name.
    pub fn id(&self) -> TreeSetId {
        self.shared.id
    }

    fn position(&self, tree: TreeId) -> Result<usize> {
        if is_dropped(tree) {
            return Err(StorageError::NoTree(tree));
        }
        self.trees.binary_search_by_key(&tree, |(id, _)| *id).map_err(|_| StorageError::NoTree(tree))
    }

    fn root(&self, tree: TreeId) -> Result<Root> {
        Ok(self.trees[self.position(tree)?].1)
    }

    fn workspace(&self) -> &Workspace {
        self.workspace.as_ref().expect("the transaction is open")
    }

    fn workspace_mut(&mut self) -> &mut Workspace {
        self.workspace.as_mut().expect("the transaction is open")
    }

    /// The value of a key, this transaction's changes included.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Bytes>> {
        search::get(self.workspace(), self.root(tree)?, key)
    }

    /// Reads the value of a key where it lies, without a copy.
    pub fn get_with<R>(&self, tree: TreeId, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        search::get_with(self.workspace(), self.root(tree)?, key, read)
    }

    /// Puts a value under a key; true when it replaced another. Errors: `NoTree`, `KeyTooLong`, `OverLimit`, or a page
    /// that cannot be read.
    pub fn put(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<bool> {
        let position = self.position(tree)?;
        let mut root = self.trees[position].1;
        let replaced = self.workspace_mut().insert(&mut root, key, value);
        self.trees[position].1 = root;
        self.changed = true;
        replaced
    }

    /// Removes a key; false when it was not there. Errors: `NoTree`, or a page that cannot be read.
    pub fn delete(&mut self, tree: TreeId, key: &[u8]) -> Result<bool> {
        let position = self.position(tree)?;
        let mut root = self.trees[position].1;
        let removed = self.workspace_mut().remove(&mut root, key);
        self.trees[position].1 = root;
        self.changed |= !matches!(removed, Ok(false));
        removed
    }

    /// Walks a range of what this transaction sees.
    pub fn cursor(&self, tree: TreeId, range: KeyRange, direction: Direction) -> Result<TransactionCursor<'_>> {
        Ok(RangeCursor::new(self, self.root(tree)?, range, direction))
    }

    /// Number of entries in a range, in O(log n).
    pub fn count(&self, tree: TreeId, range: &KeyRange) -> Result<u64> {
        search::count(self.workspace(), self.root(tree)?, range)
    }

    /// The `n`-th entry of a range, from 0, in O(log n).
    pub fn nth(&self, tree: TreeId, range: &KeyRange, n: u64) -> Result<Option<(Bytes, Bytes)>> {
        search::nth(self.workspace(), self.root(tree)?, range, n)
    }

    /// The owner's blob, as this transaction sees it.
    pub fn meta(&self) -> Bytes {
        self.meta.clone()
    }

    /// Replaces the owner's blob; it changes with the commit, as one with the trees. Errors: `OverLimit`.
    pub fn set_meta(&mut self, meta: Bytes) -> Result<()> {
        if meta.len() > META_BYTES_MAX {
            return Err(StorageError::OverLimit {
                what: "bytes of a meta blob",
                size: meta.len(),
                size_max: META_BYTES_MAX,
            });
        }
        self.meta = meta;
        self.changed = true;
        Ok(())
    }

    /// Makes the changes visible to everyone who looks from now on. They are durable after the next checkpoint.
    pub fn commit(mut self) -> Result<()> {
        let workspace = self.workspace.take().expect("the transaction is open");
        if !self.changed && workspace.is_untouched() {
            self.shared.return_writer(workspace.abandon());
            return Ok(());
        }
        let (mut state, changes) = self.finish(workspace);
        self.shared.publish(&mut state, changes);
        self.shared.return_writer(state);
        Ok(())
    }

    /// What it comes to, and the right to write.
    fn finish(&mut self, workspace: Workspace) -> (Box<WriterState>, Changes) {
        let outcome = workspace.finish();
        let changes = Changes {
            fresh: outcome.fresh,
            retired_frames: outcome.retired_frames,
            retired_pages: outcome.retired_pages,
            trees: std::mem::take(&mut self.trees),
            meta: std::mem::take(&mut self.meta),
            tie: None,
        };
        (outcome.state, changes)
    }

    /// Takes the changes back.
    pub fn rollback(self) {}
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(workspace) = self.workspace.take() {
            self.shared.return_writer(workspace.abandon());
        }
    }
}

impl NodeSource for &Transaction {
    fn node(&self, page: PageRef) -> Result<Arc<Node>> {
        self.workspace().node(page)
    }

    fn large_value(&self, value: LargeValue) -> Result<Bytes> {
        self.workspace().large_value(value)
    }
}
