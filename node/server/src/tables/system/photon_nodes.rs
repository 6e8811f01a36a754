//! `photon_nodes`: what decides which server gets a replica, `{id, name, replicas, stored_bytes, documents_per_sec}` of each. The last two are
//! what the server said lately, `null` where this one has not heard it.

use std::collections::BTreeMap;

use photondb_proto::NodeId;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, News, Viewer};

/// The table.
pub(super) struct PhotonNodes;

impl Contents for PhotonNodes {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let mut replicas: BTreeMap<NodeId, u64> = BTreeMap::new();
        for shard in viewer.state.tables().flat_map(|table| &table.shards) {
            shard.placement.nodes().for_each(|node| *replicas.entry(node).or_default() += 1);
        }
        let burdens = viewer.ground.burdens();
        let number = |count: u64| Datum::Number(count as f64);
        let rows = viewer.state.nodes().map(|node| {
            let burden = burdens.get(&node.id);
            Datum::Object(Object::from([
                ("documents_per_sec", burden.map_or(Datum::Null, |burden| number(burden.work))),
                ("id", Datum::from(node.id.to_string())),
                ("name", Datum::from(node.name.as_str())),
                ("replicas", number(replicas.get(&node.id).copied().unwrap_or_default())),
                ("stored_bytes", burden.map_or(Datum::Null, |burden| number(burden.bytes))),
            ]))
        });
        Ok(rows.collect())
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}
