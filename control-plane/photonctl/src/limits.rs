//! The maxima of the program.

/// The longest answer that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long an answer may take unless `--timeout` says it, in seconds.
pub const TIMEOUT_SECS_DEFAULT: u64 = 10;

/// Between questions whether the node of a connection is still there, while a query runs that may take as long as it takes.
pub const KEEPALIVE_PERIOD: std::time::Duration = std::time::Duration::from_secs(10);

/// How long it may take to answer one.
pub const KEEPALIVE_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// The longest that `--timeout` may be, in seconds.
pub const TIMEOUT_SECS_MAX: u64 = 3_600;

/// How often is looked whether what was begun is done.
pub const POLL_PERIOD: std::time::Duration = std::time::Duration::from_millis(300);

/// The longest password that is read, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 4_096;

/// Brackets and functions of an expression that stand in each other.
pub const EXPRESSION_NESTING_MAX: usize = 100;

/// Methods of an expression behind each other.
pub const EXPRESSION_CHAIN_MAX: usize = 1_000;

/// Characters of a query that a list shows.
pub const QUERY_TEXT_CHARS_MAX: usize = 100;

/// The longest that `--watch` may pause, in seconds.
pub const WATCH_SECS_MAX: u64 = 3_600;

/// Queries that the history of `repl` keeps.
pub const HISTORY_QUERIES_MAX: usize = 1_000;

/// Connections of `bench`.
pub const BENCH_CLIENTS_MAX: i64 = 1_000;

/// The longest that `bench` lasts, in seconds.
pub const BENCH_SECS_MAX: u64 = 86_400;

/// Documents that `bench` makes before it begins.
pub const BENCH_DOCUMENTS_MAX: u64 = 100_000_000;

/// The text of one of them, in bytes.
pub const BENCH_DOCUMENT_BYTES_MAX: i64 = 10 * 1024;

/// Documents that are made by one query.
pub const BENCH_BATCH_DOCUMENTS: u64 = 1_000;
