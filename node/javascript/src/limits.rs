//! Every maximum of this crate, by name.

/// What the scripts of one query may take of memory, in bytes.
pub const HEAP_BYTES_MAX: usize = 64 << 20;

/// How deep a script may call, in bytes of the stack. The thread that runs it must have more.
pub const STACK_BYTES_MAX: usize = 1 << 20;

/// Nesting of a value that comes back; RethinkDB's number. A value that holds itself is found by it.
pub const RESULT_NESTING_MAX: usize = 500;

/// A value that comes back, in bytes, about as it is encoded. One string may stand in it many times.
pub const RESULT_BYTES_MAX: usize = 32 << 20;

/// The text of an error, in bytes; what is longer is cut.
pub const ERROR_BYTES_MAX: usize = 64 << 10;

/// Functions that one query's realm remembers by their source; then it forgets them all. RethinkDB's number.
pub const FUNCTIONS_MAX: usize = 100;

/// What a process is asked, in bytes without the length: a script, and a few documents of arguments.
pub const REQUEST_BYTES_MAX: usize = 128 << 20;

/// What it answers, in bytes without the length: one result, a little longer encoded than it was counted.
pub const REPLY_BYTES_MAX: usize = RESULT_BYTES_MAX + (1 << 20);
