//! What a term gives: a datum, a sequence not yet read, a function, or something of the world outside.

use std::any::Any;
use std::rc::Rc;

use crate::datum::{Datum, Object, Str};
use crate::error::{Error, Result};
use crate::eval::args::Args;
use crate::eval::context::Cx;
use crate::eval::function::{Func, Shortcut};
use crate::eval::sequence::{Sequence, Source, Stream};
use crate::eval::signature;
use crate::term::BacktraceId;
use crate::transform::Transform;

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

/// A document, and the value by which an index has it.
#[derive(Clone, Debug)]
pub struct Filed {
    /// The document. One that a `multi` index has several times comes once for each.
    pub document: Datum,
    /// The value.
    pub value: Datum,
}

/// A table or a part of it, as the evaluator sees it. Implemented by `photondb-query`.
pub trait TableValue {
    /// RethinkDB's name of the type: `TABLE`, `TABLE_SLICE` or `SELECTION<STREAM>`.
    fn type_name(&self) -> &'static str;

    /// Starts reading the documents. `transforms` are what will be done to them, in order: documents that these would drop
    /// without an error may be left out, and the order may be another where the table has none of its own.
    fn open(&self, transforms: &[Transform], cx: &Cx) -> Result<Box<dyn Stream>>;

    /// The chance to do a term on this table in a better way than reading it through (`count`, `order_by` with an index,
    /// `distinct` with an index, ...), or one that only tables know (`get`, `insert`, `index_create`, ...).
    /// `None`: the term is evaluated on the sequence of documents, or refused where it needs another type. The table is
    /// `args`' first argument, already known: reading it again costs nothing.
    fn term(self: Rc<Self>, args: &Args<'_>) -> Option<Result<Value>>;

    /// Reads every document together with the value by which the index that it is read by has it, in batches: what `group` by
    /// that index needs ([`crate::transform::GroupBy::index`]).
    fn read_filed(&self, _cx: &Cx, _each: &mut dyn FnMut(Vec<Filed>) -> Result<()>) -> Result<()> {
        Err(Error::internal("a table that knows no indexes was grouped by one"))
    }

    /// One of its documents as something that can be written to (`nth` of a selection).
    fn row(self: Rc<Self>, document: Datum) -> Value {
        Value::Datum(document)
    }

    /// Whether it is known to be empty without a look at the data: `get_all` without a key, a range whose end is not behind its
    /// start.
    fn is_nothing(&self) -> bool {
        false
    }

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

impl Value {
    /// As a datum. Only a datum is one, and one document of a table: a stream is not read here, as in RethinkDB
    /// (`coerce_to('array')` does that). Errors: `Expected type DATUM but found ...`.
    pub fn into_datum(self, cx: &Cx) -> Result<Datum> {
        match self {
            Value::Datum(datum) => Ok(datum),
            Value::Row(row) => row.read(cx),
            Value::Sequence(sequence) if sequence.is_plain_array() => sequence.read_array(cx).map(Datum::from),
            other => Err(signature::expected_kind("DATUM", &other)),
        }
    }

    /// As one datum whatever it is: what a query without a cursor answers. Sequences are read to their end, grouped values
    /// become `GROUPED_DATA`. Errors: also the array limit, and values that cannot be sent.
    pub fn into_answer(self, cx: &Cx) -> Result<Datum> {
        match self {
            Value::Sequence(sequence) if sequence.is_grouped() => grouped_data(sequence.read_groups(cx)?, cx),
            Value::Sequence(sequence) => sequence.read_answer(cx).map(Datum::from),
            Value::Table(table) => Sequence::table(table).read_array(cx).map(Datum::from),
            Value::Grouped(groups) => grouped_data(groups, cx),
            Value::Datum(datum) => Ok(datum),
            Value::Row(row) => row.read(cx),
            other => Err(Error::logic(format!(
                "Query result must be of type DATUM, GROUPED_DATA, or STREAM (got {}).",
                other.kind_name()
            ))),
        }
    }

    /// As a sequence. Errors: `Cannot convert NUMBER to SEQUENCE`.
    pub fn into_sequence(self, _cx: &Cx) -> Result<Sequence> {
        match self {
            Value::Sequence(sequence) => Ok(sequence),
            Value::Table(table) => Ok(Sequence::table(table)),
            Value::Datum(Datum::Array(array)) => Ok(Sequence::array(array)),
            Value::Datum(datum) => Err(no_sequence(&datum)),
            other => Err(signature::expected_kind("SEQUENCE", &other)),
        }
    }

    /// As a sequence that ends. Errors: also for feeds and infinite ranges.
    pub fn into_finite_sequence(self, cx: &Cx) -> Result<Sequence> {
        let sequence = self.into_sequence(cx)?;
        sequence.check_finite()?;
        Ok(sequence)
    }

    /// As truth: only `null` and `false` are false.
    pub fn into_truth(self, cx: &Cx) -> Result<bool> {
        Ok(self.into_datum(cx)?.is_truthy())
    }

    /// As something callable; what is no function stands for one as `shortcut` says.
    pub fn into_function(self, shortcut: Shortcut, cx: &Cx) -> Result<Func> {
        let value = match self {
            Value::Function(function) => return Ok(function),
            value @ (Value::Datum(_) | Value::Row(_)) if shortcut != Shortcut::None => value.into_datum(cx)?,
            other => return Err(signature::expected_kind("FUNCTION", &other)),
        };
        Ok(match shortcut {
            Shortcut::GetField => Func::GetField(value, BacktraceId::NONE),
            Shortcut::Matches => Func::Matches(value),
            Shortcut::None | Shortcut::Constant => Func::Constant(value),
        })
    }

    /// About how many bytes of memory it takes; `usize::MAX` for a stream, of which nobody knows what it has gathered.
    pub(crate) fn footprint(&self) -> usize {
        match self {
            Value::Datum(datum) => datum.footprint(),
            Value::Sequence(sequence) => match &sequence.source {
                Source::Array(array) => Datum::Array(array.clone()).footprint(),
                Source::Table(_) => 0,
                Source::Union(_) | Source::Stream(_) => usize::MAX,
            },
            Value::Grouped(groups) => {
                let group = |(group, value): &(Datum, Value)| group.footprint().saturating_add(value.footprint());
                groups.iter().map(group).fold(0, usize::saturating_add)
            }
            Value::Function(_) | Value::Db(_) | Value::Table(_) | Value::Row(_) => 0,
        }
    }

    /// What `type_of` answers.
    pub fn type_name(&self) -> String {
        match self {
            Value::Datum(datum) => datum.type_name(),
            Value::Sequence(sequence) => match (&sequence.table, sequence.is_grouped()) {
                (_, true) => "GROUPED_STREAM".to_owned(),
                (Some(_), false) if sequence.is_array() => "SELECTION<ARRAY>".to_owned(),
                (Some(_), false) => "SELECTION<STREAM>".to_owned(),
                (None, false) => "STREAM".to_owned(),
            },
            Value::Function(_) => "FUNCTION".to_owned(),
            Value::Grouped(_) => "GROUPED_DATA".to_owned(),
            Value::Db(_) => "DB".to_owned(),
            Value::Table(table) => table.type_name().to_owned(),
            Value::Row(_) => "SELECTION<OBJECT>".to_owned(),
        }
    }

    /// What error messages call it.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Datum(_) => "DATUM",
            Value::Sequence(Sequence { table: Some(_), .. }) => "SELECTION",
            Value::Sequence(_) => "SEQUENCE",
            Value::Function(_) => "FUNCTION",
            Value::Grouped(_) => "GROUPED_DATA",
            Value::Db(_) => "DATABASE",
            Value::Table(table) => match table.type_name() {
                "SELECTION<STREAM>" => "SELECTION",
                other => other,
            },
            Value::Row(_) => "SINGLE_SELECTION",
        }
    }

    /// How error messages show it.
    pub fn describe(&self) -> String {
        match self {
            Value::Datum(datum) => datum.print(),
            Value::Sequence(Sequence { table: Some(table), .. }) => {
                let table = table.describe();
                match table.strip_prefix("table(\"").and_then(|rest| rest.strip_suffix("\")")) {
                    Some(name) => format!("SELECTION ON table({name})"),
                    None => table,
                }
            }
            Value::Db(db) => format!("db(\"{}\")", db.name),
            Value::Table(table) => table.describe(),
            Value::Row(row) => row.describe(),
            other => format!("VALUE {}", other.kind_name()),
        }
    }

    /// How messages that shorten long values show it.
    pub fn describe_truncated(&self) -> String {
        match self {
            Value::Datum(datum) => datum.print_truncated(),
            other => other.describe(),
        }
    }
}

/// The error for a datum that is no sequence.
pub fn no_sequence(datum: &Datum) -> Error {
    Error::wrong_type(datum, format!("Cannot convert {} to SEQUENCE", datum.type_name()))
}

fn grouped_data(groups: Vec<(Datum, Value)>, cx: &Cx) -> Result<Datum> {
    let mut pairs = Vec::with_capacity(groups.len());
    for (group, value) in groups {
        pairs.push(Datum::from(vec![group, value.into_answer(cx)?]));
    }
    Ok(Datum::from(Object::from([("$reql_type$", Datum::from("GROUPED_DATA")), ("data", Datum::from(pairs))])))
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
