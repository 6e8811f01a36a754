//! Other nodes in the same process: links that can be cut one way, delayed, or lose what they carry.
//!
//! A cut link says nothing: a request runs into its time limit, an exchange stalls and breaks after [`BREAKS_AFTER`].

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_runtime::peers::{Exchange, Lane, Peer, PeerError, Peers, SendFuture, Serve, Service};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// An exchange over a link that is cut for so long is over.
pub const BREAKS_AFTER: Duration = Duration::from_millis(400);
const CHANNEL: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    pub cut: bool,
    pub delay: Duration,
    /// Of so many requests one is lost on this way; zero: none.
    pub loses_one_in: u64,
}

#[derive(Clone)]
struct Node {
    executor: Handle,
    service: Arc<dyn Serve>,
}

/// All links and all nodes that are up.
#[derive(Default)]
pub struct Network {
    links: Mutex<BTreeMap<(u128, u128), Link>>,
    nodes: Mutex<BTreeMap<u128, Node>>,
    carried: AtomicU64,
    /// Exchanges opened on the bulk lane.
    pub bulk: AtomicU64,
}

impl Network {
    pub fn up(&self, node: u128, executor: Handle, service: Arc<dyn Serve>) {
        self.nodes.lock().insert(node, Node { executor, service });
    }

    pub fn down(&self, node: u128) {
        self.nodes.lock().remove(&node);
    }

    pub fn set(&self, from: u128, to: u128, link: Link) {
        self.links.lock().insert((from, to), link);
    }

    fn link(&self, from: u128, to: u128) -> Link {
        self.links.lock().get(&(from, to)).copied().unwrap_or_default()
    }

    fn node(&self, node: u128) -> Option<Node> {
        self.nodes.lock().get(&node).cloned()
    }

    /// Carries one message, or stays silent for ever.
    async fn carry(&self, from: u128, to: u128) {
        let link = self.link(from, to);
        tokio::time::sleep(link.delay).await;
        let number = self.carried.fetch_add(1, Ordering::Relaxed);
        let lost = link.loses_one_in != 0 && number.is_multiple_of(link.loses_one_in);
        if lost || self.link(from, to).cut {
            std::future::pending().await
        }
    }
}

/// The network as one node sees it.
pub struct Seen {
    pub network: Arc<Network>,
    pub from: u128,
}

impl Peers for Seen {
    fn find(&self, address: &str, _time_max: Duration) -> SendFuture<'static, Result<Peer, PeerError>> {
        let unknown = PeerError::NotSent(format!("nobody is at {address}: nodes know each other by number here"));
        Box::pin(async move { Err(unknown) })
    }

    fn place(&self, _peer: Peer, _addresses: Vec<String>) {}

    fn request(
        &self,
        to: Peer,
        _service: Service,
        _lane: Lane,
        body: Bytes,
        time_max: Duration,
    ) -> SendFuture<'static, Result<Bytes, PeerError>> {
        let (network, from) = (Arc::clone(&self.network), self.from);
        Box::pin(async move {
            let asked = async {
                network.carry(from, to.0).await;
                let Some(node) = network.node(to.0) else { return Err(PeerError::NotSent("it is down".into())) };
                let (answer, answered) = oneshot::channel();
                node.executor.spawn({
                    let network = Arc::clone(&network);
                    async move {
                        let result = node.service.request(Peer(from), body).await;
                        network.carry(to.0, from).await;
                        let _ = answer.send(result);
                    }
                });
                match answered.await {
                    Ok(result) => result.map_err(PeerError::Refused),
                    Err(_) => Err(PeerError::Lost("it went down".into())),
                }
            };
            tokio::time::timeout(time_max, asked).await.unwrap_or(Err(PeerError::TimedOut(time_max)))
        })
    }

    fn exchange(
        &self,
        to: Peer,
        _service: Service,
        lane: Lane,
        first: Bytes,
    ) -> SendFuture<'static, Result<Exchange, PeerError>> {
        let (network, from) = (Arc::clone(&self.network), self.from);
        Box::pin(async move {
            network.carry(from, to.0).await;
            let Some(node) = network.node(to.0) else { return Err(PeerError::NotSent("it is down".into())) };
            if lane == Lane::Bulk {
                network.bulk.fetch_add(1, Ordering::Relaxed);
            }
            let (near_send, near_out) = mpsc::channel(CHANNEL);
            let (near_in, near_receive) = mpsc::channel(CHANNEL);
            let (far_send, far_out) = mpsc::channel(CHANNEL);
            let (far_in, far_receive) = mpsc::channel(CHANNEL);
            tokio::spawn(pump(Arc::clone(&network), from, to.0, near_out, far_in));
            node.executor.spawn(pump(Arc::clone(&network), to.0, from, far_out, near_in));
            let exchange = Exchange { send: far_send, receive: far_receive };
            node.executor.spawn(node.service.exchange(Peer(from), first, exchange));
            Ok(Exchange { send: near_send, receive: near_receive })
        })
    }
}

/// One direction of an exchange, on the sending node.
async fn pump(
    network: Arc<Network>,
    from: u128,
    to: u128,
    mut out: mpsc::Receiver<Bytes>,
    into: mpsc::Sender<Result<Bytes, PeerError>>,
) {
    while let Some(message) = out.recv().await {
        tokio::time::sleep(network.link(from, to).delay).await;
        let mut waited = Duration::ZERO;
        while network.link(from, to).cut {
            tokio::time::sleep(Duration::from_millis(10)).await;
            waited += Duration::from_millis(10);
            if waited > BREAKS_AFTER {
                let _ = into.send(Err(PeerError::Lost("the connection broke".into()))).await;
                return;
            }
        }
        if into.send(Ok(message)).await.is_err() {
            return;
        }
    }
}
