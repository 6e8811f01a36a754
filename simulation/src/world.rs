//! A run: lives of one node on one disk, one after the other, each ended by a fault, with clients in each and checks
//! between them.
//!
//! A life has a tokio runtime of its own, on this thread and on virtual time. When the node dies its runtime is dropped,
//! and with it every task, fiber and lock of that life, as the end of a process would drop them; the disk alone goes on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use photondb_runtime::task;
use photondb_storage::disk::simulated::{SimulatedDisk, SimulatedOptions};
use tokio::runtime::{Builder, RngSeed, Runtime, UnhandledPanic};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::checker::{Violation, acknowledged_is_durable, linearizable, storage_verifies};
use crate::clock::Clock;
use crate::ended::Ended;
use crate::faults::{self, Fault};
use crate::history::{History, Outcome};
use crate::node::Node;
use crate::plan::Plan;
use crate::probe::Probes;
use crate::random::Random;
use crate::site::{Judge, Site};
use crate::trace::Trace;

/// Who reads the documents after a restart and at the end of a life.
const OBSERVER: u64 = 0;

/// How long a process stays down before it is started again.
const RESTART_DELAY: Duration = Duration::from_millis(500);

/// How long clients may take to end once they are asked to, in virtual time.
const STOP_WAIT_MAX: Duration = Duration::from_secs(60);

/// What came out of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run.
    pub plan: Plan,
    /// Two runs of one seed have the same, whatever else ran before.
    pub hash: u64,
    /// What the hash was made of.
    pub events: u64,
    /// Lives of the node.
    pub lives: u64,
    /// Lives that ended with the power.
    pub power_losses: u64,
    /// Operations of clients.
    pub operations: u64,
    /// Those whose outcome was not known.
    pub unknown: u64,
    /// How often rare paths were taken.
    pub reached: BTreeMap<&'static str, u64>,
    /// Empty: everything held.
    pub violations: Vec<Violation>,
}

/// How a life ended.
#[derive(Debug)]
enum End {
    /// By plan: clients have stopped.
    Finished,
    /// The machine lost power.
    PowerLost,
    /// The process was killed.
    Killed,
    /// The process ended by itself, or could not start; it says why.
    Ended {
        /// For people.
        reason: String,
        /// Whether the disk was full then, which explains it.
        for_lack_of_space: bool,
    },
}

/// Carries out `plan`. `print` shows every event. A panic anywhere is a violation.
pub fn run(plan: &Plan, print: bool) -> Report {
    let mut world = World::new(plan, print);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(payload) = ran {
        let said = payload.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("see above");
        world.judge.accuse("nothing panics", said);
    }
    world.report()
}

struct World {
    plan: Plan,
    random: Random,
    disk: SimulatedDisk,
    clock: Rc<Clock>,
    trace: Trace,
    history: Rc<RefCell<History>>,
    judge: Judge,
    probes: Probes,
    lives: u64,
    power_losses: u64,
    /// Until when the disk is full.
    full_until: Cell<Option<Duration>>,
    /// Whether the directory has been opened once.
    founded: Cell<bool>,
}

impl World {
    fn new(plan: &Plan, print: bool) -> World {
        let mut random = Random::new(plan.seed ^ 0x0057_0520_1d5e_eded);
        let options = SimulatedOptions { torn_sectors: plan.torn_sectors, ..SimulatedOptions::default() };
        let clock = Rc::new(Clock::default());
        let time = clock.clone();
        let trace = Trace::new(move || time.now(), print);
        World {
            plan: plan.clone(),
            disk: SimulatedDisk::with_options(random.bits(), options),
            random,
            judge: Judge::new(trace.clone()),
            trace,
            clock,
            history: Rc::default(),
            probes: Probes::default(),
            lives: 0,
            power_losses: 0,
            full_until: Cell::new(None),
            founded: Cell::new(false),
        }
    }

    fn run(&mut self) {
        while self.clock.now() < self.plan.duration && self.judge.is_content() {
            let fault = faults::draw(&mut self.random, &self.plan);
            self.live(fault, true);
        }
        if self.judge.is_content() {
            // What the last life left is opened and read once more.
            self.full_until.set(None);
            self.live(Fault::None, false);
        }
        for key in 0..self.plan.keys {
            self.judge.take(linearizable::check(self.history.borrow().operations(), key));
        }
    }

    fn report(self) -> Report {
        let history = self.history.borrow();
        Report {
            hash: self.trace.hash(),
            events: self.trace.events(),
            lives: self.lives,
            power_losses: self.power_losses,
            operations: history.operations().len() as u64,
            unknown: history.count(|outcome| *outcome == Outcome::Unknown),
            reached: self.probes.counts(),
            violations: self.judge.violations(),
            plan: self.plan,
        }
    }

    /// One life, and the look at what it left.
    fn live(&mut self, fault: Fault, serves: bool) {
        self.lives += 1;
        self.trace.event(format_args!("life {} begins, fault {fault:?}", self.lives));
        let mut random = self.random.fork();
        let runtime = runtime(random.bits());
        let mut local = LocalSet::new();
        local.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        let end = local.block_on(&runtime, async {
            self.clock.begin_life();
            let end = self.life(fault, serves, random).await;
            self.clock.end_life();
            end
        });
        // The tasks of a dead process do not write any more: the disk refuses them.
        drop(local);
        drop(runtime);
        self.trace.event(format_args!("life {} ends: {end:?}", self.lives));
        match &end {
            End::PowerLost => {
                self.power_losses += 1;
                self.probes.reach("power lost before a node had opened", u64::from(!self.founded.get()));
            }
            End::Ended { for_lack_of_space: false, reason } => {
                self.judge.accuse("the node stays alive", reason.clone());
            }
            End::Ended { .. } => self.probes.reach("process ended for lack of space", 1),
            End::Finished | End::Killed => {}
        }
        if self.founded.get() && self.judge.is_content() {
            match storage_verifies::check(&self.disk) {
                Ok(pages) => self.trace.event(format_args!("{pages} pages verified")),
                Err(violation) => self.judge.take(Err(violation)),
            }
        }
    }

    async fn life(&self, fault: Fault, serves: bool, mut random: Random) -> End {
        let ended = Ended::default();
        if let Fault::PowerLossAtOperation { after: Duration::ZERO, operation } = fault {
            self.disk.crash_at(operation);
        }
        let end = tokio::select! {
            biased;
            reason = ended.wait() => self.ended(reason),
            end = self.strike(fault) => end,
            () = self.free_disk() => unreachable!("it waits for ever"),
            () = self.notice_power_loss() => End::PowerLost,
            end = self.serve(serves, &mut random, &ended) => end,
        };
        // Whatever the process says: without power it says nothing.
        if self.disk.is_crashed() {
            self.disk.restart();
            return End::PowerLost;
        }
        if let End::Ended { .. } = end {
            // Whoever restarts it takes a moment.
            tokio::select! {
                () = sleep(RESTART_DELAY) => {}
                () = self.free_disk() => {}
            }
        }
        end
    }

    fn ended(&self, reason: String) -> End {
        End::Ended { reason, for_lack_of_space: self.full_until.get().is_some() }
    }

    /// Lets the fault of this life happen. Waits for ever when others have to notice it.
    async fn strike(&self, fault: Fault) -> End {
        match fault {
            Fault::None => {}
            Fault::PowerLoss { after } => {
                sleep(after).await;
                self.disk.crash();
                return End::PowerLost;
            }
            Fault::PowerLossAtOperation { after: Duration::ZERO, .. } => {}
            Fault::PowerLossAtOperation { after, operation } => {
                sleep(after).await;
                self.disk.crash_at(operation);
            }
            Fault::Kill { after } => {
                sleep(after).await;
                return End::Killed;
            }
            Fault::FullDisk { after, room_bytes, lasts } => {
                sleep(after).await;
                self.trace.event(format_args!("the disk is full but for {room_bytes} bytes"));
                self.disk.set_capacity(self.disk.used_bytes() + room_bytes);
                self.full_until.set(Some(self.clock.now() + lasts));
            }
        }
        std::future::pending().await
    }

    /// Nobody in the node need notice that the disk is dead, when nothing is written.
    async fn notice_power_loss(&self) {
        while !self.disk.is_crashed() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Gives space back when its time has come, in whichever life that is.
    async fn free_disk(&self) {
        loop {
            match self.full_until.get() {
                None => self.disk.set_capacity(u64::MAX),
                Some(until) if until <= self.clock.now() => {
                    self.trace.event("the disk has space again");
                    self.full_until.set(None);
                    self.disk.set_capacity(u64::MAX);
                }
                Some(_) => {}
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn serve(&self, serves: bool, random: &mut Random, ended: &Ended) -> End {
        let node = match Node::open(&self.disk, &self.plan, random, ended, &self.trace, &self.probes).await {
            Ok(node) => node,
            Err(reason) => return self.ended(reason),
        };
        self.founded.set(true);
        self.trace_applied(&node);
        let site = Rc::new(Site {
            node,
            life: self.lives,
            plan: self.plan.clone(),
            clock: self.clock.clone(),
            history: self.history.clone(),
            trace: self.trace.clone(),
            judge: self.judge.clone(),
            ended: ended.clone(),
            disk: self.disk.clone(),
            probes: self.probes.clone(),
            until: self.plan.duration,
            stopped: Cell::new(0),
        });
        self.look_after_restart(&site).await;
        if serves && self.judge.is_content() {
            let clients = self.plan.workload.start(&site, random);
            let stopped = async {
                for client in clients {
                    // A client that panicked ends the run by itself.
                    let _ = client.await;
                }
            };
            let time_left = self.plan.duration.saturating_sub(self.clock.now());
            if tokio::time::timeout(time_left + STOP_WAIT_MAX, stopped).await.is_err() {
                self.judge.accuse("every request is answered", "clients still wait");
            }
            site.read_all(OBSERVER).await;
            site.compare_indexes();
        }
        if random.once_in(2)
            && let Err(error) = site.node.engine.clone().close()
        {
            return self.ended(format!("closing storage: {error}"));
        }
        End::Finished
    }

    /// What the node holds when it has come up is what it held before.
    async fn look_after_restart(&self, site: &Site) {
        let Some(found) = site.read_all(OBSERVER).await else { return };
        let mut history = self.history.borrow_mut();
        for (key, value) in found {
            self.judge.take(acknowledged_is_durable::check(history.operations(), key, value));
        }
        history.settle();
        drop(history);
        site.compare_indexes();
    }

    /// Everything that the shard applies goes into the trace.
    fn trace_applied(&self, node: &Node) {
        let trace = self.trace.clone();
        let shard = node.replica().shard().clone();
        trace.event(format_args!("the shard is at {:?}", shard.position()));
        let wake = Arc::new(Notify::new());
        let waking = wake.clone();
        let listener = shard.listen(Box::new(move || waking.notify_one()));
        task::spawn_local(async move {
            while let Ok(batches) = listener.take() {
                for batch in batches {
                    trace.event(format_args!("applied {batch:?}"));
                }
                wake.notified().await;
            }
        });
    }
}

fn runtime(seed: u64) -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
        .unhandled_panic(UnhandledPanic::ShutdownRuntime)
        .build()
        .expect("a runtime without an I/O driver asks nothing of the system")
}
