//! `config`, `status`, `wait`, `reconfigure`, `rebalance`, `sync`.

use std::rc::Rc;

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::value::Db;
use photondb_reql::eval::{Args, Value};
use photondb_reql::{BacktraceId, Str};

use super::{databases, layout};
use crate::catalog::{
    EmergencyRepair, IdentifierFormat, Permission, Readiness, Reconfigured, SYSTEM_DATABASE, Scope, TableOptions,
};
use crate::mismatch;
use crate::row::RowRef;
use crate::selection::TableRef;
use crate::surroundings::Surroundings;
use crate::table::{ReadMode, TableInfo};
use crate::write::stats;

/// `config()`: the row of `db_config` or `table_config`, which can be written to.
pub(super) fn config(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    match args.value(0)? {
        Value::Db(db) => {
            if db.name == SYSTEM_DATABASE {
                return Err(special("you can't configure it"));
            }
            surroundings.require(Permission::Config, Scope::Database(&db.id))?;
            let missing = || Error::op_failed(format!("Database `{}` does not exist.", db.name));
            system_row(surroundings, "db_config", &db.id)?.ok_or_else(missing)
        }
        value => {
            let table = mismatch::as_table(value, args.cx()).map_err(|error| error.at(args.id(0)))?;
            not_special(table.info(), CONFIGURE)?;
            surroundings.require_on(Permission::Config, table.info())?;
            table_row(surroundings, "table_config", table.info())
        }
    }
}

/// `status()`: the row of `table_status`.
pub(super) fn status(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    not_special(table.info(), "the system tables in it don't have meaningful status information")?;
    table_row(&table.surroundings, "table_status", table.info())
}

const CONFIGURE: &str = "you can't configure the tables in it";

fn special(why: &str) -> Error {
    Error::op_failed(format!("Database `{SYSTEM_DATABASE}` is special; {why}."))
}

fn not_special(table: &TableInfo, why: &str) -> Result<()> {
    if table.system { Err(special(why)) } else { Ok(()) }
}

fn table_row(surroundings: &Rc<Surroundings>, name: &str, of: &TableInfo) -> Result<Value> {
    let missing = || Error::op_failed(format!("Table `{}.{}` does not exist.", of.db_name, of.name));
    system_row(surroundings, name, &of.id)?.ok_or_else(missing)
}

/// A row of a system table, read for whoever may know what it says: who may not read the table, too.
fn system_row(surroundings: &Rc<Surroundings>, name: &str, id: &Str) -> Result<Option<Value>> {
    let catalog = &surroundings.environment.catalog;
    let db = catalog.database(SYSTEM_DATABASE)?;
    let options =
        TableOptions { identifier_format: IdentifierFormat::Name, user: surroundings.environment.user.clone() };
    let table = catalog.table(&db, name, &options)?;
    let table = TableRef::whole(surroundings.clone(), db, table, ReadMode::Single, BacktraceId::NONE);
    let key = Datum::String(id.clone());
    Ok(table.get(&key)?.map(|document| RowRef::known(&table, key, document).into_value()))
}

/// A table, or all tables of a database.
enum Target {
    Table(Box<TableInfo>),
    Database(Db, Vec<TableInfo>),
}

impl Target {
    /// Refuses what the user may not configure: of a database all of it.
    fn require_config(&self, surroundings: &Surroundings) -> Result<()> {
        if let Target::Database(db, _) = self {
            surroundings.require(Permission::Config, Scope::Database(&db.id))?;
        }
        self.tables().iter().try_for_each(|table| surroundings.require_on(Permission::Config, table))
    }

    fn not_special(&self, why: &str) -> Result<()> {
        match self {
            Target::Table(table) => not_special(table, why),
            Target::Database(db, _) if db.name == SYSTEM_DATABASE => Err(special(why)),
            Target::Database(..) => Ok(()),
        }
    }

    fn tables(&self) -> &[TableInfo] {
        match self {
            Target::Table(table) => std::slice::from_ref(&**table),
            Target::Database(_, tables) => tables,
        }
    }
}

fn target(surroundings: &Rc<Surroundings>, args: &Args<'_>, term: &str) -> Result<Target> {
    if args.is_empty() {
        return Err(Error::logic(format!("`{term}` can only be called on a table or database.")));
    }
    match args.value(0)? {
        Value::Db(db) => {
            let tables = tables_of(surroundings, &db)?;
            Ok(Target::Database(db, tables))
        }
        value => {
            let table = mismatch::as_table(value, args.cx()).map_err(|error| error.at(args.id(0)))?;
            Ok(Target::Table(Box::new(table.info().clone())))
        }
    }
}

/// Refuses a database of which the user may not configure everything.
pub(super) fn require_config_of_all(surroundings: &Rc<Surroundings>, db: &Db) -> Result<()> {
    if surroundings.is_admin() {
        return Ok(());
    }
    Target::Database(db.clone(), tables_of(surroundings, db)?).require_config(surroundings)
}

fn tables_of(surroundings: &Rc<Surroundings>, db: &Db) -> Result<Vec<TableInfo>> {
    let catalog = &surroundings.environment.catalog;
    let options =
        TableOptions { identifier_format: IdentifierFormat::Name, user: surroundings.environment.user.clone() };
    let mut found = Vec::new();
    for name in catalog.tables(db)? {
        found.push(catalog.table(db, &name, &options)?.info().clone());
    }
    Ok(found)
}

/// `wait({wait_for, timeout})`.
pub(super) fn wait(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let target = target(surroundings, args, "wait")?;
    let readiness = args.optarg_as("wait_for", |datum| match datum.as_string()?.as_str() {
        "ready_for_outdated_reads" => Ok(Readiness::OutdatedReads),
        "ready_for_reads" => Ok(Readiness::Reads),
        "ready_for_writes" => Ok(Readiness::Writes),
        "all_replicas_ready" => Ok(Readiness::AllReplicas),
        other => Err(Error::logic(format!(
            "Unknown table readiness state: '{other}', must be one of 'ready_for_outdated_reads', 'ready_for_reads', \
             'ready_for_writes', or 'all_replicas_ready'"
        ))),
    })?;
    let timeout = args.optarg_as("timeout", |datum| {
        u64::try_from(datum.as_integer()?).map_err(|_| Error::logic(format!("Integer too small: {}", datum.print())))
    })?;
    let readiness = readiness.unwrap_or(Readiness::AllReplicas);
    target.not_special("the system tables in it are always available and don't need to be waited on")?;
    for table in target.tables() {
        surroundings.environment.catalog.wait(table, readiness, timeout)?;
    }
    Ok(Value::Datum(Datum::Object(Object::from([("ready", target.tables().len())]))))
}

/// `reconfigure({shards, replicas, ..., dry_run, emergency_repair})`.
pub(super) fn reconfigure(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let target = target(surroundings, args, "reconfigure")?;
    let dry_run = args.optarg_bool("dry_run")?.unwrap_or(false);
    let catalog = &surroundings.environment.catalog;
    let repair = args.optarg_as("emergency_repair", |datum| match datum {
        Datum::Null => Ok(None),
        datum => match datum.as_string()?.as_str() {
            "unsafe_rollback" => Ok(Some(EmergencyRepair::UnsafeRollback)),
            "unsafe_rollback_or_erase" => Ok(Some(EmergencyRepair::UnsafeRollbackOrErase)),
            "_debug_recommit" => Ok(Some(EmergencyRepair::DebugRecommit)),
            _ => Err(Error::logic("`emergency_repair` should be \"unsafe_rollback\" or \"unsafe_rollback_or_erase\"")),
        },
    })?;
    if let Some(Some(mode)) = repair {
        let others = ["nonvoting_replica_tags", "primary_replica_tag", "replicas", "shards"];
        if others.iter().any(|name| args.optarg_node(name).is_some()) {
            return Err(Error::logic("In emergency repair mode, you can't specify shards, replicas, etc."));
        }
        let Target::Table(table) = target else {
            return Err(Error::logic(
                "Can't emergency repair an entire database at once; instead you should run `reconfigure()` on each \
                 table individually.",
            ));
        };
        not_special(&table, CONFIGURE)?;
        surroundings.require_on(Permission::Config, &table)?;
        let done = catalog.emergency_repair(&table, mode, dry_run)?;
        return Ok(Value::Datum(Datum::Object(Object::from([
            ("config_changes", databases::changes([done.config])),
            ("repaired", Datum::from(u32::from(!dry_run))),
            ("status_changes", databases::changes(done.status)),
        ]))));
    }
    let missing = |name: &str| Error::logic(format!("Missing required argument `{name}`."));
    layout::shards(args)?.ok_or_else(|| missing("shards"))?;
    args.optarg_datum("replicas")?.ok_or_else(|| missing("replicas"))?;
    let layout = layout::read(args)?;
    target.not_special(CONFIGURE)?;
    target.require_config(surroundings)?;
    let mut answer = Object::new();
    for table in target.tables() {
        let done = catalog.reconfigure(table, &layout, dry_run)?;
        answer = stats::merge(&answer, &reconfigured(done, dry_run), args.cx().limits().array)?;
    }
    Ok(Value::Datum(Datum::Object(answer)))
}

fn reconfigured(done: Reconfigured, dry_run: bool) -> Object {
    let mut fields =
        vec![("config_changes", databases::changes([done.config])), ("reconfigured", Datum::from(u32::from(!dry_run)))];
    if let Some(status) = done.status {
        fields.push(("status_changes", databases::changes([status])));
    }
    fields.into_iter().collect()
}

/// `rebalance()`.
pub(super) fn rebalance(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let target = target(surroundings, args, "rebalance")?;
    target.not_special("you can't rebalance the tables in it")?;
    target.require_config(surroundings)?;
    let mut answer = Object::new();
    for table in target.tables() {
        let done = surroundings.environment.catalog.rebalance(table)?;
        let one = Object::from([("rebalanced", Datum::from(1)), ("status_changes", databases::changes([done.status]))]);
        answer = stats::merge(&answer, &one, args.cx().limits().array)?;
    }
    Ok(Value::Datum(Datum::Object(answer)))
}

/// `sync()`.
pub(super) fn sync(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    table.surroundings.require_on(Permission::Write, table.info())?;
    table.table.sync()?;
    Ok(Value::Datum(Datum::Object(Object::from([("synced", 1)]))))
}
