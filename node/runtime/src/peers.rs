//! Other nodes of the cluster, as requests with one answer and streams of messages both ways.
//!
//! What a message means is its receiver's: bodies are bytes here. A request is carried at most once per call, so that
//! whoever sent it knows, from the error, whether it may have been carried out.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

/// A boxed future that may change threads.
pub type SendFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A node, by the number of its UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u128);

/// Which part of the receiving node a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Raft groups.
    Consensus,
    /// Reads, writes and changes of shards.
    Shards,
    /// The cluster's own state.
    Control,
    /// What the node tells of itself.
    Reports,
}

/// Which connection a message takes. Messages on different lanes do not wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Votes, heartbeats and whatever else is small and must not wait.
    Urgent,
    /// Log entries.
    Log,
    /// Queries.
    Query,
    /// Snapshots.
    Bulk,
}

impl Lane {
    /// All of them.
    pub const ALL: [Lane; 4] = [Lane::Urgent, Lane::Log, Lane::Query, Lane::Bulk];
}

/// Why a message has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It did not leave this node: there is no way to the peer now. It was certainly not carried out.
    #[error("no way to the node: {0}")]
    NotSent(String),
    /// The peer's node received it and did nothing with it.
    #[error("refused by the node: {0}")]
    Refused(String),
    /// It left, and no answer came: whether it was carried out is not known.
    #[error("the answer was lost: {0}")]
    Lost(String),
    /// The time for it is over: whether it was carried out is not known.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl PeerError {
    /// Whether what was asked for has certainly not been done, and will not be.
    pub fn is_harmless(&self) -> bool {
        matches!(self, PeerError::NotSent(_) | PeerError::Refused(_))
    }
}

/// Messages both ways between two nodes, in order and without loss until one side drops its half or the connection breaks.
pub struct Exchange {
    /// To the other side. Waits while it is slow; fails when the exchange is over.
    pub send: mpsc::Sender<Bytes>,
    /// From the other side. Ends when the other side has dropped its sender; an error is the last item.
    pub receive: mpsc::Receiver<Result<Bytes, PeerError>>,
}

/// The way to other nodes.
pub trait Peers: Send + Sync + 'static {
    /// Asks who listens at `address` ("host:port"). From then on there is a way to that node.
    fn find(&self, address: &str, time_max: Duration) -> SendFuture<'static, Result<Peer, PeerError>>;

    /// Says where `peer` listens ("host:port" each), in place of what was known of it.
    fn place(&self, peer: Peer, addresses: Vec<String>);

    /// Sends `body` and waits for the answer, for `time_max` at most. Dropping the future takes nothing back.
    fn request(
        &self,
        to: Peer,
        service: Service,
        lane: Lane,
        body: Bytes,
        time_max: Duration,
    ) -> SendFuture<'static, Result<Bytes, PeerError>>;

    /// Opens an exchange; `first` says what it is about.
    fn exchange(
        &self,
        to: Peer,
        service: Service,
        lane: Lane,
        first: Bytes,
    ) -> SendFuture<'static, Result<Exchange, PeerError>>;
}

/// What a node answers to others. One for each [`Service`].
pub trait Serve: Send + Sync + 'static {
    /// Carries out `body` and answers. An error says that nothing was done: it reaches the sender as
    /// [`PeerError::Refused`].
    fn request(&self, from: Peer, body: Bytes) -> SendFuture<'static, Result<Bytes, String>>;

    /// Takes part in an exchange until the future is done; then the exchange ends.
    fn exchange(&self, from: Peer, first: Bytes, exchange: Exchange) -> SendFuture<'static, ()>;
}

/// A node that is alone: there is no way to anybody.
pub struct NoPeers;

impl Peers for NoPeers {
    fn find(&self, address: &str, _time_max: Duration) -> SendFuture<'static, Result<Peer, PeerError>> {
        let address = address.to_owned();
        Box::pin(
            async move { Err(PeerError::NotSent(format!("this node is alone and looks for nobody at {address}"))) },
        )
    }

    fn place(&self, _peer: Peer, _addresses: Vec<String>) {}

    fn request(
        &self,
        to: Peer,
        _service: Service,
        _lane: Lane,
        _body: Bytes,
        _time_max: Duration,
    ) -> SendFuture<'static, Result<Bytes, PeerError>> {
        Box::pin(async move { Err(alone(to)) })
    }

    fn exchange(
        &self,
        to: Peer,
        _service: Service,
        _lane: Lane,
        _first: Bytes,
    ) -> SendFuture<'static, Result<Exchange, PeerError>> {
        Box::pin(async move { Err(alone(to)) })
    }
}

fn alone(to: Peer) -> PeerError {
    PeerError::NotSent(format!("this node is alone and knows no node {:032x}", to.0))
}
