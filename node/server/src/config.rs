//! From flags, environment and file to one checked value.
//!
//! Precedence: flag, then environment (`PHOTONDB_*`), then the file named by `--config-file`, then what is built in. All
//! three speak of the same options, which stand in [`options`] once; [`file`] and [`environment`] turn what they read into
//! [`Given`] values, and [`Config::resolve`] checks the result.

pub mod environment;
mod error;
pub mod file;
mod join;
mod memory;
pub mod options;
mod tls;
mod value;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use error::ConfigError;
pub use join::JoinService;
use photondb_discovery_kubernetes::ACCOUNT_FOLDER;
pub use photondb_discovery_kubernetes::HeadlessService;
pub use tls::{TlsConfig, TlsFile, TlsFiles, TlsVersion};
pub(crate) use value::is_name;

use photondb_replica::SplitPolicy;

use crate::fetch::Reach;
use crate::limits::CLUSTER_PORT;
use crate::scripts::ScriptProgram;

/// Values by option name, as text, from one source. An option without a value has the text `true`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Given {
    /// Adds one value to the option `name`, which may be spelt with underscores. Errors: there is no such option.
    pub fn add(&mut self, name: &str, value: impl Into<String>) -> Result<(), ConfigError> {
        let option = options::find(name)?;
        self.values.entry(option.name).or_default().push(value.into());
        Ok(())
    }

    /// What this source says where it speaks, `weaker` elsewhere.
    pub fn over(mut self, weaker: Given) -> Given {
        for (name, values) in weaker.values {
            self.values.entry(name).or_insert(values);
        }
        self
    }

    fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }

    fn all(&self, name: &str) -> &[String] {
        debug_assert!(options::find(name).is_ok(), "{name} is not an option");
        self.values.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Everything that `photondb serve` needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the data are; `None`: in memory, gone when the process ends.
    pub directory: Option<PathBuf>,
    /// The server's name; `None`: made from the host's name at the first start.
    pub server_name: Option<String>,
    /// The server's tags.
    pub server_tags: Vec<String>,
    /// The ReQL port.
    pub driver: Listen,
    /// The port between nodes: photonctl is answered there, and other nodes if this one has a secret to know them by.
    pub cluster: Listen,
    /// The HTTP port; `None`: no HTTP.
    pub http: Option<Listen>,
    /// What this node calls itself to others.
    pub canonical_addresses: Vec<String>,
    /// Where nodes of a cluster listen that is to take this one in, "host:port" each.
    pub join: Vec<String>,
    /// Names that say where else they listen. See [`Config::joins`].
    pub join_services: Vec<JoinService>,
    /// Services of Kubernetes behind whose pods others listen.
    pub join_pods: Vec<HeadlessService>,
    /// How many nodes the cluster has at least, whoever is named; 0: nothing is said.
    pub join_at_least: usize,
    /// Where the files of the pod's service account are.
    pub kubernetes_account: PathBuf,
    /// What the nodes of a cluster share; `None`: certificates are enough, or, without those, other nodes get no answer.
    pub cluster_secret: Option<ClusterSecret>,
    /// Which ports speak TLS, and with what.
    pub tls: TlsConfig,
    /// Memory for pages and changes that wait for a checkpoint, in bytes.
    pub cache_bytes: u64,
    /// When shards are cut in two by themselves.
    pub split: SplitPolicy,
    /// How long a node may be down before others take the places of its replicas; `None`: for ever.
    pub node_lost_after: Option<Duration>,
    /// Memory that one query may hold, in bytes; follows from the machine's and the cache's.
    pub query_bytes: usize,
    /// Memory that all queries may hold together, in bytes; follows likewise.
    pub all_queries_bytes: usize,
    /// The password of `admin` in a data directory that is created.
    pub initial_password: InitialPassword,
    /// For a laptop.
    pub dev_mode: bool,
    /// What runs `r.js`.
    pub scripts: ScriptProgram,
    /// Where `http` may connect to; `None`: it is not allowed.
    pub http_client: Option<Reach>,
    /// Threads that serve clients.
    pub worker_threads: usize,
    /// Which log lines are written, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log_level: String,
    /// How they are written.
    pub log_format: LogFormat,
}

/// One port and the addresses it is bound on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// On which addresses.
    pub bind: Bind,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The flag that changes it, for error messages.
    pub flag: &'static str,
}

/// Addresses to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// 127.0.0.1 and, where there is IPv6, ::1.
    Loopback,
    /// Every address of the machine.
    All,
    /// These.
    Addresses(Vec<IpAddr>),
}

/// The password of `admin` in a new data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitialPassword {
    /// None: `admin` logs in without one.
    None,
    /// A random one, printed once.
    Auto,
    /// This one.
    Given(String),
}

/// Proves to a node that another belongs to its cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret(pub Vec<u8>);

impl std::fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a secret")
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads environment and file, and checks everything together with the `flags`.
    pub fn load(flags: Given, environment: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
        let given = flags.over(environment::read(environment));
        let given = match given.last("config-file") {
            Some(path) => {
                let file = file::read(path.as_ref())?;
                given.over(file)
            }
            None => given,
        };
        Config::resolve(&given)
    }

    /// Checks the values and fills in what is built in.
    pub fn resolve(given: &Given) -> Result<Config, ConfigError> {
        for name in options::unsupported() {
            if given.last(name).is_some() {
                return Err(ConfigError::NotSupported { option: name });
            }
        }
        let bind = value::bind(given, "bind", Bind::Loopback)?;
        let offset = value::number::<u16>(given, "port-offset")?.unwrap_or(0);
        let listen = |bind_option, flag, default: u16| -> Result<Listen, ConfigError> {
            Ok(Listen {
                bind: value::bind(given, bind_option, bind.clone())?,
                port: value::port(given, flag, default, offset)?,
                flag,
            })
        };
        let memory = value::flag(given, "memory")?;
        let cache_bytes = value::cache_bytes(given)?;
        let http = listen("bind-http", "http-port", 8080)?;
        let contacts = join::contacts(given)?;
        let join_at_least = join::at_least(given)?;
        let cluster_secret = value::cluster_secret(given)?;
        let tls = TlsConfig::resolve(given)?;
        if !contacts.are_none() && cluster_secret.is_none() && tls.cluster.is_none() {
            return Err(ConfigError::JoinWithoutSecret);
        }
        if contacts.are_none() && join_at_least > 0 {
            return Err(ConfigError::AtLeastWithoutJoin);
        }
        Ok(Config {
            directory: (!memory).then(|| PathBuf::from(given.last("directory").unwrap_or("photondb_data"))),
            server_name: value::server_name(given)?,
            server_tags: value::tags(given)?,
            driver: listen("bind-driver", "driver-port", 28015)?,
            cluster: listen("bind-cluster", "cluster-port", CLUSTER_PORT)?,
            http: (!value::flag(given, "no-http-admin")?).then_some(http),
            canonical_addresses: given.all("canonical-address").to_vec(),
            join: contacts.addresses,
            join_services: contacts.services,
            join_pods: contacts.pods,
            join_at_least,
            kubernetes_account: given.last("kubernetes-account").unwrap_or(ACCOUNT_FOLDER).into(),
            cluster_secret,
            tls,
            cache_bytes,
            split: value::split_policy(given)?,
            node_lost_after: value::node_lost_after(given)?,
            query_bytes: value::query_bytes(cache_bytes),
            all_queries_bytes: value::all_queries_bytes(cache_bytes),
            initial_password: value::initial_password(given),
            dev_mode: value::flag(given, "dev-mode")?,
            scripts: value::scripts(given)?,
            http_client: value::http_client(given)?,
            worker_threads: value::worker_threads(given)?,
            log_level: given.last("log-level").unwrap_or("info").to_owned(),
            log_format: value::log_format(given)?,
        })
    }
}

impl Config {
    /// Whether an empty directory waits for other nodes, instead of becoming a cluster of its own.
    pub fn joins(&self) -> bool {
        !self.join.is_empty() || !self.join_services.is_empty() || !self.join_pods.is_empty()
    }
}

impl Listen {
    /// The name that people know the bind address by.
    pub fn describe_bind(&self) -> String {
        match &self.bind {
            Bind::Loopback => "127.0.0.1".to_owned(),
            Bind::All => "all addresses".to_owned(),
            Bind::Addresses(addresses) => addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}
