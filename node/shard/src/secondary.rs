//! Secondary indexes: one entry for each value that a document's index function gives.
//!
//! ```text
//! key    the index value and the primary key, encoded so that entries sort by value and then by primary key (reql::key)
//! value  header, primary key length u16, primary key, the index value as an encoded datum
//! ```
//!
//! The value is kept whole beside the key, because a long one is truncated in the key. Entries of geospatial indexes are others:
//! see [`geo`].

pub mod geo;

use bytes::{BufMut, Bytes};
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::key::index_key;
use photondb_storage::Transaction;

use crate::error::ShardError;
use crate::format::{Reader, VALUE_GEO_ENTRY, VALUE_HEADER_BYTES, VALUE_INDEX_ENTRY, put_value_header, value_body};
use crate::limits::INDEX_VALUES_BYTES_MAX;
use crate::publish::DocumentChange;
use crate::schema::Index;

/// A document's entries in one index: (key, what the value holds behind the primary key), sorted.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Brings one index from the old document of a change to the new one.
pub fn maintain(
    transaction: &mut Transaction,
    index: &Index,
    change: &DocumentChange,
    position: u64,
    cx: &Cx,
) -> Result<(), ShardError> {
    let before = entries(index, change.old.as_ref(), &change.key, cx)?;
    let after = entries(index, change.new.as_ref(), &change.key, cx)?;
    for (key, _) in &before {
        if after.binary_search_by(|(other, _)| other.cmp(key)).is_err() {
            transaction.delete(index.tree, key)?;
        }
    }
    for entry in &after {
        // Two values may have one key and differ behind it.
        if before.binary_search(entry).is_err() {
            let (key, value) = entry;
            put(transaction, index, key, &change.key, value, position)?;
        }
    }
    Ok(())
}

/// Adds a document's entries: what the builder does.
pub fn add(
    transaction: &mut Transaction,
    index: &Index,
    primary_key: &Bytes,
    document: &Bytes,
    position: u64,
    cx: &Cx,
) -> Result<(), ShardError> {
    for (key, value) in entries(index, Some(document), primary_key, cx)? {
        put(transaction, index, &key, primary_key, &value, position)?;
    }
    Ok(())
}

/// The primary key and the index value of a stored entry.
pub fn decode(value: &Bytes) -> Result<(Bytes, Datum), ShardError> {
    let (_, body) = value_body(value, VALUE_INDEX_ENTRY)?;
    let mut reader = Reader::new("an index entry", &body);
    let length = usize::from(reader.u16()?);
    let primary_key = reader.take(length)?;
    let datum = decode_datum(&body.slice(2 + length..))?;
    Ok((primary_key, datum))
}

/// A stored document or index value as a datum. Its page had the right checksum, or was made in memory of what was encoded
/// here, so nothing of it is looked at until it is used.
pub fn decode_datum(bytes: &Bytes) -> Result<Datum, ShardError> {
    Datum::view(bytes.clone()).map_err(|_| ShardError::Format {
        what: "a stored datum",
        offset: 0,
        reason: "not a datum",
    })
}

fn entries(index: &Index, document: Option<&Bytes>, primary_key: &[u8], cx: &Cx) -> Result<Entries, ShardError> {
    let Some(document) = document else { return Ok(Entries::new()) };
    // A document that does not decode is reported to whoever reads it. Here it has no entries, neither when it comes nor
    // when it goes: an error would end every replica, and again at each start.
    let Ok(document) = Datum::decode(document.clone()) else { return Ok(Entries::new()) };
    let mut bytes_left = INDEX_VALUES_BYTES_MAX;
    // What one document's function held, or failed with, is nothing to the next: every replica must come to the same.
    let mark = cx.held();
    let mut entries: Entries = index
        .function
        .values(&document, index.multi, cx)
        .into_iter()
        .zip(0u32..)
        .filter_map(|(value, number)| {
            // A value that no index can hold (null, an object) has no entry; that is no error of the write.
            let key = match index.geo {
                true => None,
                false => Some(index_key(&value, primary_key, index.multi.then_some(number)).ok()?),
            };
            let mut encoded = Vec::new();
            value.encode(&mut encoded);
            bytes_left = bytes_left.checked_sub(encoded.len())?;
            Some(match key {
                Some(key) => vec![(key, encoded)],
                None => geo::entries(&value, primary_key, number),
            })
        })
        .flatten()
        .collect();
    cx.release_to(mark);
    entries.sort();
    Ok(entries)
}

fn put(
    transaction: &mut Transaction,
    index: &Index,
    key: &[u8],
    primary_key: &[u8],
    value: &[u8],
    position: u64,
) -> Result<(), ShardError> {
    let kind = if index.geo { VALUE_GEO_ENTRY } else { VALUE_INDEX_ENTRY };
    transaction.put(index.tree, key, &stored_value(kind, position, primary_key, value))?;
    Ok(())
}

fn stored_value(kind: u8, position: u64, primary_key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(VALUE_HEADER_BYTES + primary_key.len() + value.len() + 2);
    put_value_header(&mut stored, kind, position);
    stored.put_u16_le(u16::try_from(primary_key.len()).expect("keys are at most a few hundred bytes"));
    stored.put_slice(primary_key);
    stored.put_slice(value);
    stored
}
