//! The maxima of the program.

/// The longest answer that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest that `--timeout` may be, in seconds.
pub const TIMEOUT_SECS_MAX: u64 = 3_600;

/// How often is looked whether what was begun is done.
pub const POLL_PERIOD: std::time::Duration = std::time::Duration::from_millis(300);
