//! The write-ahead log: every Raft log of the node, in one file at a time, synced once for all of them.
//!
//! A [`Wal`] carries many streams. [`Wal::submit`] changes what readers of a stream see at once and queues the records;
//! [`Wal::step`], driven by one writer thread, writes all that is queued, syncs once and completes every waiter in the
//! order of submission. Space comes back oldest segment first: what is still live in the oldest one is copied forward
//! by the writer, so that a slow stream never pins the log.
//!
//! `format.rs` draws the bytes; the invariants W1.. are listed in this crate's `README.md`.
//!
//! Calls back into the log: a [`Completion`] may call `submit`, `read`, `state` and `barrier`, but not `step`,
//! `idle_mark`, `prepare`, `shrink` or `close`, which wait for the writer that is just calling it.

mod admission;
pub(crate) mod format;
mod index;
mod measurements;
mod reader;
mod recovery;
mod retention;
mod segment;
mod shared;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use self::admission::Admissions;
pub use self::admission::{Admission, Purpose};
pub use self::measurements::{Histogram, WalMeasurements};
#[doc(hidden)]
pub use self::reader::{examine, seal};
pub use self::recovery::survey::{LogSurvey, SegmentState, SegmentSurvey, StreamSurvey, survey};
use self::shared::Shared;
use self::writer::Writer;
use crate::disk::Disk;
use crate::disk::memory::MemoryDisk;
use crate::error::StorageError;
use crate::limits::{WAL_CACHE_BYTES_DEFAULT, WAL_SEGMENT_BYTES_DEFAULT, WAL_SEGMENT_BYTES_MAX, WAL_SEGMENT_BYTES_MIN};
use crate::sync::Mutex;

/// Whether a directory has a file that is, or was about to become, a segment of the log. Errors: the machine's.
pub(crate) fn exists(disk: &dyn Disk) -> Result<bool, StorageError> {
    let names = disk.list().map_err(|error| StorageError::io("listing of", &disk.describe(), error))?;
    Ok(names.iter().any(|name| segment::parse_segment_name(name).is_some()))
}

/// One sequence of records in the log: one member of one Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The log's own records. Nobody else may write to it.
    pub const LOG: StreamId = StreamId(u64::MAX);
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// A position in the log, in bytes since its beginning; it only grows, over all segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// Before the first record of all.
    pub const ZERO: Lsn = Lsn(0);

    /// The position `bytes` after the beginning.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes since the beginning of the log.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    #[must_use]
    pub(crate) fn plus(self, bytes: u64) -> Self {
        Self(self.0.checked_add(bytes).expect("2^64 bytes are never written"))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// How a log is laid out and when its space comes back.
#[derive(Clone, Copy, Debug)]
pub struct WalOptions {
    /// The size of a segment; a multiple of 32 KiB. One request takes at most a little less than this.
    pub segment_bytes: u64,
    /// The size of the very first segment, so that a small node stays small; at most `segment_bytes`.
    pub first_segment_bytes: u64,
    /// Makes the checksums of this log differ from those of any other: something random, kept or not.
    pub incarnation_seed: u64,
    /// Files kept to become segments again, at most.
    pub recycle_max: usize,
    /// Dead bytes tolerated before live records are copied forward, beside once the live bytes; two segments at least.
    pub reclaim_slack_bytes: u64,
    /// Payloads of recent entries kept in memory, in bytes over all streams.
    pub cache_bytes: usize,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: WAL_SEGMENT_BYTES_DEFAULT,
            first_segment_bytes: WAL_SEGMENT_BYTES_DEFAULT / 4,
            incarnation_seed: 0,
            recycle_max: 4,
            reclaim_slack_bytes: 2 * WAL_SEGMENT_BYTES_DEFAULT,
            cache_bytes: WAL_CACHE_BYTES_DEFAULT,
        }
    }
}

impl WalOptions {
    fn check(&self) -> Result<(), StorageError> {
        let sizes = [("segment_bytes", self.segment_bytes), ("first_segment_bytes", self.first_segment_bytes)];
        let [_, (_, first)] = sizes;
        for (option, found) in sizes {
            let within = (WAL_SEGMENT_BYTES_MIN..=WAL_SEGMENT_BYTES_MAX).contains(&found);
            if !within || !found.is_multiple_of(format::BLOCK_BYTES) || first > self.segment_bytes {
                let maximum = WAL_SEGMENT_BYTES_MAX;
                return Err(StorageError::Option { option, found, minimum: WAL_SEGMENT_BYTES_MIN, maximum });
            }
        }
        Ok(())
    }

    /// What one submission may take in the log.
    pub fn submission_bytes_max(&self) -> u64 {
        self.segment_bytes - format::SEGMENT_HEADER_BYTES - 2 * format::room_bytes_max(format::BATCH_DATA_BYTES)
    }
}

/// What a caller appends to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The next entry. The first one of a stream may have any index; after a purge it follows the purged one.
    Entry {
        /// Its position in the stream.
        index: u64,
        /// The term it was proposed in.
        term: u64,
        /// Whatever the owner wrote.
        payload: Bytes,
    },
    /// The owner's newest term and vote.
    Vote(Bytes),
    /// How far the owner knows entries to be committed.
    Committed(Bytes),
    /// Entries with index >= `from` are gone.
    Truncate {
        /// The first one that is gone.
        from: u64,
    },
    /// Entries with index <= `upto` are gone, for good.
    Purge {
        /// The last one that is gone.
        upto: u64,
        /// The purged log id, as the owner writes it.
        payload: Bytes,
    },
    /// The stream is gone for good. Only a tombstone remains, for ever.
    Erased,
}

impl Record {
    /// The most room that it can take in the log, wherever it lands: what [`Wal::submission_bytes_max`] bounds the sum of.
    pub fn room_bytes_max(&self) -> u64 {
        format::room_bytes_max(shared::data_bytes(self))
    }
}

/// What a stream is now, records still waiting to be written included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// The newest vote.
    pub vote: Option<Bytes>,
    /// The newest committed mark.
    pub committed: Option<Bytes>,
    /// The newest purge: the last index purged, and the owner's payload.
    pub purged: Option<(u64, Bytes)>,
    /// The index of the first entry, if there is one.
    pub first_index: Option<u64>,
    /// The index of the last entry, if there is one.
    pub last_index: Option<u64>,
    /// The stream has a tombstone.
    pub erased: bool,
    /// Records of the stream may have been lost to damage: it may be read and erased, and must never vote again.
    pub suspect: bool,
}

/// An entry as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position in the stream.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
    /// Whatever the owner wrote.
    pub payload: Bytes,
}

/// Called once, when what it was given with is durable or never will be.
pub type Completion = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

/// A place in the log that does not hold what was written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's sequence.
    pub segment: u64,
    /// The byte in it.
    pub offset: u64,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What is wrong at a damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The checksum there is not that of the bytes. Both are 0 when the bytes are not even a record's beginning.
    Checksum {
        /// The checksum of the bytes.
        expected: u32,
        /// The checksum stored with them.
        found: u32,
    },
    /// The whole segment is missing, or its header is unreadable.
    Segment,
    /// A record names a previous record of its stream that is not there.
    Link {
        /// The stream.
        stream: StreamId,
        /// The last record found before it.
        expected: Lsn,
        /// The record it names.
        found: Lsn,
    },
    /// An entry is missing between others.
    Entry {
        /// The stream.
        stream: StreamId,
        /// The missing index.
        index: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, offset, kind } = self;
        write!(formatter, "log segment {segment:016x} is damaged at byte {offset}: ")?;
        match kind {
            DamageKind::Checksum { expected, found } => {
                write!(formatter, "expected checksum {expected:08x}, found {found:08x}")
            }
            DamageKind::Segment => write!(formatter, "the segment is missing or its header is unreadable"),
            DamageKind::Link { stream, expected, found } => {
                write!(formatter, "stream {stream} was at {expected}, but its next record follows {found}")
            }
            DamageKind::Entry { stream, index } => write!(formatter, "stream {stream} lacks entry {index}"),
        }
    }
}

/// Counters since the log was opened, and sizes now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalMetrics {
    /// Syncs of segment files.
    pub syncs: u64,
    /// Bytes written to segments, copies included.
    pub bytes_written: u64,
    /// Submissions completed.
    pub submissions: u64,
    /// Submissions in the largest group that one sync served.
    pub group_max: u64,
    /// Records copied forward.
    pub records_moved: u64,
    /// Segments given back.
    pub segments_released: u64,
    /// Bytes that the opening cut off behind the end of the log: a torn tail.
    pub torn_bytes: u64,
    /// Submissions refused because the disk was full.
    pub refused_full: u64,
    /// Segments in the log now.
    pub segments: u64,
    /// The room that live records take, in bytes.
    pub live_bytes: u64,
    /// Records waiting for the writer, in bytes.
    pub queued_bytes: u64,
    /// Payloads kept in memory, in bytes.
    pub cached_bytes: u64,
}

/// What one stream takes of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamMetrics {
    /// Its records that still count.
    pub live_records: u64,
    /// The room they take, in bytes.
    pub live_bytes: u64,
}

/// The segment that is named for damage that is not in the log, but in the page file.
pub const IN_PAGES: u64 = u64::MAX;

/// What a suspect stream may have lost, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The segment in which the damage was, or [`IN_PAGES`].
    pub segment: u64,
    /// The byte in it, or in the page file.
    pub offset: u64,
    /// First and last index of each run of entries that is whole, in order. What is between two runs is lost; what followed
    /// the last one may be.
    pub runs: Vec<(u64, u64)>,
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.segment {
            IN_PAGES => write!(formatter, "the page file was damaged at byte {}; ", self.offset)?,
            segment => write!(formatter, "log segment {segment:016x} was damaged at byte {}; ", self.offset)?,
        }
        match self.runs.first() {
            None => return write!(formatter, "no entry is left"),
            Some((first, last)) => write!(formatter, "entries {first} to {last}")?,
        }
        for (first, last) in &self.runs[1..] {
            write!(formatter, ", {first} to {last}")?;
        }
        write!(formatter, " are whole, others may be lost")
    }
}

type Waker = Box<dyn Fn() + Send + Sync>;

/// The time since some fixed moment.
type Stopwatch = Box<dyn Fn() -> Duration + Send + Sync>;

/// The log. See the module for who calls what.
pub struct Wal {
    disk: Arc<dyn Disk>,
    options: WalOptions,
    waker: ArcSwapOption<Waker>,
    stopwatch: ArcSwapOption<Stopwatch>,
    /// Taken before `shared`, never while holding it.
    writer: Mutex<Writer>,
    shared: Mutex<Shared>,
    admissions: Admissions,
}

impl Wal {
    /// Opens the log in `disk`, creating it when there is none, and returns what each stream is.
    ///
    /// `start` is the position the superblock names ([`Lsn::ZERO`] without one), `generation` the newest checkpoint
    /// generation found in the superblocks. The caller holds the directory's lock.
    ///
    /// Errors: the machine's; [`StorageError::LogMissing`] and [`StorageError::StaleCheckpoint`] when log and
    /// superblocks do not belong together; [`StorageError::NewerFormat`]. Damage is no error: see
    /// [`StreamState::suspect`] and [`Wal::damage`].
    pub fn open(
        disk: Arc<dyn Disk>,
        options: WalOptions,
        start: Lsn,
        generation: u64,
    ) -> Result<(Arc<Self>, BTreeMap<StreamId, StreamState>), StorageError> {
        options.check()?;
        let recovered = recovery::recover(&*disk, &options, start)?;
        if recovered.generation > generation.saturating_add(1) {
            return Err(StorageError::StaleCheckpoint { found: generation, recorded: recovered.generation });
        }
        let (suspects, proof) = (recovered.suspects.clone(), recovered.proof.clone());
        let (writer, shared) = recovered.into_parts();
        let wal = Self {
            disk,
            options,
            waker: ArcSwapOption::empty(),
            stopwatch: ArcSwapOption::empty(),
            writer: Mutex::new(writer),
            shared: Mutex::new(shared),
            admissions: Admissions::default(),
        };
        wal.note_room(&wal.writer.lock());
        wal.record_suspects(&suspects)?;
        if let Some(proof) = proof {
            wal.replace_proof(&proof)?;
        }
        let states = wal.shared.lock().states();
        Ok((Arc::new(wal), states))
    }

    /// A log of the same kind that is only memory: for `--memory`.
    #[must_use]
    pub fn in_memory() -> Arc<Self> {
        let options = WalOptions {
            recycle_max: 0,
            reclaim_slack_bytes: WAL_SEGMENT_BYTES_DEFAULT,
            cache_bytes: WAL_CACHE_BYTES_DEFAULT / 4,
            first_segment_bytes: WAL_SEGMENT_BYTES_DEFAULT,
            ..WalOptions::default()
        };
        let opened = Self::open(Arc::new(MemoryDisk::new()), options, Lsn::ZERO, 0);
        opened.expect("memory neither fails nor holds an earlier log").0
    }

    /// Where the log is kept, for those who put something beside it.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// `waker` is called when work is queued and the writer may be asleep.
    pub fn set_waker(&self, waker: Waker) {
        self.waker.store(Some(Arc::new(waker)));
    }

    /// `stopwatch` gives the time since some fixed moment: with it the log measures its syncs.
    pub fn set_stopwatch(&self, stopwatch: Stopwatch) {
        self.stopwatch.store(Some(Arc::new(stopwatch)));
    }

    /// Queues `records` of `stream`, in order, after everything submitted before. They can be read at once.
    ///
    /// `completion` is called when they are durable, or with why they are not: nothing of a refused submission
    /// remains. What changes nothing (a purge of what is purged, a truncation past the end) is not written.
    pub fn submit(&self, stream: StreamId, records: Vec<Record>, completion: Option<Completion>) {
        let outcome = self.shared.lock().submit(stream, records, completion, self.options.submission_bytes_max());
        match outcome {
            Ok(true) => self.wake(),
            Ok(false) => {}
            Err((completion, error)) => complete(completion, Err(error)),
        }
    }

    /// The most room ([`Record::room_bytes_max`]) that the records of one submission may take together.
    pub fn submission_bytes_max(&self) -> u64 {
        self.options.submission_bytes_max()
    }

    /// `completion` is called when everything submitted before is durable.
    pub fn barrier(&self, completion: Completion) {
        let outcome = self.shared.lock().barrier(completion);
        match outcome {
            Ok(true) => self.wake(),
            Ok(false) => {}
            Err((completion, error)) => complete(completion, Err(error)),
        }
    }

    /// Records that the checkpoint of this generation was published. Durable with everything submitted before a
    /// following [`Wal::barrier`].
    pub fn checkpoint_published(&self, generation: u64) {
        if self.shared.lock().submit_own(format::Content::Checkpoint { generation }) {
            self.wake();
        }
    }

    /// What the suspect stream may have lost; `None` when it is not suspect.
    pub fn loss(&self, stream: StreamId) -> Option<Loss> {
        self.shared.lock().loss(stream)
    }

    /// Makes a stream suspect, because what its owner has made of it is damaged at `offset` of the page file: the stream may
    /// only be erased from here on. Nothing when it is suspect or erased already, or when there is no such stream.
    pub fn doubt(&self, stream: StreamId, offset: u64, completion: Completion) {
        let mut shared = self.shared.lock();
        let is_sound = shared.state(stream).is_some_and(|state| !state.suspect && !state.erased);
        let wakes = is_sound && shared.submit_about(stream, format::Content::Suspect { segment: IN_PAGES, offset });
        drop(shared);
        // What is behind something in the queue wakes nobody.
        if wakes {
            self.wake();
        }
        self.barrier(completion);
    }

    /// Goes on with a suspect stream as it is: from then on it is as good as any other. Of its entries, `from` and the run
    /// of entries that follows it remain, all others are gone; none remains when there is no entry `from`.
    ///
    /// `records` are the votes, committed positions and purges that the owner needs for going on from there; they are
    /// written before, in one submission. What the stream's owner knows besides begins where a purge says, so unless
    /// `from` follows what is purged already, a purge must be among them, or the stream is suspect again when the log is
    /// opened. Only for an owner without other replicas: what was lost may have been promised to them.
    ///
    /// The log cannot be opened afterwards by programs that do not know such a record, until it has moved on.
    ///
    /// Errors, by `completion`: [`StorageError::StreamNotSuspect`], and as for [`Wal::submit`].
    pub fn accept_loss(&self, stream: StreamId, records: Vec<Record>, from: u64, completion: Option<Completion>) {
        let outcome = self.shared.lock().accept_loss(stream, records, from, completion);
        match outcome {
            Ok(true) => self.wake(),
            Ok(false) => {}
            Err((completion, error)) => complete(completion, Err(error)),
        }
    }

    /// Whether the log was damaged where streams may have lain of which no record is left. A stream that it does not know
    /// is then as suspect as one that has lost records, unless it is certainly new.
    pub fn may_lack_streams(&self) -> bool {
        self.shared.lock().loss(StreamId::LOG).is_some()
    }

    /// Says that everybody who may have a stream has found it, or does without; nothing when no stream was in doubt.
    pub fn accept_lacking_streams(&self, completion: Option<Completion>) {
        match self.may_lack_streams() {
            true => self.accept_loss(StreamId::LOG, Vec::new(), 0, completion),
            false => complete(completion, Ok(())),
        }
    }

    /// What the stream is now. `None`: nothing was ever submitted to it that still counts.
    pub fn state(&self, stream: StreamId) -> Option<StreamState> {
        self.shared.lock().state(stream)
    }

    /// What every stream is now.
    pub fn states(&self) -> BTreeMap<StreamId, StreamState> {
        self.shared.lock().states()
    }

    /// The term of one entry, without reading its payload.
    pub fn term(&self, stream: StreamId, index: u64) -> Option<u64> {
        self.shared.lock().term(stream, index)
    }

    /// Entries `from..to_exclusive` of the stream that exist, in order; at least one if there is one, then no more than
    /// fit in `max_bytes` of payload. Who wants all of them asks until none comes.
    ///
    /// Errors: the machine's, or [`StorageError::WalDamaged`] when the bytes on disk are not what was written.
    pub fn read(
        &self,
        stream: StreamId,
        from: u64,
        to_exclusive: u64,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError> {
        shared::read(&self.shared, stream, from, to_exclusive, max_bytes)
    }

    /// Where recovery would have to begin now: for the next superblock.
    pub fn start_lsn(&self) -> Lsn {
        self.shared.lock().table.start()
    }

    /// Where the log was found damaged, oldest first; at most [`crate::limits::WAL_DAMAGE_REPORTS_MAX`].
    pub fn damage(&self) -> Vec<Damage> {
        self.shared.lock().damage.clone()
    }

    /// Counters and sizes.
    pub fn metrics(&self) -> WalMetrics {
        self.shared.lock().metrics()
    }

    /// Latencies and group sizes since the log was opened.
    pub fn measurements(&self) -> WalMeasurements {
        self.shared.lock().measurements
    }

    /// What each stream takes of the log, those that take nothing left out, in no order. The figures are kept up to date
    /// with every record; asking copies 24 bytes of each stream.
    pub fn stream_metrics(&self) -> Vec<(StreamId, StreamMetrics)> {
        self.shared.lock().stream_metrics()
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.load() {
            waker();
        }
    }
}

impl fmt::Debug for Wal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Wal").field("disk", &self.disk.describe()).finish_non_exhaustive()
    }
}

fn complete(completion: Option<Completion>, outcome: Result<(), StorageError>) {
    if let Some(completion) = completion {
        completion(outcome);
    }
}
