//! Things that can be called: function literals, and the shortcuts that stand for them.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::datum::{Datum, json};
use crate::error::{Error, Result};
use crate::eval::context::Cx;
use crate::eval::eval;
use crate::eval::node::{Function, Node, Traits};
use crate::eval::plain::Plain;
use crate::eval::scope::Scope;
use crate::eval::script::{Script, Scripted};
use crate::eval::terms::shortcut;
use crate::eval::value::Value;
use crate::limits::NESTING_MAX;
use crate::term::{BacktraceId, TermKind};

/// A function literal with the variables it sees.
#[derive(Clone, Debug)]
pub struct Closure {
    /// The code.
    pub function: Arc<Function>,
    /// The variables of the functions around it.
    pub scope: Scope,
}

/// Anything callable.
#[derive(Clone, Debug)]
pub enum Func {
    /// A function literal.
    Closure(Closure),
    /// `group("field")`: the field of the argument. And where the field's name stands in the query.
    GetField(Datum, BacktraceId),
    /// `filter({a: 1})`: whether the argument has these fields with these values; anything else stands for its truth.
    Matches(Datum),
    /// `count(value)`: whether the argument equals it.
    Equals(Datum),
    /// Always the same, as in `update({a: 1})`.
    Constant(Datum),
    /// The function that a script of `r.js` gives.
    Script(Script),
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

/// The arguments of one call. Most functions take one or two.
pub type Arguments = SmallVec<[Datum; 2]>;

impl Func {
    /// Calls it. Errors: the wrong number of arguments, or what the body raises.
    pub fn call(&self, args: &[Datum], cx: &Cx) -> Result<Value> {
        self.call_with(SmallVec::from(args), cx)
    }

    /// Calls it with arguments that are given away.
    pub fn call_with(&self, args: Arguments, cx: &Cx) -> Result<Value> {
        match self {
            Func::Closure(closure) => closure.call(args, cx),
            Func::Constant(value) => Ok(Value::Datum(value.clone())),
            Func::GetField(field, id) => shortcut::get_field(field, only(&args)?, cx).map_err(|error| error.at(*id)),
            Func::Matches(pattern) => Ok(Value::from(shortcut::matches(pattern, only(&args)?)?)),
            Func::Equals(value) => Ok(Value::from(value == only(&args)?)),
            Func::Script(script) => match cx.world().script(script, Some(&args), cx) {
                Ok(Scripted::Value(datum)) => Ok(Value::Datum(datum)),
                Ok(Scripted::Function) => Err(Error::internal("A script answered a call with a function.")),
                Err(error) => Err(error),
            }
            .map_err(|error| error.at(script.id)),
        }
    }

    /// Calls it; the result must be a datum.
    pub fn call_datum(&self, args: &[Datum], cx: &Cx) -> Result<Datum> {
        self.call_datum_with(SmallVec::from(args), cx)
    }

    /// Calls it with arguments that are given away; the result must be a datum.
    pub fn call_datum_with(&self, args: Arguments, cx: &Cx) -> Result<Datum> {
        if let Some(datum) = self.plain(args.len(), cx).and_then(|plain| plain.datum(&args)) {
            return Ok(datum);
        }
        self.call_in_full(args, cx)
    }

    fn call_in_full(&self, args: Arguments, cx: &Cx) -> Result<Datum> {
        let value = self.call_with(args, cx)?;
        match value {
            Value::Datum(datum) => Ok(datum),
            other => other.into_datum(cx).map_err(|error| self.blame(error)),
        }
    }

    /// Calls it with one argument; the result must be a datum.
    pub fn apply(&self, argument: Datum, cx: &Cx) -> Result<Datum> {
        self.call_datum_with(smallvec![argument], cx)
    }

    /// The same with an argument that is only lent, and not copied in the frequent cases.
    pub fn apply_to(&self, argument: &Datum, cx: &Cx) -> Result<Datum> {
        let plain = self.plain(1, cx).and_then(|plain| plain.datum(std::slice::from_ref(argument)));
        plain.map_or_else(|| self.call_in_full(smallvec![argument.clone()], cx), Ok)
    }

    /// The plain form of a function of so many parameters; a step of the query.
    fn plain(&self, args: usize, cx: &Cx) -> Option<&Plain> {
        let Func::Closure(Closure { function, .. }) = self else { return None };
        let plain = function.plain.as_ref().filter(|_| function.params.len() == args)?;
        cx.step();
        Some(plain)
    }

    /// Calls it as the predicate of `filter`: an object literal is a pattern, everything else counts by its truth. A
    /// `null` counts as something missing.
    pub fn accepts(&self, element: &Datum, cx: &Cx) -> Result<bool> {
        match self {
            Func::Matches(pattern) => shortcut::matches(pattern, element),
            Func::Equals(value) => Ok(value == element),
            Func::Closure(closure) => {
                let plain = self.plain(1, cx).and_then(|plain| plain.truth(std::slice::from_ref(element)));
                if let Some(truth) = plain {
                    return Ok(truth);
                }
                let result = self.call_in_full(smallvec![element.clone()], cx)?;
                match &result {
                    Datum::Bool(truth) => Ok(*truth),
                    Datum::Object(_) if closure.is_pattern() => shortcut::matches(&result, element),
                    other => Ok(other.is_truthy()),
                }
            }
            other => Ok(other.apply(element.clone(), cx)?.is_truthy()),
        }
    }

    /// How many arguments it takes; `None`: any number.
    pub fn arity(&self) -> Option<usize> {
        match self {
            Func::Closure(closure) => Some(closure.function.params.len()),
            Func::Constant(_) => Some(0),
            Func::Script(_) => None,
            _ => Some(1),
        }
    }

    /// What calling it may do.
    pub fn traits(&self) -> Traits {
        match self {
            Func::Closure(closure) => closure.function.body.traits(),
            Func::Script(_) => Traits { nondeterministic: true, ..Traits::default() },
            _ => Traits::default(),
        }
    }

    /// Where it stands in the query, if it stands there at all.
    pub fn id(&self) -> Option<BacktraceId> {
        match self {
            Func::Closure(closure) => Some(closure.function.id),
            Func::Script(script) => Some(script.id),
            Func::GetField(_, id) => Some(*id),
            Func::Matches(_) | Func::Equals(_) | Func::Constant(_) => None,
        }
    }

    /// Where what it computes stands in the query: RethinkDB's place of a function.
    pub fn body_id(&self) -> Option<BacktraceId> {
        match self {
            Func::Closure(closure) => Some(closure.function.body.id()),
            other => other.id(),
        }
    }

    /// The same with a place for its errors, where it has none of its own.
    #[must_use]
    pub fn located(self, id: BacktraceId) -> Func {
        match self {
            Func::GetField(field, BacktraceId::NONE) => Func::GetField(field, id),
            other => other,
        }
    }

    /// Lays an error about its result at its door.
    #[must_use]
    pub fn blame(&self, error: Error) -> Error {
        match self {
            Func::Closure(closure) => error.at(closure.function.body.id()),
            Func::Script(script) => error.at(script.id),
            _ => error,
        }
    }

    /// Lays an error about its result at the door of the whole function: one that RethinkDB finds in the datum itself.
    #[must_use]
    pub fn blame_whole(&self, error: Error) -> Error {
        match self {
            Func::Closure(closure) => error.at(closure.function.id),
            _ => error,
        }
    }
}

impl Closure {
    fn call(&self, args: Arguments, cx: &Cx) -> Result<Value> {
        let params = self.function.params.len();
        // A function of no parameters may be given any number of arguments, as in RethinkDB.
        if params != args.len() && params != 0 {
            let plural = |count: usize| if count == 1 { "" } else { "s" };
            let found = args.len();
            return Err(Error::logic(format!(
                "Expected function with {found} argument{} but found function with {params} argument{}.",
                plural(found),
                plural(params)
            ))
            .at(self.function.body.id()));
        }
        let mark = cx.held();
        if let Some(trace) = cx.trace() {
            trace.hush();
        }
        let value = eval(&self.function.body, &self.scope.enter(args), cx);
        if let Some(trace) = cx.trace() {
            trace.speak();
        }
        // Whoever gathers results counts them.
        cx.release_to(mark);
        let value = value?;
        if let Value::Datum(datum) = &value {
            check_growth(datum, cx).map_err(|error| error.at(self.function.body.id()))?;
        }
        Ok(value)
    }

    /// Whether the body is an object literal, which `filter` takes for a pattern.
    fn is_pattern(&self) -> bool {
        match &self.function.body {
            Node::Constant(..) => true,
            Node::Call(call) => call.kind == TermKind::MakeObj,
            _ => false,
        }
    }
}

/// A query is finite, but a function that `fold` or `reduce` gives its own result again and again could nest or double
/// a value until it takes all memory, or all time to walk.
fn check_growth(datum: &Datum, cx: &Cx) -> Result<()> {
    if datum.depth() > NESTING_MAX {
        return Err(Error::resource(format!("Value nested more than {NESTING_MAX} levels deep.")));
    }
    json::within_size(datum)?;
    cx.check_room(datum.footprint())
}

fn only(args: &[Datum]) -> Result<&Datum> {
    args.first().ok_or_else(|| Error::logic("Expected a function of at least one argument."))
}

#[cfg(test)]
mod tests {
    use crate::eval::{Cx, Scope, compile, eval};
    use crate::term::{Message, parse};

    /// What an error threw away is not held: a filter that drops a thousand rows for want of something goes on for ever.
    #[test]
    fn what_led_to_an_error_is_given_back() {
        let sorted = "[41,[[173,[2000]],[69,[[2,[2]],[10,[2]]]]]]";
        let query = format!("[1,[39,[[173,[1000]],[69,[[2,[1]],[17,[[45,[{sorted},5000]],1]]]]]],{{}}]");
        let Ok(Message::Start(start)) = parse(query.as_bytes()) else { panic!("{query} is no query") };
        let cx = Cx::pure();
        let value = eval(&compile(&start.term).expect("compiles").root, &Scope::empty(), &cx).expect("is a stream");
        let rows = value.into_answer(&cx).expect("drops every row");
        assert_eq!(rows.to_json().expect("JSON"), "[]");
        assert!(cx.held() < 10_000, "{} bytes are held", cx.held());
    }
}
