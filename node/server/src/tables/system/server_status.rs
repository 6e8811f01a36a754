//! `server_status`: a row of the server that is asked. What others say of themselves is not known here.

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, Viewer, fields};
use crate::client::reql::SERVER_VERSION;

/// The table.
pub(super) struct ServerStatus;

impl Contents for ServerStatus {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let facts = viewer.ground.facts();
        let Some(node) = viewer.state.node(viewer.ground.node()) else { return Ok(Vec::new()) };
        let started = fields::time(facts.started_micros);
        let address = |address: &photondb_cluster_state::Address| {
            Datum::Object(Object::from([
                ("host", Datum::from(address.host.as_str())),
                ("port", Datum::from(u32::from(address.port))),
            ]))
        };
        let others = viewer.state.nodes().filter(|other| other.id != node.id && other.is_up());
        let others = others.map(|other| (other.name.as_str(), Datum::from(true)));
        let network = Object::from([
            ("canonical_addresses", Datum::from(node.addresses.iter().map(address).collect::<Vec<_>>())),
            ("cluster_port", Datum::from(u32::from(facts.cluster_port))),
            ("connected_to", Datum::Object(others.collect())),
            ("hostname", Datum::from(facts.hostname.as_str())),
            (
                "http_admin_port",
                facts.http_port.map_or(Datum::from("<no http admin>"), |port| Datum::from(u32::from(port))),
            ),
            ("reql_port", Datum::from(u32::from(facts.driver_port))),
            ("time_connected", started.clone()),
        ]);
        let argv = facts.argv.iter().map(|argument| Datum::from(argument.as_str())).collect::<Vec<_>>();
        let process = Object::from([
            ("argv", Datum::from(argv)),
            ("cache_size_mb", Datum::from(facts.cache_size_mb)),
            ("pid", Datum::from(facts.pid)),
            ("time_started", started),
            ("version", Datum::from(format!("photondb {SERVER_VERSION}"))),
        ]);
        Ok(vec![Datum::Object(Object::from([
            ("id", Datum::from(node.id.to_string())),
            ("name", Datum::from(node.name.as_str())),
            ("network", Datum::Object(network)),
            ("process", Datum::Object(process)),
        ]))])
    }
}
