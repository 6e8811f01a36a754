//! What a server says of itself, and what lives as long as its process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use photondb_reql::datum::Datum;
use photondb_runtime::clock::Clock;
use photondb_runtime::random::Random;
use tokio::sync::watch;

use crate::client::running::RunningQueries;
use crate::client::worker::Connections;
use crate::config::Config;
use crate::node::Ports;
use crate::node::activity::Activity;

/// The documents of `_debug_scratch`, by key.
pub(crate) type Scratch = Arc<BTreeMap<Datum, Datum>>;

/// One for each process, shared by all client threads.
pub struct ServerFacts {
    /// Name of the host.
    pub hostname: String,
    /// The port between nodes.
    pub cluster_port: u16,
    /// The ReQL port.
    pub driver_port: u16,
    /// The HTTP port, if there is one.
    pub http_port: Option<u16>,
    /// The budget of the page cache, in MiB.
    pub cache_size_mb: u64,
    /// When the process began, in microseconds since the epoch.
    pub started_micros: i64,
    /// The arguments of the process.
    pub argv: Vec<String>,
    /// The number of the process.
    pub pid: u32,
    /// Where the data are; `None`: in memory.
    pub directory: Option<PathBuf>,
    /// The queries that run.
    pub running: RunningQueries,
    /// What they did.
    pub activity: Activity,
    /// Who counts connections, once there can be any.
    pub connections: OnceLock<Arc<Connections>>,
    pub(crate) scratch: watch::Sender<Scratch>,
}

impl ServerFacts {
    /// What the configuration and the system say. Randomness tells the ids of this process's queries from others'.
    pub fn gather(config: &Config, ports: Ports, clock: &dyn Clock, random: &dyn Random) -> ServerFacts {
        ServerFacts {
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            cluster_port: ports.cluster,
            driver_port: ports.driver,
            http_port: ports.http,
            cache_size_mb: config.cache_bytes >> 20,
            started_micros: clock.wall().micros,
            argv: std::env::args().collect(),
            pid: std::process::id(),
            directory: config.directory.clone(),
            running: RunningQueries::new(random.next_u64()),
            activity: Activity::default(),
            connections: OnceLock::new(),
            scratch: watch::channel(Scratch::default()).0,
        }
    }
}
