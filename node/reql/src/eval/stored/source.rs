//! A function as text, for people.

use crate::eval::context::Cx;
use crate::eval::function::Func;
use crate::eval::stored::function_parts;
use crate::term::print;

/// The function's code, for `info`.
pub fn function_source(function: &Func, cx: &Cx) -> String {
    if let Func::Script(script) = function {
        return format!("javascript timeout={}ms, source={}", script.timeout_ms, script.source);
    }
    match function_parts(function, cx) {
        Ok((params, body)) => print::function(&params, &body),
        Err(error) => error.message,
    }
}
