//! What commands carry beside names and numbers.

use photondb_proto::{Epoch, KeyRange, MemberId, NodeId, ShardId};

use crate::schema::{Compression, Durability, WriteAcks};
use crate::shard::{Generation, Placement};

/// A shard to be made: the state numbers it and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShard {
    /// Its keys.
    pub range: KeyRange,
    /// Where its replicas are wanted. Those that vote begin it; the others join, and are filled.
    pub placement: Placement,
}

impl NewShard {
    /// One all of whose replicas vote; the first is the primary.
    pub fn voting(range: KeyRange, nodes: Vec<NodeId>) -> NewShard {
        NewShard { range, placement: Placement { voters: nodes, nonvoting: Default::default() } }
    }
}

/// A shard to be cut off from another: the state numbers it and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCut {
    /// Its first key.
    pub at: Vec<u8>,
    /// Where its replicas are wanted. Its first members are where those of the other one are.
    pub placement: Placement,
}

/// What becomes of one of a table's shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reshaped {
    /// Which shard.
    pub shard: ShardId,
    /// With which it had the keys that this was planned for; under another one the whole command does nothing.
    pub epoch: Epoch,
    /// What is to be cut off from it, in the order of keys.
    pub cuts: Vec<NewCut>,
    /// Where its replicas are wanted; `None`: it is to be joined to its left neighbour, and where that was begun it goes on.
    pub placement: Option<Placement>,
}

/// Another group for a shard whose own one has lost its majority for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardRepair {
    /// Which shard.
    pub shard: ShardId,
    /// The one that this was planned for; under another one the whole repair does nothing.
    pub generation: Generation,
    /// The member whose state and log the other group goes on with; `None`: the shard begins empty.
    pub from: Option<MemberId>,
    /// Where its replicas are wanted from now on. The other group begins on the first of these nodes, where `from` is.
    pub placement: Placement,
}

/// What may be changed about a table's settings; `None` leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSettings {
    /// See [`Durability`].
    pub durability: Option<Durability>,
    /// See [`WriteAcks`].
    pub write_acks: Option<WriteAcks>,
    /// `Some(None)` takes the user's choice back.
    pub flush_interval_ms: Option<Option<u64>>,
    /// See [`Compression`]. What is written already stays as it is until it changes.
    pub compression: Option<Compression>,
    /// How many bytes of changes each shard keeps for feeds that go on; within its bounds (`limits`).
    pub change_log_bytes: Option<u64>,
}

/// What happens to one permission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    #[default]
    Keep,
    /// The wider scope decides from now on.
    Unset,
    /// It is said here.
    Set(bool),
}

/// What happens to the permissions of a user at a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermissionChange {
    /// Read documents.
    pub read: Change,
    /// Write documents.
    pub write: Change,
    /// Change databases, tables, indexes.
    pub config: Change,
    /// Open connections.
    pub connect: Change,
}
