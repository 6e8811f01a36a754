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
pub mod in_place;
pub mod merge;
pub mod node;
pub mod paths;
pub mod plain;
pub mod scope;
pub mod script;
pub mod sequence;
pub mod signature;
pub mod stored;
pub mod terms;
pub mod trace;
pub mod value;

pub use args::Args;
pub use compile::{Query, compile};
pub use context::{Cx, Limits, NoWorld, World, footprint_of};
pub use function::{Arguments, Closure, Func, Shortcut};
pub use in_place::InPlace;
pub use node::{CallNode, Function, Node, Traits};
pub use scope::Scope;
pub use script::{Script, Scripted};
pub use sequence::{Batch, FeedKind, Glance, Sequence, Source, Stream, left_by};
pub use stored::{compile_function, encode_function, function_term};
pub use trace::Trace;
pub use value::{Db, Filed, RowValue, TableValue, Value};

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::Result;
use crate::term::{BacktraceId, TermKind};

/// Evaluates `node`, whose variables live in `scope`.
///
/// A chain of terms, each the first argument of the next, is walked with a list instead of the stack.
pub fn eval(node: &Node, scope: &Scope, cx: &Cx) -> Result<Value> {
    let mark = cx.held();
    let result = match cx.trace() {
        Some(trace) => eval_traced(node, scope, cx, trace),
        None => eval_untraced(node, scope, cx),
    };
    // Who goes on after an error holds nothing of what led to it.
    if result.is_err() {
        cx.release_to(mark);
    }
    result
}

fn eval_untraced(node: &Node, scope: &Scope, cx: &Cx) -> Result<Value> {
    let mut chain: SmallVec<[&Arc<CallNode>; 8]> = SmallVec::new();
    let mut node = node;
    let mark = cx.held();
    let mut value = loop {
        match node {
            Node::Call(call) if call.first_argument_first() => {
                chain.push(call);
                node = &call.args[0];
            }
            Node::Call(call) => {
                cx.step();
                let value = terms::eval(call, scope, cx).map_err(|error| error.at(call.id))?;
                cx.settle(mark, &value);
                note_origin(call, None, &value, cx);
                break value;
            }
            node => {
                cx.set_origin(node.id());
                break plain(node, scope);
            }
        }
    };
    while let Some(call) = chain.pop() {
        cx.step();
        let first = cx.origin();
        value = terms::apply(call, value, scope, cx).map_err(|error| error.at(call.id))?;
        cx.settle(mark, &value);
        note_origin(call, Some(first), &value, cx);
    }
    Ok(value)
}

/// `call` was evaluated to `value`; its first argument came about at `first`, if that was known before.
fn note_origin(call: &CallNode, first: Option<BacktraceId>, value: &Value, cx: &Cx) {
    use TermKind::{And, Avg, Branch, Count, Default, Funcall, Max, Min, Or, Reduce, Sum};
    match call.kind {
        // What one of these lets through came about where it did.
        And | Branch | Default | Funcall | Or => {}
        // In RethinkDB a stream's end result belongs to the stream; the first row of an index is none.
        Max | Min if matches!(value, Value::Row(_)) => cx.set_origin(call.id),
        Avg | Count | Max | Min | Reduce | Sum => {
            let first = first.or_else(|| call.args.first().map(Node::id));
            cx.set_origin(first.unwrap_or(call.id));
        }
        _ => cx.set_origin(call.id),
    }
}

/// What is no call.
fn plain(node: &Node, scope: &Scope) -> Value {
    match node {
        Node::Constant(datum, _) => Value::Datum(datum.clone()),
        Node::Variable { up, index, .. } => Value::Datum(scope.get(*up, *index).clone()),
        Node::Function(function) => {
            Value::Function(Func::Closure(Closure { function: function.clone(), scope: scope.clone() }))
        }
        Node::Call(_) => unreachable!("calls are evaluated"),
    }
}

/// As [`eval`], with a task for each term.
#[cold]
fn eval_traced(node: &Node, scope: &Scope, cx: &Cx, trace: &Trace) -> Result<Value> {
    let mut chain: SmallVec<[&Arc<CallNode>; 8]> = SmallVec::new();
    let mut node = node;
    let mark = cx.held();
    let level = trace.level();
    while let Node::Call(call) = node {
        trace.begin(format!("Evaluating {}.", call.kind.name().to_ascii_lowercase()));
        chain.push(call);
        if !call.first_argument_first() {
            break;
        }
        node = &call.args[0];
    }
    let mut value = match (node, chain.last()) {
        (Node::Call(_), Some(_)) => None,
        (node, _) => {
            cx.set_origin(node.id());
            Some(plain(node, scope))
        }
    };
    while let Some(call) = chain.pop() {
        cx.step();
        let first = value.is_some().then(|| cx.origin());
        let result = match value.take() {
            Some(first) => terms::apply(call, first, scope, cx),
            None => terms::eval(call, scope, cx),
        };
        let result = result.map_err(|error| error.at(call.id));
        trace.end_to(if result.is_ok() { level + chain.len() } else { level });
        let result = result?;
        cx.settle(mark, &result);
        note_origin(call, first, &result, cx);
        value = Some(result);
    }
    Ok(value.expect("the innermost node gave a value"))
}
