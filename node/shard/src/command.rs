//! What may be proposed to a shard, and what becomes of it.

use bytes::Bytes;
use photondb_proto::{Epoch, IndexId, KeyRange, SchemaVersion, ShardId};

use crate::shard::EntryNumber;

/// One entry of a shard's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Puts and deletes that a proposer evaluated. Applied whole or skipped whole.
    Write { fence: Fence, effects: Vec<Effect> },
    /// A new index, to be built in the background. Nothing happens when the index is there already.
    CreateIndex { id: IndexId, name: String, multi: bool, geo: bool, definition: Bytes },
    /// The index is gone.
    DropIndex { id: IndexId },
    /// The index has another name from here on.
    RenameIndex { id: IndexId, name: String },
    /// Every voter has built the index to its end: queries may use it.
    IndexReady { id: IndexId },
    /// The write hook (its bytes; `None`: there is none) by which later writes are evaluated.
    SetWriteHook { definition: Option<Bytes> },
    /// The keys from `at` on are another shard's from here on. Skipped under another epoch.
    Split(Split),
    /// From here on the shard answers nothing and no write has an effect, so that another one may take its keys. Does nothing behind the
    /// [`Command::Thaw`] of this attempt or of a later one, or when it is frozen.
    Freeze { attempt: u32 },
    /// This attempt and all before it are given up: the shard goes on if one of them has frozen it.
    Thaw { attempt: u32 },
    /// The keys of the next shard are this one's from here on. Skipped under another epoch.
    Join(Join),
    /// So many bytes of changes the change log may hold from here on.
    SetChangeLog { bytes_max: u64 },
}

/// A shard is cut off from this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The key range's epoch, which this raises.
    pub epoch: Epoch,
    /// The keys before.
    pub range: KeyRange,
    /// The first key that goes.
    pub at: Bytes,
    /// The shard that has them from here on.
    pub child: ShardId,
}

/// The next shard becomes part of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The shard whose keys come. It is frozen, and has been adopted: see [`Shard::adopt`](crate::Shard::adopt).
    pub right: ShardId,
    /// The entry of its log that froze it: its last one with an effect.
    pub end: EntryNumber,
    /// Its epoch since then, above which this shard's is raised.
    pub right_epoch: Epoch,
    /// This shard's epoch.
    pub epoch: Epoch,
    /// The keys that this shard has.
    pub range: KeyRange,
    /// Those that come, which follow them.
    pub right_range: KeyRange,
}

/// Under what a [`Command::Write`] was evaluated. If anything of it differs when the entry is applied, every replica skips it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The term in which the proposer led.
    pub term: u64,
    /// The key range's epoch.
    pub epoch: Epoch,
    /// Indexes and hooks.
    pub schema: SchemaVersion,
    /// The proposer's chain: a new, higher one after each skip.
    pub chain: u64,
    /// The entry's number in its chain, from one.
    pub number: u64,
}

/// What happens to one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The encoded document takes the place of whatever the key had.
    Put { key: Bytes, document: Bytes },
    /// The key has no document any more.
    Delete { key: Bytes },
}

impl Effect {
    /// The encoded primary key.
    pub fn key(&self) -> &Bytes {
        match self {
            Effect::Put { key, .. } | Effect::Delete { key } => key,
        }
    }

    /// About how many bytes it takes in an entry.
    pub fn size(&self) -> usize {
        match self {
            Effect::Put { key, document } => key.len() + document.len() + 16,
            Effect::Delete { key } => key.len() + 16,
        }
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effects are there.
    Applied,
    /// It had no effect at any replica, and may safely be evaluated and proposed again.
    Skipped(Skipped),
}

/// Why an entry was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Evaluated in another term.
    Term,
    /// Evaluated under another key range, or the shard is frozen.
    Epoch,
    /// Evaluated under other indexes or hooks.
    Schema,
    /// It does not directly follow the last entry of its chain.
    Chain,
}
