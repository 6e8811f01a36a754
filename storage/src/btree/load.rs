//! Bulk load: sorted entries become full nodes, bottom up, without a search.

use std::borrow::Borrow;

use crate::btree::Root;
use crate::btree::cut::Edge;
use crate::btree::node::{Cell, Child, Node};
use crate::btree::workspace::Workspace;
use crate::btree::write::{check_key, check_value, shortest_separator};
use crate::error::{Result, StorageError};
use crate::limits::NODE_BODY_BYTES_MAX;
use crate::page::format::PageRef;

/// How full the nodes of a bulk load are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill(usize);

impl Fill {
    /// Nothing free: for what is read only, or grows at its end.
    pub const FULL: Fill = Fill(NODE_BODY_BYTES_MAX);

    /// Of each node this many hundredths; less than a half counts as a half, more than all as all.
    pub fn percent(percent: u8) -> Self {
        Fill(NODE_BODY_BYTES_MAX * usize::from(percent.clamp(50, 100)) / 100)
    }
}

impl Default for Fill {
    fn default() -> Self {
        Fill::FULL
    }
}

/// The unfinished nodes at the right edge of a tree that is being built, leaf first.
struct Builder<'w> {
    workspace: &'w mut Workspace,
    bytes_max: usize,
    open: Vec<Open>,
    /// Everything made so far, to be taken back after an error.
    made: Vec<PageRef>,
    last: Option<Vec<u8>>,
    count: u64,
}

/// An unfinished node, and the key that separates it from its left neighbour.
struct Open {
    separator: Vec<u8>,
    node: Node,
}

impl Workspace {
    /// Builds a tree of entries whose keys ascend. An error changes nothing: `NotAscending`, `KeyTooLong`, `OverLimit`.
    pub fn build<K, V>(&mut self, entries: impl IntoIterator<Item = (K, V)>, fill: Fill) -> Result<Root>
    where
        K: Borrow<[u8]>,
        V: Borrow<[u8]>,
    {
        let mut builder =
            Builder { workspace: self, bytes_max: fill.0, open: Vec::new(), made: Vec::new(), last: None, count: 0 };
        let added = entries.into_iter().try_for_each(|(key, value)| builder.add(key.borrow(), value.borrow()));
        match added {
            Ok(()) => Ok(builder.finish()),
            Err(error) => {
                let Builder { workspace, made, .. } = builder;
                made.into_iter().for_each(|page| workspace.retire(page));
                Err(error)
            }
        }
    }
}

impl Builder<'_> {
    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        check_value(value)?;
        let separator = match &self.last {
            Some(last) if key <= &last[..] => return Err(StorageError::NotAscending { position: self.count }),
            Some(last) => shortest_separator(last, key),
            None => Vec::new(),
        };
        let value = self.workspace.place(value);
        if let Some(page) = value.page() {
            self.made.push(page);
        }
        self.push(0, Cell::entry(key, value), &separator);
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
        self.count += 1;
        Ok(())
    }

    /// Puts an entry into the open node of a level; when that is full, it goes to the level above, and another begins.
    fn push(&mut self, level: usize, cell: Cell<'_>, separator: &[u8]) {
        if let Some(open) = self.open.get_mut(level) {
            let end = open.node.len();
            if open.node.insert_within(self.bytes_max, end, cell) {
                return;
            }
            self.close(level);
        }
        let mut node = Node::roomy(level);
        // Any one entry fits: a node holds several of the largest.
        assert!(node.insert(0, cell), "an entry fits an empty node");
        let open = Open { separator: separator.to_vec(), node };
        if level < self.open.len() { self.open[level] = open } else { self.open.push(open) }
    }

    fn close(&mut self, level: usize) {
        let open = &mut self.open[level];
        let node = open.node.packed();
        let separator = std::mem::take(&mut open.separator);
        let count = node.total();
        let page = self.workspace.add(node);
        self.made.push(page);
        self.push(level + 1, Cell::child(&separator, Child { page, count }), &separator);
    }

    fn finish(mut self) -> Root {
        let mut level = 0;
        while level + 1 < self.open.len() {
            self.close(level);
            level += 1;
        }
        let Some(top) = self.open.pop() else { return Root::default() };
        let page = self.workspace.add(top.node.packed());
        let mut root = Root { page: Some(page), count: self.count };
        // Everything was made here, so nothing is read from a disk.
        self.workspace.repair(&mut root, Edge::Last).ok();
        root
    }
}
