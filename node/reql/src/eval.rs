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
pub mod merge;
pub mod node;
pub mod paths;
pub mod scope;
pub mod script;
pub mod sequence;
pub mod signature;
pub mod stored;
pub mod terms;
pub mod value;

pub use args::Args;
pub use compile::{Query, compile};
pub use context::{Cx, Limits, NoWorld, World};
pub use function::{Arguments, Closure, Func, Shortcut};
pub use node::{CallNode, Function, Node, Traits};
pub use scope::Scope;
pub use script::{Script, Scripted};
pub use sequence::{Batch, FeedKind, Sequence, Source, Stream};
pub use stored::{compile_function, encode_function, function_term};
pub use value::{Db, RowValue, TableValue, Value};

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::Result;

/// Evaluates `node`, whose variables live in `scope`.
///
/// A chain of terms, each the first argument of the next, is walked with a list instead of the stack.
pub fn eval(node: &Node, scope: &Scope, cx: &Cx) -> Result<Value> {
    let mut chain: SmallVec<[&Arc<CallNode>; 8]> = SmallVec::new();
    let mut node = node;
    let mut value = loop {
        match node {
            Node::Constant(datum, _) => break Value::Datum(datum.clone()),
            Node::Variable { up, index, .. } => break Value::Datum(scope.get(*up, *index).clone()),
            Node::Function(function) => {
                break Value::Function(Func::Closure(Closure { function: function.clone(), scope: scope.clone() }));
            }
            Node::Call(call) if call.first_argument_first() => {
                chain.push(call);
                node = &call.args[0];
            }
            Node::Call(call) => {
                cx.step();
                break terms::eval(call, scope, cx).map_err(|error| error.at(call.id))?;
            }
        }
    };
    while let Some(call) = chain.pop() {
        cx.step();
        value = terms::apply(call, value, scope, cx).map_err(|error| error.at(call.id))?;
    }
    Ok(value)
}
