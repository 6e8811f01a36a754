//! Primary keys.

use std::fmt;

use bytes::Bytes;

use super::format::{self, KeyError, Role};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::limits::PRIMARY_KEY_BYTES_MAX;

/// The encoded primary key of a document.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrimaryKey(Bytes);

impl PrimaryKey {
    /// Encodes a key, or says in RethinkDB's words why it cannot be one.
    pub fn new(datum: &Datum) -> Result<PrimaryKey> {
        let mut bytes = Vec::with_capacity(24);
        format::encode(datum, Role::Primary, &mut bytes)?;
        // RethinkDB's encoding, whose first byte does not count, is never shorter than the content of ours.
        if format::rethinkdb_longer_than(PRIMARY_KEY_BYTES_MAX + 1, datum.node()) {
            return Err(Error::logic(format!(
                "Primary key too long (max {PRIMARY_KEY_BYTES_MAX} characters): {}",
                datum.print()
            )));
        }
        Ok(PrimaryKey(Bytes::from(bytes)))
    }

    /// The encoding of a bound: like a key, but MINVAL and MAXVAL are allowed and length does not matter. A range starts
    /// behind the bound itself when a zero byte is appended.
    pub fn bound(datum: &Datum) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(24);
        format::encode(datum, Role::Primary, &mut bytes)?;
        Ok(bytes)
    }

    /// A key read back from storage.
    pub fn from_encoded(bytes: Bytes) -> PrimaryKey {
        PrimaryKey(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The datum it was made of; a time comes back in UTC.
    pub fn to_datum(&self) -> std::result::Result<Datum, KeyError> {
        match format::decode(&self.0)? {
            (datum, used) if used == self.0.len() => Ok(datum),
            _ => Err(KeyError::Malformed { what: "bytes behind a key" }),
        }
    }
}

impl AsRef<[u8]> for PrimaryKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_datum() {
            Ok(datum) => write!(f, "PrimaryKey({datum:?})"),
            Err(_) => write!(f, "PrimaryKey({:02x?})", &self.0[..]),
        }
    }
}
