//! Where a node is told to look for others.

use std::net::{IpAddr, SocketAddr};

use photondb_discovery_kubernetes::HeadlessService;

use super::{ConfigError, Given, options, value};
use crate::limits::{CLUSTER_PORT, JOIN_AT_LEAST_MAX};

/// What a value begins with that is the name of DNS records and not of a host.
const SERVICE: &str = "srv+";

/// What a value begins with that is the name of a headless service of Kubernetes.
const KUBERNETES: &str = "kubernetes+";

/// DNS SRV records that say where nodes listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinService {
    /// The full name of the records, as `_photondb._tcp.example.com`.
    pub name: String,
    /// Taken in place of the ports that the records give.
    pub port: Option<u16>,
}

/// The values of `join`: where other nodes are said to listen.
#[derive(Default)]
pub(super) struct JoinContacts {
    /// "host:port" each.
    pub addresses: Vec<String>,
    /// Names in DNS that say it.
    pub services: Vec<JoinService>,
    /// Services of Kubernetes whose pods they are.
    pub pods: Vec<HeadlessService>,
}

impl JoinContacts {
    pub fn are_none(&self) -> bool {
        self.addresses.is_empty() && self.services.is_empty() && self.pods.is_empty()
    }
}

pub(super) fn contacts(given: &Given) -> Result<JoinContacts, ConfigError> {
    let mut contacts = JoinContacts::default();
    for value in given.all("join").iter().flat_map(|value| value.split(',')) {
        if let Some(named) = value.strip_prefix(KUBERNETES) {
            let refused = |source| ConfigError::JoinKubernetes { value: value.to_owned(), source };
            contacts.pods.push(named.parse().map_err(refused)?);
            continue;
        }
        let understood = match value.strip_prefix(SERVICE) {
            Some(named) => service(named).map(|service| contacts.services.push(service)),
            None => contact(value).map(|address| contacts.addresses.push(address)),
        };
        if understood.is_none() {
            return Err(ConfigError::Invalid {
                option: options::find("join")?.name,
                value: value.to_owned(),
                expected: "HOST or HOST:PORT, or srv+ and a name in DNS, or kubernetes+ and a service there",
            });
        }
    }
    Ok(contacts)
}

/// How many nodes the cluster is said to have at least.
pub(super) fn at_least(given: &Given) -> Result<usize, ConfigError> {
    match value::number::<usize>(given, "join-at-least")? {
        Some(nodes) if (1..=JOIN_AT_LEAST_MAX).contains(&nodes) => Ok(nodes),
        Some(nodes) => Err(ConfigError::Invalid {
            option: options::find("join-at-least")?.name,
            value: nodes.to_string(),
            expected: "a number of nodes from 1 to 1000",
        }),
        None => Ok(0),
    }
}

/// "host:port" of a host with or without a port. An IPv6 address with a port has brackets around it.
fn contact(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, CLUSTER_PORT).to_string());
    }
    if text.starts_with('[') {
        let bare = text.strip_prefix('[')?.strip_suffix(']').and_then(|inside| inside.parse::<IpAddr>().ok());
        let address = bare.map(|address| SocketAddr::new(address, CLUSTER_PORT));
        return address.or_else(|| text.parse().ok()).map(|address| address.to_string());
    }
    let (host, port) = host_and_port(text)?;
    Some(format!("{host}:{}", port.unwrap_or(CLUSTER_PORT)))
}

fn service(text: &str) -> Option<JoinService> {
    let (name, port) = host_and_port(text)?;
    Some(JoinService { name: name.to_owned(), port })
}

fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port != 0)?)),
        None => (text, None),
    };
    let is_host = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    (!host.is_empty() && host.chars().all(is_host)).then_some((host, port))
}
