//! Values of the evaluator as the tables, rows and databases of this crate.

use std::rc::Rc;

use photondb_reql::error::{Error, Result};
use photondb_reql::eval::value::Db;
use photondb_reql::eval::{Cx, Value, signature};

use crate::row::RowRef;
use crate::selection::TableRef;

/// The error for a value that is not of the type wanted.
pub(crate) fn expected(wanted: &str, found: &Value) -> Error {
    signature::expected_kind(wanted, found)
}

/// The value as a whole table.
pub(crate) fn as_table(value: Value, _cx: &Cx) -> Result<TableRef> {
    if let Value::Table(table) = &value
        && let Some(table) = table.as_any().downcast_ref::<TableRef>()
        && table.is_whole()
    {
        return Ok(table.clone());
    }
    Err(expected("TABLE", &value))
}

/// The value as a table or a range of one.
pub(crate) fn as_slice(value: Value, _cx: &Cx) -> Result<TableRef> {
    if let Value::Table(table) = &value
        && let Some(table) = table.as_any().downcast_ref::<TableRef>()
        && table.as_slice().is_some()
    {
        return Ok(table.clone());
    }
    Err(expected("TABLE_SLICE", &value))
}

/// The value as a database.
pub(crate) fn as_db(value: Value, _cx: &Cx) -> Result<Db> {
    match value {
        Value::Db(db) => Ok(db),
        other => Err(expected("DATABASE", &other)),
    }
}

/// The value as a row of a table.
pub(crate) fn as_row(value: &Value) -> Option<Rc<RowRef>> {
    match value {
        Value::Row(row) => row.as_any().downcast_ref::<RowRef>().map(|row| Rc::new(row.clone())),
        _ => None,
    }
}
