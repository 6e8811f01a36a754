//! How nodes do, and what is wanted of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Command, Liveness, Node, Role, Service};
use photondb_controller::ControllerError;
use photondb_proto::convert::CONTROL_VERSION;
use photondb_proto::{NodeId, ShardId, v1};
use photondb_replica::status::MemberStatus;
use photondb_runtime::task;
use tonic::{Response, Status};

use super::{ControlService, check, cluster_id, count};
use crate::limits::CONFIRM_TIME_MAX;
use crate::node::Cluster;

impl ControlService {
    pub(super) async fn list_nodes(
        &self,
        request: v1::ListNodesRequest,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        check(request.version)?;
        let controller = &self.cluster.controller;
        // What was changed at another node is told here. Without a majority of the state's voters, what is known is.
        let newest = task::timeout(CONFIRM_TIME_MAX, controller.confirm()).await;
        let state = newest.ok().and_then(Result::ok).unwrap_or_else(|| controller.state());
        Ok(Response::new(v1::ListNodesResponse {
            version: CONTROL_VERSION,
            cluster_id: cluster_id(&state),
            nodes: statuses(&self.cluster, &state).await,
            asked: self.foundation.node_id.to_string(),
        }))
    }

    pub(super) async fn set_node_service(
        &self,
        request: v1::SetNodeServiceRequest,
    ) -> Result<Response<v1::SetNodeServiceResponse>, Status> {
        check(request.version)?;
        let wanted = match request.service() {
            v1::NodeService::Full => Service::Full,
            v1::NodeService::Drained => Service::Drained,
            v1::NodeService::Leaving => Service::Leaving,
            v1::NodeService::Gone | v1::NodeService::Unspecified => {
                return Err(Status::invalid_argument("a node can be told to serve, to be drained, or to leave"));
            }
        };
        let state = self.cluster.controller.confirm().await.map_err(refused)?;
        let id = match request.node.as_str() {
            "" => self.foundation.node_id,
            name => named(&state, name)?.id,
        };
        let mut commands = match request.successor.as_str() {
            "" => Vec::new(),
            _ if wanted != Service::Leaving => {
                return Err(Status::invalid_argument("only a node that is to leave has a successor"));
            }
            name => giving_places(&state, id, named(&state, name)?)?,
        };
        commands.push(Command::SetService { id, service: wanted });
        // Nothing is begun that would be refused at its end.
        let mut tried = state;
        for command in &commands {
            let applied = tried.applied(command).map_err(|error| Status::failed_precondition(error.to_string()))?;
            tried = applied.0;
        }
        for command in commands {
            self.cluster.controller.propose(command).await.map_err(refused)?;
        }
        Ok(Response::new(v1::SetNodeServiceResponse { version: CONTROL_VERSION, node_id: id.to_string() }))
    }
}

/// How each node does, by name: what photonctl and `photon_nodes` show.
pub(crate) async fn statuses(cluster: &Cluster, state: &ClusterState) -> Vec<v1::NodeStatus> {
    let told = cluster.replicas.statuses_by_node(state).await;
    let mut replicas: BTreeMap<NodeId, u64> = BTreeMap::new();
    for member in state.tables().flat_map(|table| &table.shards).flat_map(|shard| &shard.members) {
        *replicas.entry(member.node).or_default() += 1;
    }
    let group = cluster.controller.group();
    let (voters, leader) = (group.membership().all_voters(), group.leader());
    let open = |node: NodeId, but: NodeId| node != but && state.node(node).is_some_and(|node| node.is_open());
    let can_be_led_elsewhere = |led: ShardId, by: NodeId| {
        let members = state.shard(led).into_iter().flat_map(|(_, shard)| &shard.members);
        members.into_iter().any(|member| member.role == Role::Voter && open(member.node, by))
    };
    let burdens = cluster.controller.burdens();
    let status = |node: &Arc<Node>| {
        let burden = burdens.get(&node.id);
        let replicas = replicas.get(&node.id).copied().unwrap_or(0);
        let leading = |statuses: &[MemberStatus]| count(statuses.iter().filter(|status| status.leads).count());
        // Who holds nothing leads nothing.
        let told = told.get(&node.id).map(Vec::as_slice).or((replicas == 0).then_some(&[]));
        let leads_cluster = leader.is_some_and(|(_, leader)| leader == node.id);
        let others = || state.nodes().any(|other| voters.contains(&other.meta) && open(other.id, node.id));
        let to_hand_over = |statuses: &[MemberStatus]| {
            let of_tables =
                statuses.iter().filter(|status| status.leads && can_be_led_elsewhere(status.shard, node.id));
            count(of_tables.count()) + u64::from(leads_cluster && others())
        };
        v1::NodeStatus {
            node: Some(super::node(node)),
            liveness: liveness(node.liveness).into(),
            service: service(node.service).into(),
            replicas,
            leading: told.map(leading),
            to_hand_over: told.map(to_hand_over),
            votes: voters.contains(&node.meta),
            leads_cluster,
            stored_bytes: burden.map(|burden| burden.bytes),
            documents_per_sec: burden.map(|burden| burden.work),
        }
    };
    let mut nodes: Vec<&Arc<Node>> = state.nodes().collect();
    nodes.sort_by(|left, right| left.name.cmp(&right.name));
    nodes.into_iter().map(status).collect()
}

/// What makes the places of one node another's, where that has none yet.
fn giving_places(state: &ClusterState, from: NodeId, to: &Node) -> Result<Vec<Command>, Status> {
    if to.id == from || !to.is_open() {
        let why = if to.id == from { "it is the same node" } else { "it is not up, or not in full service" };
        return Err(Status::failed_precondition(format!("server `{}` cannot take the places: {why}", to.name)));
    }
    let shards = state.tables().flat_map(|table| &table.shards).filter(|shard| shard.placement.contains(from));
    Ok(shards.map(|shard| Command::Substitute { shard: shard.id, lost: from, by: to.id }).collect())
}

/// The node of that name, or of that id.
pub(super) fn named<'a>(state: &'a ClusterState, name: &str) -> Result<&'a Arc<Node>, Status> {
    let of_id = || state.nodes().find(|node| node.id.to_string() == name);
    state.node_named(name).or_else(of_id).ok_or_else(|| {
        let mut names: Vec<&str> = state.nodes().map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        Status::not_found(format!("there is no server `{name}`; there are: {}", names.join(", ")))
    })
}

pub(super) fn refused(error: ControllerError) -> Status {
    match error {
        ControllerError::Refused(refused) => Status::failed_precondition(refused.to_string()),
        error => Status::unavailable(error.to_string()),
    }
}

fn liveness(liveness: Liveness) -> v1::NodeLiveness {
    match liveness {
        Liveness::Up => v1::NodeLiveness::Up,
        Liveness::Down => v1::NodeLiveness::Down,
        Liveness::Lost => v1::NodeLiveness::Lost,
    }
}

fn service(service: Service) -> v1::NodeService {
    match service {
        Service::Full => v1::NodeService::Full,
        Service::Drained => v1::NodeService::Drained,
        Service::Leaving => v1::NodeService::Leaving,
        Service::Gone => v1::NodeService::Gone,
    }
}
