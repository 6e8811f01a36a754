//! `index_create`, `index_drop`, `index_list`, `index_status`, `index_wait`, `index_rename`.

use bytes::Bytes;
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object, ObjectBuilder};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Shortcut, Value};

use crate::catalog::{IndexSpec, Permission};
use crate::definition;
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
    let multi = args.optarg_bool("multi")?;
    let geo = args.optarg_bool("geo")?;
    let mut spec = IndexSpec {
        name: name.clone(),
        definition: Vec::new(),
        multi: multi.unwrap_or(false),
        geo: geo.unwrap_or(false),
    };
    if args.len() > 2 {
        from_argument(args, &mut spec, multi.is_some(), geo.is_some())?;
    } else {
        spec.definition = definition::encode(&definition::of_field(&name)?, args.cx())?;
    }
    writable(&table, "create secondary indexes on")?;
    table.surroundings.environment.catalog.create_index(table.info(), &spec)?;
    Ok(counted("created"))
}

fn from_argument(args: &Args<'_>, spec: &mut IndexSpec, multi_given: bool, geo_given: bool) -> Result<()> {
    // A field name in place of a function is refused here, unlike elsewhere.
    let id = args.id(2);
    let value = args.value(2)?;
    match &value {
        Value::Datum(Datum::Binary(bytes)) => {
            let stored = definition::StoredIndex::read(bytes).map_err(|error| error.at(id))?;
            spec.definition = stored.definition;
            if !multi_given {
                spec.multi = stored.multi;
            }
            if !geo_given {
                spec.geo = stored.geo;
            }
            Ok(())
        }
        Value::Function(_) => {
            let function = value.into_function(Shortcut::None, args.cx()).map_err(|error| error.at(id))?;
            if !function.traits().timeless() {
                let message = "Could not prove function deterministic.  Index functions must be deterministic.";
                return Err(Error::logic(message).at(definition::body_id(&function).unwrap_or(id)));
            }
            spec.definition = definition::encode(&function, args.cx()).map_err(|error| error.at(id))?;
            Ok(())
        }
        other => Err(mismatch::expected("FUNCTION", other).at(id)),
    }
}

fn writable(table: &TableRef, what: &str) -> Result<()> {
    table.surroundings.require_on(Permission::Config, table.info())?;
    if table.info().system {
        let db = &table.info().db_name;
        return Err(Error::op_failed(format!("Database `{db}` is special; you can't {what} the tables in it.")));
    }
    Ok(())
}

/// `index_drop(name)`.
pub(super) fn drop(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let name = args.string(1)?;
    writable(&table, "drop secondary indexes on")?;
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
    writable(&table, "rename secondary indexes on")?;
    let renamed = u32::from(old != new);
    table.surroundings.environment.catalog.rename_index(table.info(), &old, &new, overwrite)?;
    Ok(Value::Datum(Datum::Object(Object::from([("renamed", renamed)]))))
}

/// `index_list()`.
pub(super) fn list(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    table.surroundings.require_on(Permission::Read, table.info())?;
    let names = sorted(table.table.indexes()?).into_iter().map(|index| Datum::String(index.name));
    Ok(Value::Datum(Datum::from(names.collect::<Vec<_>>())))
}

/// `index_status(name, ...)`.
pub(super) fn status(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let names = names(args)?;
    table.surroundings.require_on(Permission::Read, table.info())?;
    Ok(Value::Datum(Datum::from(selected(&table, &names)?.iter().map(document).collect::<Vec<_>>())))
}

/// `index_wait(name, ...)`.
pub(super) fn wait(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let names = names(args)?;
    table.surroundings.require_on(Permission::Read, table.info())?;
    loop {
        let found = selected(&table, &names)?;
        if found.iter().all(|index| index.ready) {
            return Ok(Value::Datum(Datum::from(found.iter().map(document).collect::<Vec<_>>())));
        }
        table.surroundings.environment.catalog.wait_for_index_progress(table.info())?;
    }
}

fn names(args: &Args<'_>) -> Result<Vec<Str>> {
    (1..args.len()).map(|position| args.string(position)).collect()
}

fn sorted(mut indexes: Vec<IndexInfo>) -> Vec<IndexInfo> {
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    indexes
}

fn selected(table: &TableRef, names: &[Str]) -> Result<Vec<IndexInfo>> {
    let indexes = sorted(table.table.indexes()?);
    if let Some(missing) = names.iter().find(|name| !indexes.iter().any(|index| index.name == **name)) {
        return Err(table.info().no_such_index(missing));
    }
    Ok(indexes.into_iter().filter(|index| names.is_empty() || names.contains(&index.name)).collect())
}

fn document(index: &IndexInfo) -> Datum {
    let mut fields = ObjectBuilder::new();
    let stored = definition::StoredIndex { definition: index.definition.clone(), multi: index.multi, geo: index.geo };
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
