//! Things that can be called: function literals, and the shortcuts that stand for them.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::context::Cx;
use crate::eval::node::{Function, Traits};
use crate::eval::scope::Scope;
use crate::eval::value::Value;
use crate::eval::{eval, terms};

/// A function literal with the variables it sees.
#[derive(Clone)]
pub struct Closure {
    /// The code.
    pub function: Arc<Function>,
    /// The variables of the functions around it.
    pub scope: Scope,
}

/// Anything callable.
#[derive(Clone)]
pub enum Func {
    /// A function literal.
    Closure(Closure),
    /// `map("field")`: the field of the argument; RethinkDB's `GET_FIELD_SHORTCUT`.
    GetField(Datum),
    /// `filter({a: 1})`: whether the argument has these fields with these values; `CONSTANT`-like values compare by equality.
    Matches(Datum),
    /// `with_fields`-like selectors: `group(["a","b"])`; the argument reduced to the fields named.
    Pluck(Datum),
    /// Always the same, as in `update({a: 1})`.
    Constant(Datum),
}

/// What a value that is no function stands for where a function is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// It is refused: `Expected type FUNCTION but found ...`.
    None,
    /// Always itself.
    Constant,
    /// A string stands for the field of that name.
    GetField,
    /// An object is a pattern to match (`filter`).
    Matches,
}

impl Func {
    /// Calls it. Errors: the wrong number of arguments, or what the body raises.
    pub fn call(&self, args: &[Datum], cx: &Cx) -> Result<Value> {
        match self {
            Func::Closure(closure) => closure.call(args, cx),
            Func::Constant(value) => Ok(Value::Datum(value.clone())),
            Func::GetField(field) => terms::shortcut::get_field(field, only(args)?, cx),
            Func::Matches(pattern) => terms::shortcut::matches(pattern, only(args)?, cx),
            Func::Pluck(pattern) => terms::shortcut::pluck(pattern, only(args)?, cx),
        }
    }

    /// Calls it and reads the result to the end.
    pub fn call_datum(&self, args: &[Datum], cx: &Cx) -> Result<Datum> {
        self.call(args, cx)?.into_datum(cx)
    }

    /// How many arguments it takes; `None`: any number.
    pub fn arity(&self) -> Option<usize> {
        match self {
            Func::Closure(closure) => Some(closure.function.params.len()),
            Func::Constant(_) => None,
            _ => Some(1),
        }
    }

    /// What calling it may do.
    pub fn traits(&self) -> Traits {
        match self {
            Func::Closure(closure) => closure.function.body.traits(),
            _ => Traits::default(),
        }
    }
}

impl Closure {
    fn call(&self, args: &[Datum], cx: &Cx) -> Result<Value> {
        let params = self.function.params.len();
        // A function of no parameters may be given any number of arguments, as in RethinkDB.
        if params != args.len() && params != 0 {
            let plural = if params == 1 { "" } else { "s" };
            return Err(Error::logic(format!("Expected function with {} argument{} but found function with {params} argument{plural}.",
                args.len(), if args.len() == 1 { "" } else { "s" })).at(self.function.id));
        }
        let scope = self.scope.enter(SmallVec::from(args));
        eval(&self.function.body, &scope, cx)
    }
}

fn only(args: &[Datum]) -> Result<&Datum> {
    args.first().ok_or_else(|| Error::logic("Expected a function of at least one argument."))
}
