//! Functions that outlive their query: index functions, write hooks, and functions on their way to a shard.
//!
//! A function becomes a term again, with the variables it captured as constants and `now()` as a moment. Its bytes are a
//! version and that term as an encoded datum:
//!
//! ```text
//! function := version:u8 (= 1)  document            the encoded datum of `term`
//! term     := [datum] | [kind, [term, ...]] | [kind, [term, ...], {name: term, ...}]
//! ```

pub mod source;
mod term;

use bytes::Bytes;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::compile::compile_function_term;
use crate::eval::context::Cx;
use crate::eval::function::{Closure, Func};
use crate::eval::scope::Scope;
use crate::term::Term;

pub use term::function_term;

/// The version of the language that functions are stored under; a change of any deterministic result is a new version.
pub const VERSION: u8 = 1;

/// The bytes of a function. Errors: it nests deeper than a datum may.
pub fn encode_function(function: &Func, cx: &Cx) -> Result<Vec<u8>> {
    let datum = term::to_datum(&function_term(function, cx)?)?;
    let mut bytes = vec![VERSION];
    datum.encode(&mut bytes);
    Ok(bytes)
}

/// The function that bytes stand for. Errors: they are no function, or one of a newer version.
pub fn compile_function(bytes: &[u8]) -> Result<Func> {
    compile_term(&decode_function(bytes)?)
}

/// The function that a `FUNC` term without outer variables stands for.
pub fn compile_term(term: &Term) -> Result<Func> {
    Ok(Func::Closure(Closure { function: compile_function_term(term)?, scope: Scope::empty() }))
}

/// The term that bytes stand for.
pub fn decode_function(bytes: &[u8]) -> Result<Term> {
    match bytes.split_first() {
        Some((&VERSION, document)) => {
            let datum = Datum::decode(Bytes::copy_from_slice(document))
                .map_err(|error| Error::internal(format!("a stored function cannot be read: {error}")))?;
            term::from_datum(&datum)
        }
        Some((version, _)) => {
            Err(Error::internal(format!("a stored function of version {version}, newer than this program's {VERSION}")))
        }
        None => Err(Error::internal("a stored function of no bytes")),
    }
}
