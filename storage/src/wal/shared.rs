//! What submitters, readers and the writer share: the queue, the streams, the table of segments. One lock, held briefly
//! and never across I/O.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use super::format::{BLOCK_BYTES, Content, LogRecord, RECORD_HEADER_BYTES, room_bytes_max};
use super::index::{MARKS, Mark, Place, Queued, Slot, Stream};
use super::measurements::WalMeasurements;
use super::reader::{FileBlocks, Found, Reader};
use super::retention::SegmentTable;
use super::segment::Segment;
use super::{
    Completion, Damage, DamageKind, LogEntry, Loss, Lsn, Record, StreamId, StreamMetrics, StreamState, WalMetrics,
};
use crate::error::StorageError;
use crate::fault::buggify;
use crate::limits::WAL_DAMAGE_REPORTS_MAX;
use crate::sync::Mutex;

/// Blocks read at once when entries are read back.
const READ_BLOCKS: u64 = 2;

/// What a recent entry is counted with beside its payload, so that empty ones are bounded too.
const RECENT_BYTES_EACH: usize = 64;

/// Records that came together, and who waits for them.
pub(super) struct Submission {
    pub(super) stream: StreamId,
    pub(super) records: SmallVec<[Queued; 1]>,
    pub(super) completion: Option<Completion>,
    /// The most room its records may take in the log.
    pub(super) room: u64,
    pub(super) refused: Option<StorageError>,
}

impl Submission {
    pub(super) fn has_entry(&self) -> bool {
        self.records.iter().any(|queued| matches!(queued.content, Content::Entry { .. }))
    }
}

/// A copy of a live record, on its way forward.
pub(super) struct Moved {
    pub(super) stream: StreamId,
    pub(super) content: Content,
    pub(super) old: Place,
}

/// A recent entry whose payload is in memory.
struct Recent {
    stream: StreamId,
    index: u64,
    ticket: u64,
    bytes: usize,
}

/// See the module.
pub(super) struct Shared {
    pub(super) queue: VecDeque<Submission>,
    pub(super) streams: FxHashMap<StreamId, Stream>,
    pub(super) table: SegmentTable,
    pub(super) poisoned: Option<StorageError>,
    pub(super) damage: Vec<Damage>,
    pub(super) counters: WalMetrics,
    pub(super) measurements: WalMeasurements,
    queued_bytes: u64,
    /// Durable entries that readers no longer see, because a record still queued removed them; by ticket.
    orphans: FxHashMap<u64, (StreamId, u64, Place)>,
    recent: VecDeque<Recent>,
    recent_bytes: usize,
    cache_bytes: usize,
    next_ticket: u64,
}

impl Shared {
    pub(super) fn new(
        streams: FxHashMap<StreamId, Stream>,
        table: SegmentTable,
        damage: Vec<Damage>,
        cache_bytes: usize,
        next_ticket: u64,
    ) -> Self {
        Self {
            queue: VecDeque::new(),
            streams,
            table,
            poisoned: None,
            damage,
            counters: WalMetrics::default(),
            measurements: WalMeasurements::default(),
            queued_bytes: 0,
            orphans: FxHashMap::default(),
            recent: VecDeque::new(),
            recent_bytes: 0,
            cache_bytes,
            next_ticket,
        }
    }

    /// Queues the records. `Ok(true)`: the writer may be asleep.
    pub(super) fn submit(
        &mut self,
        stream: StreamId,
        records: Vec<Record>,
        completion: Option<Completion>,
        room_max: u64,
    ) -> Result<bool, (Option<Completion>, StorageError)> {
        let room = records.iter().map(Record::room_bytes_max).sum();
        if let Err(error) = self.check(stream, &records, room, room_max) {
            return Err((completion, error));
        }
        let target = self.streams.entry(stream).or_default();
        let mut queued = SmallVec::new();
        for record in records {
            let Some(content) = effect_on(target, record) else { continue };
            let mut record = Queued::new(content, self.next_ticket);
            self.next_ticket += 1;
            target.apply(&mut record);
            queued.push(record);
        }
        Ok(self.enqueue(Submission { stream, records: queued, completion, room, refused: None }))
    }

    /// Queues a record of the log itself, or about a stream by the log. Returns whether the writer may be asleep.
    pub(super) fn submit_about(&mut self, stream: StreamId, content: Content) -> bool {
        if self.poisoned.is_some() {
            return false;
        }
        let room = room_bytes_max(RECORD_HEADER_BYTES + 16 + content.payload().len());
        let mut record = Queued::new(content, self.next_ticket);
        self.next_ticket += 1;
        self.streams.entry(stream).or_default().apply(&mut record);
        self.enqueue(Submission { stream, records: smallvec![record], completion: None, room, refused: None })
    }

    /// Queues `records` and then what accepts the stream's loss, with which the run of entries that holds `from` remains,
    /// from there on.
    pub(super) fn accept_loss(
        &mut self,
        id: StreamId,
        records: Vec<Record>,
        from: u64,
        completion: Option<Completion>,
    ) -> Result<bool, (Option<Completion>, StorageError)> {
        if let Some(error) = self.poison() {
            return Err((completion, error));
        }
        let allowed = |record: &Record| matches!(record, Record::Vote(_) | Record::Committed(_) | Record::Purge { .. });
        assert!(records.iter().all(allowed), "what comes with an accepted loss are marks");
        let Some(loss) = self.streams.get(&id).and_then(Stream::loss) else {
            return Err((completion, StorageError::StreamNotSuspect { stream: id.0 }));
        };
        let run = loss.runs.iter().find(|(first, last)| (*first..=*last).contains(&from));
        let end = run.map_or(from, |(_, last)| last + 1);
        let stream = self.streams.entry(id).or_default();
        let mut queued = SmallVec::new();
        let mut room = 0;
        let contents: Vec<_> = records.into_iter().filter_map(|record| effect_on(stream, record)).collect();
        for content in contents.into_iter().chain([Content::LossAccepted { from, end }]) {
            room += room_bytes_max(RECORD_HEADER_BYTES + 16 + content.payload().len());
            let mut record = Queued::new(content, self.next_ticket);
            self.next_ticket += 1;
            stream.apply(&mut record);
            queued.push(record);
        }
        Ok(self.enqueue(Submission { stream: id, records: queued, completion, room, refused: None }))
    }

    pub(super) fn submit_own(&mut self, content: Content) -> bool {
        self.submit_about(StreamId::LOG, content)
    }

    pub(super) fn barrier(&mut self, completion: Completion) -> Result<bool, (Option<Completion>, StorageError)> {
        if let Some(error) = self.poison() {
            return Err((Some(completion), error));
        }
        let records = SmallVec::new();
        let completion = Some(completion);
        Ok(self.enqueue(Submission { stream: StreamId::LOG, records, completion, room: 0, refused: None }))
    }

    /// The error every call gets once the log has stopped.
    pub(super) fn poison(&self) -> Option<StorageError> {
        self.poisoned.as_ref().map(|error| StorageError::Poisoned(Box::new(error.clone())))
    }

    fn check(&self, stream: StreamId, records: &[Record], room: u64, room_max: u64) -> Result<(), StorageError> {
        if let Some(error) = self.poison() {
            return Err(error);
        }
        if stream == StreamId::LOG {
            return Err(StorageError::StreamReserved { stream: stream.0 });
        }
        if room > room_max {
            return Err(StorageError::TooLarge { bytes: room, bytes_max: room_max });
        }
        let payloads = records.iter().map(data_bytes);
        if let Some(bytes) = payloads.max().filter(|bytes| *bytes > crate::limits::WAL_PAYLOAD_BYTES_MAX) {
            let bytes_max = crate::limits::WAL_PAYLOAD_BYTES_MAX as u64;
            return Err(StorageError::TooLarge { bytes: bytes as u64, bytes_max });
        }
        match self.streams.get(&stream) {
            Some(target) => target.check(stream, records),
            None => Stream::default().check(stream, records),
        }
    }

    fn enqueue(&mut self, submission: Submission) -> bool {
        let was_empty = self.queue.is_empty();
        self.queued_bytes += submission.room;
        self.queue.push_back(submission);
        was_empty
    }

    /// Takes the front of the queue: at least one submission, then as many as have room in `bytes_max`.
    pub(super) fn take(&mut self, bytes_max: u64) -> Vec<Submission> {
        let mut room = 0;
        let mut count = 0;
        for submission in &self.queue {
            room += submission.room;
            if count > 0 && room > bytes_max {
                break;
            }
            count += 1;
        }
        let taken: Vec<_> = self.queue.drain(..count).collect();
        self.queued_bytes -= taken.iter().map(|submission| submission.room).sum::<u64>();
        taken
    }

    /// Takes back what holds entries from `taken` and everything queued after it, as if it had never been submitted;
    /// the rest stays. With `all`, takes back everything.
    pub(super) fn refuse(&mut self, taken: &mut Vec<Submission>, error: &StorageError, all: bool) {
        taken.extend(self.queue.drain(..));
        self.queued_bytes = 0;
        for submission in taken.iter_mut().rev() {
            if let Some(stream) = self.streams.get_mut(&submission.stream) {
                for queued in submission.records.iter_mut().rev() {
                    stream.undo(queued);
                }
            }
        }
        for submission in taken.iter_mut() {
            if submission.refused.is_some() {
                continue;
            }
            if submission.has_entry() || (all && !submission.records.is_empty()) {
                submission.refused = Some(error.clone());
                submission.records.clear();
                submission.room = 0;
                self.counters.refused_full += 1;
                continue;
            }
            let stream = self.streams.entry(submission.stream).or_default();
            for queued in &mut submission.records {
                stream.apply(queued);
            }
        }
        self.adopt_orphans();
    }

    /// Entries that readers see again get their places back.
    fn adopt_orphans(&mut self) {
        let streams = &mut self.streams;
        self.orphans.retain(|ticket, (stream, index, place)| {
            let slot = streams.get_mut(stream).and_then(|stream| stream.slot_mut(*index));
            match slot.filter(|slot| slot.ticket == *ticket) {
                Some(slot) => {
                    slot.place = Some(*place);
                    false
                }
                None => true,
            }
        });
    }

    /// The records of `submissions` are durable at `places`, in order.
    pub(super) fn commit(&mut self, submissions: &[Submission], places: &[Place]) {
        let mut places = places.iter();
        for submission in submissions {
            for queued in &submission.records {
                let place = *places.next().expect("every record was given a place");
                self.commit_one(submission.stream, queued, place);
            }
        }
        self.shrink_cache();
    }

    fn commit_one(&mut self, id: StreamId, queued: &Queued, place: Place) {
        for slot in queued.removed() {
            self.forget(id, slot);
        }
        let stream = self.streams.entry(id).or_default();
        if let Content::Entry { index, payload, .. } = &queued.content {
            self.table.count(place);
            stream.live.count(place);
            match stream.slot_mut(*index).filter(|slot| slot.ticket == queued.ticket) {
                Some(slot) => {
                    slot.place = Some(place);
                    let bytes = payload.len() + RECENT_BYTES_EACH;
                    self.recent_bytes += bytes;
                    self.recent.push_back(Recent { stream: id, index: *index, ticket: queued.ticket, bytes });
                }
                None => {
                    self.orphans.insert(queued.ticket, (id, *index, place));
                }
            }
        }
        let ended: &mut [Option<Place>] = match &queued.content {
            Content::Erased => &mut stream.marks,
            Content::LossAccepted { .. } => std::slice::from_mut(&mut stream.marks[Mark::Suspect as usize]),
            _ => &mut [],
        };
        for old in ended.iter_mut().filter_map(Option::take) {
            self.table.discount(old);
            stream.live.discount(old);
        }
        if let Some(mark) = Mark::of(queued.content.kind()) {
            self.table.count(place);
            stream.live.count(place);
            if let Some(old) = stream.marks[mark as usize].replace(place) {
                self.table.discount(old);
                stream.live.discount(old);
            }
        }
    }

    fn forget(&mut self, id: StreamId, slot: &Slot) {
        let orphan = || self.orphans.remove(&slot.ticket).map(|(_, _, place)| place);
        if let Some(place) = slot.place.or_else(orphan) {
            self.table.discount(place);
            let stream = self.streams.get_mut(&id).expect("W5: what is live is of a known stream");
            stream.live.discount(place);
        }
    }

    /// Of records found at a place, those that still count.
    pub(super) fn is_live(&self, record: &LogRecord, at: Lsn) -> Option<Place> {
        let stream = self.streams.get(&record.stream)?;
        let place = match &record.content {
            Content::Entry { index, .. } => stream.held(*index)?.place,
            content => stream.marks[Mark::of(content.kind())? as usize],
        };
        place.filter(|place| place.at == at)
    }

    /// The copies are durable at `places`.
    pub(super) fn commit_moved(&mut self, moved: &[Moved], places: &[Place]) {
        for (moved, new) in moved.iter().zip(places) {
            let Some(stream) = self.streams.get_mut(&moved.stream) else { continue };
            let place = match &moved.content {
                Content::Entry { index, .. } => stream.held_mut(*index).map(|slot| &mut slot.place),
                content => Mark::of(content.kind()).map(|mark| &mut stream.marks[mark as usize]),
            };
            // What was removed meanwhile stays counted where it was, until its removal is durable.
            let Some(place) = place.filter(|place| **place == Some(moved.old)) else { continue };
            *place = Some(*new);
            self.table.count(*new);
            stream.live.count(*new);
            self.table.discount(moved.old);
            stream.live.discount(moved.old);
            self.counters.records_moved += 1;
        }
    }

    fn shrink_cache(&mut self) {
        let bytes_max = if buggify!("storage/log-cache-emptied") { 0 } else { self.cache_bytes };
        while self.recent_bytes > bytes_max {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.bytes;
            let slot = self.streams.get_mut(&oldest.stream).and_then(|stream| stream.slot_mut(oldest.index));
            if let Some(slot) = slot.filter(|slot| slot.ticket == oldest.ticket) {
                slot.payload = None;
            }
        }
    }

    pub(super) fn report(&mut self, damage: Damage) {
        if self.damage.len() < WAL_DAMAGE_REPORTS_MAX && !self.damage.contains(&damage) {
            self.damage.push(damage);
        }
    }

    pub(super) fn state(&self, stream: StreamId) -> Option<StreamState> {
        if stream == StreamId::LOG { None } else { self.streams.get(&stream).map(Stream::state) }
    }

    pub(super) fn states(&self) -> BTreeMap<StreamId, StreamState> {
        let own = |stream: &StreamId| *stream == StreamId::LOG;
        self.streams.iter().filter(|(id, _)| !own(id)).map(|(id, stream)| (*id, stream.state())).collect()
    }

    pub(super) fn loss(&self, stream: StreamId) -> Option<Loss> {
        self.streams.get(&stream)?.loss()
    }

    pub(super) fn stream_metrics(&self) -> Vec<(StreamId, StreamMetrics)> {
        let users = self.streams.iter().filter(|(id, stream)| **id != StreamId::LOG && stream.live.records > 0);
        let row = |(id, stream): (&StreamId, &Stream)| {
            (*id, StreamMetrics { live_records: stream.live.records, live_bytes: stream.live.bytes })
        };
        users.map(row).collect()
    }

    pub(super) fn term(&self, stream: StreamId, index: u64) -> Option<u64> {
        self.streams.get(&stream)?.held(index).map(|slot| slot.term)
    }

    pub(super) fn metrics(&self) -> WalMetrics {
        WalMetrics {
            segments: self.table.len() as u64,
            live_bytes: self.table.live_bytes(),
            queued_bytes: self.queued_bytes,
            cached_bytes: self.recent_bytes as u64,
            ..self.counters
        }
    }
}

/// What a submitted record says, unless it changes nothing.
fn effect_on(stream: &Stream, record: Record) -> Option<Content> {
    Some(match record {
        Record::Entry { index, term, payload } => Content::Entry { index, term, payload },
        Record::Vote(payload) => Content::Vote(payload),
        Record::Committed(payload) => Content::Committed(payload),
        Record::Truncate { from } if stream.last().is_none_or(|last| last < from) => return None,
        Record::Truncate { from } => Content::Truncate { from },
        Record::Purge { upto, .. } if stream.purged.as_ref().is_some_and(|(before, _)| *before >= upto) => return None,
        Record::Purge { upto, payload } => Content::Purge { upto, payload },
        Record::Erased => Content::Erased,
    })
}

/// The data of a record, its header included.
pub(super) fn data_bytes(record: &Record) -> usize {
    RECORD_HEADER_BYTES
        + match record {
            Record::Entry { payload, .. } => 16 + payload.len(),
            Record::Vote(payload) | Record::Committed(payload) => payload.len(),
            Record::Truncate { .. } => 8,
            Record::Purge { payload, .. } => 8 + payload.len(),
            Record::Erased => 0,
        }
}

/// An entry that is to be returned, with its payload or where that is.
enum Wanted {
    Here(LogEntry),
    There { index: u64, place: Place, segment: Arc<Segment> },
}

/// See [`super::Wal::read`].
pub(super) fn read(
    shared: &Mutex<Shared>,
    stream: StreamId,
    from: u64,
    to_exclusive: u64,
    max_bytes: usize,
) -> Result<Vec<LogEntry>, StorageError> {
    let max_bytes = if buggify!("storage/log-read-short") { 0 } else { max_bytes };
    loop {
        let wanted = {
            let shared = shared.lock();
            if let Some(error) = shared.poison() {
                return Err(error);
            }
            shared.wanted(stream, from, to_exclusive, max_bytes)
        };
        let mut entries = Vec::with_capacity(wanted.len());
        let mut moved = false;
        let mut source: Option<(u64, Reader<FileBlocks<'_>>)> = None;
        let segments: Vec<_> = wanted.iter().filter_map(|wanted| wanted.segment().cloned()).collect();
        let mut segments = segments.iter();
        for wanted in wanted {
            let (index, place) = match wanted {
                Wanted::Here(entry) => {
                    entries.push(entry);
                    continue;
                }
                Wanted::There { index, place, .. } => (index, place),
            };
            let segment = segments.next().expect("one for each entry on disk");
            if source.as_ref().is_none_or(|(sequence, _)| *sequence != segment.header.sequence) {
                let blocks = FileBlocks::new(&*segment.file, segment.header.length, READ_BLOCKS);
                source = Some((segment.header.sequence, Reader::new(blocks, segment.header)));
            }
            let (_, reader) = source.as_mut().expect("just set");
            match read_one(reader, segment, stream, index, place)? {
                Ok(entry) => entries.push(entry),
                Err(damage) => {
                    // The segment may have been given away while we read. Then the entry is elsewhere, or gone.
                    let mut shared = shared.lock();
                    let slot = shared.streams.get(&stream).and_then(|stream| stream.slot(index));
                    if slot.is_some_and(|slot| slot.place == Some(place)) {
                        shared.report(damage.clone());
                        return Err(StorageError::WalDamaged { damage });
                    }
                    moved = true;
                    break;
                }
            }
        }
        if !moved {
            return Ok(entries);
        }
    }
}

impl Wanted {
    fn segment(&self) -> Option<&Arc<Segment>> {
        match self {
            Self::Here(_) => None,
            Self::There { segment, .. } => Some(segment),
        }
    }
}

impl Shared {
    fn wanted(&self, id: StreamId, from: u64, to_exclusive: u64, max_bytes: usize) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        let Some(stream) = self.streams.get(&id) else { return wanted };
        let Some(last) = stream.last() else { return wanted };
        let mut left = max_bytes;
        for index in from.max(stream.first)..to_exclusive.min(last + 1) {
            let Some(slot) = stream.slot(index) else { break };
            let bytes = match (&slot.payload, slot.place) {
                (Some(payload), _) => payload.len(),
                (None, place) => place.map_or(0, |place| place.bytes as usize),
            };
            if !wanted.is_empty() && bytes > left {
                break;
            }
            left = left.saturating_sub(bytes);
            wanted.push(match &slot.payload {
                Some(payload) => Wanted::Here(LogEntry { index, term: slot.term, payload: payload.clone() }),
                None => {
                    let place = slot.place.expect("W5: what is not in memory has a place in the log");
                    let segment = self.table.find(place.at).expect("W5: a live record lies in a segment of the log");
                    Wanted::There { index, place, segment }
                }
            });
        }
        wanted
    }
}

fn read_one(
    reader: &mut Reader<FileBlocks<'_>>,
    segment: &Segment,
    stream: StreamId,
    index: u64,
    place: Place,
) -> Result<Result<LogEntry, Damage>, StorageError> {
    let offset = segment.offset_of(place.at);
    reader.seek(offset);
    let found = reader.next().map_err(|error| StorageError::io("read", &segment.name, error))?;
    let damage = |offset, kind| Damage { segment: segment.header.sequence, offset, kind };
    Ok(match found {
        Found::Record { record: LogRecord { stream: found, content, .. }, .. } => match content {
            Content::Entry { index: at, term, payload } if found == stream && at == index => {
                Ok(LogEntry { index, term, payload })
            }
            _ => Err(damage(offset, DamageKind::Entry { stream, index })),
        },
        Found::Bad { at, expected, found, .. } => Err(damage(at, DamageKind::Checksum { expected, found })),
        Found::End => Err(damage(offset, DamageKind::Entry { stream, index })),
    })
}

const _: () = assert!(MARKS == Mark::Checkpoint as usize + 1);
const _: () = assert!(READ_BLOCKS * BLOCK_BYTES <= 1 << 20);
