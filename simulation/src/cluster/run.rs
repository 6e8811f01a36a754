//! One run: the cluster forms, clients load it while things go wrong, everything is healed, and what is left is looked at.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use photondb_runtime::network::{ByteStream, LocalFuture, Net};
use serde_json::json;
use tokio::time::sleep;

use super::administrator::Manner;
use super::afterwards::{Afterwards, Errands};
use super::ending::{self, Probed};
use super::plan::{ClusterPlan, IMPATIENT_HEARTBEAT_TIMEOUT_SECS};
use super::{Cluster, address, administrator};
use crate::client::{Client, ClientId, Failure, Login, Micros, NodeIndex, Outside};
use crate::hosts;
use crate::machine::DRIVER_PORT;
use crate::network::SimulatedNet;
use crate::random::Random;
use crate::sweep::{Finding, RunRecord};
use crate::term;
use crate::workload::cluster::{self as workloads, ClusterWorkload};

/// How long a cluster may take to form and to serve its first table, in virtual time.
const SETUP_MAX: Duration = Duration::from_secs(90);

/// When nothing that is rare in the product strikes any more until then.
const SETUP_SPARED_AFTER: Duration = Duration::from_secs(45);

/// How long clients may take to end once they are asked to, and the last reads to succeed.
const FINISH_MAX: Duration = Duration::from_secs(150);

/// Steps between two looks at whether replicas are equal.
const CONVERGE_STEPS: u32 = 20;

/// How long the cluster may take to replace what disks have lost, once clients are done: a node counts as away after ten
/// seconds, and members are filled one after the other.
const RESTORE_MAX: Duration = Duration::from_secs(120);

/// Between two looks at that.
const RESTORE_LOOK: Duration = Duration::from_millis(200);

/// What a client waits at least between two steps, so that time passes when each is refused at once.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The first client makes what all need.
    Setup,
    /// Clients ask, faults strike.
    Load,
    /// Everything is healed: clients end what they are at.
    Ending,
    /// Clients have stopped: the first writes to every shard.
    Probing,
    /// The first client looks at what is left.
    Finish,
    /// Clients have done what they came for; one of them may be asked for more.
    Done,
    /// Nobody is asked for anything any more.
    Over,
}

/// What clients and the run's driver tell each other.
struct Shared {
    phase: Cell<Phase>,
    /// Clients that have stopped.
    stopped: Cell<u64>,
    steps: Cell<u64>,
    /// Changes of how tables lie that were accepted, by their kind.
    changes: RefCell<BTreeMap<String, u64>>,
    workload: Box<dyn ClusterWorkload>,
    failed: Cell<Option<String>>,
    /// Why the setup did not succeed the last time.
    set_back: Cell<Option<String>>,
    /// Shards to write to, and until when each must have accepted that.
    probed: RefCell<Option<(Vec<Probed>, Duration)>>,
    /// A shard that did not accept.
    refusing: Cell<Option<String>>,
    /// What is asked for when that is done.
    errands: Errands,
}

/// Carries out `plan`. `print` shows every event. A panic anywhere is a violation.
pub fn run(plan: &ClusterPlan, print: bool) -> RunRecord {
    let began = cpu_time();
    let mut record = RunRecord { seed: plan.seed, scenario: plan.workload.to_owned(), ..RunRecord::default() };
    let ran = hosts::on_fresh_ground(|| catch_unwind(AssertUnwindSafe(|| Run::new(plan, print).go())));
    match ran {
        Ok(done) => record = RunRecord { seed: record.seed, scenario: record.scenario, ..done },
        Err(payload) => {
            let said = payload.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("see above");
            record.violations.push(Finding { property: "nothing panics".to_owned(), evidence: said.to_owned() });
        }
    }
    record.took_us = u64::try_from(cpu_time().saturating_sub(began).as_micros()).unwrap_or(u64::MAX);
    record
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

struct Run {
    plan: ClusterPlan,
    cluster: Cluster,
    shared: Rc<Shared>,
}

impl Run {
    fn new(plan: &ClusterPlan, print: bool) -> Run {
        let mut cluster = Cluster::new(plan, print);
        let mut random = Random::new(plan.seed ^ 0x000c_11e7);
        let (nodes, replicas_min) = (plan.machines.len() as u64, administrator::replicas_min(plan));
        let workloads = workloads::all(plan.clients, nodes, replicas_min, plan.arranged, &mut random);
        let workload = workloads.into_iter().find(|one| one.name() == plan.workload);
        let shared = Rc::new(Shared {
            phase: Cell::new(Phase::Setup),
            stopped: Cell::new(0),
            steps: Cell::new(0),
            changes: RefCell::default(),
            workload: workload.expect("a plan names a workload that there is"),
            failed: Cell::new(None),
            set_back: Cell::new(None),
            probed: RefCell::default(),
            refusing: Cell::new(None),
            errands: Errands::default(),
        });
        for id in 0..plan.clients {
            let outside = Rc::new(Drivers(cluster.drivers().to_vec()));
            let client = Client::new(ClientId(id), outside, Login::default(), random.fork());
            let conduct = Conduct {
                shared: shared.clone(),
                think_ms: plan.think_ms.clone(),
                clients: plan.clients + u64::from(plan.administered),
                first: id == 0,
                impatient: plan.impatient,
                runs_errands: plan.arranged,
            };
            cluster.add_client(conduct.go(client, random.fork()));
        }
        if plan.administered {
            // Nothing that others draw changes with it.
            let mut random = Random::new(plan.seed ^ 0x00ad_0158);
            let outside = Rc::new(Drivers(cluster.drivers().to_vec()));
            let client = Client::new(ClientId(plan.clients), outside, Login::default(), random.fork());
            cluster.add_client(conduct_administrator(shared.clone(), client, random, Manner::of(plan)));
        }
        Run { plan: plan.clone(), cluster, shared }
    }

    fn go(mut self) -> RunRecord {
        self.cluster.hold_faults(self.plan.quiet_start);
        self.set_up();
        self.cluster.release_faults();
        let end = self.cluster.now() + self.plan.duration;
        while self.cluster.now() < end && self.goes_on() {
            self.cluster.step();
        }
        self.shared.phase.set(self.shared.phase.get().max(Phase::Ending));
        self.cluster.heal();
        let healed = self.cluster.now();
        self.step_until(Phase::Probing, FINISH_MAX, "clients are answered once everything is healed");
        // Whoever stopped late has waited for what is asked for here.
        let until = self.cluster.now().max(healed) + ending::ACCEPT_MAX;
        *self.shared.probed.borrow_mut() = Some((self.cluster.shards(), until));
        self.step_until(Phase::Done, FINISH_MAX, "clients are answered once everything is healed");
        if let Some(reason) = self.shared.refusing.take() {
            self.cluster.judge().accuse("every shard accepts a write when it is healed", reason);
        }
        self.restore();
        if let Some(reason) = self.shared.failed.take() {
            self.cluster.judge().accuse("what there is can be read", reason);
        }
        let mut undecided = 0;
        for violation in self.shared.workload.check(&mut undecided) {
            self.cluster.judge().take(Err(violation));
        }
        self.go_on_to(|afterwards| afterwards.spread());
        self.converge();
        self.go_on_to(|afterwards| afterwards.lose_and_repair());
        self.shared.phase.set(Phase::Over);
        self.cluster.close();
        self.record(undecided)
    }

    fn set_up(&mut self) {
        while self.shared.phase.get() < Phase::Load && self.goes_on() && self.cluster.now() < SETUP_SPARED_AFTER {
            self.cluster.step();
        }
        self.cluster.spare(self.shared.phase.get() < Phase::Load);
        let rest = SETUP_MAX.saturating_sub(self.cluster.now());
        self.step_until(Phase::Load, rest, "the cluster forms and serves a table");
        self.cluster.spare(false);
    }

    /// Tries what only runs with zones do, unless the run has failed.
    fn go_on_to(&mut self, what: impl FnOnce(&mut Afterwards<'_>)) {
        if self.plan.arranged && self.goes_on() {
            what(&mut Afterwards::new(&self.plan, &mut self.cluster, &self.shared.errands));
        }
    }

    fn goes_on(&self) -> bool {
        self.cluster.judge().is_content()
    }

    fn step_until(&mut self, phase: Phase, time_max: Duration, what: &'static str) {
        let until = self.cluster.now() + time_max;
        while self.shared.phase.get() < phase && self.goes_on() {
            if self.cluster.now() >= until {
                let at = self.shared.phase.get();
                let why = self.shared.set_back.take().unwrap_or_default();
                let evidence = format!("not by {until:?}: still at {at:?} {why}");
                self.cluster.judge().accuse(what, evidence.trim_end().to_owned());
                return;
            }
            self.cluster.step();
        }
    }

    /// Lets replicas become equal, and compares what they have.
    fn converge(&mut self) {
        let until = self.cluster.now() + ending::CONVERGE_MAX;
        while self.goes_on() {
            let Err(difference) = self.cluster.converged() else { break };
            if self.cluster.now() >= until {
                self.cluster.judge().accuse("replicas converge", difference);
                return;
            }
            for _ in 0..CONVERGE_STEPS {
                self.cluster.step();
            }
        }
        if !self.goes_on() {
            // What is left of a run that has failed may not even be readable.
            return;
        }
        match self.cluster.indexes_match() {
            Ok(compared) => self.cluster.trace().event(format_args!("{compared} indexes match their tables")),
            Err(difference) => self.cluster.judge().accuse("index matches table", difference),
        }
    }

    /// What disks have lost is replaced, with nobody's help.
    fn restore(&mut self) {
        let until = self.cluster.now() + RESTORE_MAX;
        let mut look = self.cluster.now();
        while self.goes_on() {
            if self.cluster.now() >= look {
                let left = [
                    ("what disks have lost is replaced", self.cluster.unrestored()),
                    ("what is wanted of nodes comes to pass", self.cluster.unsettled()),
                    ("a node that runs belongs to the cluster", self.cluster.outsiders()),
                ];
                let Some((property, left)) = left.into_iter().find(|(_, left)| !left.is_empty()) else { return };
                if self.cluster.now() >= until {
                    let evidence = format!("not within {RESTORE_MAX:?}: {}", left.join("; "));
                    return self.cluster.judge().accuse(property, evidence);
                }
                look += RESTORE_LOOK;
            }
            self.cluster.step();
        }
    }

    fn record(self, undecided: u64) -> RunRecord {
        let trace = self.cluster.trace();
        let mut changes = self.shared.changes.take();
        changes.extend(self.cluster.changes().clone());
        let by_workload = self.shared.workload.reconfigured();
        if by_workload > 0 {
            *changes.entry(administrator::RESIZED.to_owned()).or_default() += by_workload;
        }
        RunRecord {
            trace_hash: format!("{:016x}", trace.hash()),
            events: trace.events(),
            virtual_us: u64::try_from(self.cluster.now().as_micros()).unwrap_or(u64::MAX),
            operations: [
                ("steps".to_owned(), self.shared.steps.get()),
                ("calls that change a disk".to_owned(), self.cluster.disk_calls()),
            ]
            .into(),
            changes,
            faults: self.cluster.struck(),
            points: self.cluster.points(),
            probes: self.cluster.reached(),
            undecided,
            violations: self.cluster.judge().violations().iter().map(Finding::from).collect(),
            ..RunRecord::default()
        }
    }
}

/// How the administrator goes through the run.
async fn conduct_administrator(shared: Rc<Shared>, mut client: Client, mut random: Random, manner: Manner) {
    while shared.phase.get() < Phase::Load {
        sleep(ROUND_TRIP).await;
    }
    while shared.phase.get() == Phase::Load {
        if let Some(kind) = administrator::administer(&mut client, &mut random, manner).await {
            *shared.changes.borrow_mut().entry(kind.to_owned()).or_default() += 1;
        }
    }
    shared.stopped.set(shared.stopped.get() + 1);
}

/// How one client goes through the run.
struct Conduct {
    shared: Rc<Shared>,
    think_ms: RangeInclusive<u64>,
    /// How many there are.
    clients: u64,
    /// It makes what all need, and looks at the end.
    first: bool,
    /// Nodes are to be missed soon.
    impatient: bool,
    /// Whether there is more that the first one may be asked for.
    runs_errands: bool,
}

impl Conduct {
    async fn go(self, mut client: Client, mut random: Random) {
        let shared = &*self.shared;
        if self.first {
            while shared.phase.get() == Phase::Setup {
                match self.set_up(&mut client).await {
                    Ok(()) => {
                        shared.set_back.set(None);
                        shared.phase.set(Phase::Load);
                    }
                    Err(failure) => {
                        shared.set_back.set(Some(format!("{failure:?}")));
                        sleep(ROUND_TRIP).await;
                    }
                }
            }
        }
        while shared.phase.get() == Phase::Setup {
            sleep(ROUND_TRIP).await;
        }
        while shared.phase.get() == Phase::Load {
            sleep(ROUND_TRIP + random.millis(self.think_ms.clone())).await;
            shared.workload.step(&mut client, &mut random).await;
            shared.steps.set(shared.steps.get() + 1);
        }
        shared.stopped.set(shared.stopped.get() + 1);
        if !self.first {
            // Nothing is delivered to the host of a client that has ended: what it has open would go silent.
            while shared.phase.get() < Phase::Done {
                shared.workload.linger(&mut client).await;
                sleep(ROUND_TRIP).await;
            }
            return;
        }
        while shared.stopped.get() < self.clients {
            sleep(ROUND_TRIP).await;
        }
        self.probe(&mut client).await;
        shared.phase.set(Phase::Finish);
        if let Err(failure) = shared.workload.finish(&mut client).await {
            shared.failed.set(Some(format!("{failure:?}")));
        }
        shared.phase.set(Phase::Done);
        while self.runs_errands && shared.phase.get() < Phase::Over {
            shared.errands.run(&mut client).await;
            sleep(ROUND_TRIP).await;
        }
    }
}

impl Conduct {
    /// Makes what all need. May be repeated.
    async fn set_up(&self, client: &mut Client) -> Result<(), Failure> {
        if self.impatient {
            let row = term::get(term::table_in("rethinkdb", "cluster_config"), json!("heartbeat"));
            let sooner = json!({ "heartbeat_timeout_secs": IMPATIENT_HEARTBEAT_TIMEOUT_SECS });
            ending::write(client, &term::update(row, sooner, false)).await?;
        }
        self.shared.workload.setup(client).await
    }

    /// Writes to every shard, to each with a client of its own: what one of them takes says nothing of another.
    async fn probe(&self, client: &mut Client) {
        let shared = &*self.shared;
        shared.phase.set(Phase::Probing);
        let (shards, until) = loop {
            if let Some(probed) = shared.probed.take() {
                break probed;
            }
            sleep(ROUND_TRIP).await;
        };
        let probes = shards.iter().map(|shard| (shard, client.beside())).collect::<Vec<_>>();
        let probes = probes.into_iter().map(|(shard, client)| shard.accepts(client, until));
        for refused in join_all(probes).await.into_iter().filter_map(Result::err) {
            shared.refusing.set(Some(refused));
        }
    }
}

/// The driver ports of all nodes.
struct Drivers(Vec<SimulatedNet>);

impl Outside for Drivers {
    fn nodes(&self) -> usize {
        self.0.len()
    }

    fn connect(&self, node: NodeIndex) -> LocalFuture<'_, io::Result<Box<dyn ByteStream>>> {
        self.0[node.0].connect(SocketAddr::new(address(node.0), DRIVER_PORT))
    }

    fn now(&self) -> Micros {
        let now = hosts::elapsed().unwrap_or_default();
        Micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
    }
}
