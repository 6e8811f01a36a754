//! What can go wrong in a shard.

use photondb_proto::ShardId;
use photondb_storage::error::StorageError;

use crate::shard::{EntryNumber, Position};

/// An error of a shard. None of them leaves a half-applied entry.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ShardError {
    /// Storage failed, or holds damaged bytes.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Stored or proposed bytes that do not decode.
    #[error("{what} does not decode at byte {offset}: {reason}")]
    Format {
        /// Which bytes.
        what: &'static str,
        /// Where in them.
        offset: usize,
        /// What was wrong.
        reason: &'static str,
    },
    /// Bytes of a newer version of this software.
    #[error("{what} has format version {found}; this version reads up to {known}")]
    Newer {
        /// Which bytes.
        what: &'static str,
        /// The version found.
        found: u8,
        /// The newest version known.
        known: u8,
    },
    /// No index of that name.
    #[error("index `{0}` was not found")]
    NoIndex(String),
    /// The index is still being built.
    #[error("index `{0}` is not built yet")]
    NotReady(String),
    /// A stored index function that no longer compiles: written by a newer version.
    #[error("the function of index `{index}` does not compile: {reason}")]
    IndexFunction {
        /// The index.
        index: String,
        /// What the compiler said.
        reason: String,
    },
    /// A listener did not keep up; that many changes were not given to it.
    #[error("the listener fell behind; {skipped} changes were skipped")]
    ListenerBehind {
        /// How many.
        skipped: u64,
    },
    /// A listener was not given what a snapshot holds that has taken the place of the whole shard.
    #[error("the shard was replaced by a snapshot, and the listener must go on from the change log")]
    Replaced,
    /// The change log no longer holds what somebody wants to go on with.
    #[error("changes up to {floor:?} are no longer in the change log")]
    ChangesTrimmed {
        /// Changes up to here may be missing.
        floor: Position,
    },
    /// The key, or some of the range, was cut off and is another shard's.
    #[error("the key range of the shard has changed")]
    Moved,
    /// What another shard has adopted of this one is not here any more.
    #[error("what the shard had was adopted by another one")]
    Hollow,
    /// A shard was joined that this replica has not adopted before: it cannot go on.
    #[error("shard {shard} was joined, and what it had up to {end:?} is not here")]
    NoWard {
        /// The shard that was joined.
        shard: ShardId,
        /// The entry of its log that froze it.
        end: EntryNumber,
    },
    /// The table was dropped.
    #[error("the shard is gone")]
    Gone,
}
