//! What a node says of itself and of its cluster, for photonctl. How nodes and shards do, system tables ask here too.

pub(crate) mod nodes;
mod query;
pub(crate) mod shards;

use std::sync::{Arc, OnceLock, Weak};

use photondb_cluster_state::{ClusterId, ClusterState, Member, Node, Shard, Table};
use photondb_controller::{Controller, ControllerError};
use photondb_proto::convert::{CONTROL_VERSION, Ports, check_version};
use photondb_proto::v1;
use photondb_proto::v1::control_server::Control;
use photondb_replica::{Replica, TableReplicas};
use photondb_runtime::task;
use photondb_shard::ShardError;
use photondb_shard::read::KeyBounds;
use tonic::{Request, Response, Status};

use super::accept::Caller;
use super::login::Asker;
use crate::client::worker::Workers;
use crate::command::VERSION;
use crate::http::Health;
use crate::node::accounts::ClusterUsers;
use crate::node::{Cluster, Foundation, Status as NodeStatus};

/// Answers from what the node knows now.
pub(crate) struct ControlService {
    foundation: Arc<Foundation>,
    cluster: Arc<Cluster>,
    status: Arc<NodeStatus>,
    users: Arc<ClusterUsers>,
    /// Who serve queries. They end when the node lets go of them, whoever else knows them.
    workers: Weak<Workers>,
    in_memory: bool,
}

/// The same from the moment that the node knows its cluster. Before that it can be told to found one. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct LateControl(Arc<Late>);

#[derive(Default)]
struct Late {
    /// What starts the node's part of the cluster state, and who may tell it something before there is a state.
    starting: OnceLock<(Controller, Arc<ClusterUsers>)>,
    joined: OnceLock<ControlService>,
}

impl LateControl {
    /// The start can be told something from here on, by `users`.
    pub fn start(&self, controller: Controller, users: Arc<ClusterUsers>) {
        let is_new = self.0.starting.set((controller, users)).is_ok();
        assert!(is_new, "a node starts once");
    }

    /// Questions are answered from here on.
    pub fn set(&self, control: ControlService) {
        let is_new = self.0.joined.set(control).is_ok();
        assert!(is_new, "a node joins once");
    }

    fn get(&self) -> Result<&ControlService, Status> {
        self.0.joined.get().ok_or_else(|| {
            Status::unavailable(
                "the node is not part of a cluster yet: it waits for others, or for `photonctl cluster init`",
            )
        })
    }

    /// Who may ask now.
    pub(super) fn users(&self) -> Result<Arc<ClusterUsers>, Status> {
        let joined = self.0.joined.get().map(ControlService::users);
        joined
            .or_else(|| self.0.starting.get().map(|(_, users)| users.clone()))
            .ok_or_else(|| Status::unavailable("the node is starting; try again"))
    }

    /// For requests of `admin`, which all are but queries.
    fn get_for_admin<M>(&self, request: &Request<M>) -> Result<&ControlService, Status> {
        Asker::must_be_admin(request)?;
        self.get()
    }

    async fn init(&self, request: v1::InitClusterRequest) -> Result<Response<v1::InitClusterResponse>, Status> {
        check(request.version)?;
        let cluster: ClusterId = request
            .cluster_id
            .parse()
            .map_err(|_| Status::invalid_argument(format!("`{}` is not a UUID", request.cluster_id)))?;
        if cluster == ClusterId(0) {
            return Err(Status::invalid_argument("the nil UUID is no cluster's"));
        }
        let starting = self.0.starting.get().ok_or_else(|| Status::unavailable("the node is starting; try again"))?;
        match starting.0.initialize(cluster).await {
            Ok(()) => Ok(Response::new(v1::InitClusterResponse { version: CONTROL_VERSION })),
            Err(ControllerError::Refused(refused)) => Err(Status::failed_precondition(refused.to_string())),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }
}

#[tonic::async_trait]
impl Control for LateControl {
    async fn node_info(&self, request: Request<v1::NodeInfoRequest>) -> Result<Response<v1::NodeInfoResponse>, Status> {
        self.get_for_admin(&request)?.node_info(request).await
    }

    async fn cluster_info(
        &self,
        request: Request<v1::ClusterInfoRequest>,
    ) -> Result<Response<v1::ClusterInfoResponse>, Status> {
        self.get_for_admin(&request)?.cluster_info(request).await
    }

    async fn init_cluster(
        &self,
        request: Request<v1::InitClusterRequest>,
    ) -> Result<Response<v1::InitClusterResponse>, Status> {
        Asker::must_be_admin(&request)?;
        self.init(request.into_inner()).await
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        self.get_for_admin(&request)?.list_nodes(request.into_inner()).await
    }

    async fn set_node_service(
        &self,
        request: Request<v1::SetNodeServiceRequest>,
    ) -> Result<Response<v1::SetNodeServiceResponse>, Status> {
        self.get_for_admin(&request)?.set_node_service(request.into_inner()).await
    }

    async fn list_shards(
        &self,
        request: Request<v1::ListShardsRequest>,
    ) -> Result<Response<v1::ListShardsResponse>, Status> {
        self.get_for_admin(&request)?.list_shards(request.into_inner()).await
    }

    async fn move_replica(
        &self,
        request: Request<v1::MoveReplicaRequest>,
    ) -> Result<Response<v1::MoveReplicaResponse>, Status> {
        self.get_for_admin(&request)?.move_replica(request.into_inner()).await
    }

    async fn set_shard_leader(
        &self,
        request: Request<v1::SetShardLeaderRequest>,
    ) -> Result<Response<v1::SetShardLeaderResponse>, Status> {
        self.get_for_admin(&request)?.set_shard_leader(request.into_inner()).await
    }

    async fn split_shard(
        &self,
        request: Request<v1::SplitShardRequest>,
    ) -> Result<Response<v1::SplitShardResponse>, Status> {
        self.get_for_admin(&request)?.split_shard(request.into_inner()).await
    }

    async fn merge_shard(
        &self,
        request: Request<v1::MergeShardRequest>,
    ) -> Result<Response<v1::MergeShardResponse>, Status> {
        self.get_for_admin(&request)?.merge_shard(request.into_inner()).await
    }

    type QueryStream = query::Answers;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<query::Answers>, Status> {
        let (asker, peer) = (Asker::of(&request)?, Caller::of(request.extensions()).map(|caller| caller.address));
        self.get()?.query(&asker, peer, request.into_inner())
    }
}

impl ControlService {
    /// For this node.
    pub fn new(
        foundation: Arc<Foundation>,
        cluster: Arc<Cluster>,
        status: Arc<NodeStatus>,
        workers: Weak<Workers>,
        in_memory: bool,
    ) -> ControlService {
        let controller = cluster.controller.clone();
        let users = Arc::new(ClusterUsers::new(Arc::new(move || controller.state())));
        ControlService { foundation, cluster, status, users, workers, in_memory }
    }

    /// Who may ask.
    pub(super) fn users(&self) -> Arc<ClusterUsers> {
        self.users.clone()
    }

    fn log(&self) -> v1::LogMetrics {
        let log = self.foundation.engine.wal().metrics();
        v1::LogMetrics {
            syncs: log.syncs,
            submissions: log.submissions,
            bytes_written: log.bytes_written,
            group_max: log.group_max,
            segments: log.segments,
            live_bytes: log.live_bytes,
            queued_bytes: log.queued_bytes,
            refused_full: log.refused_full,
        }
    }

    fn storage(&self) -> v1::StorageMetrics {
        let engine = self.foundation.engine.metrics();
        v1::StorageMetrics {
            dirty_bytes: engine.dirty_bytes,
            cache_bytes: engine.cache_bytes,
            cache_hits: engine.cache_hits,
            cache_misses: engine.cache_misses,
            checkpoints: engine.checkpoints,
            pages_written: engine.pages_written,
            page_bytes_written: engine.page_bytes_written,
            page_file_bytes: engine.page_file_bytes,
            page_file_used_bytes: engine.page_file_used_bytes,
        }
    }
}

impl ControlService {
    async fn node_info(&self, request: Request<v1::NodeInfoRequest>) -> Result<Response<v1::NodeInfoResponse>, Status> {
        check(request.get_ref().version)?;
        let ports = self.status.ports();
        let ports = Ports { driver: ports.driver, cluster: ports.cluster, http: ports.http };
        Ok(Response::new(v1::NodeInfoResponse {
            version: CONTROL_VERSION,
            node_id: self.foundation.node_id.to_string(),
            cluster_id: cluster_id(&self.cluster.controller.state()),
            name: self.status.name().to_owned(),
            program_version: VERSION.to_owned(),
            boots: self.foundation.engine.identity().boot,
            uptime_ms: u64::try_from(self.status.uptime().as_millis()).unwrap_or(u64::MAX),
            ready: self.status.is_ready(),
            in_memory: self.in_memory,
            ports: Some(ports.into()),
            client_connections: count(self.status.connections()),
            raft_groups: count(self.foundation.groups.list().len()),
            log: Some(self.log()),
            storage: Some(self.storage()),
        }))
    }

    async fn cluster_info(
        &self,
        request: Request<v1::ClusterInfoRequest>,
    ) -> Result<Response<v1::ClusterInfoResponse>, Status> {
        check(request.get_ref().version)?;
        let state = self.cluster.controller.state();
        let mut tables = Vec::new();
        for stored in state.databases().flat_map(|database| state.tables_of(database.id)) {
            let running = self.cluster.replicas.table(stored.id);
            tables.push(table(stored, running.as_deref()));
            // Counting may read from disk: here a deadline that has passed ends the request.
            task::yield_now().await;
        }
        let databases = state
            .databases()
            .map(|database| v1::Database { database_id: database.id.to_string(), name: database.name.clone() });
        Ok(Response::new(v1::ClusterInfoResponse {
            version: CONTROL_VERSION,
            cluster_id: cluster_id(&state),
            nodes: state.nodes().map(|stored| node(stored)).collect(),
            databases: databases.collect(),
            tables,
        }))
    }
}

fn check(version: u32) -> Result<(), Status> {
    check_version(version).map_err(|refused| Status::failed_precondition(refused.to_string()))
}

fn cluster_id(state: &ClusterState) -> String {
    state.cluster().map(|id| id.to_string()).unwrap_or_default()
}

fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

fn node(stored: &Node) -> v1::Node {
    let address = |address: &photondb_cluster_state::Address| v1::Address {
        host: address.host.clone(),
        port: address.port.into(),
    };
    v1::Node {
        node_id: stored.id.to_string(),
        name: stored.name.clone(),
        tags: stored.shown_tags().into_iter().map(str::to_owned).collect(),
        addresses: stored.addresses.iter().map(address).collect(),
        boots: stored.boots,
    }
}

fn table(stored: &Table, running: Option<&TableReplicas>) -> v1::Table {
    v1::Table {
        table_id: stored.id.to_string(),
        database_id: stored.database.to_string(),
        name: stored.name.clone(),
        primary_key: stored.primary_key.clone(),
        indexes: stored.indexes.keys().cloned().collect(),
        shards: stored.shards.iter().map(|stored| shard(stored, running)).collect(),
    }
}

fn shard(stored: &Shard, running: Option<&TableReplicas>) -> v1::Shard {
    let replicas = running.map_or(&[][..], TableReplicas::shards);
    let member = |member: &Member| {
        let replica = replicas.iter().find(|replica| replica.member == member.id);
        v1::Member {
            member_id: member.id.0,
            node_id: member.node.to_string(),
            state: replica.map(|replica| member_state(replica)),
        }
    };
    v1::Shard {
        shard_id: stored.id.0,
        epoch: stored.epoch.0,
        range: Some(v1::KeyRange::from(&stored.range)),
        members: stored.members.iter().map(member).collect(),
    }
}

fn member_state(replica: &Replica) -> v1::MemberState {
    let leading = replica.is_leading();
    match position_and_documents(replica) {
        Ok((applied, documents)) => v1::MemberState { leading, applied, documents: Some(documents) },
        Err(error) => {
            tracing::warn!(shard = %replica.id, %error, "the documents of a shard cannot be counted");
            v1::MemberState { leading, applied: replica.shard().position().0, documents: None }
        }
    }
}

/// Both of one snapshot.
fn position_and_documents(replica: &Replica) -> Result<(u64, u64), ShardError> {
    let reader = replica.shard().read()?;
    Ok((reader.position().0, reader.count_documents(&KeyBounds::all())?))
}
