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

pub use term::{function_parts, function_term, members_term};
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

/// The same of a write hook, whose result is the document itself and is merged into nothing.
pub fn compile_hook(bytes: &[u8]) -> Result<Func> {
    compile_arrived(bytes, Literals::Refused).map(|arrived| arrived.function)
}

/// The function that a `FUNC` term without outer variables stands for.
pub fn compile_term(term: &Term) -> Result<Func> {
    compile_where(term, Literals::Allowed).map(|compiled| compiled.function)
}

/// A function that has come from elsewhere to be called here.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// What is to be called.
    pub function: Func,
    /// How many calls of the evaluator may be inside one another: what the stack must hold.
    pub depth: usize,
}

/// Whether a function's result may be a `literal`, or have some in it: where it is merged into something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// It is merged.
    Allowed,
    /// It is not.
    Refused,
}

/// As [`compile_function`], for a function that a query has sent.
pub fn compile_arrived(bytes: &[u8], literals: Literals) -> Result<Arrived> {
    compile_where(&decode_function(bytes)?, literals)
}

fn compile_where(term: &Term, literals: Literals) -> Result<Arrived> {
    let (function, depth) = compile_function_term(term, literals == Literals::Allowed)?;
    Ok(Arrived { function: Func::Closure(Closure { function, scope: Scope::empty() }), depth })
}

/// The `FUNC` term that bytes stand for.
pub fn decode_function(bytes: &[u8]) -> Result<Term> {
    let Function { params, body } = Function::decode(&Bytes::copy_from_slice(bytes))
        .map_err(|error| Error::internal(format!("a stored function cannot be read: {error}")))?;
    Ok(term::function_of(&params, body, BacktraceId::NONE))
}
