//! Values larger than a leaf takes: one page, or pieces and a page that lists them.
//!
//! ```text
//! Value       body: the bytes
//! ValueParts  body: page ids of the pieces in order, 8 bytes each
//! ValuePart   body: the bytes of one piece
//! ```
//! Which form a value has follows from its length alone, so a reader knows what to expect.

use bytes::Bytes;

use crate::error::{Result, StorageError};
use crate::page::format::{HEADER_BYTES, PageId, PageKind};
use crate::page::store::PageStore;
use crate::slab::size_class::SizeClass;

/// Bytes of a value that fit one page.
pub fn single_page_bytes() -> usize {
    SizeClass::LARGEST.slot_bytes() - HEADER_BYTES
}

/// How many pieces a value of this length has; 0: it is one page.
pub fn parts_of(length: usize) -> usize {
    if length <= single_page_bytes() { 0 } else { length.div_ceil(single_page_bytes()) }
}

/// Reads a value.
pub fn read(store: &PageStore, id: PageId, length: u32) -> Result<Bytes> {
    let length = length as usize;
    let parts = parts_of(length);
    if parts == 0 {
        let body = store.read(id, PageKind::Value)?;
        return checked(id, body, length).map(Bytes::from);
    }
    let mut value = Vec::with_capacity(length);
    for part in read_parts(store, id, length)? {
        let expected = single_page_bytes().min(length - value.len());
        value.extend_from_slice(&checked(part, store.read(part, PageKind::ValuePart)?, expected)?);
    }
    Ok(Bytes::from(value))
}

/// The slots a stored value takes, `id` first.
pub fn slots(store: &PageStore, id: PageId, length: u32) -> Result<Vec<PageId>> {
    let mut slots = vec![id];
    if parts_of(length as usize) > 0 {
        slots.extend(read_parts(store, id, length as usize)?);
    }
    Ok(slots)
}

fn read_parts(store: &PageStore, id: PageId, length: usize) -> Result<Vec<PageId>> {
    let list = checked(id, store.read(id, PageKind::ValueParts)?, parts_of(length) * 8)?;
    let bits = list.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    bits.map(|bits| PageId::from_bits(bits).ok_or_else(|| damaged(id, "reference of a piece", 1, bits))).collect()
}

fn checked(id: PageId, body: Vec<u8>, expected: usize) -> Result<Vec<u8>> {
    if body.len() == expected {
        Ok(body)
    } else {
        Err(damaged(id, "length of a large value", expected as u64, body.len() as u64))
    }
}

fn damaged(page: PageId, detail: &'static str, expected: u64, found: u64) -> StorageError {
    StorageError::DamagedPage { page, offset: page.offset(), detail, expected, found }
}
