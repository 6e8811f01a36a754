//! After a removal: drop empty nodes, join small neighbours, lower the root.
//!
//! A node is joined when it is less than a quarter full and fits into three quarters together with a neighbour; the gap
//! between the two keeps a tree that grows and shrinks by one entry from splitting and joining each time.

use crate::btree::Root;
use crate::btree::format::NODE_HEADER_BYTES;
use crate::btree::node::{Cell, Child, Node};
use crate::btree::source::NodeSource;
use crate::btree::workspace::Workspace;
use crate::btree::write::Owned;
use crate::error::Result;
use crate::limits::NODE_BODY_BYTES_MAX;

const SMALL_BYTES: usize = NODE_BODY_BYTES_MAX / 4;
const JOINED_BYTES_MAX: usize = NODE_BODY_BYTES_MAX / 4 * 3;

impl Workspace {
    /// Repairs the node at `depth` of an owned path, and then its parents. An error leaves a correct tree with a node
    /// that is smaller than it should be.
    pub(super) fn rebalance(&mut self, root: &mut Root, owned: &[Owned], depth: usize) -> Result<()> {
        let page = owned[depth].page;
        let Some(above) = depth.checked_sub(1) else { return self.lower_root(root) };
        let parent = owned[above];
        let (used, empty) = {
            let node = self.node_mut(page);
            (node.used_bytes(), node.is_empty())
        };
        if empty {
            self.node_mut(parent.page).remove(parent.index);
            self.retire(page);
            return self.rebalance(root, owned, above);
        }
        if used >= SMALL_BYTES {
            return Ok(());
        }
        let siblings = self.node_mut(parent.page).len();
        let left = match parent.index {
            _ if siblings < 2 => return self.rebalance(root, owned, above),
            index if index + 1 < siblings => index,
            index => index - 1,
        };
        if self.join(parent, left)? { self.rebalance(root, owned, above) } else { Ok(()) }
    }

    /// Joins child `left` of a branch with its right neighbour, when both fit one node.
    fn join(&mut self, parent: Owned, left: usize) -> Result<bool> {
        let parent_node = self.node(parent.page)?;
        let (left_child, right_child) = (parent_node.child(left), parent_node.child(left + 1));
        let level = parent_node.level() - 1;
        let left_node = self.node_at_level(left_child.page, level)?;
        let right_node = self.node_at_level(right_child.page, level)?;
        let separator = parent_node.key(left + 1);
        let joined_bytes = left_node.used_bytes() + right_node.used_bytes() - NODE_HEADER_BYTES + separator.len();
        if joined_bytes > JOINED_BYTES_MAX {
            return Ok(false);
        }
        let mut joined = left_node.writable_copy(right_node.used_bytes() + separator.len());
        joined.extend([first_cell(&right_node, separator)]);
        joined.extend((1..right_node.len()).map(|index| right_node.cell(index)));
        drop((parent_node, left_node, right_node));
        self.retire(left_child.page);
        self.retire(right_child.page);
        let page = self.add(joined);
        let parent_node = self.node_mut(parent.page);
        parent_node.set_child(left, Child { page, count: left_child.count + right_child.count });
        parent_node.remove(left + 1);
        Ok(true)
    }

    /// Takes away a root that leads nowhere or to one child only.
    fn lower_root(&mut self, root: &mut Root) -> Result<()> {
        while let Some(page) = root.page {
            let node = self.node(page)?;
            if node.is_empty() {
                root.page = None;
            } else if !node.is_leaf() && node.len() == 1 {
                root.page = Some(node.child(0).page);
            } else {
                break;
            }
            drop(node);
            self.retire(page);
        }
        Ok(())
    }
}

/// The first cell of a node that becomes the right part of another: in a branch it gets the key its parent kept for it.
fn first_cell<'c>(node: &'c Node, separator: &'c [u8]) -> Cell<'c> {
    if node.is_leaf() { node.cell(0) } else { node.cell(0).with_key(separator) }
}
