//! `index_create`, `index_drop`, `index_list`, `index_status`, `index_wait`, `index_rename`.

use std::collections::BTreeSet;

use bytes::Bytes;
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object, ObjectBuilder};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Shortcut, Value};

use crate::catalog::{IndexSpec, Permission};
use crate::definition::{self, StoredIndex};
use crate::mismatch;
use crate::print;
use crate::selection::TableRef;
use crate::table::IndexInfo;

/// `index_create(name, function, {multi, geo})`.
pub(super) fn create(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let name = args.string(1)?;
    if name == table.info().primary_key {
        return Err(Error::logic(format!("Index name conflict: `{name}` is the name of the primary key.")));
    }
    let stored = match args.len() > 2 {
        true => from_argument(args)?,
        false => plain(definition::encode(&definition::of_field(&name)?, args.cx())?),
    };
    let multi = args.optarg_bool("multi")?.unwrap_or(stored.multi);
    let geo = args.optarg_bool("geo")?.unwrap_or(stored.geo);
    let spec = IndexSpec { name, definition: stored.definition, multi, geo };
    if table.info().system {
        let db = &table.info().db_name;
        let why = "you can't create secondary indexes on the tables in it";
        return Err(Error::op_failed(format!("Database `{db}` is special; {why}.")));
    }
    table.surroundings.require_on(Permission::Config, table.info())?;
    table.surroundings.environment.catalog.create_index(table.info(), &spec)?;
    Ok(counted("created"))
}

/// An index of one entry for each document, unless the options say otherwise.
fn plain(definition: Vec<u8>) -> StoredIndex {
    StoredIndex { definition, multi: false, geo: false }
}

fn from_argument(args: &Args<'_>) -> Result<StoredIndex> {
    // A field name in place of a function is refused here, unlike elsewhere.
    let id = args.id(2);
    let value = args.value(2)?;
    match &value {
        Value::Datum(Datum::Binary(bytes)) => StoredIndex::read(bytes).map_err(|error| error.at(id)),
        Value::Function(_) => {
            let function = value.into_function(Shortcut::None, args.cx()).map_err(|error| error.at(id))?;
            if !function.traits().timeless() {
                let message = "Could not prove function deterministic.  Index functions must be deterministic.";
                return Err(Error::logic(message).at(function.body_id().unwrap_or(id)));
            }
            definition::encode(&function, args.cx()).map(plain).map_err(|error| error.at(id))
        }
        other => Err(mismatch::expected("FUNCTION", other).at(id)),
    }
}

/// Refuses a table whose index `name` cannot be dropped or renamed. No system table has one.
fn require_config(table: &TableRef, name: &str) -> Result<()> {
    let info = table.info();
    if info.system {
        let (db, table) = (&info.db_name, &info.name);
        return Err(Error::op_failed(format!("Index `{name}` does not exist on table `{db}.{table}`.")));
    }
    table.surroundings.require_on(Permission::Config, info)
}

/// `index_drop(name)`.
pub(super) fn drop(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let name = args.string(1)?;
    require_config(&table, &name)?;
    table.surroundings.environment.catalog.drop_index(table.info(), &name)?;
    Ok(counted("dropped"))
}

/// `index_rename(old, new, {overwrite})`.
pub(super) fn rename(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let old = args.string(1)?;
    let new = args.string(2)?;
    let primary_key = &table.info().primary_key;
    for name in [&old, &new] {
        if name == primary_key {
            return Err(Error::logic(format!("Index name conflict: `{name}` is the name of the primary key.")));
        }
    }
    let overwrite = args.optarg_bool("overwrite")?.unwrap_or(false);
    require_config(&table, &old)?;
    let renamed = u32::from(old != new);
    table.surroundings.environment.catalog.rename_index(table.info(), &old, &new, overwrite)?;
    Ok(Value::Datum(Datum::Object(Object::from([("renamed", renamed)]))))
}

/// `index_list()`.
pub(super) fn list(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let names = sorted(table.table.indexes()?).into_iter().map(|index| Datum::String(index.name));
    Ok(Value::Datum(Datum::from(names.collect::<Vec<_>>())))
}

/// `index_status(name, ...)`.
pub(super) fn status(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let names = names(args)?;
    Ok(Value::Datum(Datum::from(selected(&table, &names)?.iter().map(document).collect::<Vec<_>>())))
}

/// `index_wait(name, ...)`.
pub(super) fn wait(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let names = names(args)?;
    loop {
        let found = selected(&table, &names)?;
        if found.iter().all(|index| index.ready) {
            return Ok(Value::Datum(Datum::from(found.iter().map(document).collect::<Vec<_>>())));
        }
        table.surroundings.environment.catalog.wait_for_index_progress(table.info())?;
    }
}

/// Once each, so that of several that are missing the first by name is told.
fn names(args: &Args<'_>) -> Result<BTreeSet<Str>> {
    (1..args.len()).map(|position| args.string(position)).collect()
}

fn sorted(mut indexes: Vec<IndexInfo>) -> Vec<IndexInfo> {
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    indexes
}

fn selected(table: &TableRef, names: &BTreeSet<Str>) -> Result<Vec<IndexInfo>> {
    let indexes = sorted(table.table.indexes()?);
    if let Some(missing) = names.iter().find(|name| !indexes.iter().any(|index| index.name == **name)) {
        return Err(table.info().no_such_index(missing));
    }
    Ok(indexes.into_iter().filter(|index| names.is_empty() || names.contains(&index.name)).collect())
}

fn document(index: &IndexInfo) -> Datum {
    let mut fields = ObjectBuilder::new();
    let stored = StoredIndex { definition: index.definition.clone(), multi: index.multi, geo: index.geo };
    fields.insert("function", Datum::Binary(Bytes::from(stored.to_bytes())));
    fields.insert("geo", index.geo);
    fields.insert("index", index.name.clone());
    fields.insert("multi", index.multi);
    fields.insert("outdated", index.outdated);
    if !index.ready {
        fields.insert("progress", Datum::Number(index.progress.clamp(0.0, 1.0)));
    }
    fields.insert("query", print::index_create(&index.name, &index.definition, index.multi, index.geo));
    fields.insert("ready", index.ready);
    Datum::Object(fields.build())
}

fn counted(what: &'static str) -> Value {
    Value::Datum(Datum::Object(Object::from([(what, 1)])))
}
