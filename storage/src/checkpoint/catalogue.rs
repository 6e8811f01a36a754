//! What the catalogue tree keeps per tree set: the roots of its trees and the owner's blob.
//!
//! ```text
//! key:   tree set id, 8 bytes, big endian
//! value: format version 1 (2) | compression 1 | reserved 2 | trees 4 | per tree: id 4, root 8 (0: empty), entries 8 | meta length 4 | meta
//! ```
//! compression: 0 none, 1 LZ4, 2 zstd. Version 1 has a zero there, and was read by programs that knew no compression per
//! set; such a set is taken as uncompressed.

use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::btree::{Direction, KeyRange, Root};
use crate::error::{Result, StorageError};
use crate::limits::TREES_PER_SET_MAX;
use crate::page::compression::Compression;
use crate::page::format::PageRef;
use crate::transaction::{Ambient, Shared, Snapshot, TreeId, TreeSet, TreeSetId};

/// The tree set id under which the engine keeps the catalogue itself. No owner may use it.
pub const CATALOGUE_SET: TreeSetId = TreeSetId(u64::MAX);
/// The one tree of that set.
pub const CATALOGUE_TREE: TreeId = TreeId(0);

/// The newest record format this program writes and reads.
pub const RECORD_FORMAT_VERSION: u8 = 2;

/// One tree set, as a checkpoint stores it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Roots, sorted by tree; slots only.
    pub trees: Vec<(TreeId, Root)>,
    /// The owner's blob.
    pub meta: Bytes,
    /// For pages written from now on.
    pub compression: Compression,
}

/// The key of a tree set.
pub fn key(id: TreeSetId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// The tree set of a key.
pub fn id_of(key: &[u8]) -> Result<TreeSetId> {
    let bytes = key.try_into().map_err(|_| inconsistent("length of a key"))?;
    Ok(TreeSetId(u64::from_be_bytes(bytes)))
}

impl Record {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![RECORD_FORMAT_VERSION, self.compression.number(), 0, 0];
        out.extend_from_slice(&u32::try_from(self.trees.len()).expect("trees are bounded").to_le_bytes());
        for (id, root) in &self.trees {
            out.extend_from_slice(&id.0.to_le_bytes());
            out.extend_from_slice(&root.page.map_or(0, PageRef::to_bits).to_le_bytes());
            out.extend_from_slice(&root.count.to_le_bytes());
        }
        out.extend_from_slice(&u32::try_from(self.meta.len()).expect("meta is bounded").to_le_bytes());
        out.extend_from_slice(&self.meta);
        out
    }

    /// Reads the stored form.
    pub fn decode(mut bytes: Bytes) -> Result<Self> {
        if bytes.len() < 8 {
            return Err(inconsistent("record is cut short"));
        }
        let version = bytes.get_u8();
        if version == 0 || version > RECORD_FORMAT_VERSION {
            let (found, supported) = (u32::from(version), u32::from(RECORD_FORMAT_VERSION));
            return Err(StorageError::NewerFormat { name: "catalogue record".to_owned(), found, supported });
        }
        let compression = Compression::from_number(bytes.get_u8()).ok_or_else(|| inconsistent("compression"))?;
        bytes.advance(2);
        let count = bytes.get_u32_le() as usize;
        if count > TREES_PER_SET_MAX || bytes.len() < count * 20 + 4 {
            return Err(inconsistent("number of trees"));
        }
        let mut trees = Vec::with_capacity(count);
        for _ in 0..count {
            let id = TreeId(bytes.get_u32_le());
            let page = match bytes.get_u64_le() {
                0 => None,
                bits => Some(PageRef::from_stored_bits(bits).ok_or_else(|| inconsistent("root of a tree"))?),
            };
            trees.push((id, Root { page, count: bytes.get_u64_le() }));
        }
        if !trees.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(inconsistent("order of trees"));
        }
        let length = bytes.get_u32_le() as usize;
        if bytes.len() != length {
            return Err(inconsistent("length of meta"));
        }
        Ok(Record { trees, meta: bytes, compression })
    }
}

/// The catalogue with this root, as a tree set of its own. Its slots are not announced to the engine's books: whoever
/// changes it does that.
pub(crate) fn open(root: Root, ambient: &Ambient) -> TreeSet {
    let own = Arc::new(Ambient::new(Arc::clone(&ambient.store)));
    TreeSet { shared: Arc::new(Shared::new(CATALOGUE_SET, own, vec![(CATALOGUE_TREE, root)], Bytes::new())) }
}

/// The record of a tree set.
pub(crate) fn find(catalogue: &Snapshot, id: TreeSetId) -> Result<Option<Record>> {
    catalogue.get(CATALOGUE_TREE, &key(id))?.map(Record::decode).transpose()
}

/// Every record, in order of ids.
pub(crate) fn all(catalogue: &Snapshot) -> Result<Vec<(TreeSetId, Record)>> {
    let mut records = Vec::new();
    let mut cursor = catalogue.cursor(CATALOGUE_TREE, KeyRange::all(), Direction::Forward)?;
    while let Some((key, value)) = cursor.next()? {
        records.push((id_of(&key)?, Record::decode(value)?));
    }
    Ok(records)
}

fn inconsistent(detail: &str) -> StorageError {
    StorageError::Inconsistent { detail: format!("catalogue: {detail}") }
}
