//! Trees that pass from one set to another with everything in them, unread.
//!
//! T5: a tree is in one set, in memory as in every superblock. It passes when its root is a slot that a superblock names:
//! then nothing of it is in a frame of the set that gives it, nor written ahead by it, and it is the same eight bytes
//! wherever they stand. Both sets get their new versions as one, and with no checkpoint under way, so that each
//! superblock has both or neither.
//!
//! Readers of the giving set go on reaching the tree's slots, which from now on are the taking set's to replace. So the version
//! that the taking set had until then is held by what the giving set's readers hold: to the taking set it looks as if one
//! of its own readers was as old as they are, and T4 does the rest.
//!
//! The slots of a set that was dropped are found from the record that the superblock has of it. Trees that came or went
//! since are not as the record says, so each set keeps in mind which those are until it is stored again.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::btree::Root;
use crate::page::format::{PageId, PageRef};
use crate::transaction::published::{Changes, Published};
use crate::transaction::tree_set::{HANDED_OVER_PER_STEP, Shared, WriterState};

/// What became of trees that should come into another set.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// They are there, for every reader; durably with the next checkpoint.
    Done,
    /// Nothing was changed: something of them is not in a superblock yet. After a checkpoint without changes of these trees
    /// it will be.
    NotYet,
}

/// Blobs that change together with the trees that move. `None`: it stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedMetas {
    /// Of the set that gives the trees.
    pub from: Option<Bytes>,
    /// Of the set that takes them.
    pub to: Option<Bytes>,
}

/// In what a set differs from what the newest superblock has of it, by whole trees: their roots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transfers {
    /// Came from another set.
    came: FxHashSet<PageId>,
    /// Went to another set.
    went: FxHashSet<PageId>,
}

impl Transfers {
    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        self.came.is_empty() && self.went.is_empty()
    }

    /// Roots of trees that the set's record does not have, or has below one that went.
    pub fn came(&self) -> impl Iterator<Item = PageRef> + '_ {
        // Whether large values lie below is read there.
        self.came.iter().map(|root| PageRef::page(*root, false))
    }

    /// Whether a tree that begins here went to another set.
    pub fn has_gone(&self, page: PageRef) -> bool {
        page.page_id().is_some_and(|page| self.went.contains(&page))
    }

    fn take(&mut self, root: PageId) {
        if !self.went.remove(&root) {
            self.came.insert(root);
        }
    }

    fn give(&mut self, root: PageId) {
        if !self.came.remove(&root) {
            self.went.insert(root);
        }
    }
}

impl Published {
    /// Whether a superblock has everything of a tree of the newest version. Between checkpoints only.
    pub(super) fn is_stored(&self, root: Root) -> bool {
        assert!(!self.checkpointing, "T5: trees move between two checkpoints");
        root.page.is_none_or(|page| page.page_id().is_some_and(|slot| !self.ahead.contains(&slot)))
    }
}

/// One of the two sets of a transfer: its commit, and the right to write.
pub(super) struct Side<'s> {
    pub shared: &'s Shared,
    pub state: Box<WriterState>,
    pub changes: Changes,
}

impl Shared {
    /// Names every root by its slot that was written, however many pieces that takes.
    pub fn settle_now(&self, state: &mut WriterState) {
        while self.published.read().has_handovers() {
            self.hand_over(state, HANDED_OVER_PER_STEP);
        }
        let stored = self.published.read().version.number;
        self.name_roots_by_slots(state, stored);
    }

    /// Whether the newest superblock has trees elsewhere than this set does.
    pub fn has_transfers(&self) -> bool {
        !self.published.read().transfers.is_empty()
    }
}

/// Makes the new versions of two sets visible as one (T1), with `roots` passing from the first to the second.
pub(super) fn publish_both(mut giving: Side<'_>, mut taking: Side<'_>, roots: &[PageId]) {
    let (giving_max, taking_max) = (giving.shared.expect(&giving.changes), taking.shared.expect(&taking.changes));
    // Nobody else locks two sets: there is one transfer at a time.
    let mut giver = giving.shared.published.write();
    let mut taker = taking.shared.published.write();
    if !roots.is_empty() {
        giving.changes.tie = Some(Arc::clone(&taker.version));
    }
    let given = giving.shared.replace(&mut giver, &mut giving.state, giving.changes);
    let taken = taking.shared.replace(&mut taker, &mut taking.state, taking.changes);
    for root in roots {
        giver.transfers.give(*root);
        taker.transfers.take(*root);
    }
    drop((giver, taker));
    giving.shared.let_go(given, giving_max);
    taking.shared.let_go(taken, taking_max);
    giving.shared.return_writer(giving.state);
    taking.shared.return_writer(taking.state);
}
