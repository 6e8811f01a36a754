//! Nodes that reach each other in memory, on tokio's time: links can be cut, answers lost, and calls brought twice.

#![allow(dead_code, reason = "no suite needs all of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use photondb_runtime::peers::{Exchange, Lane, Peer, PeerError, Peers, SendFuture, Serve, Service};
use tokio::sync::mpsc;

/// The network of a world.
#[derive(Clone, Default)]
pub struct Network {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    services: BTreeMap<(u128, u8), Arc<dyn Serve>>,
    /// One-way: from, to.
    cut: BTreeSet<(u128, u128)>,
    /// One-way: from, to. What is asked there of this part of a node is never answered, nor does it come to be.
    swallowed: BTreeSet<(u128, u128, u8)>,
    /// Answers of this part of a node are lost.
    losing: Option<Service>,
    /// Nodes that take calls and never answer, as if they stood still.
    silent: BTreeSet<u128>,
    /// Every call arrives twice.
    doubling: bool,
    /// Calls carried so far.
    carried: u64,
}

const DELAY: Duration = Duration::from_millis(1);

impl Network {
    pub fn peers(&self, from: u128) -> Arc<dyn Peers> {
        Arc::new(Wire { from, network: self.clone() })
    }

    pub fn serve(&self, node: u128, service: Service, serve: Arc<dyn Serve>) {
        self.inner.lock().unwrap().services.insert((node, service as u8), serve);
    }

    /// The node is gone.
    pub fn remove(&self, node: u128) {
        self.inner.lock().unwrap().services.retain(|(of, _), _| *of != node);
    }

    /// Nothing comes to the node and nothing from it.
    pub fn isolate(&self, node: u128, others: impl IntoIterator<Item = u128>) {
        let mut inner = self.inner.lock().unwrap();
        for other in others.into_iter().filter(|other| *other != node) {
            inner.cut.insert((node, other));
            inner.cut.insert((other, node));
        }
    }

    pub fn heal(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.cut.clear();
        inner.swallowed.clear();
    }

    /// From now on until it is healed, who asks the one node as the other waits for as long as it waits for anything.
    pub fn swallow(&self, from: u128, to: u128, service: Service) {
        self.inner.lock().unwrap().swallowed.insert((from, to, service as u8));
    }

    /// From here on the node answers no call.
    pub fn silence(&self, node: u128) {
        self.inner.lock().unwrap().silent.insert(node);
    }

    pub fn lose_answers(&self, of: Option<Service>) {
        self.inner.lock().unwrap().losing = of;
    }

    pub fn double(&self, doubling: bool) {
        self.inner.lock().unwrap().doubling = doubling;
    }

    fn find(&self, from: u128, to: u128, service: Service) -> Option<Arc<dyn Serve>> {
        let inner = self.inner.lock().unwrap();
        if inner.cut.contains(&(from, to)) {
            return None;
        }
        inner.services.get(&(to, service as u8)).cloned()
    }

    fn is_cut(&self, from: u128, to: u128) -> bool {
        let inner = self.inner.lock().unwrap();
        inner.cut.contains(&(from, to)) || !inner.services.keys().any(|(node, _)| *node == to)
    }
}

/// One node's way to the others.
struct Wire {
    from: u128,
    network: Network,
}

impl Peers for Wire {
    /// An address is the node's number and a port.
    fn find(&self, address: &str, _time_max: Duration) -> SendFuture<'static, Result<Peer, PeerError>> {
        let node = address.split(':').next().and_then(|node| node.parse().ok());
        let (from, network) = (self.from, self.network.clone());
        Box::pin(async move {
            match node {
                Some(node) if !network.is_cut(from, node) => Ok(Peer(node)),
                _ => Err(PeerError::NotSent("nobody listens there".to_owned())),
            }
        })
    }

    fn place(&self, _peer: Peer, _addresses: Vec<String>) {}

    fn request(
        &self,
        to: Peer,
        service: Service,
        _lane: Lane,
        body: Bytes,
        time_max: Duration,
    ) -> SendFuture<'static, Result<Bytes, PeerError>> {
        let (from, network) = (self.from, self.network.clone());
        Box::pin(async move {
            let carrying = async {
                tokio::time::sleep(DELAY).await;
                let Some(serve) = network.find(from, to.0, service) else {
                    return Err(PeerError::NotSent(format!("no way to node {}", to.0)));
                };
                let (doubling, losing, is_unanswered) = {
                    let mut inner = network.inner.lock().unwrap();
                    inner.carried += 1;
                    let is_swallowed = inner.swallowed.contains(&(from, to.0, service as u8));
                    (inner.doubling, inner.losing == Some(service), is_swallowed || inner.silent.contains(&to.0))
                };
                if is_unanswered {
                    return std::future::pending().await;
                }
                if doubling {
                    let _ = serve.request(Peer(from), body.clone()).await;
                }
                let answer = serve.request(Peer(from), body).await;
                tokio::time::sleep(DELAY).await;
                if losing || network.is_cut(to.0, from) {
                    return Err(PeerError::Lost("the link broke".to_owned()));
                }
                answer.map_err(PeerError::Refused)
            };
            tokio::time::timeout(time_max, carrying).await.unwrap_or(Err(PeerError::TimedOut(time_max)))
        })
    }

    fn exchange(
        &self,
        to: Peer,
        service: Service,
        _lane: Lane,
        first: Bytes,
    ) -> SendFuture<'static, Result<Exchange, PeerError>> {
        let (from, network) = (self.from, self.network.clone());
        Box::pin(async move {
            tokio::time::sleep(DELAY).await;
            let Some(serve) = network.find(from, to.0, service) else {
                return Err(PeerError::NotSent(format!("no way to node {}", to.0)));
            };
            let (near, forth) = link(&network, from, to.0);
            let (far, back) = link(&network, to.0, from);
            tokio::spawn(serve.exchange(Peer(from), first, Exchange { send: far, receive: forth }));
            Ok(Exchange { send: near, receive: back })
        })
    }
}

/// One direction of an exchange, which breaks when the link does.
fn link(network: &Network, from: u128, to: u128) -> (mpsc::Sender<Bytes>, mpsc::Receiver<Result<Bytes, PeerError>>) {
    let (send, mut sent) = mpsc::channel::<Bytes>(16);
    let (arrive, receive) = mpsc::channel(16);
    let network = network.clone();
    tokio::spawn(async move {
        loop {
            let next = tokio::time::timeout(Duration::from_millis(50), sent.recv()).await;
            let item = match next {
                _ if network.is_cut(from, to) => Err(PeerError::Lost("the link broke".to_owned())),
                Ok(Some(body)) => Ok(body),
                Ok(None) => return,
                Err(_) if arrive.is_closed() => return,
                Err(_) => continue,
            };
            tokio::time::sleep(DELAY).await;
            let broken = item.is_err();
            if arrive.send(item).await.is_err() || broken {
                return;
            }
        }
    });
    (send, receive)
}
