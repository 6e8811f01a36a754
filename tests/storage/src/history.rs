//! What the log must hold: the model after everything acknowledged, and what was submitted after it, in order.
//!
//! After a crash the log is what was acknowledged plus a prefix of the rest, over all streams together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use photondb_storage::StorageError;
use photondb_storage::wal::{Admission, LogEntry, Record, StreamId, StreamState, Wal};

/// One stream, in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// As the log describes it.
    pub state: StreamState,
    /// What it holds.
    pub entries: BTreeMap<u64, LogEntry>,
}

/// All streams of which something is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams(pub BTreeMap<StreamId, Stream>);

impl Streams {
    /// Does what a record says.
    pub fn apply(&mut self, id: StreamId, record: &Record) {
        let stream = self.0.entry(id).or_default();
        match record.clone() {
            Record::Entry { index, term, payload } => {
                stream.entries.insert(index, LogEntry { index, term, payload });
            }
            Record::Vote(vote) => stream.state.vote = Some(vote),
            Record::Committed(committed) => stream.state.committed = Some(committed),
            Record::Truncate { from } => drop(stream.entries.split_off(&from)),
            Record::Purge { upto, payload } => {
                stream.entries = stream.entries.split_off(&(upto + 1));
                if stream.state.purged.as_ref().is_none_or(|(before, _)| *before < upto) {
                    stream.state.purged = Some((upto, payload));
                }
            }
            Record::Erased => {
                *stream = Stream::default();
                stream.state.erased = true;
            }
            #[allow(unreachable_patterns, reason = "kinds that this workload does not write")]
            _ => {}
        }
        stream.state.first_index = stream.entries.keys().next().copied();
        stream.state.last_index = stream.entries.keys().next_back().copied();
    }

    /// What the log says now, read in full.
    pub fn read(wal: &Wal) -> Result<Self, StorageError> {
        let mut streams = Streams::default();
        for (id, state) in wal.states() {
            let entries = wal.read(id, 0, u64::MAX, usize::MAX)?;
            let entries = entries.into_iter().map(|entry| (entry.index, entry)).collect();
            streams.0.insert(id, Stream { state, entries });
        }
        streams.forget_unknown();
        Ok(streams)
    }

    /// One stream; empty when nothing is known of it.
    pub fn stream(&self, id: StreamId) -> Stream {
        self.0.get(&id).cloned().unwrap_or_default()
    }

    /// Whether streams of which nothing is known are listed says nothing.
    fn forget_unknown(&mut self) {
        self.0.retain(|_, stream| *stream != Stream::default());
    }
}

const WAITING: u8 = 0;
const DONE: u8 = 1;
const REFUSED: u8 = 2;
const FAILED: u8 = 3;
const UNFIT: u8 = 4;

struct Submission {
    stream: StreamId,
    records: Vec<Record>,
    /// Room that was promised, until the answer is there.
    admissions: Vec<Admission>,
    outcome: Arc<AtomicU8>,
}

/// Everything submitted, and how much of it counts for certain.
#[derive(Default)]
pub struct History {
    /// After what was acknowledged.
    pub acknowledged: Streams,
    /// After everything that was not refused.
    pub now: Streams,
    waiting: Vec<Submission>,
}

impl History {
    /// Submits to the log and notes it.
    pub fn submit(&mut self, wal: &Wal, stream: StreamId, records: Vec<Record>) {
        self.submit_admitted(wal, stream, records, Vec::new());
    }

    /// The same for entries that room was promised for, so that a refusal breaks the promise.
    pub fn submit_admitted(&mut self, wal: &Wal, stream: StreamId, records: Vec<Record>, admissions: Vec<Admission>) {
        let outcome = Arc::new(AtomicU8::new(WAITING));
        for record in &records {
            self.now.apply(stream, record);
        }
        let told = Arc::clone(&outcome);
        self.waiting.push(Submission { stream, records: records.clone(), admissions, outcome });
        let completion = move |result: Result<(), StorageError>| {
            let outcome = match result {
                Ok(()) => DONE,
                Err(StorageError::Full { .. } | StorageError::StreamSuspect { .. }) => REFUSED,
                Err(
                    StorageError::TooLarge { .. } | StorageError::LogOrder { .. } | StorageError::StreamErased { .. },
                ) => UNFIT,
                Err(_) => FAILED,
            };
            told.store(outcome, Ordering::SeqCst);
        };
        wal.submit(stream, records, Some(Box::new(completion)));
    }

    /// Takes note of what the log answered meanwhile. Gives what is wrong with the answers.
    pub fn hear(&mut self) -> Result<(), String> {
        let mut refused = false;
        let mut promise = Ok(());
        let mut count = 0;
        let mut in_order = true;
        for submission in &self.waiting {
            match submission.outcome.load(Ordering::SeqCst) {
                DONE if in_order => {
                    for record in &submission.records {
                        self.acknowledged.apply(submission.stream, record);
                    }
                    count += 1;
                }
                DONE => return Err("a submission was acknowledged before one that came earlier".to_owned()),
                REFUSED => {
                    refused = true;
                    count += usize::from(in_order);
                    if !submission.admissions.is_empty() {
                        promise = Err(format!("W8: an admitted entry of stream {} was refused", submission.stream));
                    }
                }
                UNFIT => return Err(format!("stream {} does not take what follows", submission.stream)),
                _ => in_order = false,
            }
        }
        self.waiting.drain(..count);
        if refused {
            self.waiting.retain(|submission| submission.outcome.load(Ordering::SeqCst) != REFUSED);
            self.now = self.acknowledged.clone();
            for submission in &self.waiting {
                submission.records.iter().for_each(|record| self.now.apply(submission.stream, record));
            }
        }
        promise
    }

    /// Whether everything submitted is acknowledged.
    pub fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether `found` is what was acknowledged plus a prefix of what followed.
    pub fn allows(&self, found: &Streams) -> bool {
        let mut state = self.acknowledged.clone();
        state.forget_unknown();
        if state == *found {
            return true;
        }
        for submission in &self.waiting {
            for record in &submission.records {
                state.apply(submission.stream, record);
                let mut known = state.clone();
                known.forget_unknown();
                if known == *found {
                    return true;
                }
            }
        }
        false
    }

    /// Where `found` differs from what was acknowledged, in words.
    pub fn describe(&self, found: &Streams) -> String {
        let mut lines = Vec::new();
        let ids: std::collections::BTreeSet<_> = self.acknowledged.0.keys().chain(found.0.keys()).collect();
        for id in ids {
            let (expected, found) = (self.acknowledged.stream(*id), found.stream(*id));
            if expected != found {
                let short = |stream: &Stream| {
                    let terms: Vec<_> = stream.entries.values().map(|entry| (entry.index, entry.term)).collect();
                    format!("{:?} {terms:?}", stream.state)
                };
                lines.push(format!("stream {id}: acknowledged {}, found {}", short(&expected), short(&found)));
            }
        }
        lines.join("; ")
    }

    /// A recovery has decided about everything that was waiting.
    pub fn settle(&mut self, found: Streams) {
        self.acknowledged = found.clone();
        self.now = found;
        self.waiting.clear();
    }
}
