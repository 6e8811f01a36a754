//! `jobs`: work in progress. Index builds are shown; queries are not registered anywhere yet.

use photondb_query::catalog::IdentifierFormat;
use photondb_query::table::{Table, TableInfo};
use photondb_replica::ShardTable;
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, Viewer};
use crate::catalog;

/// The table.
pub(super) struct Jobs;

impl Contents for Jobs {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let mut rows = Vec::new();
        for table in viewer.state.tables() {
            let Some(replicas) = viewer.ground.replicas(table.id) else { continue };
            let info = TableInfo {
                id: Str::from(table.id.to_string()),
                name: Str::from(table.name.as_str()),
                db_id: Str::from(table.database.to_string()),
                db_name: Str::default(),
                primary_key: Str::from(table.primary_key.as_str()),
                write_hook: None,
                system: false,
            };
            let name = match viewer.format {
                IdentifierFormat::Name => Datum::from(table.name.as_str()),
                IdentifierFormat::Uuid => Datum::from(table.id.to_string()),
            };
            for index in ShardTable::new(info, replicas).indexes()?.into_iter().filter(|index| !index.ready) {
                let id = table.index(&index.name).map_or(0, |stored| stored.id.0);
                let key = vec![Datum::from("index_construction"), Datum::from(format!("{}-{id}", table.id))];
                let info = Object::from([
                    ("db", catalog::database(&viewer.state, table, viewer.format)),
                    ("index", Datum::from(index.name.clone())),
                    ("progress", Datum::Number(index.progress)),
                    ("table", name.clone()),
                ]);
                let server = catalog::server(&viewer.state, viewer.ground.node(), viewer.format);
                rows.push(Datum::Object(Object::from([
                    ("duration_sec", Datum::Null),
                    ("id", Datum::from(key)),
                    ("info", Datum::Object(info)),
                    ("servers", Datum::from(vec![server])),
                    ("type", Datum::from("index_construction")),
                ])));
            }
        }
        Ok(rows)
    }
}
