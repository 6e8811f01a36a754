//! `photon_tables`: what a table has that RethinkDB's do not, `{id, db, name, compression}`. `compression` can be changed:
//! pages written from then on are written so, those that are there stay as they are until they change or move.

use photondb_cluster_state::{Command, Compression, Scope, Table, TableSettings};
use photondb_proto::TableId;
use photondb_query::catalog::Compression as Named;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};

use super::{Contents, Viewer, fields};
use crate::catalog;

/// The table.
pub(super) struct PhotonTables;

fn row(viewer: &Viewer<'_>, table: &Table, compression: Compression) -> Datum {
    Datum::Object(Object::from([
        ("compression", Datum::from(catalog::shown_compression(compression).name())),
        ("db", catalog::database(&viewer.state, table, viewer.format)),
        ("id", Datum::from(table.id.to_string())),
        ("name", Datum::from(table.name.as_str())),
    ]))
}

impl Contents for PhotonTables {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(viewer.state.tables().map(|table| row(viewer, table, table.compression)).collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        if old.is_null() && new.is_null() {
            return Ok(Datum::Null);
        }
        if old.is_null() || new.is_null() {
            return Err(Error::op_failed("Tables are created and dropped with `table_create` and `table_drop`."));
        }
        let wrong = |what: &str| fields::wrong_format(viewer.table, what);
        let id: TableId = match key {
            Datum::String(text) => text.parse().map_err(|_| Error::internal("a table's key is no UUID"))?,
            _ => return Err(Error::internal("a table's key is no UUID")),
        };
        let Some(table) = viewer.state.table(id) else { return Ok(Datum::Null) };
        viewer.require_config(Scope::Table(table.database, id))?;
        let named = new.as_object()?.get("compression");
        let compression = match &named {
            Some(Datum::String(name)) => Named::named(name),
            _ => None,
        };
        let Some(compression) = compression.map(catalog::stored_compression) else {
            let got = named.map_or("nothing".to_owned(), |named| named.print());
            return Err(wrong(&format!("In `compression`: Expected \"lz4\", \"none\" or \"zstd\", got: {got}")));
        };
        let shown = row(viewer, table, compression);
        if shown != *new {
            return Err(wrong("Only `compression` can be changed here."));
        }
        if compression != table.compression {
            let settings = TableSettings { compression: Some(compression), ..TableSettings::default() };
            viewer.ground.propose(Command::SetTableConfig { id, settings })?;
            viewer.ground.settle(|state| state.table(id).is_none_or(|table| table.compression == compression))?;
        }
        Ok(shown)
    }
}
