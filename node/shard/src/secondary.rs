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

use std::collections::HashSet;

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

/// A value that a document has in one index.
struct Value {
    /// Which of the document's values.
    number: u32,
    datum: Datum,
    encoded: Vec<u8>,
    /// The key of its entry. `None`: a geospatial index, where it has others.
    key: Option<Vec<u8>>,
}

/// Brings one index from the old document of a change to the new one. What the change leaves as it was is not looked at: the
/// cells of a large geometry take long.
pub fn maintain(
    transaction: &mut Transaction,
    index: &Index,
    change: &DocumentChange,
    position: u64,
    cx: &Cx,
) -> Result<(), ShardError> {
    let (mut before, mut after) =
        (values(index, change.old.as_ref(), &change.key, cx), values(index, change.new.as_ref(), &change.key, cx));
    leave_out_common(&mut before, &mut after);
    let (before, after) = (entries(before, &change.key), entries(after, &change.key));
    for (key, _) in &before {
        if after.binary_search_by(|(other, _)| other.cmp(key)).is_err() {
            transaction.delete(index.tree, key)?;
            if let Some(rest) = index.rest {
                transaction.delete(rest, key)?;
            }
            if let Some(half) = index.half_of(key, &change.key) {
                transaction.delete(half, key)?;
            }
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
    for (key, value) in entries(values(index, Some(document), primary_key, cx), primary_key) {
        put(transaction, index, &key, primary_key, &value, position)?;
    }
    Ok(())
}

/// The keys and the values of a document's entries, in the order of the keys. The position in a value is zero.
pub(crate) fn entries_of(index: &Index, primary_key: &Bytes, document: &Bytes, cx: &Cx) -> Vec<(Bytes, Vec<u8>)> {
    let entries = entries(values(index, Some(document), primary_key, cx), primary_key);
    let stored = |value: Vec<u8>| stored_value(kind(index), 0, primary_key, &value);
    entries.into_iter().map(|(key, value)| (Bytes::from(key), stored(value))).collect()
}

/// Whether two stored entries say the same, whenever they were written.
pub(crate) fn is_same_entry(one: &[u8], other: &[u8]) -> bool {
    one.first() == other.first() && one.get(VALUE_HEADER_BYTES..) == other.get(VALUE_HEADER_BYTES..)
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

/// The values of a document in the order of their numbers, as many as their bytes allow.
fn values(index: &Index, document: Option<&Bytes>, primary_key: &[u8], cx: &Cx) -> Vec<Value> {
    let Some(document) = document else { return Vec::new() };
    // A document that does not decode is reported to whoever reads it. Here it has no entries, neither when it comes nor
    // when it goes: an error would end every replica, and again at each start.
    let Ok(document) = Datum::decode(document.clone()) else { return Vec::new() };
    let mut bytes_left = INDEX_VALUES_BYTES_MAX;
    // What one document's function held, or failed with, is nothing to the next: every replica must come to the same.
    let mark = cx.held();
    let values = index.function.values(&document, index.multi, cx).into_iter().zip(0u32..);
    let values = values
        .filter_map(|(datum, number)| {
            // A value that no index can hold (null, an object) has no entry; that is no error of the write.
            let key = match index.geo {
                true => None,
                false => Some(index_key(&datum, primary_key, index.multi.then_some(number)).ok()?),
            };
            let mut encoded = Vec::new();
            datum.encode(&mut encoded);
            bytes_left = bytes_left.checked_sub(encoded.len())?;
            Some(Value { number, datum, encoded, key })
        })
        .collect();
    cx.release_to(mark);
    values
}

/// Takes the values that are the same before and after out of both. Their entries are the same, too.
fn leave_out_common(before: &mut Vec<Value>, after: &mut Vec<Value>) {
    let has = |values: &[Value], value: &Value| {
        values
            .binary_search_by_key(&value.number, |other| other.number)
            .is_ok_and(|place| values[place].encoded == value.encoded)
    };
    let common: HashSet<u32> = before.iter().filter(|value| has(after, value)).map(|value| value.number).collect();
    before.retain(|value| !common.contains(&value.number));
    after.retain(|value| !common.contains(&value.number));
}

fn entries(values: Vec<Value>, primary_key: &[u8]) -> Entries {
    let mut entries = Entries::with_capacity(values.len());
    for Value { number, datum, encoded, key } in values {
        match key {
            Some(key) => entries.push((key, encoded)),
            None => entries.extend(geo::entries(&datum, primary_key, number)),
        }
    }
    entries.sort();
    entries
}

fn put(
    transaction: &mut Transaction,
    index: &Index,
    key: &[u8],
    primary_key: &[u8],
    value: &[u8],
    position: u64,
) -> Result<(), ShardError> {
    let stored = stored_value(kind(index), position, primary_key, value);
    transaction.put(index.tree, key, &stored)?;
    if let Some(rest) = index.rest {
        // An entry that has another value now may lie there.
        transaction.delete(rest, key)?;
    }
    if let Some(half) = index.half_of(key, primary_key) {
        transaction.put(half, key, &stored)?;
    }
    Ok(())
}

/// The primary key of a stored entry of any index.
pub(crate) fn primary_key_of(index: &Index, stored: &Bytes) -> Result<Bytes, ShardError> {
    let (_, body) = value_body(stored, kind(index))?;
    Reader::new("an index entry", &body).key()
}

fn kind(index: &Index) -> u8 {
    if index.geo { VALUE_GEO_ENTRY } else { VALUE_INDEX_ENTRY }
}

fn stored_value(kind: u8, position: u64, primary_key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(VALUE_HEADER_BYTES + primary_key.len() + value.len() + 2);
    put_value_header(&mut stored, kind, position);
    stored.put_u16_le(u16::try_from(primary_key.len()).expect("keys are at most a few hundred bytes"));
    stored.put_slice(primary_key);
    stored.put_slice(value);
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(numbered: &[(u32, &str)]) -> Vec<Value> {
        numbered
            .iter()
            .map(|(number, text)| Value {
                number: *number,
                datum: Datum::from(*text),
                encoded: text.as_bytes().to_vec(),
                key: None,
            })
            .collect()
    }

    #[test]
    fn what_is_the_same_before_and_after_is_left_out() {
        let numbers = |values: &[Value]| values.iter().map(|value| value.number).collect::<Vec<_>>();
        let (mut before, mut after) =
            (values(&[(0, "a"), (2, "b"), (3, "c")]), values(&[(0, "a"), (1, "b"), (2, "b"), (3, "d"), (4, "c")]));
        leave_out_common(&mut before, &mut after);
        assert_eq!((numbers(&before), numbers(&after)), (vec![3], vec![1, 3, 4]));
        leave_out_common(&mut before, &mut Vec::new());
        assert_eq!(numbers(&before), [3]);
    }
}
