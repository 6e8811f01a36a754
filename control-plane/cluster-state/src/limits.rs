//! Every maximum of this crate, and the least that is worth comparing.

/// Bytes of a name of a database, table or node.
pub const NAME_BYTES_MAX: usize = 1024;

/// Shards of one table, as RethinkDB has it.
pub const SHARDS_PER_TABLE_MAX: usize = 64;

/// Replicas of one shard, and so the items of any list that is stored with it.
pub const REPLICAS_PER_SHARD_MAX: usize = 64;

/// Elements in any stored list; more is damage.
pub const LIST_ITEMS_MAX: usize = 1 << 20;

/// Bytes of an index definition or write hook.
pub const DEFINITION_BYTES_MAX: usize = 1 << 20;

/// Indexes of one table. A shard takes so many, and can be split with them.
pub const INDEXES_PER_TABLE_MAX: usize = 512;

/// Bytes of changes that each shard of a table keeps for feeds that go on, unless the user has chosen.
pub const CHANGE_LOG_BYTES_DEFAULT: u64 = 16 << 20;

/// The least that a user may choose: a feed that keeps up must find what it misses while the shard's leader changes.
pub const CHANGE_LOG_BYTES_MIN: u64 = 1 << 20;

/// The most that a user may choose. Each replica has it on its disk, and sends it along with a snapshot.
pub const CHANGE_LOG_BYTES_MAX: u64 = 16 << 30;

/// Bytes of an encoded key that a shard is cut at, as storage takes keys.
pub const CUT_BYTES_MAX: usize = 1024;

/// Bytes that a node has on the mean, at least, when nodes are compared by what they store: of a small database a large share says
/// little.
pub const BYTES_COMPARED_MIN: u64 = 256 << 20;

/// Documents that are read and written on a node in each second on the mean, at least, when nodes are compared by that.
pub const WORK_COMPARED_MIN: u64 = 500;
