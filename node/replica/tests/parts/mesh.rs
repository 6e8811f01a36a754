//! A network in memory between nodes of one process, which can lose, double and delay.

#![allow(dead_code, reason = "no suite needs all of it")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use photondb_runtime::peers::{Exchange, Lane, Peer, PeerError, Peers, SendFuture, Serve, Service};
use photondb_runtime::task::{self, Executor};
use tokio::sync::{mpsc, watch};

/// Messages of an exchange that are on their way in one direction.
const ON_THE_WAY: usize = 4;

/// The network.
pub struct Mesh {
    executor: Executor,
    nodes: Mutex<BTreeMap<u128, Arc<dyn Serve>>>,
    pub faults: Faults,
    /// Requests with their receivers, in order, as they were sent.
    pub sent: Mutex<Vec<(Peer, Bytes)>>,
    /// Raised to break every exchange that is open.
    breaks: watch::Sender<u64>,
    pub exchanges_opened: AtomicUsize,
}

/// What goes wrong.
#[derive(Default)]
pub struct Faults {
    /// Every request is delivered twice.
    pub double: AtomicBool,
    /// So many answers are lost.
    pub lose_answers: AtomicUsize,
    /// So many requests are not sent.
    pub lose_requests: AtomicUsize,
    /// No exchange can be opened.
    pub no_exchanges: AtomicBool,
    /// Each request takes up to so many microseconds more.
    pub delay_micros: AtomicU64,
    /// Second deliveries that were answered, of which all must say that they are repeated.
    pub doubled: AtomicUsize,
}

/// One node's end of it.
pub struct Link {
    pub mesh: Arc<Mesh>,
    pub me: Peer,
}

impl Mesh {
    pub fn new() -> Arc<Mesh> {
        Arc::new(Mesh {
            executor: Executor::start("mesh").expect("a thread starts"),
            nodes: Mutex::default(),
            faults: Faults::default(),
            sent: Mutex::default(),
            breaks: watch::Sender::new(0),
            exchanges_opened: AtomicUsize::new(0),
        })
    }

    /// `node` answers from now on by `service`.
    pub fn connect(&self, node: u128, service: Arc<dyn Serve>) {
        self.nodes.lock().expect("no panic").insert(node, service);
    }

    /// Breaks every exchange that is open.
    pub fn break_exchanges(&self) {
        self.breaks.send_modify(|breaks| *breaks += 1);
    }

    fn node(&self, node: Peer) -> Result<Arc<dyn Serve>, PeerError> {
        let found = self.nodes.lock().expect("no panic").get(&node.0).cloned();
        found.ok_or_else(|| PeerError::NotSent(format!("there is no node {}", node.0)))
    }
}

impl Faults {
    fn one_of(left: &AtomicUsize) -> bool {
        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

impl Peers for Link {
    fn find(&self, address: &str, _time_max: Duration) -> SendFuture<'static, Result<Peer, PeerError>> {
        let address = address.to_owned();
        Box::pin(async move { Err(PeerError::NotSent(format!("nobody looks for {address}"))) })
    }

    fn place(&self, _peer: Peer, _addresses: Vec<String>) {}

    fn request(
        &self,
        to: Peer,
        service: Service,
        lane: Lane,
        body: Bytes,
        time_max: Duration,
    ) -> SendFuture<'static, Result<Bytes, PeerError>> {
        assert_eq!((service, lane), (Service::Shards, Lane::Query));
        let (mesh, me) = (self.mesh.clone(), self.me);
        Box::pin(async move {
            let node = mesh.node(to)?;
            if Faults::one_of(&mesh.faults.lose_requests) {
                return Err(PeerError::NotSent("lost on purpose".to_owned()));
            }
            mesh.sent.lock().expect("no panic").push((to, body.clone()));
            let micros = mesh.faults.delay_micros.load(Ordering::SeqCst);
            let delay = Duration::from_micros(if micros == 0 { 0 } else { body.len() as u64 * 31 % micros });
            let (double, carrying) = (mesh.faults.double.load(Ordering::SeqCst), mesh.clone());
            // Whoever stops waiting takes nothing back.
            let carried = mesh.executor.handle().spawn(async move {
                if !delay.is_zero() {
                    task::sleep(delay).await;
                }
                let answer = node.request(me, body.clone()).await;
                if double {
                    let again = node.request(me, body).await.expect("is answered");
                    let again =
                        <photondb_proto::v1::shard::Answer as prost::Message>::decode(again).expect("an answer");
                    use photondb_proto::v1::shard::answer::Told::{OtherBoot, Repeated};
                    match again.told {
                        Some(Repeated(_)) => drop(carrying.faults.doubled.fetch_add(1, Ordering::SeqCst)),
                        Some(OtherBoot(_)) => {}
                        told => panic!("a request that was delivered twice is answered {told:?}"),
                    }
                }
                answer
            });
            let answer = match task::timeout(time_max, carried).await {
                Err(_) => return Err(PeerError::TimedOut(time_max)),
                Ok(carried) => carried.expect("the receiver does not panic").map_err(PeerError::Refused)?,
            };
            if Faults::one_of(&mesh.faults.lose_answers) {
                return Err(PeerError::Lost("lost on purpose".to_owned()));
            }
            Ok(answer)
        })
    }

    fn exchange(
        &self,
        to: Peer,
        _service: Service,
        _lane: Lane,
        first: Bytes,
    ) -> SendFuture<'static, Result<Exchange, PeerError>> {
        let (mesh, me) = (self.mesh.clone(), self.me);
        Box::pin(async move {
            let node = mesh.node(to)?;
            if mesh.faults.no_exchanges.load(Ordering::SeqCst) {
                return Err(PeerError::NotSent("kept apart on purpose".to_owned()));
            }
            mesh.exchanges_opened.fetch_add(1, Ordering::SeqCst);
            let (there_send, here_receive) = pipe(&mesh);
            let (here_send, there_receive) = pipe(&mesh);
            let theirs = Exchange { send: there_send, receive: there_receive };
            let serving = node.exchange(me, first, theirs);
            let mut breaks = mesh.breaks.subscribe();
            mesh.executor.handle().spawn(async move {
                tokio::select! {
                    () = serving => {}
                    _ = breaks.changed() => {}
                }
            });
            Ok(Exchange { send: here_send, receive: here_receive })
        })
    }
}

fn pipe(mesh: &Mesh) -> (mpsc::Sender<Bytes>, mpsc::Receiver<Result<Bytes, PeerError>>) {
    let (send, mut sent) = mpsc::channel::<Bytes>(ON_THE_WAY);
    let (deliver, delivered) = mpsc::channel(ON_THE_WAY);
    let mut breaks = mesh.breaks.subscribe();
    mesh.executor.handle().spawn(async move {
        loop {
            tokio::select! {
                biased;
                _ = breaks.changed() => {
                    let _ = deliver.try_send(Err(PeerError::Lost("broken on purpose".to_owned())));
                    return;
                }
                body = sent.recv() => match body {
                    Some(body) => if deliver.send(Ok(body)).await.is_err() { return },
                    None => return,
                },
            }
        }
    });
    (send, delivered)
}
