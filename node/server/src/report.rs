//! What a node tells of itself, to its own system tables and to those of other nodes, and how all nodes are asked.
//!
//! - R1. Nodes tell numbers and facts; whoever is asked by a client names things and makes documents, by its own state.
//! - R2. Asking all takes [`REPORT_TIME_MAX`] at most: who has not answered by then has not answered.

mod activity;
mod caches;
mod health;
mod jobs;
mod log;
mod meetings;
mod server;
mod service;

use std::sync::Arc;

use futures_util::future::join_all;
use photondb_cluster_state::{ClusterState, Service as NodeService};
use photondb_proto::NodeId;
use photondb_proto::convert::REPORT_VERSION;
use photondb_proto::v1::report::answer::Told;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::v1::report::{Answer, Call};
use photondb_runtime::peers::{Lane, Peer, PeerError, Service};
use prost::Message;

use crate::catalog::ServerFacts;
use crate::limits::REPORT_TIME_MAX;
use crate::node::{Cluster, Foundation};
use caches::Caches;
use meetings::Meetings;

pub(crate) use meetings::watch;
pub(crate) use service::ReportService;

/// Tells what this node knows of itself.
pub(crate) struct Reporter {
    foundation: Arc<Foundation>,
    cluster: Arc<Cluster>,
    facts: Arc<ServerFacts>,
    meetings: Meetings,
    caches: Caches,
}

/// What one node has told.
pub(crate) struct Heard {
    /// Who was asked.
    pub node: NodeId,
    /// `None`: it has not answered.
    pub told: Option<Told>,
}

impl Reporter {
    /// Of a node that is in its cluster.
    pub fn new(foundation: Arc<Foundation>, cluster: Arc<Cluster>, facts: Arc<ServerFacts>) -> Reporter {
        Reporter { foundation, cluster, facts, meetings: Meetings::default(), caches: Caches::default() }
    }

    fn state(&self) -> Arc<ClusterState> {
        self.cluster.controller.state()
    }

    /// Since when this node has known that another is there, in microseconds since the epoch; `None`: it is not.
    pub fn connected_since(&self, node: NodeId) -> Option<i64> {
        match node == self.foundation.node_id {
            true => Some(self.facts.started_micros),
            false => self.meetings.since(node),
        }
    }

    /// What this node says.
    pub async fn tell(&self, ask: Ask) -> Told {
        match ask {
            Ask::Server(_) => Told::Server(self.server()),
            Ask::Activity(_) => Told::Activity(Box::new(self.activity())),
            Ask::Jobs(call) => Told::Jobs(self.jobs(call).await),
            Ask::End(call) => Told::Ended(self.end(&call)),
            Ask::Log(call) => Told::Log(log::lines(&call)),
            Ask::Health(_) => Told::Health(self.health()),
        }
    }

    /// What every node of the cluster says. Those that are down are not waited for.
    pub async fn ask_all(&self, ask: Ask) -> Vec<Heard> {
        self.ask_each(|_| Some(ask.clone())).await
    }

    /// What the nodes other than this one say.
    pub async fn ask_others(&self, ask: Ask) -> Vec<Heard> {
        self.ask_each(|node| (node != self.foundation.node_id).then(|| ask.clone())).await
    }

    /// What the nodes say that are asked something.
    pub async fn ask_each(&self, ask: impl Fn(NodeId) -> Option<Ask>) -> Vec<Heard> {
        let state = self.state();
        let nodes = state.nodes().filter(|node| node.service != NodeService::Gone);
        let asking =
            nodes.filter_map(|node| Some((node.id, node.is_up(), ask(node.id)?))).map(|(id, is_up, ask)| async move {
                let told = match (id == self.foundation.node_id, is_up) {
                    (true, _) => Some(self.tell(ask).await),
                    (false, true) => self.ask(id, ask).await.ok(),
                    (false, false) => None,
                };
                Heard { node: id, told }
            });
        join_all(asking).await
    }

    /// What another node says.
    async fn ask(&self, node: NodeId, ask: Ask) -> Result<Told, PeerError> {
        let call = Call { version: REPORT_VERSION, ask: Some(ask) }.encode_to_vec().into();
        let asking = self.foundation.peers.request(Peer(node.0), Service::Reports, Lane::Query, call, REPORT_TIME_MAX);
        let answer = Answer::decode(asking.await?).map_err(|error| PeerError::Lost(error.to_string()))?;
        answer.told.ok_or_else(|| PeerError::Lost("the answer says nothing that is known here".to_owned()))
    }
}

/// As messages name a node, a table or a query.
fn id_bytes(id: u128) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// What a message names.
pub(crate) fn id_of(bytes: &[u8]) -> Option<u128> {
    Some(u128::from_be_bytes(bytes.try_into().ok()?))
}
