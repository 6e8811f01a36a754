//! What is wrong with a node.

use photondb_proto::v1::report::{Disk, ForeignCluster, Health, OutdatedIndex, UncutShard};
use photondb_replica::Full;

use super::{Reporter, id_bytes};
use crate::limits::SWAPPED_BYTES_MAX;
use crate::telemetry;

impl Reporter {
    pub(super) fn health(&self) -> Health {
        let identity = self.foundation.identity.as_ref();
        let foreign = identity.map_or_else(Vec::new, |identity| identity.encounters().foreign());
        let foreign = foreign.into_iter().map(|foreign| ForeignCluster {
            cluster: foreign.cluster.map(id_bytes).unwrap_or_default(),
            nodes: foreign.nodes.into_iter().map(id_bytes).collect(),
            addresses: foreign.addresses.into_iter().collect(),
            first_micros: foreign.first.micros,
            last_micros: foreign.last.micros,
        });
        Health {
            log_error: telemetry::log_error().unwrap_or_default(),
            memory_error: memory_error().unwrap_or_default(),
            foreign: foreign.collect(),
            disk: self.disk(),
            outdated: self.outdated(),
            contacts: self.contacts(),
            uncut: self.uncut(),
        }
    }

    fn disk(&self) -> Option<Disk> {
        let directory = self.facts.directory.as_ref()?;
        let refused = self.foundation.engine.wal().metrics().refused_full;
        match rustix::fs::statvfs(directory) {
            Ok(found) => Some(Disk {
                total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
                free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
                refused,
            }),
            Err(error) => {
                tracing::debug!(%error, "the file system of the data directory does not say how full it is");
                None
            }
        }
    }

    fn uncut(&self) -> Vec<UncutShard> {
        let tables = self.cluster.replicas.tables();
        let shards = tables.values().flat_map(|table| table.shards());
        let uncut = shards.filter_map(|replica| {
            let node = match replica.uncut()? {
                Full::Table => Vec::new(),
                Full::Node(node) => id_bytes(node.0),
            };
            Some(UncutShard { shard: replica.id.0, node })
        });
        uncut.collect()
    }

    fn outdated(&self) -> Vec<OutdatedIndex> {
        let state = self.state();
        let of = |table: &photondb_cluster_state::Table| {
            let replicas = self.cluster.replicas.table(table.id);
            let indexes = replicas.map(|replicas| replicas.indexes()).unwrap_or_default();
            let outdated = indexes.into_iter().filter(|index| index.outdated);
            let table = id_bytes(table.id.0);
            outdated.map(|index| OutdatedIndex { table: table.clone(), index: index.name }).collect::<Vec<_>>()
        };
        state.tables().flat_map(|table| of(table)).collect()
    }
}

/// What the system says of the memory of this process that it keeps on disk.
fn memory_error() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let swapped = status.lines().find_map(|line| line.strip_prefix("VmSwap:"))?;
    let bytes = swapped.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.saturating_mul(1024);
    (bytes > SWAPPED_BYTES_MAX).then(|| {
        "Memory of this process has been placed into swap space, which makes it slow. Give the machine more memory, or \
         the process a smaller cache"
            .to_owned()
    })
}
