//! Every maximum of this crate, by name.

use std::time::Duration;

/// How long a query runs before other queries of its thread have their turn.
pub const TURN_TIME_MAX: Duration = Duration::from_millis(1);

/// Steps of the evaluator in one turn, however short they are.
pub const TURN_STEPS_MAX: u32 = 16_384;

/// Between looks at the clock while a query runs.
pub const LOOK_PERIOD: Duration = Duration::from_micros(100);

/// Steps of the evaluator before the first look at the clock.
pub const FIRST_GRANT_STEPS: u32 = 32;

/// Steps between two looks at the clock, however short they are.
pub const GRANT_STEPS_MAX: u32 = 512;

/// Rows asked from a table at once.
pub const SCAN_BATCH_ROWS: usize = 1_000;

/// Rows that a batch to a client begins with: few, so that it soon shows how long they take and what they weigh.
pub const FIRST_PIECE_ROWS: usize = 64;

/// By how much the pieces that a batch to a client is read in grow and shrink.
pub const PIECE_GROWTH: usize = 4;

/// Rows of a batch to a client that are sent however much they weigh; RethinkDB's default.
pub const BATCH_ROWS_MIN: usize = 8;

/// How long a batch to a client is gathered, unless nothing has come; RethinkDB's default.
pub const BATCH_TIME: Duration = Duration::from_millis(500);

/// By what the limits of a batch are divided for the first one; RethinkDB's default.
pub const FIRST_BATCH_SCALEDOWN: usize = 4;

/// Bytes of rows that a scan reads at once, as far as rows are alike.
pub const SCAN_BATCH_BYTES: usize = 4 << 20;

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

/// Shards whose feed can say where it goes on; the tokens of a feed of more are `null`.
pub const TOKEN_SOURCES_MAX: usize = 4_096;

/// Bytes of the text of a resume token: of so many sources, each of four numbers.
pub const TOKEN_TEXT_BYTES_MAX: usize = (64 + TOKEN_SOURCES_MAX * (10 + 10 + 5 + 10)) / 3 * 4;

/// Documents of a feed's initial content that are read from one snapshot.
pub const INITIAL_CHUNK_ROWS: usize = 500;

/// How long a script of `r.js` may run, whatever its `timeout`, in milliseconds.
pub const SCRIPT_TIME_MAX_MS: u64 = 3_600_000;

/// How long `http` may take unless `timeout` says otherwise; RethinkDB's default.
pub const HTTP_TIME: Duration = Duration::from_secs(30);

/// How long it may take, whatever its `timeout`.
pub const HTTP_TIME_MAX: Duration = Duration::from_secs(3_600);

/// How often it is tried unless `attempts` says otherwise; RethinkDB's default.
pub const HTTP_ATTEMPTS: u64 = 5;

/// How often it is tried, whatever `attempts` says.
pub const HTTP_ATTEMPTS_MAX: u64 = 100;

/// How many redirects it follows unless `redirects` says otherwise; RethinkDB's default.
pub const HTTP_REDIRECTS: u32 = 1;

/// How many redirects it follows, whatever `redirects` says.
pub const HTTP_REDIRECTS_MAX: u32 = 50;

/// Rows that `get_nearest` has found before it begins to look farther than the circle that it needs, so that many rows are not
/// read again for each circle.
pub const NEAREST_ROWS_BEFORE_AHEAD: usize = 1_000;

/// Bytes of a geometry whose distance it remembers from circle to circle.
pub const NEAREST_HEAVY_BYTES: usize = 64 << 10;

/// Bytes of such geometries in one search.
pub const NEAREST_HEAVY_BYTES_MAX: usize = 64 << 20;

/// Bytes of rows that it keeps from farther away.
pub const NEAREST_AHEAD_BYTES: usize = 16 << 20;

/// What a query may ask for as a batch, in rows: more is taken for this.
pub const BATCH_ROWS_ASKED_MAX: usize = 1_000_000;

/// Bytes of a batch, whatever the query asks for; of one row that is larger.
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// For fewer seconds than these a query may ask a batch to be gathered, as in RethinkDB: a day.
pub const BATCH_SECONDS_ASKED_MAX: f64 = 86_400.0;

/// How long a batch may be gathered, whatever the query asks for.
pub const BATCH_TIME_MAX: Duration = Duration::from_secs(60);

/// Bytes of a response that a message shows which says that it could not be read.
pub const HTTP_SHOWN_BODY_BYTES_MAX: usize = 64 << 10;

/// Bytes of what a request of `http` is made of: URL, parameters, header and data, before they are escaped.
pub const HTTP_REQUEST_BYTES_MAX: usize = 32 << 20;

/// Memory of queries is taken from what they may hold together in pieces of at least so many bytes.
pub const MEMORY_PIECE_BYTES: usize = 64 << 10;

/// A piece is at least what is held divided by this, so that whoever grows asks seldom.
pub const MEMORY_GROWTH_SHARE: usize = 8;

/// What one query, one message or one answer takes below this is not counted among what all take together, in bytes: most
/// never take more.
pub const MEMORY_FREE_BYTES: usize = 16 << 10;

/// Bytes, when encoded, of rows that are asked for at once while a batch is gathered; of one row that is larger.
pub const PIECE_BYTES_MAX: usize = 32 << 10;

/// How deep a predicate is looked into for conditions on fields.
pub const PLANNED_DEPTH_MAX: usize = 32;

/// Rows of an index that are read for a filter whatever share of the table they are.
pub const INDEX_ROWS_ALWAYS: u64 = 1_000;

/// A filter reads no index of which it would need more than one row in so many of the table: looking each of them up takes longer
/// than reading all.
pub const INDEX_SHARE_DIVISOR: u64 = 4;

/// Steps of a plan that `explain` shows; what is behind them is cut.
pub const EXPLAINED_STEPS_MAX: usize = 500;

/// How deep plans stand in one another that `explain` shows.
pub const EXPLAINED_DEPTH_MAX: usize = 12;

/// Characters of a function, a key or an option that `explain` shows.
pub const EXPLAINED_TEXT_CHARS_MAX: usize = 200;

/// Bytes of a value that `explain` shows; of a larger one it tells the size.
pub const EXPLAINED_VALUE_BYTES_MAX: usize = 16 << 10;

/// Keys of a `get_all` that `explain` shows.
pub const EXPLAINED_KEYS_MAX: usize = 10;

/// Tables named in a query whose reads `explain: "analyze"` counts apart.
pub const OBSERVED_TABLES_MAX: usize = 1_000;
