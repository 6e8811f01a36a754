//! Compiled functions back to terms, and terms to datums and back.

use crate::datum::{Array, Datum, Object, Str};
use crate::error::{Error, Result};
use crate::eval::context::Cx;
use crate::eval::function::Func;
use crate::eval::node::{Function, Node};
use crate::eval::scope::Scope;
use crate::limits::NESTING_MAX;
use crate::term::{BacktraceId, Call, Term, TermKind};

/// The parameter of functions that no driver wrote.
const PARAMETER: i64 = -9_100_000_000;

/// A function as a `FUNC` term that sees nothing but its parameters: captured variables are constants in it.
pub fn function_term(function: &Func, cx: &Cx) -> Result<Term> {
    let id = match function {
        Func::Closure(closure) => closure.function.id,
        _ => BacktraceId::NONE,
    };
    let variable = || call(TermKind::Var, vec![Term::Datum(Datum::from(PARAMETER), id)], id);
    let of_one = |body: Term| function_of(&[PARAMETER], body, id);
    Ok(match function {
        Func::Closure(closure) => Unwinding { scope: &closure.scope, params: Vec::new(), cx }.function(&closure.function)?,
        Func::Constant(datum) => function_of(&[], Term::Datum(datum.clone(), id), id),
        Func::Matches(pattern) => of_one(Term::Datum(pattern.clone(), id)),
        Func::Equals(datum) => of_one(call(TermKind::Eq, vec![Term::Datum(datum.clone(), id), variable()], id)),
        Func::GetField(name, _) => of_one(call(TermKind::GetField, vec![variable(), Term::Datum(name.clone(), id)], id)),
    })
}

fn call(kind: TermKind, args: Vec<Term>, id: BacktraceId) -> Term {
    Term::call(kind, args, id)
}

fn function_of(params: &[i64], body: Term, id: BacktraceId) -> Term {
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
        self.params.push(function.params.clone());
        let body = self.node(&function.body);
        self.params.pop();
        Ok(function_of(&function.params, body?, function.id))
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
                (TermKind::Filter, Node::Function(thunk)) if &**name == "default" => {
                    self.params.push(Vec::new());
                    let body = self.node(&thunk.body);
                    self.params.pop();
                    body?
                }
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

/// A term as a datum.
pub fn to_datum(term: &Term) -> Result<Datum> {
    let mut chain = Vec::new();
    let mut term = term;
    let mut datum = loop {
        match term {
            Term::Datum(datum, _) => break Datum::from(vec![datum.clone()]),
            Term::Call(call) => match call.args.first() {
                Some(first) => {
                    chain.push(&**call);
                    term = first;
                }
                None => break call_to_datum(call, Vec::new())?,
            },
        }
    };
    while let Some(call) = chain.pop() {
        datum = call_to_datum(call, vec![datum])?;
    }
    Ok(datum)
}

fn call_to_datum(call: &Call, mut args: Vec<Datum>) -> Result<Datum> {
    for arg in &call.args[args.len()..] {
        args.push(to_datum(arg)?);
    }
    let mut parts = vec![Datum::from(u32::from(call.kind.number())), Datum::from(args)];
    if !call.optargs.is_empty() {
        let fields = call.optargs.iter().map(|(name, arg)| Ok((name.clone(), to_datum(arg)?)));
        parts.push(Datum::from(fields.collect::<Result<Vec<(Str, Datum)>>>().map(Object::from)?));
    }
    let datum = Datum::from(parts);
    if datum.depth() > NESTING_MAX {
        return Err(Error::logic(format!("A function to be stored nests deeper than {NESTING_MAX}.")));
    }
    Ok(datum)
}

/// The term that a datum stands for.
pub fn from_datum(datum: &Datum) -> Result<Term> {
    let malformed = || Error::internal("a stored function is malformed");
    let id = BacktraceId::NONE;
    let Datum::Array(parts) = datum else { return Err(malformed()) };
    let mut parts = parts.iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(constant), None, None) => Ok(Term::Datum(constant, id)),
        (Some(Datum::Number(kind)), Some(Datum::Array(args)), optargs) => {
            let kind = TermKind::try_from(kind as i64).map_err(|_| malformed())?;
            let args = from_array(&args)?;
            let optargs = match optargs {
                Some(Datum::Object(fields)) => {
                    fields.iter().map(|(name, arg)| Ok((name, from_datum(&arg)?))).collect::<Result<Vec<_>>>()?
                }
                Some(_) => return Err(malformed()),
                None => Vec::new(),
            };
            Ok(Term::Call(Box::new(Call { kind, args, optargs, id })))
        }
        _ => Err(malformed()),
    }
}

fn from_array(items: &Array) -> Result<Vec<Term>> {
    items.iter().map(|item| from_datum(&item)).collect()
}
