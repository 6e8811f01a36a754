//! Writes pages into fresh slots: finds the slot, opens extents, joins neighbouring writes.

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::Node;
use crate::disk::File;
use crate::error::{Result, StorageError};
use crate::fault::{buggify, fault_point};
use crate::page::cache::Cached;
use crate::page::compression::{Compression, Packer};
use crate::page::format::{self, HEADER_BYTES, PageId, PageKind, Payload};
use crate::page::overflow::{parts_of, single_page_bytes};
use crate::page::store::{PAGE_FILE, PageStore};
use crate::slab::format::{EXTENT_BYTES, encode_extent_header, extent_offset};
use crate::slab::free_set::Allocated;
use crate::slab::{FreeSet, SizeClass};

/// Adjoining slots are written together up to this size, in bytes.
const RUN_BYTES_MAX: usize = 1 << 20;

/// Writes pages ahead of the superblock that will name them. What was not confirmed with [`PageWriter::confirm`] when
/// the writer ends is given back.
pub struct PageWriter<'c> {
    store: &'c PageStore,
    free_set: &'c mut FreeSet,
    generation: u64,
    packer: Packer,
    /// Per size class: bytes waiting, and where they go.
    runs: Vec<(u64, Vec<u8>)>,
    /// Slots given out that nothing refers to yet, and their size in bytes.
    unconfirmed: Vec<PageId>,
    unconfirmed_bytes: usize,
    written: Amount,
}

/// What a writer wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Pages.
    pub pages: u64,
    /// Bytes of their slots.
    pub bytes: u64,
}

impl<'c> PageWriter<'c> {
    /// A writer for one checkpoint.
    pub fn new(store: &'c PageStore, free_set: &'c mut FreeSet, generation: u64, compression: Compression) -> Self {
        let runs = (0..SizeClass::COUNT).map(|_| (0, Vec::new())).collect();
        PageWriter {
            store,
            free_set,
            generation,
            packer: Packer::new(compression),
            runs,
            unconfirmed: Vec::new(),
            unconfirmed_bytes: 0,
            written: Amount::default(),
        }
    }

    /// Goes on with pages of another tree set.
    pub fn set_compression(&mut self, compression: Compression) {
        self.packer.set_compression(compression);
    }

    /// The books.
    pub fn free_set(&mut self) -> &mut FreeSet {
        self.free_set
    }

    /// What was written so far.
    pub fn written(&self) -> Amount {
        self.written
    }

    /// Bytes of slots that nothing refers to yet.
    pub fn unconfirmed_bytes(&self) -> usize {
        self.unconfirmed_bytes
    }

    /// Hands everything that waits to the file, so that readers may look for it there.
    pub fn flush(&mut self) -> Result<()> {
        self.runs.iter_mut().try_for_each(|run| write_run(self.store, run))
    }

    /// Everything written so far is referred to, except `lost`.
    pub fn confirm(&mut self, lost: &[PageId]) {
        self.unconfirmed.clear();
        self.unconfirmed_bytes = 0;
        lost.iter().for_each(|page| self.give_back(*page));
    }

    fn give_back(&mut self, page: PageId) {
        self.store.cache().remove(page);
        self.free_set.give_back(page);
    }

    /// Writes a node, whose references are all to slots.
    pub fn write_node(&mut self, node: Node) -> Result<PageId> {
        let kind = if node.is_leaf() { PageKind::Leaf } else { PageKind::Branch };
        let page = self.write(kind, node.body())?;
        self.store.cache().insert(page, Cached::Node(Arc::new(node)));
        Ok(page)
    }

    /// Writes a large value; the slots of its pieces come second.
    pub fn write_value(&mut self, value: &Bytes) -> Result<(PageId, Vec<PageId>)> {
        if parts_of(value.len()) == 0 {
            let page = self.write(PageKind::Value, value)?;
            self.store.cache().insert(page, Cached::Value(value.clone()));
            return Ok((page, Vec::new()));
        }
        let mut parts = Vec::with_capacity(parts_of(value.len()));
        for part in value.chunks(single_page_bytes()) {
            parts.push(self.write(PageKind::ValuePart, part)?);
        }
        let list: Vec<u8> = parts.iter().flat_map(|part| part.to_bits().to_le_bytes()).collect();
        Ok((self.write(PageKind::ValueParts, &list)?, parts))
    }

    fn write(&mut self, kind: PageKind, body: &[u8]) -> Result<PageId> {
        let packed = if buggify!("storage/page-left-plain") { None } else { self.packer.pack(body) };
        let payload = match &packed {
            Some((compression, stored)) => Payload { compression: *compression, stored, body_len: body.len() },
            None => Payload::plain(body),
        };
        let class =
            SizeClass::fitting(HEADER_BYTES + payload.stored.len()).expect("bodies are at most the largest slot");
        let allocated = self.free_set.allocate_ahead(class);
        self.unconfirmed.push(allocated.page);
        self.unconfirmed_bytes += allocated.page.class().slot_bytes();
        open_extent(self.store.file(), self.generation, &allocated)?;
        self.put(allocated.page, kind, payload)?;
        Ok(allocated.page)
    }

    fn put(&mut self, page: PageId, kind: PageKind, payload: Payload<'_>) -> Result<()> {
        // P1: the slot begins another life.
        self.store.cache().remove(page);
        let (offset, slot_bytes) = (page.offset(), page.class().slot_bytes());
        let run = &mut self.runs[usize::from(page.class().number())];
        if !run.1.is_empty() && (run.0 + run.1.len() as u64 != offset || run.1.len() + slot_bytes > RUN_BYTES_MAX) {
            write_run(self.store, run)?;
        }
        if run.1.is_empty() {
            run.0 = offset;
        }
        let end = run.1.len() + slot_bytes;
        format::encode(kind, page, self.generation, payload, &mut run.1);
        run.1.resize(end, 0);
        self.written.pages += 1;
        self.written.bytes += slot_bytes as u64;
        if buggify!("storage/page-written-alone") {
            write_run(self.store, run)?;
        }
        Ok(())
    }

    /// Writes the free set and syncs. Afterwards the pages may be referred to by a superblock.
    pub fn finish(&mut self) -> Result<()> {
        assert!(self.unconfirmed.is_empty(), "F2: what the free set counts as used is referred to");
        let (file, generation) = (self.store.file(), self.generation);
        let bodies = self.free_set.store(&mut |allocated| open_extent(file, generation, allocated))?;
        for (page, kind, body) in bodies {
            self.put(page, kind, Payload::plain(&body))?;
        }
        self.flush()?;
        if fault_point!("superblock-before-data") {
            return Ok(());
        }
        self.store.sync()
    }
}

impl Drop for PageWriter<'_> {
    fn drop(&mut self) {
        std::mem::take(&mut self.unconfirmed).into_iter().for_each(|page| self.give_back(page));
    }
}

fn write_run(store: &PageStore, run: &mut (u64, Vec<u8>)) -> Result<()> {
    let bytes = run.1.len();
    if bytes == 0 {
        return Ok(());
    }
    let written = store.file().write_all_at(&run.1, run.0);
    written.map_err(|error| full_or_io("write of", error, bytes as u64))?;
    run.1.clear();
    store.wrote(bytes)
}

fn open_extent(file: &Arc<dyn File>, generation: u64, allocated: &Allocated) -> Result<()> {
    if !allocated.opened_extent {
        return Ok(());
    }
    let (number, class) = (allocated.page.extent(), allocated.page.class());
    let end = extent_offset(number) + EXTENT_BYTES as u64;
    let length = file.len().map_err(|error| StorageError::io("length of", PAGE_FILE, error))?;
    if length < end {
        // Reserved before it is written, so that a full disk is found out here and not half way through a page.
        file.allocate(end).map_err(|error| full_or_io("growing of", error, end - length))?;
    }
    let header = encode_extent_header(number, class, generation);
    let written = file.write_all_at(&header, extent_offset(number));
    written.map_err(|error| full_or_io("write of", error, header.len() as u64))
}

fn full_or_io(operation: &'static str, error: std::io::Error, needed_bytes: u64) -> StorageError {
    let error = StorageError::io(operation, PAGE_FILE, error);
    if error.is_full() { StorageError::Full { needed_bytes } } else { error }
}
