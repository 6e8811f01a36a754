//! `Term`: the syntax tree of a query, straight from the bytes of the message.
//!
//! A query is a chain of terms, each the first argument of the next, so a tree is often thousands of levels deep on its
//! left edge and shallow everywhere else. Parsing and dropping never recurse; whoever walks a tree should loop along first
//! arguments (at most [`CHAIN_MAX`](crate::limits::CHAIN_MAX)) and recurse only into the others (at most
//! [`NESTING_MAX`](crate::limits::NESTING_MAX)).

mod backtrace;
mod kind;
mod parse;
mod placement;
pub mod print;

use std::fmt;

pub use backtrace::{BacktraceId, Frame, Registry, write_frames};
pub use kind::{TermKind, UnknownTerm};
pub use parse::{Message, Refusal, Start, parse, parse_with_pauses};
pub use placement::is_write_or_meta;

use crate::datum::{Datum, Str};

/// A node of the syntax tree.
#[derive(Clone)]
pub enum Term {
    /// A constant. Objects and arrays in term position whose parts are all constant come as one of these.
    Datum(Datum, BacktraceId),
    Call(Box<Call>),
}

/// A term with its arguments.
pub struct Call {
    pub kind: TermKind,
    pub args: Vec<Term>,
    /// In the order of the message, each name once.
    pub optargs: Vec<(Str, Term)>,
    pub id: BacktraceId,
}

impl Term {
    pub fn call(kind: TermKind, args: Vec<Term>, id: BacktraceId) -> Term {
        Term::Call(Box::new(Call { kind, args, optargs: Vec::new(), id }))
    }

    /// Where errors about this term point.
    pub fn id(&self) -> BacktraceId {
        match self {
            Term::Datum(_, id) => *id,
            Term::Call(call) => call.id,
        }
    }

    /// `Datum` for a constant.
    pub fn kind(&self) -> TermKind {
        match self {
            Term::Datum(..) => TermKind::Datum,
            Term::Call(call) => call.kind,
        }
    }

    pub fn as_call(&self) -> Option<&Call> {
        match self {
            Term::Datum(..) => None,
            Term::Call(call) => Some(call),
        }
    }

    pub fn as_datum(&self) -> Option<&Datum> {
        match self {
            Term::Datum(datum, _) => Some(datum),
            Term::Call(_) => None,
        }
    }

    pub fn args(&self) -> &[Term] {
        self.as_call().map_or(&[], |call| &call.args)
    }

    pub fn optargs(&self) -> &[(Str, Term)] {
        self.as_call().map_or(&[], |call| &call.optargs)
    }

    pub fn optarg(&self, name: &str) -> Option<&Term> {
        self.as_call()?.optarg(name)
    }
}

impl Call {
    pub fn optarg(&self, name: &str) -> Option<&Term> {
        self.optargs.iter().find(|(found, _)| found == name).map(|(_, term)| term)
    }

    /// This call, its first argument, the first argument of that, and so on while they are calls.
    pub fn chain(&self) -> Vec<&Call> {
        let mut chain = vec![self];
        let mut at = self;
        while let Some(Term::Call(inner)) = at.args.first() {
            chain.push(inner);
            at = inner;
        }
        chain
    }

    #[expect(clippy::vec_box, reason = "the boxes are there already; taking the calls out would copy them")]
    fn take_calls(&mut self, pending: &mut Vec<Box<Call>>) {
        let args = std::mem::take(&mut self.args).into_iter();
        let optargs = std::mem::take(&mut self.optargs).into_iter().map(|(_, term)| term);
        pending.extend(args.chain(optargs).filter_map(|term| match term {
            Term::Call(call) => Some(call),
            Term::Datum(..) => None,
        }));
    }
}

impl Drop for Call {
    /// With a list instead of the stack: chains are long.
    fn drop(&mut self) {
        let mut pending = Vec::new();
        self.take_calls(&mut pending);
        while let Some(mut call) = pending.pop() {
            call.take_calls(&mut pending);
        }
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Datum(datum, _) => datum.fmt(f),
            Term::Call(call) => call.fmt(f),
        }
    }
}

impl fmt::Debug for Call {
    /// `OUTER(INNER(1), 2, name: 3)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.chain();
        for call in &path {
            f.write_str(call.kind.name())?;
            if !(call.args.is_empty() && call.optargs.is_empty()) {
                f.write_str("(")?;
            }
        }
        for (depth, call) in path.iter().enumerate().rev() {
            // The first argument of all but the innermost stands there already.
            let written = usize::from(depth + 1 < path.len());
            for (position, arg) in call.args.iter().enumerate().skip(written) {
                write!(f, "{}{arg:?}", if position == 0 { "" } else { ", " })?;
            }
            for (position, (name, term)) in call.optargs.iter().enumerate() {
                write!(f, "{}{name}: {term:?}", if position + call.args.len() == 0 { "" } else { ", " })?;
            }
            if !(call.args.is_empty() && call.optargs.is_empty()) {
                f.write_str(")")?;
            }
        }
        Ok(())
    }
}

impl Clone for Call {
    /// From the innermost first argument outwards: chains are long.
    fn clone(&self) -> Call {
        let mut inner = None;
        for call in self.chain().into_iter().rev() {
            let mut args = Vec::with_capacity(call.args.len());
            let first = inner.take().map(|inner| Term::Call(Box::new(inner)));
            let cloned = usize::from(first.is_some());
            args.extend(first);
            args.extend(call.args.iter().skip(cloned).cloned());
            inner = Some(Call { kind: call.kind, args, optargs: call.optargs.clone(), id: call.id });
        }
        inner.expect("a chain has at least the call it starts with")
    }
}

#[cfg(test)]
mod tests;
