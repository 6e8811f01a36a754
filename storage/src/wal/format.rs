//! The bytes of a segment: header, blocks, fragments, records.
//!
//! A segment is a header of 4 KiB followed by blocks of 32 KiB (the header takes the first 4 KiB of the first block).
//! Every block starts with a fragment, so that a reader lost in damaged bytes finds its way again. Fragments start at
//! multiples of 8 and never cross a block. All integers are little-endian.
//!
//! ```text
//! segment header, at 0 and again at 2048
//!   0  magic "PhotonWL"      8
//!   8  version              u32   of the newest kind of record that may be in it
//!  12  checksum             u32   of bytes 16..48, seeded with the incarnation, position 0
//!  16  incarnation          u64
//!  24  sequence             u64
//!  32  start                u64   the log position of byte 0 of this file
//!  40  length               u64   of the file
//!
//! fragment
//!   0  checksum             u32   of bytes 4..8 and the data, seeded with the incarnation, position = log position
//!   4  length               u16   of the data
//!   6  part                 u8    1 full, 2 first, 3 middle, 4 last, 5 end of segment, 6 filler to the end of the block
//!   7  kind                 u8    of the record; 0 for parts 5 and 6
//!   8  data, then zeros up to a multiple of 8
//!
//! record (the data of its fragments, joined)
//!   0  stream               u64
//!   8  link                 u64   position of the stream's previous record, 0 for its first
//!  16  content, by kind
//!        1 batch             durable u64, start u64      (stream = all ones; never fragmented)
//!        2 entry             index u64, term u64, payload
//!        3 vote              payload
//!        4 committed         payload
//!        5 truncate          from u64
//!        6 purge             upto u64, payload
//!        7 born              payload
//!        8 erased            nothing
//!        9 suspect           segment u64, offset u64     (where the damage was)
//!       10 moved             original position u64, kind u8, zeros 7, content of that kind
//!       11 checkpoint        generation u64              (stream = all ones)
//!       12 clean shutdown    nothing                     (stream = all ones)
//!       13 loss accepted     from u64, end u64           (version 2)
//! ```

use bytes::Bytes;

use super::{Lsn, StreamId};
use crate::checksum::checksum;

/// The unit in which reading finds its way again.
pub(crate) const BLOCK_BYTES: u64 = 32 << 10;
/// Where the first fragment of a segment is.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 4096;
/// Where the header is repeated, so that one bad sector does not cost a segment.
pub(crate) const SEGMENT_HEADER_COPY: u64 = 2048;
/// The bytes of a header that say something.
pub(crate) const SEGMENT_HEADER_USED: usize = 48;
/// What stands before the data of each fragment.
pub(crate) const FRAGMENT_HEADER_BYTES: usize = 8;
/// What stands before the content of each record.
pub(crate) const RECORD_HEADER_BYTES: usize = 16;
/// Fragments start at multiples of this.
pub(crate) const ALIGNMENT: u64 = 8;
/// The data of a batch record.
pub(crate) const BATCH_DATA_BYTES: usize = RECORD_HEADER_BYTES + 16;
/// The newest version read.
pub(crate) const VERSION: u32 = 2;
/// The version of a segment in which every program can read everything.
pub(crate) const VERSION_FIRST: u32 = 1;

const MAGIC: [u8; 8] = *b"PhotonWL";

/// What a record says. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Batch = 1,
    Entry = 2,
    Vote = 3,
    Committed = 4,
    Truncate = 5,
    Purge = 6,
    Born = 7,
    Erased = 8,
    Suspect = 9,
    Moved = 10,
    Checkpoint = 11,
    CleanShutdown = 12,
    LossAccepted = 13,
}

impl Kind {
    pub(crate) fn decode(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Batch,
            2 => Self::Entry,
            3 => Self::Vote,
            4 => Self::Committed,
            5 => Self::Truncate,
            6 => Self::Purge,
            7 => Self::Born,
            8 => Self::Erased,
            9 => Self::Suspect,
            10 => Self::Moved,
            11 => Self::Checkpoint,
            12 => Self::CleanShutdown,
            13 => Self::LossAccepted,
            _ => return None,
        })
    }

    /// The version of a segment that may hold it. Programs that do not know the kind would take it for damage, so they
    /// must not open such a segment.
    pub(crate) fn version(self) -> u32 {
        if self == Self::LossAccepted { 2 } else { VERSION_FIRST }
    }
}

/// Which piece of a record a fragment is. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Part {
    Full = 1,
    First = 2,
    Middle = 3,
    Last = 4,
    End = 5,
    Filler = 6,
}

impl Part {
    fn decode(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Full,
            2 => Self::First,
            3 => Self::Middle,
            4 => Self::Last,
            5 => Self::End,
            6 => Self::Filler,
            _ => return None,
        })
    }
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub version: u32,
    pub incarnation: u64,
    pub sequence: u64,
    pub start: Lsn,
    pub length: u64,
}

/// What the first bytes of a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFound {
    Valid(SegmentHeader),
    Newer(u32),
    Invalid,
}

impl SegmentHeader {
    /// The header of a segment without anything in it.
    pub(crate) fn first_version(incarnation: u64, sequence: u64, start: Lsn, length: u64) -> Self {
        Self { version: VERSION_FIRST, incarnation, sequence, start, length }
    }

    /// The whole 4 KiB.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut one = Vec::with_capacity(SEGMENT_HEADER_USED);
        one.extend_from_slice(&MAGIC);
        one.extend_from_slice(&self.version.to_le_bytes());
        one.extend_from_slice(&[0; 4]);
        for field in [self.incarnation, self.sequence, self.start.get(), self.length] {
            one.extend_from_slice(&field.to_le_bytes());
        }
        let sum = checksum(self.incarnation, 0, &[&one[16..]]);
        one[12..16].copy_from_slice(&sum.to_le_bytes());
        let mut all = vec![0; SEGMENT_HEADER_BYTES as usize];
        all[..SEGMENT_HEADER_USED].copy_from_slice(&one);
        let copy = SEGMENT_HEADER_COPY as usize;
        all[copy..copy + SEGMENT_HEADER_USED].copy_from_slice(&one);
        all
    }

    /// Reads the 4 KiB, from whichever of the two copies is whole.
    pub(crate) fn decode(bytes: &[u8]) -> HeaderFound {
        let copies = [Some(bytes), bytes.get(SEGMENT_HEADER_COPY as usize..)];
        let found = copies.into_iter().flatten().map(Self::decode_one);
        let mut newer = None;
        for one in found {
            match one {
                HeaderFound::Valid(header) => return HeaderFound::Valid(header),
                HeaderFound::Newer(version) => newer = Some(version),
                HeaderFound::Invalid => {}
            }
        }
        newer.map_or(HeaderFound::Invalid, HeaderFound::Newer)
    }

    fn decode_one(bytes: &[u8]) -> HeaderFound {
        let mut fields = Fields::new(bytes);
        let header = || -> Option<HeaderFound> {
            if fields.take(8)? != MAGIC {
                return None;
            }
            let version = fields.u32()?;
            let sum = fields.u32()?;
            let covered = fields.rest.get(..SEGMENT_HEADER_USED - 16)?;
            let incarnation = fields.u64()?;
            if checksum(incarnation, 0, &[covered]) != sum {
                return None;
            }
            if version > VERSION {
                return Some(HeaderFound::Newer(version));
            }
            let (sequence, start, length) = (fields.u64()?, Lsn::new(fields.u64()?), fields.u64()?);
            let header = Self { version, incarnation, sequence, start, length };
            let sensible = header.length >= BLOCK_BYTES
                && header.length.is_multiple_of(BLOCK_BYTES)
                && header.start.get().checked_add(header.length).is_some();
            sensible.then_some(HeaderFound::Valid(header))
        }();
        header.unwrap_or(HeaderFound::Invalid)
    }
}

/// The eight bytes before the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FragmentHeader {
    pub checksum: u32,
    pub length: u16,
    pub part: Part,
    pub kind: u8,
}

impl FragmentHeader {
    /// `None` when no writer ever wrote such bytes; the checksum is not looked at.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let checksum = fields.u32()?;
        let length = u16::from_le_bytes(fields.take(2)?.try_into().ok()?);
        let part = Part::decode(*fields.take(1)?.first()?)?;
        let kind = *fields.take(1)?.first()?;
        let known = match part {
            Part::End => kind == 0 && length == 0,
            Part::Filler => kind == 0,
            Part::Full | Part::First | Part::Middle | Part::Last => Kind::decode(kind).is_some(),
        };
        known.then_some(Self { checksum, length, part, kind })
    }

    /// What the checksum of these bytes should be.
    pub(crate) fn expected(&self, incarnation: u64, position: Lsn, data: &[u8]) -> u32 {
        let [low, high] = self.length.to_le_bytes();
        checksum(incarnation, position.get(), &[&[low, high, self.part as u8, self.kind], data])
    }
}

/// A record as read or to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRecord {
    pub stream: StreamId,
    pub link: Lsn,
    /// Where the record first stood, when this is a copy moved forward.
    pub moved_from: Option<Lsn>,
    pub content: Content,
}

/// What a record says, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Batch {
        durable: Lsn,
        start: Lsn,
    },
    Entry {
        index: u64,
        term: u64,
        payload: Bytes,
    },
    Vote(Bytes),
    Committed(Bytes),
    Truncate {
        from: u64,
    },
    Purge {
        upto: u64,
        payload: Bytes,
    },
    Born(Bytes),
    Erased,
    Suspect {
        segment: u64,
        offset: u64,
    },
    Checkpoint {
        generation: u64,
    },
    CleanShutdown,
    /// Of the entries before it, those in `from..end` remain, and the stream is as good as any other.
    LossAccepted {
        from: u64,
        end: u64,
    },
}

impl Content {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Batch { .. } => Kind::Batch,
            Self::Entry { .. } => Kind::Entry,
            Self::Vote(_) => Kind::Vote,
            Self::Committed(_) => Kind::Committed,
            Self::Truncate { .. } => Kind::Truncate,
            Self::Purge { .. } => Kind::Purge,
            Self::Born(_) => Kind::Born,
            Self::Erased => Kind::Erased,
            Self::Suspect { .. } => Kind::Suspect,
            Self::Checkpoint { .. } => Kind::Checkpoint,
            Self::CleanShutdown => Kind::CleanShutdown,
            Self::LossAccepted { .. } => Kind::LossAccepted,
        }
    }

    /// The part whose length varies.
    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Self::Entry { payload, .. } | Self::Purge { payload, .. } => payload,
            Self::Vote(payload) | Self::Committed(payload) | Self::Born(payload) => payload,
            _ => &[],
        }
    }

    fn fixed(&self, into: &mut FixedFields) {
        match self {
            Self::Batch { durable, start } => into.put(&[durable.get(), start.get()]),
            Self::Entry { index, term, .. } => into.put(&[*index, *term]),
            Self::Truncate { from } => into.put(&[*from]),
            Self::Purge { upto, .. } => into.put(&[*upto]),
            Self::Suspect { segment, offset } => into.put(&[*segment, *offset]),
            Self::Checkpoint { generation } => into.put(&[*generation]),
            Self::LossAccepted { from, end } => into.put(&[*from, *end]),
            Self::Vote(_) | Self::Committed(_) | Self::Born(_) | Self::Erased | Self::CleanShutdown => {}
        }
    }

    fn decode(kind: Kind, bytes: &Bytes) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let rest = |fields: &Fields<'_>| bytes.slice(bytes.len() - fields.rest.len()..);
        let content = match kind {
            Kind::Batch => Self::Batch { durable: Lsn::new(fields.u64()?), start: Lsn::new(fields.u64()?) },
            Kind::Entry => {
                let (index, term) = (fields.index()?, fields.u64()?);
                return Some(Self::Entry { index, term, payload: rest(&fields) });
            }
            Kind::Vote => return Some(Self::Vote(bytes.clone())),
            Kind::Committed => return Some(Self::Committed(bytes.clone())),
            Kind::Truncate => Self::Truncate { from: fields.u64()? },
            Kind::Purge => {
                let upto = fields.index()?;
                return Some(Self::Purge { upto, payload: rest(&fields) });
            }
            Kind::Born => return Some(Self::Born(bytes.clone())),
            Kind::Erased => Self::Erased,
            Kind::Suspect => Self::Suspect { segment: fields.u64()?, offset: fields.u64()? },
            Kind::Checkpoint => Self::Checkpoint { generation: fields.u64()? },
            Kind::CleanShutdown => Self::CleanShutdown,
            Kind::LossAccepted => {
                let (from, end) = (fields.u64()?, fields.u64()?);
                if from > end {
                    return None;
                }
                Self::LossAccepted { from, end }
            }
            Kind::Moved => return None,
        };
        fields.rest.is_empty().then_some(content)
    }
}

impl LogRecord {
    fn kind(&self) -> Kind {
        if self.moved_from.is_some() { Kind::Moved } else { self.content.kind() }
    }

    fn fixed(&self) -> FixedFields {
        let mut fields = FixedFields::new();
        fields.put(&[self.stream.0, self.link.get()]);
        if let Some(original) = self.moved_from {
            fields.put(&[original.get(), u64::from(self.content.kind() as u8)]);
        }
        self.content.fixed(&mut fields);
        fields
    }

    /// The length of the record's data, all fragments joined.
    pub(crate) fn data_bytes(&self) -> usize {
        self.fixed().used + self.content.payload().len()
    }

    /// Reads the joined data of a record; `None` when no writer ever wrote such bytes.
    pub(crate) fn decode(kind: Kind, data: &Bytes) -> Option<Self> {
        let mut fields = Fields::new(data);
        let stream = StreamId(fields.u64()?);
        let link = Lsn::new(fields.u64()?);
        if kind != Kind::Moved {
            let content = Content::decode(kind, &data.slice(RECORD_HEADER_BYTES..))?;
            return Some(Self { stream, link, moved_from: None, content });
        }
        let original = Lsn::new(fields.u64()?);
        let kind = Kind::decode(u8::try_from(fields.u64()?).ok()?)?;
        let content = Content::decode(kind, &data.slice(RECORD_HEADER_BYTES + 16..))?;
        Some(Self { stream, link, moved_from: Some(original), content })
    }
}

/// The most room a record with `data` bytes can take, wherever it lands, with the filler before a batch.
pub(crate) fn room_bytes_max(data: usize) -> u64 {
    let per_block = BLOCK_BYTES - FRAGMENT_HEADER_BYTES as u64;
    let fragments = data as u64 / per_block + 2;
    data as u64 + fragments * FRAGMENT_HEADER_BYTES as u64 + ALIGNMENT + BLOCK_FILLER_MAX
}

/// Lays records out as fragments, for one contiguous write into one segment.
pub(crate) struct Encoder<'a> {
    buffer: &'a mut Vec<u8>,
    /// Where in the segment the buffer's first byte goes.
    base: u64,
    header: SegmentHeader,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(buffer: &'a mut Vec<u8>, base: u64, header: SegmentHeader) -> Self {
        debug_assert!(base.is_multiple_of(ALIGNMENT));
        buffer.clear();
        Self { buffer, base, header }
    }

    /// The offset in the segment where the next fragment goes.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// Whether a record with `data` bytes ends within the segment.
    pub(crate) fn fits(&self, data: usize) -> bool {
        // The upper bound, not the exact size: a few unused bytes at the end of a segment cost nothing.
        self.offset() + room_bytes_max(data) <= self.header.length
    }

    /// Appends the record and returns its position. The caller has asked [`Encoder::fits`].
    pub(crate) fn append(&mut self, record: &LogRecord) -> Lsn {
        let fixed = record.fixed();
        if matches!(record.content, Content::Batch { .. }) {
            self.fill_block_unless(BATCH_DATA_BYTES);
        }
        let position = self.header.start.plus(self.offset());
        let kind = record.kind() as u8;
        let mut parts = [fixed.bytes(), record.content.payload()];
        let mut left = parts[0].len() + parts[1].len();
        let mut first = true;
        loop {
            let room = (BLOCK_BYTES - self.offset() % BLOCK_BYTES) as usize - FRAGMENT_HEADER_BYTES;
            let taken = room.min(left);
            let part = match (first, taken == left) {
                (true, true) => Part::Full,
                (true, false) => Part::First,
                (false, false) => Part::Middle,
                (false, true) => Part::Last,
            };
            self.fragment(part, kind, taken, &mut parts);
            left -= taken;
            first = false;
            if left == 0 {
                break;
            }
        }
        assert!(self.offset() <= self.header.length, "W2: a record lies within one segment");
        position
    }

    /// Marks the end of the segment, where room is left for a mark.
    pub(crate) fn end(&mut self) {
        if self.offset() < self.header.length {
            self.fragment(Part::End, 0, 0, &mut [&[], &[]]);
        }
    }

    /// Keeps a batch record in one fragment: it is searched for in damaged bytes, by its look.
    fn fill_block_unless(&mut self, data: usize) {
        let room = (BLOCK_BYTES - self.offset() % BLOCK_BYTES) as usize - FRAGMENT_HEADER_BYTES;
        if room < data {
            let zeros = [0; BLOCK_FILLER_MAX as usize];
            self.fragment(Part::Filler, 0, room, &mut [&zeros[..room], &[]]);
        }
    }

    fn fragment(&mut self, part: Part, kind: u8, length: usize, parts: &mut [&[u8]; 2]) {
        let position = self.header.start.plus(self.offset());
        let at = self.buffer.len();
        let length16 = u16::try_from(length).expect("a fragment lies within a block");
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&length16.to_le_bytes());
        self.buffer.extend_from_slice(&[part as u8, kind]);
        let mut left = length;
        for source in parts {
            let (now, later) = source.split_at(left.min(source.len()));
            self.buffer.extend_from_slice(now);
            left -= now.len();
            *source = later;
        }
        let sum = checksum(self.header.incarnation, position.get(), &[&self.buffer[at + 4..]]);
        self.buffer[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        let padded = self.buffer.len().next_multiple_of(ALIGNMENT as usize);
        self.buffer.resize(padded, 0);
    }
}

/// The most a filler before a batch record takes, its own header not counted.
const BLOCK_FILLER_MAX: u64 = BATCH_DATA_BYTES as u64 + FRAGMENT_HEADER_BYTES as u64;

/// Up to six integers, built without an allocation.
struct FixedFields {
    bytes: [u8; 48],
    used: usize,
}

impl FixedFields {
    fn new() -> Self {
        Self { bytes: [0; 48], used: 0 }
    }

    fn put(&mut self, values: &[u64]) {
        for value in values {
            self.bytes[self.used..self.used + 8].copy_from_slice(&value.to_le_bytes());
            self.used += 8;
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

/// Reads integers off the front of a slice.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// An index that another one may follow.
    fn index(&mut self) -> Option<u64> {
        self.u64().filter(|index| *index < u64::MAX)
    }
}

#[cfg(test)]
mod tests;
