//! What a term can be while a query runs, and what the query answers in the end.

use super::fault::Fault;
use super::value::Value;

/// Whether the rows come in an order that the documentation fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// They do.
    Fixed,
    /// They come in any.
    Any,
}

/// Names a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// Of which database.
    pub database: String,
    /// In it.
    pub table: String,
}

/// What a term is.
#[derive(Clone, Debug)]
pub enum Thing {
    /// A value.
    Value(Value),
    /// A whole table.
    Table(TableName),
    /// Documents of a table, as they are now.
    Selection {
        /// Of which table.
        table: TableName,
        /// The documents.
        rows: Vec<Value>,
        /// In which order.
        order: Order,
    },
    /// One document of a table, or the lack of it.
    One {
        /// Of which table.
        table: TableName,
        /// Its primary key.
        key: Value,
        /// The document, or `Null`.
        row: Value,
    },
    /// Rows of no table.
    Stream {
        /// The rows.
        rows: Vec<Value>,
        /// In which order.
        order: Order,
    },
    /// A database.
    Database(String),
    /// Groups: the value they share, and their rows or what became of them.
    Groups(Vec<(Value, Box<Thing>)>),
}

impl Thing {
    /// Rows that are no documents any more.
    pub fn stream(rows: Vec<Value>, order: Order) -> Thing {
        Thing::Stream { rows, order }
    }
}

/// What a query must answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// This value. With [`Order::Any`] an array's elements come in any order.
    Value(Value, Order),
    /// These rows.
    Rows(Vec<Value>, Order),
    /// The summary of a write. Of errors only their number counts, and the documents changed are listed in any order.
    Summary(Value),
}

impl Expected {
    /// One right answer, as the server would send it.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Expected::Value(value, _) | Expected::Summary(value) => value.to_json(),
            Expected::Rows(rows, _) => rows.iter().map(Value::to_json).collect(),
        }
    }
}

impl TryFrom<Thing> for Value {
    type Error = Fault;

    fn try_from(thing: Thing) -> Result<Value, Fault> {
        match thing {
            Thing::Value(value) | Thing::One { row: value, .. } => Ok(value),
            other => Err(Fault::undefined(format_args!("{other:?} where a value is wanted"))),
        }
    }
}
