//! The log as it lies there, without opening it: what an opening would find, and what it would then change.
//!
//! The same scan as an opening's, through a disk that need not be writable. Nothing is cut, zeroed, retired or recorded.
//! In memory it takes what an open log takes: a place for each live entry, no payload of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::replay::Replay;
use super::{Chain, ZERO_BYTES, scan};
use crate::disk::{Disk, OpenMode};
use crate::error::StorageError;
use crate::wal::format::{HeaderFound, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::wal::retention::SegmentTable;
use crate::wal::segment::{Segment, is_spare_name, segment_name};
use crate::wal::writer::Spare;
use crate::wal::{Damage, DamageKind, Lsn, StreamId, StreamState};

/// What a log was found to be.
#[derive(Clone, Debug, Default)]
pub struct LogSurvey {
    /// Every sequence from the oldest name to the newest, those that are missing included.
    pub segments: Vec<SegmentSurvey>,
    /// Files kept to become segments, with their lengths.
    pub spares: Vec<(String, u64)>,
    /// What each stream is.
    pub streams: BTreeMap<StreamId, StreamSurvey>,
    /// Where the log begins, as its newest batch names it.
    pub named_start: Lsn,
    /// Where the log ends: an opening would go on here.
    pub end: Lsn,
    /// Everything before it is known to be durable.
    pub durable: Lsn,
    /// Whole records up to the end.
    pub records: u64,
    /// Bytes behind the end up to the last that is not zero: a write that power or a kill cut short.
    pub torn_bytes: u64,
    /// Whether the last thing written was that the log was closed.
    pub closed: bool,
    /// The newest checkpoint generation recorded.
    pub generation: u64,
    /// Places that do not hold what was written there.
    pub damage: Vec<Damage>,
    /// The same, where what was lost has been accepted as lost.
    pub damage_accepted: Vec<Damage>,
    /// Whether streams of which no record is left may have been lost, and that was not accepted.
    pub may_lack_streams: bool,
}

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSurvey {
    /// Its number, which is in its name.
    pub sequence: u64,
    /// Its name in the directory.
    pub name: String,
    /// What it is.
    pub state: SegmentState,
    /// Length of the file; 0 when it is missing.
    pub file_bytes: u64,
    /// Differs for every use of a file; seeds its checksums.
    pub incarnation: u64,
    /// Position of its first byte.
    pub start: Lsn,
    /// Position behind its last byte.
    pub end: Lsn,
    /// Records in it that still count.
    pub live_records: u64,
    /// Their room.
    pub live_bytes: u64,
}

/// What a segment file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Part of the log.
    InUse,
    /// Behind the end of the log: made in advance, and nothing in it counts.
    Prepared,
    /// There is no such file, though there are an older and a newer one.
    Missing,
    /// Its header is not one, or not that of a segment with this name, length and place.
    Unreadable,
}

/// A stream of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSurvey {
    /// What an opening would say of it, except that `suspect` is only what the log records already.
    pub state: StreamState,
    /// Records of it that still count.
    pub live_records: u64,
    /// Their room.
    pub live_bytes: u64,
    /// Why an opening would make it suspect.
    pub lost: Option<Damage>,
    /// Runs of entries that are whole, first and last index of each; more than one: what is between them is lost.
    pub runs: Vec<(u64, u64)>,
}

/// Reads the log in `disk`; `start` is the position the superblock names. `reads` is told, before each segment, how many
/// bytes of the log lie before it, and how many there are.
///
/// Errors: `NewerFormat`, and the machine's. Damage is in the survey.
pub fn survey(disk: &dyn Disk, start: Lsn, reads: &mut dyn FnMut(u64, u64)) -> Result<LogSurvey, StorageError> {
    let names = disk.list().map_err(|error| StorageError::io("list", &disk.describe(), error))?;
    let chain = Chain::open(disk, &names)?;
    let mut survey = LogSurvey::default();
    for name in names.iter().filter(|name| is_spare_name(name)) {
        survey.spares.push((name.clone(), length_of(disk, name)?.unwrap_or(0)));
    }
    for link in 0..chain.links.len() {
        survey.segments.push(describe(disk, &chain, link)?);
    }
    if chain.links.iter().all(Option::is_none) {
        for segment in &survey.segments {
            survey.damage.push(Damage { segment: segment.sequence, offset: 0, kind: DamageKind::Segment });
        }
        return Ok(survey);
    }
    let mut replay = Replay::default();
    let total = survey.segments.iter().map(|segment| segment.file_bytes).sum();
    let mut before = 0;
    let tail = scan(&chain, start, &mut replay, &mut |segment| {
        reads(before, total);
        before += segment.header.length;
    })?;
    let segments: Vec<_> = chain.links[..=tail.segment].iter().flatten().cloned().collect();
    let last = Arc::clone(segments.last().expect("the tail lies in a segment that is there"));
    survey.end = last.header.start.plus(tail.offset);
    survey.torn_bytes = not_zero_behind(&last, tail.offset)?;
    survey.durable = replay.durable();
    (survey.records, survey.closed) = replay.records();
    survey.closed &= survey.torn_bytes == 0;
    for behind in survey.segments.iter_mut().skip(tail.segment + 1) {
        if behind.state == SegmentState::InUse {
            behind.state = SegmentState::Prepared;
        }
    }
    let oldest = segments.first().map_or(Lsn::ZERO, |first| first.header.start);
    let recovered = replay.finish(oldest, chain.first, 0, segments, tail.offset, Spare::default());
    survey.generation = recovered.generation;
    survey.named_start = recovered.named_start;
    survey.damage = recovered.damage;
    survey.damage_accepted = recovered.accepted;
    let mut table = SegmentTable::default();
    recovered.segments.iter().for_each(|segment| table.push(Arc::clone(segment)));
    for (id, stream) in &recovered.streams {
        let mut surveyed = StreamSurvey { state: stream.state(), ..StreamSurvey::default() };
        surveyed.runs = stream.runs();
        for place in stream.places() {
            table.count(place);
            surveyed.live_records += 1;
            surveyed.live_bytes += u64::from(place.bytes);
        }
        match *id {
            StreamId::LOG => survey.may_lack_streams = stream.suspect.is_some(),
            id => drop(survey.streams.insert(id, surveyed)),
        }
    }
    for (id, damage) in recovered.suspects {
        match id {
            StreamId::LOG => survey.may_lack_streams = true,
            id => survey.streams.entry(id).or_default().lost = Some(damage),
        }
    }
    for (segment, live_records, live_bytes) in table.rows() {
        let at = usize::try_from(segment.header.sequence - chain.first).expect("the chain is in memory");
        (survey.segments[at].live_records, survey.segments[at].live_bytes) = (live_records, live_bytes);
    }
    reads(total, total);
    Ok(survey)
}

fn describe(disk: &dyn Disk, chain: &Chain, link: usize) -> Result<SegmentSurvey, StorageError> {
    let (sequence, name) = (chain.sequence(link), segment_name(chain.sequence(link)));
    let length = length_of(disk, &name)?;
    // What the header of a file that is not in the chain says is still worth showing.
    let header = match &chain.links[link] {
        Some(segment) => Some(segment.header),
        None => header_of(disk, &name, length.unwrap_or(0))?,
    };
    let state = match (&chain.links[link], length) {
        (Some(_), _) => SegmentState::InUse,
        (None, Some(_)) => SegmentState::Unreadable,
        (None, None) => SegmentState::Missing,
    };
    Ok(SegmentSurvey {
        sequence,
        name,
        state,
        file_bytes: length.unwrap_or(0),
        incarnation: header.map_or(0, |header| header.incarnation),
        start: header.map_or(Lsn::ZERO, |header| header.start),
        end: header.map_or(Lsn::ZERO, |header| header.start.plus(header.length)),
        live_records: 0,
        live_bytes: 0,
    })
}

fn header_of(disk: &dyn Disk, name: &str, length: u64) -> Result<Option<SegmentHeader>, StorageError> {
    if length < SEGMENT_HEADER_BYTES {
        return Ok(None);
    }
    let io = |error| StorageError::io("read", name, error);
    let mut bytes = vec![0; SEGMENT_HEADER_BYTES as usize];
    disk.open(name, OpenMode::ReadOnly).and_then(|file| file.read_exact_at(&mut bytes, 0)).map_err(io)?;
    match SegmentHeader::decode(&bytes) {
        HeaderFound::Valid(header) => Ok(Some(header)),
        HeaderFound::Newer(_) | HeaderFound::Invalid => Ok(None),
    }
}

fn length_of(disk: &dyn Disk, name: &str) -> Result<Option<u64>, StorageError> {
    match disk.open(name, OpenMode::ReadOnly).and_then(|file| file.len()) {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("open", name, error)),
    }
}

/// From `offset` to behind the last byte that is not zero.
fn not_zero_behind(segment: &Segment, offset: u64) -> Result<u64, StorageError> {
    let mut at = offset;
    let mut last = offset;
    let mut piece = Vec::new();
    while at < segment.header.length {
        piece.resize((segment.header.length - at).min(ZERO_BYTES) as usize, 0);
        segment.file.read_exact_at(&mut piece, at).map_err(|error| StorageError::io("read", &segment.name, error))?;
        if let Some(within) = piece.iter().rposition(|byte| *byte != 0) {
            last = at + within as u64 + 1;
        }
        at += piece.len() as u64;
    }
    Ok(last - offset)
}
