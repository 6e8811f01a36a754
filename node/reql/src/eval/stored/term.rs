//! Compiled functions back to terms.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::context::Cx;
use crate::eval::function::Func;
use crate::eval::node::{Function, Node};
use crate::eval::scope::Scope;
use crate::term::{BacktraceId, Call, Term, TermKind};
use crate::transform::Members;

/// The parameter of functions that no driver wrote. RethinkDB shows it as `_var19`.
const PARAMETER: i64 = -19;

/// A function as a `FUNC` term that sees nothing but its parameters: captured variables are constants in it.
pub fn function_term(function: &Func, cx: &Cx) -> Result<Term> {
    let (params, body) = function_parts(function, cx)?;
    let id = match function {
        Func::Closure(closure) => closure.function.id,
        _ => BacktraceId::NONE,
    };
    Ok(function_of(&params, body, id))
}

/// A function's parameters and its body, in which captured variables are constants.
pub fn function_parts(function: &Func, cx: &Cx) -> Result<(Vec<i64>, Term)> {
    let id = BacktraceId::NONE;
    let variable = || call(TermKind::Var, vec![Term::Datum(Datum::from(PARAMETER), id)], id);
    let constant = |datum: &Datum| Term::Datum(datum.clone(), id);
    Ok(match function {
        Func::Closure(closure) => {
            let mut unwinding = Unwinding { scope: &closure.scope, params: Vec::new(), cx };
            (closure.function.params.clone(), unwinding.body(&closure.function)?)
        }
        Func::Constant(datum) => (Vec::new(), constant(datum)),
        Func::Script(_) => return Err(Error::logic("A function written in JavaScript cannot be stored.")),
        Func::Matches(pattern) => (vec![PARAMETER], constant(pattern)),
        Func::Equals(datum) => (vec![PARAMETER], call(TermKind::Eq, vec![constant(datum), variable()], id)),
        Func::GetField(name, _) => (vec![PARAMETER], call(TermKind::GetField, vec![variable(), constant(name)], id)),
    })
}

/// A term of objects without the sequence it is done to: its other arguments and options, in which captured variables are constants.
pub fn members_term(members: &Members, cx: &Cx) -> Result<Term> {
    let found = members.call();
    let mut unwinding = Unwinding { scope: members.scope(), params: Vec::new(), cx };
    let sequence = Term::Datum(Datum::Null, found.id);
    let mut term = unwinding.call(found, vec![sequence])?;
    if let Term::Call(call) = &mut term {
        call.kind = members.kind();
    }
    Ok(term)
}

fn call(kind: TermKind, args: Vec<Term>, id: BacktraceId) -> Term {
    Term::call(kind, args, id)
}

/// A `FUNC` term.
pub(super) fn function_of(params: &[i64], body: Term, id: BacktraceId) -> Term {
    let params: Vec<Datum> = params.iter().map(|param| Datum::from(*param)).collect();
    call(TermKind::Func, vec![Term::Datum(Datum::from(params), id), body], id)
}

struct Unwinding<'a> {
    /// What the outermost function captured.
    scope: &'a Scope,
    /// The parameters of the functions entered so far, outermost first.
    params: Vec<Vec<i64>>,
    cx: &'a Cx,
}

impl Unwinding<'_> {
    fn function(&mut self, function: &Function) -> Result<Term> {
        Ok(function_of(&function.params, self.body(function)?, function.id))
    }

    fn body(&mut self, function: &Function) -> Result<Term> {
        self.params.push(function.params.clone());
        let body = self.node(&function.body);
        self.params.pop();
        body
    }

    fn node(&mut self, node: &Node) -> Result<Term> {
        // A chain is taken apart from its end and put together again from its start.
        let mut chain = Vec::new();
        let mut node = node;
        let mut term = loop {
            match node {
                Node::Constant(datum, id) => break Term::Datum(datum.clone(), *id),
                Node::Variable { up, index, row, id } => break self.variable(*up, *index, *row, *id),
                Node::Function(function) => break self.function(function)?,
                Node::Call(found) if found.kind == TermKind::Now => {
                    let now = crate::eval::terms::time::start_of_query(self.cx)?;
                    break Term::Datum(now, found.id);
                }
                Node::Call(found) => match found.args.first() {
                    Some(first) => {
                        chain.push(found);
                        node = first;
                    }
                    None => break self.call(found, Vec::new())?,
                },
            }
        };
        while let Some(found) = chain.pop() {
            term = self.call(found, vec![term])?;
        }
        Ok(term)
    }

    fn call(&mut self, found: &crate::eval::CallNode, mut args: Vec<Term>) -> Result<Term> {
        for arg in &found.args[args.len()..] {
            args.push(self.node(arg)?);
        }
        let mut optargs = Vec::with_capacity(found.optargs.len());
        for (name, arg) in &found.optargs {
            let arg = match (found.kind, arg) {
                // What the compiler made a function of nothing is written as it was.
                (TermKind::Filter, Node::Function(thunk)) if &**name == "default" => self.body(thunk)?,
                (_, arg) => self.node(arg)?,
            };
            optargs.push((name.clone(), arg));
        }
        Ok(Term::Call(Box::new(Call { kind: found.kind, args, optargs, id: found.id })))
    }

    fn variable(&self, up: u16, index: u16, row: bool, id: BacktraceId) -> Term {
        let (up, index) = (usize::from(up), usize::from(index));
        match self.params.len().checked_sub(up + 1) {
            // `r.row` stays as it was written, where nothing else of one parameter could take it for its own.
            Some(_) if row && self.params.iter().filter(|params| params.len() == 1).count() == 1 => {
                call(TermKind::ImplicitVar, Vec::new(), id)
            }
            Some(frame) => {
                let name = self.params[frame].get(index).copied().unwrap_or(PARAMETER);
                call(TermKind::Var, vec![Term::Datum(Datum::from(name), id)], id)
            }
            None => {
                let captured = self.scope.frames().nth(up - self.params.len()).and_then(|values| values.get(index));
                Term::Datum(captured.cloned().unwrap_or(Datum::Null), id)
            }
        }
    }
}
