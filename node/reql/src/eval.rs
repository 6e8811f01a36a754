//! The evaluator: a compiled query is walked by plain recursive functions.
//!
//! It is synchronous and knows no table and no I/O. Whatever needs the world outside (tables, databases, feeds) goes
//! through [`World`], [`TableValue`] and [`RowValue`], which `photondb-query` implements; those may park the fiber that
//! the evaluation runs on, so nothing here is ever asynchronous. At a shard, stored functions run with [`NoWorld`].
//!
//! Reading order: [`node`] (what is walked), [`value`] (what it gives), [`args`] (how a term reads its arguments),
//! [`sequence`] (streams and their transforms), [`terms`] (the terms, one file a family).

pub mod args;
pub mod compile;
pub mod context;
pub mod function;
pub mod node;
pub mod scope;
pub mod sequence;
pub mod signature;
pub mod terms;
pub mod value;

pub use args::Args;
pub use compile::{compile, compile_function};
pub use context::{Cx, Limits, NoWorld, World};
pub use function::{Closure, Func, Shortcut};
pub use node::{CallNode, Function, Node, Traits};
pub use scope::Scope;
pub use sequence::{Batch, Sequence, Source, Stream};
pub use value::{RowValue, TableValue, Value};

use crate::error::Result;

/// Evaluates `node`, whose variables live in `scope`.
pub fn eval(node: &Node, scope: &Scope, cx: &Cx) -> Result<Value> {
    match node {
        Node::Constant(datum, _) => Ok(Value::Datum(datum.clone())),
        Node::Variable { up, index, .. } => Ok(Value::Datum(scope.get(*up, *index).clone())),
        Node::Function(function) => {
            Ok(Value::Function(Func::Closure(Closure { function: function.clone(), scope: scope.clone() })))
        }
        Node::Call(call) => {
            cx.step();
            terms::eval(call, scope, cx).map_err(|error| error.at(call.id))
        }
    }
}
