//! Terms of objects done to the elements of a sequence: `pluck`, `without`, `merge`, `has_fields`, `get_field`,
//! `bracket`, `intersects` and `includes`. The term's other arguments are evaluated once, at the first element, unless chance has a part in them
//! or they write.

use std::fmt;
use std::sync::Arc;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::terms::shape::{Shape, check_element};
use crate::eval::{Args, Batch, CallNode, Cx, Scope, Traits, Value};
use crate::term::TermKind;

/// The term, the variables it sees, and its arguments once they are known.
#[derive(Clone)]
pub struct Members {
    call: Arc<CallNode>,
    /// Which of these terms; `with_fields` is two of them.
    kind: TermKind,
    scope: Scope,
    shape: Option<Shape>,
}

impl Members {
    /// The term that `args` belong to, for each element of its first argument.
    pub fn new(args: &Args<'_>) -> Members {
        Members::of_kind(args, args.kind())
    }

    /// Another of these terms with the same arguments.
    pub fn of_kind(args: &Args<'_>, kind: TermKind) -> Members {
        Members { call: args.call().clone(), kind, scope: args.scope().clone(), shape: None }
    }

    /// Whether elements that pass are still the documents they were.
    pub fn keeps_documents(&self) -> bool {
        self.is_filter()
    }

    /// Whether as many elements come out as went in.
    pub fn keeps_count(&self) -> bool {
        matches!(self.kind, TermKind::Pluck | TermKind::Without | TermKind::Merge)
    }

    /// Which term it is, and the call itself.
    pub fn call(&self) -> &Arc<CallNode> {
        &self.call
    }

    /// Which term is done: of `with_fields`, one of the two that it is.
    pub fn kind(&self) -> TermKind {
        self.kind
    }

    /// The variables that the arguments see.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What the arguments may do that are not the sequence.
    pub fn traits(&self) -> Traits {
        self.call.args.iter().skip(1).fold(Traits::default(), |all, node| all.union(node.traits()))
    }

    /// Does the term to each element.
    pub fn push(&mut self, batch: Batch, cx: &Cx) -> Result<Batch> {
        let mut out = Batch::with_capacity(batch.len());
        for element in batch {
            self.one(element, &mut out, cx).map_err(|error| error.at(self.call.id))?;
        }
        Ok(out)
    }

    /// Whether it is a filter, in RethinkDB too: elements pass or do not.
    fn is_filter(&self) -> bool {
        matches!(self.kind, TermKind::HasFields | TermKind::Intersects | TermKind::Includes)
    }

    /// Whether an element is left out when something is missing, in it or in what the other arguments look at.
    fn leaves_out(&self) -> bool {
        self.is_filter() || matches!(self.kind, TermKind::GetField | TermKind::Bracket)
    }

    fn one(&mut self, element: Datum, out: &mut Batch, cx: &Cx) -> Result<()> {
        let shape = match self.shape.take() {
            Some(shape) => shape,
            // The first argument is a placeholder: a shape is made of the others.
            None => {
                let args = Args::with_first_of(&self.call, Value::Datum(Datum::Null), &self.scope, cx)?;
                match Shape::read(self.kind, &args) {
                    Err(error) if self.leaves_out() && error.is_non_existence() => {
                        return check_element(self.kind, &element).or_else(unless_missing);
                    }
                    shape => shape?,
                }
            }
        };
        let result = shape.on_element(&element, self.kind, cx);
        if !self.call.traits.nondeterministic && !self.call.traits.writes {
            self.shape = Some(shape);
        }
        match result {
            Ok(holds) if self.is_filter() => {
                if holds.is_truthy() {
                    out.push(element);
                }
            }
            Ok(made) => out.push(made),
            Err(error) if self.leaves_out() => unless_missing(error)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The error, unless it says that something is missing.
fn unless_missing(error: Error) -> Result<()> {
    if error.is_non_existence() { Ok(()) } else { Err(error) }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Members").field(&self.call).finish()
    }
}
