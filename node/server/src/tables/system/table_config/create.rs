//! Creating a table by inserting its row. Name and database are enough; the rest is as `table_create` has it.

use photondb_cluster_state::{Command, Scope};
use photondb_proto::{DatabaseId, TableId};
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};

use super::{FIELDS, durability, name, write_acks, wrong};
use crate::catalog;
use crate::tables::system::{Viewer, fields, table_config::shards};

/// Creates the table that the row `new` describes, under the key that `insert` made up.
pub(super) fn create(viewer: &Viewer<'_>, key: &Datum, new: &Datum) -> Result<Datum> {
    let row = new.as_object()?;
    let id: TableId = match key {
        Datum::String(text) if fields::looks_generated(key) => {
            text.parse().map_err(|_| Error::internal("a generated key is a UUID"))?
        }
        _ => {
            return Err(Error::op_failed(
                "If you want to create a new table by inserting into `rethinkdb.table_config`, you must use an \
                 auto-generated primary key.",
            ));
        }
    };
    let name = name(viewer, row)?;
    let database = database(viewer, row)?;
    if row.get("indexes").is_some_and(|indexes| !matches!(&indexes, Datum::Array(items) if items.is_empty())) {
        return Err(wrong(viewer, "The `indexes` field is read-only and can't be used to create indexes."));
    }
    if row.get("write_hook").is_some_and(|hook| !hook.is_null()) {
        return Err(wrong(
            viewer,
            "The `write_hook` field is read-only and can't be used to create a write hook function.",
        ));
    }
    let primary_key = match row.get("primary_key") {
        None => "id".to_owned(),
        Some(Datum::String(name)) => name.to_string(),
        Some(other) => {
            return Err(wrong(viewer, &format!("In `primary_key`: Expected a string; got {}", other.print())));
        }
    };
    let placements = match row.get("shards") {
        Some(wanted) => shards::read(viewer, &wanted)?,
        None => catalog::place(&viewer.state, &Default::default(), None, &viewer.ground.burdens())?,
    };
    let write_acks = write_acks(viewer, &row.get("write_acks").unwrap_or(Datum::from("majority")))?;
    let durability = durability(viewer, &row.get("durability").unwrap_or(Datum::from("hard")))?;
    let unknown = fields::unknown(row, FIELDS);
    if !unknown.is_empty() {
        return Err(wrong(viewer, &format!("Unexpected key(s): {}", unknown.join(", "))));
    }
    viewer.require_config(Scope::Database(database))?;
    if viewer.state.table_named(database, &name).is_some() {
        let database = viewer.state.database(database).map_or("", |database| database.name.as_str());
        return Err(Error::op_failed(format!("Table `{database}.{name}` already exists.")));
    }
    viewer.ground.propose(Command::CreateTable {
        id,
        database,
        name,
        primary_key,
        durability,
        write_acks,
        shards: catalog::new_shards(&placements),
        compression: catalog::stored_compression(Default::default()),
    })?;
    viewer.ground.settle_table(id, |state| state.table(id).is_some())?;
    let state = viewer.ground.state();
    Ok(state.table(id).map_or(Datum::Null, |table| catalog::table_config(&state, table, viewer.format)))
}

/// The database that a row names.
pub(super) fn database(viewer: &Viewer<'_>, row: &Object) -> Result<DatabaseId> {
    let Some(named) = row.get("db") else { return Err(wrong(viewer, "Expected a field named `db`.")) };
    let Datum::String(text) = &named else {
        return Err(wrong(viewer, &format!("In `db`: Expected a string; got {}", named.print())));
    };
    let found = match viewer.format {
        IdentifierFormat::Name => viewer.state.database_named(text),
        IdentifierFormat::Uuid => text.parse().ok().and_then(|id| viewer.state.database(id)),
    };
    match found {
        Some(database) => Ok(database.id),
        None => Err(wrong(viewer, &format!("Database `{text}` does not exist."))),
    }
}
