//! `photon_nodes`: each node as `photonctl node list` shows it, and what it says of its program and its disk.

use std::collections::BTreeMap;

use futures_util::future::join3;
use photondb_proto::NodeId;
use photondb_proto::v1::report::answer::Told;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::v1::report::{Health, HealthCall, Server, ServerCall};
use photondb_proto::v1::{self, NodeStatus};
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;
use photondb_runtime::fiber;

use super::{Contents, News, Viewer};
use crate::report::Heard;

/// The table.
pub(super) struct PhotonNodes;

/// What a node that answers has said.
#[derive(Default)]
struct Said {
    server: Option<Server>,
    health: Option<Health>,
}

impl Contents for PhotonNodes {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let (ground, reporter) = (viewer.ground, viewer.ground.reporter());
        // All at once: one that is silent is waited for once.
        let (statuses, servers, healths) = fiber::wait(join3(
            ground.node_statuses(&viewer.state),
            reporter.ask_all(Ask::Server(ServerCall {})),
            reporter.ask_all(Ask::Health(HealthCall {})),
        ));
        let said = said(servers.into_iter().chain(healths));
        let nothing = Said::default();
        Ok(statuses
            .iter()
            .filter_map(|status| {
                let node = status.node.as_ref()?;
                let said = node.checked_id().ok().and_then(|id| said.get(&id));
                Some(row(node, status, said.unwrap_or(&nothing)))
            })
            .collect())
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}

fn said(heard: impl Iterator<Item = Heard>) -> BTreeMap<NodeId, Said> {
    let mut all: BTreeMap<NodeId, Said> = BTreeMap::new();
    for Heard { node, told } in heard {
        let said = all.entry(node).or_default();
        match told {
            Some(Told::Server(server)) => said.server = Some(server),
            Some(Told::Health(health)) => said.health = Some(health),
            _ => {}
        }
    }
    all
}

fn row(node: &v1::Node, status: &NodeStatus, said: &Said) -> Datum {
    let address = |address: &v1::Address| {
        let fields = [("host", Datum::from(address.host.as_str())), ("port", Datum::from(address.port))];
        Datum::Object(Object::from(fields))
    };
    let disk = said.health.as_ref().and_then(|health| health.disk).map(|disk| {
        Datum::Object(Object::from([
            ("free_bytes", disk.free_bytes),
            ("total_bytes", disk.total_bytes),
            ("writes_refused", disk.refused),
        ]))
    });
    let version = said.server.as_ref().map(|server| server.program_version.as_str());
    let number = |number: Option<u64>| number.map_or(Datum::Null, Datum::from);
    let tags: Vec<Datum> = node.tags.iter().map(|tag| Datum::from(tag.as_str())).collect();
    Datum::Object(Object::from([
        ("addresses", Datum::from(node.addresses.iter().map(address).collect::<Vec<_>>())),
        ("answers", Datum::from(said.server.is_some() && said.health.is_some())),
        ("boots", Datum::from(node.boots)),
        // Of one that does not answer, and of one whose data are in memory.
        ("disk", disk.unwrap_or(Datum::Null)),
        ("documents_per_sec", number(status.documents_per_sec)),
        ("draining", status.is_draining().map_or(Datum::Null, Datum::from)),
        ("id", Datum::from(node.node_id.as_str())),
        ("leading", number(status.leading)),
        ("leads_cluster", Datum::from(status.leads_cluster)),
        ("name", Datum::from(node.name.as_str())),
        ("replicas", Datum::from(status.replicas)),
        ("service", Datum::from(status.service().word())),
        ("state", Datum::from(status.liveness().word())),
        ("stored_bytes", number(status.stored_bytes)),
        ("tags", Datum::from(tags)),
        ("to_hand_over", number(status.to_hand_over)),
        ("version", version.filter(|version| !version.is_empty()).map_or(Datum::Null, Datum::from)),
        ("votes_on_cluster", Datum::from(status.votes)),
    ]))
}

#[cfg(test)]
mod tests {
    use photondb_proto::v1::report::Disk;

    use super::*;

    fn shown(status: &NodeStatus, said: &Said) -> serde_json::Value {
        let node = status.node.as_ref().expect("is there");
        serde_json::from_str(&row(node, status, said).print()).expect("a document is JSON")
    }

    fn drained() -> NodeStatus {
        let address = v1::Address { host: "h".to_owned(), port: 29015 };
        NodeStatus {
            node: Some(v1::Node {
                node_id: NodeId(1).to_string(),
                name: "ann".to_owned(),
                tags: vec!["rack-1".to_owned()],
                addresses: vec![address],
                boots: 3,
            }),
            liveness: v1::NodeLiveness::Up.into(),
            service: v1::NodeService::Drained.into(),
            replicas: 2,
            leading: Some(1),
            to_hand_over: Some(1),
            votes: true,
            stored_bytes: Some(4096),
            ..NodeStatus::default()
        }
    }

    #[test]
    fn a_node_that_answers_is_shown_with_its_program_and_its_disk() {
        let disk = Some(Disk { total_bytes: 100, free_bytes: 40, refused: 2 });
        let heard = [
            Told::Server(Server { program_version: "0.1.0".to_owned(), ..Server::default() }),
            Told::Health(Health { disk, ..Health::default() }),
        ];
        let said = said(heard.into_iter().map(|told| Heard { node: NodeId(1), told: Some(told) }));
        let expected = serde_json::json!({
            "addresses": [{ "host": "h", "port": 29015 }],
            "answers": true,
            "boots": 3,
            "disk": { "free_bytes": 40, "total_bytes": 100, "writes_refused": 2 },
            "documents_per_sec": null,
            "draining": true,
            "id": NodeId(1).to_string(),
            "leading": 1,
            "leads_cluster": false,
            "name": "ann",
            "replicas": 2,
            "service": "drained",
            "state": "up",
            "stored_bytes": 4096,
            "tags": ["rack-1"],
            "to_hand_over": 1,
            "version": "0.1.0",
            "votes_on_cluster": true,
        });
        assert_eq!(shown(&drained(), &said[&NodeId(1)]), expected);
    }

    #[test]
    fn what_only_the_node_knows_is_null_while_it_is_silent() {
        let status =
            NodeStatus { liveness: v1::NodeLiveness::Down.into(), leading: None, to_hand_over: None, ..drained() };
        let silent = [Heard { node: NodeId(1), told: None }];
        let row = shown(&status, &said(silent.into_iter())[&NodeId(1)]);
        assert_eq!((&row["state"], &row["answers"], &row["replicas"]), (&"down".into(), &false.into(), &2.into()));
        for unknown in ["disk", "draining", "leading", "to_hand_over", "version"] {
            assert!(row[unknown].is_null(), "{unknown}: {row}");
        }
    }
}
