//! The options of `photondb serve`, each once: flag, environment name, key of the file, help.

use super::ConfigError;

/// One option.
#[derive(Debug)]
pub struct ServeOption {
    /// Its name: `--name`, `PHOTONDB_NAME`, `name=`.
    pub name: &'static str,
    /// `-x`.
    pub short: Option<char>,
    /// What its value is called in the help; `None`: it takes none.
    pub value: Option<&'static str>,
    /// Under which heading the help shows it.
    pub heading: &'static str,
    /// What it does.
    pub help: &'static str,
}

const DATA: &str = "Data";
const NAME: &str = "Name";
const NETWORK: &str = "Network";
const TLS: &str = "TLS";
const RESOURCES: &str = "Resources";
const LOG: &str = "Log and configuration";
const UNSUPPORTED: &str = "";

const fn option(
    name: &'static str,
    short: Option<char>,
    value: Option<&'static str>,
    heading: &'static str,
    help: &'static str,
) -> ServeOption {
    ServeOption { name, short, value, heading, help }
}

const fn unsupported_option(name: &'static str) -> ServeOption {
    option(name, None, Some("VALUE"), UNSUPPORTED, "Not supported yet")
}

/// All of them, in the order of the help.
pub const OPTIONS: &[ServeOption] = &[
    option(
        "directory",
        Some('d'),
        Some("DIR"),
        DATA,
        "Where the data are kept; created when it does not exist [default: photondb_data]",
    ),
    option("memory", None, None, DATA, "Keep everything in memory; nothing survives the end of the process"),
    option(
        "initial-password",
        None,
        Some("auto|PASSWORD"),
        DATA,
        "Password of the user `admin`, used only when the data directory is created; `auto` makes one and prints it [default: none]",
    ),
    option("dev-mode", None, None, DATA, "For a laptop: listen on this machine only, no password"),
    option(
        "server-name",
        Some('n'),
        Some("NAME"),
        NAME,
        "The name of this server [default: host name and a random suffix]",
    ),
    option("server-tag", Some('t'), Some("TAG"), NAME, "A tag of this server; may be given several times"),
    option(
        "bind",
        None,
        Some("all|ADDRESS"),
        NETWORK,
        "Listen on this address besides the loopback ones, or on all; may be given several times [default: loopback only]",
    ),
    option("bind-driver", None, Some("all|ADDRESS"), NETWORK, "The same for the driver port alone"),
    option("bind-http", None, Some("all|ADDRESS"), NETWORK, "The same for the HTTP port alone"),
    option("bind-cluster", None, Some("all|ADDRESS"), NETWORK, "The same for the cluster port alone"),
    option("driver-port", None, Some("PORT"), NETWORK, "Port for ReQL drivers; 0 takes a free one [default: 28015]"),
    option("http-port", None, Some("PORT"), NETWORK, "Port for health and metrics; 0 takes a free one [default: 8080]"),
    option(
        "cluster-port",
        None,
        Some("PORT"),
        NETWORK,
        "Port for photonctl and for other nodes; 0 takes a free one [default: 29015]",
    ),
    option(
        "join",
        Some('j'),
        Some("HOST[:PORT]|srv+NAME|kubernetes+SERVICE"),
        NETWORK,
        "Be a node of the cluster that a node there belongs to, and wait until it takes this one in; may be given several times. srv+NAME asks DNS for the SRV records of NAME, as srv+_photondb._tcp.example.com, now and again. kubernetes+SERVICE[.NAMESPACE][:PORT] asks the Kubernetes API for the pods of a headless service, in the pod's own namespace unless another is given. Without it an empty directory becomes a cluster of its own",
    ),
    option(
        "join-at-least",
        None,
        Some("NUMBER"),
        NETWORK,
        "How many nodes the cluster has at least, this one among them: told to found it (`photonctl cluster init`), a node waits until more than half of so many answer, although `join` names fewer [default: as many as `join` names]",
    ),
    option(
        "kubernetes-account",
        None,
        Some("DIR"),
        NETWORK,
        "Where the pod's service account is mounted, with token, ca.crt and namespace, for `join` with kubernetes+ [default: /var/run/secrets/kubernetes.io/serviceaccount]",
    ),
    option(
        "cluster-secret-file",
        None,
        Some("FILE"),
        NETWORK,
        "What the nodes of a cluster know each other by: the same 16 bytes or more on each. Without it, and without --cluster-tls-cert, other nodes get no answer",
    ),
    option("port-offset", Some('o'), Some("NUMBER"), NETWORK, "Added to every port that is not 0 [default: 0]"),
    option(
        "canonical-address",
        None,
        Some("ADDRESS"),
        NETWORK,
        "HOST[:PORT] by which other nodes reach this one; may be given several times [default: where the cluster port listens, or the host's name if that is everywhere]",
    ),
    option(
        "allow-http",
        None,
        None,
        NETWORK,
        "Let queries fetch from other servers with `r.http`, from public addresses only; users need the permission `connect`",
    ),
    option(
        "allow-http-to",
        None,
        Some("NETWORK|all"),
        NETWORK,
        "With --allow-http: also from these private addresses, as 10.0.0.0/8; may be given several times",
    ),
    option("no-http-admin", None, None, NETWORK, "Do not listen on the HTTP port"),
    option(
        "driver-tls-cert",
        None,
        Some("FILE"),
        TLS,
        "Certificate (PEM) with which the driver port speaks TLS, and only TLS",
    ),
    option("driver-tls-key", None, Some("FILE"), TLS, "Its private key"),
    option(
        "driver-tls-ca",
        None,
        Some("FILE"),
        TLS,
        "Let in only drivers with a certificate that an authority in this file has signed [default: drivers need none]",
    ),
    option(
        "cluster-tls-cert",
        None,
        Some("FILE"),
        TLS,
        "Certificate (PEM) of this node, for the cluster port and for connections to other nodes; it names the host by which they reach it",
    ),
    option("cluster-tls-key", None, Some("FILE"), TLS, "Its private key"),
    option(
        "cluster-tls-ca",
        None,
        Some("FILE"),
        TLS,
        "Authorities of the nodes' certificates: whoever has one that they signed is a node, if it knows the secret too where there is one",
    ),
    option(
        "http-tls-cert",
        None,
        Some("FILE"),
        TLS,
        "Certificate (PEM) with which the HTTP port speaks TLS, and only TLS",
    ),
    option("http-tls-key", None, Some("FILE"), TLS, "Its private key"),
    option("tls-min-protocol", None, Some("VERSION"), TLS, "TLSv1.2 or TLSv1.3, on all ports [default: TLSv1.2]"),
    option(
        "cache-size",
        None,
        Some("auto|SIZE"),
        RESOURCES,
        "Memory for pages and for changes that wait for a checkpoint: mebibytes, or with a unit, as 2G [default: auto, half of the memory this process may take, less a reserve]",
    ),
    option(
        "shard-size-max",
        None,
        Some("off|SIZE"),
        RESOURCES,
        "A shard whose documents take more is cut in two by itself: mebibytes, or with a unit, as 2G; the same on all nodes [default: 8G]",
    ),
    option(
        "shard-writes-max",
        None,
        Some("off|NUMBER"),
        RESOURCES,
        "So is one of which more documents are written in each second, for a minute, where another node can lead the other half [default: 10000]",
    ),
    option(
        "shard-reads-max",
        None,
        Some("off|NUMBER"),
        RESOURCES,
        "So is one of which more documents are read by key in each second, under the same conditions [default: 100000]",
    ),
    option(
        "node-lost-after",
        None,
        Some("off|SECONDS"),
        RESOURCES,
        "A node that is down for so long, counted from when it is found silent, is given up: others take the places of its replicas; the same on all nodes [default: 600]",
    ),
    option("no-javascript", None, None, RESOURCES, "Do not run scripts of queries (`r.js`)"),
    option("cores", Some('c'), Some("NUMBER"), RESOURCES, "Threads that serve clients [default: one for each core]"),
    option(
        "log-level",
        None,
        Some("LEVEL"),
        LOG,
        "error, warn, info, debug or trace, or a filter such as info,photondb_storage=debug [default: info]",
    ),
    option("log-format", None, Some("text|json"), LOG, "How log lines look [default: text]"),
    option(
        "config-file",
        None,
        Some("FILE"),
        LOG,
        "Read options from this file: lines of key=value, or TOML when the name ends in .toml",
    ),
    option("no-update-check", None, None, LOG, "Accepted because RethinkDB has it; PhotonDB never calls home"),
    option("cluster-enabled", None, Some("BOOL"), UNADVERTISED, "Known, without effect: `join` and the secret say it"),
    unsupported_option("tls-ciphers"),
    unsupported_option("tls-ecdh-curve"),
    unsupported_option("tls-dhparams"),
];

const UNADVERTISED: &str = "-";

impl ServeOption {
    /// Whether the help shows it.
    pub fn advertised(&self) -> bool {
        self.heading != UNSUPPORTED && self.heading != UNADVERTISED
    }
}

/// The options that are known by name only.
pub fn unsupported() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().filter(|option| option.heading == UNSUPPORTED).map(|option| option.name)
}

/// The option with this name, underscores taken for hyphens. Errors: none; the error names the nearest.
pub fn find(name: &str) -> Result<&'static ServeOption, ConfigError> {
    let wanted = name.replace('_', "-");
    OPTIONS
        .iter()
        .find(|option| option.name == wanted)
        .ok_or_else(|| ConfigError::Unknown { name: name.to_owned(), nearest: nearest(&wanted) })
}

/// The known name that is most like `name`, if any is like it at all.
pub fn nearest(name: &str) -> Option<&'static str> {
    let (distance, option) = OPTIONS
        .iter()
        .map(|option| (edit_distance(name, option.name), option.name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.len() / 3).then_some(option)
}

/// How many characters must be put in, taken out or changed (Levenshtein).
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (row, from) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in b.iter().enumerate() {
            let change = previous[column] + usize::from(from != *to);
            current.push(change.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[b.len()]
}
