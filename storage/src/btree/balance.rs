//! After a removal: drop empty nodes, join small neighbours, lower the root.
//!
//! A node is joined when it is less than a quarter full and fits into three quarters together with a neighbour; the gap
//! between the two keeps a tree that grows and shrinks by one entry from splitting and joining each time.

use crate::btree::Root;
use crate::btree::format::NODE_HEADER_BYTES;
use crate::btree::node::{Cells, Child, Node, Plan};
use crate::btree::source::NodeSource;
use crate::btree::workspace::Workspace;
use crate::btree::write::Owned;
use crate::error::Result;
use crate::limits::NODE_BODY_BYTES_MAX;

/// When a node is joined with a neighbour.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// A node with fewer bytes is.
    pub small_bytes: usize,
    /// When both take at most this many bytes together.
    pub joined_bytes_max: usize,
}

/// After a removal.
pub(super) const REMOVAL: Rule =
    Rule { small_bytes: NODE_BODY_BYTES_MAX / 4, joined_bytes_max: NODE_BODY_BYTES_MAX / 4 * 3 };
/// Where a tree was cut or joined. Nothing says that this place will be written to again, so nodes are made fuller.
pub(super) const SEAM: Rule =
    Rule { small_bytes: NODE_BODY_BYTES_MAX / 2, joined_bytes_max: NODE_BODY_BYTES_MAX / 10 * 9 };

impl Workspace {
    /// Repairs the node at `depth` of an owned path, and then its parents. An error leaves a correct tree with a node
    /// that is smaller than it should be.
    pub(super) fn rebalance(&mut self, root: &mut Root, owned: &[Owned], depth: usize, rule: Rule) -> Result<()> {
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
            return self.rebalance(root, owned, above, rule);
        }
        if used >= rule.small_bytes {
            return Ok(());
        }
        let siblings = self.node_mut(parent.page).len();
        let left = match parent.index {
            _ if siblings < 2 => return self.rebalance(root, owned, above, rule),
            index if index + 1 < siblings => index,
            index => index - 1,
        };
        if self.join(parent, left, rule.joined_bytes_max)? { self.rebalance(root, owned, above, rule) } else { Ok(()) }
    }

    /// Joins child `left` of a branch with its right neighbour, when both fit one node.
    fn join(&mut self, parent: Owned, left: usize, bytes_max: usize) -> Result<bool> {
        let parent_node = self.node(parent.page)?;
        let (left_child, right_child) = (parent_node.child(left), parent_node.child(left + 1));
        let level = parent_node.level() - 1;
        let left_node = self.node_at_level(left_child.page, level)?;
        let right_node = self.node_at_level(right_child.page, level)?;
        let separator = parent_node.key(left + 1).to_vec();
        let Some(joined) = joined(&left_node, &right_node, &separator, bytes_max) else { return Ok(false) };
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
    pub(super) fn lower_root(&mut self, root: &mut Root) -> Result<()> {
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

/// One node of two neighbours, when it takes at most `bytes_max`. The first cell of a right branch gets the key that its
/// parent kept for it.
pub(super) fn joined(left: &Node, right: &Node, separator: &[u8], bytes_max: usize) -> Option<Node> {
    // Each cell takes at least as much under the prefix both share.
    let cells_of = |node: &Node| node.used_bytes() - NODE_HEADER_BYTES - node.prefix_len();
    if NODE_HEADER_BYTES + cells_of(left) + cells_of(right) > bytes_max {
        return None;
    }
    let mut cells: Cells<'_> = left.cells().chain(right.cells()).collect();
    if !left.is_leaf() {
        cells[left.len()] = cells[left.len()].with_key(separator);
    }
    let plan = Plan::new(left.level(), &cells);
    (plan.bytes() <= bytes_max).then(|| plan.build(0))
}
