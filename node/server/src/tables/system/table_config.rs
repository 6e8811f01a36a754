//! `table_config`: how each table is configured. Deleting drops the table; name, `durability` and `write_acks` can be
//! changed.

use photondb_cluster_state::{Command, Durability, Scope, StateError, TableSettings, WriteAcks};
use photondb_proto::TableId;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};

use super::{Contents, Viewer, fields};
use crate::catalog;

const FIELDS: &[&str] =
    &["id", "name", "db", "primary_key", "shards", "indexes", "write_hook", "write_acks", "durability"];

/// The table.
pub(super) struct TableConfig;

impl Contents for TableConfig {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let row = |table: &_| catalog::table_config(&viewer.state, table, viewer.format);
        Ok(viewer.state.tables().map(|table| row(table)).collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        if old.is_null() {
            if new.is_null() {
                return Ok(Datum::Null);
            }
            return Err(Error::op_failed("Create tables with `table_create`; inserting here is not supported yet."));
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
        let wrong = |what: &str| fields::wrong_format(viewer.table, what);
        let unknown = fields::unknown(new.as_object()?, FIELDS);
        if !unknown.is_empty() {
            return Err(wrong(&format!("Unexpected key(s): {}", unknown.join(", "))));
        }
        let write_acks = match new.field("write_acks").map_err(|_| missing(viewer, "write_acks"))? {
            Datum::String(text) if text == "majority" => WriteAcks::Majority,
            Datum::String(text) if text == "single" => WriteAcks::Single,
            other => {
                let got = other.print();
                return Err(wrong(&format!("In `write_acks`: Expected \"single\" or \"majority\", got: {got}")));
            }
        };
        let durability = match new.field("durability").map_err(|_| missing(viewer, "durability"))? {
            Datum::String(text) if text == "hard" => Durability::Hard,
            Datum::String(text) if text == "soft" => Durability::Soft,
            other => {
                let got = other.print();
                return Err(wrong(&format!("In `durability`: Expected \"soft\" or \"hard\", got: {got}")));
            }
        };
        let name = match new.field("name").map_err(|_| missing(viewer, "name"))? {
            Datum::String(name) => name,
            other => return Err(wrong(&format!("In `name`: Expected a string; got {}", other.print()))),
        };
        let same = |field: &str| -> Result<bool> { Ok(new.as_object()?.get(field) == old.as_object()?.get(field)) };
        if !same("primary_key")? {
            return Err(Error::op_failed("It's illegal to change a table's primary key"));
        }
        if !same("indexes")? {
            return Err(wrong("The `indexes` field is read-only and can't be used to create or drop indexes."));
        }
        if !same("write_hook")? {
            return Err(wrong(
                "The `write_hook` field is read-only and can't be used to create or drop a write hook function.",
            ));
        }
        if !same("db")? {
            if let Some(Datum::String(to)) = new.as_object()?.get("db")
                && let Some(to) = viewer.state.database_named(&to)
            {
                viewer.require_config(Scope::Database(to.id))?;
            }
            return Err(Error::op_failed("Moving a table to another database is not supported yet."));
        }
        if !same("shards")? {
            return Err(Error::op_failed("Changing a table's shards by hand is not supported yet."));
        }
        if *name != *table.name {
            let database = viewer.state.database(table.database).map_or("", |database| database.name.as_str());
            match viewer.ground.propose_raw(Command::RenameTable { id, name: name.to_string() }) {
                Ok(_) => {}
                Err(catalog::Failure::Refused(StateError::TableExists { .. })) => {
                    return Err(Error::op_failed(format!(
                        "Cannot rename table `{database}.{}` to `{database}.{name}` because table `{database}.{name}` \
                         already exists.",
                        table.name
                    )));
                }
                Err(failure) => return Err(failure.into_error()),
            }
        }
        if durability != table.durability || write_acks != table.write_acks {
            let (durability, write_acks) = (Some(durability), Some(write_acks));
            let settings = TableSettings { durability, write_acks, ..TableSettings::default() };
            viewer.ground.propose(Command::SetTableConfig { id, settings })?;
        }
        Ok(new.clone())
    }
}

fn missing(viewer: &Viewer<'_>, field: &str) -> Error {
    fields::wrong_format(viewer.table, &format!("Expected a field named `{field}`."))
}
