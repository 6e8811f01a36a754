//! What a node is.

use photondb_proto::v1::report::{Contact, Server};

use super::{Reporter, id_bytes};
use crate::client::reql::SERVER_VERSION;
use crate::command::VERSION;

impl Reporter {
    pub(super) fn server(&self) -> Server {
        let facts = &self.facts;
        Server {
            hostname: facts.hostname.clone(),
            cluster_port: facts.cluster_port.into(),
            driver_port: facts.driver_port.into(),
            http_port: facts.http_port.map_or(0, u32::from),
            arguments: facts.argv.clone(),
            cache_mib: facts.cache_size_mb,
            process: facts.pid,
            started_micros: facts.started_micros,
            // The name that RethinkDB's tools look for: they refuse to dump and restore at anything else.
            version: format!("rethinkdb {SERVER_VERSION}"),
            contacts: self.contacts(),
            program_version: VERSION.to_owned(),
        }
    }

    /// The other nodes that are there, and whether what was sent to each last has arrived.
    pub(super) fn contacts(&self) -> Vec<Contact> {
        let (state, identity) = (self.state(), &self.foundation.identity);
        let others = state.nodes().filter(|node| node.id != self.foundation.node_id && node.is_up());
        let contact = |node: photondb_proto::NodeId| {
            let missed = identity.as_ref().is_some_and(|identity| identity.encounters().is_missed(node));
            Contact { node: id_bytes(node.0), reached: !missed }
        };
        others.map(|node| contact(node.id)).collect()
    }
}
