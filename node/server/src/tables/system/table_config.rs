//! `table_config`: how each table is configured. Inserting creates a table, deleting drops it; name, `durability` and
//! `write_acks` can be changed.

mod create;
mod shards;

use std::collections::BTreeSet;
use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Command, Durability, Scope, StateError, Table, TableSettings, WriteAcks};
use photondb_proto::{DatabaseId, TableId};
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};

use super::{Contents, Viewer, fields};
use crate::catalog;
use crate::catalog::reshape::{self, Wanted};
use crate::tables::UserTable;

const FIELDS: &[&str] =
    &["id", "name", "db", "primary_key", "shards", "indexes", "write_hook", "write_acks", "durability"];

const WRITE_HOOK: &str =
    "The `write_hook` field is read-only and can't be used to create or drop a write hook function.";

/// The table.
pub(super) struct TableConfig;

impl Contents for TableConfig {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let row = |table: &_| catalog::table_config(&viewer.state, table, viewer.format);
        Ok(viewer.state.tables().map(|table| row(table)).collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        if old.is_null() {
            if new.is_null() {
                return Ok(Datum::Null);
            }
            return create::create(viewer, key, new);
        }
        let id: TableId = match key {
            Datum::String(text) => text.parse().map_err(|_| Error::internal("a table's key is no UUID"))?,
            _ => return Err(Error::internal("a table's key is no UUID")),
        };
        let Some(table) = viewer.state.table(id) else { return Ok(Datum::Null) };
        viewer.require_config(Scope::Table(table.database, id))?;
        if new.is_null() {
            viewer.ground.propose(Command::DropTable { id })?;
            viewer.ground.settle(|state| state.table(id).is_none())?;
            return Ok(Datum::Null);
        }
        if new == old {
            return Ok(new.clone());
        }
        let row = new.as_object()?;
        let wanted = |field: &str| fields::required(row, field).map_err(|what| wrong(viewer, &what));
        let same = |field: &str| -> Result<bool> { Ok(row.get(field) == old.as_object()?.get(field)) };
        // What is wrong is told in this order.
        let name = name(viewer, row)?;
        let database = match same("db")? {
            true => table.database,
            false => database(viewer, row)?,
        };
        let listed = indexes(viewer, &wanted("indexes")?)?;
        // One may have been made since the row was read.
        if !same("indexes")? && !listed.iter().eq(table.indexes.keys()) {
            return Err(wrong(viewer, "The `indexes` field is read-only and can't be used to create or drop indexes."));
        }
        let primary_key = primary_key(viewer, &wanted("primary_key")?)?;
        let placements = match same("shards")? {
            true => None,
            false => Some(shards::read(viewer, &wanted("shards")?)?),
        };
        let write_acks = write_acks(viewer, &wanted("write_acks")?)?;
        let durability = durability(viewer, &wanted("durability")?)?;
        wanted("write_hook")?;
        if !same("write_hook")? {
            return Err(wrong(viewer, WRITE_HOOK));
        }
        fields::no_others(row, FIELDS).map_err(|what| wrong(viewer, &what))?;
        if database != table.database {
            viewer.require_config(Scope::Database(database))?;
        }
        if primary_key != table.primary_key {
            return Err(Error::op_failed("It's illegal to change a table's primary key"));
        }
        let plan = |state: &ClusterState, table: &Arc<Table>| match &placements {
            None => Ok(catalog::Resize::default()),
            Some(placements) => {
                let opened = UserTable::open(viewer.ground, state, table)?;
                catalog::Resize::plan(table, opened.shards(), placements.clone())
            }
        };
        let is_named = *name != *table.name || database != table.database;
        let wanted = Wanted {
            named: is_named.then(|| (database, name.clone())),
            settings: TableSettings {
                durability: (durability != table.durability).then_some(durability),
                write_acks: (write_acks != table.write_acks).then_some(write_acks),
                ..TableSettings::default()
            },
        };
        match reshape::carry_out(viewer.ground, id, &wanted, plan) {
            Ok(_) => {}
            Err(catalog::Failure::Refused(StateError::TableExists { .. })) => {
                let named = |id| viewer.state.database(id).map_or("", |database| database.name.as_str());
                let (from, to) = (named(table.database), named(database));
                return Err(Error::op_failed(format!(
                    "Can't rename table `{from}.{}` to `{to}.{name}` because table `{to}.{name}` already exists.",
                    table.name
                )));
            }
            Err(failure) => return Err(failure.into_error()),
        }
        let state = viewer.ground.state();
        Ok(state.table(id).map_or(Datum::Null, |table| catalog::table_config(&state, table, viewer.format)))
    }
}

fn write_acks(viewer: &Viewer<'_>, wanted: &Datum) -> Result<WriteAcks> {
    match wanted {
        Datum::String(text) if text == "majority" => Ok(WriteAcks::Majority),
        Datum::String(text) if text == "single" => Ok(WriteAcks::Single),
        other => {
            let got = other.print();
            Err(wrong(viewer, &format!("In `write_acks`: Expected \"single\" or \"majority\", got: {got}")))
        }
    }
}

fn durability(viewer: &Viewer<'_>, wanted: &Datum) -> Result<Durability> {
    match wanted {
        Datum::String(text) if text == "hard" => Ok(Durability::Hard),
        Datum::String(text) if text == "soft" => Ok(Durability::Soft),
        other => {
            let got = other.print();
            Err(wrong(viewer, &format!("In `durability`: Expected \"soft\" or \"hard\", got: {got}")))
        }
    }
}

fn name(viewer: &Viewer<'_>, row: &Object) -> Result<String> {
    let name = fields::required(row, "name").map_err(|what| wrong(viewer, &what))?;
    fields::named(&name, "table name", fields::is_name).map_err(|what| wrong(viewer, &format!("In `name`: {what}")))
}

/// The database that a row names.
fn database(viewer: &Viewer<'_>, row: &Object) -> Result<DatabaseId> {
    let found = fields::required(row, "db").and_then(|named| match viewer.format {
        IdentifierFormat::Name => {
            let name = fields::named(&named, "database name", fields::is_name)?;
            let found = viewer.state.database_named(&name).map(|database| database.id);
            found.ok_or_else(|| format!("Database `{name}` does not exist."))
        }
        IdentifierFormat::Uuid => {
            let id: DatabaseId = fields::uuid(&named)?;
            let found = viewer.state.database(id).map(|database| database.id);
            found.ok_or_else(|| format!("There is no database with UUID `{id}`."))
        }
    });
    found.map_err(|what| wrong(viewer, &what))
}

/// The names that stand in the field `indexes`.
fn indexes(viewer: &Viewer<'_>, wanted: &Datum) -> Result<BTreeSet<String>> {
    let wrong = |what: String| wrong(viewer, &format!("In `indexes`: {what}"));
    let Datum::Array(listed) = wanted else {
        return Err(wrong(format!("Expected an array, got {}", wanted.print())));
    };
    let mut names = BTreeSet::new();
    for named in listed.iter() {
        if !names.insert(fields::text(&named).map_err(wrong)?) {
            return Err(wrong(format!("{} was specified more than once.", named.print())));
        }
    }
    Ok(names)
}

fn primary_key(viewer: &Viewer<'_>, wanted: &Datum) -> Result<String> {
    fields::text(wanted).map_err(|what| wrong(viewer, &format!("In `primary_key`: {what}")))
}

fn wrong(viewer: &Viewer<'_>, what: &str) -> Error {
    fields::wrong_format(viewer.table, what)
}
