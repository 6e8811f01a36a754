//! Tables for whoever looks for a fault: `_debug_scratch` (documents of any form, in memory; tests of clients use it),
//! `_debug_stats`, `_debug_table_status`.

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_cluster_state::{Shard, Table};
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, News, Viewer};
use crate::catalog;

/// The table.
pub(super) struct Scratch;

impl Contents for Scratch {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(viewer.ground.facts().scratch.borrow().values().cloned().collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        if new == old {
            return Ok(new.clone());
        }
        viewer.ground.facts().scratch.send_modify(|documents| {
            let mut changed: BTreeMap<Datum, Datum> = (**documents).clone();
            if new.is_null() {
                changed.remove(key);
            } else {
                changed.insert(key.clone(), new.detach());
            }
            *documents = Arc::new(changed);
        });
        Ok(new.clone())
    }
}

/// `_debug_stats`: what the server measures of itself, in a form of its own.
pub(super) struct Stats;

impl Contents for Stats {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let (now, _) = viewer.ground.activity();
        let foundation = viewer.ground.foundation();
        let (engine, log) = (foundation.engine.metrics(), foundation.engine.wal().metrics());
        let queries = Object::from([
            ("clients_active", Datum::from(viewer.ground.facts().running.active_clients())),
            ("client_connections", Datum::from(viewer.ground.connections())),
            ("queries_total", Datum::from(now.queries)),
        ]);
        let storage = Object::from([
            ("cache_bytes", engine.cache_bytes),
            ("cache_hits_total", engine.cache_hits),
            ("cache_misses_total", engine.cache_misses),
            ("checkpoints_total", engine.checkpoints),
            ("dirty_bytes", engine.dirty_bytes),
            ("memory_waits_total", engine.memory_waits),
            ("page_bytes_read_total", engine.page_bytes_read),
            ("page_bytes_written_total", engine.page_bytes_written + engine.page_bytes_evicted),
            ("page_file_bytes", engine.page_file_bytes),
            ("page_file_used_bytes", engine.page_file_used_bytes),
            ("tree_sets", engine.tree_sets),
        ]);
        let log = Object::from([
            ("bytes_written_total", Datum::from(log.bytes_written)),
            ("submissions_total", Datum::from(log.submissions)),
            ("syncs_total", Datum::from(log.syncs)),
        ]);
        let mut stats = Object::from([("log", log), ("queries", queries), ("storage", storage)]);
        for table in viewer.state.tables() {
            let documents = now.of(table.id);
            let counts = Object::from([("read_docs_total", documents.read), ("written_docs_total", documents.written)]);
            stats = stats.with(table.id.to_string(), counts);
        }
        let node = viewer.ground.node();
        Ok(vec![Datum::Object(Object::from([
            ("id", Datum::from(node.to_string())),
            ("name", catalog::server(&viewer.state, node, IdentifierFormat::Name)),
            ("stats", Datum::Object(stats)),
        ]))])
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}

/// `_debug_table_status`: how each table lies on the servers. A contract is what one replica of one shard is told to be.
pub(super) struct TableStatus;

impl Contents for TableStatus {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(viewer.state.tables().map(|table| table_status(viewer, table)).collect())
    }
}

fn table_status(viewer: &Viewer<'_>, table: &Table) -> Datum {
    let ready = viewer.ground.is_ready(table.id);
    let key = |key: &[u8]| Datum::Binary(bytes::Bytes::copy_from_slice(key));
    let id_of = |shard: &Shard| {
        let name = format!("{}{}", table.id, shard.id);
        Datum::from(uuid::Uuid::new_v5(&uuid::Uuid::nil(), name.as_bytes()).to_string())
    };
    let region = |shard: &Shard| {
        Object::from([("key_max", shard.range.end().map_or(Datum::Null, key)), ("key_min", key(shard.range.start()))])
    };
    let contract = |shard: &Shard| {
        let servers: Vec<Datum> = shard.members.iter().map(|member| Datum::from(member.node.to_string())).collect();
        let primary =
            Object::from([("hand_over", Datum::Null), ("server", servers.first().cloned().unwrap_or(Datum::Null))]);
        Datum::Object(Object::from([
            ("contract", id_of(shard)),
            ("primary", Datum::Object(primary)),
            ("region", Datum::Object(region(shard))),
            ("replicas", Datum::from(servers.clone())),
            ("temp_voters", Datum::Null),
            ("voters", Datum::from(servers)),
        ]))
    };
    let ack = |shard: &Shard| {
        let state = if ready { "primary_ready" } else { "secondary_need_primary" };
        Datum::Object(Object::from([
            ("branch_history", Datum::from(Vec::new())),
            ("contract", id_of(shard)),
            ("state", Datum::from(state)),
            ("version", Datum::Null),
        ]))
    };
    let branch = |shard: &Shard| {
        Datum::Object(Object::from([("branch", id_of(shard)), ("region", Datum::Object(region(shard)))]))
    };
    // How far the shards' logs are applied; the first stands for the table's.
    let applied = viewer.ground.replicas(table.id).and_then(|replicas| {
        let first = replicas.shards().first()?;
        Some(first.shard().position().0)
    });
    let epoch = Object::from([("id", Datum::from(table.id.to_string())), ("timestamp", Datum::from(table.schema.0))]);
    let timestamp =
        Object::from([("epoch", Datum::Object(epoch)), ("log_index", applied.map_or(Datum::Null, Datum::from))]);
    let server = Object::from([
        ("current_branches", Datum::from(table.shards.iter().map(branch).collect::<Vec<_>>())),
        ("timestamp", Datum::Object(timestamp)),
        ("contract_acks", Datum::from(table.shards.iter().map(ack).collect::<Vec<_>>())),
        ("contracts", Datum::from(table.shards.iter().map(contract).collect::<Vec<_>>())),
        ("server", Datum::from(viewer.ground.node().to_string())),
    ]);
    let splits: Vec<Datum> = table.shards.iter().skip(1).map(|shard| key(shard.range.start())).collect();
    Datum::Object(Object::from([
        ("config", catalog::table_config(&viewer.state, table, IdentifierFormat::Uuid)),
        ("db", Datum::from(table.database.to_string())),
        ("id", Datum::from(table.id.to_string())),
        ("name", Datum::from(table.name.as_str())),
        ("shard_scheme", Datum::Object(Object::from([("split_points", Datum::from(splits))]))),
        ("table_server_status", Datum::from(vec![Datum::Object(server)])),
    ]))
}
