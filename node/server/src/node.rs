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

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use photondb_consensus::{Groups, GroupsParts, OnFatal, Options as RaftOptions};
use photondb_proto::NodeId;
use photondb_query::{Environment, MemoryBudget};
use photondb_reql::Str;
use photondb_runtime::clock::Clock;
use photondb_runtime::network::Listener;
use photondb_runtime::peers::NoPeers;
use photondb_runtime::random::Random;
use photondb_runtime::system::{SystemClock, SystemNet, SystemRandom};
use photondb_runtime::task::{Executor, Handle, StepThread, sleep, timeout};
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::limits::WAL_CACHE_BYTES_DEFAULT;
use photondb_storage::wal::WalOptions;
use photondb_storage::{Engine, EngineOptions, StorageError};
use tokio::sync::watch;

use crate::catalog::{NodeCatalog, ServerFacts};
use crate::client::database::Database;
use crate::client::listener;
use crate::client::reql::{ReqlDatabase, Server};
use crate::client::worker::Workers;
use crate::config::Config;
use crate::fetch::{self, Client};
use crate::http;
use crate::limits::{
    ACTIVITY_SAMPLE_PERIOD, DIRTY_BYTES_MAX, DIRTY_SHARE, DRAIN_TIME_MAX, LOG_CACHE_SHARE, STOP_GROUP_TIME_MAX,
};
use crate::rpc::{self, ControlService};
use crate::scripts::ScriptProcesses;
use accounts::{ClusterUsers, CurrentState};

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
    foundation: Arc<Foundation>,
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
    /// Ends the process.
    pub fatal: OnFatal,
    /// Whether the page file is being compacted.
    pub compacting: Arc<AtomicBool>,
    /// What all queries may hold together.
    pub memory: Arc<MemoryBudget>,
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
    /// Starts a node whose sessions get their view of the database from `make_database`: it is called once, when storage
    /// and Raft run, and gives what makes one view for each client thread.
    pub fn start_with<D, Make>(
        config: Config,
        make_database: impl FnOnce(&Arc<Foundation>, &Config, Ports) -> Result<Make, StartError>,
    ) -> Result<Node, StartError>
    where
        D: Database,
        Make: Fn() -> D + Send + Sync + 'static,
    {
        let (driver_listeners, driver_port) = listener::bind(&SystemNet, &config.driver)?;
        let http_bound = config.http.as_ref().map(listener::bind_system).transpose()?;
        let http_port = http_bound.as_ref().map(|(_, port)| *port);
        let ports = Ports { driver: driver_port, cluster: config.cluster.port, http: http_port };

        let fatal: OnFatal = Arc::new(end_process);
        storage_threads::end_process_when_one_panics();
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let engine = open_engine(&config, &*random)?;
        let log_writer = storage_threads::start_log_writer(&engine, fatal.clone()).map_err(StartError::Thread)?;
        let raft = Executor::start(storage_threads::RAFT).map_err(StartError::Thread)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let node_id = identify(&engine, &*random).map_err(|source| StartError::storage(&config, source))?;
        let groups = Groups::new(GroupsParts {
            wal: engine.wal().clone(),
            executor: raft.handle().runtime().clone(),
            fatal: fatal.clone(),
            options: RaftOptions::default(),
            node: node_id,
            peers: Arc::new(NoPeers),
            clock: clock.clone(),
            random: random.clone(),
        });
        let compacting = Arc::new(AtomicBool::new(false));
        let page_writer = storage_threads::start_page_writer(
            &engine,
            &groups,
            raft.handle(),
            clock.clone(),
            fatal.clone(),
            compacting.clone(),
        )
        .map_err(StartError::Thread)?;
        let raft_handle = raft.handle();
        let memory = MemoryBudget::new(config.all_queries_bytes);
        let foundation = Arc::new(Foundation {
            engine,
            groups,
            raft: raft_handle,
            node_id,
            clock,
            random,
            fatal,
            compacting,
            memory,
        });

        let status = Arc::new(Status::new(&config, ports, foundation.clone()));
        let http = start_http(http_bound, status.clone())?;
        let make_database = make_database(&foundation, &config, ports)?;
        let (draining, drain) = watch::channel(false);
        let workers = Workers::start(config.worker_threads, make_database, &drain).map_err(StartError::Thread)?;
        let workers = Arc::new(workers);
        status.set_connections(workers.connections());
        let accepting = start_accepting(driver_listeners, &workers)?;
        status.set_ready(true);
        Ok(Node {
            config,
            status,
            accepting: Some(accepting),
            workers: Some(workers),
            draining,
            http,
            rpc: None,
            cluster: None,
            foundation,
            page_writer: Some(page_writer),
            raft: Some(raft),
            log_writer: Some(log_writer),
        })
    }

    /// Starts a node with the query engine over the cluster state and this node's replicas.
    pub fn start(mut config: Config) -> Result<Node, StartError> {
        let (cluster_listeners, cluster_port) = listener::bind_system(&config.cluster)?;
        // The cluster state and the system tables name the port that is bound.
        config.cluster.port = cluster_port;
        let in_memory = config.directory.is_none();
        let query_bytes = config.query_bytes;
        let (mut joined, mut gathered) = (None, None);
        let mut node = Node::start_with(config, |foundation, config, ports| {
            let cluster = Cluster::join(foundation, config)?;
            joined = Some(cluster.clone());
            let facts = ServerFacts::gather(config, foundation.random.next_u64());
            let facts = ServerFacts { driver_port: ports.driver, http_port: ports.http, ..facts };
            let (foundation, facts) = (foundation.clone(), Arc::new(facts));
            let scripts = ScriptProcesses::new(config.scripts.clone());
            let client = match config.http_client.clone() {
                Some(reach) => Some(Client::new(reach, foundation.random.clone())?),
                None => None,
            };
            gathered = Some(facts.clone());
            let server = Server { id: foundation.node_id.to_string(), name: cluster.name_of(&foundation) };
            let state: CurrentState = {
                let controller = cluster.controller.clone();
                Arc::new(move || controller.state())
            };
            Ok(move || {
                let users = Rc::new(ClusterUsers::new(state.clone()));
                let catalog = Rc::new(NodeCatalog::new(&cluster, &foundation, &facts));
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
        })?;
        if let Some(cluster) = &joined {
            node.status.set_name(cluster.name_of(&node.foundation));
            let control = ControlService::new(node.foundation.clone(), cluster.clone(), node.status.clone(), in_memory);
            node.rpc = Some(rpc::start(cluster_listeners, control).map_err(StartError::Thread)?);
        }
        if let (Some(facts), Some(workers)) = (gathered, &node.workers) {
            let _ = facts.connections.set(workers.connections());
            node.foundation.raft.spawn(sample(node.foundation.clone(), facts));
        }
        node.cluster = joined;
        tracing::info!(name = node.status.name(), id = %node.foundation.node_id, "server ready");
        Ok(node)
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
        let http = match (self.ports().http, &self.config.http) {
            (Some(port), Some(listen)) => format!("port {port} on {}, health at /health", listen.describe_bind()),
            _ => "off".to_owned(),
        };
        let password = match self.cluster.as_ref().and_then(|cluster| cluster.made_password.as_ref()) {
            Some(password) => format!("\nPassword   {password} (of the user admin; shown only now)"),
            None => String::new(),
        };
        let dev = if self.config.dev_mode { "\nDevelopment mode: admin has no password" } else { "" };
        format!(
            "PhotonDB {}\nData       {data}\nDrivers    port {} on {}\nCluster    port {} on {}\nHTTP       {http}\nServer     {} {}{password}{dev}\nServer ready\n",
            crate::command::VERSION,
            self.ports().driver,
            self.config.driver.describe_bind(),
            self.ports().cluster,
            self.config.cluster.describe_bind(),
            self.status.name(),
            self.foundation.node_id,
        )
    }

    /// No new connections; running queries finish, up to a few seconds; then a last checkpoint and a clean end of the log.
    pub fn stop(mut self) -> Result<(), StorageError> {
        self.status.set_ready(false);
        self.accepting = None;
        // Receivers are gone only when every session is.
        let _ = self.draining.send(true);
        if let Some(workers) = &self.workers {
            let connections = workers.connections();
            wait_until(|| connections.count() == 0, DRAIN_TIME_MAX + Duration::from_secs(1));
            if connections.count() > 0 {
                tracing::warn!(connections = connections.count(), "sessions did not finish in time and are cut off");
            }
        }
        self.workers = None;
        self.rpc = None;
        self.cluster = None;
        self.page_writer = None;
        self.stop_groups();
        self.raft = None;
        self.log_writer = None;
        self.http = None;
        match self.foundation.engine.clone().close() {
            Err(error) if error.is_full() => {
                tracing::warn!(%error, "no room for a last checkpoint; nothing is lost: the next start replays the log");
                Ok(())
            }
            closed => closed,
        }
    }

    fn stop_groups(&self) {
        let groups = self.foundation.groups.clone();
        let stopped = self.foundation.raft.block_on(async move {
            for group in groups.list() {
                match timeout(STOP_GROUP_TIME_MAX, groups.stop(group.id())).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(group = %group.id(), %error, "a group did not stop cleanly"),
                    Err(error) => tracing::warn!(group = %group.id(), %error, "a group did not stop"),
                }
            }
        });
        if stopped.is_none() {
            tracing::warn!("the Raft thread had ended before its groups were stopped");
        }
    }
}

/// Keeps samples of what was done, to tell rates from, for as long as the node runs.
async fn sample(foundation: Arc<Foundation>, facts: Arc<ServerFacts>) {
    loop {
        let now = foundation.clock.now();
        facts.activity.sample(facts.activity.totals(now, &facts.running, &foundation.engine));
        sleep(ACTIVITY_SAMPLE_PERIOD).await;
    }
}

fn wait_until(holds: impl Fn() -> bool, limit: Duration) {
    let mut waited = Duration::ZERO;
    while !holds() && waited < limit {
        std::thread::sleep(storage_threads::LOOK_AGAIN);
        waited += storage_threads::LOOK_AGAIN;
    }
}

fn open_engine(config: &Config, random: &dyn Random) -> Result<Engine, StartError> {
    // What cannot be addressed cannot be cached either.
    let mut options = engine_options(usize::try_from(config.cache_bytes).unwrap_or(usize::MAX));
    // Another log's bytes, in blocks of the disk that were once its own, must not pass for this one's.
    options.wal.incarnation_seed = random.next_u64();
    let Some(directory) = &config.directory else { return Ok(Engine::in_memory(options)) };
    let disk =
        SystemDisk::open(directory).map_err(|source| StartError::Directory { directory: directory.clone(), source })?;
    Engine::open(Arc::new(disk), options).map_err(|source| StartError::storage(config, source))
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
fn identify(engine: &Engine, random: &dyn Random) -> Result<NodeId, StorageError> {
    if let Some(node) = engine.identity().node {
        return Ok(NodeId(node));
    }
    let (cluster, node) = (random_uuid(random), random_uuid(random));
    engine.set_identity(cluster, node)?;
    Ok(NodeId(node))
}

/// A version 4 UUID.
pub fn random_uuid(random: &dyn Random) -> u128 {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().as_u128()
}

fn start_http(bound: Option<(Vec<TcpListener>, u16)>, status: Arc<Status>) -> Result<Option<Executor>, StartError> {
    let Some((listeners, _)) = bound else { return Ok(None) };
    let executor = Executor::start("http").map_err(StartError::Thread)?;
    let router = http::router(status);
    for listener in listeners {
        let router = router.clone();
        executor.handle().spawn(async move {
            let served = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => axum::serve(listener, router).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP port is served no more");
            }
        });
    }
    Ok(Some(executor))
}

fn start_accepting(listeners: Vec<Box<dyn Listener>>, workers: &Arc<Workers>) -> Result<Executor, StartError> {
    let accepting = Executor::start("accept").map_err(StartError::Thread)?;
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

/// Something that the node cannot do without has failed. Continuing could acknowledge what is not durable.
fn end_process(reason: String) {
    tracing::error!(
        "{reason}; the process ends now. Nothing acknowledged is lost. Check the disk, then start it again"
    );
    std::process::abort();
}
