//! What a term gives: a datum, a sequence not yet read, a function, or something of the world outside.

use std::any::Any;
use std::rc::Rc;

use crate::datum::{Datum, Str};
use crate::error::Result;
use crate::eval::args::Args;
use crate::eval::context::Cx;
use crate::eval::function::Func;
use crate::eval::sequence::{Sequence, Stream};

/// The result of a term.
pub enum Value {
    /// A plain value.
    Datum(Datum),
    /// A sequence that is read only when somebody needs its elements.
    Sequence(Sequence),
    /// Something callable.
    Function(Func),
    /// The result of `group` with each group's value known: (group, value) in the order of groups.
    Grouped(Vec<(Datum, Value)>),
    /// A database.
    Db(Db),
    /// A table, or a range of one (`between`), or an ordered one (`order_by` with an index).
    Table(Rc<dyn TableValue>),
    /// One document of a table, not yet read (`get`).
    Row(Rc<dyn RowValue>),
}

/// A database as a value.
#[derive(Clone, Debug)]
pub struct Db {
    /// Its UUID as text.
    pub id: Str,
    /// Its name.
    pub name: Str,
}

/// A table or a part of it, as the evaluator sees it. Implemented by `photondb-query`.
pub trait TableValue {
    /// RethinkDB's name of the type: `TABLE`, `TABLE_SLICE` or `SELECTION<STREAM>`.
    fn type_name(&self) -> &'static str;

    /// Starts reading the documents.
    fn open(&self, cx: &Cx) -> Result<Box<dyn Stream>>;

    /// The chance to do a term on this table in a better way than reading it through (`count`, `order_by` with an index,
    /// `distinct` with an index, ...), or one that only tables know (`get`, `insert`, `index_create`, ...).
    /// `None`: the term is evaluated on the sequence of documents, or refused where it needs another type.
    fn term(self: Rc<Self>, args: &Args<'_>) -> Option<Result<Value>>;

    /// How the value is shown in error messages, such as `table("x")`.
    fn describe(&self) -> String;

    /// For the crate that implements it, to find its own type again.
    fn as_any(&self) -> &dyn Any;
}

/// One document of a table, named by its key. Implemented by `photondb-query`.
pub trait RowValue {
    /// Reads the document once; `Null` when there is none.
    fn read(&self, cx: &Cx) -> Result<Datum>;

    /// The chance to do a term by itself (`update`, `delete`, `changes`, ...); `None`: evaluated on the document.
    fn term(self: Rc<Self>, args: &Args<'_>) -> Option<Result<Value>>;

    /// How the value is shown in error messages.
    fn describe(&self) -> String;

    /// For the crate that implements it, to find its own type again.
    fn as_any(&self) -> &dyn Any;
}

impl From<Datum> for Value {
    fn from(datum: Datum) -> Value {
        Value::Datum(datum)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Datum(Datum::Bool(value))
    }
}
