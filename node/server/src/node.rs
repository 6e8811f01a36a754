//! One node: puts the parts together. The only place that knows them all.
//!
//! Order of a start: ports (so that a mistake shows before anything is touched), storage, Raft, what the caller builds on
//! them ([`Foundation`]), client threads, accepting. A stop goes the same way back.

pub mod accounts;
pub mod activity;
mod cluster;
mod error;
mod status;
mod storage_threads;
mod waiting;

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use photondb_consensus::{Groups, GroupsParts};
use photondb_proto::NodeId;
use photondb_query::{Environment, MemoryBudget};
use photondb_replica::ShardService;
use photondb_reql::Str;
use photondb_runtime::clock::Clock;
use photondb_runtime::network::Listener;
use photondb_runtime::peers::{NoPeers, Peer, Peers, Service};
use photondb_runtime::random::Random;
use photondb_runtime::task::{Executor, Handle, StepThread, Threads, sleep, timeout};
use photondb_storage::disk::Disk;
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::limits::WAL_CACHE_BYTES_DEFAULT;
use photondb_storage::wal::WalOptions;
use photondb_storage::{Engine, EngineOptions, StorageError};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::catalog::{NodeCatalog, ServerFacts};
use crate::client::database::Database;
use crate::client::listener;
use crate::client::reql::{ReqlDatabase, Server};
use crate::client::worker::Workers;
use crate::config::Config;
use crate::discovery;
use crate::fetch::{self, Client};
use crate::http;
use crate::limits::{
    ACTIVITY_SAMPLE_PERIOD, DIRTY_BYTES_MAX, DIRTY_SHARE, DRAIN_TIME_MAX, LOG_CACHE_SHARE, STOP_GROUP_TIME_MAX,
};
use crate::outside::{OnLeft, Outside};
use crate::peers::GrpcPeers;
use crate::report::{self, ReportService, Reporter};
use crate::rpc::identity::{Credentials, Identity};
use crate::rpc::{self, ControlService, LateControl, NodeService};
use crate::scripts::ScriptProcesses;
use crate::services::Services;
use crate::tls::{PortTls, Secured, SecuredSystem, Tls, start_rotation};
use accounts::{ClusterUsers, CurrentState};
use waiting::{rest, wait_until};

pub use cluster::Cluster;
pub use error::StartError;
pub use status::Status;

/// A running node. [`Node::stop`] ends it well; dropping it ends it like a crash, without loss.
pub struct Node {
    config: Config,
    status: Arc<Status>,
    /// Accepts on the driver port.
    accepting: Option<Executor>,
    workers: Option<Arc<Workers>>,
    draining: watch::Sender<bool>,
    http: Option<Executor>,
    rpc: Option<Executor>,
    cluster: Option<Arc<Cluster>>,
    /// What other nodes ask of its shards.
    shards: Option<Arc<ShardService>>,
    foundation: Arc<Foundation>,
    tls: Tls,
    /// Reads certificates again.
    certificates: Option<StepThread>,
    page_writer: Option<StepThread>,
    raft: Option<Executor>,
    log_writer: Option<StepThread>,
}

/// What everything that answers queries stands on.
pub struct Foundation {
    /// Storage.
    pub engine: Engine,
    /// Raft groups.
    pub groups: Groups,
    /// The thread that runs them.
    pub raft: Handle,
    /// This node.
    pub node_id: NodeId,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where threads come from.
    pub threads: Arc<dyn Threads>,
    /// Told that the node has left its cluster.
    pub left: OnLeft,
    /// Whether the page file is being compacted.
    pub compacting: Arc<AtomicBool>,
    /// What all queries may hold together.
    pub memory: Arc<MemoryBudget>,
    /// The way to other nodes.
    pub peers: Arc<dyn Peers>,
    /// Who this node is to others; `None`: it speaks to nobody.
    pub(crate) identity: Option<Arc<Identity>>,
    /// What others may ask of it.
    pub(crate) services: Arc<Services>,
}

/// Ports that are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// ReQL.
    pub driver: u16,
    /// gRPC. Served by a node with a cluster state ([`Node::start`]).
    pub cluster: u16,
    /// HTTP, unless it is off.
    pub http: Option<u16>,
}

impl Node {
    /// Starts a node on this machine whose sessions get their view of the database from `make_database`: it is called once,
    /// when storage and Raft run, and gives what makes one view for each client thread. It belongs to no cluster, and
    /// nothing answers on its cluster port.
    pub fn start_with<D, Make>(
        config: Config,
        make_database: impl FnOnce(&Arc<Foundation>, &Config, Ports) -> Result<Make, StartError>,
    ) -> Result<Node, StartError>
    where
        D: Database,
        Make: Fn() -> D + Send + Sync + 'static,
    {
        let (mut node, driver_listeners) = Node::found(config, Outside::system())?;
        let make_database = make_database(&node.foundation, &node.config, node.ports())?;
        node.serve(driver_listeners, make_database)?;
        Ok(node)
    }

    /// Starts a node on this machine with the query engine over the cluster state and this node's replicas. Blocks.
    pub fn start(config: Config) -> Result<Node, StartError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        runtime.block_on(Node::open(config, Outside::system()))
    }

    /// As [`Node::start`], on what `outside` gives.
    pub async fn open(mut config: Config, outside: Outside) -> Result<Node, StartError> {
        let discoveries = discovery::of(&config)?;
        let (cluster_listeners, cluster_port) = listener::bind(&*outside.net, &config.cluster)?;
        // The cluster state and the system tables name the port that is bound.
        config.cluster.port = cluster_port;
        let (mut node, driver_listeners) = Node::found(config, outside)?;
        let control = LateControl::default();
        node.answer_nodes(cluster_listeners, &control);
        let cluster = Cluster::join(&node.foundation, &node.config, discoveries, control.clone()).await?;
        node.status.set_name(cluster.name_of(&node.foundation));
        let facts = ServerFacts::gather(&node.config, node.ports(), &*node.foundation.clock, &*node.foundation.random);
        let facts = Arc::new(facts);
        let reporter = Arc::new(Reporter::new(node.foundation.clone(), cluster.clone(), facts.clone()));
        let make_database = node.make_database(&cluster, &facts, &reporter)?;
        node.serve(driver_listeners, make_database)?;
        let in_memory = node.config.directory.is_none();
        let workers = node.workers.as_ref().map(Arc::downgrade).unwrap_or_default();
        let (foundation, status) = (node.foundation.clone(), node.status.clone());
        control.set(ControlService::new(foundation, cluster.clone(), status, workers, in_memory));
        if let Some(workers) = &node.workers {
            let _ = facts.connections.set(workers.connections());
            node.shards = Some(cluster.answer_for_shards(&node.foundation, workers.handles()));
            let reports = ReportService::new(&reporter, workers.handles());
            node.foundation.services.set(Service::Reports, Arc::new(reports));
        }
        node.foundation.raft.spawn(report::watch(Arc::downgrade(&reporter)));
        node.foundation.raft.spawn(sample(node.foundation.clone(), facts));
        node.cluster = Some(cluster);
        tracing::info!(name = node.status.name(), id = %node.foundation.node_id, "server ready");
        Ok(node)
    }

    /// Everything but clients: ports, storage, Raft, HTTP. Gives the listeners of the driver port, where nobody accepts yet.
    fn found(config: Config, outside: Outside) -> Result<(Node, Vec<Box<dyn Listener>>), StartError> {
        let tls = Tls::load(&config.tls)?;
        let (driver_listeners, driver_port) = listener::bind(&*outside.net, &config.driver)?;
        let http_bound = config.http.as_ref().map(listener::bind_system).transpose()?;
        let http_port = http_bound.as_ref().map(|(_, port)| *port);
        let ports = Ports { driver: driver_port, cluster: config.cluster.port, http: http_port };

        let Outside { clock, random, threads, fatal, left, .. } = outside.clone();
        storage_threads::end_process_when_one_panics();
        let engine = open_engine(&config, &outside)?;
        let log_writer =
            storage_threads::start_log_writer(&*threads, &engine, fatal.clone()).map_err(StartError::Thread)?;
        let raft = threads.executor(storage_threads::RAFT).map_err(StartError::Thread)?;
        let node_id =
            identify(&engine, &*random, !config.joins()).map_err(|source| StartError::storage(&config, source))?;
        let rpc = threads.executor("cluster").map_err(StartError::Thread)?;
        let secret = config.cluster_secret.as_ref().map(|secret| secret.0.as_slice());
        let credentials = Credentials { secret, certificates: tls.cluster.is_some() };
        let has_some = credentials.secret.is_some() || credentials.certificates;
        let identity = has_some.then(|| Arc::new(Identity::new(node_id, credentials, clock.clone())));
        let services = Arc::<Services>::default();
        let peers: Arc<dyn Peers> = match (outside.peers, &identity) {
            (Some(neighbours), _) => neighbours.meet(Peer(node_id.0), services.clone()),
            (None, Some(identity)) => {
                Arc::new(GrpcPeers::new(outside.net, tls.cluster.clone(), rpc.handle(), identity.clone()))
            }
            (None, None) => Arc::new(NoPeers),
        };
        let groups = Groups::new(GroupsParts {
            wal: engine.wal().clone(),
            executor: raft.handle().runtime().clone(),
            fatal: fatal.clone(),
            options: outside.raft,
            node: node_id,
            peers: peers.clone(),
            clock: clock.clone(),
            random: random.clone(),
        });
        services.set(Service::Consensus, groups.service());
        if let Some(began) = outside.began {
            began(&engine, &groups);
        }
        let compacting = Arc::new(AtomicBool::new(false));
        let page_writer = storage_threads::start_page_writer(
            &*threads,
            &engine,
            &groups,
            raft.handle(),
            clock.clone(),
            fatal,
            compacting.clone(),
        )
        .map_err(StartError::Thread)?;
        let memory = MemoryBudget::new(config.all_queries_bytes);
        let foundation = Arc::new(Foundation {
            engine,
            groups,
            raft: raft.handle(),
            node_id,
            clock,
            random,
            threads,
            left,
            compacting,
            memory,
            peers,
            identity,
            services,
        });

        let status = Arc::new(Status::new(&config, ports, foundation.clone()));
        let http = start_http(http_bound, tls.http.clone(), status.clone())?;
        let certificates = start_rotation(&*foundation.threads, tls.ports()).map_err(StartError::Thread)?;
        let node = Node {
            config,
            status,
            accepting: None,
            workers: None,
            draining: watch::Sender::new(false),
            http,
            rpc: Some(rpc),
            cluster: None,
            shards: None,
            foundation,
            tls,
            certificates,
            page_writer: Some(page_writer),
            raft: Some(raft),
            log_writer: Some(log_writer),
        };
        Ok((node, driver_listeners))
    }

    /// The cluster port is answered, as far as there is something to say.
    fn answer_nodes(&self, listeners: Vec<Box<dyn Listener>>, control: &LateControl) {
        let Foundation { identity, services, clock, .. } = &*self.foundation;
        let service = identity.clone().map(|identity| NodeService::new(identity, services.clone()));
        if let Some(executor) = &self.rpc {
            rpc::start(&executor.handle(), listeners, self.tls.cluster.as_ref(), service, control, clock);
        }
    }

    /// Clients may come.
    fn serve<D: Database>(
        &mut self,
        listeners: Vec<Box<dyn Listener>>,
        make_database: impl Fn() -> D + Send + Sync + 'static,
    ) -> Result<(), StartError> {
        let threads = &*self.foundation.threads;
        let workers = Workers::start(threads, self.config.worker_threads, make_database, &self.draining.subscribe())
            .map_err(StartError::Thread)?;
        let workers = Arc::new(workers);
        self.status.set_connections(workers.connections());
        let driver = self.tls.driver.as_ref();
        let listeners = listeners.into_iter().map(|listener| Secured::where_asked(listener, driver)).collect();
        self.accepting = Some(start_accepting(threads, listeners, &workers)?);
        self.workers = Some(workers);
        self.status.set_ready(true);
        Ok(())
    }

    /// What makes a client thread's view of the database.
    fn make_database(
        &self,
        cluster: &Arc<Cluster>,
        facts: &Arc<ServerFacts>,
        reporter: &Arc<Reporter>,
    ) -> Result<impl Fn() -> ReqlDatabase + Send + Sync + 'static, StartError> {
        let (cluster, foundation, facts) = (cluster.clone(), self.foundation.clone(), facts.clone());
        let reporter = reporter.clone();
        let scripts = ScriptProcesses::new(self.config.scripts.clone());
        let client = match self.config.http_client.clone() {
            Some(reach) => Some(Client::new(reach, foundation.random.clone())?),
            None => None,
        };
        let server = Server { id: foundation.node_id.to_string(), name: cluster.name_of(&foundation) };
        let state: CurrentState = {
            let controller = cluster.controller.clone();
            Arc::new(move || controller.state())
        };
        let query_bytes = self.config.query_bytes;
        Ok(move || {
            let users = Rc::new(ClusterUsers::new(state.clone()));
            let catalog = Rc::new(NodeCatalog::new(&cluster, &foundation, &facts, &reporter));
            let environment = Environment {
                catalog,
                fetch: fetch::for_sessions(client.clone()),
                scripts: scripts.engine(),
                // Put in at each login.
                user: Str::from_static(""),
                clock: foundation.clock.clone(),
                random: foundation.random.clone(),
                memory_max: query_bytes,
                memory: foundation.memory.clone(),
            };
            ReqlDatabase::new(&server, users, environment, &facts.running)
        })
    }

    /// The ports that were bound.
    pub fn ports(&self) -> Ports {
        self.status.ports()
    }

    /// What it is and how it is.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// What is printed once the node is ready.
    pub fn banner(&self) -> String {
        let data = match &self.config.directory {
            Some(directory) => directory.canonicalize().unwrap_or_else(|_| directory.clone()).display().to_string(),
            None => "memory only: everything is gone when the process ends".to_owned(),
        };
        let tls = |tls: &Option<_>| if tls.is_some() { ", TLS" } else { "" };
        let http = match (self.ports().http, &self.config.http) {
            (Some(port), Some(listen)) => {
                format!("port {port} on {}{}, health at /health", listen.describe_bind(), tls(&self.tls.http))
            }
            _ => "off".to_owned(),
        };
        let password = match self.cluster.as_ref().and_then(|cluster| cluster.made_password.as_ref()) {
            Some(password) => format!("\nPassword   {password} (of the user admin; shown only now)"),
            None => String::new(),
        };
        let dev = if self.config.dev_mode { "\nDevelopment mode: admin has no password" } else { "" };
        format!(
            "PhotonDB {}\nData       {data}\nDrivers    port {} on {}{}\nCluster    port {} on {}{}\nHTTP       {http}\nServer     {} {}{password}{dev}\nServer ready\n",
            crate::command::VERSION,
            self.ports().driver,
            self.config.driver.describe_bind(),
            tls(&self.tls.driver),
            self.ports().cluster,
            self.config.cluster.describe_bind(),
            tls(&self.tls.cluster),
            self.status.name(),
            self.foundation.node_id,
        )
    }

    /// No new connections; other nodes lead what this one led, where they can; running queries finish, up to a few seconds; then a last
    /// checkpoint and a clean end of the log. Blocks.
    pub fn stop(self) -> Result<(), StorageError> {
        block_on_stop(self.close())
    }

    /// As [`Node::stop`], and nobody is to lead first: the other nodes end too.
    pub fn stop_with_the_others(self) -> Result<(), StorageError> {
        block_on_stop(self.end(false))
    }

    /// As [`Node::stop`].
    pub async fn close(self) -> Result<(), StorageError> {
        self.end(true).await
    }

    async fn end(mut self, hands_over: bool) -> Result<(), StorageError> {
        self.status.set_ready(false);
        self.accepting = None;
        // While sessions go on: what they ask for meanwhile is forwarded to whoever leads then.
        if let Some(cluster) = self.cluster.clone().filter(|_| hands_over) {
            cluster.hand_over(&self.foundation).await;
        }
        // Receivers are gone only when every session is.
        let _ = self.draining.send(true);
        if let Some(workers) = &self.workers {
            let connections = workers.connections();
            wait_until(|| connections.count() == 0, DRAIN_TIME_MAX + Duration::from_secs(1)).await;
            if connections.count() > 0 {
                tracing::warn!(connections = connections.count(), "sessions did not finish in time and are cut off");
            }
        }
        // What others sent before they heard that another leads is committed by now, or was taken back: they are told.
        if let Some(shards) = self.shards.take() {
            rest(|| shards.requests_if_idle()).await;
        }
        self.workers = None;
        self.rpc = None;
        self.cluster = None;
        self.page_writer = None;
        self.stop_groups().await;
        self.raft = None;
        self.log_writer = None;
        self.certificates = None;
        self.http = None;
        match self.foundation.engine.clone().close() {
            Err(error) if error.is_full() => {
                tracing::warn!(%error, "no room for a last checkpoint; nothing is lost: the next start replays the log");
                Ok(())
            }
            closed => closed,
        }
    }

    async fn stop_groups(&self) {
        let groups = self.foundation.groups.clone();
        let stopping = self.foundation.raft.spawn(async move {
            for group in groups.list() {
                match timeout(STOP_GROUP_TIME_MAX, groups.stop(group.id())).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(group = %group.id(), %error, "a group did not stop cleanly"),
                    Err(error) => tracing::warn!(group = %group.id(), %error, "a group did not stop"),
                }
            }
        });
        if stopping.await.is_err() {
            tracing::warn!("the Raft thread had ended before its groups were stopped");
        }
    }
}

fn block_on_stop(ending: impl Future<Output = Result<(), StorageError>>) -> Result<(), StorageError> {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.map_err(|source| StorageError::io("start a runtime for", "the stop of the node", source))?.block_on(ending)
}

/// Keeps samples of what was done, to tell rates from, for as long as the node runs.
async fn sample(foundation: Arc<Foundation>, facts: Arc<ServerFacts>) {
    loop {
        let now = foundation.clock.now();
        facts.activity.sample(facts.activity.totals(now, &facts.running, &foundation.engine));
        sleep(ACTIVITY_SAMPLE_PERIOD).await;
    }
}

fn open_engine(config: &Config, outside: &Outside) -> Result<Engine, StartError> {
    // What cannot be addressed cannot be cached either.
    let derived = || engine_options(usize::try_from(config.cache_bytes).unwrap_or(usize::MAX));
    let mut options = outside.storage.clone().unwrap_or_else(derived);
    // Another log's bytes, in blocks of the disk that were once its own, must not pass for this one's.
    options.wal.incarnation_seed = outside.random.next_u64();
    let disk: Arc<dyn Disk> = match (&outside.disk, &config.directory) {
        (Some(disk), _) => disk.clone(),
        (None, None) => return Ok(Engine::in_memory(options)),
        (None, Some(directory)) => Arc::new(
            SystemDisk::open(directory)
                .map_err(|source| StartError::Directory { directory: directory.clone(), source })?,
        ),
    };
    Engine::open(disk, options).map_err(|source| StartError::storage(config, source))
}

/// Storage's budgets, which all follow from the one of the cache, so that a small machine is asked for little.
fn engine_options(cache_bytes: usize) -> EngineOptions {
    let wal = WalOptions {
        cache_bytes: (cache_bytes / LOG_CACHE_SHARE).min(WAL_CACHE_BYTES_DEFAULT),
        ..WalOptions::default()
    };
    EngineOptions {
        cache_bytes,
        dirty_bytes: (cache_bytes / DIRTY_SHARE).min(DIRTY_BYTES_MAX),
        wal,
        ..EngineOptions::default()
    }
}

/// Who this directory is; a new one becomes somebody.
///
/// A node that is to be taken in by others belongs to no cluster until it has found them; until then it has another number
/// at each start.
fn identify(engine: &Engine, random: &dyn Random, founds: bool) -> Result<NodeId, StorageError> {
    if let Some(node) = engine.identity().node {
        return Ok(NodeId(node));
    }
    let (cluster, node) = (random_uuid(random), random_uuid(random));
    if founds {
        engine.set_identity(cluster, node)?;
    }
    Ok(NodeId(node))
}

/// A version 4 UUID.
pub fn random_uuid(random: &dyn Random) -> u128 {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().as_u128()
}

fn start_http(
    bound: Option<(Vec<TcpListener>, u16)>,
    tls: Option<Arc<PortTls>>,
    status: Arc<Status>,
) -> Result<Option<Executor>, StartError> {
    let Some((listeners, _)) = bound else { return Ok(None) };
    let executor = Executor::start("http").map_err(StartError::Thread)?;
    let router = http::router(status);
    for listener in listeners {
        let (router, tls) = (router.clone(), tls.clone());
        executor.handle().spawn(async move {
            let served = match (tokio::net::TcpListener::from_std(listener), tls) {
                (Ok(listener), Some(tls)) => axum::serve(SecuredSystem::new(listener, tls), router).await,
                (Ok(listener), None) => axum::serve(listener, router).await,
                (Err(error), _) => Err(error),
            };
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP port is served no more");
            }
        });
    }
    Ok(Some(executor))
}

fn start_accepting(
    threads: &dyn Threads,
    listeners: Vec<Box<dyn Listener>>,
    workers: &Arc<Workers>,
) -> Result<Executor, StartError> {
    let accepting = threads.executor("accept").map_err(StartError::Thread)?;
    for listener in listeners {
        // A weak handle: the sessions' threads end when the node lets go of them, whatever the listener is at.
        let workers = Arc::downgrade(workers);
        accepting.handle().spawn_local(move || {
            listener::accept(listener, move |incoming| {
                if let Some(workers) = workers.upgrade() {
                    workers.serve(incoming);
                }
            })
        });
    }
    Ok(accepting)
}
