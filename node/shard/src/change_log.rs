//! The ordered changes of a shard, bounded by bytes, so that a feed can resume after a reconnect.
//!
//! Part of the shard's state: checkpointed, in snapshots, trimmed by a rule of apply. How much it may hold is told by an entry, so that
//! it is the same at every replica. The state says up to which position changes may be missing.
//!
//! ```text
//! key    position u64 big-endian, number within the entry u32 big-endian
//! value  version u8 = 1, key length u16, primary key, flags u8 (bit 0: old, bit 1: new), [old length u32, old], [new length u32, new]
//! value  version u8 = 2, shard u64: the entry cut that shard off
//! value  version u8 = 3, shard u64, position u64: the entry joined that shard, whose own log ends with that position
//! ```

use std::ops::Bound;

use bytes::{BufMut, Bytes};
use photondb_proto::ShardId;
use photondb_storage::fault::fault_point;
use photondb_storage::{Direction, KeyRange, Transaction};

use crate::error::ShardError;
use crate::format::{Reader, put_bytes};
use crate::limits::{CHANGE_LOG_BYTES_LOWERED, LOGGED_CHANGE_BYTES_MAX};
use crate::publish::DocumentChange;
use crate::read::Reader as ShardReader;
use crate::shard::{Position, trees};

const VERSION: u8 = 1;
const VERSION_CHILD: u8 = 2;
const VERSION_JOINED: u8 = 3;

/// Where somebody stands in a shard's changes: everything before is known there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The entry to go on with.
    pub position: Position,
    /// How many of its changes are known already.
    pub given: u32,
}

impl Cursor {
    /// Behind all changes of the entry.
    pub fn after(position: Position) -> Cursor {
        Cursor { position: Position(position.0 + 1), given: 0 }
    }
}

/// Changes read from the log.
#[derive(Clone, Debug, Default)]
pub struct LoggedChanges {
    /// Each with its entry and its number in it, in order.
    pub changes: Vec<(Position, u32, DocumentChange)>,
    /// Shards that were cut off by these entries: from there on they tell what happens to their keys.
    pub children: Vec<(Position, ShardId)>,
    /// Shards that these entries joined, and with which entry of its own log each ended: from there on this one tells what happens to
    /// their keys.
    pub joined: Vec<(Position, ShardId, Position)>,
    /// Whether there are more behind them.
    pub more: bool,
    /// Whether the next one is of the same entry as the last one here.
    pub goes_on: bool,
}

/// How much of a log there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Changes of entries up to here may be missing.
    pub floor: u64,
}

impl ShardReader {
    /// Whether all changes from `cursor` to this snapshot are there. Errors: [`ShardError::ChangesTrimmed`].
    pub fn check_has_changes(&self, cursor: Cursor) -> Result<(), ShardError> {
        let floor = Position(self.state()?.log.floor);
        if floor >= cursor.position {
            photondb_storage::probe!("feed further behind than the change log reaches");
            return Err(ShardError::ChangesTrimmed { floor });
        }
        Ok(())
    }

    /// The changes from `cursor` to this snapshot, in order, until they take `bytes_max`. Errors:
    /// [`ShardError::ChangesTrimmed`] when some of them are no longer there.
    pub fn changes(&self, cursor: Cursor, bytes_max: usize) -> Result<LoggedChanges, ShardError> {
        self.check_has_changes(cursor)?;
        let mut found = LoggedChanges::default();
        let start = Bound::Included(Bytes::copy_from_slice(&key(cursor.position.0, cursor.given)));
        let range = KeyRange::new(start, Bound::Unbounded);
        let mut stored = self.snapshot.cursor(trees::CHANGE_LOG, range, Direction::Forward)?;
        let mut bytes = 0;
        while let Some((key, value)) = stored.next()? {
            let (position, number) = place(&key)?;
            bytes += value.len();
            match decode(&value)? {
                Logged::Change(change) => found.changes.push((position, number, change)),
                Logged::Child(child) => found.children.push((position, child)),
                Logged::Joined(right, end) => found.joined.push((position, right, end)),
            }
            if bytes >= bytes_max {
                let next = stored.next()?.map(|(key, _)| place(&key)).transpose()?;
                found.more = next.is_some();
                found.goes_on = next.is_some_and(|(of, _)| of == position);
                break;
            }
        }
        Ok(found)
    }
}

/// Appends one change to a log that may hold `bytes_max`; gives what it has then.
///
/// A change larger than the whole log may be is not written: it would be trimmed with everything before it in any case. Nor is one
/// that is larger than a value, which two of the largest documents are. The place of either is a log that begins after it.
pub(crate) fn append(
    transaction: &mut Transaction,
    log: Extent,
    bytes_max: u64,
    position: u64,
    number: u32,
    change: &DocumentChange,
) -> Result<Extent, ShardError> {
    if fault_point!("change-not-logged") {
        return Ok(log);
    }
    let key = key(position, number);
    let bytes = key.len() + encoded_bytes(change);
    if bytes > LOGGED_CHANGE_BYTES_MAX || bytes as u64 > bytes_max {
        photondb_storage::probe!("change too large for the change log");
        return empty(transaction, position);
    }
    let value = encode(change);
    transaction.put(trees::CHANGE_LOG, &key, &value)?;
    Ok(Extent { bytes: log.bytes + (key.len() + value.len()) as u64, ..log })
}

/// Notes that a shard was cut off; gives what the log has then.
pub(crate) fn append_child(
    transaction: &mut Transaction,
    log: Extent,
    position: u64,
    child: ShardId,
) -> Result<Extent, ShardError> {
    if fault_point!("child-not-told") {
        return Ok(log);
    }
    let mut value = vec![VERSION_CHILD];
    value.put_u64_le(child.0);
    append_note(transaction, log, position, &value)
}

/// Notes that another shard, whose own log ends with `end`, became part of this one; gives what the log has then.
pub(crate) fn append_joined(
    transaction: &mut Transaction,
    log: Extent,
    position: u64,
    right: ShardId,
    end: Position,
) -> Result<Extent, ShardError> {
    let mut value = vec![VERSION_JOINED];
    value.put_u64_le(right.0);
    value.put_u64_le(end.0);
    append_note(transaction, log, position, &value)
}

/// Appends the only thing that an entry has to say.
fn append_note(transaction: &mut Transaction, log: Extent, position: u64, value: &[u8]) -> Result<Extent, ShardError> {
    let key = key(position, 0);
    transaction.put(trees::CHANGE_LOG, &key, value)?;
    Ok(Extent { bytes: log.bytes + (key.len() + value.len()) as u64, ..log })
}

/// Drops all changes, those of the entry at `position` too; gives a log that begins behind it.
pub(crate) fn empty(transaction: &mut Transaction, position: u64) -> Result<Extent, ShardError> {
    transaction.drop_tree(trees::CHANGE_LOG)?;
    transaction.create_tree(trees::CHANGE_LOG)?;
    Ok(Extent { bytes: 0, floor: position })
}

/// Removes the oldest changes until at most `keep_bytes` remain; gives what remains.
pub(crate) fn trim(transaction: &mut Transaction, mut log: Extent, keep_bytes: u64) -> Result<Extent, ShardError> {
    while log.bytes > keep_bytes {
        let mut cursor = transaction.cursor(trees::CHANGE_LOG, KeyRange::all(), Direction::Forward)?;
        let mut oldest = Vec::new();
        let mut freed = 0;
        while let Some((key, value)) = cursor.next()? {
            freed += (key.len() + value.len()) as u64;
            oldest.push(key);
            if log.bytes.saturating_sub(freed) <= keep_bytes || oldest.len() == 64 {
                break;
            }
        }
        drop(cursor);
        photondb_storage::probe!("change log trimmed");
        let last = oldest.last().ok_or_else(less_than_counted)?;
        log.floor = log.floor.max(place(last)?.0.0);
        for key in oldest {
            transaction.delete(trees::CHANGE_LOG, &key)?;
        }
        log.bytes = log.bytes.saturating_sub(freed);
    }
    Ok(log)
}

/// As [`trim`], of a log that may be much too large: what stays is read, and not more than [`CHANGE_LOG_BYTES_LOWERED`] does; the rest
/// is cut off in O(log n).
pub(crate) fn lower(transaction: &mut Transaction, log: Extent, keep_bytes: u64) -> Result<Extent, ShardError> {
    if log.bytes <= keep_bytes {
        return Ok(log);
    }
    let keep_bytes = keep_bytes.min(CHANGE_LOG_BYTES_LOWERED);
    let (mut bytes, mut first, mut gone) = (0, None, None);
    let mut cursor = transaction.cursor(trees::CHANGE_LOG, KeyRange::all(), Direction::Backward)?;
    while let Some((key, value)) = cursor.next()? {
        let size = (key.len() + value.len()) as u64;
        if bytes + size > keep_bytes {
            gone = Some(key);
            break;
        }
        bytes += size;
        first = Some(key);
    }
    drop(cursor);
    photondb_storage::probe!("change log lowered");
    let gone = gone.ok_or_else(less_than_counted)?;
    let floor = log.floor.max(place(&gone)?.0.0);
    let Some(first) = first else { return empty(transaction, floor) };
    transaction.split_tree(trees::CHANGE_LOG, &first, trees::CHANGE_LOG_PASSING)?;
    transaction.drop_tree(trees::CHANGE_LOG)?;
    transaction.split_tree(trees::CHANGE_LOG_PASSING, &[], trees::CHANGE_LOG)?;
    transaction.drop_tree(trees::CHANGE_LOG_PASSING)?;
    Ok(Extent { bytes, floor })
}

/// S7: the state counts what the log holds.
fn less_than_counted() -> ShardError {
    ShardError::Format { what: "the change log", offset: 0, reason: "it holds less than the shard's state says" }
}

/// What an entry of the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logged {
    /// A document changed.
    Change(DocumentChange),
    /// A shard was cut off.
    Child(ShardId),
    /// A shard was joined, whose own log ends with that entry.
    Joined(ShardId, Position),
}

/// An entry of the log from its stored bytes.
pub fn decode(value: &Bytes) -> Result<Logged, ShardError> {
    let mut reader = Reader::new("a logged change", value);
    let note = match reader.version(VERSION_JOINED)? {
        VERSION_CHILD => Some(Logged::Child(ShardId(reader.u64()?))),
        VERSION_JOINED => Some(Logged::Joined(ShardId(reader.u64()?), Position(reader.u64()?))),
        _ => None,
    };
    if let Some(note) = note {
        reader.end()?;
        return Ok(note);
    }
    let length = usize::from(reader.u16()?);
    let key = reader.take(length)?;
    let flags = reader.u8()?;
    let old = (flags & 1 == 1).then(|| reader.bytes()).transpose()?;
    let new = (flags & 2 == 2).then(|| reader.bytes()).transpose()?;
    reader.end()?;
    Ok(Logged::Change(DocumentChange { key, old, new }))
}

fn encoded_bytes(change: &DocumentChange) -> usize {
    let documents = [&change.old, &change.new].into_iter().flatten().map(|document| 4 + document.len());
    4 + change.key.len() + documents.sum::<usize>()
}

fn encode(change: &DocumentChange) -> Vec<u8> {
    let mut value = Vec::with_capacity(encoded_bytes(change));
    value.put_u8(VERSION);
    value.put_u16_le(u16::try_from(change.key.len()).expect("keys are at most a few hundred bytes"));
    value.put_slice(&change.key);
    value.put_u8(u8::from(change.old.is_some()) | u8::from(change.new.is_some()) << 1);
    for document in [&change.old, &change.new].into_iter().flatten() {
        put_bytes(&mut value, document);
    }
    value
}

fn place(key: &[u8]) -> Result<(Position, u32), ShardError> {
    let malformed = ShardError::Format { what: "a key of the change log", offset: 0, reason: "of the wrong length" };
    let (position, number) = key.split_first_chunk::<8>().ok_or(malformed.clone())?;
    let number = number.try_into().map_err(|_| malformed)?;
    Ok((Position(u64::from_be_bytes(*position)), u32::from_be_bytes(number)))
}

fn key(position: u64, number: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&position.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use photondb_storage::{Engine, EngineOptions, TreeSetId};

    use super::*;

    #[test]
    fn changes_read_back_as_they_were_written() {
        for (old, new) in [(None, Some("n")), (Some("o"), None), (Some("o"), Some("n"))] {
            let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
            let change = DocumentChange { key: bytes("k"), old: old.map(bytes), new: new.map(bytes) };
            let encoded = encode(&change);
            assert_eq!(encoded.len(), encoded_bytes(&change));
            assert_eq!(decode(&Bytes::from(encoded)).expect("decodes"), Logged::Change(change));
        }
    }

    #[test]
    fn golden_bytes_of_what_is_noted_of_other_shards() {
        let child = decode(&Bytes::from_static(b"\x02\x07\0\0\0\0\0\0\0")).expect("decodes");
        assert_eq!(child, Logged::Child(ShardId(7)));
        let joined = decode(&Bytes::from_static(b"\x03\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0")).expect("decodes");
        assert_eq!(joined, Logged::Joined(ShardId(7), Position(9)));
        assert!(decode(&Bytes::from_static(b"\x04")).is_err());
    }

    #[test]
    fn a_log_that_holds_less_than_the_state_says_is_damaged() {
        let set = Engine::in_memory(EngineOptions::default()).create_tree_set(TreeSetId(1)).expect("a new tree set");
        let mut transaction = set.begin();
        transaction.create_tree(trees::CHANGE_LOG).expect("a new tree");
        let change = DocumentChange { key: Bytes::from_static(b"k"), old: None, new: Some(Bytes::from_static(b"n")) };
        let log = append(&mut transaction, Extent::default(), 1 << 20, 1, 0, &change).expect("is appended");
        assert_eq!(lower(&mut transaction, log, log.bytes).expect("has nothing to do"), log);
        let wrong = Extent { bytes: 3 * log.bytes, ..log };
        for cut in [lower, trim] {
            let error = cut(&mut transaction, wrong, log.bytes).map(|kept| kept.bytes);
            assert!(matches!(error, Err(ShardError::Format { what: "the change log", .. })), "{error:?}");
        }
    }
}
