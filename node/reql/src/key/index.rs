//! Keys of index entries: the index value, the primary key, and for indexes that file a document under several values which
//! of them this is.
//!
//! ```text
//! index key := value  primary-key  tag:u32 big endian (only if the index is multi)  length:u16 of value, big endian  flags:u8
//! flags:       1 the value was cut off after INDEX_VALUE_BYTES_MAX bytes      2 there is a tag
//! ```
//!
//! A value that was cut compares like the values it begins like, so a range or an equal search over such values finds too
//! much and must look at the documents again; [`IndexBound::recheck`] and [`IndexKey::truncated`] say when.

use super::format::{self, KeyError, Role};
use crate::datum::Datum;
use crate::error::Result;
use crate::limits::INDEX_VALUE_BYTES_MAX;

const TRUNCATED: u8 = 1;
const TAGGED: u8 = 2;

/// Above every tag that opens a value: appended to a value it stands behind all entries of that value.
const BEHIND: u8 = 0xff;

/// An index key taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexKey<'a> {
    /// The encoded value, or its beginning.
    pub value: &'a [u8],
    /// Only the beginning of the value is here.
    pub truncated: bool,
    /// The encoded primary key.
    pub primary: &'a [u8],
    /// Which of a document's values, in a multi index.
    pub tag: Option<u32>,
}

impl<'a> IndexKey<'a> {
    /// Takes a stored key apart.
    pub fn parse(key: &'a [u8]) -> std::result::Result<IndexKey<'a>, KeyError> {
        let (rest, &[high, low, flags]) = key.split_last_chunk::<3>().ok_or(KeyError::Truncated)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(KeyError::Truncated)?;
        let (primary, tag) = if flags & TAGGED == 0 {
            (rest, None)
        } else {
            let (primary, tag) = rest.split_last_chunk::<4>().ok_or(KeyError::Truncated)?;
            (primary, Some(u32::from_be_bytes(*tag)))
        };
        Ok(IndexKey { value, truncated: flags & TRUNCATED != 0, primary, tag })
    }

    /// The first key that an entry of this value can have, and the first one behind all of them; of a cut value, of all values
    /// that begin like it.
    pub fn span(&self) -> (Vec<u8>, Vec<u8>) {
        (self.value.to_vec(), [self.value, &[BEHIND]].concat())
    }

    /// The index value; nothing if only its beginning is here. A time comes back in UTC.
    pub fn to_datum(&self) -> std::result::Result<Option<Datum>, KeyError> {
        if self.truncated { Ok(None) } else { format::decode(self.value).map(|(datum, _)| Some(datum)) }
    }
}

/// The key under which a document stands in an index.
pub fn index_key(value: &Datum, primary: &[u8], tag: Option<u32>) -> Result<Vec<u8>> {
    let (mut key, truncated) = encode_value(value, Role::Index)?;
    let length = key.len();
    key.reserve(primary.len() + 7);
    key.extend_from_slice(primary);
    if let Some(tag) = tag {
        key.extend_from_slice(&tag.to_be_bytes());
    }
    // A value is at most INDEX_VALUE_BYTES_MAX long.
    key.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    key.push(if truncated { TRUNCATED } else { 0 } | if tag.is_some() { TAGGED } else { 0 });
    Ok(key)
}

/// One end of a range of index keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexBound {
    /// The first key of the range, or the first key behind it.
    pub key: Vec<u8>,
    /// The bound was cut: entries at this end must be compared with the real bound.
    pub recheck: bool,
}

/// Where the entries start whose value is at least `value` (more than it, if `open`).
pub fn index_lower_bound(value: &Datum, open: bool) -> Result<IndexBound> {
    let (mut key, recheck) = encode_value(value, Role::IndexBound)?;
    if open && !recheck {
        key.push(BEHIND);
    }
    Ok(IndexBound { key, recheck })
}

/// Where the entries end (this key no longer belongs to them) whose value is at most `value` (less than it, if `open`).
pub fn index_upper_bound(value: &Datum, open: bool) -> Result<IndexBound> {
    let (mut key, recheck) = encode_value(value, Role::IndexBound)?;
    if !open || recheck {
        key.push(BEHIND);
    }
    Ok(IndexBound { key, recheck })
}

fn encode_value(value: &Datum, role: Role) -> Result<(Vec<u8>, bool)> {
    let mut key = Vec::with_capacity(48);
    format::encode(value, role, &mut key)?;
    let truncated = key.len() > INDEX_VALUE_BYTES_MAX;
    key.truncate(INDEX_VALUE_BYTES_MAX);
    Ok((key, truncated))
}
