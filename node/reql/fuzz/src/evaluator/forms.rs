//! Other forms of a query that mean the same.

use std::sync::Arc;

use bytes::Bytes;
use photondb_reql::eval::{CallNode, Function, Node};
use photondb_reql::format::{decode_term, encode_term};
use photondb_reql::term::{Call, Term, TermKind};

/// A compiled query whose functions have no plain form.
pub fn without_plain(node: &Node) -> Node {
    rebuilt(node, &|_| None)
}

/// A compiled query in which `plain` says again what the plain form of each function is.
pub fn rebuilt(node: &Node, plain: &dyn Fn(&Node) -> Option<photondb_reql::eval::plain::Plain>) -> Node {
    match node {
        Node::Function(function) => Node::Function(Arc::new(Function {
            params: function.params.clone(),
            body: rebuilt(&function.body, plain),
            plain: plain(&function.body),
            id: function.id,
        })),
        Node::Call(call) => Node::Call(Arc::new(CallNode {
            kind: call.kind,
            id: call.id,
            args: call.args.iter().map(|arg| rebuilt(arg, plain)).collect(),
            optargs: call.optargs.iter().map(|(name, arg)| (name.clone(), rebuilt(arg, plain))).collect(),
            spliced: call.spliced,
            literal_ok: call.literal_ok,
            grouping: call.grouping,
            traits: call.traits,
        })),
        other => other.clone(),
    }
}

/// The same with every constant in the form in which documents are stored.
pub fn with_packed_constants(term: &Term) -> Term {
    match term {
        Term::Datum(datum, id) => Term::Datum(datum.detach(), *id),
        // The numbers and names in these are read when the query is compiled, and are left as they are.
        Term::Call(call) if matches!(call.kind, TermKind::Var) => term.clone(),
        Term::Call(call) => Term::Call(Box::new(Call {
            kind: call.kind,
            args: call.args.iter().map(with_packed_constants).collect(),
            optargs: call.optargs.iter().map(|(name, arg)| (name.clone(), with_packed_constants(arg))).collect(),
            id: call.id,
        })),
    }
}

/// The same as a shard gets it. It knows no places any more.
pub fn stored_and_read(term: &Term) -> Term {
    let mut bytes = Vec::new();
    encode_term(term, &mut bytes);
    decode_term(&Bytes::from(bytes)).expect("what was encoded can be decoded")
}
