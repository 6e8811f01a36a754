//! How a term reads its arguments: lazily, typed, with errors located at the argument.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::datum::{Datum, Str};
use crate::error::{Error, Result};
use crate::eval::context::Cx;
use crate::eval::function::{Func, Shortcut};
use crate::eval::node::{CallNode, Node, Traits};
use crate::eval::scope::Scope;
use crate::eval::sequence::Sequence;
use crate::eval::value::Value;
use crate::eval::{eval, signature};
use crate::term::{BacktraceId, TermKind};

/// One call being evaluated. An argument is evaluated each time it is read, so a term reads each once.
pub struct Args<'a> {
    call: &'a Arc<CallNode>,
    scope: &'a Scope,
    cx: &'a Cx,
    /// With `r.args` among the arguments: all of them, evaluated or not.
    spliced: Option<Vec<Spliced<'a>>>,
    /// The first argument when it is already known: it had to be looked at to see whether it is grouped.
    first: RefCell<Option<Value>>,
    /// Where the first argument came about, once it was evaluated.
    first_origin: Cell<Option<BacktraceId>>,
    /// The argument that was read last, and where it came about.
    last_origin: Cell<Option<(usize, BacktraceId)>>,
}

enum Spliced<'a> {
    Node(&'a Node),
    Datum(Datum, BacktraceId),
}

impl<'a> Args<'a> {
    /// Prepares the arguments of `call`; evaluates `r.args` and checks the number of arguments when it is there.
    pub fn new(call: &'a Arc<CallNode>, scope: &'a Scope, cx: &'a Cx) -> Result<Args<'a>> {
        let mut args = Args {
            call,
            scope,
            cx,
            spliced: None,
            first: RefCell::new(None),
            first_origin: Cell::new(None),
            last_origin: Cell::new(None),
        };
        if call.spliced {
            args.splice()?;
        }
        Ok(args)
    }

    /// The arguments of `call`, the first of them already evaluated.
    pub(crate) fn with_known_first(call: &'a Arc<CallNode>, first: Value, scope: &'a Scope, cx: &'a Cx) -> Args<'a> {
        let first_origin = Cell::new(Some(cx.origin()));
        let last_origin = Cell::new(None);
        Args { call, scope, cx, spliced: None, first: RefCell::new(Some(first)), first_origin, last_origin }
    }

    /// As [`Args::with_known_first`], for a call that may hold `r.args`.
    pub(crate) fn with_first_of(
        call: &'a Arc<CallNode>,
        first: Value,
        scope: &'a Scope,
        cx: &'a Cx,
    ) -> Result<Args<'a>> {
        let args = Args::new(call, scope, cx)?;
        args.put_first(first);
        Ok(args)
    }

    /// The same call with its first argument replaced: how a term is applied to each group.
    pub fn with_first(&self, value: Value) -> Args<'a> {
        let spliced = self.spliced.as_ref().map(|all| {
            all.iter()
                .map(|one| match one {
                    Spliced::Node(node) => Spliced::Node(node),
                    Spliced::Datum(datum, id) => Spliced::Datum(datum.clone(), *id),
                })
                .collect()
        });
        Args {
            call: self.call,
            scope: self.scope,
            cx: self.cx,
            spliced,
            first: RefCell::new(Some(value)),
            first_origin: self.first_origin.clone(),
            last_origin: Cell::new(None),
        }
    }

    fn splice(&mut self) -> Result<()> {
        let mut all = Vec::with_capacity(self.call.args.len());
        for node in &self.call.args {
            match node {
                Node::Call(inner) if inner.kind == TermKind::Args => {
                    let [list] = inner.args.as_slice() else {
                        return Err(
                            Error::compile(format!("Expected 1 argument but found {}.", inner.args.len())).at(inner.id)
                        );
                    };
                    let datum = eval(list, self.scope, self.cx)?.into_datum(self.cx).map_err(|e| e.at(list.id()))?;
                    let Datum::Array(array) = &datum else {
                        return Err(signature::expected_type("ARRAY", &datum).at(inner.id));
                    };
                    all.extend(array.iter().map(|one| Spliced::Datum(one, self.call.id)));
                }
                node => all.push(Spliced::Node(node)),
            }
        }
        signature::check_arity(self.call.kind, all.len()).map_err(|error| Error::logic(error.message))?;
        self.spliced = Some(all);
        Ok(())
    }

    /// Which term this is.
    pub fn kind(&self) -> TermKind {
        self.call.kind
    }

    /// The call itself, for terms that look at their arguments' code.
    pub fn call(&self) -> &'a Arc<CallNode> {
        self.call
    }

    /// The variables in scope.
    pub fn scope(&self) -> &'a Scope {
        self.scope
    }

    /// The query's context.
    pub fn cx(&self) -> &'a Cx {
        self.cx
    }

    /// The number of positional arguments.
    pub fn len(&self) -> usize {
        self.spliced.as_ref().map_or(self.call.args.len(), Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where errors about argument `index` point: where its value came about, when it was read, or where it stands.
    pub fn id(&self, index: usize) -> BacktraceId {
        if index == 0
            && let Some(id) = self.first_origin.get()
        {
            return id;
        }
        match self.last_origin.get() {
            Some((read, id)) if read == index => id,
            _ => self.place(index),
        }
    }

    fn place(&self, index: usize) -> BacktraceId {
        match &self.spliced {
            None => self.call.args[index].id(),
            Some(all) => match &all[index] {
                Spliced::Node(node) => node.id(),
                Spliced::Datum(_, id) => *id,
            },
        }
    }

    /// What evaluating argument `index` may do.
    pub fn traits(&self, index: usize) -> Traits {
        match &self.spliced {
            None => self.call.args[index].traits(),
            Some(all) => match &all[index] {
                Spliced::Node(node) => node.traits(),
                Spliced::Datum(..) => Traits::default(),
            },
        }
    }

    /// Evaluates argument `index`.
    pub fn value(&self, index: usize) -> Result<Value> {
        if index == 0
            && let Some(first) = self.first.borrow_mut().take()
        {
            return Ok(first);
        }
        let node = match &self.spliced {
            None => &self.call.args[index],
            Some(all) => match &all[index] {
                Spliced::Node(node) => node,
                Spliced::Datum(datum, _) => return Ok(Value::Datum(datum.clone())),
            },
        };
        let value = eval(node, self.scope, self.cx)?;
        let origin = self.cx.origin();
        if index == 0 {
            self.first_origin.set(Some(origin));
        } else {
            self.last_origin.set(Some((index, origin)));
        }
        Ok(value)
    }

    /// Looks at the first argument without taking it: it is evaluated once and kept for [`Args::value`].
    pub fn peek_first<T>(&self, look: impl FnOnce(&Value) -> T) -> Result<T> {
        let value = self.value(0)?;
        let seen = look(&value);
        self.put_first(value);
        Ok(seen)
    }

    /// Gives back the first argument, for whoever reads it next.
    pub(crate) fn put_first(&self, value: Value) {
        if self.first_origin.get().is_none() {
            self.first_origin.set(Some(self.cx.origin()));
        }
        *self.first.borrow_mut() = Some(value);
    }

    /// Argument `index`, converted by `convert`, whose errors are located at the argument.
    pub fn convert<T>(&self, index: usize, convert: impl FnOnce(Value, &Cx) -> Result<T>) -> Result<T> {
        let value = self.value(index)?;
        convert(value, self.cx).map_err(|error| error.at(self.id(index)))
    }

    /// Argument `index` as a datum. A stream is none: `Expected type DATUM but found SEQUENCE`.
    pub fn datum(&self, index: usize) -> Result<Datum> {
        self.convert(index, Value::into_datum)
    }

    /// Argument `index` as a number. Errors: `Expected type NUMBER but found ...`.
    pub fn number(&self, index: usize) -> Result<f64> {
        self.convert(index, |value, cx| signature::number(&value.into_datum(cx)?))
    }

    /// Argument `index` as a whole number.
    pub fn integer(&self, index: usize) -> Result<i64> {
        self.convert(index, |value, cx| signature::integer(&value.into_datum(cx)?))
    }

    /// Argument `index` as a string.
    pub fn string(&self, index: usize) -> Result<Str> {
        self.convert(index, |value, cx| signature::string(&value.into_datum(cx)?))
    }

    /// Argument `index` as truth: only `null` and `false` are false.
    pub fn truth(&self, index: usize) -> Result<bool> {
        self.convert(index, Value::into_truth)
    }

    /// Argument `index` as a sequence (array, stream, table, ...). That a datum is none is held against the term.
    pub fn sequence(&self, index: usize) -> Result<Sequence> {
        self.value_as_sequence(index, self.value(index)?)
    }

    /// The value of argument `index`, already read, as a sequence.
    pub fn value_as_sequence(&self, index: usize, value: Value) -> Result<Sequence> {
        let of_datum = matches!(value, Value::Datum(_));
        value.into_sequence(self.cx).map_err(|error| if of_datum { error } else { error.at(self.id(index)) })
    }

    /// The value of argument `index`, already read, as a sequence that ends.
    pub fn value_as_finite_sequence(&self, index: usize, value: Value) -> Result<Sequence> {
        let sequence = self.value_as_sequence(index, value)?;
        sequence.check_finite().map_err(|error| error.at(self.id(index)))?;
        Ok(sequence)
    }

    /// Argument `index` as a sequence that ends: feeds and infinite ranges are refused.
    pub fn finite_sequence(&self, index: usize) -> Result<Sequence> {
        self.value_as_finite_sequence(index, self.value(index)?)
    }

    /// Argument `index` as a whole number of 32 bits.
    pub fn small_integer(&self, index: usize) -> Result<i32> {
        self.convert(index, |value, cx| signature::small_integer(&value.into_datum(cx)?))
    }

    /// Argument `index` as something callable; other values as `shortcut` says.
    pub fn function(&self, index: usize, shortcut: Shortcut) -> Result<Func> {
        let id = self.place(index);
        self.convert(index, |value, cx| value.into_function(shortcut, cx)).map(|function| function.located(id))
    }

    /// The node of an optional argument, unevaluated.
    pub fn optarg_node(&self, name: &str) -> Option<&'a Node> {
        self.call.optargs.iter().find(|(known, _)| &**known == name).map(|(_, node)| node)
    }

    /// An optional argument, evaluated; only those of the term itself.
    pub fn optarg(&self, name: &str) -> Result<Option<Value>> {
        self.optarg_node(name).map(|node| eval(node, self.scope, self.cx)).transpose()
    }

    /// An optional argument as a datum. Falls back to the query's global of that name.
    pub fn optarg_datum(&self, name: &str) -> Result<Option<Datum>> {
        match self.optarg_node(name) {
            Some(node) => {
                let value = eval(node, self.scope, self.cx)?;
                value.into_datum(self.cx).map(Some).map_err(|error| error.at(node.id()))
            }
            None => Ok(self.cx.global(name)),
        }
    }

    /// An optional argument converted by `convert`, whose errors are located at it.
    pub fn optarg_as<T>(&self, name: &str, convert: impl FnOnce(&Datum) -> Result<T>) -> Result<Option<T>> {
        let id = self.optarg_node(name).map_or(self.call.id, Node::id);
        match self.optarg_datum(name)? {
            Some(datum) => convert(&datum).map(Some).map_err(|error| error.at(id)),
            None => Ok(None),
        }
    }

    /// An optional argument as a truth value.
    pub fn optarg_bool(&self, name: &str) -> Result<Option<bool>> {
        self.optarg_as(name, signature::boolean)
    }

    /// An optional argument as a string.
    pub fn optarg_string(&self, name: &str) -> Result<Option<Str>> {
        self.optarg_as(name, signature::string)
    }
}
