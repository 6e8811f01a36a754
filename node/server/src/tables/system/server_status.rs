//! `server_status`: a row of each server that answers.

use photondb_cluster_state::Node;
use photondb_proto::NodeId;
use photondb_proto::v1::report::answer::Told;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::v1::report::{Server, ServerCall};
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, News, Viewer, fields};
use crate::report::{Heard, id_of};

/// The table.
pub(super) struct ServerStatus;

impl Contents for ServerStatus {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let row = |heard: Heard| match heard.told {
            Some(Told::Server(server)) => Some(row(viewer, viewer.state.node(heard.node)?, server)),
            _ => None,
        };
        Ok(viewer.ground.ask_all(Ask::Server(ServerCall {})).into_iter().filter_map(row).collect())
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}

fn row(viewer: &Viewer<'_>, node: &Node, server: Server) -> Datum {
    let address = |address: &photondb_cluster_state::Address| {
        Datum::Object(Object::from([
            ("host", Datum::from(address.host.as_str())),
            ("port", Datum::from(u32::from(address.port))),
        ]))
    };
    let started = fields::time(server.started_micros);
    let since = viewer.ground.reporter().connected_since(node.id);
    let contacts = server.contacts.iter().filter_map(|contact| {
        let other = viewer.state.node(NodeId(id_of(&contact.node)?))?;
        Some((other.name.as_str(), Datum::from(contact.reached)))
    });
    let network = Object::from([
        ("canonical_addresses", Datum::from(node.addresses.iter().map(address).collect::<Vec<_>>())),
        ("cluster_port", Datum::from(server.cluster_port)),
        ("connected_to", Datum::Object(contacts.collect())),
        ("hostname", Datum::from(server.hostname)),
        (
            "http_admin_port",
            match server.http_port {
                0 => Datum::from("<no http admin>"),
                port => Datum::from(port),
            },
        ),
        ("reql_port", Datum::from(server.driver_port)),
        ("time_connected", since.map_or_else(|| started.clone(), fields::time)),
    ]);
    let argv: Vec<Datum> = server.arguments.into_iter().map(Datum::from).collect();
    let process = Object::from([
        ("argv", Datum::from(argv)),
        ("cache_size_mb", Datum::from(server.cache_mib)),
        ("pid", Datum::from(server.process)),
        ("time_started", started),
        ("version", Datum::from(server.version)),
    ]);
    Datum::Object(Object::from([
        ("id", Datum::from(node.id.to_string())),
        ("name", Datum::from(node.name.as_str())),
        ("network", Datum::Object(network)),
        ("process", Datum::Object(process)),
    ]))
}
