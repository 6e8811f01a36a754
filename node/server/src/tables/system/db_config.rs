//! `db_config`: `{id, name}`. Inserting creates a database, deleting drops it, a new name renames it.

use photondb_cluster_state::{Command, Scope, StateError};
use photondb_proto::DatabaseId;
use photondb_query::catalog::SYSTEM_DATABASE;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};

use super::{Contents, Viewer, fields};
use crate::catalog;

/// The table.
pub(super) struct DbConfig;

/// What a row says.
struct Row {
    id: DatabaseId,
    name: String,
}

impl Row {
    /// Reads it. Errors say what is wrong with it.
    fn read(key: &Datum, row: &Object) -> std::result::Result<Row, String> {
        let name = fields::named(&fields::required(row, "name")?, "db name", fields::is_name)
            .map_err(|what| format!("In `name`: {what}"))?;
        let id = fields::uuid(key).map_err(|what| format!("In `id`: {what}"))?;
        fields::no_others(row, &["id", "name"])?;
        Ok(Row { id, name })
    }
}

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
        let wrong = |what: String| fields::wrong_format(viewer.table, &what);
        if new.is_null() {
            let id: DatabaseId = fields::uuid(key).map_err(wrong)?;
            viewer.require_config_of_all(id)?;
            viewer.ground.propose(Command::DropDatabase { id })?;
            viewer.ground.settle(|state| state.database(id).is_none())?;
            return Ok(Datum::Null);
        }
        let Row { id, name } = Row::read(key, new.as_object()?).map_err(wrong)?;
        if old.is_null() {
            if !viewer.key_is_generated {
                return Err(Error::op_failed(
                    "If you want to create a new table by inserting into `rethinkdb.db_config`, you must use an \
                     auto-generated primary key.",
                ));
            }
            viewer.require_config(Scope::Global)?;
            if name == SYSTEM_DATABASE || viewer.state.database_named(&name).is_some() {
                return Err(Error::op_failed(format!("Database `{name}` already exists.")));
            }
            viewer.ground.propose(Command::CreateDatabase { id, name })?;
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
        if new == old {
            return Ok(new.clone());
        }
        match viewer.ground.propose_raw(Command::RenameDatabase { id, name: name.clone() }) {
            Ok(_) => Ok(new.clone()),
            Err(catalog::Failure::Refused(StateError::DatabaseExists { .. })) => Err(taken()),
            Err(failure) => Err(failure.into_error()),
        }
    }
}
