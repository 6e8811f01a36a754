//! One simulated machine: a disk that outlives its processes, clocks that need not agree with others', and the process, a
//! whole node.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use photondb::config::{Bind, ClusterSecret, Config, Given};
use photondb::node::Node;
use photondb::outside::Outside;
use photondb_consensus::{Groups, Options as RaftOptions};
use photondb_runtime::clock::{Clock, Moment, WallTime};
use photondb_runtime::random::SeededRandom;
use photondb_runtime::task::{Blocking, Executor, LATENCY_MAX, StepThread, Steps, Threads};
use photondb_storage::Engine;
use photondb_storage::disk::simulated::{SimulatedDisk, SimulatedOptions};
use tokio::sync::Notify;

use crate::cluster::fault::Place;
use crate::cluster::observe::Living;
use crate::cluster::plan::MachinePlan;
use crate::disk::as_seen_by_node;
use crate::ended::Ended;
use crate::hosts::{GRAIN_MICROS, Home, Life, MachineTime};
use crate::network::SimulatedNet;
use crate::peers::Post;
use crate::random::Random;

/// The port of drivers on each machine.
pub const DRIVER_PORT: u16 = 28015;

/// The port between nodes.
pub const CLUSTER_PORT: u16 = 29015;

/// When a run begins, in microseconds since the epoch of the wall clock: 2030-01-01.
const BEGINNING_MICROS: i64 = 1_893_456_000_000_000;

/// How the clocks of one machine differ from true time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skew {
    /// What the wall clock is ahead, in microseconds.
    pub offset_micros: i64,
    /// How much faster the machine's time passes, in millionths.
    pub rate_ppm: i64,
}

impl Skew {
    /// No difference.
    pub const NONE: Skew = Skew { offset_micros: 0, rate_ppm: 0 };

    /// Wrong by days, and at a rate that is nearly as wrong as leases bear ([`photondb_consensus::limits::CLOCK_DRIFT_MAX`]).
    pub fn wide(random: &mut Random) -> Skew {
        let within = |random: &mut Random, most: u64| {
            i64::try_from(random.below(2 * most + 1)).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
        };
        Skew { offset_micros: within(random, 400_000_000_000), rate_ppm: within(random, 240_000) }
    }

    /// What the machine's clock shows when this true time has passed since the beginning of the run: a machine's boot time
    /// goes on while its processes come and go.
    pub fn moment(self, elapsed: Duration) -> Moment {
        Moment::from_start(self.count(elapsed))
    }

    /// What the machine counts of so much true time, to its grain.
    pub fn count(self, time: Duration) -> Duration {
        let micros = i128::try_from(time.as_micros()).unwrap_or(i128::MAX);
        let counted = micros + micros * i128::from(self.rate_ppm) / 1_000_000;
        Duration::from_micros(u64::try_from(counted / GRAIN_MICROS * GRAIN_MICROS).unwrap_or_default())
    }
}

/// A machine. Clones are the same one.
#[derive(Clone)]
pub struct Machine {
    inner: Rc<Inner>,
}

struct Inner {
    name: String,
    address: String,
    /// Whether it begins the cluster.
    founds: Cell<bool>,
    /// Where other machines listen.
    others: Vec<String>,
    disk: SimulatedDisk,
    net: SimulatedNet,
    home: Home,
    /// Carries what nodes say to each other; `None`: they speak gRPC over the network.
    post: Option<(Post, Place)>,
    plan: MachinePlan,
    seed: u64,
    lives: Cell<u64>,
    stop: Notify,
    /// How the last life ended, until somebody has looked.
    end: RefCell<Option<End>>,
    /// What runs in a life that has begun, until somebody has looked.
    living: Arc<Mutex<Option<Living>>>,
}

/// How a life of a process came to its end, when nobody ended it from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to stop and did.
    Stopped,
    /// It ended by itself, or could not start; it says why.
    Failed(String),
}

impl Machine {
    /// A machine with an empty disk, at `address`, beside `others`; everything that differs between its lives is drawn from
    /// `random`.
    pub fn new(
        name: &str,
        address: IpAddr,
        others: &[IpAddr],
        plan: &MachinePlan,
        net: SimulatedNet,
        post: Option<(Post, Place)>,
        random: &mut Random,
    ) -> Machine {
        let options = SimulatedOptions { torn_sectors: plan.torn_sectors, ..SimulatedOptions::default() };
        let disk = SimulatedDisk::with_options(random.bits(), options);
        disk.set_latency(plan.disk);
        let listens = |address: &IpAddr| format!("{address}:{CLUSTER_PORT}");
        let inner = Inner {
            name: name.to_owned(),
            address: address.to_string(),
            founds: Cell::new(others.iter().all(|other| address < *other)),
            others: others.iter().map(listens).collect(),
            disk,
            home: Home::new(&net, plan.skew),
            net,
            post,
            plan: plan.clone(),
            seed: random.bits(),
            lives: Cell::new(0),
            stop: Notify::new(),
            end: RefCell::new(None),
            living: Arc::default(),
        };
        Machine { inner: Rc::new(inner) }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What stays when a process ends.
    pub fn disk(&self) -> &SimulatedDisk {
        &self.inner.disk
    }

    /// Its connections.
    pub fn net(&self) -> &SimulatedNet {
        &self.inner.net
    }

    /// What it was made as.
    pub fn plan(&self) -> &MachinePlan {
        &self.inner.plan
    }

    /// How its process ended, if it did since this was asked the last time.
    pub fn take_end(&self) -> Option<End> {
        self.inner.end.borrow_mut().take()
    }

    /// What runs in a life that has begun since this was asked the last time.
    pub fn take_living(&self) -> Option<Living> {
        self.inner.living.lock().take()
    }

    /// Asks the process to stop as SIGTERM does.
    pub fn stop(&self) {
        self.inner.stop.notify_one();
    }

    /// What it has of what runs it.
    pub fn home(&self) -> &Home {
        &self.inner.home
    }

    /// Another process: what it does, and what decides all that its runtime leaves open.
    pub fn process(&self) -> (u64, Life) {
        let inner = &*self.inner;
        inner.lives.set(inner.lives.get() + 1);
        let machine = self.clone();
        let life = async move {
            let end = machine.life().await;
            *machine.inner.end.borrow_mut() = Some(end);
        };
        (inner.seed.wrapping_add(inner.lives.get()) ^ 0x9e0c_e55e, Box::pin(life))
    }

    /// Another drive: whoever puts it in tells the node to ask the others.
    pub fn wipe(&self) {
        self.inner.disk.wipe();
        self.inner.founds.set(self.inner.others.is_empty());
    }

    /// Its wall clock is so much further from here on.
    pub fn jump(&self, seconds: i64) {
        self.inner.home.time().jump(seconds.saturating_mul(1_000_000));
    }

    async fn life(&self) -> End {
        let mut random = Random::new(self.inner.seed.wrapping_add(self.inner.lives.get()));
        let ended = Ended::default();
        let outside = self.outside(&mut random, &ended);
        // A signal to a machine on which nothing runs goes nowhere.
        tokio::select! {
            biased;
            () = self.inner.stop.notified() => {}
            () = std::future::ready(()) => {}
        }
        let opened = tokio::select! {
            biased;
            reason = ended.wait() => return End::Failed(reason),
            // As `photondb serve` does: who has acknowledged nothing ends at once.
            () = self.inner.stop.notified() => return End::Stopped,
            opened = Node::open(self.config(), outside) => opened,
        };
        let node = match opened {
            Ok(node) => node,
            Err(error) => return End::Failed(error.to_string()),
        };
        tokio::select! {
            biased;
            reason = ended.wait() => End::Failed(reason),
            () = self.inner.stop.notified() => match node.close().await {
                Ok(()) => End::Stopped,
                Err(error) => End::Failed(error.to_string()),
            },
        }
    }

    fn outside(&self, random: &mut Random, ended: &Ended) -> Outside {
        let (ended, left) = (ended.clone(), ended.clone());
        let living = self.inner.living.clone();
        Outside {
            began: Some(Arc::new(move |engine: &Engine, groups: &Groups| {
                *living.lock() = Some(Living { engine: engine.clone(), groups: groups.clone() });
            })),
            clock: Arc::new(MachineClock {
                offset_micros: self.inner.plan.skew.offset_micros,
                time: self.inner.home.time(),
            }),
            random: Arc::new(SeededRandom::new(random.bits())),
            net: self.inner.home.net(),
            threads: Arc::new(OneThread { disk: self.inner.disk.clone() }),
            disk: Some(as_seen_by_node(&self.inner.disk, self.inner.plan.honesty)),
            raft: RaftOptions { blocking: Blocking::Here, ..RaftOptions::default() },
            peers: self.inner.post.as_ref().map(|(post, place)| Arc::new(post.letters(*place)) as _),
            storage: Some(self.inner.plan.storage.clone()),
            fatal: Arc::new(move |reason| ended.end(reason)),
            left: Arc::new(move |reason| left.end(reason)),
        }
    }

    fn config(&self) -> Config {
        let mut given = Given::default();
        for (name, value) in [("server-name", self.inner.name.as_str()), ("no-http-admin", "true"), ("cores", "1")] {
            given.add(name, value).expect("it is an option");
        }
        for tag in &self.inner.plan.tags {
            given.add("server-tag", tag).expect("it is an option");
        }
        let mut config = Config::resolve(&given).expect("the values are right");
        for (listen, port) in [(&mut config.driver, DRIVER_PORT), (&mut config.cluster, CLUSTER_PORT)] {
            listen.bind = Bind::Addresses(vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
            listen.port = port;
        }
        // The first machine founds the cluster; the others are taken in by whom they know.
        if !self.inner.founds.get() {
            config.join.clone_from(&self.inner.others);
        }
        config.canonical_addresses = vec![self.inner.address.clone()];
        config.cluster_secret = Some(ClusterSecret(b"of the simulation".to_vec()));
        if let Some(lost_after) = self.inner.plan.lost_after {
            config.node_lost_after = Some(lost_after);
        }
        config.query_bytes = 64 << 20;
        config.all_queries_bytes = 256 << 20;
        config
    }
}

/// The machine's time. It goes on while processes come and go, and while one is paused.
struct MachineClock {
    offset_micros: i64,
    time: MachineTime,
}

impl Clock for MachineClock {
    fn now(&self) -> Moment {
        Moment::from_start(self.time.now())
    }

    fn wall(&self) -> WallTime {
        let since = i64::try_from(self.now().since_start().as_micros()).unwrap_or(i64::MAX);
        let since = since.saturating_add(self.time.jumped());
        WallTime { micros: BEGINNING_MICROS.saturating_add(since).saturating_add(self.offset_micros) }
    }
}

/// Everything on the thread of the simulation; each step takes as long as its disk operations do.
struct OneThread {
    disk: SimulatedDisk,
}

impl Threads for OneThread {
    fn executor(&self, _name: &str) -> io::Result<Executor> {
        Ok(Executor::of_current())
    }

    fn steps(&self, _name: &str, steps: Steps) -> io::Result<StepThread> {
        let disk = self.disk.clone();
        Ok(StepThread::of_current(steps, move || disk.take_latency_up_to(LATENCY_MAX)))
    }
}
