//! A node for tests: groups of a toy state machine on a WAL in a simulated disk, with the threads a real node has.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_consensus::{
    Applied, ApplyError, CommittedEntry, ConsensusError, Group, Groups, GroupsParts, LogPosition, OnFatal, Options,
    PartRead, ProposeError, Replicated, Snapshot, Term,
};
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_storage::StorageError;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, Wal, WalOptions};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub const NODE: NodeId = NodeId(7);
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A list of what was applied, which shows every loss, repetition and change of order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub applied: Applied,
    pub commands: Vec<Bytes>,
    pub positions: Vec<LogPosition>,
}

/// The toy. Its checkpoint is what survives a crash.
#[derive(Default)]
pub struct Toy {
    pub state: Mutex<State>,
    pub checkpoint: Arc<Mutex<State>>,
    pub led: Mutex<Vec<Option<Term>>>,
    pub batches: Mutex<Vec<usize>>,
}

impl Toy {
    /// The machine as a crash leaves it.
    pub fn recovered(checkpoint: &Arc<Mutex<State>>) -> Arc<Toy> {
        let state = Mutex::new(checkpoint.lock().clone());
        Arc::new(Toy { state, checkpoint: Arc::clone(checkpoint), ..Toy::default() })
    }

    pub fn commands(&self) -> Vec<Bytes> {
        self.state.lock().commands.clone()
    }

    /// What is applied becomes durable. (The owner has made the log durable before.)
    pub fn take_checkpoint(&self) {
        *self.checkpoint.lock() = self.state.lock().clone();
    }
}

impl Replicated for Toy {
    fn applied(&self) -> Applied {
        self.state.lock().applied.clone()
    }

    fn apply(&self, entries: Vec<CommittedEntry>, consensus: Bytes) -> Result<Vec<Bytes>, ApplyError> {
        self.batches.lock().push(entries.len());
        let mut state = self.state.lock();
        let mut outcomes = Vec::new();
        for entry in entries {
            if let Some(last) = state.positions.last() {
                assert!(entry.position.index == last.index + 1 && entry.position.term >= last.term);
            }
            state.positions.push(entry.position);
            match entry.command {
                Some(command) if command == "refuse" => return Err(ApplyError::new("told to refuse")),
                Some(command) => {
                    outcomes.push(Bytes::from(format!("{}th", state.commands.len())));
                    state.commands.push(command);
                }
                None => outcomes.push(Bytes::new()),
            }
        }
        state.applied = Applied { consensus };
        Ok(outcomes)
    }

    fn durable(&self) -> Applied {
        self.checkpoint.lock().applied.clone()
    }

    fn leading(&self, term: Option<Term>) {
        self.led.lock().push(term);
    }

    fn snapshot(&self) -> Result<Snapshot, ApplyError> {
        let state = self.state.lock().clone();
        let (all, part_read) = (state.commands.len() as u64, PartRead::default());
        let part = part_read.clone();
        let chunks = (1..).zip(state.commands).map(move |(read, command)| {
            part.set(read, all);
            Ok(command)
        });
        Ok(Snapshot { applied: state.applied, chunks: Box::new(chunks), part_read })
    }

    fn install(&self, snapshot: Snapshot) -> Result<(), ApplyError> {
        let commands = snapshot.chunks.collect::<Result<_, _>>()?;
        *self.state.lock() = State { applied: snapshot.applied, commands, positions: Vec::new() };
        self.take_checkpoint();
        Ok(())
    }
}

/// What a node's directory holds beside the log: each group's checkpoint.
pub type Checkpoints = Arc<Mutex<BTreeMap<GroupId, Arc<Mutex<State>>>>>;

/// One life of a node.
pub struct Node {
    pub groups: Groups,
    pub wal: Arc<Wal>,
    pub fatal: Arc<Mutex<Vec<String>>>,
    checkpoints: Checkpoints,
    stop: Arc<AtomicBool>,
    stop_raft: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Elections that come by timeout, or by the first tick after four seconds, would be noticed.
pub fn patient() -> Options {
    Options {
        heartbeat_interval: Duration::from_secs(20),
        election_timeout_min: Duration::from_secs(60),
        election_timeout_max: Duration::from_secs(70),
        ..Options::default()
    }
}

impl Node {
    pub fn open(disk: &SimulatedDisk, checkpoints: &Checkpoints) -> Result<Node, StorageError> {
        Node::open_with(disk, checkpoints, patient(), Duration::ZERO)
    }

    /// `latency` passes before each step of the log: on a disk without any, what is acknowledged too early is durable
    /// by the time anybody looks.
    pub fn open_with(
        disk: &SimulatedDisk,
        checkpoints: &Checkpoints,
        options: Options,
        latency: Duration,
    ) -> Result<Node, StorageError> {
        let sizes = WalOptions {
            segment_bytes: 256 << 10,
            first_segment_bytes: 128 << 10,
            cache_bytes: 64 << 10,
            ..WalOptions::default()
        };
        let (wal, _) = Wal::open(Arc::new(disk.clone()), sizes, Lsn::ZERO, 0)?;
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (wal, stop) = (Arc::clone(&wal), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    std::thread::sleep(latency);
                    match wal.step() {
                        Ok(true) => {}
                        Ok(false) => std::thread::park(),
                        Err(_) => return,
                    }
                }
            })
        };
        let waking = writer.thread().clone();
        wal.set_waker(Box::new(move || waking.unpark()));

        let (handle, raft, stop_raft) = raft_thread();
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let report = Arc::clone(&reasons);
        let fatal: OnFatal = Arc::new(move |why| report.lock().push(why));
        let parts = GroupsParts::alone(Arc::clone(&wal), handle, fatal.clone(), NODE);
        let groups = Groups::new(GroupsParts { options, ..parts });
        let threads = vec![writer, raft];
        Ok(Node {
            groups,
            wal,
            fatal: reasons,
            checkpoints: Arc::clone(checkpoints),
            stop,
            stop_raft: Some(stop_raft),
            threads,
        })
    }

    pub fn machine(&self, group: GroupId) -> Arc<Toy> {
        Toy::recovered(self.checkpoints.lock().entry(group).or_default())
    }

    /// Founds or starts a group whose number is also its member's.
    pub async fn start(&self, number: u64) -> Result<(Group, Arc<Toy>), ConsensusError> {
        let machine = self.machine(GroupId(number));
        let member = MemberId(number);
        let group = self.groups.initialize(GroupId(number), member, NODE, Arc::clone(&machine) as _).await?;
        Ok((group, machine))
    }

    /// The same, and waits until it leads.
    pub async fn lead(&self, number: u64) -> (Group, Arc<Toy>, Term) {
        let (group, machine) = self.start(number).await.unwrap();
        let term = group.wait_leading(PATIENCE).await.unwrap();
        (group, machine, term)
    }

    /// A checkpoint of one group, in a real one's order.
    pub async fn checkpoint(&self, machine: &Toy) {
        let (done, wait) = oneshot::channel();
        self.wal.barrier(Box::new(move |result| drop(done.send(result))));
        wait.await.unwrap().unwrap();
        machine.take_checkpoint();
    }

    /// The process is gone; what it had not synced is left to the disk.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        drop(self.stop_raft.take());
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

fn raft_thread() -> (Handle, JoinHandle<()>, oneshot::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ = runtime.block_on(stopped);
    });
    (handle, thread, stop)
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

pub async fn propose(group: &Group, term: Term, command: impl Into<Bytes>) -> Result<Bytes, ProposeError> {
    tokio::time::timeout(PATIENCE, group.propose(term, command.into())).await.expect("an outcome in time")
}

pub fn texts(commands: &[Bytes]) -> Vec<&str> {
    commands.iter().map(|command| std::str::from_utf8(command).unwrap()).collect()
}
