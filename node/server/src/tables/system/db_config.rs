//! `db_config`: `{id, name}`. Inserting creates a database, deleting drops it, a new name renames it.

use photondb_cluster_state::{Command, Scope, StateError};
use photondb_proto::DatabaseId;
use photondb_query::catalog::SYSTEM_DATABASE;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};

use super::{Contents, Viewer, fields};
use crate::catalog;

/// The table.
pub(super) struct DbConfig;

impl Contents for DbConfig {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let row =
            |database: &photondb_cluster_state::Database| catalog::db_config(&database.id.to_string(), &database.name);
        Ok(viewer.state.databases().map(|database| row(database)).collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        if old.is_null() && new.is_null() {
            return Ok(Datum::Null);
        }
        let wrong = |what: &str| fields::wrong_format(viewer.table, what);
        let id: DatabaseId = match key {
            Datum::String(text) => text.parse().map_err(|_| wrong(&format!("Expected a UUID; got {}", key.print())))?,
            _ => return Err(wrong(&format!("Expected a UUID; got {}", key.print()))),
        };
        if new.is_null() {
            viewer.require_config(Scope::Database(id))?;
            viewer.ground.propose(Command::DropDatabase { id })?;
            viewer.ground.settle(|state| state.database(id).is_none())?;
            return Ok(Datum::Null);
        }
        let document = new.as_object()?;
        let unknown = fields::unknown(document, &["id", "name"]);
        if !unknown.is_empty() {
            return Err(wrong(&format!("Unexpected key(s): {}", unknown.join(", "))));
        }
        let name = match document.get("name") {
            Some(Datum::String(name)) => name,
            Some(other) => return Err(wrong(&format!("In `name`: Expected a string; got {}", other.print()))),
            None => return Err(wrong("Expected a field named `name`.")),
        };
        if old.is_null() {
            viewer.require_config(Scope::Global)?;
            if name == SYSTEM_DATABASE || viewer.state.database_named(&name).is_some() {
                return Err(Error::op_failed(format!("Database `{name}` already exists.")));
            }
            viewer.ground.propose(Command::CreateDatabase { id, name: name.to_string() })?;
            return Ok(new.clone());
        }
        viewer.require_config(Scope::Database(id))?;
        let old_name = old.field("name")?.as_string()?.clone();
        let taken = || {
            Error::op_failed(format!(
                "Cannot rename database `{old_name}` to `{name}` because database `{name}` already exists."
            ))
        };
        if name == SYSTEM_DATABASE {
            return Err(taken());
        }
        match viewer.ground.propose_raw(Command::RenameDatabase { id, name: name.to_string() }) {
            Ok(_) => Ok(new.clone()),
            Err(catalog::Failure::Refused(StateError::DatabaseExists { .. })) => Err(taken()),
            Err(failure) => Err(failure.into_error()),
        }
    }
}
