//! Every maximum of this crate, by name.

/// What the scripts of one query may take of memory, in bytes.
pub const HEAP_BYTES_MAX: usize = 64 << 20;

/// How deep a script may call, in bytes of the stack. The thread that runs it must have more.
pub const STACK_BYTES_MAX: usize = 1 << 20;

/// Nesting of a value that comes back; RethinkDB's number. A value that holds itself is found by it.
pub const RESULT_NESTING_MAX: usize = 500;

/// A value that comes back, in bytes, about as it is encoded. One string may stand in it many times.
pub const RESULT_BYTES_MAX: usize = 64 << 20;

/// The text of an error, in bytes; what is longer is cut.
pub const ERROR_BYTES_MAX: usize = 64 << 10;

/// Functions that one query's realm remembers by their source; then it forgets them all. RethinkDB's number.
pub const FUNCTIONS_MAX: usize = 100;

/// A message between the processes, in bytes without its length: a document or two of arguments, or one result.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;
