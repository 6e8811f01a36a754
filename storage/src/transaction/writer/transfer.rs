//! Two transactions that end as one: trees leave the first set and come into the second.

use crate::btree::Root;
use crate::error::Result;
use crate::page::format::PageId;
use crate::sync::atomic::Ordering;
use crate::transaction::transfer::{Moved, MovedMetas, Side, publish_both};
use crate::transaction::{Transaction, TreeId};

/// Gives trees of one set, and what else `giving` changes, to another. To be called while no checkpoint is under way or can
/// begin. What is not [`Moved::Done`] has changed nothing.
pub(crate) fn pass_trees(
    mut giving: Transaction,
    mut taking: Transaction,
    trees: &[(TreeId, TreeId)],
    metas: MovedMetas,
) -> Result<Moved> {
    let on_disk = giving.shared.ambient.store.is_on_disk();
    let mut roots = Vec::with_capacity(trees.len());
    for &(from, to) in trees {
        let mut root = giving.take_out(from)?;
        if !on_disk {
            let page = root.page.map(|page| taking.workspace_mut().transplant(giving.workspace_mut(), page));
            root = Root { page, ..root };
        }
        taking.add_tree(to, root)?;
        roots.push(root);
    }
    metas.from.map_or(Ok(()), |meta| giving.set_meta(meta))?;
    metas.to.map_or(Ok(()), |meta| taking.set_meta(meta))?;
    if on_disk {
        let published = giving.shared.published.read();
        if !roots.iter().all(|root| published.is_stored(*root)) {
            return Ok(Moved::NotYet);
        }
    }
    let slots: Vec<PageId> = roots.into_iter().filter_map(|root| root.page?.page_id()).collect();
    publish_both(giving.end(), taking.end(), &slots);
    Ok(Moved::Done)
}

impl Transaction {
    /// Removes a tree and keeps what it holds. Errors: `NoTree`.
    fn take_out(&mut self, tree: TreeId) -> Result<Root> {
        let (_, root) = self.trees.remove(self.position(tree)?);
        self.changed = true;
        Ok(root)
    }

    /// Whether the engine has dropped the set.
    pub(crate) fn is_of_dropped_set(&self) -> bool {
        self.shared.dropped.load(Ordering::Acquire)
    }

    fn end(&mut self) -> Side<'_> {
        let workspace = self.workspace.take().expect("the transaction is open");
        let (state, changes) = self.finish(workspace);
        Side { shared: &self.shared, state, changes }
    }
}
