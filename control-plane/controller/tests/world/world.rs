//! Nodes with their part of the cluster state, each on a simulated disk, all on one thread and paused time.

#![allow(dead_code, reason = "no suite needs all of it")]

#[path = "network.rs"]
pub mod network;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use photondb_cluster_state::{Address, ClusterId, ClusterState, Command};
use photondb_consensus::{Groups, GroupsParts, Options as RaftOptions};
use photondb_controller::{Begin, Controller, ControllerError, Options, Parts, Registration};
use photondb_proto::NodeId;
use photondb_runtime::clock::{Clock, Moment, WallTime};
use photondb_runtime::peers::Service;
use photondb_runtime::random::SeededRandom;
use photondb_runtime::task::{Blocking, Handle};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Wal, WalOptions};
use photondb_storage::{Engine, EngineOptions};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use network::Network;

pub const CLUSTER: ClusterId = ClusterId(77);

/// Tells openings of directories apart, also those of copies.
static OPENINGS: AtomicU64 = AtomicU64::new(1);

/// Tokio's time as a clock.
pub struct TokioClock(pub Instant);

impl Clock for TokioClock {
    fn now(&self) -> Moment {
        Moment::from_start(self.0.elapsed())
    }

    fn wall(&self) -> WallTime {
        WallTime { micros: self.0.elapsed().as_micros() as i64 }
    }
}

/// What all nodes share.
#[derive(Clone)]
pub struct World {
    pub network: Network,
    pub started: Instant,
    pub options: Options,
    /// What a founder begins its cluster with.
    pub founding: Vec<Command>,
}

/// One life of a node. Dropped, it is cut off and its log is written no more.
pub struct Node {
    pub id: u128,
    pub engine: Engine,
    pub groups: Groups,
    pub controller: Controller,
    network: Network,
    log_writer: JoinHandle<()>,
}

impl World {
    pub fn new() -> World {
        let options = Options { lost_after: Some(Duration::from_secs(30)) };
        World { network: Network::default(), started: Instant::now(), options, founding: Vec::new() }
    }

    /// The parts of a node: nothing of the cluster state runs yet.
    pub fn parts(&self, id: u128, disk: &SimulatedDisk) -> Node {
        self.parts_of(id, id, disk)
    }

    /// A node on the machine that was another's: it has that one's name and address.
    pub fn parts_of(&self, id: u128, machine: u128, disk: &SimulatedDisk) -> Node {
        self.parts_at(id, machine, machine, disk)
    }

    /// A node that has the name of one, and listens where another one does.
    pub fn parts_at(&self, id: u128, named: u128, host: u128, disk: &SimulatedDisk) -> Node {
        let wal = WalOptions {
            segment_bytes: 1 << 20,
            first_segment_bytes: 256 << 10,
            reclaim_slack_bytes: 1 << 20,
            incarnation_seed: OPENINGS.fetch_add(1, Ordering::Relaxed),
            ..WalOptions::default()
        };
        let engine = Engine::open(Arc::new(disk.clone()), EngineOptions { wal, ..EngineOptions::default() }).unwrap();
        let log_writer = tokio::spawn(write_log(engine.wal().clone()));
        let clock = Arc::new(TokioClock(self.started));
        let random = Arc::new(SeededRandom::new(id as u64 * 1000 + engine.identity().boot));
        let peers = self.network.peers(id);
        let groups = Groups::new(GroupsParts {
            wal: engine.wal().clone(),
            executor: tokio::runtime::Handle::current(),
            fatal: Arc::new(move |why| panic!("node {id} ended: {why}")),
            options: RaftOptions { blocking: Blocking::Here, ..RaftOptions::default() },
            node: NodeId(id),
            peers: peers.clone(),
            clock: clock.clone(),
            random: random.clone(),
        });
        let parts = Parts {
            groups: groups.clone(),
            engine: engine.clone(),
            executor: Handle::of_current(),
            peers,
            clock,
            random,
            options: self.options,
            entered: Arc::new(|_| {}),
        };
        let me = Registration {
            cluster: CLUSTER,
            node: NodeId(id),
            boots: engine.identity().boot,
            name: format!("n{named}"),
            tags: Default::default(),
            addresses: vec![Address { host: host.to_string(), port: 1 }],
            founding: self.founding.clone(),
        };
        let controller = Controller::new(parts, me).unwrap();
        self.network.serve(id, Service::Consensus, groups.service());
        self.network.serve(id, Service::Control, controller.service());
        Node { id, engine, groups, controller, network: self.network.clone(), log_writer }
    }

    pub async fn found(&self, id: u128, disk: &SimulatedDisk) -> Node {
        let node = self.parts(id, disk);
        if node.engine.identity().cluster.is_none() {
            node.engine.set_identity(CLUSTER.0, id).unwrap();
        }
        node.controller.start(Begin::Found).await.unwrap();
        node
    }

    pub async fn try_join(&self, id: u128, disk: &SimulatedDisk, contact: u128) -> Result<Node, ControllerError> {
        let node = self.parts(id, disk);
        node.controller.start(Begin::Join(vec![format!("{contact}:1")].into())).await?;
        Ok(node)
    }

    pub async fn join(&self, id: u128, disk: &SimulatedDisk, contact: u128) -> Node {
        self.try_join(id, disk, contact).await.unwrap()
    }
}

impl Node {
    pub fn state(&self) -> Arc<ClusterState> {
        self.controller.state()
    }

    /// Ends the life: what was not synced may be lost.
    pub async fn crash(self, disk: &SimulatedDisk) {
        self.network.remove(self.id);
        for group in self.groups.list() {
            let _ = self.groups.stop(group.id()).await;
        }
        drop(self);
        disk.crash();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.network.remove(self.id);
        self.log_writer.abort();
    }
}

async fn write_log(wal: Arc<Wal>) {
    let work = Arc::new(Notify::new());
    let waking = work.clone();
    wal.set_waker(Box::new(move || waking.notify_one()));
    loop {
        match wal.step() {
            Ok(true) => tokio::time::sleep(Duration::from_micros(200)).await,
            Ok(false) => match wal.prepare() {
                Ok(()) => work.notified().await,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            },
            Err(error) => panic!("the log failed: {error}"),
        }
    }
}

/// Runs a test on one thread, in time that passes only when everybody waits.
pub fn in_a_world<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    let outcome = tasks.block_on(&runtime, test);
    runtime.block_on(async { drop(tasks) });
    outcome
}

/// Waits, in the world's time, until something holds.
pub async fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
