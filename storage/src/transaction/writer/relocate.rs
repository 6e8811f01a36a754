//! Moving what a tree set has in unwanted slots, a little at a time.

use crate::error::Result;
use crate::page::format::PageId;
use crate::transaction::{Transaction, TreeId, TreeSet};

/// How far a walk over the trees of a set has come: in which tree, and from which key on it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    tree: u32,
    key: Vec<u8>,
}

/// What one step did.
pub(crate) struct Step {
    /// Slots left behind.
    pub slots: usize,
    /// Where the next step begins; `None`: the set has nothing more there.
    pub next: Option<Place>,
}

/// Branches that one step looks at while it finds nothing to move.
const BRANCHES_PER_STEP: usize = 64;

impl Transaction {
    /// Moves what lies in unwanted slots, from a place on, until about `slots_max` are left behind or much was looked at.
    /// An error leaves what was moved so far.
    pub(crate) fn relocate(
        &mut self,
        place: &Place,
        slots_max: usize,
        is_unwanted: &impl Fn(PageId) -> bool,
    ) -> Result<Step> {
        let (mut slots, mut at) = (0, place.clone());
        for _ in 0..BRANCHES_PER_STEP {
            if slots >= slots_max {
                break;
            }
            // Dropped trees too: their pages are not all freed.
            let position = self.trees.partition_point(|(id, _)| id.0 < at.tree);
            let Some(&(TreeId(tree), mut root)) = self.trees.get(position) else {
                return Ok(Step { slots, next: None });
            };
            let from = if tree == at.tree { std::mem::take(&mut at.key) } else { Vec::new() };
            let moved = self.workspace_mut().relocate(&mut root, &from, slots_max - slots, is_unwanted);
            self.changed |= self.trees[position].1 != root;
            self.trees[position].1 = root;
            let moved = moved?;
            slots += moved.slots;
            at = match (moved.next, tree.checked_add(1)) {
                (Some(key), _) => Place { tree, key },
                (None, Some(tree)) => Place { tree, key: Vec::new() },
                (None, None) => return Ok(Step { slots, next: None }),
            };
        }
        Ok(Step { slots, next: Some(at) })
    }
}

impl TreeSet {
    /// The same in a transaction of its own. Waits for an open one.
    pub(crate) fn relocate(
        &self,
        place: &Place,
        slots_max: usize,
        is_unwanted: &impl Fn(PageId) -> bool,
    ) -> Result<Step> {
        let mut transaction = self.begin();
        let step = transaction.relocate(place, slots_max, is_unwanted);
        transaction.commit()?;
        step
    }
}
