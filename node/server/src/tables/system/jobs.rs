//! `jobs`: work in progress. The key is `[type, id]`. Deleting the row of a query ends it; others cannot be ended.
//!
//! Whoever is not `admin` sees, and ends, only queries of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use photondb_cluster_state::ADMIN;
use photondb_query::catalog::IdentifierFormat;
use photondb_query::table::{Table, TableInfo};
use photondb_replica::{ShardTable, TableRoutes};
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::term::print;
use photondb_runtime::fiber;
use uuid::Uuid;

use super::{Contents, News, Viewer};
use crate::catalog;
use crate::client::running::Listed;
use crate::limits::JOBS_TEXT_BYTES_MAX;

const QUERY: &str = "query";
const DISK_COMPACTION: &str = "disk_compaction";
const INDEX_CONSTRUCTION: &str = "index_construction";

/// From which RethinkDB derives the ids of jobs that have none of their own.
const DISK_COMPACTION_BASE: Uuid = Uuid::from_u128(0xb8766ece_d15c_4f96_bee5_c0edacf10c9c);
const INDEX_CONSTRUCTION_BASE: Uuid = Uuid::from_u128(0x74d855a5_0c40_4930_a451_d1ce508ef2d2);

/// The table.
pub(super) struct Jobs;

impl Contents for Jobs {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let mut rows = Vec::new();
        let mut text_left = JOBS_TEXT_BYTES_MAX;
        for query in viewer.ground.facts().running.all() {
            if shows(viewer, &query) {
                rows.push(query_row(viewer, &query, &mut text_left));
                // A text may take a while to make, and there may be many.
                fiber::yield_now();
            }
        }
        other_rows(viewer, &mut rows)?;
        Ok(rows)
    }

    fn row(&self, viewer: &Viewer<'_>, key: &Datum) -> Result<Option<Datum>> {
        let Some((kind, id)) = parse_key(key) else { return Ok(None) };
        if kind == QUERY {
            let query = find(viewer, id);
            return Ok(query.map(|query| query_row(viewer, &query, &mut { JOBS_TEXT_BYTES_MAX })));
        }
        let mut rows = Vec::new();
        other_rows(viewer, &mut rows)?;
        super::row_in(rows, key)
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, _old: &Datum, new: &Datum) -> Result<Datum> {
        if !new.is_null() {
            return Err(Error::op_failed(
                "The `rethinkdb.jobs` system table only allows deletions, not inserts or updates.",
            ));
        }
        let Some((kind, id)) = parse_key(key) else { return Ok(Datum::Null) };
        if kind != QUERY {
            return Err(Error::op_failed(format!("Jobs of type `{kind}` cannot be interrupted.")));
        }
        if let Some(query) = find(viewer, id) {
            query.kill();
        }
        Ok(Datum::Null)
    }
}

/// Whether the user may see it.
fn shows(viewer: &Viewer<'_>, query: &Listed) -> bool {
    viewer.user == ADMIN || query.facts.user == viewer.user
}

/// The query of that id, if the user may see it.
fn find(viewer: &Viewer<'_>, id: Uuid) -> Option<Arc<Listed>> {
    viewer.ground.facts().running.find(id).filter(|query| shows(viewer, query))
}

/// `text_left`: bytes that the texts of this listing may still have.
fn query_row(viewer: &Viewer<'_>, query: &Listed, text_left: &mut usize) -> Datum {
    let facts = &query.facts;
    let text = print::query(&facts.query.start().term, *text_left);
    *text_left = text_left.saturating_sub(text.len());
    let info = Object::from([
        ("client_address", Datum::from(facts.peer.ip().to_canonical().to_string())),
        ("client_port", Datum::from(u32::from(facts.peer.port()))),
        ("query", Datum::from(text)),
        ("user", Datum::from(facts.user.clone())),
    ]);
    let lasts = viewer.ground.foundation().clock.now().since(facts.began);
    row(viewer, QUERY, query.id(), Some(lasts), info)
}

/// Those that are no queries.
fn other_rows(viewer: &Viewer<'_>, rows: &mut Vec<Datum>) -> Result<()> {
    if viewer.user != ADMIN {
        return Ok(());
    }
    if viewer.ground.foundation().compacting.load(Ordering::Relaxed) {
        let id = Uuid::new_v5(&DISK_COMPACTION_BASE, viewer.ground.node().to_string().as_bytes());
        rows.push(row(viewer, DISK_COMPACTION, id, None, Object::new()));
    }
    index_constructions(viewer, rows)
}

fn parse_key(key: &Datum) -> Option<(String, Uuid)> {
    let Datum::Array(items) = key else { return None };
    match (items.len(), items.get(0), items.get(1)) {
        (2, Some(Datum::String(kind)), Some(Datum::String(id))) => Some((kind.to_string(), id.parse().ok()?)),
        _ => None,
    }
}

fn row(viewer: &Viewer<'_>, kind: &str, id: Uuid, lasts: Option<Duration>, info: Object) -> Datum {
    let server = catalog::server(&viewer.state, viewer.ground.node(), viewer.format);
    Datum::Object(Object::from([
        ("duration_sec", lasts.map_or(Datum::Null, |lasts| Datum::Number(lasts.as_secs_f64()))),
        ("id", Datum::from(vec![Datum::from(kind), Datum::from(id.to_string())])),
        ("info", Datum::Object(info)),
        ("servers", Datum::from(vec![server])),
        ("type", Datum::from(kind)),
    ]))
}

fn index_constructions(viewer: &Viewer<'_>, rows: &mut Vec<Datum>) -> Result<()> {
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
        for index in
            ShardTable::new(info, TableRoutes::here(&replicas)).indexes()?.into_iter().filter(|index| !index.ready)
        {
            let id = Uuid::new_v5(&INDEX_CONSTRUCTION_BASE, format!("{}{}", table.id, index.name).as_bytes());
            let info = Object::from([
                ("db", catalog::database(&viewer.state, table, viewer.format)),
                ("index", Datum::from(index.name.clone())),
                ("progress", Datum::Number(index.progress)),
                ("table", name.clone()),
            ]);
            rows.push(row(viewer, INDEX_CONSTRUCTION, id, None, info));
        }
    }
    Ok(())
}
