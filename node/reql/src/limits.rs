//! Every maximum of the language, by name. Past one of these a query gets an error; nothing here is a tuning knob.

/// Nesting of a datum, of a JSON text, and of terms (steps into anything but a first argument).
pub const NESTING_MAX: usize = 1_000;

/// Length of a chain of terms, each the first argument of the next: `r.table(..).filter(..).map(..)...`.
pub const CHAIN_MAX: usize = 10_000;

/// Elements of an array unless the query sets `array_limit`. Enforced by the evaluator.
pub const ARRAY_ELEMENTS_MAX: usize = 100_000;

/// Bytes of a primary key in RethinkDB's count, see [`crate::key`].
pub const PRIMARY_KEY_BYTES_MAX: usize = 127;

/// Bytes of an encoded index value that are kept in an index key; what is longer is cut and must be checked again.
pub const INDEX_VALUE_BYTES_MAX: usize = 250;

/// Characters of a pretty-printed datum inside an error message that RethinkDB shortens.
pub const PRINTED_DATUM_BYTES_MAX: usize = 300;

/// Bytes of a text inside the message that it is no JSON.
pub const SHOWN_TEXT_BYTES_MAX: usize = 40;

/// Bytes of a text inside the message that it is no UTF-8.
pub const SHOWN_BYTES_MAX: usize = 20;

/// A message from a client must be shorter than this.
pub const FRAME_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Elements that are read at once on the way to a far one.
pub const SKIPPED_AT_ONCE_MAX: usize = 1_000;

/// A string that is put together from others, in bytes; as long as the longest that a client can send.
pub const STRING_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// What a function makes and what is written as JSON, in bytes of its stored form: a value whose parts are shared is small
/// in memory and may yet be endless to walk or to write out.
pub const VALUE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What one connection may send before it has authenticated.
pub const HANDSHAKE_BYTES_MAX: usize = 2_048;

/// PBKDF2 rounds that a client does at most for a login: a stranger is not to keep it busy.
pub const PASSWORD_ITERATIONS_MAX: u32 = 10_000_000;

/// The widest exponent and digits a number token can sensibly have; longer tokens are refused unread.
pub const NUMBER_TOKEN_BYTES_MAX: usize = 4_096;

/// PBKDF2 rounds for a new password, as RethinkDB's default.
pub const PASSWORD_ITERATIONS: u32 = 4_096;

/// Bytes that one query may hold at once, as far as they are counted, unless whoever runs it says less: arrays that were made
/// of streams, sorts, groups, `distinct`.
pub const QUERY_MEMORY_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Tasks that one answer with `profile` shows.
pub const PROFILE_TASKS_MAX: usize = 2_000;

/// How deep such tasks stand in one another.
pub const PROFILE_DEPTH_MAX: usize = 100;

/// Terms and constants of a query or function that are shown as text; what is behind them is cut.
pub const PRINTED_PARTS_MAX: usize = 10_000;

/// Bytes of such a text, line breaks and indentation included; what is behind them is cut.
pub const PRINTED_BYTES_MAX: usize = 64 * 1024;

/// How deep a constant nests that is shown as text.
pub const PRINTED_CONSTANT_DEPTH_MAX: usize = 40;

/// Bytes of a text or of binary data in it; longer ones are left out.
pub const PRINTED_TEXT_BYTES_MAX: usize = 16 * 1024;

/// Bytes that `concat_map` aims at when it chooses how many elements to take at once.
pub const CONCATENATED_BYTES: usize = 1024 * 1024;

/// Looks at edges, and at boxes around edges, in one operation on shapes: all of reading a geometry, or of one `intersects`,
/// `includes`, `distance` or `polygon_sub`. Of shapes that are no tangle some ten for each edge suffice; a tangle gets an error
/// after about a second.
pub const GEOMETRY_LOOKS_MAX: usize = 40_000_000;

/// Looks at edges while the cells that cover a geometry are chosen. Past it they are coarser than they could be.
pub const GEOMETRY_COVERING_LOOKS_MAX: usize = 10_000_000;

/// Rings of one polygon. Every two of them are held against each other.
pub const GEOMETRY_RINGS_MAX: usize = 1_024;

/// Cells under which one geometry stands in an index, as in RethinkDB.
pub const GEOMETRY_ENTRY_CELLS_MAX: usize = 8;

/// Cells that hold the geometry of a query, as in RethinkDB.
pub const GEOMETRY_QUERY_CELLS_MAX: usize = 16;

/// Bytes of a message that are parsed between two pauses.
pub const PARSED_BYTES_BETWEEN_PAUSES: usize = 64 * 1024;

/// Bytes of a pattern of `match`. RE2 takes some 350,000 characters at most, and each is a hundred bytes while it is read.
pub const PATTERN_BYTES_MAX: usize = 512 * 1024;

/// Properties of Unicode (`\pL`) in a pattern: each is some kilobytes while it is read.
pub const PATTERN_PROPERTIES_MAX: usize = 2_000;

/// How deep groups of a pattern may be nested for it to be compiled on the stack that there is. Each takes up to five kilobytes: it may be
/// repeated, and hold alternatives of several parts.
pub const PATTERN_GROUPS_ON_STACK_MAX: usize = 12;

/// Levels of nesting of a pattern: groups, repetitions, alternatives and sequences.
pub const PATTERN_LEVELS_MAX: u32 = 2_000;

/// The stack on which deeper ones are compiled, in bytes.
pub const PATTERN_STACK_BYTES: usize = 8 * 1024 * 1024;
