//! The compiled form of a query: arity and names are checked, variables are resolved to places, constants are folded.

use std::sync::Arc;

use crate::datum::{Datum, Str};
use crate::term::{BacktraceId, TermKind};

/// One node of a compiled query. Immutable and shared between threads: indexes and hooks keep compiled functions.
#[derive(Debug)]
pub enum Node {
    /// A value known when the query was compiled.
    Constant(Datum, BacktraceId),
    /// The `index`-th argument of the function `up` levels out (0 is the innermost).
    Variable { up: u16, index: u16, id: BacktraceId },
    /// A function literal.
    Function(Arc<Function>),
    /// Everything else.
    Call(Box<CallNode>),
}

/// One term with its arguments.
#[derive(Debug)]
pub struct CallNode {
    /// Which term.
    pub kind: TermKind,
    /// Where it stands in the query, for backtraces.
    pub id: BacktraceId,
    /// Positional arguments, unevaluated.
    pub args: Vec<Node>,
    /// Optional arguments, unevaluated; names are unique.
    pub optargs: Vec<(Str, Node)>,
    /// Whether one of `args` is `r.args(..)`, whose elements are spliced in at run time.
    pub spliced: bool,
    /// What the term and everything below it may do.
    pub traits: Traits,
}

/// A function literal.
#[derive(Debug)]
pub struct Function {
    /// The variable numbers the driver gave its parameters, in order.
    pub params: Vec<i64>,
    /// What it computes.
    pub body: Node,
    /// Where it stands in the query.
    pub id: BacktraceId,
}

/// What evaluating a term may do; the union over the term and everything below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Gives another answer when run again on the same input: `random`, `now` without a fixed time, `uuid()`, `http`, `js`.
    pub nondeterministic: bool,
    /// Reads or writes a table, a database or the cluster.
    pub touches_world: bool,
    /// Writes: `insert`, `update`, `table_create`, ...
    pub writes: bool,
}

impl Traits {
    /// What either may do.
    pub fn union(self, other: Traits) -> Traits {
        Traits {
            nondeterministic: self.nondeterministic | other.nondeterministic,
            touches_world: self.touches_world | other.touches_world,
            writes: self.writes | other.writes,
        }
    }

    /// Whether the result depends on the arguments alone, so that a replica may compute it again.
    pub fn deterministic(self) -> bool {
        !self.nondeterministic && !self.touches_world
    }
}

impl Node {
    /// Where the node stands in the query.
    pub fn id(&self) -> BacktraceId {
        match self {
            Node::Constant(_, id) | Node::Variable { id, .. } => *id,
            Node::Function(function) => function.id,
            Node::Call(call) => call.id,
        }
    }

    /// What evaluating it, and calling it when it is a function, may do.
    pub fn traits(&self) -> Traits {
        match self {
            Node::Constant(..) | Node::Variable { .. } => Traits::default(),
            Node::Function(function) => function.body.traits(),
            Node::Call(call) => call.traits,
        }
    }
}
