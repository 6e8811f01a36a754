//! Reads one segment forward, and says what it found: a record, the end, or bytes that nobody wrote there.
//!
//! The reader does not judge. Whether bad bytes are a torn tail or rot depends on what is known to be durable, which
//! is recovery's business; so is going on after them, with [`Reader::resynchronise`].

use std::io;

use bytes::{Bytes, BytesMut};

use super::Lsn;
use super::format::{
    ALIGNMENT, BATCH_DATA_BYTES, BLOCK_BYTES, Content, FRAGMENT_HEADER_BYTES, FragmentHeader, HeaderFound, Kind,
    LogRecord, Part, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::disk::File;
use crate::limits::WAL_PAYLOAD_BYTES_MAX;

/// What a block that was never written holds.
static ZERO_BLOCK: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];

/// Where the reader gets blocks from.
pub(crate) trait Blocks {
    /// The bytes of block `number`, fewer at the end of the file, none after it.
    fn block(&mut self, number: u64) -> io::Result<&[u8]>;
}

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole record from `offset` up to the reader's new offset.
    Record { offset: u64, record: LogRecord },
    /// The writer went on to the next segment.
    End,
    /// Nobody wrote this. `offset` is where the record would have begun, `at` the fragment that is wrong.
    Bad { offset: u64, at: u64, expected: u32, found: u32 },
}

/// A position in one segment, going forward.
pub(crate) struct Reader<B> {
    blocks: B,
    header: SegmentHeader,
    offset: u64,
}

/// One fragment, or what is wrong with it.
enum Fragment {
    Whole { part: Part, kind: u8, end: u64 },
    Bad { expected: u32, found: u32 },
}

impl<B: Blocks> Reader<B> {
    pub(crate) fn new(blocks: B, header: SegmentHeader) -> Self {
        Self { blocks, header, offset: SEGMENT_HEADER_BYTES }
    }

    /// Goes on from `offset`, where a fragment must begin.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record. Stays where it is on [`Found::End`] and [`Found::Bad`].
    pub(crate) fn next(&mut self) -> io::Result<Found> {
        let mut data = BytesMut::new();
        let mut at = self.offset;
        let mut begun: Option<(u64, u8)> = None;
        loop {
            let begins = begun.map_or(at, |(offset, _)| offset);
            let bad = |at, expected, found| Found::Bad { offset: begins, at, expected, found };
            if at >= self.header.length {
                return Ok(if begun.is_some() { bad(at, 0, 0) } else { Found::End });
            }
            let before = data.len();
            let fragment = read_fragment(&mut self.blocks, &self.header, at, Some(&mut data))?;
            let (part, kind, end) = match fragment {
                Fragment::Whole { part, kind, end } => (part, kind, end),
                Fragment::Bad { expected, found } => return Ok(bad(at, expected, found)),
            };
            match (part, begun) {
                (Part::End, None) => return Ok(Found::End),
                (Part::Filler, None) => {
                    data.truncate(before);
                    at = end;
                    self.offset = end;
                    continue;
                }
                (Part::Full | Part::First, None) => begun = Some((at, kind)),
                (Part::Middle | Part::Last, Some((_, first_kind))) if kind == first_kind => {}
                // Whole fragments in an order nobody writes: pieces of different writes side by side.
                _ => return Ok(bad(at, 0, 0)),
            }
            if data.len() > WAL_PAYLOAD_BYTES_MAX + 64 {
                return Ok(bad(at, 0, 0));
            }
            at = end;
            if matches!(part, Part::Full | Part::Last) {
                let offset = begun.map_or(self.offset, |(offset, _)| offset);
                let record = Kind::decode(kind).and_then(|kind| LogRecord::decode(kind, &data.freeze()));
                let record = record.filter(|record| looks_back(record, self.header.start.plus(offset)));
                return Ok(match record {
                    Some(record) => {
                        self.offset = end;
                        Found::Record { offset, record }
                    }
                    None => Found::Bad { offset, at: offset, expected: 0, found: 0 },
                });
            }
        }
    }

    /// Moves to the next place at or after `from` where a whole first fragment stands. `false`: there is none.
    pub(crate) fn resynchronise(&mut self, from: u64) -> io::Result<bool> {
        let mut at = from.max(SEGMENT_HEADER_BYTES).next_multiple_of(ALIGNMENT);
        while at < self.header.length {
            let looks_like_one = {
                let block = self.blocks.block(at / BLOCK_BYTES)?;
                let within = (at % BLOCK_BYTES) as usize;
                block.get(within..).and_then(FragmentHeader::decode)
            };
            if looks_like_one.is_some_and(|header| matches!(header.part, Part::Full | Part::First | Part::End)) {
                let fragment = read_fragment(&mut self.blocks, &self.header, at, None)?;
                if matches!(fragment, Fragment::Whole { .. }) {
                    self.offset = at;
                    return Ok(true);
                }
            }
            at += ALIGNMENT;
        }
        Ok(false)
    }

    /// The greatest position that some batch record at or after `from` names as durable, damaged bytes or not, and where
    /// that record stands.
    pub(crate) fn durable_evidence(&mut self, from: u64) -> io::Result<Option<(Lsn, u64)>> {
        let mut greatest = None;
        let mut at = from.max(SEGMENT_HEADER_BYTES).next_multiple_of(ALIGNMENT);
        while at < self.header.length {
            let block_end = (at / BLOCK_BYTES + 1) * BLOCK_BYTES;
            let block = self.blocks.block(at / BLOCK_BYTES)?;
            if block == &ZERO_BLOCK[..block.len()] {
                at = block_end;
                continue;
            }
            let mut candidates = Vec::new();
            for within in ((at % BLOCK_BYTES) as usize..block.len()).step_by(ALIGNMENT as usize) {
                // The look of a batch: its length, one full fragment, its kind.
                if block.get(within + 4..within + 8) == Some(&[BATCH_DATA_BYTES as u8, 0, 1, Kind::Batch as u8]) {
                    candidates.push(at - at % BLOCK_BYTES + within as u64);
                }
            }
            for candidate in candidates {
                let mut data = BytesMut::new();
                let fragment = read_fragment(&mut self.blocks, &self.header, candidate, Some(&mut data))?;
                if let Fragment::Whole { .. } = fragment
                    && let Some(record) = LogRecord::decode(Kind::Batch, &data.freeze())
                    && looks_back(&record, self.header.start.plus(candidate))
                    && let Content::Batch { durable, .. } = record.content
                {
                    greatest = greatest.max(Some((durable, candidate)));
                }
            }
            at = block_end;
        }
        Ok(greatest)
    }
}

/// Whether a batch names only what was there before it, as every writer's does. One that names more would have everything
/// before it taken for lost.
fn looks_back(record: &LogRecord, at: Lsn) -> bool {
    match record.content {
        Content::Batch { durable, start } => durable <= at && start <= at,
        _ => true,
    }
}

/// Checks the fragment at `at`, and appends its data to `into`.
fn read_fragment(
    blocks: &mut impl Blocks,
    header: &SegmentHeader,
    at: u64,
    into: Option<&mut BytesMut>,
) -> io::Result<Fragment> {
    let block = blocks.block(at / BLOCK_BYTES)?;
    let within = (at % BLOCK_BYTES) as usize;
    let found = block.get(within..within + 4).map_or(0, |sum| u32::from_le_bytes([sum[0], sum[1], sum[2], sum[3]]));
    let Some(fragment) = block.get(within..).and_then(FragmentHeader::decode) else {
        return Ok(Fragment::Bad { expected: 0, found });
    };
    let start = within + FRAGMENT_HEADER_BYTES;
    let Some(data) = block.get(start..start + usize::from(fragment.length)) else {
        return Ok(Fragment::Bad { expected: 0, found });
    };
    let expected = fragment.expected(header.incarnation, header.start.plus(at), data);
    if expected != fragment.checksum {
        return Ok(Fragment::Bad { expected, found });
    }
    if let Some(into) = into {
        into.extend_from_slice(data);
    }
    let end = (at + (FRAGMENT_HEADER_BYTES + data.len()) as u64).next_multiple_of(ALIGNMENT);
    Ok(Fragment::Whole { part: fragment.part, kind: fragment.kind, end })
}

/// Blocks of a file, read ahead a few at a time.
pub(crate) struct FileBlocks<'a> {
    file: &'a dyn File,
    length: u64,
    /// The first block in the buffer.
    first: u64,
    buffer: Vec<u8>,
    read_ahead: u64,
}

impl<'a> FileBlocks<'a> {
    /// `read_ahead`: how many blocks one read takes.
    pub(crate) fn new(file: &'a dyn File, length: u64, read_ahead: u64) -> Self {
        Self { file, length, first: 0, buffer: Vec::new(), read_ahead }
    }
}

impl Blocks for FileBlocks<'_> {
    fn block(&mut self, number: u64) -> io::Result<&[u8]> {
        let buffered = (self.buffer.len() as u64).div_ceil(BLOCK_BYTES);
        if number < self.first || number >= self.first + buffered {
            let start = number.saturating_mul(BLOCK_BYTES).min(self.length);
            let length = (self.length - start).min(self.read_ahead * BLOCK_BYTES);
            self.buffer.resize(length as usize, 0);
            self.first = number;
            if let Err(error) = self.file.read_exact_at(&mut self.buffer, start) {
                self.buffer.clear();
                return Err(error);
            }
        }
        let from = ((number - self.first) * BLOCK_BYTES) as usize;
        let to = (from + BLOCK_BYTES as usize).min(self.buffer.len());
        Ok(self.buffer.get(from..to).unwrap_or(&[]))
    }
}

/// Blocks of a slice.
pub(crate) struct SliceBlocks<'a>(pub &'a [u8]);

impl Blocks for SliceBlocks<'_> {
    fn block(&mut self, number: u64) -> io::Result<&[u8]> {
        let from = usize::try_from(number.saturating_mul(BLOCK_BYTES)).unwrap_or(usize::MAX).min(self.0.len());
        let to = from.saturating_add(BLOCK_BYTES as usize).min(self.0.len());
        Ok(&self.0[from..to])
    }
}

/// Reads a whole segment given as bytes, for fuzzing: how many records it holds and whether it ends well.
#[doc(hidden)]
#[must_use]
pub fn examine(bytes: &[u8]) -> (usize, bool) {
    let HeaderFound::Valid(mut header) = SegmentHeader::decode(bytes) else { return (0, false) };
    header.length = header.length.min(bytes.len() as u64);
    let mut reader = Reader::new(SliceBlocks(bytes), header);
    let (mut records, mut clean) = (0, true);
    loop {
        match reader.next() {
            Ok(Found::Record { record, .. }) => {
                records += 1;
                let data: Bytes = Bytes::copy_from_slice(record.content.payload());
                drop(data);
            }
            Ok(Found::Bad { offset, at, .. }) => {
                clean = false;
                let _ = reader.durable_evidence(offset);
                if !reader.resynchronise(at.max(offset) + ALIGNMENT).unwrap_or(false) {
                    return (records, false);
                }
            }
            Ok(Found::End) | Err(_) => return (records, clean),
        }
    }
}

/// Corrects the checksum of every fragment, or what looks like one, of a segment given as bytes, for fuzzing: what is behind
/// them is reached.
#[doc(hidden)]
pub fn seal(bytes: &mut [u8]) {
    let HeaderFound::Valid(header) = SegmentHeader::decode(bytes) else { return };
    let mut at = SEGMENT_HEADER_BYTES as usize;
    while at < bytes.len() {
        let block_end = bytes.len().min((at / BLOCK_BYTES as usize + 1) * BLOCK_BYTES as usize);
        let block = &mut bytes[at..block_end];
        let fragment = FragmentHeader::decode(block);
        let data = fragment.and_then(|fragment| block[FRAGMENT_HEADER_BYTES..].get(..usize::from(fragment.length)));
        at = match (fragment, data) {
            (Some(fragment), Some(data)) => {
                let end = at + FRAGMENT_HEADER_BYTES + data.len();
                let sum = fragment.expected(header.incarnation, header.start.plus(at as u64), data);
                block[..4].copy_from_slice(&sum.to_le_bytes());
                end.next_multiple_of(ALIGNMENT as usize).min(block_end)
            }
            _ => at + ALIGNMENT as usize,
        };
    }
}
