//! What a transaction does with whole trees: create, drop, split, join, load.
//!
//! A dropped tree is not read: it is kept under a number of its own, among the trees that have no owner, is stored with
//! them, and is taken apart a few pages at a time (`Engine::reclaim_step`). So a crash in between leaks nothing.

use std::borrow::Borrow;

use crate::btree::{Fill, Root};
use crate::error::{Result, StorageError};
use crate::limits::{TREE_ID_MAX, TREES_PER_SET_MAX};
use crate::transaction::{Transaction, TreeId};

/// Whether a tree was dropped and waits for its pages to be freed.
pub(crate) fn is_dropped(tree: TreeId) -> bool {
    tree.0 > TREE_ID_MAX
}

impl Transaction {
    /// Adds an empty tree. Errors: `TreeExists`, `OverLimit` past the limit of trees or of their numbers.
    pub fn create_tree(&mut self, tree: TreeId) -> Result<()> {
        self.add_tree(tree, Root::default())
    }

    pub(super) fn add_tree(&mut self, tree: TreeId, root: Root) -> Result<()> {
        let at = self.vacancy(tree)?;
        self.trees.insert(at, (tree, root));
        self.changed = true;
        Ok(())
    }

    /// Where a new tree goes.
    fn vacancy(&mut self, tree: TreeId) -> Result<usize> {
        if is_dropped(tree) {
            let (size, size_max) = (tree.0 as usize, TREE_ID_MAX as usize);
            return Err(StorageError::OverLimit { what: "number of a tree", size, size_max });
        }
        while self.trees.len() >= TREES_PER_SET_MAX && self.first_dropped().is_some() {
            self.reclaim_dropped(usize::MAX)?;
        }
        if self.trees.len() >= TREES_PER_SET_MAX {
            let size = self.trees.len() + 1;
            return Err(StorageError::OverLimit { what: "trees of a set", size, size_max: TREES_PER_SET_MAX });
        }
        match self.trees.binary_search_by_key(&tree, |(id, _)| *id) {
            Ok(_) => Err(StorageError::TreeExists(tree)),
            Err(at) => Ok(at),
        }
    }

    /// Drops a tree with everything in it, in O(1). Its space is found again by `Engine::reclaim_step`. Errors: `NoTree`.
    pub fn drop_tree(&mut self, tree: TreeId) -> Result<()> {
        let (_, root) = self.trees.remove(self.position(tree)?);
        self.changed = true;
        if root.page.is_some() {
            let first = self.first_dropped().unwrap_or(self.trees.len());
            let taken = &self.trees[first..];
            // There are more numbers than trees, so one is free.
            let number =
                (TREE_ID_MAX + 1..).zip(0..).find(|(number, at)| taken.get(*at).is_none_or(|(id, _)| id.0 != *number));
            let (number, at) = number.expect("numbers of dropped trees outnumber the trees of a set");
            self.trees.insert(first + at, (TreeId(number), root));
        }
        Ok(())
    }

    fn first_dropped(&self) -> Option<usize> {
        let first = self.trees.partition_point(|(id, _)| !is_dropped(*id));
        (first < self.trees.len()).then_some(first)
    }

    /// Frees about `pages_max` pages of dropped trees; how many it were.
    pub(crate) fn reclaim_dropped(&mut self, pages_max: usize) -> Result<usize> {
        let mut freed = 0;
        while freed < pages_max
            && let Some(at) = self.first_dropped()
        {
            let mut root = self.trees[at].1;
            freed += self.workspace_mut().reclaim(&mut root, pages_max - freed)?;
            self.changed = true;
            self.trees[at].1 = root;
            if root.page.is_none() {
                self.trees.remove(at);
            }
        }
        Ok(freed)
    }

    /// The trees, in order.
    pub fn trees(&self) -> Vec<TreeId> {
        self.trees.iter().map(|(id, _)| *id).filter(|id| !is_dropped(*id)).collect()
    }

    /// Whether the set has this tree.
    pub fn has_tree(&self, tree: TreeId) -> bool {
        self.position(tree).is_ok()
    }

    /// Moves the entries of `tree` from `key` on into a new tree, in O(log n). Errors: `NoTree`; those of
    /// [`Transaction::create_tree`]; a page on the way to the key that cannot be read.
    pub fn split_tree(&mut self, tree: TreeId, key: &[u8], new_tree: TreeId) -> Result<()> {
        self.position(tree)?;
        self.vacancy(new_tree)?;
        let position = self.position(tree)?;
        let mut root = self.trees[position].1;
        let cut = self.workspace_mut().cut(&mut root, key)?;
        self.trees[position].1 = root;
        self.add_tree(new_tree, cut)
    }

    /// Moves all entries of `right` behind those of `left`, in O(log n), and removes `right`. Errors: `NoTree`;
    /// `TreesOverlap` unless every key of `left` is smaller than every key of `right`; a page on the way to where they
    /// meet that cannot be read.
    pub fn join_trees(&mut self, left: TreeId, right: TreeId) -> Result<()> {
        let (left_at, right_at) = (self.position(left)?, self.position(right)?);
        let (left_root, right_root) = (self.trees[left_at].1, self.trees[right_at].1);
        if left == right {
            return Err(StorageError::TreesOverlap { left, right });
        }
        let joined = self.workspace_mut().join_if_apart(left_root, right_root)?;
        self.trees[left_at].1 = joined.ok_or(StorageError::TreesOverlap { left, right })?;
        self.trees.remove(right_at);
        self.changed = true;
        Ok(())
    }

    /// Puts sorted entries behind the last key of a tree, or into an empty one, in O(n): builds full nodes from the leaf
    /// up. How many it were.
    ///
    /// Everything stays in memory until the commit; [`crate::TreeSet::bulk_load`] commits in pieces. Errors, which change
    /// nothing: `NoTree`; `NotAscending`; those of [`Transaction::put`].
    pub fn bulk_load<K, V>(
        &mut self,
        tree: TreeId,
        entries: impl IntoIterator<Item = (K, V)>,
        fill: Fill,
    ) -> Result<u64>
    where
        K: Borrow<[u8]>,
        V: Borrow<[u8]>,
    {
        let position = self.position(tree)?;
        let root = self.trees[position].1;
        let workspace = self.workspace_mut();
        let built = workspace.build(entries, fill)?;
        let count = built.count;
        let joined = match workspace.join_if_apart(root, built) {
            Ok(Some(joined)) => joined,
            refused => {
                // Only nodes made here, which are all in memory.
                let mut built = built;
                while built.page.is_some() {
                    workspace.reclaim(&mut built, usize::MAX)?;
                }
                return refused.and(Err(StorageError::NotAscending { position: 0 }));
            }
        };
        self.trees[position].1 = joined;
        self.changed = true;
        Ok(count)
    }
}
