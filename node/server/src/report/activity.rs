//! How much a node does.

use photondb_proto::v1::report::{Activity, Count, TableActivity};

use super::{Reporter, id_bytes};
use crate::node::activity::Totals;

impl Reporter {
    pub(super) fn activity(&self) -> Activity {
        let clock = &self.foundation.clock;
        let now = self.facts.activity.totals(clock.now(), &self.facts.running, &self.foundation.engine);
        let before = self.facts.activity.before(now.at);
        let count = |number: &dyn Fn(&Totals) -> u64| {
            Some(Count { total: number(&now), per_second: now.rate(&before, number) })
        };
        let mut ids: Vec<_> = now.tables.keys().copied().collect();
        ids.sort_unstable();
        let tables = ids.into_iter().map(|id| TableActivity {
            table: id_bytes(id.0),
            documents_read: count(&|totals| totals.of(id).read),
            documents_written: count(&|totals| totals.of(id).written),
        });
        let engine = self.foundation.engine.metrics();
        let (data, garbage) = (engine.page_file_used_bytes, engine.page_file_held_bytes);
        Activity {
            client_connections: self.facts.connections.get().map_or(0, |connections| connections.count() as u64),
            clients_active: self.facts.running.active_clients() as u64,
            queries: count(&|totals| totals.queries),
            documents_read: count(&|totals| totals.documents().read),
            documents_written: count(&|totals| totals.documents().written),
            tables: tables.collect(),
            disk_read_bytes: count(&|totals| totals.disk_read_bytes),
            disk_written_bytes: count(&|totals| totals.disk_written_bytes),
            cache_bytes: engine.cache_bytes + engine.dirty_bytes,
            data_bytes: data,
            garbage_bytes: garbage,
            metadata_bytes: engine.forwarding_bytes,
            preallocated_bytes: engine.page_file_bytes.saturating_sub(data + garbage),
        }
    }
}
