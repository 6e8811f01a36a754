//! Where a node is told to look for others.

use std::net::{IpAddr, SocketAddr};

use super::{ConfigError, Given, options};
use crate::limits::CLUSTER_PORT;

/// What a value begins with that is the name of DNS records and not of a host.
const SERVICE: &str = "srv+";

/// DNS SRV records that say where nodes listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinService {
    /// The full name of the records, as `_photondb._tcp.example.com`.
    pub name: String,
    /// Taken in place of the ports that the records give.
    pub port: Option<u16>,
}

/// The values of `join`: where other nodes are said to listen, "host:port" each, and names that say it.
pub(super) fn contacts(given: &Given) -> Result<(Vec<String>, Vec<JoinService>), ConfigError> {
    let (mut addresses, mut services) = (Vec::new(), Vec::new());
    for value in given.all("join").iter().flat_map(|value| value.split(',')) {
        let understood = match value.strip_prefix(SERVICE) {
            Some(named) => service(named).map(|service| services.push(service)),
            None => contact(value).map(|address| addresses.push(address)),
        };
        if understood.is_none() {
            return Err(ConfigError::Invalid {
                option: options::find("join")?.name,
                value: value.to_owned(),
                expected: "HOST or HOST:PORT, or srv+ and a name in DNS",
            });
        }
    }
    Ok((addresses, services))
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
