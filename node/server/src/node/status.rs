//! What the HTTP port tells about the node.

mod log_metrics;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{counter, gauge};
use photondb_runtime::clock::Moment;
use serde_json::{Value, json};

use super::{Foundation, Ports};
use crate::client::worker::Connections;
use crate::command::VERSION;
use crate::config::Config;
use crate::http::Health;
use crate::telemetry;

/// The node as others see it.
pub struct Status {
    name: OnceLock<String>,
    ports: Ports,
    started: Moment,
    ready: AtomicBool,
    connections: OnceLock<Arc<Connections>>,
    foundation: Arc<Foundation>,
}

impl Status {
    pub(super) fn new(config: &Config, ports: Ports, foundation: Arc<Foundation>) -> Self {
        // The recorder must stand before anything is counted.
        telemetry::metrics();
        let name = OnceLock::new();
        if let Some(given) = &config.server_name {
            let _ = name.set(given.clone());
        }
        let started = foundation.clock.now();
        let clock = foundation.clock.clone();
        foundation.engine.wal().set_stopwatch(Box::new(move || clock.now().since_start()));
        Self { name, ports, started, ready: AtomicBool::new(false), connections: OnceLock::new(), foundation }
    }

    /// The server's name, once it is known.
    pub fn name(&self) -> &str {
        self.name.get().map_or("", String::as_str)
    }

    /// Says what the cluster state calls this server, unless that is known.
    pub fn set_name(&self, name: String) {
        let _ = self.name.set(name);
    }

    /// The ports that are bound.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Duration {
        self.foundation.clock.now().since(self.started)
    }

    /// How many client connections are open.
    pub fn connections(&self) -> usize {
        self.connections.get().map_or(0, |connections| connections.count())
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    pub(super) fn set_connections(&self, connections: Arc<Connections>) {
        let _ = self.connections.set(connections);
    }
}

impl Health for Status {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn describe(&self) -> Value {
        json!({
            "name": self.name(),
            "id": self.foundation.node_id.to_string(),
            "version": VERSION,
            "reql_port": self.ports.driver,
            "uptime_seconds": self.uptime().as_secs(),
            "connections": self.connections(),
        })
    }

    fn update_metrics(&self) {
        gauge!("photondb_client_connections").set(self.connections() as f64);
        gauge!("photondb_ready").set(if self.is_ready() { 1.0 } else { 0.0 });
        gauge!("photondb_uptime_seconds").set(self.uptime().as_secs_f64());
        gauge!("photondb_raft_groups").set(self.foundation.groups.list().len() as f64);
        let memory = &self.foundation.memory;
        gauge!("photondb_query_memory_bytes").set(memory.taken() as f64);
        gauge!("photondb_query_memory_bytes_max").set(memory.max() as f64);
        counter!("photondb_query_memory_refused_total").absolute(memory.refused());
        let engine = self.foundation.engine.metrics();
        gauge!("photondb_storage_dirty_bytes").set(engine.dirty_bytes as f64);
        gauge!("photondb_storage_dirty_bytes_max").set(engine.dirty_bytes_max as f64);
        gauge!("photondb_storage_forwarding_bytes").set(engine.forwarding_bytes as f64);
        counter!("photondb_storage_pages_evicted_total").absolute(engine.pages_evicted);
        counter!("photondb_storage_slots_compacted_total").absolute(engine.slots_compacted);
        counter!("photondb_storage_memory_waits_total").absolute(engine.memory_waits);
        gauge!("photondb_storage_cache_bytes").set(engine.cache_bytes as f64);
        gauge!("photondb_storage_page_file_bytes").set(engine.page_file_bytes as f64);
        gauge!("photondb_storage_page_file_used_bytes").set(engine.page_file_used_bytes as f64);
        gauge!("photondb_storage_page_file_held_bytes").set(engine.page_file_held_bytes as f64);
        counter!("photondb_storage_cache_hits_total").absolute(engine.cache_hits);
        counter!("photondb_storage_cache_misses_total").absolute(engine.cache_misses);
        counter!("photondb_storage_checkpoints_total").absolute(engine.checkpoints);
        counter!("photondb_storage_page_bytes_written_total").absolute(engine.page_bytes_written);
        let log = self.foundation.engine.wal().metrics();
        counter!("photondb_log_bytes_written_total").absolute(log.bytes_written);
        counter!("photondb_log_syncs_total").absolute(log.syncs);
        counter!("photondb_log_submissions_total").absolute(log.submissions);
        gauge!("photondb_log_segments").set(log.segments as f64);
        gauge!("photondb_log_queued_bytes").set(log.queued_bytes as f64);
    }

    fn more_metrics(&self) -> String {
        log_metrics::render(self.foundation.engine.wal())
    }
}
