//! Commands, outcomes and the shard's small state as bytes. All integers are little-endian, but for keys of trees, which
//! are big-endian so that they sort.
//!
//! ```text
//! command   version u8 = 1 (2: a geospatial index; 3: a split; 4: what joins shards; 5: a change log's limit), kind u8, body
//!   1 write         term u64, epoch u64, schema u64, chain u64, number u64, count u32, count x effect
//!     effect        kind u8 (1 put, 2 delete), key length u16, key, [document length u32, document]
//!   2 create index  id u64, flags u8 (bit 0: multi, bit 1: geospatial), name length u16, name, definition length u32, definition
//!   3 drop index    id u64
//!   4 rename index  id u64, name length u16, name
//!   5 index ready   id u64
//!   6 write hook    present u8, [definition length u32, definition]
//!   7 split         epoch u64, range, first key length u16, first key, child u64
//!   8 freeze        attempt u32
//!   9 thaw          attempt u32
//!   10 join         right u64, end u64, right epoch u64, epoch u64, range, right range
//!   11 change log   bytes that it may hold u64
//! range     start length u16, start, end present u8, [end length u16, end]
//! outcome   kind u8: 0 applied, 1 skipped for term, 2 epoch, 3 schema, 4 chain
//! state     version u8 = 5, applied u64, shift u64 (not before version 5), epoch u64, schema u64, term u64, chain u64, number u64, next tree u32,
//!           log bytes u64, log floor u64 (not in version 1), from version 3 on: range present u8, [range], next own tree u32,
//!           count u8, count x child, from version 4 on: frozen u8, [attempt u32, position u64], thawed u32, hollow u8, count u8,
//!           count x ward (none before version 5); consensus length u32, consensus
//!   child         shard u64, term u64, slot u32, state length u32, its state
//!   ward          shard u64, attempt u32, entry u64, its position u64, epoch u64, slot u32
//! value     kind u8 (1 document, 2 index entry, 3 entry of a geospatial index), flags u8 = 0, position u64 (of the entry that wrote it), body
//! ```

use bytes::{Buf, BufMut, Bytes};
use photondb_proto::{Epoch, IndexId, KeyRange, SchemaVersion, ShardId};

use crate::command::{Command, Effect, Fence, Join, Outcome, Skipped, Split};
use crate::error::ShardError;
use crate::shard::EntryNumber;

const COMMAND_VERSION: u8 = 1;
/// Of what a program that knows no geospatial indexes must not take for something else.
const COMMAND_VERSION_GEO: u8 = 2;
/// Of what a program that knows no splits must not skip.
const COMMAND_VERSION_SPLIT: u8 = 3;
/// Of what a program that joins no shards must not skip.
const COMMAND_VERSION_JOIN: u8 = 4;
/// Of what a program that keeps as much of changes as it likes must not skip.
const COMMAND_VERSION_CHANGE_LOG: u8 = 5;

/// Bytes before the body of a stored value: kind, flags, position of its last write.
pub const VALUE_HEADER_BYTES: usize = 10;
/// A stored value's kind: a document.
pub const VALUE_DOCUMENT: u8 = 1;
/// A stored value's kind: an entry of a secondary index.
pub const VALUE_INDEX_ENTRY: u8 = 2;
/// A stored value's kind: an entry of a geospatial index.
pub const VALUE_GEO_ENTRY: u8 = 3;

/// Begins a stored value.
pub fn put_value_header(out: &mut Vec<u8>, kind: u8, position: u64) {
    out.put_u8(kind);
    out.put_u8(0);
    out.put_u64_le(position);
}

/// The body of a stored value whose kind must be `kind`, and the position of its last write.
pub fn value_body(value: &Bytes, kind: u8) -> Result<(u64, Bytes), ShardError> {
    check_value(value, kind)?;
    Ok(((&value[2..]).get_u64_le(), value.slice(VALUE_HEADER_BYTES..)))
}

/// Whether a stored value has a header of that kind.
pub fn check_value(value: &[u8], kind: u8) -> Result<(), ShardError> {
    let reason = match value.first() {
        _ if value.len() < VALUE_HEADER_BYTES => "shorter than its header",
        Some(found) if *found != kind => "of an unknown kind",
        _ => return Ok(()),
    };
    Err(ShardError::Format { what: "a stored value", offset: 0, reason })
}

/// A write as bytes, from borrowed parts: the proposer's hot path.
pub fn encode_write<'a>(fence: &Fence, effects: impl ExactSizeIterator<Item = &'a Effect>, size_hint: usize) -> Bytes {
    let mut out = Vec::with_capacity(size_hint + 64);
    out.put_u8(COMMAND_VERSION);
    out.put_u8(1);
    for number in [fence.term, fence.epoch.0, fence.schema.0, fence.chain, fence.number] {
        out.put_u64_le(number);
    }
    out.put_u32_le(u32::try_from(effects.len()).expect("the proposer bounds an entry's bytes, and so its effects"));
    for effect in effects {
        let (kind, key) = match effect {
            Effect::Put { key, .. } => (1, key),
            Effect::Delete { key } => (2, key),
        };
        out.put_u8(kind);
        out.put_u16_le(u16::try_from(key.len()).expect("keys are at most a few hundred bytes"));
        out.put_slice(key);
        if let Effect::Put { document, .. } = effect {
            put_bytes(&mut out, document);
        }
    }
    Bytes::from(out)
}

/// A command as bytes.
pub fn encode_command(command: &Command) -> Bytes {
    let mut out = vec![COMMAND_VERSION];
    match command {
        Command::Write { fence, effects } => {
            let size = effects.iter().map(Effect::size).sum();
            return encode_write(fence, effects.iter(), size);
        }
        Command::CreateIndex { id, name, multi, geo, definition } => {
            if *geo {
                out[0] = COMMAND_VERSION_GEO;
            }
            out.put_u8(2);
            out.put_u64_le(id.0);
            out.put_u8(u8::from(*multi) | u8::from(*geo) << 1);
            put_name(&mut out, name);
            put_bytes(&mut out, definition);
        }
        Command::DropIndex { id } => {
            out.put_u8(3);
            out.put_u64_le(id.0);
        }
        Command::RenameIndex { id, name } => {
            out.put_u8(4);
            out.put_u64_le(id.0);
            put_name(&mut out, name);
        }
        Command::IndexReady { id } => {
            out.put_u8(5);
            out.put_u64_le(id.0);
        }
        Command::SetWriteHook { definition } => {
            out.put_u8(6);
            out.put_u8(u8::from(definition.is_some()));
            if let Some(definition) = definition {
                put_bytes(&mut out, definition);
            }
        }
        Command::Split(Split { epoch, range, at, child }) => {
            out[0] = COMMAND_VERSION_SPLIT;
            out.put_u8(7);
            out.put_u64_le(epoch.0);
            put_range(&mut out, range);
            put_key(&mut out, at);
            out.put_u64_le(child.0);
        }
        Command::Freeze { attempt } => {
            out[0] = COMMAND_VERSION_JOIN;
            out.put_u8(8);
            out.put_u32_le(*attempt);
        }
        Command::Thaw { attempt } => {
            out[0] = COMMAND_VERSION_JOIN;
            out.put_u8(9);
            out.put_u32_le(*attempt);
        }
        Command::Join(Join { right, end, right_epoch, epoch, range, right_range }) => {
            out[0] = COMMAND_VERSION_JOIN;
            out.put_u8(10);
            for number in [right.0, end.0, right_epoch.0, epoch.0] {
                out.put_u64_le(number);
            }
            put_range(&mut out, range);
            put_range(&mut out, right_range);
        }
        Command::SetChangeLog { bytes_max } => {
            out[0] = COMMAND_VERSION_CHANGE_LOG;
            out.put_u8(11);
            out.put_u64_le(*bytes_max);
        }
    }
    Bytes::from(out)
}

/// A command from bytes; keys and documents are slices of them.
pub fn decode_command(bytes: &Bytes) -> Result<Command, ShardError> {
    let mut reader = Reader::new("a command", bytes);
    reader.version(COMMAND_VERSION_CHANGE_LOG)?;
    let command = match reader.u8()? {
        1 => {
            let fence = Fence {
                term: reader.u64()?,
                epoch: Epoch(reader.u64()?),
                schema: SchemaVersion(reader.u64()?),
                chain: reader.u64()?,
                number: reader.u64()?,
            };
            let count = reader.u32()?;
            // An effect takes at least three bytes, so a claimed count cannot make us allocate more than what arrived.
            let mut effects = Vec::with_capacity((count as usize).min(bytes.len() / 3));
            for _ in 0..count {
                let kind = reader.u8()?;
                let length = usize::from(reader.u16()?);
                let key = reader.take(length)?;
                effects.push(match kind {
                    1 => Effect::Put { key, document: reader.bytes()? },
                    2 => Effect::Delete { key },
                    _ => return Err(reader.error("unknown kind of effect")),
                });
            }
            Command::Write { fence, effects }
        }
        2 => {
            let id = IndexId(reader.u64()?);
            let flags = reader.u8()?;
            let (multi, geo) = (flags & 1 == 1, flags & 2 == 2);
            Command::CreateIndex { id, name: reader.name()?, multi, geo, definition: reader.bytes()? }
        }
        3 => Command::DropIndex { id: IndexId(reader.u64()?) },
        4 => Command::RenameIndex { id: IndexId(reader.u64()?), name: reader.name()? },
        5 => Command::IndexReady { id: IndexId(reader.u64()?) },
        6 => {
            let present = reader.u8()? == 1;
            Command::SetWriteHook { definition: present.then(|| reader.bytes()).transpose()? }
        }
        7 => {
            let (epoch, range) = (Epoch(reader.u64()?), reader.range()?);
            Command::Split(Split { epoch, range, at: reader.key()?, child: ShardId(reader.u64()?) })
        }
        8 => Command::Freeze { attempt: reader.u32()? },
        9 => Command::Thaw { attempt: reader.u32()? },
        10 => Command::Join(Join {
            right: ShardId(reader.u64()?),
            end: EntryNumber(reader.u64()?),
            right_epoch: Epoch(reader.u64()?),
            epoch: Epoch(reader.u64()?),
            range: reader.range()?,
            right_range: reader.range()?,
        }),
        11 => Command::SetChangeLog { bytes_max: reader.u64()? },
        _ => return Err(reader.error("unknown kind of command")),
    };
    reader.end()?;
    Ok(command)
}

/// An outcome as bytes.
pub fn encode_outcome(outcome: Outcome) -> Bytes {
    Bytes::from_static(match outcome {
        Outcome::Applied => &[0],
        Outcome::Skipped(Skipped::Term) => &[1],
        Outcome::Skipped(Skipped::Epoch) => &[2],
        Outcome::Skipped(Skipped::Schema) => &[3],
        Outcome::Skipped(Skipped::Chain) => &[4],
    })
}

/// An outcome from bytes.
pub fn decode_outcome(bytes: &Bytes) -> Result<Outcome, ShardError> {
    Ok(match bytes.as_ref() {
        [0] => Outcome::Applied,
        [1] => Outcome::Skipped(Skipped::Term),
        [2] => Outcome::Skipped(Skipped::Epoch),
        [3] => Outcome::Skipped(Skipped::Schema),
        [4] => Outcome::Skipped(Skipped::Chain),
        _ => return Err(ShardError::Format { what: "an outcome", offset: 0, reason: "unknown" }),
    })
}

/// Writes a length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).expect("documents and definitions are bounded far below 4 GiB"));
    out.put_slice(bytes);
}

/// Writes a short length and the text.
pub fn put_name(out: &mut Vec<u8>, name: &str) {
    out.put_u16_le(u16::try_from(name.len()).expect("names are bounded far below 64 KiB"));
    out.put_slice(name.as_bytes());
}

/// Writes a short length and a key.
pub fn put_key(out: &mut Vec<u8>, key: &[u8]) {
    out.put_u16_le(u16::try_from(key.len()).expect("keys are at most a few hundred bytes"));
    out.put_slice(key);
}

/// Writes a range of keys.
pub fn put_range(out: &mut Vec<u8>, range: &KeyRange) {
    put_key(out, range.start());
    out.put_u8(u8::from(range.end().is_some()));
    if let Some(end) = range.end() {
        put_key(out, end);
    }
}

/// Reads what the functions above wrote; every length is checked against what is there.
pub struct Reader<'a> {
    what: &'static str,
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning; `what` names the bytes in errors.
    pub fn new(what: &'static str, bytes: &'a Bytes) -> Reader<'a> {
        Reader { what, bytes, at: 0 }
    }

    /// Reads a version, which must not be newer than `known`.
    pub fn version(&mut self, known: u8) -> Result<u8, ShardError> {
        let found = self.u8()?;
        if found > known || found == 0 {
            return Err(ShardError::Newer { what: self.what, found, known });
        }
        Ok(found)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<Bytes, ShardError> {
        if self.bytes.len() - self.at < length {
            return Err(self.error("ends too early"));
        }
        self.at += length;
        Ok(self.bytes.slice(self.at - length..self.at))
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, ShardError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, ShardError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, ShardError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, ShardError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length and that many bytes.
    pub fn bytes(&mut self) -> Result<Bytes, ShardError> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    /// A short length and that much text.
    pub fn name(&mut self) -> Result<String, ShardError> {
        let length = usize::from(self.u16()?);
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| self.error("a name that is not UTF-8"))
    }

    /// A short length and a key.
    pub fn key(&mut self) -> Result<Bytes, ShardError> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }

    /// A range of keys.
    pub fn range(&mut self) -> Result<KeyRange, ShardError> {
        let start = self.key()?.to_vec();
        let end = match self.u8()? {
            0 => None,
            _ => Some(self.key()?.to_vec()),
        };
        KeyRange::new(start, end).ok_or_else(|| self.error("a range without keys"))
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), ShardError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error("goes on past its end")) }
    }

    /// An error at the current place.
    pub fn error(&self, reason: &'static str) -> ShardError {
        ShardError::Format { what: self.what, offset: self.at, reason }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ShardError> {
        let end = self.at + N;
        let slice = self.bytes.get(self.at..end).ok_or_else(|| self.error("ends too early"))?;
        self.at = end;
        Ok(slice.try_into().expect("the slice has N bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Vec<Command> {
        vec![
            Command::Write {
                fence: Fence { term: 1, epoch: Epoch(2), schema: SchemaVersion(3), chain: 4, number: 5 },
                effects: vec![
                    Effect::Put { key: Bytes::from_static(b"k"), document: Bytes::from_static(b"doc") },
                    Effect::Delete { key: Bytes::from_static(b"gone") },
                ],
            },
            Command::CreateIndex {
                id: IndexId(7),
                name: "by_age".into(),
                multi: true,
                geo: false,
                definition: Bytes::from_static(b"f"),
            },
            Command::CreateIndex {
                id: IndexId(8),
                name: "places".into(),
                multi: false,
                geo: true,
                definition: Bytes::from_static(b"g"),
            },
            Command::DropIndex { id: IndexId(7) },
            Command::RenameIndex { id: IndexId(7), name: "ä".into() },
            Command::IndexReady { id: IndexId(7) },
            Command::SetWriteHook { definition: None },
            Command::SetWriteHook { definition: Some(Bytes::from_static(b"hook")) },
            Command::Split(Split {
                epoch: Epoch(2),
                range: KeyRange::new(b"a".to_vec(), Some(b"z".to_vec())).expect("has keys"),
                at: Bytes::from_static(b"mm"),
                child: ShardId(9),
            }),
            Command::Freeze { attempt: 3 },
            Command::Thaw { attempt: 4 },
            Command::Join(Join {
                right: ShardId(9),
                end: EntryNumber(8),
                right_epoch: Epoch(7),
                epoch: Epoch(6),
                range: KeyRange::new(b"a".to_vec(), Some(b"m".to_vec())).expect("has keys"),
                right_range: KeyRange::new(b"m".to_vec(), None).expect("has keys"),
            }),
            Command::SetChangeLog { bytes_max: 5 },
        ]
    }

    #[test]
    fn commands_read_back_as_they_were_written() {
        for command in commands() {
            let bytes = encode_command(&command);
            assert_eq!(decode_command(&bytes).expect("decodes"), command);
        }
    }

    #[test]
    fn a_command_cut_short_or_continued_is_refused() {
        for command in commands() {
            let bytes = encode_command(&command);
            for length in 0..bytes.len() {
                assert!(decode_command(&bytes.slice(..length)).is_err(), "{command:?} cut to {length} bytes");
            }
            let mut longer = bytes.to_vec();
            longer.push(0);
            assert!(decode_command(&Bytes::from(longer)).is_err(), "{command:?} with a byte more");
        }
    }

    #[test]
    fn golden_bytes_of_a_write() {
        let bytes = encode_command(&commands()[0]);
        let mut expected = vec![1, 1];
        for number in 1..=5u64 {
            expected.extend(number.to_le_bytes());
        }
        expected.extend([2, 0, 0, 0, 1, 1, 0, b'k', 3, 0, 0, 0, b'd', b'o', b'c', 2, 4, 0, b'g', b'o', b'n', b'e']);
        assert_eq!(bytes.as_ref(), expected);
    }

    #[test]
    fn a_newer_command_is_refused_by_its_version() {
        let error = decode_command(&Bytes::from_static(&[6, 1])).expect_err("newer");
        assert!(matches!(error, ShardError::Newer { found: 6, known: 5, .. }), "{error}");
    }

    #[test]
    fn golden_bytes_of_new_indexes_and_of_a_split() {
        let plain = encode_command(&commands()[1]);
        assert_eq!(plain.as_ref(), b"\x01\x02\x07\0\0\0\0\0\0\0\x01\x06\0by_age\x01\0\0\0f");
        let split = encode_command(&commands()[8]);
        let expected = b"\x03\x07\x02\0\0\0\0\0\0\0\x01\0a\x01\x01\0z\x02\0mm\x09\0\0\0\0\0\0\0";
        assert_eq!(split.as_ref(), expected);
        let geo = encode_command(&commands()[2]);
        assert_eq!(geo.as_ref(), b"\x02\x02\x08\0\0\0\0\0\0\0\x02\x06\0places\x01\0\0\0g");
    }

    #[test]
    fn golden_bytes_of_the_limit_of_a_change_log() {
        assert_eq!(encode_command(&commands()[12]).as_ref(), b"\x05\x0b\x05\0\0\0\0\0\0\0");
    }

    #[test]
    fn golden_bytes_of_what_joins_shards() {
        assert_eq!(encode_command(&commands()[9]).as_ref(), b"\x04\x08\x03\0\0\0");
        assert_eq!(encode_command(&commands()[10]).as_ref(), b"\x04\x09\x04\0\0\0");
        let numbers: Vec<u8> = [9u64, 8, 7, 6].into_iter().flat_map(u64::to_le_bytes).collect();
        let ranges = b"\x01\0a\x01\x01\0m\x01\0m\0".as_slice();
        assert_eq!(encode_command(&commands()[11]), [b"\x04\x0a", &numbers[..], ranges].concat());
    }
}
