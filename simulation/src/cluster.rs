//! A run of a cluster: whole nodes on simulated machines, on one thread and on virtual time, with clients, faults,
//! and checks at each step and at the end.

mod administrator;
mod afflict;
mod afterwards;
pub mod aim;
pub mod at_leader;
mod digest;
mod disks;
pub mod ending;
pub mod event;
pub mod fault;
pub mod harm;
mod layout;
mod mover;
pub mod observe;
pub mod plan;
pub mod probes;
pub mod rare;
pub mod run;
pub mod scenario;
mod steward;
mod tags;
pub mod ward;
mod wires;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use photondb_storage::disk::simulated::Latency;
use photondb_storage::fault::probe::take_reached;

use crate::buggify::Dice;
use crate::checker::raft::RaftCheckers;
use crate::checker::storage_verifies;
use crate::client::{Micros, NodeIndex};
use crate::hosts::{self, Hosts};
use crate::judge::Judge;
use crate::machine::{CLUSTER_PORT, End, Machine};
use crate::network::SimulatedNet;
use crate::observation::{Role, Snapshot};
use crate::peers::Post;
use crate::random::Random;
use crate::trace::Trace;
use afflict::Afflictions;
use fault::{Fault, Place, Timed};
use harm::Harm;
use layout::Layout;
use mover::Mover;
use observe::Observer;
use plan::{ClusterPlan, Transport};
use rare::Rare;
use steward::Steward;
use wires::Wires;

/// How long a process that ended by itself stays down before it is started again.
const RESTART_DELAY: Duration = Duration::from_millis(500);

/// How long after a fault has begun or ended rare behaviour comes more often.
const STIRRED: Duration = Duration::from_millis(500);

/// The machines, the network, and what is going wrong.
pub struct Cluster {
    hosts: Hosts,
    machines: Vec<Machine>,
    /// The connections of clients to each machine.
    drivers: Vec<SimulatedNet>,
    power: Vec<Power>,
    /// The faults to come, the last one first.
    faults: Vec<Timed>,
    /// What ends, and when.
    lasting: Vec<(Duration, Fault)>,
    wires: Wires,
    post: Option<Post>,
    trace: Trace,
    judge: Judge,
    /// The virtual time, in microseconds.
    now: Arc<AtomicU64>,
    /// What each disk had been asked at the last step.
    disks: Vec<u64>,
    latency_max: Duration,
    observers: Vec<Option<Observer>>,
    raft: RaftCheckers,
    rare: Rare,
    struck: BTreeMap<String, u64>,
    dice: Dice,
    /// Rare behaviour comes more often until then.
    stirred_until: Duration,
    is_healed: bool,
    /// What is rare is spared the product for the time being.
    spares: bool,
    /// Faults wait for the first until then; their times count from there.
    faults_from: Option<Duration>,
    /// In which processes run in a step.
    order: Random,
    afflictions: Afflictions,
    /// `None`: nobody takes nodes out of service.
    steward: Option<Steward>,
    /// It has begun to.
    steward_works: bool,
    /// `None`: nobody moves replicas.
    mover: Option<Mover>,
    /// What those two have had accepted, by its kind.
    changes: BTreeMap<String, u64>,
    layout: Layout,
    /// What is tried last takes back what Raft promises.
    is_unwatched: bool,
}

/// Whether a machine's process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    /// Started again then. `silent`: nobody was told that it is gone.
    OffUntil {
        until: Duration,
        silent: bool,
    },
    /// Never again: its node has left the cluster.
    Retired,
}

/// Where a machine is found.
pub fn address(place: Place) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1 + u8::try_from(place).expect("a cluster has a few machines")))
}

/// Where a client asks from.
fn client_address(client: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1 + u8::try_from(client).expect("a run has a few clients")))
}

/// The clients' ends of connections to a machine.
fn clients_of(machine: &Machine, plan: &ClusterPlan, trace: &Trace) -> SimulatedNet {
    SimulatedNet::new(&format!("client of {}", machine.name()), plan.write_bytes_max, trace.clone())
}

impl Cluster {
    /// All machines started, with empty disks.
    pub fn new(plan: &ClusterPlan, print: bool) -> Cluster {
        // Another run of this process may have left some.
        drop(take_reached());
        // The clock of the metrics is calibrated once, and waits for real time to pass.
        photondb::telemetry::metrics();
        let mut random = Random::new(plan.seed);
        let now = Arc::new(AtomicU64::new(0));
        let stepped = now.clone();
        let between_steps = move || Duration::from_micros(stepped.load(Ordering::Relaxed));
        let trace = Trace::new(move || hosts::elapsed().unwrap_or_else(&between_steps), print);
        let mut hosts = Hosts::new(random.bits(), &plan.latency_ms);
        let post = match plan.transport {
            Transport::Connections => None,
            Transport::Messages(manners) => Some(Post::new(random.fork(), manners, trace.clone())),
        };
        let places: Vec<IpAddr> = (0..plan.machines.len()).map(address).collect();
        let mut machines = Vec::new();
        for (place, machine) in plan.machines.iter().enumerate() {
            let others: Vec<IpAddr> = places.iter().copied().filter(|other| *other != places[place]).collect();
            let name = format!("n{}", place + 1);
            let net = SimulatedNet::new(&name, plan.write_bytes_max, trace.clone());
            if let Some(post) = &post {
                post.put_address(format!("{}:{CLUSTER_PORT}", places[place]), place);
            }
            let own_post = post.clone().map(|post| (post, place));
            let machine = Machine::new(&name, places[place], &others, machine, net, own_post, &mut random);
            if print {
                machine.disk().trace_calls();
            }
            let (seed, life) = machine.process();
            hosts.add(places[place], machine.home(), seed, life);
            machines.push(machine);
        }
        let mut faults = plan.faults.clone();
        faults.sort_by_key(|fault| std::cmp::Reverse(fault.at));
        let dice = Dice::new(plan.seed, &plan.points);
        dice.install();
        Cluster {
            hosts,
            power: vec![Power::On; machines.len()],
            drivers: machines.iter().map(|machine| clients_of(machine, plan, &trace)).collect(),
            machines,
            faults,
            lasting: Vec::new(),
            wires: Wires::new(places, post.clone()),
            post,
            judge: Judge::new(trace.clone()),
            disks: vec![0; plan.machines.len()],
            trace,
            now,
            observers: plan.machines.iter().map(|_| None).collect(),
            raft: RaftCheckers::new(),
            rare: Rare::default(),
            struck: BTreeMap::new(),
            dice,
            stirred_until: Duration::ZERO,
            is_healed: false,
            spares: false,
            faults_from: Some(Duration::ZERO),
            latency_max: Duration::from_millis(*plan.latency_ms.end()),
            order: random.fork(),
            afflictions: Afflictions::new(plan.machines.len()),
            steward: Steward::of(plan),
            steward_works: false,
            mover: Mover::of(plan),
            changes: BTreeMap::new(),
            layout: Layout::default(),
            is_unwatched: false,
        }
    }

    /// A client, which runs until its future is done.
    pub fn add_client(&mut self, client: impl Future<Output = ()> + 'static) {
        let address = client_address(self.wires.clients());
        self.wires.add_client(address);
        self.hosts.add_client(address, client);
    }

    /// What clients connect to each machine by.
    pub fn drivers(&self) -> &[SimulatedNet] {
        &self.drivers
    }

    /// The machines.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// The run's trace.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Takes violations.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// The virtual time.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.now.load(Ordering::Relaxed))
    }

    /// A step of virtual time: faults begin and end, then everybody runs. Gives whether every client is done.
    pub fn step(&mut self) -> bool {
        let _standing = hosts::standing_at(self.now());
        self.end_faults(false);
        if let Some(from) = self.faults_from {
            while self.faults.last().is_some_and(|next| from + next.at <= self.now()) {
                if let Some(next) = self.faults.pop() {
                    self.begin(next);
                }
            }
        }
        self.look_at_processes();
        self.let_steward_act();
        self.let_mover_act();
        self.dice.stir(self.now() < self.stirred_until);
        self.dice.wake(!self.is_healed && !self.spares);
        let done = self.hosts.step(&mut self.order).unwrap_or_else(|said| {
            self.judge.accuse("nothing panics", said);
            true
        });
        self.dice.wake(false);
        let elapsed = u64::try_from(self.hosts.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.now.store(elapsed, Ordering::Relaxed);
        self.trace_disks();
        self.observe();
        self.rot();
        done
    }

    /// Nothing goes wrong until [`Cluster::release_faults`], if `hold`.
    pub fn hold_faults(&mut self, hold: bool) {
        self.faults_from = (!hold).then_some(self.now());
    }

    /// Whether nothing that is rare in the product strikes for now: what strikes for ever may keep the cluster from ever being rid of a
    /// fault, as when nobody leads for long enough to miss a node.
    pub fn spare(&mut self, spares: bool) {
        if spares && !self.spares {
            self.trace.event("what is rare strikes no more before there is a table");
        }
        self.spares = spares;
    }

    /// From here on things go wrong, and nodes are taken out of service: what all need is there.
    pub fn release_faults(&mut self) {
        self.faults_from.get_or_insert(self.now());
        self.steward_works = true;
    }

    /// How often each kind of fault has struck.
    pub fn struck(&self) -> BTreeMap<String, u64> {
        self.struck.clone()
    }

    /// What was accepted of what was asked for of nodes and of single shards, by its kind.
    pub fn changes(&self) -> &BTreeMap<String, u64> {
        &self.changes
    }

    /// How often each point of the product that the run has has struck.
    pub fn points(&self) -> BTreeMap<String, u64> {
        self.dice.struck()
    }

    /// Rare paths, and how often they were taken.
    pub fn reached(&self) -> BTreeMap<String, u64> {
        let mut counts = self.rare.counts();
        counts.insert(rare::COMPARED.to_owned(), self.raft.digests_compared());
        counts.extend(take_reached().into_iter().map(|(name, count)| (name.to_owned(), count)));
        counts
    }

    /// Ends every process, and checks what is on the disks.
    pub fn close(&mut self) {
        for at in 0..self.machines.len() {
            self.kill(at, Duration::MAX);
            if self.afflictions.is_rotten(at) {
                continue;
            }
            match storage_verifies::check(self.machines[at].disk()) {
                Ok(pages) => self.trace.event(format_args!("{pages} pages of n{} verified", at + 1)),
                Err(violation) => self.judge.take(Err(violation)),
            }
        }
        if self.judge.is_content() && !self.is_unwatched {
            self.judge.take(self.raft.end());
        }
    }

    /// From here on nobody looks at what Raft promises: a group that has lost its majority for good goes on in another one.
    fn unwatch(&mut self) {
        if self.judge.is_content() {
            self.judge.take(self.raft.end());
        }
        self.is_unwatched = true;
    }

    /// Looks at what the members of Raft groups have come to.
    fn observe(&mut self) {
        let mut snapshot =
            Snapshot { at: Micros(u64::try_from(self.now().as_micros()).unwrap_or(u64::MAX)), ..Snapshot::default() };
        for at in 0..self.machines.len() {
            if let Some(living) = self.machines[at].take_living() {
                self.meet(at, &living);
                self.observers[at] = Some(Observer::new(NodeIndex(at), living));
            }
            if self.power[at] == Power::On
                && let Some(observer) = &mut self.observers[at]
            {
                snapshot.changed.extend(observer.look(snapshot.at));
                snapshot.unread.extend(observer.take_unread());
                snapshot.left.extend(observer.take_left());
            }
        }
        if !(snapshot.changed.is_empty() && snapshot.unread.is_empty() && snapshot.left.is_empty()) {
            self.take(&snapshot);
        }
        for at in 0..self.machines.len() {
            let watched = |_: &&Observer| self.power[at] == Power::On && !self.is_unwatched;
            let Some(observer) = self.observers[at].as_ref().filter(watched) else { continue };
            for lease in observer.leases(self.machines[at].plan().skew.moment(self.now())) {
                self.judge.take(self.raft.lease(snapshot.at, &lease));
            }
        }
    }

    fn take(&mut self, snapshot: &Snapshot) {
        for seen in &snapshot.changed {
            self.trace.note(seen, format_args!("{seen:?}"));
            self.rare.look(seen);
        }
        self.watch(&snapshot.changed);
        self.look_at_layout(&snapshot.changed);
        if self.is_unwatched {
            return;
        }
        self.judge.take(self.raft.step(snapshot));
        for seen in snapshot.changed.iter().filter(|seen| seen.role == Role::Leader) {
            // A leader that has applied an entry has answered for it.
            if let Some((term, index)) =
                seen.applied.and_then(|applied| self.raft.entry(seen.group, seen.member, applied))
            {
                self.raft.acknowledged(seen.group, term, index);
            }
        }
    }

    /// No fault any more: links are whole, disks have room, every process runs.
    pub fn heal(&mut self) {
        self.faults.clear();
        self.end_faults(true);
        self.is_healed = true;
        self.afflictions.heal();
        self.machines.iter().for_each(|machine| machine.disk().calm());
        let until = self.now();
        for power in &mut self.power {
            if let Power::OffUntil { until: at, .. } = power {
                *at = until;
            }
        }
        if let Some(post) = &self.post {
            post.calm();
        }
        self.trace.event("everything is healed");
    }

    fn begin(&mut self, Timed { fault, lasts, .. }: Timed) {
        if let Fault::Harm(harm) = fault {
            return self.harm(harm, lasts);
        }
        self.trace.event(format_args!("fault: {fault:?} for {lasts:?}"));
        *self.struck.entry(fault.kind().to_owned()).or_default() += 1;
        self.stirred_until = self.now() + STIRRED;
        let until = self.now() + lasts;
        match fault {
            Fault::Kill { at } => self.kill(at, until),
            Fault::PowerLoss { at } => self.lose_power(at, until),
            Fault::PowerLossAtOperation { at, operation } => self.machines[at].disk().crash_at(operation),
            Fault::PowerLossEverywhere => (0..self.machines.len()).for_each(|at| self.lose_power(at, until)),
            Fault::Restart { at } => self.machines[at].stop(),
            Fault::Reset { at } => self.machines[at].net().break_all(),
            Fault::Cut { .. } | Fault::CutOneWay { .. } | Fault::Isolate { .. } | Fault::Hold { .. } => {
                self.lasting.push((until, fault));
                self.wire();
            }
            Fault::Sever { at } => {
                let at = self.raft.leader().map_or(at, |node| node.0);
                self.lasting.push((until, Fault::Sever { at }));
                self.wire();
            }
            Fault::Slow { between, millis } => {
                self.slow(between, Duration::from_millis(millis));
                self.lasting.push((until, fault));
            }
            Fault::SlowDisk { at, factor } => {
                let Latency { read_ns, write_ns, sync_ns, byte_ps, .. } = self.machines[at].plan().disk;
                let slow = Latency {
                    read_ns: read_ns * factor,
                    write_ns: write_ns * factor,
                    sync_ns: sync_ns * factor,
                    byte_ps: byte_ps * factor,
                    ..self.machines[at].plan().disk
                };
                self.machines[at].disk().set_latency(slow);
                self.lasting.push((until, fault));
            }
            Fault::FullDisk { at, room_bytes } => {
                let disk = self.machines[at].disk();
                disk.set_capacity(disk.used_bytes() + room_bytes);
                self.lasting.push((until, fault));
            }
            Fault::Harm(_) => unreachable!("it was dealt with above"),
        }
    }

    /// Ends what has lasted long enough, or everything.
    fn end_faults(&mut self, all: bool) {
        let now = self.now();
        let (over, lasting) =
            std::mem::take(&mut self.lasting).into_iter().partition(|(until, _)| all || *until <= now);
        self.lasting = lasting;
        let over: Vec<(Duration, Fault)> = over;
        for (_, fault) in &over {
            self.trace.event(format_args!("over: {fault:?}"));
            match *fault {
                Fault::Slow { between, .. } => self.slow(between, self.latency_max),
                Fault::SlowDisk { at, .. } => {
                    // What it has not finished yet is finished now: half a minute may be left of it (40259).
                    let disk = self.machines[at].disk();
                    let _ = disk.take_latency();
                    disk.set_latency(self.machines[at].plan().disk);
                }
                Fault::FullDisk { at, .. } => self.machines[at].disk().set_capacity(u64::MAX),
                Fault::Isolate { at } => self.notice_loss(at),
                Fault::Harm(Harm::Pause { at }) => self.hosts.wake(address(at)),
                _ => {}
            }
        }
        if !over.is_empty() {
            self.stirred_until = now + STIRRED;
            self.wire();
        }
    }

    /// Makes each link what the faults that last leave of it.
    fn wire(&mut self) {
        let faults = self.lasting.iter().map(|(_, fault)| *fault);
        let silent = |(at, power): (Place, &Power)| match power {
            Power::OffUntil { silent: true, .. } => Some(Fault::Isolate { at }),
            _ => None,
        };
        let dead = self.power.iter().enumerate().filter_map(silent);
        self.wires.apply(faults.chain(dead).collect::<Vec<_>>().as_slice(), &self.hosts);
    }

    /// What is sent between the two takes so long at most.
    fn slow(&mut self, between: (Place, Place), latency_max: Duration) {
        self.hosts.set_latency_max(address(between.0), address(between.1), latency_max);
        if !hosts::SLOWS_LINKS {
            self.wires.slow(between, latency_max.saturating_sub(self.latency_max));
        }
    }

    /// What was sent to the machine is lost and not sent again, so that connections of clients to it would wait for ever.
    /// Keepalive tells a client, and the nodes have it in what they speak.
    fn notice_loss(&self, at: Place) {
        self.drivers[at].break_all();
    }

    fn kill(&mut self, at: Place, until: Duration) {
        if self.power[at] == Power::Retired {
            return;
        }
        self.forget_process(at);
        self.machines[at].disk().kill();
        self.hosts.end(address(at));
        self.power[at] = Power::OffUntil { until, silent: false };
    }

    fn lose_power(&mut self, at: Place, until: Duration) {
        if self.power[at] == Power::Retired {
            return;
        }
        self.forget_process(at);
        self.power[at] = Power::OffUntil { until, silent: true };
        self.wire();
        let disk = self.machines[at].disk();
        // Struck already, or struck now.
        if disk.is_crashed() {
            disk.restart()
        } else {
            disk.crash()
        }
        self.hosts.end(address(at));
    }

    /// Notices which processes have ended, and starts those whose time has come.
    fn look_at_processes(&mut self) {
        for at in 0..self.machines.len() {
            match self.power[at] {
                Power::On if self.machines[at].disk().is_crashed() => {
                    self.trace.event(format_args!("n{} has lost power during a disk operation", at + 1));
                    self.lose_power(at, self.now() + RESTART_DELAY);
                    // What the process said after that, it did not say.
                    let _ = self.machines[at].take_end();
                }
                Power::On => {
                    let Some(end) = self.machines[at].take_end() else { continue };
                    self.trace.event(format_args!("the process of n{} has ended: {end:?}", at + 1));
                    if self.steward.is_some() && self.retires(at) {
                        self.kill(at, Duration::MAX);
                        self.power[at] = Power::Retired;
                        continue;
                    }
                    if let End::Failed(reason) = &end
                        && !self.explains(at, reason)
                    {
                        self.judge.accuse("a node stays alive", format!("n{}: {reason}", at + 1));
                    }
                    self.kill(at, self.now() + RESTART_DELAY);
                    self.tend(at, &end);
                }
                Power::OffUntil { until, .. } if until <= self.now() => {
                    let _ = self.machines[at].take_end();
                    self.power[at] = Power::On;
                    self.wire();
                    self.trace.event(format_args!("n{} starts", at + 1));
                    self.stirred_until = self.now() + STIRRED;
                    self.notice_loss(at);
                    self.afflictions.begin(at);
                    let (seed, life) = self.machines[at].process();
                    self.hosts.begin(address(at), seed, life);
                }
                Power::OffUntil { .. } | Power::Retired => {}
            }
        }
    }

    /// Whether a fault that lasts explains the end of a process.
    fn explains(&self, at: Place, reason: &str) -> bool {
        if self.afflictions.explain(at, self.machines[at].disk()) {
            return true;
        }
        let full = |fault: &Fault| matches!(fault, Fault::FullDisk { at: full, .. } if *full == at);
        self.lasting.iter().any(|(_, fault)| full(fault))
            && ["full", "no storage space"].iter().any(|said| reason.contains(said))
    }
}
