//! Hosts of turmoil, which step the clients and carry TCP, all of it: what is lost is not sent again. Processes run beside
//! them ([`process`]), and a small host of each machine carries for the process that runs there ([`kernel`]).

mod kernel;
mod process;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use photondb_runtime::network::Net;
use turmoil::{Builder, Sim};

pub use turmoil::net::{TcpListener, TcpStream};
pub use turmoil::sim_elapsed as elapsed;

pub use self::process::MachineTime;
pub use crate::library_clock::standing_at;

use self::kernel::Kernel;
use self::process::Process;
use super::{Life, Link, TICK};
use crate::machine::Skew;
use crate::network::SimulatedNet;
use crate::random::Random;

/// Nodes can speak over its connections as they do over real ones.
pub const CARRIES_GRPC: bool = true;

/// Each link has a latency of its own.
pub const SLOWS_LINKS: bool = true;

/// The finest time of a machine, in microseconds: that of timers.
pub const GRAIN_MICROS: i128 = 1_000;

/// Runs `work` where nothing of what ran before is left. That is any place: each process has a runtime of its own.
pub fn on_fresh_ground<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    work()
}

/// Binds an address of the host that runs.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).now_or_never().expect("a simulated address is bound at once")
}

/// What a machine has of what runs it. Clones are the same.
#[derive(Clone)]
pub struct Home {
    kernel: Kernel,
    time: MachineTime,
    skew: Skew,
}

impl Home {
    /// Of a machine whose connections are `net`'s.
    pub fn new(net: &SimulatedNet, skew: Skew) -> Home {
        Home { kernel: Kernel::new(net.clone()), time: MachineTime::default(), skew }
    }

    /// The network as the machine's processes see it.
    pub fn net(&self) -> Arc<dyn Net> {
        Arc::new(self.kernel.clone())
    }

    /// The machine's time.
    pub fn time(&self) -> MachineTime {
        self.time.clone()
    }
}

/// A machine, and what runs there.
struct Host {
    at: IpAddr,
    home: Home,
    process: Option<Process>,
    /// Time passes, and nothing of the process runs.
    paused: bool,
}

impl Host {
    fn begin(&mut self, now: Duration, seed: u64, life: Life) {
        let Home { kernel, time, skew } = &self.home;
        kernel.begin();
        self.paused = false;
        let began = skew.count(now);
        time.set(began, None);
        let process = Process::start(seed, life);
        time.set(began, Some(process.instant()));
        self.process = Some(process);
    }

    fn end(&mut self) {
        drop(self.process.take());
        let time = &self.home.time;
        time.set(time.now(), None);
    }

    /// Lets the process run until `now` of true time, unless it is paused.
    fn run_until(&self, now: Duration) {
        let (Home { time, skew, .. }, Some(process)) = (&self.home, self.process.as_ref().filter(|_| !self.paused))
        else {
            return;
        };
        let until = skew.count(now);
        let passes = until.saturating_sub(time.now());
        if !passes.is_zero() {
            process.run_for(passes);
            time.set(until, Some(process.instant()));
        }
    }

    fn wake(&mut self, now: Duration) {
        if !std::mem::take(&mut self.paused) {
            return;
        }
        if let Some(process) = &self.process {
            let Home { time, skew, .. } = &self.home;
            let until = skew.count(now);
            process.skip(until.saturating_sub(time.now()));
            time.set(until, Some(process.instant()));
        }
    }
}

/// The hosts of a world.
pub struct Hosts {
    sim: Sim<'static>,
    machines: Vec<Host>,
}

impl Hosts {
    /// No host yet. What they send takes so many milliseconds.
    pub fn new(seed: u64, latency_ms: &RangeInclusive<u64>) -> Hosts {
        let sim = Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH)
            .tick_duration(TICK)
            .enable_random_order()
            .min_message_latency(Duration::from_millis(*latency_ms.start()))
            .max_message_latency(Duration::from_millis(*latency_ms.end()))
            .simulation_duration(Duration::MAX)
            .tcp_capacity(1 << 12)
            .build();
        Hosts { sim, machines: Vec::new() }
    }

    /// A machine, whose first process begins. `seed` decides what tokio leaves open.
    pub fn add(&mut self, at: IpAddr, home: &Home, seed: u64, life: Life) {
        let mut host = Host { at, home: home.clone(), process: None, paused: false };
        host.begin(self.elapsed(), seed, life);
        self.machines.push(host);
        let kernel = home.kernel.clone();
        self.sim.host(at, move || {
            let kernel = kernel.clone();
            async move {
                kernel.carry().await;
                Ok(())
            }
        });
    }

    /// A host that runs until `life` is done.
    pub fn add_client(&mut self, at: IpAddr, life: impl Future<Output = ()> + 'static) {
        self.sim.client(at, async move {
            life.await;
            Ok(())
        });
    }

    /// A step of virtual time: every process runs to its end, in the order that `order` draws, then clients and what carries
    /// for them. Gives whether every client is done. Errors: something has panicked.
    pub fn step(&mut self, order: &mut Random) -> Result<bool, String> {
        let until = self.elapsed() + TICK;
        let count = self.machines.len();
        let first = order.below(count as u64) as usize;
        let backward = order.once_in(2);
        for number in 0..count {
            let number = if backward { count - 1 - number } else { number };
            self.machines[(first + number) % count].run_until(until);
        }
        self.sim.step().map_err(|error| error.to_string())
    }

    /// The virtual time.
    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    /// Another process of a machine begins. `seed` decides what tokio leaves open.
    pub fn begin(&mut self, at: IpAddr, seed: u64, life: Life) {
        let now = self.elapsed();
        self.host(at).begin(now, seed, life);
        self.sim.bounce(at);
    }

    /// The process of a machine dies where it stands.
    pub fn end(&mut self, at: IpAddr) {
        self.host(at).end();
        self.sim.crash(at);
    }

    /// From here on time passes, and nothing of the machine's process runs.
    pub fn pause(&mut self, at: IpAddr) {
        self.host(at).paused = true;
    }

    /// The process goes on; what it should have done meanwhile is late.
    pub fn wake(&mut self, at: IpAddr) {
        let now = self.elapsed();
        self.host(at).wake(now);
    }

    fn host(&mut self, at: IpAddr) -> &mut Host {
        self.machines.iter_mut().find(|host| host.at == at).expect("the machine was added")
    }

    /// What is sent between the two takes so long at most.
    pub fn set_latency_max(&self, one: IpAddr, other: IpAddr, latency_max: Duration) {
        self.sim.set_link_max_message_latency(one, other, latency_max);
    }

    /// The link between the two was `before` and is `wanted` from here on.
    pub fn set_link(&self, one: IpAddr, other: IpAddr, before: Link, wanted: Link) {
        // What was held arrives, unless a cut has swallowed it meanwhile.
        if before.held {
            self.sim.release(one, other);
        }
        self.sim.repair(one, other);
        match wanted {
            Link { cut_there: true, cut_back: true, .. } => self.sim.partition(one, other),
            Link { cut_there: true, .. } => self.sim.partition_oneway(one, other),
            Link { cut_back: true, .. } => self.sim.partition_oneway(other, one),
            Link { held: true, .. } => self.sim.hold(one, other),
            _ => {}
        }
    }
}
