//! Copy-on-write B-trees over variable-size nodes, with the number of entries below each child in the branches.
//!
//! Invariants (`README.md`): B1 keys ascend within a node and across nodes; B2 a branch's count of a child is the number
//! of entries below it; B3 all leaves are at level 0 and a child is one level below its parent; B4 a node that another
//! thread can reach never changes.

mod balance;
mod cell;
pub mod cursor;
mod cut;
pub mod format;
mod key;
mod load;
pub mod node;
pub mod range;
mod reclaim;
mod relocate;
pub mod search;
pub mod source;
mod transplant;
mod walk;
pub(crate) mod workspace;
mod write;

pub use cursor::{Direction, RangeCursor};
pub use key::Key;
pub use load::Fill;
pub use range::KeyRange;
pub(crate) use walk::{AtDamage, collect_refs};

use crate::page::format::PageRef;
use crate::transaction::{Snapshot, Transaction};

/// A cursor that keeps its snapshot alive.
pub type Cursor = RangeCursor<Snapshot>;

/// A cursor over what a transaction sees, its own changes included.
pub type TransactionCursor<'t> = RangeCursor<&'t Transaction>;

/// A tree: its root node, and how many entries it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// `None`: the tree is empty.
    pub page: Option<PageRef>,
    /// Entries in the whole tree.
    pub count: u64,
}
