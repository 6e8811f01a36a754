//! A function as text, for people.

use crate::eval::context::Cx;
use crate::eval::function::Func;
use crate::eval::stored::function_term;

/// The function's code, for `info`.
pub fn function_source(function: &Func) -> String {
    match function_term(function, &Cx::pure()) {
        Ok(term) => format!("{term:?}"),
        Err(error) => error.message,
    }
}
