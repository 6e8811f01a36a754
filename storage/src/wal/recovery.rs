//! Opening the log: find its segments, read them forward, decide where it ends, and say what cannot be trusted.
//!
//! Bytes that do not fit are a torn tail when nothing says that they were durable, and rot when something does. The end
//! of the log is where the torn tail begins: everything behind it in the segment is overwritten with zeros before
//! anything new is written, because what a crash left there was written by the same incarnation and would pass for new.

mod replay;
pub(super) mod survey;

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use self::replay::Replay;
use super::format::{ALIGNMENT, BATCH_DATA_BYTES, FRAGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use super::index::{Live, Stream};
use super::reader::{FileBlocks, Found, Reader};
use super::retention::SegmentTable;
use super::segment::{Segment, is_spare_name, parse_segment_name, remove, segment_name};
use super::shared::Shared;
use super::writer::{Search, Spare, Writer};
use super::{Damage, DamageKind, Lsn, StreamId, WalOptions};
use crate::disk::{Disk, OpenMode};
use crate::error::StorageError;
use crate::fault::fault_point;
use crate::sync::Mutex;

/// Blocks read at once while scanning.
const SCAN_BLOCKS: u64 = 16;

/// Zeros are written, and looked for, in pieces of this many bytes.
const ZERO_BYTES: u64 = 64 << 10;

/// Compared with at the speed of memory, as a loop over bytes is not.
static ZEROS: [u8; ZERO_BYTES as usize] = [0; ZERO_BYTES as usize];

/// An opened log, before it becomes a [`super::Wal`].
pub(super) struct Recovered {
    /// The newest checkpoint generation the log knows was published.
    pub(super) generation: u64,
    /// Streams whose suspicion is new, and why.
    pub(super) suspects: Vec<(StreamId, Damage)>,
    streams: FxHashMap<StreamId, Stream>,
    links: FxHashMap<StreamId, Lsn>,
    damage: Vec<Damage>,
    /// Damage found, and accepted before.
    accepted: Vec<Damage>,
    segments: Vec<Arc<Segment>>,
    offset: u64,
    named_start: Lsn,
    next_ticket: u64,
    cache_bytes: usize,
    spare: Spare,
    torn_bytes: u64,
    /// To be replaced before anything else is written.
    pub(super) proof: Option<Proof>,
}

/// Where the log ends: in which of the chain's segments, and at which offset of it.
struct Tail {
    segment: usize,
    offset: u64,
    /// What tells damage before it from a torn tail, when that stands behind it in the same segment.
    proof: Option<Proof>,
}

/// A batch record, whole, among bytes that will be overwritten: as long as nothing else says what it says, it stays.
#[derive(Clone)]
pub(super) struct Proof {
    segment: Arc<Segment>,
    offset: u64,
}

/// Bytes of a batch record.
const PROOF_BYTES: u64 = (FRAGMENT_HEADER_BYTES + BATCH_DATA_BYTES).next_multiple_of(ALIGNMENT as usize) as u64;

/// Segments by sequence without a hole: `None` stands for one that is missing or unreadable.
struct Chain {
    first: u64,
    links: Vec<Option<Arc<Segment>>>,
}

/// Reads the log in `disk`. See [`super::Wal::open`].
pub(super) fn recover(disk: &dyn Disk, options: &WalOptions, start: Lsn) -> Result<Recovered, StorageError> {
    let names = disk.list().map_err(|error| StorageError::io("list", &disk.describe(), error))?;
    let mut spare =
        Spare { next: None, names: names.iter().filter(|name| is_spare_name(name)).cloned().collect(), whole: 0 };
    // A process that was killed leaves names and bytes that are seen but not durable.
    disk.sync_directory().map_err(|error| StorageError::io("sync directory", &disk.describe(), error))?;
    let chain = Chain::open(disk, &names)?;
    if chain.links.iter().all(Option::is_none) {
        return begin(disk, options, &chain, start, spare);
    }
    let mut replay = Replay::default();
    let tail = scan(&chain, start, &mut replay, &mut |_| {})?;
    let proof = tail.proof.clone();
    let (segments, offset, torn_bytes) = end_log(disk, options, &chain, tail, replay.durable(), &mut spare)?;
    let end = segments.last().map_or(Lsn::ZERO, |last| last.header.start.plus(offset));
    if end < start {
        return Err(StorageError::LogMissing { start: start.get(), end: end.get() });
    }
    let oldest = segments.first().map_or(Lsn::ZERO, |first| first.header.start);
    let recovered = replay.finish(oldest, chain.first, options.cache_bytes, segments, offset, spare);
    Ok(Recovered { proof, torn_bytes, ..recovered })
}

/// A log that has nothing yet.
fn begin(
    disk: &dyn Disk,
    options: &WalOptions,
    chain: &Chain,
    start: Lsn,
    spare: Spare,
) -> Result<Recovered, StorageError> {
    for sequence in chain.first..chain.first + chain.links.len() as u64 {
        let name = segment_name(sequence);
        if holds_something(disk, &name)? {
            let damage = Damage { segment: sequence, offset: 0, kind: DamageKind::Segment };
            return Err(StorageError::WalDamaged { damage });
        }
    }
    if start > Lsn::ZERO {
        return Err(StorageError::LogMissing { start: start.get(), end: 0 });
    }
    for sequence in chain.first..chain.first + chain.links.len() as u64 {
        remove(disk, &segment_name(sequence))?;
    }
    let length = options.first_segment_bytes;
    let segment = Segment::create(disk, options.incarnation_seed, 1, Lsn::ZERO, length)?;
    let segments = vec![Arc::new(segment)];
    Ok(Replay::default().finish(Lsn::ZERO, 1, options.cache_bytes, segments, SEGMENT_HEADER_BYTES, spare))
}

/// Whether a file without a header has bytes behind the place of the header: then it once was a segment in use, not one
/// whose creation was cut short.
fn holds_something(disk: &dyn Disk, name: &str) -> Result<bool, StorageError> {
    let io = |error| StorageError::io("read", name, error);
    let file = disk.open(name, OpenMode::ReadOnly).map_err(io)?;
    let length = file.len().map_err(io)?;
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut piece = vec![0; ZERO_BYTES as usize];
    while offset < length {
        piece.resize((length - offset).min(ZERO_BYTES) as usize, 0);
        file.read_exact_at(&mut piece, offset).map_err(io)?;
        if piece != ZEROS[..piece.len()] {
            return Ok(true);
        }
        offset += piece.len() as u64;
    }
    Ok(false)
}

impl Chain {
    fn open(disk: &dyn Disk, names: &[String]) -> Result<Self, StorageError> {
        let mut sequences: Vec<u64> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
        sequences.sort_unstable();
        let (Some(first), Some(last)) = (sequences.first().copied(), sequences.last().copied()) else {
            return Ok(Self { first: 1, links: Vec::new() });
        };
        if last - first > MISSING_MAX {
            let damage = Damage { segment: first, offset: 0, kind: DamageKind::Segment };
            return Err(StorageError::WalDamaged { damage });
        }
        let mut links: Vec<Option<Arc<Segment>>> = Vec::new();
        let mut end = Lsn::ZERO;
        for sequence in sequences {
            while first + (links.len() as u64) < sequence {
                links.push(None);
            }
            // A header that is whole, but of a file put here by somebody else, is no better than a broken one.
            let segment = Segment::open(disk, sequence)?.filter(|segment| segment.header.start >= end);
            end = segment.as_ref().map_or(end, Segment::end);
            links.push(segment.map(Arc::new));
        }
        Ok(Self { first, links })
    }

    fn sequence(&self, link: usize) -> u64 {
        self.first + link as u64
    }

    /// The start of the first readable segment from `link` on.
    fn start_after(&self, link: usize) -> Option<Lsn> {
        self.links.iter().skip(link).flatten().map(|segment| segment.header.start).next()
    }
}

/// The log never has more segments; a name further off is not ours, and no reason to look for what is between.
const MISSING_MAX: u64 = 1 << 16;

/// Reads forward to where the log ends. `begins` is told of each segment before it is read.
fn scan(
    chain: &Chain,
    start: Lsn,
    replay: &mut Replay,
    begins: &mut dyn FnMut(&Segment),
) -> Result<Tail, StorageError> {
    // The greatest position known durable; found out when the first bad bytes are met.
    let mut durable: Option<(Lsn, Option<Proof>)> = None;
    let mut tail = Tail { segment: 0, offset: SEGMENT_HEADER_BYTES, proof: None };
    // Whether the segment before said that the log goes on.
    let mut goes_on = false;
    for (link, segment) in chain.links.iter().enumerate() {
        let Some(segment) = segment else {
            let ends = tail_position(chain, &tail);
            let known = match &durable {
                Some((durable, _)) => *durable,
                None => durable.insert(evidence(chain, link, 0, start)?).0,
            };
            // What comes before everything else that is there was never the end.
            if !goes_on && known <= ends && chain.links[..link].iter().any(Option::is_some) {
                return Ok(tail);
            }
            let damage = Damage { segment: chain.sequence(link), offset: 0, kind: DamageKind::Segment };
            replay.gap(damage, ends, chain.start_after(link).unwrap_or(Lsn::new(u64::MAX)));
            goes_on = true;
            continue;
        };
        tail = Tail { segment: link, offset: SEGMENT_HEADER_BYTES, proof: None };
        begins(segment);
        let blocks = FileBlocks::new(&*segment.file, segment.header.length, SCAN_BLOCKS);
        let mut reader = Reader::new(blocks, segment.header);
        let io = |error| StorageError::io("read", &segment.name, error);
        goes_on = loop {
            match reader.next().map_err(io)? {
                Found::Record { offset, record } => {
                    replay.record(segment, offset, reader.offset(), record);
                    tail.offset = reader.offset();
                }
                Found::End => break true,
                Found::Bad { offset, at, expected, found } => {
                    let bad = segment.header.start.plus(offset);
                    let is_first = durable.is_none();
                    let (known, proof) = match &mut durable {
                        Some((durable, proof)) => (*durable, proof),
                        None => {
                            let (durable, proof) = durable.insert(evidence(chain, link, offset, start)?);
                            (*durable, proof)
                        }
                    };
                    if known <= bad || fault_point!("cut-at-rot") {
                        tail.offset = offset;
                        let stands_behind =
                            |proof: &Proof| Arc::ptr_eq(&proof.segment, segment) && proof.offset >= offset;
                        tail.proof = proof.take().filter(|proof| !is_first && stands_behind(proof));
                        return Ok(tail);
                    }
                    // W4: what was durable is never cut. Go on behind it, trusting only what links prove.
                    let found_again = reader.resynchronise(offset + ALIGNMENT).map_err(io)?;
                    let kind = DamageKind::Checksum { expected, found };
                    let damage = Damage { segment: segment.header.sequence, offset: at, kind };
                    let ends = if found_again { segment.header.start.plus(reader.offset()) } else { segment.end() };
                    replay.gap(damage, bad, ends);
                    if !found_again {
                        tail.offset = segment.header.length;
                        break true;
                    }
                }
            }
        };
        if goes_on {
            tail.offset = segment.header.length;
        }
    }
    if goes_on {
        // The writer makes the next segment durable before it leaves one: it was there and is lost, all of it.
        let sequence = chain.sequence(chain.links.len());
        let damage = Damage { segment: sequence, offset: 0, kind: DamageKind::Segment };
        replay.gap(damage, tail_position(chain, &tail), Lsn::new(u64::MAX));
    }
    Ok(tail)
}

fn tail_position(chain: &Chain, tail: &Tail) -> Lsn {
    let segment = chain.links.get(tail.segment).and_then(Option::as_ref);
    segment.map_or(Lsn::ZERO, |segment| segment.header.start.plus(tail.offset))
}

/// The greatest position that is known durable, because a batch record at or behind (`link`, `offset`) names it, or the
/// superblock names it as `start`.
fn evidence(chain: &Chain, link: usize, offset: u64, start: Lsn) -> Result<(Lsn, Option<Proof>), StorageError> {
    let mut greatest = (start, None);
    for (at, segment) in chain.links.iter().enumerate().skip(link) {
        let Some(segment) = segment else { continue };
        let blocks = FileBlocks::new(&*segment.file, segment.header.length, SCAN_BLOCKS);
        let from = if at == link { offset } else { 0 };
        let found = Reader::new(blocks, segment.header).durable_evidence(from);
        let found = found.map_err(|error| StorageError::io("read", &segment.name, error))?;
        if let Some((durable, offset)) = found.filter(|(durable, _)| *durable > greatest.0) {
            greatest = (durable, Some(Proof { segment: Arc::clone(segment), offset }));
        }
    }
    Ok(greatest)
}

/// Makes the log end at `tail`: what lies behind it never comes back. Gives the segments, the offset in the last one at which
/// the log goes on, and how many bytes that were something are nothing now.
fn end_log(
    disk: &dyn Disk,
    options: &WalOptions,
    chain: &Chain,
    tail: Tail,
    durable: Lsn,
    spare: &mut Spare,
) -> Result<(Vec<Arc<Segment>>, u64, u64), StorageError> {
    let mut segments: Vec<_> = chain.links[..=tail.segment].iter().flatten().cloned().collect();
    let last = Arc::clone(segments.last().expect("the tail lies in a segment that is there"));
    let lost_behind = tail.offset >= last.header.length;
    // From the newest on, so that the names stay one run.
    for link in (tail.segment + 1..chain.links.len()).rev() {
        let sequence = chain.sequence(link);
        match &chain.links[link] {
            Some(next) if link == tail.segment + 1 && !lost_behind && next.header.start == last.end() => {
                // Prepared, and nothing in it counts: whatever was written there follows what was cut.
                next.write_header()?;
                zero_from(next, SEGMENT_HEADER_BYTES)?;
                let next = Segment { header: next.header, name: next.name.clone(), file: Arc::clone(&next.file) };
                spare.next = Some(next);
            }
            Some(_) if !lost_behind => spare.names.push(Segment::retire(disk, sequence)?),
            _ if names_exist(disk, sequence)? => remove(disk, &segment_name(sequence))?,
            _ => {}
        }
    }
    // A sync that failed when the log went on to its last segment leaves the end of the one before only seen.
    for segment in segments[..segments.len() - 1].iter().filter(|segment| segment.end() > durable) {
        write_again(segment, durable, segment.header.length)?;
        segment.sync()?;
    }
    if !lost_behind {
        write_again(&last, durable, tail.offset)?;
        let torn_bytes = match &tail.proof {
            None => zero_from(&last, tail.offset)?,
            Some(proof) => zero(&last, tail.offset..proof.offset)? + zero_from(&last, proof.offset + PROOF_BYTES)?,
        };
        return Ok((segments, tail.offset, torn_bytes));
    }
    // Segments behind the last readable one are lost. Positions go on where the lost ones cannot have reached, and a name is
    // left out: with it missing the next recovery sees the loss as well, should this one not come to say who suffered it.
    let lost = (chain.links.len() - tail.segment).max(2) as u64;
    let sequence = last.header.sequence + lost;
    let start = last.end().plus(lost * options.segment_bytes);
    let fresh = Segment::create(disk, options.incarnation_seed, sequence, start, options.segment_bytes)?;
    segments.push(Arc::new(fresh));
    Ok((segments, SEGMENT_HEADER_BYTES, 0))
}

fn names_exist(disk: &dyn Disk, sequence: u64) -> Result<bool, StorageError> {
    match disk.open(&segment_name(sequence), OpenMode::ReadOnly) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StorageError::io("open", &segment_name(sequence), error)),
    }
}

/// Writes what is not known durable up to `end` once more. When a process ended because a sync failed, the system may
/// hold the bytes, call them clean, and never write them: a sync alone would then prove nothing.
fn write_again(segment: &Segment, durable: Lsn, end: u64) -> Result<(), StorageError> {
    if durable <= segment.header.start.plus(SEGMENT_HEADER_BYTES) {
        segment.write_header()?;
    }
    let mut at = durable.get().saturating_sub(segment.header.start.get()).max(SEGMENT_HEADER_BYTES);
    let mut piece = Vec::new();
    while at < end {
        piece.resize((end - at).min(ZERO_BYTES) as usize, 0);
        segment.file.read_exact_at(&mut piece, at).map_err(|error| StorageError::io("read", &segment.name, error))?;
        segment.write(&piece, at)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Overwrites what is not zero from `offset` on, and makes everything in the segment durable. Gives how many bytes it was.
fn zero_from(segment: &Segment, offset: u64) -> Result<u64, StorageError> {
    let overwritten = zero(segment, offset..segment.header.length)?;
    segment.sync()?;
    Ok(overwritten)
}

fn zero(segment: &Segment, bytes: Range<u64>) -> Result<u64, StorageError> {
    let mut overwritten = 0;
    let mut at = bytes.start;
    let mut piece = vec![0; ZERO_BYTES as usize];
    while at < bytes.end {
        piece.resize((bytes.end - at).min(ZERO_BYTES - at % ZERO_BYTES) as usize, 0);
        segment.file.read_exact_at(&mut piece, at).map_err(|error| StorageError::io("read", &segment.name, error))?;
        if piece != ZEROS[..piece.len()] {
            overwritten += piece.iter().filter(|byte| **byte != 0).count() as u64;
            piece.fill(0);
            segment.write(&piece, at)?;
        }
        at += piece.len() as u64;
    }
    Ok(overwritten)
}

impl Proof {
    /// Something durable says what it says: nothing may be read here any more. `written`: where in the segment new records
    /// end, when it is still being written.
    pub(super) fn forget(&self, active: &Arc<Segment>, written: u64) -> Result<(), StorageError> {
        if !Arc::ptr_eq(&self.segment, active) || written >= self.offset + PROOF_BYTES {
            return Ok(());
        }
        zero(&self.segment, written.max(self.offset)..self.offset + PROOF_BYTES)?;
        self.segment.sync()
    }
}

impl Recovered {
    /// The parts of a [`super::Wal`].
    pub(super) fn into_parts(mut self) -> (Writer, Shared) {
        let mut table = SegmentTable::default();
        for segment in &self.segments {
            table.push(Arc::clone(segment));
        }
        for stream in self.streams.values_mut() {
            stream.live = stream.places().fold(Live::default(), |mut live, place| {
                table.count(place);
                live.count(place);
                live
            });
        }
        let active = Arc::clone(self.segments.last().expect("a log has a segment"));
        let writer = Writer {
            durable: active.header.start.plus(self.offset),
            active,
            offset: self.offset,
            named_start: self.named_start,
            links: self.links,
            marked: false,
            search: Search::default(),
            buffer: Vec::new(),
            spare: Arc::new(Mutex::new(self.spare)),
        };
        let mut shared = Shared::new(self.streams, table, self.damage, self.cache_bytes, self.next_ticket);
        shared.counters.torn_bytes = self.torn_bytes;
        (writer, shared)
    }
}
