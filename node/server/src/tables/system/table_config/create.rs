//! Creating a table by inserting its row. Name and database are enough; the rest is as `table_create` has it.

use photondb_cluster_state::{Command, Scope};
use photondb_proto::TableId;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};

use super::{FIELDS, WRITE_HOOK, database, durability, indexes, name, primary_key, write_acks, wrong};
use crate::catalog;
use crate::tables::system::{Viewer, fields, table_config::shards};

/// Creates the table that the row `new` describes, under the key that `insert` made up.
pub(super) fn create(viewer: &Viewer<'_>, key: &Datum, new: &Datum) -> Result<Datum> {
    let row = new.as_object()?;
    let id: TableId = match key {
        Datum::String(text) if viewer.key_is_generated => {
            text.parse().map_err(|_| Error::internal("a generated key is a UUID"))?
        }
        _ => {
            return Err(Error::op_failed(
                "There is no existing table with the given ID. To create a new table by inserting into \
                 `rethinkdb.table_config`, you must let the database generate the primary key automatically.",
            ));
        }
    };
    let name = name(viewer, row)?;
    let database = database(viewer, row)?;
    if let Some(listed) = row.get("indexes")
        && !indexes(viewer, &listed)?.is_empty()
    {
        return Err(wrong(viewer, "The `indexes` field is read-only and can't be used to create indexes."));
    }
    let primary_key = match row.get("primary_key") {
        Some(named) => primary_key(viewer, &named)?,
        None => "id".to_owned(),
    };
    let placements = match row.get("shards") {
        Some(wanted) => shards::read(viewer, &wanted)?,
        None => {
            catalog::place(&viewer.state, &Default::default(), None, &viewer.ground.burdens()).map_err(|error| {
                let message =
                    format!("Unable to automatically generate configuration for new table: {}", error.message);
                Error { message, ..error }
            })?
        }
    };
    let write_acks = write_acks(viewer, &row.get("write_acks").unwrap_or(Datum::from("majority")))?;
    let durability = durability(viewer, &row.get("durability").unwrap_or(Datum::from("hard")))?;
    if row.get("write_hook").is_some_and(|hook| !hook.is_null()) {
        return Err(wrong(viewer, WRITE_HOOK));
    }
    fields::no_others(row, FIELDS).map_err(|what| wrong(viewer, &what))?;
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
