//! The terms. [`eval`] only decides whose turn it is; each family has a file of its own.

pub mod shortcut;

use crate::error::Result;
use crate::eval::{Args, CallNode, Cx, Scope, Value};

/// Evaluates one call.
pub fn eval(call: &CallNode, scope: &Scope, cx: &Cx) -> Result<Value> {
    let args = Args::new(call, scope, cx)?;
    cx.world().term(&args)
}
