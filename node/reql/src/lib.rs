//! ReQL without tables: values and their order, key encoding, terms, the wire protocol, errors, and the pure evaluator.
//!
//! Nothing here does I/O, reads a clock or draws a random number; all of that is passed in. Nothing here panics on bytes
//! from outside: every decoder answers a typed error.

pub mod datum;
pub mod error;
pub mod eval;
pub mod format;
pub mod geo;
pub mod key;
pub mod limits;
pub mod term;
pub mod transform;
pub mod wire;

pub use datum::{Array, Datum, Object, ObjectBuilder, Str};
pub use error::{Error, ErrorKind, Result, ResultExt};
pub use term::{BacktraceId, Call, Term, TermKind};
