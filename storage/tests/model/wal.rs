//! What the log must hold, kept in plain vectors; and random work that both get.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use photondb_storage::StorageError;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{LogEntry, Lsn, Record, StreamId, StreamState, Wal, WalOptions};

/// Tiny segments, so that everything happens often.
pub fn options() -> WalOptions {
    WalOptions {
        segment_bytes: 64 << 10,
        first_segment_bytes: 64 << 10,
        incarnation_seed: 42,
        recycle_max: 1,
        reclaim_slack_bytes: 64 << 10,
        cache_bytes: 8 << 10,
    }
}

/// Draws, repeatable.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// The seed to draw from: `PHOTONDB_SEED`, or the one given. Printed, so that a failure can be repeated.
pub fn seed(default: u64) -> u64 {
    let seed = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
    println!("PHOTONDB_SEED={seed}");
    seed
}

/// Whether the long sweeps run.
pub fn full() -> bool {
    std::env::var("PHOTONDB_TESTS").is_ok_and(|level| level == "full")
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelStream {
    pub state: StreamState,
    pub entries: BTreeMap<u64, LogEntry>,
}

/// All streams after some prefix of all records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub streams: BTreeMap<StreamId, ModelStream>,
}

impl Model {
    pub fn apply(&mut self, stream: StreamId, record: &Record) {
        let stream = self.streams.entry(stream).or_default();
        match record.clone() {
            Record::Entry { index, term, payload } => {
                stream.entries.insert(index, LogEntry { index, term, payload });
            }
            Record::Vote(vote) => stream.state.vote = Some(vote),
            Record::Committed(committed) => stream.state.committed = Some(committed),
            Record::Truncate { from } => stream.entries.retain(|index, _| *index < from),
            Record::Purge { upto, payload } => {
                stream.entries.retain(|index, _| *index > upto);
                if stream.state.purged.as_ref().is_none_or(|(before, _)| *before < upto) {
                    stream.state.purged = Some((upto, payload));
                }
            }
            Record::Erased => {
                *stream = ModelStream::default();
                stream.state.erased = true;
            }
        }
        stream.state.first_index = stream.entries.keys().next().copied();
        stream.state.last_index = stream.entries.keys().next_back().copied();
    }

    /// What the log says, read in full.
    pub fn of(wal: &Wal) -> Self {
        let mut model = Self::default();
        for (id, state) in wal.states() {
            let entries = wal.read(id, 0, u64::MAX, usize::MAX).expect("what is in the log can be read");
            let entries = entries.into_iter().map(|entry| (entry.index, entry)).collect();
            model.streams.insert(id, ModelStream { state, entries });
        }
        model
    }

    /// Without streams of which nothing is known: whether those are listed says nothing.
    pub fn known(mut self) -> Self {
        self.streams.retain(|_, stream| *stream != ModelStream::default());
        self
    }
}

/// Everything submitted so far, and how much of it was acknowledged.
pub struct History {
    pub random: Random,
    pub now: Model,
    /// The model after the acknowledged records, and the records after it.
    pub acknowledged: Model,
    pub records: Vec<(StreamId, Record)>,
    /// For each submission still waiting: how many records there were with it.
    waiting: Vec<(usize, Arc<AtomicUsize>)>,
    taken: usize,
    next_stream: u64,
    live: Vec<StreamId>,
}

const WAITING: usize = 0;
const DONE: usize = 1;
const FAILED: usize = 2;

impl History {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            now: Model::default(),
            acknowledged: Model::default(),
            records: Vec::new(),
            waiting: Vec::new(),
            taken: 0,
            next_stream: 5,
            live: (1..5).map(StreamId).collect(),
        }
    }

    /// Starts again from what a recovery found: whatever was in flight is settled by it.
    pub fn settle(&mut self, found: Model) {
        self.now = found.clone();
        self.acknowledged = found;
        self.records.clear();
        self.waiting.clear();
        self.taken = 0;
        let erased = |id: &StreamId| self.now.streams.get(id).is_some_and(|stream| stream.state.erased);
        let live: Vec<_> = self.live.iter().copied().filter(|id| !erased(id)).collect();
        self.live = live;
    }

    pub fn submit(&mut self, wal: &Wal, stream: StreamId, records: Vec<Record>) {
        for record in &records {
            self.now.apply(stream, record);
            self.records.push((stream, record.clone()));
        }
        let outcome = Arc::new(AtomicUsize::new(WAITING));
        self.waiting.push((self.records.len(), Arc::clone(&outcome)));
        let completion = move |result: Result<(), StorageError>| {
            outcome.store(if result.is_ok() { DONE } else { FAILED }, Ordering::SeqCst);
        };
        wal.submit(stream, records, Some(Box::new(completion)));
    }

    /// Takes note of what was acknowledged meanwhile.
    pub fn acknowledge(&mut self) {
        let mut done = 0;
        let mut count = 0;
        for (records, outcome) in &self.waiting {
            if outcome.load(Ordering::SeqCst) != DONE {
                break;
            }
            done = *records;
            count += 1;
        }
        let later = self.waiting[count..].iter().any(|(_, outcome)| outcome.load(Ordering::SeqCst) == DONE);
        assert!(!later, "waiters are completed in the order of submission");
        self.waiting.drain(..count);
        while self.taken < done {
            let (stream, record) = &self.records[self.taken];
            self.acknowledged.apply(*stream, record);
            self.taken += 1;
        }
    }

    pub fn is_all_acknowledged(&self) -> bool {
        self.taken == self.records.len()
    }

    /// Whether `found` is the acknowledged state plus some prefix of what followed.
    pub fn allows(&self, found: &Model) -> bool {
        let found = found.clone().known();
        let mut state = self.acknowledged.clone();
        if state.clone().known() == found {
            return true;
        }
        for (stream, record) in &self.records[self.taken..] {
            state.apply(*stream, record);
            if state.clone().known() == found {
                return true;
            }
        }
        false
    }

    fn payload(&mut self, bytes_max: u64) -> Bytes {
        let length = self.random.below(bytes_max);
        let fill = self.random.below(256) as u8;
        let zeros = self.random.below(4) == 0;
        (0..length).map(|at| if zeros { 0 } else { fill.wrapping_add(at as u8) }).collect::<Vec<_>>().into()
    }

    /// One random thing to do. Errors are the log's, and end the run.
    pub fn act(&mut self, wal: &Wal) -> Result<(), StorageError> {
        let stream = self.live[self.random.below(self.live.len() as u64) as usize];
        let state = self.now.streams.get(&stream).map(|stream| stream.state.clone()).unwrap_or_default();
        match self.random.below(100) {
            0..40 => {
                let mut records = Vec::new();
                let mut next = state.last_index.map(|last| last + 1);
                next = next.or(state.purged.as_ref().map(|(upto, _)| upto + 1));
                let mut next = next.unwrap_or(0);
                if state.last_index.is_some() && self.random.below(6) == 0 {
                    let first = state.first_index.unwrap_or(0);
                    next = first + self.random.below(next - first) + u64::from(state.purged.is_none());
                    records.push(Record::Truncate { from: next });
                }
                let big = if self.random.below(12) == 0 { 40_000 } else { 1500 };
                for _ in 0..=self.random.below(3) {
                    let term = self.random.below(5);
                    let payload = self.payload(big);
                    records.push(Record::Entry { index: next, term, payload });
                    next += 1;
                    if big > 1500 {
                        break;
                    }
                }
                self.submit(wal, stream, records);
            }
            40..48 => {
                let vote = self.payload(40);
                self.submit(wal, stream, vec![Record::Vote(vote)]);
            }
            48..52 => {
                let committed = self.payload(40);
                self.submit(wal, stream, vec![Record::Committed(committed)]);
            }
            52..56 => {
                if let (Some(first), Some(last)) = (state.first_index, state.last_index) {
                    let from = first + 1 + self.random.below(last - first + 1);
                    self.submit(wal, stream, vec![Record::Truncate { from }]);
                }
            }
            // Streams 1 and 2 are slow: what they hold is moved again and again.
            56..66 if stream.0 > 2 || self.random.below(8) == 0 => {
                if let (Some(first), Some(last)) = (state.first_index, state.last_index) {
                    let beyond = u64::from(self.random.below(10) == 0) * 5;
                    let upto = first + self.random.below(last - first + 1) + beyond;
                    let payload = self.payload(30);
                    self.submit(wal, stream, vec![Record::Purge { upto, payload }]);
                }
            }
            66 => {
                if self.live.len() > 1 {
                    self.live.retain(|id| *id != stream);
                    self.live.push(StreamId(self.next_stream));
                    self.next_stream += 1;
                    self.submit(wal, stream, vec![Record::Erased]);
                }
            }
            67..70 => wal.idle_mark()?,
            70..72 => wal.checkpoint_published(1),
            72 => wal.prepare()?,
            73 => wal.shrink()?,
            _ => {
                wal.step()?;
                self.acknowledge();
            }
        }
        Ok(())
    }
}

/// Opens the log on `disk`, as the node does.
pub fn open(disk: &SimulatedDisk) -> Result<Arc<Wal>, StorageError> {
    Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 1).map(|(wal, _)| wal)
}
