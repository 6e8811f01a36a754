//! Each usable index holds exactly the entries that the documents of the same snapshot call for.

use std::fmt;

use bytes::Bytes;
use photondb_reql::eval::Cx;
use photondb_storage::Direction;

use crate::error::ShardError;
use crate::read::{IndexCursor, KeyBounds, Reader};
use crate::schema::Index;
use crate::secondary;

/// An entry of an index that is not as the documents call for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the index.
    pub index: String,
    /// The key of the entry.
    pub entry: Bytes,
    /// What is wrong.
    pub kind: DifferenceKind,
}

/// How an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// A document calls for it, and it is not there.
    Missing,
    /// It is there, and no document calls for it.
    Foreign,
    /// It is there with another value.
    Other,
    /// This many entries are counted; the documents call for others.
    Counted(u64),
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { index, entry, kind } = self;
        match kind {
            DifferenceKind::Missing => write!(formatter, "index {index}: the entry {entry:?} is missing"),
            DifferenceKind::Foreign => write!(formatter, "index {index}: the entry {entry:?} belongs to no document"),
            DifferenceKind::Other => write!(formatter, "index {index}: the entry {entry:?} has another value"),
            DifferenceKind::Counted(count) => write!(formatter, "index {index}: {count} entries are counted"),
        }
    }
}

/// The first difference; `None`: every index that may be read is right. Reads the whole shard into memory: for whoever checks
/// one. Errors: it cannot be read.
pub fn indexes(reader: &Reader) -> Result<Option<Difference>, ShardError> {
    let documents = reader.all_documents()?;
    for index in reader.schema().indexes.values().filter(|index| index.is_usable()) {
        if let Some((entry, kind)) = difference(reader, index, &documents)? {
            return Ok(Some(Difference { index: index.name.clone(), entry, kind }));
        }
    }
    Ok(None)
}

fn difference(
    reader: &Reader,
    index: &Index,
    documents: &[(Bytes, Bytes)],
) -> Result<Option<(Bytes, DifferenceKind)>, ShardError> {
    let cx = Cx::pure();
    let mut expected = Vec::new();
    for (key, document) in documents {
        expected.extend(secondary::entries_of(index, key, document, &cx));
    }
    expected.sort_unstable();
    // Of values that differ only behind what a key holds, the last one written stays.
    expected.dedup_by(|later, kept| {
        later.0 == kept.0 && {
            std::mem::swap(&mut kept.1, &mut later.1);
            true
        }
    });
    let counted = reader.count_entries(index, &KeyBounds::all())?;
    let mut cursor = IndexCursor::new(reader, index, &KeyBounds::all(), Direction::Forward)?;
    let mut found = 0;
    let mut wanted = expected.into_iter();
    while let Some((key, value)) = cursor.next()? {
        found += 1;
        match wanted.next() {
            Some((expected, _)) if expected < key => return Ok(Some((expected, DifferenceKind::Missing))),
            Some((expected, value_expected)) if expected == key => {
                if !secondary::is_same_entry(&value, &value_expected) {
                    return Ok(Some((key, DifferenceKind::Other)));
                }
            }
            _ => return Ok(Some((key, DifferenceKind::Foreign))),
        }
    }
    if let Some((expected, _)) = wanted.next() {
        return Ok(Some((expected, DifferenceKind::Missing)));
    }
    Ok((counted != found).then(|| (Bytes::new(), DifferenceKind::Counted(counted))))
}
