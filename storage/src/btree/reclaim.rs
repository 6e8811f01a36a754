//! Takes a tree that nobody wants apart in steps, from its end, so that no step takes long.

use crate::btree::Root;
use crate::btree::cut::Edge;
use crate::btree::node::Value;
use crate::btree::source::NodeSource;
use crate::btree::workspace::Workspace;
use crate::error::Result;
use crate::page::format::{PageRef, Target};

impl Workspace {
    /// Frees at least one and about `pages_max` nodes and large values of a tree; the root then leads to the rest, or
    /// nowhere. Leaves on disk are read only when large values lie there. An error changes nothing.
    pub fn reclaim(&mut self, root: &mut Root, pages_max: usize) -> Result<usize> {
        let mut freed = 0;
        while let Some(page) = root.page
            && freed < pages_max.max(1)
        {
            let node = self.node(page)?;
            if node.is_leaf() {
                drop(node);
                let refs = self.refs_of_leaf(page)?;
                freed += refs.len();
                refs.into_iter().for_each(|page| self.retire(page));
                *root = Root::default();
                break;
            }
            drop(node);
            freed += self.reclaim_last_branch(root, pages_max.max(1) - freed)?;
        }
        Ok(freed)
    }

    /// Frees children of the last branch above the leaves, last first.
    fn reclaim_last_branch(&mut self, root: &mut Root, pages_max: usize) -> Result<usize> {
        let path = self.visit(*root, Edge::Last, 1)?;
        let branch = &path[path.len() - 1].node;
        let (mut doomed, mut keep, mut entries) = (Vec::new(), branch.len(), 0);
        while keep > 0 && doomed.len() < pages_max {
            let child = branch.child(keep - 1);
            let plain = matches!(child.page.target(), Target::Page(_)) && !child.page.has_large_values();
            if plain {
                doomed.push(child.page)
            } else {
                doomed.extend(self.refs_of_leaf(child.page)?)
            }
            entries += child.count;
            keep -= 1;
        }
        // A branch that leads nowhere any more goes with its children, and so do those above that led to it alone.
        let mut kept = path.len();
        if keep == 0 {
            kept -= 1;
            while kept > 0 && path[kept - 1].node.len() == 1 {
                kept -= 1;
            }
            doomed.extend(path[kept..].iter().map(|visited| visited.page));
        }
        if kept == 0 {
            drop(path);
            *root = Root::default();
        } else {
            let remaining = if keep == 0 { path[kept - 1].node.len() - 1 } else { keep };
            let path = path.into_iter().take(kept).collect();
            let owned = self.own_visited(root, path);
            self.add_to_counts(root, &owned, -entries.cast_signed());
            let last = self.node_mut(owned[kept - 1].page);
            while last.len() > remaining {
                last.remove(last.len() - 1);
            }
        }
        let freed = doomed.len();
        doomed.into_iter().for_each(|page| self.retire(page));
        Ok(freed)
    }

    /// A leaf and its large values.
    fn refs_of_leaf(&self, page: PageRef) -> Result<Vec<PageRef>> {
        let leaf = self.node_at_level(page, 0)?;
        let mut refs = vec![page];
        for index in 0..leaf.len() {
            if let Value::Large(large) = leaf.value(index) {
                refs.extend(self.refs_of_value(large)?);
            }
        }
        Ok(refs)
    }
}
