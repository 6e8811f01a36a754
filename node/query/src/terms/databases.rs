//! `db`, `db_create`, `db_drop`, `db_list`.

use std::rc::Rc;

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Value};

use super::names;
use crate::catalog::{Permission, SYSTEM_DATABASE, Scope};
use crate::surroundings::Surroundings;

/// `db(name)`.
pub(super) fn db(surroundings: &Surroundings, args: &Args<'_>) -> Result<Value> {
    let name = names::argument(args, 0, "Database")?;
    Ok(Value::Db(surroundings.environment.catalog.database(&name)?))
}

/// `db_create(name)`.
pub(super) fn create(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let name = names::argument(args, 0, "Database")?;
    if name == SYSTEM_DATABASE {
        return Err(Error::op_failed(format!("Database `{name}` already exists.")));
    }
    surroundings.require(Permission::Config, Scope::Global)?;
    let config = surroundings.environment.catalog.create_database(&name)?;
    let answer = [("config_changes", changes([(Datum::Null, config)])), ("dbs_created", Datum::from(1))];
    Ok(Value::Datum(Datum::Object(Object::from(answer))))
}

/// `db_drop(name)`.
pub(super) fn drop(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let name = names::argument(args, 0, "Database")?;
    if name == SYSTEM_DATABASE {
        return Err(Error::op_failed(format!("Database `{name}` is special; you can't delete it.")));
    }
    let catalog = &surroundings.environment.catalog;
    let db = catalog.database(&name)?;
    super::admin::require_config_of_all(surroundings, &db)?;
    let dropped = catalog.drop_database(&db)?;
    Ok(Value::Datum(Datum::Object(Object::from([
        ("config_changes", changes([(dropped.config, Datum::Null)])),
        ("dbs_dropped", Datum::from(1)),
        ("tables_dropped", Datum::from(dropped.tables)),
    ]))))
}

/// `db_list()`.
pub(super) fn list(surroundings: &Surroundings) -> Result<Value> {
    let mut found: Vec<_> = surroundings.environment.catalog.databases()?.into_iter().map(|db| db.name).collect();
    found.sort();
    Ok(Value::Datum(Datum::from(found.into_iter().map(Datum::String).collect::<Vec<_>>())))
}

/// `[{old_val, new_val}, ...]`
pub(super) fn changes(pairs: impl IntoIterator<Item = (Datum, Datum)>) -> Datum {
    let changes = pairs.into_iter().map(|(old, new)| Datum::Object(Object::from([("new_val", new), ("old_val", old)])));
    Datum::from(changes.collect::<Vec<_>>())
}
