//! `stats`: totals since the start and rates of the last second or two, of the cluster, of each server, of each table, and
//! of each table on each server.
//!
//! Documents are counted by the server that a query was asked of. All tables of a server share one page file, one log and one
//! cache, so what storage did is told of the server in the row of each of its tables.

use std::collections::BTreeMap;

use photondb_cluster_state::Table;
use photondb_proto::v1::report::answer::Told;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::v1::report::{Activity, ActivityCall, Count, TableActivity};
use photondb_proto::{NodeId, TableId};
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, News, Viewer, fields};
use crate::catalog;
use crate::report::{Heard, id_of};

/// In the place of what a server does, when it has not told that.
const SILENT: &str = "Timed out. Unable to retrieve stats.";

/// The table.
pub(super) struct Stats;

impl Contents for Stats {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let servers: Vec<Server> =
            viewer.ground.ask_all(Ask::Activity(ActivityCall {})).into_iter().map(Server::new).collect();
        let mut rows = vec![cluster(&servers)];
        rows.extend(servers.iter().map(|server| server.row(viewer)));
        for table in viewer.state.tables() {
            rows.push(table_row(viewer, table, &servers));
            let with_it = servers.iter().filter(|server| server.has(table));
            rows.extend(with_it.map(|server| server.table_row(viewer, table)));
        }
        Ok(rows)
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}

/// What one server has told.
struct Server {
    node: NodeId,
    told: Option<(Box<Activity>, BTreeMap<TableId, TableActivity>)>,
}

impl Server {
    fn new(heard: Heard) -> Server {
        let told = match heard.told {
            Some(Told::Activity(mut activity)) => {
                let tables = std::mem::take(&mut activity.tables).into_iter();
                let tables = tables.filter_map(|of| Some((TableId(id_of(&of.table)?), of))).collect();
                Some((activity, tables))
            }
            _ => None,
        };
        Server { node: heard.node, told }
    }

    fn activity(&self) -> Option<&Activity> {
        self.told.as_ref().map(|(activity, _)| &**activity)
    }

    fn of(&self, table: TableId) -> Option<&TableActivity> {
        self.told.as_ref().and_then(|(_, tables)| tables.get(&table))
    }

    /// Whether it holds a replica of the table, or was asked for it.
    fn has(&self, table: &Table) -> bool {
        let holds = table.shards.iter().any(|shard| shard.member_on(self.node).is_some());
        holds || self.of(table.id).is_some()
    }

    fn row(&self, viewer: &Viewer<'_>) -> Datum {
        let id = vec![Datum::from("server"), Datum::from(self.node.to_string())];
        let row = Object::from([
            ("id", Datum::from(id)),
            ("server", catalog::server(&viewer.state, self.node, viewer.format)),
        ]);
        Datum::Object(match self.activity() {
            None => row.with("error", SILENT),
            Some(activity) => {
                let engine = clients(std::iter::once(activity))
                    .with("queries_total", total(&activity.queries))
                    .with("read_docs_total", total(&activity.documents_read))
                    .with("written_docs_total", total(&activity.documents_written));
                row.with("query_engine", Datum::Object(engine))
            }
        })
    }

    fn table_row(&self, viewer: &Viewer<'_>, table: &Table) -> Datum {
        let id = [Datum::from("table_server"), Datum::from(table.id.to_string()), Datum::from(self.node.to_string())];
        let row = Object::from([
            ("db", catalog::database(&viewer.state, table, viewer.format)),
            ("id", Datum::from(id.to_vec())),
            ("server", catalog::server(&viewer.state, self.node, viewer.format)),
            ("table", fields::table(viewer, table)),
        ]);
        Datum::Object(match self.activity() {
            None => row.with("error", SILENT),
            Some(activity) => {
                let of = self.of(table.id).cloned().unwrap_or_default();
                let engine = documents(std::iter::once(&of))
                    .with("read_docs_total", total(&of.documents_read))
                    .with("written_docs_total", total(&of.documents_written));
                row.with("query_engine", Datum::Object(engine)).with("storage_engine", storage(activity))
            }
        })
    }
}

fn total(count: &Option<Count>) -> u64 {
    count.as_ref().map_or(0, |count| count.total)
}

fn rate(count: &Option<Count>) -> f64 {
    count.as_ref().map_or(0.0, |count| count.per_second)
}

fn sum<'a, T: 'a>(all: impl Iterator<Item = &'a T>, of: impl Fn(&T) -> f64) -> Datum {
    // Not the sum of nothing that the library has, which is negative zero.
    Datum::Number(all.fold(0.0, |sum, one| sum + of(one)))
}

/// What of the cluster and of a server is told.
fn clients<'a>(servers: impl Iterator<Item = &'a Activity> + Clone) -> Object {
    Object::from([
        ("client_connections", sum(servers.clone(), |server| server.client_connections as f64)),
        ("clients_active", sum(servers.clone(), |server| server.clients_active as f64)),
        ("queries_per_sec", sum(servers.clone(), |server| rate(&server.queries))),
        ("read_docs_per_sec", sum(servers.clone(), |server| rate(&server.documents_read))),
        ("written_docs_per_sec", sum(servers, |server| rate(&server.documents_written))),
    ])
}

fn documents<'a>(servers: impl Iterator<Item = &'a TableActivity> + Clone) -> Object {
    Object::from([
        ("read_docs_per_sec", sum(servers.clone(), |server| rate(&server.documents_read))),
        ("written_docs_per_sec", sum(servers, |server| rate(&server.documents_written))),
    ])
}

fn cluster(servers: &[Server]) -> Datum {
    Datum::Object(Object::from([
        ("id", Datum::from(vec![Datum::from("cluster")])),
        ("query_engine", Datum::Object(clients(servers.iter().filter_map(Server::activity)))),
    ]))
}

fn table_row(viewer: &Viewer<'_>, table: &Table, servers: &[Server]) -> Datum {
    let engine = documents(servers.iter().filter_map(|server| server.of(table.id)));
    Datum::Object(Object::from([
        ("db", catalog::database(&viewer.state, table, viewer.format)),
        ("id", Datum::from(vec![Datum::from("table"), Datum::from(table.id.to_string())])),
        ("query_engine", Datum::Object(engine)),
        ("table", fields::table(viewer, table)),
    ]))
}

fn storage(activity: &Activity) -> Datum {
    let space = Object::from([
        ("data_bytes", Datum::from(activity.data_bytes)),
        ("garbage_bytes", Datum::from(activity.garbage_bytes)),
        ("metadata_bytes", Datum::from(activity.metadata_bytes)),
        ("preallocated_bytes", Datum::from(activity.preallocated_bytes)),
    ]);
    let disk = Object::from([
        ("read_bytes_per_sec", Datum::Number(rate(&activity.disk_read_bytes))),
        ("read_bytes_total", Datum::from(total(&activity.disk_read_bytes))),
        ("space_usage", Datum::Object(space)),
        ("written_bytes_per_sec", Datum::Number(rate(&activity.disk_written_bytes))),
        ("written_bytes_total", Datum::from(total(&activity.disk_written_bytes))),
    ]);
    let cache = Object::from([("in_use_bytes", Datum::from(activity.cache_bytes))]);
    Datum::Object(Object::from([("cache", Datum::Object(cache)), ("disk", Datum::Object(disk))]))
}
