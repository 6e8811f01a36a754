//! One writer, many snapshots: the trees of one owner ("tree set"), changed by transactions, read by snapshots.
//!
//! T1: a commit is visible as a whole or not at all. T2: a snapshot never changes. T3: one transaction is open per set.
//! T4: what a view can reach is neither freed nor reused while the view lives. T5: a tree is in one set. A commit writes
//! nothing to the log; it becomes durable with the next checkpoint, and until then the owner re-applies its own log.

mod eviction;
pub(crate) mod frames;
mod memory;
mod published;
mod remains;
mod snapshot;
mod transfer;
mod tree_set;
mod writer;

pub use snapshot::Snapshot;
pub use transfer::{Moved, MovedMetas};
pub use tree_set::TreeSet;
pub use writer::Transaction;

pub(crate) use frames::Content;
pub(crate) use tree_set::{Ambient, Shared, WriterState};
pub(crate) use writer::{Place, pass_trees};

/// Names a tree set of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSetId(pub u64);

/// Names a tree of a tree set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeId(pub u32);
