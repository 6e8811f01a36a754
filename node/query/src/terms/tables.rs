//! `table`, `table_create`, `table_drop`, `table_list`.

use std::rc::Rc;

use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::value::Db;
use photondb_reql::eval::{Args, Value};

use super::write::soft_durability;
use super::{databases, layout, names};
use crate::catalog::{Compression, IdentifierFormat, Permission, SYSTEM_DATABASE, Scope, TableOptions, TableSpec};
use crate::mismatch;
use crate::selection::TableRef;
use crate::surroundings::Surroundings;
use crate::table::ReadMode;

/// `table(name, {read_mode, identifier_format})` on a database or without one.
pub(super) fn table(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    if args.optarg_datum("use_outdated")?.is_some() {
        return Err(Error::logic(
            "The `use_outdated` optarg is no longer supported.  Use the `read_mode` optarg instead.",
        ));
    }
    let mode = match args.optarg_string("read_mode")?.as_deref() {
        None | Some("single") => ReadMode::Single,
        Some("majority") => ReadMode::Majority,
        Some("outdated" | "_debug_direct") => ReadMode::Outdated,
        Some(other) => {
            return Err(Error::logic(format!(
                "Read mode `{other}` unrecognized (options are \"majority\", \"single\", and \"outdated\")."
            )));
        }
    };
    let identifier_format = match args.optarg_string("identifier_format")?.as_deref() {
        None | Some("name") => IdentifierFormat::Name,
        Some("uuid") => IdentifierFormat::Uuid,
        Some(other) => {
            return Err(Error::logic(format!(
                "Identifier format `{other}` unrecognized (options are \"name\" and \"uuid\")."
            )));
        }
    };
    let (db, name) = db_and_name(surroundings, args)?;
    let options = TableOptions { identifier_format, user: surroundings.environment.user.clone() };
    let table = surroundings.environment.catalog.table(&db, &name, &options)?;
    Ok(TableRef::whole(surroundings.clone(), db, table, mode, args.call().id).into_value())
}

/// `table_create(name, {...})`.
pub(super) fn create(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let layout = layout::read(args)?;
    let primary_key = args.optarg_string("primary_key")?.unwrap_or_else(|| Str::from_static("id"));
    let soft = soft_durability(args)?;
    let compression = compression(args)?;
    let (db, name) = db_and_name(surroundings, args)?;
    if db.name == SYSTEM_DATABASE {
        return Err(Error::op_failed(format!("Database `{}` is special; you can't create new tables in it.", db.name)));
    }
    surroundings.require(Permission::Config, Scope::Database(&db.id))?;
    let spec = TableSpec { primary_key, soft, layout, compression };
    let config = surroundings.environment.catalog.create_table(&db, &name, &spec)?;
    let answer = [("config_changes", databases::changes([(Datum::Null, config)])), ("tables_created", Datum::from(1))];
    Ok(Value::Datum(Datum::Object(Object::from(answer))))
}

fn compression(args: &Args<'_>) -> Result<Compression> {
    let Some(name) = args.optarg_string("compression")? else { return Ok(Compression::default()) };
    Compression::named(&name).ok_or_else(|| {
        Error::logic(format!("Compression `{name}` unrecognized (options are \"lz4\", \"none\", and \"zstd\")."))
    })
}

/// `table_drop(name)`.
pub(super) fn drop(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let (db, name) = db_and_name(surroundings, args)?;
    if db.name == SYSTEM_DATABASE {
        return Err(Error::op_failed(format!("Database `{}` is special; you can't drop tables in it.", db.name)));
    }
    let catalog = &surroundings.environment.catalog;
    let options =
        TableOptions { identifier_format: IdentifierFormat::Name, user: surroundings.environment.user.clone() };
    let table = catalog.table(&db, &name, &options)?;
    surroundings.require_on(Permission::Config, table.info())?;
    let config = catalog.drop_table(table.info())?;
    let answer = [("config_changes", databases::changes([(config, Datum::Null)])), ("tables_dropped", Datum::from(1))];
    Ok(Value::Datum(Datum::Object(Object::from(answer))))
}

/// `table_list()`.
pub(super) fn list(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let db = if args.is_empty() { surroundings.default_db(args.cx())? } else { args.convert(0, mismatch::as_db)? };
    let mut found = surroundings.environment.catalog.tables(&db)?;
    found.sort();
    Ok(Value::Datum(Datum::from(found.into_iter().map(Datum::String).collect::<Vec<_>>())))
}

fn db_and_name(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<(Db, Str)> {
    if args.len() == 1 {
        let db = surroundings.default_db(args.cx())?;
        return Ok((db, names::argument(args, 0, "Table")?));
    }
    let db = args.convert(0, mismatch::as_db)?;
    Ok((db, names::argument(args, 1, "Table")?))
}
