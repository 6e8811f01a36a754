//! Two nodes' connections over loopback.

#[path = "../../../../tests/cluster/src/certificates.rs"]
#[expect(dead_code, reason = "other suites need the rest of it")]
mod certificates;
mod encrypted;

use std::net::{Ipv4Addr, SocketAddr};

use photondb_proto::NodeId;
use photondb_runtime::clock::Clock;
use photondb_runtime::network::{ByteStream, Listener};
use photondb_runtime::peers::Serve;
use photondb_runtime::system::{SystemClock, SystemNet};
use photondb_runtime::task::{Executor, sleep};
use tokio::sync::mpsc;

use super::*;
use crate::limits::PEER_RECONNECT_PAUSE;
use crate::rpc::identity::Credentials;
use crate::rpc::{LateControl, NodeService, start};
use crate::services::Services;

const TIME: Duration = Duration::from_secs(10);
const CLUSTER: u128 = 9;

/// Says a request back, or refuses it, or never answers; doubles what comes in an exchange.
struct Echo;

impl Serve for Echo {
    fn request(&self, from: Peer, body: Bytes) -> SendFuture<'static, Result<Bytes, String>> {
        Box::pin(async move {
            match &body[..] {
                b"refuse" => Err("no".to_owned()),
                b"wait" => std::future::pending().await,
                _ => Ok([&from.0.to_be_bytes(), &body[..]].concat().into()),
            }
        })
    }

    fn exchange(&self, _from: Peer, first: Bytes, mut exchange: Exchange) -> SendFuture<'static, ()> {
        Box::pin(async move {
            exchange.send.send(first).await.unwrap();
            while let Some(Ok(message)) = exchange.receive.recv().await {
                for _ in 0..2 {
                    if exchange.send.send(message.clone()).await.is_err() {
                        return;
                    }
                }
            }
        })
    }
}

fn identity(node: u128, secret: &[u8], cluster: Option<u128>) -> Arc<Identity> {
    let credentials = Credentials { secret: Some(secret), certificates: false };
    let identity = Identity::new(NodeId(node), credentials, Arc::new(SystemClock::new()));
    if let Some(cluster) = cluster {
        identity.enter(cluster);
    }
    Arc::new(identity)
}

/// A node that answers on a port of loopback for as long as its executor lives.
fn answering(node: u128, port: u16) -> (Executor, u16) {
    answering_as(identity(node, b"secret", Some(CLUSTER)), port)
}

fn answering_as(identity: Arc<Identity>, port: u16) -> (Executor, u16) {
    let executor = Executor::start("cluster").unwrap();
    let listener = SystemNet.listen(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).unwrap();
    let port = listener.local_address().unwrap().port();
    let services = Services::default();
    services.set(Service::Shards, Arc::new(Echo));
    services.set(Service::Control, Arc::new(Echo));
    let service = NodeService::new(identity, Arc::new(services));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    start(&executor.handle(), vec![listener], None, Some(service), &LateControl::default(), &clock);
    (executor, port)
}

/// A network that drops what is sent.
struct Firewall;

impl Net for Firewall {
    fn listen(&self, address: SocketAddr) -> std::io::Result<Box<dyn Listener>> {
        SystemNet.listen(address)
    }

    fn connect(&self, _address: SocketAddr) -> SendFuture<'static, std::io::Result<Box<dyn ByteStream>>> {
        Box::pin(std::future::pending())
    }
}

fn calling(secret: &[u8], cluster: Option<u128>) -> (Executor, GrpcPeers) {
    let executor = Executor::start("caller").unwrap();
    let peers = GrpcPeers::new(Arc::new(SystemNet), None, executor.handle(), identity(1, secret, cluster));
    (executor, peers)
}

fn wait<T: Send + 'static>(executor: &Executor, future: SendFuture<'static, T>) -> T {
    executor.handle().block_on(future).expect("the executor lives")
}

fn ask(executor: &Executor, peers: &GrpcPeers, service: Service, body: &'static [u8]) -> Result<Bytes, PeerError> {
    wait(executor, peers.request(Peer(2), service, Lane::Query, Bytes::from_static(body), TIME))
}

#[test]
fn a_request_finds_its_node_and_comes_back() {
    let (_node, port) = answering(2, 0);
    let (executor, peers) = calling(b"secret", Some(CLUSTER));
    let unknown = ask(&executor, &peers, Service::Shards, b"hello");
    assert!(matches!(unknown, Err(PeerError::NotSent(_))), "{unknown:?}");
    assert_eq!(wait(&executor, peers.find(&format!("127.0.0.1:{port}"), TIME)), Ok(Peer(2)));
    let answer = ask(&executor, &peers, Service::Shards, b"hello").unwrap();
    assert_eq!(answer, [&1u128.to_be_bytes()[..], b"hello"].concat());
    assert_eq!(ask(&executor, &peers, Service::Shards, b"refuse"), Err(PeerError::Refused("no".to_owned())));
    let early = ask(&executor, &peers, Service::Consensus, b"hello");
    assert_eq!(early, Err(PeerError::Refused("the node is starting".to_owned())));
    let brief = Duration::from_millis(20);
    let late = peers.request(Peer(2), Service::Shards, Lane::Query, Bytes::from_static(b"wait"), brief);
    assert_eq!(wait(&executor, late), Err(PeerError::TimedOut(brief)));
}

#[test]
fn only_nodes_of_the_cluster_are_answered() {
    let (_node, port) = answering(2, 0);
    let address = format!("127.0.0.1:{port}");
    let refused =
        |result: Result<Bytes, PeerError>| assert!(matches!(result, Err(PeerError::Refused(_))), "{result:?}");

    let (executor, peers) = calling(b"another", Some(CLUSTER));
    peers.place(Peer(2), vec![address.clone()]);
    refused(ask(&executor, &peers, Service::Shards, b"hello"));

    let (executor, peers) = calling(b"secret", Some(CLUSTER + 1));
    peers.place(Peer(2), vec![address.clone()]);
    refused(ask(&executor, &peers, Service::Shards, b"hello"));

    // Who is in no cluster may ask the control plane to be taken in.
    let (executor, peers) = calling(b"secret", None);
    peers.place(Peer(2), vec![address.clone()]);
    refused(ask(&executor, &peers, Service::Shards, b"hello"));
    ask(&executor, &peers, Service::Control, b"hello").unwrap();

    // Another node has the address now.
    peers.place(Peer(3), vec![address]);
    let body = Bytes::from_static(b"hello");
    refused(wait(&executor, peers.request(Peer(3), Service::Control, Lane::Query, body, TIME)));
}

#[test]
fn nodes_of_two_clusters_that_meet_know_it_on_both_sides() {
    let host = identity(2, b"secret", Some(CLUSTER));
    let (_node, port) = answering_as(host.clone(), 0);
    let address = format!("127.0.0.1:{port}");
    let met = |identity: &Identity| {
        let foreign = identity.encounters().foreign().into_iter();
        let all = foreign.map(|foreign| (foreign.cluster, Vec::from(foreign.nodes), Vec::from(foreign.addresses)));
        all.collect::<Vec<_>>()
    };
    let (executor, peers) = calling(b"secret", Some(CLUSTER));
    peers.place(Peer(2), vec![address.clone()]);
    ask(&executor, &peers, Service::Shards, b"hello").unwrap();
    assert_eq!((met(&host), met(&peers.shared.identity)), (vec![], vec![]), "they are of one cluster");
    assert!(!peers.shared.identity.encounters().is_missed(NodeId(2)));

    // Meant for another node altogether, which was at this address before.
    let (executor, peers) = calling(b"secret", Some(CLUSTER + 1));
    peers.place(Peer(3), vec![address.clone()]);
    let body = Bytes::from_static(b"hello");
    let refused = wait(&executor, peers.request(Peer(3), Service::Control, Lane::Query, body, TIME));
    assert!(matches!(&refused, Err(PeerError::Refused(why)) if why.contains("two clusters")), "{refused:?}");
    let theirs = |addresses: &str| (Some(CLUSTER + 1), vec![1], vec![addresses.to_owned()]);
    assert_eq!(met(&host), vec![theirs("127.0.0.1")]);
    assert_eq!(met(&peers.shared.identity), vec![(Some(CLUSTER), vec![2], vec![address.clone()])]);

    // What a node without the secret says of itself counts for nothing.
    let (executor, peers) = calling(b"another", Some(CLUSTER + 2));
    assert!(wait(&executor, peers.find(&address, TIME)).is_err());
    assert_eq!(met(&host), vec![theirs("127.0.0.1"), (None, vec![], vec!["127.0.0.1".to_owned()])]);
    assert_eq!(met(&peers.shared.identity), vec![(None, vec![], vec![address.clone()])]);

    // A node in no cluster yet is no foreign one.
    let (executor, peers) = calling(b"secret", None);
    peers.place(Peer(2), vec![address]);
    ask(&executor, &peers, Service::Control, b"hello").unwrap();
    assert_eq!((met(&host).len(), met(&peers.shared.identity).len()), (2, 0));

    let (executor, peers) = calling(b"secret", Some(CLUSTER));
    let is_missed = || peers.shared.identity.encounters().is_missed(NodeId(2));
    peers.place(Peer(2), vec!["127.0.0.1:1".to_owned()]);
    assert!(ask(&executor, &peers, Service::Shards, b"hello").is_err());
    assert!(is_missed());

    // Who answers late is there.
    peers.place(Peer(2), vec![format!("127.0.0.1:{port}")]);
    std::thread::sleep(PEER_RECONNECT_PAUSE);
    ask(&executor, &peers, Service::Shards, b"hello").unwrap();
    assert!(!is_missed());
    let body = Bytes::from_static(b"wait");
    let asking = peers.request(Peer(2), Service::Shards, Lane::Query, body, Duration::from_millis(50));
    assert!(matches!(wait(&executor, asking), Err(PeerError::TimedOut(_))));
    assert!(!is_missed());
    let executor = Executor::start("caller").unwrap();
    let identity = identity(1, b"secret", Some(CLUSTER));
    let peers = GrpcPeers::new(Arc::new(Firewall), None, executor.handle(), identity.clone());
    peers.place(Peer(2), vec![format!("127.0.0.1:{port}")]);
    let body = Bytes::from_static(b"hello");
    let asking = peers.request(Peer(2), Service::Shards, Lane::Query, body, Duration::from_millis(50));
    assert!(matches!(wait(&executor, asking), Err(PeerError::TimedOut(_))));
    assert!(identity.encounters().is_missed(NodeId(2)), "no connection has been opened until then");
}

#[test]
fn a_node_is_found_where_it_is_now_though_another_took_its_address() {
    let ((_other, taken), (_node, port)) = (answering(3, 0), answering(2, 0));
    let (taken, moved) = (format!("127.0.0.1:{taken}"), format!("127.0.0.1:{port}"));
    let (executor, peers) = calling(b"secret", Some(CLUSTER));
    let found = |addresses: Vec<String>| {
        peers.place(Peer(2), addresses);
        // One attempt may tell only that it is not there, and the next is made after a pause.
        (0..3).any(|_| {
            std::thread::sleep(PEER_RECONNECT_PAUSE);
            ask(&executor, &peers, Service::Shards, b"hello").is_ok()
        })
    };
    assert!(!found(vec![taken.clone()]), "that is another node");
    // The connection to whoever took its address stands; so does the one that was right.
    assert!(found(vec![moved.clone()]));
    assert!(found(vec![moved.clone()]));
    // Of several addresses one may lead to another node, whichever it is.
    let (executor, peers) = calling(b"secret", Some(CLUSTER));
    peers.place(Peer(2), vec![taken, moved]);
    assert!(matches!(ask(&executor, &peers, Service::Shards, b"hello"), Err(PeerError::Refused(_))));
    std::thread::sleep(2 * PEER_RECONNECT_PAUSE);
    assert!(ask(&executor, &peers, Service::Shards, b"hello").is_ok());
}

#[test]
fn an_exchange_carries_messages_both_ways_until_one_side_ends_it() {
    let (_node, port) = answering(2, 0);
    let (executor, peers) = calling(b"secret", Some(CLUSTER));
    peers.place(Peer(2), vec![format!("127.0.0.1:{port}")]);
    let opening = peers.exchange(Peer(2), Service::Shards, Lane::Log, Bytes::from_static(b"first"));
    let mut exchange = wait(&executor, opening).unwrap();
    wait(
        &executor,
        Box::pin(async move {
            assert_eq!(exchange.receive.recv().await, Some(Ok(Bytes::from_static(b"first"))));
            // Far more than may wait: the reader goes on while the writer is still at it.
            let (done, mut wait_done) = mpsc::channel::<()>(1);
            let send = exchange.send;
            tokio::spawn(async move {
                for number in 0..1_000u32 {
                    send.send(Bytes::copy_from_slice(&number.to_be_bytes())).await.unwrap();
                }
                drop(done);
            });
            for number in 0..1_000u32 {
                for _ in 0..2 {
                    let message = exchange.receive.recv().await.unwrap().unwrap();
                    assert_eq!(message[..], number.to_be_bytes());
                }
            }
            assert_eq!(wait_done.recv().await, None);
            assert_eq!(exchange.receive.recv().await, None, "both halves are over");
        }),
    );
}

#[test]
fn a_broken_connection_is_an_unknown_outcome_and_the_next_request_opens_another() {
    let (node, port) = answering(2, 0);
    let (executor, peers) = calling(b"secret", Some(CLUSTER));
    peers.place(Peer(2), vec![format!("127.0.0.1:{port}")]);
    ask(&executor, &peers, Service::Shards, b"hello").unwrap();
    let waiting = peers.request(Peer(2), Service::Shards, Lane::Query, Bytes::from_static(b"wait"), TIME);
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        drop(node);
    });
    let lost = wait(&executor, waiting);
    assert!(matches!(lost, Err(PeerError::Lost(_))), "{lost:?}");
    ending.join().unwrap();
    let gone = ask(&executor, &peers, Service::Shards, b"hello");
    assert!(gone.as_ref().is_err_and(PeerError::is_harmless), "{gone:?}");
    let (_node, _) = answering(2, port);
    wait(&executor, Box::pin(sleep(PEER_RECONNECT_PAUSE)));
    ask(&executor, &peers, Service::Shards, b"hello").unwrap();
}
