//! The compiled form of a query: arity and names are checked, variables are resolved to places, constants are folded.

use std::sync::Arc;

use crate::datum::{Datum, Str};
use crate::eval::plain::Plain;
use crate::eval::signature::Grouping;
use crate::term::{BacktraceId, TermKind};

/// One node of a compiled query. Immutable and shared between threads: indexes and hooks keep compiled functions.
#[derive(Clone, Debug)]
pub enum Node {
    /// A value known when the query was compiled.
    Constant(Datum, BacktraceId),
    /// The `index`-th argument of the function `up` levels out (0 is the innermost). `row`: it was written as `r.row`.
    Variable { up: u16, index: u16, row: bool, id: BacktraceId },
    /// A function literal.
    Function(Arc<Function>),
    /// Everything else.
    Call(Arc<CallNode>),
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
    /// Whether `literal` may stand here: inside what is merged, and not inside another `literal`.
    pub literal_ok: bool,
    /// How a grouped first argument is treated, and whether the first argument is evaluated up front at all.
    pub grouping: Grouping,
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
    /// The same for the frequent cases, when it is simple.
    pub plain: Option<Plain>,
    /// Where it stands in the query.
    pub id: BacktraceId,
}

/// What evaluating a term may do; the union over the term and everything below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Gives another answer when run again on the same input: `random`, `uuid()`, `sample`, `http`, `js`.
    pub nondeterministic: bool,
    /// Depends on the last bits of computed numbers: geometry. Always the same here, but RethinkDB, where it may differ from
    /// one machine to the next, refuses it wherever several must come to the same result.
    pub inexact: bool,
    /// Reads or writes a table, a database or the cluster.
    pub touches_world: bool,
    /// Writes: `insert`, `update`, `table_create`, ...
    pub writes: bool,
    /// Uses the time at which the query began: the same all through one query, another in the next.
    pub uses_now: bool,
}

impl Traits {
    /// What either may do.
    #[must_use]
    pub fn union(self, other: Traits) -> Traits {
        Traits {
            nondeterministic: self.nondeterministic | other.nondeterministic,
            inexact: self.inexact | other.inexact,
            touches_world: self.touches_world | other.touches_world,
            writes: self.writes | other.writes,
            uses_now: self.uses_now | other.uses_now,
        }
    }

    /// Whether a server that computes it again within the same query comes to the same result: what is done to documents before
    /// `changes` must.
    pub fn repeatable(self) -> bool {
        !self.nondeterministic && !self.touches_world
    }

    /// Whether the result depends on the arguments and the start of the query alone, so that a replica may compute it
    /// again once `now()` is fixed (encoding a function fixes it).
    pub fn deterministic(self) -> bool {
        self.repeatable() && !self.inexact
    }

    /// Whether the result depends on the arguments alone, for ever: what an index function must be.
    pub fn timeless(self) -> bool {
        self.deterministic() && !self.uses_now
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

    /// The term this is, where it is one.
    pub fn kind(&self) -> TermKind {
        match self {
            Node::Constant(..) => TermKind::Datum,
            Node::Variable { .. } => TermKind::Var,
            Node::Function(_) => TermKind::Func,
            Node::Call(call) => call.kind,
        }
    }
}

impl CallNode {
    /// Whether the first argument can be evaluated before the term itself is looked at.
    pub(crate) fn first_argument_first(&self) -> bool {
        !self.spliced && !self.args.is_empty() && self.grouping != Grouping::Lazy
    }

    fn take_first(&mut self) -> Option<Arc<CallNode>> {
        match self.args.first_mut() {
            Some(first @ Node::Call(_)) => {
                let id = first.id();
                match std::mem::replace(first, Node::Constant(Datum::Null, id)) {
                    Node::Call(call) => Some(call),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl Drop for CallNode {
    /// Loops along first arguments: chains are longer than a stack is deep.
    fn drop(&mut self) {
        let mut next = self.take_first();
        while let Some(call) = next {
            next = Arc::into_inner(call).and_then(|mut call| call.take_first());
        }
    }
}
