//! Cutting a tree at a key into two, and joining two trees that follow each other: along one path, O(log n).
//!
//! Only the nodes on the path are made anew. Those at the cut may come out small, and so are repaired like after a
//! removal, from the leaf up.

use std::ops::Range;
use std::sync::Arc;

use crate::btree::Root;
use crate::btree::balance::SEAM;
use crate::btree::node::{Cell, Child, Node};
use crate::btree::source::NodeSource;
use crate::btree::workspace::Workspace;
use crate::btree::write::{Owned, OwnedPath, Visited, shortest_separator};
use crate::error::Result;
use crate::limits::TREE_DEPTH_MAX;

/// Which path down a tree is meant.
#[derive(Clone, Copy)]
pub(super) enum Edge<'k> {
    /// To the smallest key.
    First,
    /// To the greatest key.
    Last,
    /// To where a key belongs.
    Key(&'k [u8]),
}

impl Edge<'_> {
    fn index_in(self, branch: &Node) -> usize {
        match self {
            Edge::First => 0,
            Edge::Last => branch.len() - 1,
            Edge::Key(key) => branch.child_index(key),
        }
    }
}

impl Workspace {
    /// Cuts a tree: the entries from `key` on, as a tree of their own, leave it. An error changes nothing.
    pub fn cut(&mut self, root: &mut Root, key: &[u8]) -> Result<Root> {
        if root.page.is_none() {
            return Ok(Root::default());
        }
        let path = self.visit(*root, Edge::Key(key), 0)?;
        let (mut left, mut right): (Option<Child>, Option<Child>) = (None, None);
        for Visited { page, node, index } in path.into_iter().rev() {
            let halves = if node.is_leaf() {
                let at = node.search(key).unwrap_or_else(|at| at);
                (self.make(&node, 0..at, None, None), self.make(&node, at..node.len(), None, None))
            } else {
                let key = node.key(index).to_vec();
                let below = left.map(|child| Cell::child(&key, child));
                let first = right.map(|child| Cell::child(b"", child));
                (self.make(&node, 0..index, None, below), self.make(&node, index + 1..node.len(), first, None))
            };
            drop(node);
            self.retire(page);
            (left, right) = halves;
        }
        *root = root_of(left);
        let mut cut = root_of(right);
        // The trees are right as they are; only a node to join a small one with could not be read.
        self.repair(root, Edge::Last).ok();
        self.repair(&mut cut, Edge::First).ok();
        Ok(cut)
    }

    /// A node of some entries of another, with one more before or behind them; `None` when it would be empty.
    fn make(
        &mut self,
        of: &Node,
        entries: Range<usize>,
        first: Option<Cell<'_>>,
        last: Option<Cell<'_>>,
    ) -> Option<Child> {
        let cells: Vec<Cell<'_>> = first.into_iter().chain(entries.map(|index| of.cell(index))).chain(last).collect();
        if cells.is_empty() {
            return None;
        }
        let node = Node::of_cells(of.level(), &cells);
        let count = node.total();
        Some(Child { page: self.add(node), count })
    }

    /// Appends a tree whose keys are all greater: `last` is the greatest key on the left, `first` the smallest on the
    /// right. An error changes nothing.
    fn join_trees(&mut self, left: Root, right: Root, last: &[u8], first: &[u8]) -> Result<Root> {
        let (Some(left_page), Some(right_page)) = (left.page, right.page) else {
            return Ok(if left.page.is_some() { left } else { right });
        };
        let (left_level, right_level) = (self.node(left_page)?.level(), self.node(right_page)?.level());
        let separator = shortest_separator(last, first);
        let (left_child, right_child) =
            (Child { page: left_page, count: left.count }, Child { page: right_page, count: right.count });
        let mut root;
        if left_level == right_level {
            let cells = [Cell::child(b"", left_child), Cell::child(&separator, right_child)];
            root =
                Root { page: Some(self.add(Node::of_cells(left_level + 1, &cells))), count: left.count + right.count };
        } else if left_level > right_level {
            root = left;
            let path = self.visit(root, Edge::Last, right_level + 1)?;
            let owned = self.own_visited(&mut root, path);
            self.add_to_counts(&mut root, &owned, right.count.cast_signed());
            let depth = owned.len() - 1;
            let end = self.node_mut(owned[depth].page).len();
            self.insert_cell(&mut root, &owned, depth, end, Cell::child(&separator, right_child));
        } else {
            root = right;
            let path = self.visit(root, Edge::First, left_level + 1)?;
            let owned = self.own_visited(&mut root, path);
            self.add_to_counts(&mut root, &owned, left.count.cast_signed());
            let depth = owned.len() - 1;
            let node = self.node_mut(owned[depth].page);
            let second = node.child(0);
            node.set_child(0, left_child);
            self.insert_cell(&mut root, &owned, depth, 1, Cell::child(&separator, second));
        }
        self.repair(&mut root, Edge::Key(last)).ok();
        self.repair(&mut root, Edge::Key(first)).ok();
        Ok(root)
    }

    /// The nodes on the way down to `level`, each with the child taken.
    pub(super) fn visit(&self, root: Root, edge: Edge<'_>, level: usize) -> Result<Vec<Visited>> {
        let mut path = Vec::new();
        let Some(mut page) = root.page else { return Ok(path) };
        let mut node = self.node(page)?;
        while node.level() > level {
            let index = edge.index_in(&node);
            let child = node.child(index).page;
            let below = self.node_at_level(child, node.level() - 1)?;
            path.push(Visited { page, node, index });
            (page, node) = (child, below);
        }
        let index = if node.is_leaf() { 0 } else { edge.index_in(&node) };
        path.push(Visited { page, node, index });
        Ok(path)
    }

    pub(super) fn own_visited(&mut self, root: &mut Root, path: Vec<Visited>) -> OwnedPath {
        let mut owned = OwnedPath::new();
        for visited in path {
            self.own_below(root, &mut owned, visited, 0);
        }
        owned
    }

    /// Joins what is small on one path with its neighbours, leaf first. Errors leave a correct tree.
    pub(super) fn repair(&mut self, root: &mut Root, edge: Edge<'_>) -> Result<()> {
        // A second time, because a node gets its neighbours when the branch above it is joined.
        for _ in 0..2 {
            for level in 0..TREE_DEPTH_MAX {
                let path = self.visit(*root, edge, level)?;
                let Some(target) = path.last().filter(|last| path.len() > 1 && last.node.level() == level) else {
                    break;
                };
                if target.node.used_bytes() >= SEAM.small_bytes {
                    continue;
                }
                let owned: Vec<Owned> = self.own_visited(root, path).to_vec();
                self.rebalance(root, &owned, owned.len() - 1, SEAM)?;
            }
            self.lower_root(root)?;
        }
        Ok(())
    }

    /// The smallest or greatest key of a tree.
    pub(super) fn key_at(&self, root: Root, edge: Edge<'_>) -> Result<Option<Vec<u8>>> {
        let leaf: Option<Arc<Node>> = self.visit(root, edge, 0)?.pop().map(|visited| visited.node);
        Ok(leaf.map(|leaf| match edge {
            Edge::Last => leaf.key(leaf.len() - 1).to_vec(),
            _ => leaf.key(0).to_vec(),
        }))
    }

    /// Joins two trees, or says that they overlap (`None`).
    pub fn join_if_apart(&mut self, left: Root, right: Root) -> Result<Option<Root>> {
        match (self.key_at(left, Edge::Last)?, self.key_at(right, Edge::First)?) {
            (Some(last), Some(first)) if last >= first => Ok(None),
            (Some(last), Some(first)) => self.join_trees(left, right, &last, &first).map(Some),
            (None, _) => Ok(Some(right)),
            (_, None) => Ok(Some(left)),
        }
    }
}

fn root_of(child: Option<Child>) -> Root {
    child.map_or_else(Root::default, |child| Root { page: Some(child.page), count: child.count })
}
