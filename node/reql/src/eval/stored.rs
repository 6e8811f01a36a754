//! Functions that outlive their query: index functions, write hooks, and functions on their way to a shard.
//!
//! A function becomes a term again, with the variables it captured as constants and `now()` as a moment; its bytes are
//! those of [`format`](crate::format).

pub mod source;
mod term;
pub mod version;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::eval::compile::compile_function_term;
use crate::eval::context::Cx;
use crate::eval::function::{Closure, Func};
use crate::eval::scope::Scope;
use crate::format::Function;
use crate::term::{BacktraceId, Term};

pub use term::{function_parts, function_term};
pub use version::EvaluatorVersion;

/// The bytes of a function.
pub fn encode_function(function: &Func, cx: &Cx) -> Result<Vec<u8>> {
    let (params, body) = function_parts(function, cx)?;
    Ok(Function { params, body }.encode())
}

/// The function that bytes stand for. Errors: they are no function, or one of a newer version.
pub fn compile_function(bytes: &[u8]) -> Result<Func> {
    compile_term(&decode_function(bytes)?)
}

/// The function that a `FUNC` term without outer variables stands for.
pub fn compile_term(term: &Term) -> Result<Func> {
    Ok(Func::Closure(Closure { function: compile_function_term(term)?, scope: Scope::empty() }))
}

/// The `FUNC` term that bytes stand for.
pub fn decode_function(bytes: &[u8]) -> Result<Term> {
    let Function { params, body } = Function::decode(&Bytes::copy_from_slice(bytes))
        .map_err(|error| Error::internal(format!("a stored function cannot be read: {error}")))?;
    Ok(term::function_of(&params, body, BacktraceId::NONE))
}
