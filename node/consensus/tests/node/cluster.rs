//! Several nodes in one thread on virtual time: each has a runtime of its own, which goes on a millisecond at a time; a
//! crash drops it where it stands, and a pause leaves it out while its clock goes on.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "cluster/group.rs"]
mod group;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use photondb_consensus::{Applied, Birth, Group, Groups, GroupsParts, LogPosition, OnFatal, Options, Term};
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_runtime::clock::ManualClock;
use photondb_runtime::random::SeededRandom;
use photondb_runtime::task::Blocking;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, Wal, WalOptions};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::network::{Link, Network, Seen};
use crate::node::{Checkpoints, Toy};

pub const GROUP: GroupId = GroupId(1);
const TICK: Duration = Duration::from_millis(1);

/// The member of [`GROUP`] that is on a node.
pub fn member(node: u64) -> MemberId {
    MemberId(100 + node)
}

pub fn founders(nodes: &[u64]) -> BTreeMap<MemberId, NodeId> {
    nodes.iter().map(|node| (member(*node), NodeId((*node).into()))).collect()
}

/// One life of a node.
struct Life {
    runtime: Runtime,
    groups: Groups,
    wal: Arc<Wal>,
    machine: Arc<Toy>,
    group: Option<Group>,
    fatal: Arc<Mutex<Vec<String>>>,
    paused: bool,
}

/// What is left of a node between two lives.
struct Place {
    disk: SimulatedDisk,
    checkpoints: Checkpoints,
    clock: Arc<ManualClock>,
    /// Seconds of the node in one of everybody's.
    rate: f64,
    lives: u64,
    life: Option<Life>,
}

pub struct Cluster {
    pub network: Arc<Network>,
    options: Options,
    seed: u64,
    places: BTreeMap<u64, Place>,
    client: Runtime,
    /// Who led in each term.
    led: BTreeMap<Term, u64>,
}

fn paused_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

impl Cluster {
    /// Nodes 1 to `size`, all up, without groups.
    pub fn new(size: u64, seed: u64) -> Cluster {
        Cluster::with_rates(&vec![1.0; size as usize], seed)
    }

    /// As many nodes as clock rates.
    pub fn with_rates(rates: &[f64], seed: u64) -> Cluster {
        let options = Options { blocking: Blocking::Here, ..Options::default() };
        let network = Arc::new(Network::default());
        let (places, led) = (BTreeMap::new(), BTreeMap::new());
        let mut cluster = Cluster { network, options, seed, places, client: paused_runtime(), led };
        for (node, rate) in (1..).zip(rates.iter().copied()) {
            let disk = SimulatedDisk::new(seed.wrapping_mul(31).wrapping_add(node));
            let clock = Arc::new(ManualClock::default());
            // No two nodes have the same time.
            clock.advance(Duration::from_secs(1000 * node));
            let place = Place { disk, checkpoints: Checkpoints::default(), clock, rate, lives: 0, life: None };
            cluster.places.insert(node, place);
            cluster.start(node);
        }
        cluster
    }

    /// Three nodes that have founded [`GROUP`].
    pub fn of_three(seed: u64) -> Cluster {
        let mut cluster = Cluster::new(3, seed);
        cluster.found(&[1, 2, 3]);
        cluster
    }

    fn life(&self, node: u64) -> &Life {
        self.places[&node].life.as_ref().expect("the node is up")
    }

    pub fn disk(&self, node: u64) -> &SimulatedDisk {
        &self.places[&node].disk
    }

    pub fn machine(&self, node: u64) -> Arc<Toy> {
        Arc::clone(&self.life(node).machine)
    }

    pub fn group(&self, node: u64) -> Group {
        self.life(node).group.clone().expect("the node has started its member")
    }

    pub fn groups(&self, node: u64) -> Groups {
        self.life(node).groups.clone()
    }

    pub fn wal(&self, node: u64) -> Arc<Wal> {
        Arc::clone(&self.life(node).wal)
    }

    pub fn fatal(&self, node: u64) -> Vec<String> {
        self.life(node).fatal.lock().clone()
    }

    pub fn disk_names(&self, node: u64) -> Vec<String> {
        photondb_storage::disk::Disk::list(self.disk(node)).unwrap()
    }

    /// Lets the future go on beside everything else.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.client.spawn(future);
    }

    pub fn is_up(&self, node: u64) -> bool {
        self.places[&node].life.is_some()
    }

    /// Opens what the node's disk holds. False: the disk crashed meanwhile.
    pub fn start(&mut self, node: u64) -> bool {
        let (seed, options, network) = (self.seed, self.options.clone(), Arc::clone(&self.network));
        let place = self.places.get_mut(&node).unwrap();
        assert!(place.life.is_none());
        place.lives += 1;
        let sizes = WalOptions {
            // Larger than any command of a test.
            segment_bytes: 4 << 20,
            first_segment_bytes: 128 << 10,
            cache_bytes: 64 << 10,
            ..WalOptions::default()
        };
        let Ok((wal, _)) = Wal::open(Arc::new(place.disk.clone()), sizes, Lsn::ZERO, 0) else { return false };
        let runtime = paused_runtime();
        let notify = Arc::new(Notify::new());
        let waking = Arc::clone(&notify);
        wal.set_waker(Box::new(move || waking.notify_one()));
        runtime.spawn({
            let wal = Arc::clone(&wal);
            async move {
                loop {
                    // On a disk without latency, what is acknowledged too early is durable by the time anybody looks.
                    tokio::time::sleep(TICK).await;
                    match wal.step() {
                        Ok(true) => {}
                        Ok(false) => notify.notified().await,
                        Err(_) => return,
                    }
                }
            }
        });
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let report = Arc::clone(&reasons);
        let fatal: OnFatal = Arc::new(move |why| report.lock().push(why));
        let groups = Groups::new(GroupsParts {
            wal: Arc::clone(&wal),
            executor: runtime.handle().clone(),
            fatal,
            options: Options { clock_rate: place.rate, ..options },
            node: NodeId(node.into()),
            peers: Arc::new(Seen { network, from: node.into() }),
            clock: place.clock.clone(),
            random: Arc::new(SeededRandom::new(seed ^ (node << 32) ^ (place.lives << 48))),
        });
        self.network.up(node.into(), runtime.handle().clone(), groups.service());
        let machine = Toy::recovered(place.checkpoints.lock().entry(GROUP).or_default());
        place.life = Some(Life { runtime, groups, wal, machine, group: None, fatal: reasons, paused: false });
        true
    }

    /// The process is gone, and with it what was not synced.
    pub fn crash(&mut self, node: u64) {
        self.network.down(node.into());
        let place = self.places.get_mut(&node).unwrap();
        drop(place.life.take());
        if place.disk.is_crashed() { place.disk.restart() } else { place.disk.crash() }
    }

    /// The node stands still while its clock and all others go on.
    pub fn pause(&mut self, node: u64, paused: bool) {
        self.places.get_mut(&node).unwrap().life.as_mut().unwrap().paused = paused;
    }

    pub fn cut(&self, from: u64, to: u64, cut: bool) {
        self.network.set(from.into(), to.into(), Link { cut, ..Link::default() });
    }

    /// Cuts a node off from all others, or joins it again.
    pub fn isolate(&self, node: u64, cut: bool) {
        for other in self.places.keys().filter(|other| **other != node) {
            self.cut(node, *other, cut);
            self.cut(*other, node, cut);
        }
    }

    fn tick(&mut self) {
        for place in self.places.values_mut() {
            place.clock.advance(TICK.mul_f64(place.rate));
            if let Some(life) = place.life.as_ref().filter(|life| !life.paused) {
                life.runtime.block_on(async { tokio::time::sleep(TICK).await });
            }
        }
        self.client.block_on(async { tokio::time::sleep(TICK).await });
        self.assert_one_leader();
    }

    /// In a term one member leads; at a time one answers reads, whatever the others believe.
    fn assert_one_leader(&mut self) {
        let leaders = self.leaders();
        assert!(leaders.len() <= 1, "several answer reads: {leaders:?}");
        for (node, place) in &self.places {
            let group = place.life.as_ref().and_then(|life| life.group.as_ref());
            if let Some(term) = group.and_then(Group::led) {
                let first = *self.led.entry(term).or_insert(*node);
                assert_eq!(first, *node, "two led in term {term}");
            }
        }
    }

    /// Goes on for so long.
    pub fn run(&mut self, time: Duration) {
        for _ in 0..time.as_millis() {
            self.tick();
        }
    }

    /// Goes on until `done`, for at most `limit`. Gives the time it took.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Cluster) -> bool) -> Option<Duration> {
        let mut took = Duration::ZERO;
        while !done(self) {
            if took >= limit {
                return None;
            }
            self.tick();
            took += TICK;
        }
        Some(took)
    }

    /// Goes on until the future is done; `None`: not within `limit`.
    pub fn within<F: Future>(&mut self, limit: Duration, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        for _ in 0..limit.as_millis() {
            let polled = self.client.block_on(async { tokio::time::timeout(Duration::ZERO, &mut future).await });
            if let Ok(output) = polled {
                return Some(output);
            }
            self.tick();
        }
        None
    }

    pub fn wait<F: Future>(&mut self, future: F) -> F::Output {
        self.within(Duration::from_secs(30), future).expect("it is done in time")
    }

    /// Founds [`GROUP`] on these nodes.
    pub fn found(&mut self, nodes: &[u64]) {
        let founders = founders(nodes);
        for node in nodes {
            let (groups, machine) = (self.groups(*node), self.machine(*node));
            let group = self.wait(groups.found(GROUP, member(*node), founders.clone(), machine)).unwrap();
            self.places.get_mut(node).unwrap().life.as_mut().unwrap().group = Some(group);
        }
    }

    /// The node's member of [`GROUP`] begins with what its machine holds, as another group's member has left it. Whether it is new.
    pub fn bear(&mut self, node: u64, birth: &Birth) -> bool {
        let groups = self.groups(node);
        let is_new = self.wait(groups.bear(member(node), birth)).unwrap();
        let groups = self.groups(node);
        let machine = self.machine(node);
        let group = self.wait(groups.begin_born(GROUP, member(node), machine, is_new)).unwrap();
        self.places.get_mut(&node).unwrap().life.as_mut().unwrap().group = Some(group);
        is_new
    }

    /// The machine of the node's member of [`GROUP`], which has ended, becomes that of `founder`, who begins alone. Where its log begins.
    pub fn take_over(&mut self, node: u64, founder: MemberId) -> LogPosition {
        let (groups, machine) = (self.groups(node), self.machine(node));
        let at = groups.apply_all(GROUP, member(node), &*machine).unwrap();
        let birth = Birth { at, founders: BTreeMap::from([(founder, NodeId(node.into()))]) };
        machine.state.lock().applied = Applied { consensus: birth.consensus() };
        machine.take_checkpoint();
        assert!(self.wait(groups.bear(founder, &birth)).unwrap(), "nobody had that number before");
        let (groups, machine) = (self.groups(node), self.machine(node));
        let group = self.wait(groups.begin_born(GROUP, founder, machine, true)).unwrap();
        self.places.get_mut(&node).unwrap().life.as_mut().unwrap().group = Some(group);
        at
    }

    /// Ends the node's member of [`GROUP`].
    pub fn stop(&mut self, node: u64) {
        let groups = self.groups(node);
        self.wait(groups.stop(GROUP)).unwrap();
        self.places.get_mut(&node).unwrap().life.as_mut().unwrap().group = None;
    }

    /// Starts the node's member of [`GROUP`], blank or as its log has it. False: its disk crashed meanwhile.
    pub fn join(&mut self, node: u64) -> bool {
        let (groups, machine) = (self.groups(node), self.machine(node));
        let joined =
            self.within(Duration::from_secs(5), async move { groups.join(GROUP, member(node), machine).await });
        match joined {
            Some(Ok(group)) => {
                self.places.get_mut(&node).unwrap().life.as_mut().unwrap().group = Some(group);
                true
            }
            other => {
                assert!(self.disk(node).is_crashed(), "{:?}", other.map(Result::err));
                false
            }
        }
    }

    pub fn restart(&mut self, node: u64) {
        self.crash(node);
        assert!(self.start(node) && self.join(node));
    }
}
