//! The free set on disk: chunks that describe extents, and a directory of chunks.

use std::collections::BTreeSet;

use super::{Allocated, FreeSet};
use crate::error::{Result, StorageError};
use crate::page::format::{HEADER_BYTES, PageId, PageKind};
use crate::page::store::PageStore;
use crate::slab::extent::{Extent, map_words};
use crate::slab::format::{
    CHUNK_HEADER, CHUNKS_PER_DIRECTORY, EXTENT_RECORD_BYTES, EXTENT_RECORD_HEADER_BYTES, EXTENTS_PER_CHUNK,
};
use crate::slab::size_class::SizeClass;

/// Slots smaller than this never hold a chunk, so an extent opened for one needs no more than four words of map.
const CHUNK_SLOT_BYTES_MIN: usize = 4096;

/// A page to write: where, what it is, its body.
type Body = (PageId, PageKind, Vec<u8>);

impl FreeSet {
    /// Reads the stored form.
    pub fn load(store: &PageStore, directory: &[PageId], extents: u32) -> Result<Self> {
        let mut set = FreeSet::new();
        set.directory = directory.to_vec();
        for &page in directory {
            for bytes in store.read(page, PageKind::FreeDirectory)?.chunks(8) {
                let bits = u64::from_le_bytes(bytes.try_into().map_err(|_| inconsistent("directory is cut short"))?);
                let chunk = match bits {
                    0 => None,
                    bits => Some(PageId::from_bits(bits).ok_or_else(|| inconsistent("reference of a chunk"))?),
                };
                set.chunks.push(chunk);
            }
        }
        if set.chunks.len() != (extents as usize).div_ceil(EXTENTS_PER_CHUNK) {
            return Err(inconsistent("number of chunks"));
        }
        for &chunk in &set.chunks {
            match chunk {
                None => set.extents.extend(std::iter::repeat_n(Extent::default(), EXTENTS_PER_CHUNK)),
                Some(page) => set.extents.extend(decode_chunk(&store.read(page, PageKind::FreeChunk)?)?),
            }
        }
        set.extents.truncate(extents as usize);
        for (number, extent) in (0..extents).zip(&set.extents) {
            match extent.class {
                None => set.placement.unclassed(number),
                Some(class) => set.placement.classed(number, class),
            }
        }
        Ok(set)
    }

    /// Gives every changed chunk, and the directory over it, a fresh slot, until giving them changes nothing more.
    /// Returns the pages to write with their bodies.
    pub fn store(&mut self, opened: &mut impl FnMut(&Allocated) -> Result<()>) -> Result<Vec<Body>> {
        let mut moved_chunks = BTreeSet::new();
        let mut moved_directory = BTreeSet::new();
        loop {
            if let Some(&chunk) = self.dirty_chunks.difference(&moved_chunks).next() {
                moved_chunks.insert(chunk);
                if let Some(old) = self.chunks[chunk] {
                    self.unlink_unread(old);
                }
                let fresh = self.allocate(page_class(self.chunk_bytes_max(chunk)));
                opened(&fresh)?;
                self.chunks[chunk] = Some(fresh.page);
                continue;
            }
            let stale = |index: &usize| !moved_directory.contains(index);
            let pages = self.chunks.len().div_ceil(CHUNKS_PER_DIRECTORY);
            let mut changed = moved_chunks.iter().map(|chunk| chunk / CHUNKS_PER_DIRECTORY);
            let changed = changed.find(stale).or_else(|| self.dirty_directory.iter().copied().find(stale));
            let Some(index) = changed else { break };
            // The size is taken for a full page, so that a chunk added meanwhile still fits the slot.
            let entries = self.chunks.len() - index * CHUNKS_PER_DIRECTORY + 64;
            let fresh = self.allocate(page_class(entries.min(CHUNKS_PER_DIRECTORY) * 8));
            opened(&fresh)?;
            moved_directory.insert(index);
            if index < self.directory.len() {
                let old = std::mem::replace(&mut self.directory[index], fresh.page);
                self.unlink_unread(old);
            } else {
                assert!(index == self.directory.len() && index < pages, "directory pages are added in order");
                self.directory.push(fresh.page);
            }
        }
        self.dirty_chunks.clear();
        self.dirty_directory.clear();
        Ok(self.bodies(&moved_chunks, &moved_directory))
    }

    /// Has the free set's own pages that lie in the wrong place written elsewhere by the next checkpoint.
    pub fn move_own_pages(&mut self, is_misplaced: impl Fn(PageId) -> bool) {
        let misplaced = |chunk: &Option<PageId>| chunk.is_some_and(&is_misplaced);
        let chunks = self.chunks.iter().enumerate().filter(|(_, chunk)| misplaced(chunk)).map(|(index, _)| index);
        self.dirty_chunks.extend(chunks);
        let pages = self.directory.iter().enumerate().filter(|(_, page)| is_misplaced(**page)).map(|(index, _)| index);
        self.dirty_directory.extend(pages);
    }

    /// What a chunk takes at most when slots for chunks and directory pages are still being given out in it.
    fn chunk_bytes_max(&self, chunk: usize) -> usize {
        let record = |number: usize| match self.extents.get(number).and_then(|extent| extent.class) {
            Some(class) => EXTENT_RECORD_HEADER_BYTES + 8 * map_words(class),
            None => EXTENT_RECORD_BYTES,
        };
        let records: usize = (chunk * EXTENTS_PER_CHUNK..(chunk + 1) * EXTENTS_PER_CHUNK).map(record).sum();
        CHUNK_HEADER.len() + records
    }

    fn bodies(&self, chunks: &BTreeSet<usize>, directory: &BTreeSet<usize>) -> Vec<Body> {
        let mut bodies = Vec::new();
        for &chunk in chunks {
            let mut body = CHUNK_HEADER.to_vec();
            for number in chunk * EXTENTS_PER_CHUNK..(chunk + 1) * EXTENTS_PER_CHUNK {
                self.extents.get(number).unwrap_or(&Extent::default()).encode(&mut body);
            }
            bodies.push((self.chunks[chunk].expect("a changed chunk has a slot"), PageKind::FreeChunk, body));
        }
        for &index in directory {
            let chunks = self.chunks.iter().skip(index * CHUNKS_PER_DIRECTORY).take(CHUNKS_PER_DIRECTORY);
            let body = chunks.flat_map(|chunk| chunk.map_or(0, PageId::to_bits).to_le_bytes()).collect();
            bodies.push((self.directory[index], PageKind::FreeDirectory, body));
        }
        bodies
    }

    /// Lets go of the chunks and directory pages behind the last extent.
    pub(super) fn trim_stored(&mut self) {
        let chunks = self.extents.len().div_ceil(EXTENTS_PER_CHUNK);
        if chunks == self.chunks.len() {
            return;
        }
        for page in self.chunks.split_off(chunks).into_iter().flatten() {
            self.unlink_unread(page);
        }
        let pages = chunks.div_ceil(CHUNKS_PER_DIRECTORY);
        for page in self.directory.split_off(pages.min(self.directory.len())) {
            self.unlink_unread(page);
        }
        self.dirty_chunks.retain(|chunk| *chunk < chunks);
        // The last directory page is shorter now.
        self.dirty_directory.extend(pages.checked_sub(1));
    }
}

/// The extents that a chunk describes. Any bytes may come in.
pub fn decode_chunk(body: &[u8]) -> Result<Vec<Extent>> {
    let Some(mut records) = body.strip_prefix(&CHUNK_HEADER) else { return decode_chunk_v1(body) };
    let extents = (0..EXTENTS_PER_CHUNK).map(|_| Extent::decode(&mut records)).collect::<Result<_>>()?;
    if records.is_empty() { Ok(extents) } else { Err(inconsistent("length of a chunk")) }
}

fn decode_chunk_v1(body: &[u8]) -> Result<Vec<Extent>> {
    if body.first() == CHUNK_HEADER.first() {
        let (found, supported) = (body.get(1).copied().map_or(0, u32::from), u32::from(CHUNK_HEADER[1]));
        return Err(StorageError::NewerFormat { name: "free chunk".to_owned(), found, supported });
    }
    if body.len() != EXTENTS_PER_CHUNK * EXTENT_RECORD_BYTES {
        return Err(inconsistent("length of a chunk"));
    }
    body.chunks_exact(EXTENT_RECORD_BYTES).map(Extent::decode_v1).collect()
}

fn page_class(body_bytes: usize) -> SizeClass {
    let bytes = (HEADER_BYTES + body_bytes).max(CHUNK_SLOT_BYTES_MIN);
    SizeClass::fitting(bytes).expect("pages of the free set fit a slot")
}

fn inconsistent(detail: &str) -> StorageError {
    StorageError::Inconsistent { detail: format!("free set: {detail}") }
}
