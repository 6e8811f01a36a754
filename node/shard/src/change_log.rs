//! The ordered changes of a shard, bounded by bytes, so that a feed can resume after a reconnect.
//!
//! Part of the shard's state: checkpointed, in snapshots, trimmed by a rule of apply.
//!
//! ```text
//! key    position u64 big-endian, number within the entry u32 big-endian
//! value  version u8 = 1, key length u16, primary key, flags u8 (bit 0: old, bit 1: new), [old length u32, old], [new length u32, new]
//! ```

use bytes::{BufMut, Bytes};
use photondb_storage::{Direction, KeyRange, Transaction};

use crate::error::ShardError;
use crate::format::{Reader, put_bytes};
use crate::limits::CHANGE_LOG_BYTES_MAX;
use crate::publish::DocumentChange;
use crate::shard::trees;

const VERSION: u8 = 1;

/// Appends one change to a log of `bytes`; gives the bytes it has then.
///
/// A change larger than the whole log may be is not written: it would be trimmed with everything before it in any case, and
/// two of the largest documents do not fit into one value. Its place is a log that begins after it.
pub fn append(
    transaction: &mut Transaction,
    bytes: u64,
    position: u64,
    number: u32,
    change: &DocumentChange,
) -> Result<u64, ShardError> {
    let key = key(position, number);
    if (key.len() + encoded_bytes(change)) as u64 > CHANGE_LOG_BYTES_MAX {
        return trim(transaction, bytes, 0);
    }
    let value = encode(change);
    transaction.put(trees::CHANGE_LOG, &key, &value)?;
    Ok(bytes + (key.len() + value.len()) as u64)
}

/// Removes the oldest changes until at most `keep_bytes` of `bytes` remain; gives what remains.
pub fn trim(transaction: &mut Transaction, mut bytes: u64, keep_bytes: u64) -> Result<u64, ShardError> {
    while bytes > keep_bytes {
        let mut cursor = transaction.cursor(trees::CHANGE_LOG, KeyRange::all(), Direction::Forward)?;
        let mut oldest = Vec::new();
        let mut freed = 0;
        while let Some((key, value)) = cursor.next()? {
            freed += (key.len() + value.len()) as u64;
            oldest.push(key);
            if bytes.saturating_sub(freed) <= keep_bytes || oldest.len() == 64 {
                break;
            }
        }
        drop(cursor);
        if oldest.is_empty() {
            return Ok(0);
        }
        for key in oldest {
            transaction.delete(trees::CHANGE_LOG, &key)?;
        }
        bytes = bytes.saturating_sub(freed);
    }
    Ok(bytes)
}

/// A change from its stored bytes.
pub fn decode(value: &Bytes) -> Result<DocumentChange, ShardError> {
    let mut reader = Reader::new("a logged change", value);
    reader.version(VERSION)?;
    let length = usize::from(reader.u16()?);
    let key = reader.take(length)?;
    let flags = reader.u8()?;
    let old = (flags & 1 == 1).then(|| reader.bytes()).transpose()?;
    let new = (flags & 2 == 2).then(|| reader.bytes()).transpose()?;
    reader.end()?;
    Ok(DocumentChange { key, old, new })
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

fn key(position: u64, number: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&position.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_back_as_they_were_written() {
        for (old, new) in [(None, Some("n")), (Some("o"), None), (Some("o"), Some("n"))] {
            let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
            let change = DocumentChange { key: bytes("k"), old: old.map(bytes), new: new.map(bytes) };
            let encoded = encode(&change);
            assert_eq!(encoded.len(), encoded_bytes(&change));
            assert_eq!(decode(&Bytes::from(encoded)).expect("decodes"), change);
        }
    }
}
