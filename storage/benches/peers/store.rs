//! The engine as a node runs it, behind the interface that the peers' benchmark has: a put of a group is one entry of a
//! log stream, one sync, and one transaction that keeps the entry's index in `meta`; a thread beside it makes checkpoints
//! and purges the log behind them; opening re-applies what lies above `meta`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::limits::EVICTION_PIECE_BYTES;
use photondb_storage::wal::{Record, StreamId};
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, TreeId, TreeSet, TreeSetId};

use super::arguments::Arguments;
use super::data::Pair;

const SET: TreeSetId = TreeSetId(1);
pub const TREE: TreeId = TreeId(1);
const STREAM: StreamId = StreamId(1);

/// Between looks at whether a checkpoint is due.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Slots that one step of compaction leaves behind.
const SLOTS_PER_STEP: usize = 256;

/// Log read at once while re-applying, and applied as one transaction.
const REPLAY_BYTES: usize = 1 << 20;

/// See the module.
pub struct Store {
    engine: Engine,
    set: TreeSet,
    /// The index of the next entry; held while a group is written, so that entries are in order.
    next: Mutex<u64>,
    background: Option<Background>,
    opened: Opened,
}

/// How long opening took, and what for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opened {
    /// Superblock, catalogue, and the scan of the log.
    pub engine: Duration,
    /// Re-applying.
    pub replay: Duration,
    pub replayed_bytes: u64,
    pub log_bytes: u64,
}

struct Background {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Store {
    pub fn open(arguments: &Arguments) -> Store {
        let mut options = EngineOptions {
            cache_bytes: arguments.cache_bytes,
            dirty_bytes: arguments.dirty_bytes,
            checkpoint_wal_bytes: arguments.checkpoint_wal_bytes,
            compression: arguments.compression,
            ..EngineOptions::default()
        };
        // What a node draws: a random one is as good as any.
        options.wal.incarnation_seed = u64::from(std::process::id());
        let start = Instant::now();
        let disk = SystemDisk::open(&arguments.directory).expect("the directory can be made");
        let engine = Engine::open(Arc::new(disk), options).expect("the engine opens");
        let set = engine.tree_set(SET).unwrap_or_else(|| create(&engine));
        let mut opened = Opened { engine: start.elapsed(), ..Opened::default() };
        opened.log_bytes = engine.wal().metrics().live_bytes;
        let start = Instant::now();
        let (next, replayed) = replay(&engine, &set);
        (opened.replay, opened.replayed_bytes) = (start.elapsed(), replayed);
        let background = Some(Background::start(engine.clone(), set.clone()));
        Store { engine, set, next: Mutex::new(next), background, opened }
    }

    pub fn opened(&self) -> Opened {
        self.opened
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn set(&self) -> &TreeSet {
        &self.set
    }

    /// Writes the group; durable on return. The caller's thread is the log's writer, as an embedded engine's is.
    pub fn put(&self, group: &[Pair]) {
        let mut next = self.next.lock();
        self.engine.wait_for_memory().expect("the disk works");
        let wal = self.engine.wal();
        let payload = encode(group);
        let durable = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&durable);
        let completion = Box::new(move |outcome: Result<(), _>| {
            outcome.expect("the disk works");
            noted.store(true, Ordering::Release);
        });
        let entry = Record::Entry { index: *next, term: 1, payload: payload.clone() };
        wal.submit(STREAM, vec![entry], Some(completion));
        while !durable.load(Ordering::Acquire) {
            wal.step().expect("the disk works");
        }
        apply(&self.set, &[payload], *next);
        *next += 1;
    }

    /// The same where another thread writes the log, as a node does it: two hand-offs more.
    pub fn put_through(&self, writer: &LogWriter, group: &[Pair]) {
        let mut next = self.next.lock();
        let payload = encode(group);
        let waiting = std::thread::current();
        let durable = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&durable);
        let completion = Box::new(move |outcome: Result<(), _>| {
            outcome.expect("the disk works");
            noted.store(true, Ordering::Release);
            waiting.unpark();
        });
        let entry = Record::Entry { index: *next, term: 1, payload: payload.clone() };
        self.engine.wal().submit(STREAM, vec![entry], Some(completion));
        writer.thread.thread().unpark();
        while !durable.load(Ordering::Acquire) {
            std::thread::park();
        }
        apply(&self.set, &[payload], *next);
        *next += 1;
    }

    /// Hands the value to `visit`; false when there is none.
    pub fn get(&self, key: &[u8; 16], visit: &mut dyn FnMut(&[u8])) -> bool {
        let found = self.set.get(TREE, key).expect("the pages are whole");
        found.map(|value| visit(&value)).is_some()
    }

    /// Visits up to `limit` rows from `from`; returns rows and bytes.
    pub fn scan(&self, from: &[u8; 16], limit: usize) -> (usize, usize) {
        let range = KeyRange::from(Bytes::copy_from_slice(from));
        let mut cursor = self.set.snapshot().cursor(TREE, range, Direction::Forward).expect("the tree is there");
        let (mut rows, mut bytes) = (0, 0);
        if limit == 0 {
            return (0, 0);
        }
        let walked = cursor.for_each(|key, value| {
            rows += 1;
            bytes += key.len() + value.len();
            if rows == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        walked.expect("the pages are whole");
        (rows, bytes)
    }

    /// Brings the store to rest: two checkpoints, background compaction to its end, the log's housekeeping.
    pub fn rest(&self) {
        loop {
            for _ in 0..2 {
                self.engine.checkpoint().expect("the disk works");
                purge(&self.engine, &self.set);
            }
            if self.compact() == 0 {
                break;
            }
        }
        while self.engine.wal().step().expect("the disk works") {}
        self.engine.checkpoint().expect("the disk works");
        self.engine.wal().prepare().expect("the disk works");
        self.engine.wal().idle_mark().expect("the disk works");
        self.engine.wal().shrink().expect("the disk works");
    }
}

impl Store {
    /// One round of background compaction; how many slots were moved.
    fn compact(&self) -> usize {
        let step = || self.engine.compact_step(SLOTS_PER_STEP).expect("the disk works");
        std::iter::repeat_with(step).take_while(|slots| *slots > 0).sum()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(background) = self.background.take() {
            background.end();
        }
        self.engine.clone().close().expect("the disk works");
    }
}

impl Background {
    fn start(engine: Engine, set: TreeSet) -> Background {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let for_waker = engine.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                if engine.should_checkpoint() {
                    engine.checkpoint().expect("the disk works");
                    purge(&engine, &set);
                } else if engine.should_evict() {
                    engine.evict_step(EVICTION_PIECE_BYTES).expect("the disk works");
                } else {
                    std::thread::park_timeout(LOOK_PERIOD);
                }
            }
        });
        let waking = thread.thread().clone();
        for_waker.set_memory_waker(Box::new(move || waking.unpark()));
        Background { stop, thread }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().expect("the checkpoints went well");
    }
}

/// A thread that writes the log, as in a node.
pub struct LogWriter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl LogWriter {
    pub fn start(engine: &Engine) -> LogWriter {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, wal) = (Arc::clone(&stop), Arc::clone(engine.wal()));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                if !wal.step().expect("the disk works") {
                    std::thread::park();
                }
            }
        });
        LogWriter { stop, thread }
    }

    pub fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().expect("the log was written");
    }
}

fn create(engine: &Engine) -> TreeSet {
    let set = engine.create_tree_set(SET).expect("there is none");
    let mut transaction = set.begin();
    transaction.create_tree(TREE).expect("there is none");
    transaction.commit().expect("memory does not fail");
    set
}

/// The entry that both superblocks know to be applied, and everything before it, leaves the log.
fn purge(engine: &Engine, set: &TreeSet) {
    if let Some(index) = set.durable_meta().and_then(|meta| index_of(&meta)) {
        engine.wal().submit(STREAM, vec![Record::Purge { upto: index, payload: Bytes::new() }], None);
    }
}

fn index_of(mut meta: &[u8]) -> Option<u64> {
    (meta.len() == 8).then(|| meta.get_u64_le())
}

/// Re-applies what the trees do not have; gives the index of the next entry and the bytes re-applied.
fn replay(engine: &Engine, set: &TreeSet) -> (u64, u64) {
    let applied = index_of(&set.meta());
    let mut next = applied.map_or(0, |index| index + 1);
    let last = engine.wal().state(STREAM).and_then(|stream| stream.last_index);
    let mut bytes = 0;
    while last.is_some_and(|last| next <= last) {
        let entries = engine.wal().read(STREAM, next, u64::MAX, REPLAY_BYTES).expect("the log is whole");
        let index = entries.last().expect("the log has what it names").index;
        let payloads: Vec<Bytes> = entries.into_iter().map(|entry| entry.payload).collect();
        bytes += payloads.iter().map(|payload| payload.len() as u64).sum::<u64>();
        apply(set, &payloads, index);
        next = index + 1;
    }
    (next, bytes)
}

fn encode(group: &[Pair]) -> Bytes {
    let mut payload = BytesMut::with_capacity(group.iter().map(|(key, value)| key.len() + value.len() + 6).sum());
    for (key, value) in group {
        payload.put_u16_le(key.len() as u16);
        payload.put_slice(key);
        payload.put_u32_le(value.len() as u32);
        payload.put_slice(value);
    }
    payload.freeze()
}

/// One transaction, from the entries alone: while writing and after a crash it is the same code.
fn apply(set: &TreeSet, payloads: &[Bytes], index: u64) {
    let mut transaction = set.begin();
    for payload in payloads {
        let mut rest = &payload[..];
        while !rest.is_empty() {
            let length = usize::from(rest.get_u16_le());
            let (key, behind) = rest.split_at(length);
            rest = behind;
            let length = rest.get_u32_le() as usize;
            let (value, behind) = rest.split_at(length);
            rest = behind;
            transaction.put(TREE, key, value).expect("the pages are whole");
        }
    }
    transaction.set_meta(Bytes::copy_from_slice(&index.to_le_bytes())).expect("it is small");
    transaction.commit().expect("memory does not fail");
}
