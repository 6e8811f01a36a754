//! Every maximum of this crate, by name.

/// Rows asked from a table at once.
pub const SCAN_BATCH_ROWS: usize = 1_000;

/// Rows of the first batch to a client: small, so that the first row is there soon.
pub const FIRST_BATCH_ROWS: usize = 64;

/// By how much each further batch may be larger than the one before.
pub const BATCH_GROWTH: usize = 4;

/// Bytes that a batch to a client aims at.
pub const BATCH_BYTES: usize = 1 << 20;

/// Rows of a batch to a client, however small they are.
pub const BATCH_ROWS_MAX: usize = 16_384;

/// Documents that one call of [`crate::table::Table::write`] carries.
pub const WRITE_BATCH_DOCUMENTS: usize = 200;

/// Bytes of documents that one call of [`crate::table::Table::write`] aims at.
pub const WRITE_BATCH_BYTES: usize = 1 << 20;

/// Encoded bytes of one document.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// Elements of an array inside a stored document.
pub const STORED_ARRAY_ELEMENTS_MAX: usize = 100_000;

/// How often a write with `non_atomic` is tried again because its document changed meanwhile.
pub const NON_ATOMIC_ATTEMPTS: usize = 64;

/// Changes that a feed holds for a slow reader, unless `changefeed_queue_size` says otherwise.
pub const CHANGEFEED_QUEUE_SIZE: usize = 100_000;

/// Documents of a feed's initial content that are read from one snapshot.
pub const INITIAL_CHUNK_ROWS: usize = 500;
