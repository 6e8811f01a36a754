//! Every maximum of a shard.

/// Bytes of one encoded document.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// Bytes of one proposed command; larger inserts are cut by the coordinator.
pub const COMMAND_BYTES_MAX: usize = 32 << 20;

/// Bytes of changes kept in the change log of a shard that was told nothing else; the oldest are trimmed past it.
pub const CHANGE_LOG_BYTES_DEFAULT: u64 = 16 << 20;

/// Bytes of changes that are kept when a limit of the change log is lowered, or as many as it is lowered to: they are read for it
/// while nothing else is applied.
pub const CHANGE_LOG_BYTES_LOWERED: u64 = 64 << 20;

/// Bytes of one change that the change log keeps, if its limit is not less: one value of its tree.
pub const LOGGED_CHANGE_BYTES_MAX: usize = photondb_storage::limits::VALUE_BYTES_MAX - 4096;

/// Entries that one element of a `multi` index may give.
pub const MULTI_INDEX_ENTRIES_MAX: usize = 100_000;

/// Bytes of index values that one document may have in one index. An index function can make more of a document than any
/// tree holds; what is past this has no entry, by the same rule at every replica.
pub const INDEX_VALUES_BYTES_MAX: usize = 16 << 20;

/// Batches of changes that a listener may be behind before it is told that it lost some.
pub const LISTENER_BATCHES_MAX: usize = 100_000;

/// Bytes of documents that a listener may be behind, unless one batch alone is larger. Each slow feed may hold as much.
pub const LISTENER_BYTES_MAX: usize = 64 << 20;

const _: () = assert!(
    INDEX_VALUES_BYTES_MAX + 4096 < photondb_storage::limits::VALUE_BYTES_MAX
        && DOCUMENT_BYTES_MAX + 4096 < photondb_storage::limits::VALUE_BYTES_MAX
        && LOGGED_CHANGE_BYTES_MAX < photondb_storage::limits::VALUE_BYTES_MAX,
    "what apply stores must fit into a tree's value: an entry that cannot be applied ends every replica"
);
const _: () = assert!(DOCUMENT_BYTES_MAX < COMMAND_BYTES_MAX, "one document must fit into one command");

/// A read of documents ends with the one that takes it past so many bytes, however many were wanted.
pub const READ_BYTES_MAX: usize = 4 << 20;

/// Rows that are read together are copied into buffers of this size, in bytes, or of one row that is larger.
pub const ROWS_BUFFER_BYTES: usize = 16 << 10;

/// Bytes of documents that one look into a geospatial index reads, and one document more.
pub const GEO_ROWS_BYTES_MAX: usize = 4 << 20;

/// Bytes of documents that a scan of a geospatial index keeps with what their index function gave, unless one alone is larger.
pub const GEO_DOCUMENTS_BYTES_MAX: usize = 16 << 20;

/// Indexes of a shard. One more is never ready. So many that the halves of all of them (which no index has beside a rest), and some shards
/// that were cut off and are still to be borne, or were adopted and are still to be joined, have room in one tree set.
pub const INDEXES_MAX: usize = 512;
const _: () = assert!(3 * (3 + INDEXES_MAX) + 4 * (3 + INDEXES_MAX) < photondb_storage::limits::TREES_PER_SET_MAX);

/// Bytes that are read for a sample of documents; the one that exceeds them is the last.
pub const SAMPLE_BYTES_MAX: u64 = 4 << 20;

/// A sample goes through documents in strides of so many of its places: prime, so that it comes by each place unless it is a multiple.
pub const SAMPLE_STRIDE: usize = 13;

/// Of reads by key the key of one in so many is remembered: so seldom that it costs nothing. Prime, so that what is read in turns, or in
/// batches of a power of two, is not always seen at the same place.
pub const READS_PER_SAMPLE: u64 = 61;

/// Keys that were read lately and are remembered, and as many that were written.
pub const RECENT_KEYS: usize = 128;

/// Documents that are looked at one after the other cost about as much as one that is read by its key, all that belongs to its query
/// included, when they are so many.
pub const ROWS_PER_READ: u64 = 16;
