//! Every maximum of a shard.

/// Bytes of one encoded document.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// Bytes of one proposed command; larger inserts are cut by the coordinator.
pub const COMMAND_BYTES_MAX: usize = 32 << 20;

/// Bytes of changes kept in the change log; the oldest are trimmed past it.
pub const CHANGE_LOG_BYTES_MAX: u64 = 4 << 20;

/// Entries that one element of a `multi` index may give.
pub const MULTI_INDEX_ENTRIES_MAX: usize = 100_000;

/// Batches of changes that a listener may be behind before it is told that it lost some.
pub const LISTENER_BATCHES_MAX: usize = 100_000;

const _: () = assert!(DOCUMENT_BYTES_MAX < COMMAND_BYTES_MAX, "one document must fit into one command");
