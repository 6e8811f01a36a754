//! Clients that write and read while things go wrong, and the judgement of what they heard.
//!
//! Two tables: `register`, whose documents are read, set, compared and set, and deleted, and each of which must be linearizable;
//! and `counter`, whose documents are incremented, so that a write that is lost or done twice shows. What becomes of a write whose
//! answer was lost is unknown, and the checkers know that it may take effect at any later time.

mod client;
mod report;
mod tally;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use photondb_history::counter::CounterInput;
use photondb_history::ledger::{ClientId, Ledger, Micros};
use photondb_history::random::Random;
use photondb_history::register::{Ask, Said};

use crate::cluster::Cluster;
use crate::secret::PATIENCE;
use crate::terms::insert;

use client::LoadClient;
pub use report::Report;
use tally::Tally;

/// The table of documents that must be linearizable.
pub const REGISTER: &str = "register";

/// The table of documents that are counted up.
pub const COUNTER: &str = "counter";

const COUNTERS: usize = 4;

/// How long a client waits for an answer; then its fate is unknown.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(4);

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Clients that go to another node when one does not answer.
    pub roaming: u64,
    /// Whether each node has a client too that asks nobody else.
    pub at_home: bool,
    /// Documents of `register`.
    pub keys: usize,
    /// What a client waits at most between two questions. A document should be asked some hundreds of times in a run, no more: the
    /// search for an order is long.
    pub pause_max: Duration,
}

impl Shape {
    /// For a run of about so many seconds.
    pub fn lasting(seconds: usize) -> Shape {
        Shape { roaming: 4, at_home: true, keys: 24 * seconds.div_ceil(15), pause_max: Duration::from_millis(12) }
    }
}

/// Clients at work. Dropping it ends them without a judgement.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    begun: Instant,
    drivers: Vec<u16>,
    /// Nodes that clients go to.
    open: Vec<AtomicBool>,
    pause_max: Duration,
    stop: AtomicBool,
    paused: AtomicBool,
    /// Clients that are asking something.
    busy: AtomicU64,
    registers: Vec<Mutex<Ledger<Ask, Said>>>,
    /// The last value that anybody read of each, which compare-and-set is worth trying with; zero: none.
    seen: Vec<AtomicI64>,
    counters: Vec<Mutex<Ledger<CounterInput, u64>>>,
    next_value: AtomicI64,
    tally: Mutex<Tally>,
}

impl Load {
    /// Makes the tables with so many replicas, and lets clients loose on these nodes.
    pub fn start(cluster: &Cluster, nodes: &[usize], replicas: u64, shape: Shape, seed: u64) -> Load {
        cluster.make_table(nodes[0], REGISTER, 2, replicas);
        cluster.make_table(nodes[0], COUNTER, 1, replicas);
        let documents: Vec<String> = (0..COUNTERS).map(|key| format!(r#"{{"id":{key},"n":0}}"#)).collect();
        assert_eq!(cluster.connect(nodes[0]).value(&insert(COUNTER, &documents))["inserted"], COUNTERS);
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            drivers: cluster.drivers().to_vec(),
            open: (0..cluster.drivers().len()).map(|node| AtomicBool::new(nodes.contains(&node))).collect(),
            pause_max: shape.pause_max,
            stop: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            busy: AtomicU64::new(0),
            registers: (0..shape.keys).map(|_| Mutex::default()).collect(),
            seen: (0..shape.keys).map(|_| AtomicI64::new(0)).collect(),
            counters: (0..COUNTERS).map(|_| Mutex::default()).collect(),
            next_value: AtomicI64::new(1),
            tally: Mutex::new(Tally::default()),
        });
        let homes = nodes.iter().map(|node| Some(*node)).filter(|_| shape.at_home);
        let mut random = Random::new(seed);
        let clients = homes.chain((0..shape.roaming).map(|_| None)).zip(0..);
        let threads = clients.map(|(home, id)| {
            let client = LoadClient::new(shared.clone(), ClientId(id), home, random.fork());
            std::thread::spawn(move || client.run())
        });
        Load { threads: threads.collect(), shared }
    }

    /// Clients that roam go to this node too, or no more.
    pub fn open(&self, node: usize, is_open: bool) {
        self.shared.open[node].store(is_open, Ordering::Release);
    }

    /// Clients ask nothing any more, or again. Waits for the answers to what they have asked.
    pub fn pause(&self, is_paused: bool) {
        self.shared.paused.store(is_paused, Ordering::SeqCst);
        while is_paused && self.shared.busy.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until so many more writes were acknowledged that began after this call.
    pub fn await_writes(&self, more: u64, what: &str) -> Duration {
        self.await_writes_within(more, what, PATIENCE)
    }

    /// The same within a time.
    pub fn await_writes_within(&self, more: u64, what: &str, within: Duration) -> Duration {
        let begun = Instant::now();
        self.tally().begin_counting(begun);
        loop {
            let counted = self.tally().counted();
            if counted >= more {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < within, "{what}: {counted} writes in {within:?}; {}", self.failures());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The longest time without an acknowledged write since the last call.
    pub fn longest_gap(&self) -> Duration {
        self.tally().take_gap(Instant::now())
    }

    /// How many calls failed so far, by what was said.
    pub fn failures(&self) -> String {
        self.tally().failures()
    }

    /// One more client, which the caller drives; it asks this node alone.
    pub fn client(&self, node: usize, number: u64) -> LoadClient {
        LoadClient::new(self.shared.clone(), ClientId(1_000 + number), Some(node), Random::new(number))
    }

    /// Ends the clients, reads every document once more from each of these nodes, and judges.
    pub fn finish(mut self, nodes: &[usize]) -> Report {
        self.stop();
        for (number, node) in (0..).zip(nodes) {
            self.client(*node, 100 + number).read_all();
        }
        Report::of(&self.shared)
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // It panics when the test does, by a lock that is poisoned; that panic is the report.
            assert!(thread.join().is_ok() || std::thread::panicking(), "a client panicked");
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.shared.tally()
    }
}

impl Shared {
    fn now(&self) -> Micros {
        Micros(self.begun.elapsed().as_micros() as u64)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no client panics while it counts")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Load {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Load").field("clients", &self.threads.len()).finish_non_exhaustive()
    }
}
