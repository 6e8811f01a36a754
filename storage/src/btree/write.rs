//! Insert and remove: copy on write along one path. Everything that must be read is read before anything changes.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::btree::Root;
use crate::btree::balance::REMOVAL;
use crate::btree::node::{Cell, Cells, Child, LargeValue, Node, Plan, Value};
use crate::btree::source::NodeSource;
use crate::btree::workspace::Workspace;
use crate::error::{Result, StorageError};
use crate::fault::{buggify, fault_point};
use crate::limits::{INLINE_VALUE_BYTES_MAX, KEY_BYTES_MAX, NODE_BODY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::page::format::PageRef;

/// A node on the way down, and the child taken (meaningless for a leaf).
pub(super) struct Visited {
    pub page: PageRef,
    pub node: Arc<Node>,
    pub index: usize,
}

/// An owned node on the way down, and the child taken (meaningless for the leaf).
#[derive(Clone, Copy)]
pub(super) struct Owned {
    pub page: PageRef,
    pub index: usize,
}

pub(super) type OwnedPath = SmallVec<[Owned; 8]>;

/// A smaller value never has a page of its own.
const APART_BYTES_MIN: usize = 64;

/// A node with fewer cells is never split before it is full.
const SPLIT_CELLS_MIN: usize = 4;

/// Refuses what no tree can hold.
pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    if key.len() > KEY_BYTES_MAX {
        return Err(StorageError::KeyTooLong { bytes: key.len(), bytes_max: KEY_BYTES_MAX });
    }
    Ok(())
}

/// Refuses what no tree can hold.
pub(super) fn check_value(value: &[u8]) -> Result<()> {
    let (size, size_max) = (value.len(), VALUE_BYTES_MAX);
    if size > size_max {
        return Err(StorageError::OverLimit { what: "bytes of a value", size, size_max });
    }
    Ok(())
}

impl Workspace {
    /// Puts a value under a key; true when it replaced another.
    pub fn insert(&mut self, root: &mut Root, key: &[u8], value: &[u8]) -> Result<bool> {
        check_key(key)?;
        check_value(value)?;
        let Some(page) = root.page else {
            let value = self.place(value);
            let leaf = Node::of_cells(0, &[Cell::entry(key, value)]);
            *root = Root { page: Some(self.add(leaf)), count: 1 };
            return Ok(false);
        };
        let (path, leaf_page, leaf) = self.descend(page, key)?;
        let position = leaf.search(key);
        let replaced = self.refs_of_entry(&leaf, position)?;
        let room = room_for(&leaf, position, key, value);
        let owned = self.own_path(root, path, (leaf_page, leaf), room);
        let value = self.place(value);
        let depth = owned.len() - 1;
        let leaf = self.node_mut(owned[depth].page);
        match position {
            Ok(at) => {
                let in_place = matches!(value, Value::Inline(bytes) if leaf.overwrite(at, bytes));
                if !in_place {
                    leaf.remove(at);
                    self.insert_cell(root, &owned, depth, at, Cell::entry(key, value));
                }
                replaced.into_iter().for_each(|page| self.retire(page));
                Ok(true)
            }
            Err(at) => {
                self.add_to_counts(root, &owned, 1);
                self.insert_cell(root, &owned, depth, at, Cell::entry(key, value));
                Ok(false)
            }
        }
    }

    /// Removes a key; false when it is not there.
    pub fn remove(&mut self, root: &mut Root, key: &[u8]) -> Result<bool> {
        let Some(page) = root.page else { return Ok(false) };
        let (path, leaf_page, leaf) = self.descend(page, key)?;
        let Ok(at) = leaf.search(key) else { return Ok(false) };
        let removed = self.refs_of_entry(&leaf, Ok(at))?;
        let owned = self.own_path(root, path, (leaf_page, leaf), 0);
        let depth = owned.len() - 1;
        self.node_mut(owned[depth].page).remove(at);
        removed.into_iter().for_each(|page| self.retire(page));
        self.add_to_counts(root, &owned, -1);
        // The entry is gone and the tree is right; only a neighbour to join with could not be read. Whoever reads that
        // neighbour is told.
        self.rebalance(root, &owned, depth, REMOVAL).ok();
        Ok(true)
    }

    pub(super) fn place<'v>(&mut self, value: &'v [u8]) -> Value<'v> {
        let apart = value.len() > APART_BYTES_MIN && buggify!("storage/value-kept-apart");
        if value.len() <= INLINE_VALUE_BYTES_MAX && !apart {
            return Value::Inline(value);
        }
        let length = u32::try_from(value.len()).expect("VALUE_BYTES_MAX is below 4 GiB");
        Value::Large(LargeValue { page: self.add_value(Bytes::copy_from_slice(value)), length })
    }

    fn refs_of_entry(&self, leaf: &Node, position: Result<usize, usize>) -> Result<Vec<PageRef>> {
        match position.map(|at| leaf.value(at)) {
            Ok(Value::Large(large)) => self.refs_of_value(large),
            _ => Ok(Vec::new()),
        }
    }

    fn descend(&self, page: PageRef, key: &[u8]) -> Result<(SmallVec<[Visited; 8]>, PageRef, Arc<Node>)> {
        let mut path = SmallVec::new();
        let (mut page, mut node) = (page, self.node(page)?);
        while !node.is_leaf() {
            let index = node.child_index(key);
            let child = node.child(index).page;
            let below = match node.level() - 1 {
                0 => self.leaf_to_change(child)?,
                level => self.node_at_level(child, level)?,
            };
            path.push(Visited { page, node, index });
            (page, node) = (child, below);
        }
        Ok((path, page, node))
    }

    /// Owns every node of a path, top down, pointing each parent to its child's copy.
    fn own_path(
        &mut self,
        root: &mut Root,
        path: SmallVec<[Visited; 8]>,
        (leaf_page, leaf): (PageRef, Arc<Node>),
        room: usize,
    ) -> OwnedPath {
        let mut owned = OwnedPath::new();
        for visited in path {
            self.own_below(root, &mut owned, visited, 0);
        }
        self.own_below(root, &mut owned, Visited { page: leaf_page, node: leaf, index: 0 }, room);
        owned
    }

    pub(super) fn own_below(&mut self, root: &mut Root, owned: &mut OwnedPath, visited: Visited, room: usize) {
        let Visited { page, node, index } = visited;
        let copy = self.own(page, node, room);
        if copy != page {
            match owned.last() {
                None => root.page = Some(copy),
                Some(parent) => {
                    let parent_node = self.node_mut(parent.page);
                    let count = parent_node.child(parent.index).count;
                    parent_node.set_child(parent.index, Child { page: copy, count });
                }
            }
        }
        owned.push(Owned { page: copy, index });
    }

    pub(super) fn add_to_counts(&mut self, root: &mut Root, owned: &[Owned], change: i64) {
        root.count = root.count.checked_add_signed(change).expect("B2: counts are exact");
        for branch in &owned[..owned.len() - 1] {
            let node = self.node_mut(branch.page);
            let child = node.child(branch.index);
            let count = child.count.checked_add_signed(change).expect("B2: counts are exact");
            node.set_child(branch.index, Child { page: child.page, count });
        }
    }

    /// Puts a cell into the node at `depth` of the path, splitting upward as far as needed.
    pub(super) fn insert_cell(&mut self, root: &mut Root, owned: &[Owned], depth: usize, at: usize, cell: Cell<'_>) {
        let page = owned[depth].page;
        let early = buggify!("storage/node-split-early") && self.node_mut(page).len() >= SPLIT_CELLS_MIN;
        if !early && self.node_mut(page).insert(at, cell) {
            return;
        }
        let rightmost = owned[..depth].iter().all(|branch| branch.index + 1 == self.branch_len(branch.page));
        let node = self.node_mut(page);
        let (left, right, separator) = split(node, at, cell, rightmost);
        let level = left.level();
        let (left_count, right_count) = (left.total(), right.total() + u64::from(fault_point!("wrong-count")));
        *node = left;
        let left = Child { page, count: left_count };
        let right = Child { page: self.add(right), count: right_count };
        match depth.checked_sub(1) {
            None => {
                let top = Node::of_cells(level + 1, &[Cell::child(b"", left), Cell::child(&separator, right)]);
                root.page = Some(self.add(top));
            }
            Some(above) => {
                let parent = owned[above];
                self.node_mut(parent.page).set_child(parent.index, left);
                self.insert_cell(root, owned, above, parent.index + 1, Cell::child(&separator, right));
            }
        }
    }

    fn branch_len(&mut self, page: PageRef) -> usize {
        self.node_mut(page).len()
    }
}

/// Bytes that a leaf needs to take a value in, beside those it has. Nothing for a value of the same length, which goes in
/// place.
fn room_for(leaf: &Node, position: Result<usize, usize>, key: &[u8], value: &[u8]) -> usize {
    match position.map(|at| leaf.value(at)) {
        Ok(Value::Inline(before)) if before.len() == value.len() => 0,
        _ if value.len() > INLINE_VALUE_BYTES_MAX => key.len() + 32,
        _ => key.len() + value.len() + 32,
    }
}

/// Splits a full node while putting a cell into it: left, right, and a key that separates them.
///
/// At the right edge of the tree the left node stays full, so that ascending keys fill their nodes.
fn split(node: &Node, at: usize, cell: Cell<'_>, rightmost: bool) -> (Node, Node, Vec<u8>) {
    let level = node.level();
    let mut cells: Cells<'_> = node.cells().collect();
    cells.insert(at, cell);
    let middle = if rightmost && at == node.len() {
        at
    } else {
        let even = split_point(node.prefix_len(), &cells);
        let (mut middle, toward) = (even, if at < even { 1 } else { cells.len() - 1 });
        // A key that does not share the node's prefix lies before or behind all others, and makes those that it is put
        // together with longer. Alone it always fits.
        while !fits(level, &cells[..middle]) || !fits(level, &cells[middle..]) {
            if middle == toward {
                break;
            }
            middle = if toward == 1 { middle / 2 } else { middle + (toward - middle).div_ceil(2) };
        }
        middle
    };
    let (left, right) = cells.split_at(middle);
    let separator = if node.is_leaf() {
        shortest_separator(&left[middle - 1].key().to_vec(), &right[0].key().to_vec())
    } else {
        right[0].key().to_vec()
    };
    (Node::of_cells(level, left), Node::of_cells(level, right), separator)
}

fn fits(level: usize, cells: &[Cell<'_>]) -> bool {
    Plan::new(level, cells).bytes() <= NODE_BODY_BYTES_MAX
}

/// How many cells go left, so that both sides are as even in bytes as cells allow.
fn split_point(prefix: usize, cells: &[Cell<'_>]) -> usize {
    let bytes = |cell: &Cell<'_>| cell.footprint(prefix.min(cell.key().len()));
    let total: usize = cells.iter().map(bytes).sum();
    let mut left = 0;
    for (index, cell) in cells.iter().enumerate() {
        let with = left + bytes(cell);
        if with * 2 >= total {
            let closer = with * 2 - total <= total - left * 2;
            return (index + usize::from(closer)).clamp(1, cells.len() - 1);
        }
        left = with;
    }
    cells.len() - 1
}

/// The shortest key `s` with `left < s <= right`.
pub(super) fn shortest_separator(left: &[u8], right: &[u8]) -> Vec<u8> {
    debug_assert!(left < right, "B1");
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right[..=common].to_vec()
}
