//! `stats`: totals since the start and rates of the last second or two, of the cluster, of each server, of each table, and
//! of each table on each server.
//!
//! All tables of a server share one page file, one log and one cache, so what storage did is told of the server in the row
//! of each of its tables.

use photondb_cluster_state::Table;
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, News, Viewer};
use crate::catalog;
use crate::node::activity::Totals;

/// The table.
pub(super) struct Stats;

impl Contents for Stats {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let (now, before) = viewer.ground.activity();
        let seen = Seen { viewer, now, before };
        let mut rows = vec![seen.cluster(), seen.server()];
        for table in viewer.state.tables() {
            rows.push(seen.table(table));
            rows.push(seen.table_server(table));
        }
        Ok(rows)
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}

struct Seen<'a> {
    viewer: &'a Viewer<'a>,
    now: Totals,
    before: Totals,
}

impl Seen<'_> {
    fn rate(&self, number: impl Fn(&Totals) -> u64) -> Datum {
        Datum::Number(self.now.rate(&self.before, number))
    }

    fn server_name(&self) -> Datum {
        catalog::server(&self.viewer.state, self.viewer.ground.node(), self.viewer.format)
    }

    /// What of the cluster and of the server is told.
    fn clients(&self) -> Object {
        let ground = self.viewer.ground;
        Object::from([
            ("client_connections", Datum::from(ground.connections())),
            ("clients_active", Datum::from(ground.facts().running.active_clients())),
            ("queries_per_sec", self.rate(|totals| totals.queries)),
            ("read_docs_per_sec", self.rate(|totals| totals.documents().read)),
            ("written_docs_per_sec", self.rate(|totals| totals.documents().written)),
        ])
    }

    fn cluster(&self) -> Datum {
        Datum::Object(Object::from([
            ("id", Datum::from(vec![Datum::from("cluster")])),
            ("query_engine", Datum::Object(self.clients())),
        ]))
    }

    fn server(&self) -> Datum {
        let documents = self.now.documents();
        let engine = self
            .clients()
            .with("queries_total", self.now.queries)
            .with("read_docs_total", documents.read)
            .with("written_docs_total", documents.written);
        let id = vec![Datum::from("server"), Datum::from(self.viewer.ground.node().to_string())];
        Datum::Object(Object::from([
            ("id", Datum::from(id)),
            ("query_engine", Datum::Object(engine)),
            ("server", self.server_name()),
        ]))
    }

    fn rates_of(&self, table: &Table) -> Object {
        let id = table.id;
        Object::from([
            ("read_docs_per_sec", self.rate(|totals| totals.of(id).read)),
            ("written_docs_per_sec", self.rate(|totals| totals.of(id).written)),
        ])
    }

    fn name_of(&self, table: &Table) -> Datum {
        match self.viewer.format {
            IdentifierFormat::Name => Datum::from(table.name.as_str()),
            IdentifierFormat::Uuid => Datum::from(table.id.to_string()),
        }
    }

    fn table(&self, table: &Table) -> Datum {
        Datum::Object(Object::from([
            ("db", catalog::database(&self.viewer.state, table, self.viewer.format)),
            ("id", Datum::from(vec![Datum::from("table"), Datum::from(table.id.to_string())])),
            ("query_engine", Datum::Object(self.rates_of(table))),
            ("table", self.name_of(table)),
        ]))
    }

    fn table_server(&self, table: &Table) -> Datum {
        let documents = self.now.of(table.id);
        let engine =
            self.rates_of(table).with("read_docs_total", documents.read).with("written_docs_total", documents.written);
        let node = self.viewer.ground.node().to_string();
        let id = vec![Datum::from("table_server"), Datum::from(table.id.to_string()), Datum::from(node)];
        Datum::Object(Object::from([
            ("db", catalog::database(&self.viewer.state, table, self.viewer.format)),
            ("id", Datum::from(id)),
            ("query_engine", Datum::Object(engine)),
            ("server", self.server_name()),
            ("storage_engine", self.storage()),
            ("table", self.name_of(table)),
        ]))
    }

    fn storage(&self) -> Datum {
        let engine = self.viewer.ground.foundation().engine.metrics();
        let data = engine.page_file_used_bytes;
        let garbage = engine.page_file_held_bytes;
        let space = Object::from([
            ("data_bytes", Datum::from(data)),
            ("garbage_bytes", Datum::from(garbage)),
            ("metadata_bytes", Datum::from(engine.forwarding_bytes)),
            ("preallocated_bytes", Datum::from(engine.page_file_bytes.saturating_sub(data + garbage))),
        ]);
        let disk = Object::from([
            ("read_bytes_per_sec", self.rate(|totals| totals.disk_read_bytes)),
            ("read_bytes_total", Datum::from(self.now.disk_read_bytes)),
            ("space_usage", Datum::Object(space)),
            ("written_bytes_per_sec", self.rate(|totals| totals.disk_written_bytes)),
            ("written_bytes_total", Datum::from(self.now.disk_written_bytes)),
        ]);
        let cache = Object::from([("in_use_bytes", Datum::from(engine.cache_bytes + engine.dirty_bytes))]);
        Datum::Object(Object::from([("cache", Datum::Object(cache)), ("disk", Datum::Object(disk))]))
    }
}
