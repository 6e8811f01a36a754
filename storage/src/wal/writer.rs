//! Group commit: everything queued becomes one write and one sync, then every waiter is told, in order.
//!
//! A step fails in two ways. Without space it refuses what holds entries, before anything is written; votes, purges and
//! the copies that free a segment may still use the reserve at the end of the segment. After a failed write or sync the
//! disk's content is unknown: the log is poisoned, and the node ends.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::admission::room_to_promise;
use super::format::{
    ALIGNMENT, BATCH_DATA_BYTES, Content, Encoder, Kind, LogRecord, SEGMENT_HEADER_BYTES, room_bytes_max,
};
use super::index::{Mark, Place};
use super::reader::{FileBlocks, Found, Reader};
use super::recovery::Proof;
use super::segment::{self, Segment};
use super::shared::{Moved, Submission};
use super::{Damage, DamageKind, Lsn, StreamId, Wal, complete};
use crate::error::StorageError;
use crate::fault::{buggify, fault_point};
use crate::limits::{WAL_RECLAIM_BYTES_PER_STEP, WAL_STEP_BYTES_MAX};
use crate::sync::Mutex;

/// The buffer is given back after a write larger than this.
const BUFFER_BYTES_KEPT: usize = 16 << 20;

/// Blocks read at once when the oldest segment is searched for what is live.
const RECLAIM_READ_BLOCKS: u64 = 8;

/// What only the writer knows.
pub(super) struct Writer {
    pub(super) active: Arc<Segment>,
    /// Where in the active segment the next fragment goes.
    pub(super) offset: u64,
    /// Everything before it is durable.
    pub(super) durable: Lsn,
    /// The start that the newest durable batch names.
    pub(super) named_start: Lsn,
    /// Each stream's newest record in the log.
    pub(super) links: FxHashMap<StreamId, Lsn>,
    /// Whether the log's end already says how far it is durable.
    pub(super) marked: bool,
    pub(super) search: Search,
    pub(super) buffer: Vec<u8>,
    pub(super) spare: Arc<Mutex<Spare>>,
}

/// How far the oldest segment has been searched for what is live.
#[derive(Default)]
pub(super) struct Search {
    /// Its sequence.
    sequence: u64,
    /// Everything before it has been looked at in this round.
    offset: u64,
    /// This round met bytes that cannot be read.
    met_damage: bool,
    /// This round copied something.
    moved: bool,
    /// What is live in the segment cannot be read: it stays, and the next recovery judges it.
    stopped: bool,
}

/// What the log will be written to next.
#[derive(Default)]
pub(super) struct Spare {
    pub(super) next: Option<Segment>,
    /// Files that may become segments, with their lengths unknown until opened.
    pub(super) names: Vec<String>,
    /// So many of them, the last ones, are known to be as long as segments are. Promises count on them.
    pub(super) whole: usize,
}

impl Spare {
    fn push_whole(&mut self, name: String) {
        self.names.push(name);
        self.whole += 1;
    }

    fn pop(&mut self) -> Option<String> {
        self.whole = self.whole.saturating_sub(1);
        self.names.pop()
    }
}

/// A record to be written, as the writer needs it.
struct Outgoing<'a> {
    stream: StreamId,
    content: &'a Content,
    moved_from: Option<Lsn>,
}

impl Wal {
    /// The writer's turn: takes what is queued, writes once, syncs once, completes all waiters in submission order;
    /// then frees space, a little at a time. `Ok(false)`: there was nothing to do.
    ///
    /// After an error nothing works any more, and the process must end.
    pub fn step(&self) -> Result<bool, StorageError> {
        let mut writer = self.writer.lock();
        self.step_inner(&mut writer).inspect_err(|error| self.stop(error))
    }

    /// Says at the end of the log how far it is durable, without a sync: later, damage can be told from a torn tail.
    /// For a writer that has nothing to do.
    pub fn idle_mark(&self) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        if let Some(error) = self.shared.lock().poison() {
            return Err(error);
        }
        if writer.marked || writer.room() < room_bytes_max(BATCH_DATA_BYTES) {
            return Ok(());
        }
        self.write(&mut writer, &[], false).map(drop).inspect_err(|error| self.stop(error))
    }

    /// Lets a log that nobody has written to for a while take little room: the files kept to become segments are removed, and
    /// when little is live it is carried over into one segment of the size of the first.
    ///
    /// Without space for that segment the log stays where it is. After any other error nothing works any more.
    pub fn shrink(&self) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        if let Some(error) = self.shared.lock().poison() {
            return Err(error);
        }
        // Before, because the small segment needs space too, and after, because what is left becomes spare.
        self.remove_spares(&writer)?;
        self.carry_over(&mut writer).inspect_err(|error| self.stop(error))?;
        self.remove_spares(&writer)
    }

    fn remove_spares(&self, writer: &Writer) -> Result<(), StorageError> {
        let promised = self.admissions.stop_promising();
        let removed = self.remove_spares_beyond(promised, writer);
        self.note_room(writer);
        removed
    }

    /// Removes them all, unless what was promised counts on them.
    fn remove_spares_beyond(&self, promised: u64, writer: &Writer) -> Result<(), StorageError> {
        let mut spare = writer.spare.lock();
        let whole = std::mem::take(&mut spare.whole);
        if promised > room_to_promise(writer, Some(&spare)) {
            spare.whole = whole;
            return Ok(());
        }
        while let Some(name) = spare.names.last() {
            segment::remove(&*self.disk, name)?;
            spare.names.pop();
        }
        Ok(())
    }

    fn carry_over(&self, writer: &mut Writer) -> Result<(), StorageError> {
        let length = self.options.first_segment_bytes;
        if !self.is_worth_carrying_over(writer, length) {
            return Ok(());
        }
        // Nothing more is promised while the room changes; what was promised before would count on the room there was.
        if self.admissions.stop_promising() > 0 {
            self.note_room(writer);
            return Ok(());
        }
        let ready = self.prefer_next(writer, length);
        if let Ok(true) = ready {
            self.write_beginning(writer, &[], true, true)?;
            // There is a whole segment's room again.
            self.set_short(false);
        }
        self.note_room(writer);
        if !ready? {
            return Ok(());
        }
        // Copies go the way that they go when the log is tidied; what cannot be read stays where it is. Whoever comes
        // meanwhile is not held up: what is left is done when the log is idle again.
        while self.shared.lock().queue.is_empty() {
            self.release(writer)?;
            let start = self.shared.lock().table.start();
            let more = match start > writer.named_start {
                true => self.name_start(writer)?,
                false => self.move_forward(writer, WAL_RECLAIM_BYTES_PER_STEP as u64)?,
            };
            if !more {
                break;
            }
        }
        self.note_room(writer);
        // Later, damage of what was written last can be told from a torn tail.
        if writer.marked { Ok(()) } else { self.write(writer, &[], false).map(drop) }
    }

    /// Whether the log takes more than a segment of `length`, and would not if what lives were carried over. So little must
    /// live that the segment is not left again by that.
    fn is_worth_carrying_over(&self, writer: &Writer, length: u64) -> bool {
        let ready = writer.spare.lock().next.as_ref().map_or(0, |next| next.header.length);
        let shared = self.shared.lock();
        let (kept, live) = (shared.table.total_bytes() + ready, shared.table.live_bytes());
        // What cannot be read pins its segment, and with it all behind: another segment would only add to that.
        let pinned = shared
            .table
            .oldest_sealed()
            .is_some_and(|(oldest, _)| writer.search.stopped && writer.search.sequence == oldest.header.sequence);
        shared.queue.is_empty() && kept > length && live <= length / 8 && !pinned
    }

    /// Makes a segment of `length` the next one, instead of one that was ready and that nothing was written to. Returns
    /// whether there was space for it; without it there is none ready.
    fn prefer_next(&self, writer: &Writer, length: u64) -> Result<bool, StorageError> {
        let mut spare = writer.spare.lock();
        if let Some(next) = spare.next.take_if(|next| next.header.length != length) {
            segment::remove(&*self.disk, &next.name)?;
        }
        let made = match &spare.next {
            Some(_) => Ok(()),
            None => self.create_next(&writer.active, &mut spare, length),
        };
        match made {
            Ok(()) => Ok(true),
            Err(StorageError::Full { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create_next(&self, active: &Segment, spare: &mut Spare, length: u64) -> Result<(), StorageError> {
        let (sequence, start) = (active.header.sequence + 1, active.end());
        let full =
            |error: StorageError| if error.is_full() { StorageError::Full { needed_bytes: length } } else { error };
        let created = Segment::create(&*self.disk, self.options.incarnation_seed, sequence, start, length);
        spare.next = Some(created.map_err(full)?);
        Ok(())
    }

    /// Makes the next segment ready, so that no step has to, and tries again while there was no space for it. May be called from
    /// any thread, at leisure.
    pub fn prepare(&self) -> Result<(), StorageError> {
        let (active, spare) = {
            let writer = self.writer.lock();
            // Until the active segment is half full nothing is gained, and a small node stays small; but who refuses writes
            // must notice when there is space again.
            if writer.room() > writer.active.header.length / 2 && !self.is_short() {
                return Ok(());
            }
            (Arc::clone(&writer.active), Arc::clone(&writer.spare))
        };
        let mut spare = spare.lock();
        let still_next = {
            let shared = self.shared.lock();
            shared.table.find(active.header.start).is_some() && shared.table.end() == active.end()
        };
        let made = if still_next { self.make_next(&active, &mut spare) } else { Ok(()) };
        drop(spare);
        self.note_room(&self.writer.lock());
        made
    }

    /// Everything submitted is made durable, and the log says that it ended well.
    pub fn close(&self) -> Result<(), StorageError> {
        self.shared.lock().submit_own(Content::CleanShutdown);
        while self.step()? {}
        self.shared.lock().poison().map_or(Ok(()), Err)
    }

    /// Suspicion is durable before anybody can open the stream.
    pub(super) fn record_suspects(&self, suspects: &[(StreamId, Damage)]) -> Result<(), StorageError> {
        for (stream, damage) in suspects {
            let content = Content::Suspect { segment: damage.segment, offset: damage.offset };
            self.shared.lock().submit_about(*stream, content);
        }
        while !self.shared.lock().queue.is_empty() {
            self.step()?;
        }
        let refused = self.shared.lock().counters.refused_full > 0;
        if refused { Err(StorageError::Full { needed_bytes: self.options.segment_bytes }) } else { Ok(()) }
    }

    /// What told damage from a torn tail stands behind the end of the log. A new batch says the same, and only then is the
    /// old one overwritten: a crash in between must not make a torn tail of the damage.
    pub(super) fn replace_proof(&self, proof: &Proof) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        if !self.has_room(&writer, room_bytes_max(BATCH_DATA_BYTES))? {
            return Err(StorageError::Full { needed_bytes: self.options.segment_bytes });
        }
        self.write(&mut writer, &[], true)?;
        proof.forget(&writer.active, writer.offset)
    }

    fn step_inner(&self, writer: &mut Writer) -> Result<bool, StorageError> {
        let bytes_max = (WAL_STEP_BYTES_MAX as u64).min(self.options.submission_bytes_max());
        let bytes_max = if buggify!("storage/log-group-of-one") { 0 } else { bytes_max };
        let mut batch = {
            let mut shared = self.shared.lock();
            if let Some(error) = shared.poison() {
                return Err(error);
            }
            shared.take(bytes_max)
        };
        if batch.is_empty() {
            return self.reclaim(writer, WAL_STEP_BYTES_MAX as u64, true);
        }
        let room = room_of(&batch);
        if let Err(error) = self.write_batch(writer, &mut batch) {
            for submission in batch {
                complete(submission.completion, Err(submission.refused.unwrap_or_else(|| error.clone())));
            }
            return Err(error);
        }
        // Before anybody is answered: the answered give their promises back, and what was promised them has been used.
        self.lower_room(writer);
        for submission in batch {
            complete(submission.completion, submission.refused.map_or(Ok(()), Err));
        }
        // Twice what came in is searched for what is still live, so that freeing keeps up with filling.
        self.reclaim(writer, WAL_RECLAIM_BYTES_PER_STEP as u64 + 2 * room, false)?;
        self.look_ahead(writer)?;
        if buggify!("storage/log-marked-at-once") && writer.room() >= room_bytes_max(BATCH_DATA_BYTES) {
            self.write(writer, &[], false)?;
        }
        Ok(true)
    }

    /// Has the next segment ready while the active one has room for what is on its way. Without space for it the log is
    /// short, and admits nothing new.
    fn look_ahead(&self, writer: &Writer) -> Result<(), StorageError> {
        if writer.room() <= writer.active.header.length / 2 || buggify!("storage/log-prepared-early") {
            match self.ensure_next(writer) {
                Ok(()) | Err(StorageError::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.note_room(writer);
        Ok(())
    }

    fn write_batch(&self, writer: &mut Writer, batch: &mut Vec<Submission>) -> Result<(), StorageError> {
        self.make_room(writer, batch)?;
        let outgoing: Vec<_> = batch
            .iter()
            .flat_map(|submission| submission.records.iter().map(|queued| (submission.stream, queued)))
            .map(|(stream, queued)| Outgoing { stream, content: &queued.content, moved_from: None })
            .collect();
        let leave = buggify!("storage/log-rolled-early") && !outgoing.is_empty() && self.may_leave(writer)?;
        let places =
            if outgoing.is_empty() { Vec::new() } else { self.write_beginning(writer, &outgoing, true, leave)? };
        let mut shared = self.shared.lock();
        shared.commit(batch, &places);
        let count = batch.iter().filter(|submission| submission.refused.is_none()).count() as u64;
        shared.counters.submissions += count;
        shared.counters.group_max = shared.counters.group_max.max(count);
        if count > 0 {
            shared.measurements.group_size.record(count);
        }
        Ok(())
    }

    /// Whether the active segment may be left before it is full: what was promised would count on the room in it.
    fn may_leave(&self, writer: &Writer) -> Result<bool, StorageError> {
        if self.admissions.stop_promising() > 0 {
            self.note_room(writer);
            return Ok(false);
        }
        self.has_room(writer, writer.room() + 1)
    }

    /// Writes a batch record and then `records` at the end of the log, going on to the next segment where needed, and
    /// returns where each record is. The caller has seen to it that there is room.
    fn write(&self, writer: &mut Writer, records: &[Outgoing<'_>], sync: bool) -> Result<Vec<Place>, StorageError> {
        self.write_beginning(writer, records, sync, false)
    }

    /// The same, in the next segment from the beginning when the active one is to be left.
    fn write_beginning(
        &self,
        writer: &mut Writer,
        records: &[Outgoing<'_>],
        sync: bool,
        mut leave: bool,
    ) -> Result<Vec<Place>, StorageError> {
        let start = self.shared.lock().table.start();
        let mut places = Vec::with_capacity(records.len());
        let mut buffer = std::mem::take(&mut writer.buffer);
        let mut syncs: SmallVec<[Option<Duration>; 2]> = SmallVec::new();
        let mut written = 0;
        let mut rest = records.iter().peekable();
        loop {
            let active = Arc::clone(&writer.active);
            let mut encoder = Encoder::new(&mut buffer, writer.offset, active.header);
            let mut rolled = std::mem::take(&mut leave) || !encoder.fits(BATCH_DATA_BYTES);
            if !rolled {
                let batch = Content::Batch { durable: writer.durable, start };
                encoder.append(&LogRecord { stream: StreamId::LOG, link: Lsn::ZERO, moved_from: None, content: batch });
            }
            while let Some(outgoing) = rest.peek().filter(|_| !rolled) {
                let link = writer.links.get(&outgoing.stream).copied().unwrap_or(Lsn::ZERO);
                let Outgoing { stream, content, moved_from } = **outgoing;
                let record = LogRecord { stream, link, moved_from, content: content.clone() };
                let data = record.data_bytes();
                if !encoder.fits(data) {
                    rolled = true;
                    break;
                }
                active.admit_kind(content.kind())?;
                let before = encoder.offset();
                let at = encoder.append(&record);
                writer.links.insert(stream, at);
                let bytes = u32::try_from(encoder.offset() - before).expect("a record is smaller than a segment");
                places.push(Place { original: moved_from.unwrap_or(at), at, bytes });
                rest.next();
            }
            if rolled {
                encoder.end();
            }
            let end = encoder.offset();
            active.write(&buffer, writer.offset)?;
            written += buffer.len() as u64;
            writer.offset = end;
            if !rolled {
                break;
            }
            // W3: nothing is written to a segment before everything in the one before it is durable.
            syncs.push(self.timed_sync(&active)?);
            // Under one lock: whoever prepares segments must not see the next one gone and the table still without it.
            let mut spare = writer.spare.lock();
            let next = spare.next.take().expect("the caller has seen to it that there is room");
            assert_eq!(next.header.start, active.end(), "W1: positions go on from segment to segment");
            writer.durable = next.header.start;
            writer.active = Arc::new(next);
            writer.offset = SEGMENT_HEADER_BYTES;
            self.shared.lock().table.push(Arc::clone(&writer.active));
        }
        if sync {
            if !fault_point!("skip-one-sync") {
                syncs.push(self.timed_sync(&writer.active)?);
            }
            writer.durable = writer.position();
            assert!(writer.named_start <= start, "W6: the log's start never goes back");
            writer.named_start = start;
        }
        writer.marked = !sync;
        if buffer.capacity() > BUFFER_BYTES_KEPT {
            buffer = Vec::new();
        }
        writer.buffer = buffer;
        let mut shared = self.shared.lock();
        shared.counters.syncs += syncs.len() as u64;
        for took in syncs.into_iter().flatten() {
            shared.measurements.sync_time.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
        shared.counters.bytes_written += written;
        Ok(places)
    }

    /// Syncs, and says how long that took when somebody measures time.
    fn timed_sync(&self, segment: &Segment) -> Result<Option<Duration>, StorageError> {
        let stopwatch = self.stopwatch.load();
        let began = stopwatch.as_ref().map(|stopwatch| stopwatch());
        segment.sync()?;
        Ok(stopwatch.as_ref().zip(began).map(|(stopwatch, began)| stopwatch().saturating_sub(began)))
    }

    /// Sees to it that the batch can be written, by refusing part of it if need be.
    fn make_room(&self, writer: &mut Writer, batch: &mut Vec<Submission>) -> Result<(), StorageError> {
        let needed = room_of(batch);
        let reserve = if batch.iter().any(Submission::has_entry) { writer.reserve() } else { 0 };
        if needed + reserve <= writer.room() {
            return Ok(());
        }
        let full = match self.ensure_next(writer) {
            Err(error @ StorageError::Full { .. }) => error,
            other => return other,
        };
        // What was freed may be copied over by now; only a next segment, or enough of this one, lets the batch through.
        if self.free_a_segment(writer)? && self.has_room(writer, needed + reserve)? {
            return Ok(());
        }
        let mut shared = self.shared.lock();
        shared.refuse(batch, &full, false);
        if room_of(batch) > writer.room() {
            shared.refuse(batch, &full, true);
        }
        Ok(())
    }

    pub(super) fn ensure_next(&self, writer: &Writer) -> Result<(), StorageError> {
        self.make_next(&writer.active, &mut writer.spare.lock())
    }

    /// Whether `bytes` can be written now, in the active segment or over into a next one.
    fn has_room(&self, writer: &Writer, bytes: u64) -> Result<bool, StorageError> {
        if bytes <= writer.room() {
            return Ok(true);
        }
        match self.ensure_next(writer) {
            Ok(()) => Ok(true),
            Err(StorageError::Full { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn make_next(&self, active: &Segment, spare: &mut Spare) -> Result<(), StorageError> {
        let made = self.find_next(active, spare);
        match &made {
            Ok(()) => self.set_short(false),
            Err(StorageError::Full { .. }) => self.set_short(true),
            Err(_) => {}
        }
        made
    }

    fn find_next(&self, active: &Segment, spare: &mut Spare) -> Result<(), StorageError> {
        let (sequence, start) = (active.header.sequence + 1, active.end());
        let (seed, length) = (self.options.incarnation_seed, self.options.segment_bytes);
        // A shorter one was made for a log at rest that came to nothing. The longest record would not fit it.
        if let Some(short) = spare.next.take_if(|next| next.header.length < length) {
            segment::remove(&*self.disk, &short.name)?;
        }
        if spare.next.is_some() {
            return Ok(());
        }
        while let Some(name) = spare.pop() {
            let open = self.disk.open(&name, crate::disk::OpenMode::ReadOnly);
            let found = open.and_then(|file| file.len()).map_err(|error| StorageError::io("open", &name, error))?;
            if found == length {
                spare.next = Some(Segment::recycle(&*self.disk, &name, seed, sequence, start, length)?);
                return Ok(());
            }
            segment::remove(&*self.disk, &name)?;
        }
        self.create_next(active, spare, length)
    }

    /// Makes one more file that may become a segment. Errors: [`StorageError::Full`].
    pub(super) fn add_spare(&self, writer: &Writer) -> Result<(), StorageError> {
        let mut spare = writer.spare.lock();
        let name = segment::reserve(&*self.disk, &spare.names, self.options.segment_bytes)?;
        spare.push_whole(name);
        Ok(())
    }

    /// Frees what can be freed by reading no more than `budget` bytes. `at_leisure`: nobody waits. Returns whether
    /// something was done.
    fn reclaim(&self, writer: &mut Writer, budget: u64, at_leisure: bool) -> Result<bool, StorageError> {
        let mut done = self.release(writer)?;
        let (start, worth) = {
            let shared = self.shared.lock();
            let (total, live) = (shared.table.total_bytes(), shared.table.live_bytes());
            // Copies fill segments at least by half, but for the one being written and the one before it. With less
            // slack than those two, what is live would be copied round and round for nothing.
            let slack = self.options.reclaim_slack_bytes.max(2 * self.options.segment_bytes);
            (shared.table.start(), total > 2 * live + slack || buggify!("storage/log-reclaimed-early"))
        };
        done |= worth && self.move_forward(writer, budget)?;
        // The next batch names the new start anyhow; only an idle log writes one for that alone.
        if at_leisure && start > writer.named_start && self.name_start(writer)? {
            self.release(writer)?;
            done = true;
        }
        Ok(done)
    }

    /// Frees one segment for a writer that has no space left. Returns whether it did.
    fn free_a_segment(&self, writer: &mut Writer) -> Result<bool, StorageError> {
        loop {
            if self.release(writer)? {
                return Ok(true);
            }
            let (start, worth) = {
                let shared = self.shared.lock();
                let (total, live) = (shared.table.total_bytes(), shared.table.live_bytes());
                (shared.table.start(), total > 2 * live)
            };
            if start > writer.named_start {
                if !self.name_start(writer)? {
                    return Ok(false);
                }
            } else if !worth || !self.move_forward(writer, WAL_STEP_BYTES_MAX as u64)? {
                return Ok(false);
            }
        }
    }

    /// Writes and syncs a batch of nothing, so that the log's new start is known to recovery.
    fn name_start(&self, writer: &mut Writer) -> Result<bool, StorageError> {
        if !self.has_room(writer, room_bytes_max(BATCH_DATA_BYTES))? {
            return Ok(false);
        }
        self.write(writer, &[], true)?;
        Ok(true)
    }

    /// Gives back every segment that lies before the start known to recovery.
    fn release(&self, writer: &mut Writer) -> Result<bool, StorageError> {
        let mut released = false;
        loop {
            let Some(gone) = self.shared.lock().table.pop_before(writer.named_start) else { return Ok(released) };
            let sequence = gone.header.sequence;
            let mut spare = writer.spare.lock();
            let keep = spare.names.len() < self.options.recycle_max && gone.header.length == self.options.segment_bytes;
            if keep && !buggify!("storage/segment-not-recycled") {
                spare.push_whole(Segment::retire(&*self.disk, sequence)?);
            } else {
                segment::remove(&*self.disk, &gone.name)?;
            }
            crate::probe!("log segment freed");
            self.shared.lock().counters.segments_released += 1;
            released = true;
        }
    }

    /// Reads `budget` bytes of the oldest segment and copies what is live of them forward. Returns whether it got any
    /// further.
    fn move_forward(&self, writer: &mut Writer, budget: u64) -> Result<bool, StorageError> {
        let budget = if buggify!("storage/log-moved-by-one") { 1 } else { budget };
        let oldest = self.shared.lock().table.oldest_sealed();
        let Some((oldest, live)) = oldest else { return Ok(false) };
        if writer.search.sequence != oldest.header.sequence {
            writer.search = Search { sequence: oldest.header.sequence, ..Search::default() };
        }
        if live == 0 || writer.search.stopped {
            return Ok(false);
        }
        let blocks = FileBlocks::new(&*oldest.file, oldest.header.length, RECLAIM_READ_BLOCKS);
        let mut reader = Reader::new(blocks, oldest.header);
        let from = writer.search.offset.max(SEGMENT_HEADER_BYTES);
        reader.seek(from);
        let (mut moved, mut bytes) = (Vec::new(), 0u64);
        let mut ended = false;
        while bytes < WAL_RECLAIM_BYTES_PER_STEP as u64 && reader.offset() - from < budget {
            match reader.next().map_err(|error| StorageError::io("read", &oldest.name, error))? {
                Found::Record { offset, record } => {
                    let kind = record.content.kind();
                    if kind != Kind::Entry && Mark::of(kind).is_none() {
                        continue;
                    }
                    let live = self.shared.lock().is_live(&record, oldest.header.start.plus(offset));
                    if let Some(old) = live {
                        crate::probe!("log record moved forward");
                        bytes += room_bytes_max(record.data_bytes() + 16);
                        moved.push(Moved { stream: record.stream, content: record.content, old });
                    }
                }
                Found::End => {
                    ended = true;
                    break;
                }
                Found::Bad { offset, at, expected, found } => {
                    // What is live in it cannot be saved here; what is live behind it can.
                    let kind = DamageKind::Checksum { expected, found };
                    writer.search.met_damage = true;
                    self.shared.lock().report(Damage { segment: oldest.header.sequence, offset: at, kind });
                    let again = reader.resynchronise(offset + ALIGNMENT);
                    if !again.map_err(|error| StorageError::io("read", &oldest.name, error))? {
                        ended = true;
                        break;
                    }
                }
            }
        }
        let reached = reader.offset();
        if !moved.is_empty() {
            let needed = bytes + 2 * room_bytes_max(BATCH_DATA_BYTES);
            if !self.has_room(writer, needed)? {
                return Ok(false);
            }
            let outgoing = moved.iter().map(|moved| Outgoing {
                stream: moved.stream,
                content: &moved.content,
                moved_from: Some(moved.old.original),
            });
            let places = self.write(writer, &outgoing.collect::<Vec<_>>(), true)?;
            self.shared.lock().commit_moved(&moved, &places);
        }
        writer.search.offset = reached;
        writer.search.moved |= !moved.is_empty();
        if ended {
            // What a queued record removes is still counted at the end: then the search begins again later.
            let Search { sequence, met_damage, moved, .. } = writer.search;
            writer.search = Search { sequence, stopped: met_damage && !moved, ..Search::default() };
        }
        Ok(!moved.is_empty() || (!ended && reached > from))
    }

    fn stop(&self, error: &StorageError) {
        let waiting: Vec<_> = {
            let mut shared = self.shared.lock();
            shared.poisoned.get_or_insert_with(|| error.clone());
            shared.queue.drain(..).collect()
        };
        let error = StorageError::Poisoned(Box::new(error.clone()));
        for submission in waiting {
            complete(submission.completion, Err(error.clone()));
        }
    }
}

impl Writer {
    /// What is left of the active segment.
    pub(super) fn room(&self) -> u64 {
        self.active.header.length - self.offset
    }

    /// What entries leave of the active segment for others, while no next one is ready.
    fn reserve(&self) -> u64 {
        self.active.header.length / 8
    }

    fn position(&self) -> Lsn {
        self.active.header.start.plus(self.offset)
    }
}

fn room_of(batch: &[Submission]) -> u64 {
    batch.iter().map(|submission| submission.room).sum::<u64>() + 2 * room_bytes_max(BATCH_DATA_BYTES)
}
