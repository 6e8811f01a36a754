//! Writes what a version has only in memory, children first, and lets the frames forward to the slots as it goes, so
//! that memory comes back a piece at a time and a checkpoint that fails has not worked in vain.

use rustc_hash::FxHashMap;

use crate::btree::Root;
use crate::btree::node::{Node, Value};
use crate::checkpoint::page_writer::PageWriter;
use crate::error::Result;
use crate::limits::EVICTION_PIECE_BYTES;
use crate::page::format::PageRef;
use crate::transaction::frames::{Evicted, Fate, Frame, name_below};
use crate::transaction::{Content, Shared};

/// Writes frames of one tree set. What they reach must stay reachable: the caller holds a version, or takes frames that
/// are gone when it is done for lost.
pub(crate) struct TreeWriter<'w, 'c> {
    shared: &'w Shared,
    writer: &'w mut PageWriter<'c>,
    /// Written, but not forwarding yet.
    piece: Vec<(u32, Content, Evicted)>,
    /// Where those are, by frame.
    slots: FxHashMap<u32, PageRef>,
}

impl<'w, 'c> TreeWriter<'w, 'c> {
    pub fn new(shared: &'w Shared, writer: &'w mut PageWriter<'c>) -> Self {
        TreeWriter { shared, writer, piece: Vec::new(), slots: FxHashMap::default() }
    }

    /// Writes a tree of a version that the caller holds. Returns its root in slots.
    pub fn write_tree(&mut self, root: Root) -> Result<Root> {
        let page = root.page.map(|page| self.write_below(page)).transpose()?;
        Ok(Root { page, count: root.count })
    }

    fn write_below(&mut self, page: PageRef) -> Result<PageRef> {
        let Some(frame) = page.as_frame() else { return Ok(page) };
        if let Some(&slot) = self.slots.get(&frame) {
            return Ok(slot);
        }
        let content = match self.shared.published.read().frames.get(frame) {
            Content::Evicted(evicted) => return Ok(evicted.page),
            content => content.clone(),
        };
        let slot = self.write(frame, content)?;
        if self.writer.unconfirmed_bytes() >= EVICTION_PIECE_BYTES {
            self.forward()?;
        }
        Ok(slot)
    }

    /// Writes a frame that the caller found in memory. It may have been written meanwhile with one that names it, and forward
    /// already: a second slot would be given back, and what is written after that must not name it.
    pub fn write_frame(&mut self, frame: u32, content: Content) -> Result<()> {
        let is_there = |entry: &Frame| entry.content.is_same(&content);
        let unwritten = self.shared.published.read().frames.entry(frame).is_some_and(is_there);
        if unwritten && !self.slots.contains_key(&frame) {
            self.write(frame, content)?;
        }
        Ok(())
    }

    fn write(&mut self, frame: u32, content: Content) -> Result<PageRef> {
        let (mut parts, mut below) = (Vec::new(), Vec::new());
        let page = match &content {
            Content::Node(node) => {
                let image = self.image_of(node.packed(), &mut below)?;
                let large_values = image.has_large_values();
                PageRef::page(self.writer.write_node(image)?, large_values)
            }
            Content::Value(value) => {
                let (page, pieces) = self.writer.write_value(value)?;
                parts = pieces;
                PageRef::page(page, false)
            }
            Content::Evicted(evicted) => return Ok(evicted.page),
        };
        self.slots.insert(frame, page);
        self.piece.push((frame, content, Evicted { page, parts, below, fate: Fate::InTree }));
        Ok(page)
    }

    /// The stored form of a node: everything below is written, and named by its slot.
    fn image_of(&mut self, mut image: Node, below: &mut Vec<(u16, u32)>) -> Result<Node> {
        let mut large_values = false;
        for index in 0..image.len() {
            let page = if !image.is_leaf() {
                image.child(index).page
            } else if let Value::Large(value) = image.value(index) {
                value.page
            } else {
                continue;
            };
            let slot = self.write_below(page)?;
            large_values |= image.is_leaf() || slot.has_large_values();
            if let Some(frame) = page.as_frame() {
                name_below(&mut image, index, slot);
                below.push((u16::try_from(index).expect("a node is below 64 KiB"), frame));
            }
        }
        image.set_large_values(large_values);
        Ok(image)
    }

    /// Lets everything written so far be found in its slots.
    pub fn forward(&mut self) -> Result<()> {
        self.writer.flush()?;
        let lost = self.shared.forward(std::mem::take(&mut self.piece));
        self.writer.confirm(&lost);
        self.slots.clear();
        Ok(())
    }
}
