//! Documents in the primary tree: encoded primary key to value header and encoded document.

use bytes::Bytes;
use photondb_storage::Transaction;

use crate::command::Effect;
use crate::error::ShardError;
use crate::format::{VALUE_DOCUMENT, VALUE_HEADER_BYTES, put_value_header, value_body};
use crate::shard::trees;

/// The encoded document of a stored value.
pub fn document(value: &Bytes) -> Result<Bytes, ShardError> {
    value_body(value, VALUE_DOCUMENT).map(|(_, document)| document)
}

/// Carries out an effect; gives the encoded document that was there before.
pub fn write(
    transaction: &mut Transaction,
    effect: &Effect,
    position: u64,
    scratch: &mut Vec<u8>,
) -> Result<Option<Bytes>, ShardError> {
    let before = transaction.get(trees::PRIMARY, effect.key())?;
    match effect {
        Effect::Put { key, document } => {
            scratch.clear();
            scratch.reserve(VALUE_HEADER_BYTES + document.len());
            put_value_header(scratch, VALUE_DOCUMENT, position);
            scratch.extend_from_slice(document);
            transaction.put(trees::PRIMARY, key, scratch)?;
        }
        Effect::Delete { key } => {
            if before.is_some() {
                transaction.delete(trees::PRIMARY, key)?;
            }
        }
    }
    before.as_ref().map(document).transpose()
}
