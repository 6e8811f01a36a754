//! How long and how much.

use std::time::Duration;

/// For a connection and its handshake, in virtual time.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// For an answer, in virtual time, unless a client is told otherwise.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Bytes of one answer of a node.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Bytes of one message of the handshake.
pub const HANDSHAKE_BYTES_MAX: usize = 4096;

/// Rounds of password hashing that a client is willing to do.
pub const PASSWORD_ITERATIONS_MAX: u32 = 1 << 20;

/// Rows of one answer, over all its batches.
pub const ROWS_MAX: usize = 1_000_000;
