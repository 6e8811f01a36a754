//! Databases, tables, shards, indexes.

use std::collections::BTreeMap;

use photondb_proto::{DatabaseId, IndexId, SchemaVersion, ShardId, TableId};

use crate::shard::Shard;

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its id.
    pub id: DatabaseId,
    /// Its name, unique among databases.
    pub name: String,
}

/// When a write is acknowledged, as the user chose it. Stored and shown; all are served as hard (DESIGN section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After it is on disk.
    #[default]
    Hard,
    /// After it is in memory.
    Soft,
}

/// How many replicas a write waits for, as the user chose it. Stored and shown; all are served as a majority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteAcks {
    /// More than half.
    #[default]
    Majority,
    /// One.
    Single,
}

/// How the pages of a table are written. Nobody sees a difference but the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// Fast.
    #[default]
    Lz4,
    /// Smaller, for more time of the processor.
    Zstd,
}

/// A secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Ascending in order of creation, over all tables.
    pub id: IndexId,
    /// The function, as the query language encodes it.
    pub definition: Vec<u8>,
    /// One entry per element of the array that the function gives.
    pub multi: bool,
    /// Indexes geometry.
    pub geo: bool,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its id.
    pub id: TableId,
    /// Where it is.
    pub database: DatabaseId,
    /// Its name, unique in its database.
    pub name: String,
    /// The field that holds the primary key.
    pub primary_key: String,
    /// See [`Durability`].
    pub durability: Durability,
    /// See [`WriteAcks`].
    pub write_acks: WriteAcks,
    /// How often soft writes reach the disk, if the user chose it. Stored and shown.
    pub flush_interval_ms: Option<u64>,
    /// Ascending by range; together they cover every key once.
    pub shards: Vec<Shard>,
    /// By name.
    pub indexes: BTreeMap<String, Index>,
    /// The function every write passes through, as the query language encodes it.
    pub write_hook: Option<Vec<u8>>,
    /// Raised by every change of indexes or hook: a write evaluated under another version is not applied.
    pub schema: SchemaVersion,
    /// See [`Compression`].
    pub compression: Compression,
    /// How many bytes of changes each of its shards keeps for feeds that go on.
    pub change_log_bytes: u64,
    /// Shards that had keys until they were joined to others, in the order in which they were. They have members for as long as
    /// their changes may be asked for.
    pub joined: Vec<Shard>,
}

impl Table {
    /// Every shard that has members: those that have keys, and those whose keys others have by now.
    pub fn with_members(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().chain(&self.joined)
    }

    /// The shard that holds `key`.
    pub fn shard_of(&self, key: &[u8]) -> &Shard {
        let after = self.shards.partition_point(|shard| shard.range.start() <= key);
        &self.shards[after - 1]
    }

    /// Whether a shard that was cut off from this one has not begun yet: it is borne by the members that there are (K10).
    pub(crate) fn has_unborn(&self, parent: ShardId) -> bool {
        self.shards.iter().any(|shard| shard.parent == Some(parent) && shard.reached.is_none())
    }

    /// The index of that name.
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.get(name)
    }
}
