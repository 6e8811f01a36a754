//! `set_write_hook`, `get_write_hook`.

use bytes::Bytes;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Shortcut, Value};

use crate::catalog::{Permission, WriteHook};
use crate::definition;
use crate::mismatch;
use crate::print;
use crate::selection::TableRef;

/// `set_write_hook(function | binary | null)`.
pub(super) fn set(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let hook = hook(args)?;
    not_special(&table)?;
    table.surroundings.require_on(Permission::Config, table.info())?;
    let removed = hook.is_none();
    let before = table.surroundings.environment.catalog.set_write_hook(table.info(), hook)?;
    let what = match (removed, before) {
        // Also when there was none.
        (true, _) => "deleted",
        (false, Some(_)) => "replaced",
        (false, None) => "created",
    };
    Ok(Value::Datum(Datum::Object(Object::from([(what, 1)]))))
}

fn hook(args: &Args<'_>) -> Result<Option<WriteHook>> {
    let id = args.id(1);
    let value = args.value(1)?;
    match &value {
        Value::Datum(Datum::Null) => Ok(None),
        Value::Datum(Datum::Binary(bytes)) => {
            let definition = definition::read_hook(bytes).map_err(|error| error.at(id))?;
            Ok(Some(WriteHook { definition }))
        }
        Value::Function(_) => {
            let function = value.into_function(Shortcut::None, args.cx()).map_err(|error| error.at(id))?;
            if !function.traits().timeless() {
                let message = "Could not prove function deterministic.  Write hook functions must be deterministic.";
                return Err(Error::logic(message).at(function.body_id().unwrap_or(id)));
            }
            if function.arity() != Some(3) {
                return Err(Error::logic("Write hook functions must expect 3 arguments."));
            }
            Ok(Some(WriteHook { definition: definition::encode(&function, args.cx())? }))
        }
        other => Err(mismatch::expected("FUNCTION", other).at(id)),
    }
}

/// `get_write_hook()`.
pub(super) fn get(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    table.surroundings.require_on(Permission::Read, table.info())?;
    let Some(hook) = table.surroundings.environment.catalog.write_hook(table.info())? else {
        return Ok(Value::Datum(Datum::Null));
    };
    Ok(Value::Datum(hook.to_datum()))
}

impl WriteHook {
    /// `{function, query}`: what `get_write_hook` and the document of `table_config` show.
    pub fn to_datum(&self) -> Datum {
        Datum::Object(Object::from([
            ("function", Datum::Binary(Bytes::from(definition::hook_bytes(self)))),
            ("query", Datum::from(print::set_write_hook(&self.definition))),
        ]))
    }
}

fn not_special(table: &TableRef) -> Result<()> {
    if table.info().system {
        let db = &table.info().db_name;
        let message = format!("Database `{db}` is special; you can't set a write hook on the tables in it.");
        return Err(Error::op_failed(message));
    }
    Ok(())
}
