//! What a proposal costs: clients that each wait for an answer before they propose again, on a log in a temporary folder
//! (or in memory, with `--memory`). Prints proposals and CPU per proposal.
//!
//! `cargo run -p photondb-consensus --example throughput -- [clients] [seconds] [bytes] [--memory]`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_consensus::{Applied, ApplyError, CommittedEntry, Groups, GroupsParts, Replicated, Snapshot, Term};
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::wal::{Lsn, Wal, WalOptions};
use tokio::sync::oneshot;

/// Keeps nothing but its position.
#[derive(Default)]
struct Nothing {
    applied: Mutex<Applied>,
    batches: AtomicU64,
}

impl Replicated for Nothing {
    fn applied(&self) -> Applied {
        self.applied.lock().clone()
    }

    fn apply(&self, entries: Vec<CommittedEntry>, consensus: Bytes) -> Result<Vec<Bytes>, ApplyError> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        *self.applied.lock() = Applied { consensus };
        Ok(vec![Bytes::new(); entries.len()])
    }

    fn durable(&self) -> Applied {
        Applied::default()
    }

    fn leading(&self, _term: Option<Term>) {}

    fn snapshot(&self) -> Result<Snapshot, ApplyError> {
        Ok(Snapshot::new(self.applied(), Box::new(std::iter::empty())))
    }

    fn install(&self, _snapshot: Snapshot) -> Result<(), ApplyError> {
        Err(ApplyError::new("nothing is installed here"))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let [clients, seconds, bytes] = [(0, 64), (1, 3), (2, 300)].map(|(at, or)| numbers.get(at).copied().unwrap_or(or));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wal = if arguments.iter().any(|argument| argument == "--memory") {
        Wal::in_memory()
    } else {
        let disk = SystemDisk::open(folder.path()).expect("the folder opens");
        Wal::open(Arc::new(disk), WalOptions::default(), Lsn::ZERO, 0).expect("an empty log opens").0
    };
    let first = Life::begin(&wal);
    let groups = first.groups.clone();
    let machine = Arc::new(Nothing::default());

    let session = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let began = Instant::now();
    let mut done = 0;
    let mut cpu = 0.0;
    let mut took = Duration::ZERO;
    local.block_on(&session, async {
        let counted = Arc::clone(&machine);
        let group = groups.initialize(GroupId(1), MemberId(1), NodeId(1), counted).await.expect("the group starts");
        let term = group.wait_leading(Duration::from_secs(10)).await.expect("it leads");
        println!("from nothing to a leader: {:?}", began.elapsed());
        machine.batches.store(0, Ordering::Relaxed);
        let (before, begun) = (cpu_seconds(), Instant::now());
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                let group = group.clone();
                tokio::task::spawn_local(async move {
                    let command = Bytes::from(vec![7; bytes as usize]);
                    let mut done = 0u64;
                    while begun.elapsed() < Duration::from_secs(seconds) {
                        group.propose(term, command.clone()).await.expect("it is applied");
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        for client in clients {
            done += client.await.expect("a client ends");
        }
        took = begun.elapsed();
        cpu = cpu_seconds() - before;
    });
    let batches = machine.batches.load(Ordering::Relaxed).max(1);
    println!(
        "{clients} clients: {:.0} proposals/s, {:.1} us CPU each, {:.1} per transaction, {:.0} us each round",
        done as f64 / took.as_secs_f64(),
        cpu * 1e6 / done as f64,
        done as f64 / batches as f64,
        took.as_secs_f64() * 1e6 / (done as f64 / clients as f64),
    );
    first.end();

    // The same log in another life: nothing was checkpointed, so everything is re-applied.
    let second = Life::begin(&wal);
    let machine = Arc::new(Nothing::default());
    let begun = Instant::now();
    session.block_on(async {
        let counted = Arc::clone(&machine);
        let group = second.groups.join(GroupId(1), MemberId(1), counted).await.expect("the group starts again");
        group.wait_leading(Duration::from_secs(60)).await.expect("it leads again");
    });
    let batches = machine.batches.load(Ordering::Relaxed);
    println!("again a leader, {done} proposals re-applied in {batches} transactions: {:?}", begun.elapsed());
    second.end();
}

/// The threads of a node.
struct Life {
    groups: Groups,
    stop: Arc<AtomicBool>,
    writer: std::thread::JoinHandle<()>,
    end_raft: oneshot::Sender<()>,
    raft: std::thread::JoinHandle<()>,
}

impl Life {
    fn begin(wal: &Arc<Wal>) -> Life {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (wal, stop) = (Arc::clone(wal), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    if !wal.step().expect("the log is written") {
                        std::thread::park();
                    }
                }
            })
        };
        let waking = writer.thread().clone();
        wal.set_waker(Box::new(move || waking.unpark()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let executor = runtime.handle().clone();
        let (end_raft, ended) = oneshot::channel::<()>();
        let raft = std::thread::spawn(move || {
            // Ends when the sender does.
            let _ = runtime.block_on(ended);
        });
        let fatal = Arc::new(|why| panic!("{why}"));
        let groups = Groups::new(GroupsParts::alone(Arc::clone(wal), executor, fatal, NodeId(1)));
        Life { groups, stop, writer, end_raft, raft }
    }

    fn end(self) {
        drop(self.end_raft);
        self.raft.join().expect("the Raft thread ends");
        self.stop.store(true, Ordering::Release);
        self.writer.thread().unpark();
        self.writer.join().expect("the writer ends");
    }
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // utime and stime, in ticks of 10 ms, follow the one letter that does not parse.
    fields.get(10).copied().unwrap_or(0.0) / 100.0 + fields.get(11).copied().unwrap_or(0.0) / 100.0
}
