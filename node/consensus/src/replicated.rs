//! The state machine of a group, as its owner implements it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

use crate::error::ApplyError;
use crate::format::{self, FormatError};
use crate::position::{LogPosition, Term};

/// What a state machine keeps for consensus beside its own state: the position of the last entry applied and the
/// membership in force. Opaque to its keeper, who stores it in the transaction of the entries it describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Empty for a state machine that has applied nothing.
    pub consensus: Bytes,
}

impl Applied {
    /// The position of the last entry applied; `None` when there is none.
    pub fn position(&self) -> Result<Option<LogPosition>, FormatError> {
        format::applied_position(&self.consensus)
    }
}

/// An entry that a quorum has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry {
    /// Where it stands.
    pub position: LogPosition,
    /// What was proposed; `None` for an entry that is consensus' own (the first of a term, a membership).
    pub command: Option<Bytes>,
}

/// The contents of a state machine, as it was at one position.
pub struct Snapshot {
    /// The position and membership it holds.
    pub applied: Applied,
    /// The contents, in pieces of the implementor's choice; the same pieces in the same order are what
    /// [`Replicated::install`] receives.
    pub chunks: SnapshotChunks,
    /// How much of `chunks` has been read.
    pub part_read: PartRead,
}

impl Snapshot {
    /// One that does not say how much of it has been read.
    pub fn new(applied: Applied, chunks: SnapshotChunks) -> Snapshot {
        Snapshot { applied, chunks, part_read: PartRead::default() }
    }
}

/// How much of a snapshot's chunks has been read: whoever makes the chunks says so, others look. Clones share it; at first it is
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct PartRead(Arc<AtomicU32>);

/// What a [`PartRead`] counts in.
const PARTS: u32 = 1_000_000;

impl PartRead {
    /// So many of so many are read. Of nothing, all is.
    pub fn set(&self, read: u64, all: u64) {
        let parts = u128::from(read.min(all)) * u128::from(PARTS) / u128::from(all.max(1));
        let parts = if all == 0 { PARTS } else { u32::try_from(parts).expect("a part is no more than the whole") };
        self.0.store(parts, Ordering::Relaxed);
    }

    /// From 0 to 1.
    pub fn get(&self) -> f64 {
        f64::from(self.0.load(Ordering::Relaxed)) / f64::from(PARTS)
    }
}

/// A stream of bytes that is produced, and consumed, outside of the async world: reading a chunk may wait for the disk.
pub type SnapshotChunks = Box<dyn Iterator<Item = Result<Bytes, ApplyError>> + Send>;

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("applied", &self.applied).finish_non_exhaustive()
    }
}

/// The state machine of a group. Deterministic: the same entries give the same state and the same outcomes on every
/// member. [`apply`](Self::apply) and [`leading`](Self::leading) are called on the group's apply task,
/// [`install`](Self::install) where its [`Blocking`](photondb_runtime::task::Blocking) work runs; of these three, one call
/// at a time. The others may be called beside them.
pub trait Replicated: Send + Sync + 'static {
    /// Exactly the bytes last passed to [`apply`](Self::apply) or [`install`](Self::install), as part of the state:
    /// after a crash, those of the state that came back.
    fn applied(&self) -> Applied;

    /// Applies committed entries in order, as one transaction, and stores `consensus` with it. Gives one outcome per
    /// entry, which the proposer of the entry receives (empty for an entry without a command).
    ///
    /// An error ends the node: a member that skips a committed entry is no replica any more.
    fn apply(&self, entries: Vec<CommittedEntry>, consensus: Bytes) -> Result<Vec<Bytes>, ApplyError>;

    /// What of it a crash would leave: the last checkpoint. The log is purged up to there and no further (C5).
    fn durable(&self) -> Applied;

    /// `Some(term)`: this member leads in that term and has applied everything of earlier terms. `None`: it has stopped
    /// leading; what it proposed may still come through [`apply`](Self::apply).
    fn leading(&self, term: Option<Term>);

    /// Pins the state as it is now.
    fn snapshot(&self) -> Result<Snapshot, ApplyError>;

    /// Replaces the whole state by that of `snapshot`, and makes it durable before it returns.
    fn install(&self, snapshot: Snapshot) -> Result<(), ApplyError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_between_nothing_and_all() {
        let part = PartRead::default();
        assert_eq!(part.get(), 0.0);
        for (read, all, expected) in [(1, 4, 0.25), (4, 4, 1.0), (5, 4, 1.0), (0, 0, 1.0), (0, 7, 0.0)] {
            part.set(read, all);
            assert_eq!(part.clone().get(), expected, "{read} of {all}");
        }
        part.set(u64::MAX / 2, u64::MAX);
        assert!((part.get() - 0.5).abs() < 0.001);
    }
}
