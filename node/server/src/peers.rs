//! The way to other nodes: `runtime`'s `Peers` over gRPC. One HTTP/2 connection for each node and lane, opened when it is
//! first needed and again after it broke.

mod connection;
mod exchange;
mod link;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_proto::convert::NODE_VERSION;
use photondb_proto::{NodeId, v1};
use photondb_runtime::network::Net;
use photondb_runtime::peers::{Exchange, Lane, Peer, PeerError, Peers, SendFuture, Service};
use photondb_runtime::task::{Handle, sleep, timeout};
use photondb_storage::fault::buggify;
use tonic::Code;

use crate::limits::BUGGIFIED_PAUSE;
use crate::rpc::identity::{Identity, node_number, service_number};
use crate::tls::PortTls;
use link::Link;

/// The connections of this node to others.
pub(crate) struct GrpcPeers {
    shared: Arc<Shared>,
}

/// What all links share.
struct Shared {
    net: Arc<dyn Net>,
    /// With what connections are encrypted, if they are.
    tls: Option<Arc<PortTls>>,
    /// Whose thread drives the connections.
    executor: Handle,
    identity: Arc<Identity>,
    links: Mutex<BTreeMap<(Peer, Lane), Arc<Link>>>,
    addresses: Mutex<BTreeMap<Peer, Vec<String>>>,
}

impl GrpcPeers {
    /// No connection yet.
    pub fn new(net: Arc<dyn Net>, tls: Option<Arc<PortTls>>, executor: Handle, identity: Arc<Identity>) -> GrpcPeers {
        let shared = Shared { net, tls, executor, identity, links: Mutex::default(), addresses: Mutex::default() };
        GrpcPeers { shared: Arc::new(shared) }
    }
}

impl Shared {
    fn link(&self, to: Peer, lane: Lane) -> Arc<Link> {
        self.links.lock().entry((to, lane)).or_default().clone()
    }

    fn is_address_of(&self, peer: Peer, address: &str) -> bool {
        self.addresses.lock().get(&peer).is_some_and(|addresses| addresses.iter().any(|known| known == address))
    }

    fn addresses_of(&self, peer: Peer) -> Vec<String> {
        self.addresses.lock().get(&peer).cloned().unwrap_or_default()
    }

    async fn carry(&self, to: Peer, service: Service, lane: Lane, body: Bytes) -> Result<Bytes, PeerError> {
        if buggify!("server/request-sent-late") {
            sleep(BUGGIFIED_PAUSE).await;
        }
        let link = self.link(to, lane);
        let (mut client, address) = link.client(self, to).await?;
        let message = v1::CarryRequest { service: service_number(service).into(), body };
        let request = self.identity.sign(message, Some(to));
        let response = match client.carry(request).await {
            Ok(response) => response,
            Err(status) => return Err(self.failed(to, &link, &address, status).await),
        };
        match response.into_inner().outcome {
            Some(v1::carry_response::Outcome::Answer(answer)) => Ok(answer),
            Some(v1::carry_response::Outcome::Refused(reason)) => Err(PeerError::Refused(reason)),
            None => Err(PeerError::Lost("the answer has no outcome".to_owned())),
        }
    }

    /// What a call to `to` that has failed means; whoever has refused it may be a foreign node at its address.
    async fn failed(&self, to: Peer, link: &Link, address: &Arc<str>, status: tonic::Status) -> PeerError {
        self.identity.was_refused(&status, &[address.to_string()]);
        let mistaken = Identity::is_another(&status, to);
        let error = failed(status);
        if mistaken {
            link.give_up(self, to, address, error.clone()).await;
        }
        error
    }

    /// Keeps whether `to` is reached.
    fn note<T>(&self, to: Peer, lane: Lane, result: Result<T, PeerError>) -> Result<T, PeerError> {
        let is_open = || self.link(to, lane).is_open();
        let missed = match &result {
            Ok(_) => false,
            Err(PeerError::NotSent(_) | PeerError::Lost(_)) => true,
            // Who refuses something is there all the same; if it was somebody else, the connection was given up.
            Err(PeerError::Refused(_)) => !is_open(),
            // Who takes long for it may be there or not: a connection to nobody breaks before long.
            Err(PeerError::TimedOut(_)) if is_open() => return result,
            Err(PeerError::TimedOut(_)) => true,
        };
        self.identity.encounters().note(NodeId(to.0), missed);
        result
    }

    async fn hello(&self, address: &str) -> Result<Peer, PeerError> {
        let mut client = connection::open(self, &[address.to_owned()]).await?;
        let request = self.identity.sign(v1::HelloRequest { version: NODE_VERSION }, None);
        let said = client.hello(request).await;
        let response = said.map_err(|status| {
            self.identity.was_refused(&status, &[address.to_owned()]);
            failed(status)
        })?;
        let response = response.into_inner();
        if response.version != NODE_VERSION {
            return Err(PeerError::Refused(format!(
                "the node at {address} speaks version {} of the messages between nodes, this one {NODE_VERSION}",
                response.version
            )));
        }
        let node = node_number(&response.node);
        if let Some(cluster) = node_number(&response.cluster) {
            self.identity.was_told(cluster, node, address);
        }
        node.map(Peer).ok_or_else(|| PeerError::Refused(format!("the node at {address} does not say who it is")))
    }
}

impl Peers for GrpcPeers {
    fn find(&self, address: &str, time_max: Duration) -> SendFuture<'static, Result<Peer, PeerError>> {
        let (shared, address) = (self.shared.clone(), address.to_owned());
        // On the executor, whose thread the connection stays on; and to its end, whoever waits for it.
        let asking = self.shared.executor.spawn(async move {
            let peer = timeout(time_max, shared.hello(&address)).await.unwrap_or(Err(PeerError::TimedOut(time_max)))?;
            let mut known = shared.addresses.lock();
            let addresses = known.entry(peer).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
            Ok(peer)
        });
        Box::pin(async move { asking.await.unwrap_or_else(ended) })
    }

    fn place(&self, peer: Peer, addresses: Vec<String>) {
        self.shared.addresses.lock().insert(peer, addresses);
    }

    fn request(
        &self,
        to: Peer,
        service: Service,
        lane: Lane,
        body: Bytes,
        time_max: Duration,
    ) -> SendFuture<'static, Result<Bytes, PeerError>> {
        let shared = self.shared.clone();
        let carrying = self.shared.executor.spawn(async move {
            let carried = timeout(time_max, shared.carry(to, service, lane, body)).await;
            shared.note(to, lane, carried.unwrap_or(Err(PeerError::TimedOut(time_max))))
        });
        Box::pin(async move { carrying.await.unwrap_or_else(ended) })
    }

    fn exchange(
        &self,
        to: Peer,
        service: Service,
        lane: Lane,
        first: Bytes,
    ) -> SendFuture<'static, Result<Exchange, PeerError>> {
        let shared = self.shared.clone();
        let opening =
            self.shared.executor.spawn(async move { exchange::open(&shared, to, service, lane, first).await });
        Box::pin(async move { opening.await.unwrap_or_else(ended) })
    }
}

/// The thread of the connections has ended, and this node with it.
fn ended<T>(error: tokio::task::JoinError) -> Result<T, PeerError> {
    Err(PeerError::Lost(format!("this node is stopping: {error}")))
}

/// What a call's status says of whether it was carried out.
fn failed(status: tonic::Status) -> PeerError {
    let said = || status.message().to_owned();
    match status.code() {
        // Said by the other node before it looked at what was asked.
        Code::Unauthenticated | Code::PermissionDenied | Code::FailedPrecondition => PeerError::Refused(said()),
        // By the library: that service is not offered.
        Code::Unimplemented => {
            PeerError::Refused("it answers no other nodes, for it has nothing to know them by".to_owned())
        }
        _ => PeerError::Lost(format!("{}: {}{}", status.code(), said(), cause(&status))),
    }
}

/// What lies below what the library says, which is mostly that there was an error.
fn cause(status: &tonic::Status) -> String {
    let mut innermost = None;
    let mut source = status.source();
    while let Some(error) = source {
        innermost = Some(error);
        source = error.source();
    }
    innermost.map(|error| format!(": {error}")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
