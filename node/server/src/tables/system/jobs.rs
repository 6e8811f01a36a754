//! `jobs`: work in progress on all servers. The key is `[type, id]`. Deleting the row of a query ends it, wherever it runs; others
//! cannot be ended.
//!
//! Whoever is not `admin` sees, and ends, only queries of their own.

mod backfill;

use std::collections::BTreeMap;

use photondb_cluster_state::{ADMIN, ClusterState};
use photondb_proto::v1::report::answer::Told;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::v1::report::{EndCall, Jobs as Report, JobsCall, Query};
use photondb_proto::{NodeId, TableId};
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_runtime::fiber;
use uuid::Uuid;

use super::{Contents, News, Viewer, fields};
use crate::catalog;
use crate::limits::JOBS_TEXT_BYTES_MAX;
use crate::report::{Heard, id_of};

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
        // Their texts together are no longer than those of one server could be.
        let servers = viewer.state.nodes().filter(|node| node.is_up()).count().max(1);
        let call = JobsCall {
            user: seen_by(viewer),
            query: Vec::new(),
            text_bytes_max: (JOBS_TEXT_BYTES_MAX / servers) as u64,
        };
        Ok(rows(viewer, viewer.ground.ask_all(Ask::Jobs(call))))
    }

    fn row(&self, viewer: &Viewer<'_>, key: &Datum) -> Result<Option<Datum>> {
        let Some((kind, id)) = parse_key(key) else { return Ok(None) };
        if kind != QUERY {
            return super::row_in(self.rows(viewer)?, key);
        }
        let query = id.as_u128().to_be_bytes().to_vec();
        let call = JobsCall { user: seen_by(viewer), query, text_bytes_max: JOBS_TEXT_BYTES_MAX as u64 };
        super::row_in(rows(viewer, here_or_elsewhere(viewer, Ask::Jobs(call), has_query)), key)
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
        let call = EndCall { query: id.as_u128().to_be_bytes().to_vec(), user: seen_by(viewer) };
        let heard = here_or_elsewhere(viewer, Ask::End(call), was_found);
        let silent = heard.iter().filter(|heard| heard.told.is_none() && is_up(viewer, heard.node));
        let silent: Vec<String> = silent.map(|heard| format!("`{}`", name_of(viewer, heard.node))).collect();
        if !silent.is_empty() && !heard.iter().any(was_found) {
            let silent = silent.join(", ");
            return Err(Error::op_indeterminate(format!(
                "Cannot tell whether the query has been interrupted: no answer from {silent}."
            )));
        }
        Ok(Datum::Null)
    }
}

/// Whose queries the user may see: their own; `None`: everybody's.
fn seen_by(viewer: &Viewer<'_>) -> Option<String> {
    (viewer.user != ADMIN).then(|| viewer.user.to_owned())
}

/// Asks this server, and the others when it has not what is looked for.
fn here_or_elsewhere(viewer: &Viewer<'_>, ask: Ask, has: impl Fn(&Heard) -> bool) -> Vec<Heard> {
    let reporter = viewer.ground.reporter();
    let here = Heard { node: viewer.ground.node(), told: Some(fiber::wait(reporter.tell(ask.clone()))) };
    if has(&here) {
        return vec![here];
    }
    fiber::wait(reporter.ask_others(ask))
}

fn has_query(heard: &Heard) -> bool {
    matches!(&heard.told, Some(Told::Jobs(jobs)) if !jobs.queries.is_empty())
}

fn was_found(heard: &Heard) -> bool {
    matches!(&heard.told, Some(Told::Ended(ended)) if ended.found)
}

fn is_up(viewer: &Viewer<'_>, node: NodeId) -> bool {
    viewer.state.node(node).is_some_and(|node| node.is_up())
}

fn name_of<'a>(viewer: &'a Viewer<'_>, node: NodeId) -> &'a str {
    viewer.state.node(node).map_or("", |node| node.name.as_str())
}

fn parse_key(key: &Datum) -> Option<(String, Uuid)> {
    let Datum::Array(items) = key else { return None };
    match (items.len(), items.get(0), items.get(1)) {
        (2, Some(Datum::String(kind)), Some(Datum::String(id))) => Some((kind.to_string(), id.parse().ok()?)),
        _ => None,
    }
}

fn rows(viewer: &Viewer<'_>, heard: Vec<Heard>) -> Vec<Datum> {
    let told = heard.into_iter().filter_map(|heard| match heard.told {
        Some(Told::Jobs(jobs)) => Some((heard.node, jobs)),
        _ => None,
    });
    let (mut rows, mut builds, mut backfills) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (node, Report { queries, index_builds, compacting, backfills: sent }) in told {
        backfills.extend(sent.into_iter().map(|sent| (node, sent)));
        rows.extend(queries.into_iter().filter_map(|query| query_row(viewer, node, query)));
        if compacting {
            let id = Uuid::new_v5(&DISK_COMPACTION_BASE, node.to_string().as_bytes());
            rows.push(row(&viewer.state, viewer.format, DISK_COMPACTION, id, &[node], None, Object::new()));
        }
        for build in index_builds {
            let Some(table) = id_of(&build.table).map(TableId) else { continue };
            builds.entry((table, build.index)).or_insert_with(Vec::new).push((node, build.part_built));
        }
    }
    rows.extend(builds.into_iter().filter_map(|((table, index), by)| index_row(viewer, table, &index, &by)));
    rows.extend(backfill::rows(&viewer.state, viewer.format, backfills));
    rows
}

fn query_row(viewer: &Viewer<'_>, node: NodeId, query: Query) -> Option<Datum> {
    let id = Uuid::from_u128(id_of(&query.id)?);
    let info = Object::from([
        ("client_address", Datum::from(query.client_address)),
        ("client_port", Datum::from(query.client_port)),
        ("query", Datum::from(query.text)),
        ("user", Datum::from(query.user)),
    ]);
    let lasts = Some(query.lasts_micros as f64 / 1e6);
    Some(row(&viewer.state, viewer.format, QUERY, id, &[node], lasts, info))
}

/// One for all servers that build it: how far they are on the average.
fn index_row(viewer: &Viewer<'_>, table: TableId, index: &str, by: &[(NodeId, f64)]) -> Option<Datum> {
    let table = viewer.state.table(table)?;
    let id = Uuid::new_v5(&INDEX_CONSTRUCTION_BASE, format!("{}{index}", table.id).as_bytes());
    let servers: Vec<NodeId> = by.iter().map(|(node, _)| *node).collect();
    let progress = by.iter().map(|(_, part)| part.clamp(0.0, 1.0)).sum::<f64>() / by.len() as f64;
    let info = Object::from([
        ("db", catalog::database(&viewer.state, table, viewer.format)),
        ("index", Datum::from(index)),
        ("progress", Datum::Number(progress)),
        ("table", fields::table(viewer, table)),
    ]);
    Some(row(&viewer.state, viewer.format, INDEX_CONSTRUCTION, id, &servers, None, info))
}

fn row(
    state: &ClusterState,
    format: IdentifierFormat,
    kind: &str,
    id: Uuid,
    servers: &[NodeId],
    lasts: Option<f64>,
    info: Object,
) -> Datum {
    let servers = servers.iter().map(|node| catalog::server(state, *node, format));
    Datum::Object(Object::from([
        ("duration_sec", lasts.map_or(Datum::Null, Datum::Number)),
        ("id", Datum::from(vec![Datum::from(kind), Datum::from(id.to_string())])),
        ("info", Datum::Object(info)),
        ("servers", Datum::from(servers.collect::<Vec<_>>())),
        ("type", Datum::from(kind)),
    ]))
}
