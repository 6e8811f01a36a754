//! One connection to one node, the first of several that is there: reach it, log in, ask, within a time.

mod answers;
mod shards;

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use photondb_proto::convert::{CONTROL_VERSION, ConvertError, check_version};
use photondb_proto::v1::control_client::ControlClient;
use photondb_proto::{ClusterId, v1};
use tokio::time::Instant;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tower::service_fn;

use crate::failure::Failure;
use crate::limits::{ANSWER_BYTES_MAX, KEEPALIVE_PERIOD, KEEPALIVE_TIME_MAX};
use crate::tls::Tls;
use crate::transport::{self, Notes};

pub use answers::{Answers, Results, Waited};

/// The port that a node listens on unless told otherwise.
const DEFAULT_PORT: u16 = 29015;

/// Where a node listens: `host`, `host:port` or `[v6]:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not `host`, `host:port` or `[IPv6 address]:port`")]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Address, NotAnAddress> {
        let (host, port) = match text.rsplit_once(':') {
            // A colon inside brackets, or one of many, belongs to an IPv6 address.
            Some((host, port)) if !port.ends_with(']') && (!host.contains(':') || host.ends_with(']')) => {
                (host, port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(NotAnAddress)?)
            }
            _ => (text, DEFAULT_PORT),
        };
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_v6 = inside.parse::<std::net::Ipv6Addr>().is_ok();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !is_v6 && (host.is_empty() || !host.bytes().all(is_name)) {
            return Err(NotAnAddress);
        }
        Ok(Address(if is_v6 { format!("[{inside}]:{port}") } else { format!("{host}:{port}") }))
    }
}

impl Address {
    /// Without the port, and without the brackets of IPv6.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(self.0.as_str(), |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom to ask, as whom, and for how long.
pub struct Client {
    /// At least one.
    addresses: Vec<Address>,
    /// The one that is asked: the first, until it cannot be reached.
    current: AtomicUsize,
    /// `None`: in the clear.
    tls: Option<Tls>,
    login: AsciiMetadataValue,
    user: String,
    password: String,
    limit: Limit,
}

/// How long answers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// One that comes at once.
    pub answer: Duration,
    /// Each of a query that the user has written. `None`: as long as it takes.
    pub query: Option<Duration>,
}

impl Client {
    /// Connects with the first question. There must be an address.
    pub fn new(addresses: Vec<Address>, tls: Option<Tls>, user: &str, password: &str, limit: Limit) -> Client {
        assert!(!addresses.is_empty(), "a client has somebody to ask");
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut login = AsciiMetadataValue::try_from(login).expect("base64 is made of what metadata may hold");
        login.set_sensitive(true);
        let (user, password) = (user.to_owned(), password.to_owned());
        Client { addresses, current: AtomicUsize::new(0), tls, login, user, password, limit }
    }

    /// The node that answers.
    pub fn node_info(&self) -> Result<v1::NodeInfoResponse, Failure> {
        let request = self.request(v1::NodeInfoRequest { version: CONTROL_VERSION });
        let info = self.ask(async |mut node| node.node_info(request).await)?;
        check_version(info.version).map_err(|source| self.malformed(source))?;
        Ok(info)
    }

    /// The cluster, as the node that answers knows it.
    pub fn cluster_info(&self) -> Result<v1::ClusterInfoResponse, Failure> {
        let request = self.request(v1::ClusterInfoRequest { version: CONTROL_VERSION });
        let info = self.ask(async |mut node| node.cluster_info(request).await)?;
        check_version(info.version).map_err(|source| self.malformed(source))?;
        Ok(info)
    }

    /// Has the node, which waits to be taken in, found the cluster of this id.
    pub fn init_cluster(&self, cluster: ClusterId) -> Result<(), Failure> {
        let message = v1::InitClusterRequest { version: CONTROL_VERSION, cluster_id: cluster.to_string() };
        let request = self.request(message);
        let done = self.ask(async |mut node| node.init_cluster(request).await)?;
        check_version(done.version).map_err(|source| self.malformed(source))
    }

    /// How every node does.
    pub fn list_nodes(&self) -> Result<v1::ListNodesResponse, Failure> {
        let request = self.request(v1::ListNodesRequest { version: CONTROL_VERSION });
        let list = self.ask(async |mut node| node.list_nodes(request).await)?;
        check_version(list.version).map_err(|source| self.malformed(source))?;
        Ok(list)
    }

    /// What is wanted of a node, by its name or id, or of the one at the address. Gives its id.
    pub fn set_node_service(
        &self,
        node: Option<&str>,
        service: v1::NodeService,
        successor: Option<&str>,
    ) -> Result<String, Failure> {
        let (node, successor) = (node.unwrap_or_default().to_owned(), successor.unwrap_or_default().to_owned());
        let message = v1::SetNodeServiceRequest { version: CONTROL_VERSION, node, service: service.into(), successor };
        let request = self.request(message);
        let done = self.ask(async |mut node| node.set_node_service(request).await)?;
        check_version(done.version).map_err(|source| self.malformed(source))?;
        Ok(done.node_id)
    }

    /// The failure of a command that another node must be asked for.
    pub fn ask_another(&self, name: &str) -> Failure {
        Failure::AskAnother { name: name.to_owned(), address: self.address().clone() }
    }

    /// The failure of a name that no node has.
    pub fn no_such_node(&self, name: &str) -> Failure {
        let status = Status::not_found(format!("there is no server `{name}` (photonctl node list)"));
        Failure::Refused { address: self.address().clone(), status }
    }

    /// The failure of a name that nothing has.
    pub fn absent(&self, what: String) -> Failure {
        Failure::Absent { what }
    }

    /// The address of the node that is asked.
    pub fn address(&self) -> &Address {
        &self.addresses[self.current.load(Ordering::Relaxed)]
    }

    /// Who asks, for logins that are none of gRPC.
    pub fn user_and_password(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }

    /// How long an answer may take.
    pub fn limit(&self) -> Duration {
        self.limit.answer
    }

    /// How long each answer to a query may take that the user has written. `None`: as long as it takes.
    pub fn query_limit(&self) -> Option<Duration> {
        self.limit.query
    }

    /// The failure of something that went on for too long.
    pub fn unfinished(&self, what: String, limit: Duration) -> Failure {
        Failure::Unfinished { what, limit }
    }

    /// The failure of an answer that cannot be.
    pub fn malformed(&self, source: ConvertError) -> Failure {
        Failure::Malformed { address: self.address().clone(), source }
    }

    fn runtime(&self) -> Result<tokio::runtime::Runtime, Failure> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Start)
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.login.clone());
        request.set_timeout(self.limit.answer);
        request
    }

    fn ask<M, F>(&self, question: impl FnOnce(ControlClient<Channel>) -> F) -> Result<M, Failure>
    where
        F: Future<Output = Result<Response<M>, Status>>,
    {
        self.runtime()?.block_on(self.reach(self.limit.answer, question))
    }

    /// Connects and asks, within a time.
    async fn reach<M, F>(
        &self,
        limit: Duration,
        question: impl FnOnce(ControlClient<Channel>) -> F,
    ) -> Result<M, Failure>
    where
        F: Future<Output = Result<Response<M>, Status>>,
    {
        let began = Instant::now();
        let (channel, notes) = self.connect(limit).await?;
        let address = self.address();
        let node = ControlClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        let answered = tokio::time::timeout(limit.saturating_sub(began.elapsed()), question(node)).await;
        let answered = answered.map_err(|_| Failure::Late { address: address.clone(), limit });
        let answered =
            answered.and_then(|answered| answered.map_err(|status| Failure::of_status(address, limit, status)));
        Ok(answered.map_err(|failure| explained(failure, address, &notes))?.into_inner())
    }

    /// Connects to the node that was asked last, or else to the next one that is there. Nothing has been asked of those that are not, so
    /// that nothing is ever asked of two.
    async fn connect(&self, limit: Duration) -> Result<(Channel, Notes), Failure> {
        let began = Instant::now();
        let (first, count) = (self.current.load(Ordering::Relaxed), self.addresses.len());
        let mut failures = Vec::new();
        for turn in 0..count {
            let number = (first + turn) % count;
            let (address, notes) = (&self.addresses[number], Notes::default());
            let left = if turn == 0 { limit } else { limit.saturating_sub(began.elapsed()) };
            // So that there is time left for the last one.
            let time = left / u32::try_from(count - turn).unwrap_or(u32::MAX);
            let connected = tokio::time::timeout(time, connect(address, self.tls.clone(), notes.clone())).await;
            match connected.unwrap_or_else(|_| Err(Failure::Late { address: address.clone(), limit: time })) {
                Ok(channel) => {
                    self.current.store(number, Ordering::Relaxed);
                    return Ok((channel, notes));
                }
                Err(failure) => failures.push(explained(failure, address, &notes)),
            }
        }
        match (failures.pop(), failures.is_empty()) {
            (Some(only), true) => Err(only),
            (last, _) => {
                failures.extend(last);
                Err(Failure::NobodyThere { failures })
            }
        }
    }
}

/// What went wrong below is the reason of whatever gRPC makes of it.
fn explained(failure: Failure, address: &Address, notes: &Notes) -> Failure {
    match notes.met() {
        Some(met) => Failure::Transport { address: address.clone(), met },
        None => failure,
    }
}

async fn connect(address: &Address, tls: Option<Tls>, notes: Notes) -> Result<Channel, Failure> {
    let unreachable = |source| Failure::Unreachable { address: address.clone(), source };
    // The scheme is for gRPC, which must not set up a TLS of its own.
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(unreachable)?;
    let endpoint = endpoint.http2_keep_alive_interval(KEEPALIVE_PERIOD).keep_alive_timeout(KEEPALIVE_TIME_MAX);
    let connector = service_fn(move |uri| transport::connect(uri, tls.clone(), notes.clone()));
    endpoint.connect_with_connector(connector).await.map_err(unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_default_port() {
        let cases = [
            ("localhost", "localhost:29015"),
            ("db-1.photon:1", "db-1.photon:1"),
            ("10.0.0.7", "10.0.0.7:29015"),
            ("::1", "[::1]:29015"),
            ("[::1]", "[::1]:29015"),
            ("[fe80::2]:65535", "[fe80::2]:65535"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn hosts_are_those_of_addresses() {
        for (text, expected) in
            [("localhost", "localhost"), ("db-1:7", "db-1"), ("::1", "::1"), ("[fe80::2]:1", "fe80::2")]
        {
            assert_eq!(text.parse::<Address>().unwrap().host(), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":29015",
            "host:",
            "host:0",
            "host:65536",
            "host:http",
            "a b",
            "http://host:1",
            "[x]:1",
            "a:1:2",
            "u@h",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NotAnAddress), "{text}");
        }
    }
}
