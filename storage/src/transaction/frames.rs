//! The frame table of a tree set: nodes and large values that no superblock names yet, by number.
//!
//! A frame's content never changes (B4), so it can be written to a fresh slot at any time. The frame then stays as a
//! forwarding address: whoever meets its number goes on to the slot.

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::{Child, LargeValue, Node, Value};
use crate::page::format::{PageId, PageRef};
use crate::sync::atomic::{AtomicBool, Ordering};

/// What a frame holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A tree node.
    Node(Arc<Node>),
    /// A large value.
    Value(Bytes),
    /// Either, written to a slot.
    Evicted(Box<Evicted>),
}

/// Where a frame's content was written.
#[derive(Clone, Debug)]
pub(crate) struct Evicted {
    /// The slot, as branches refer to it.
    pub page: PageRef,
    /// Slots of a large value's pieces.
    pub parts: Vec<PageId>,
    /// Which entries of the stored node name the slot of another frame, and that frame. The frame is then the owner of
    /// its slot until the set hands it over to the name in the stored node.
    pub below: Vec<(u16, u32)>,
    /// What becomes of the slots when the frame is freed.
    pub fate: Fate,
}

/// What becomes of an evicted frame's slots when nobody can reach the frame any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The frame is in the tree.
    InTree,
    /// A superblock names them, or is about to: they wait for checkpoints as well.
    Stored,
    /// No superblock ever named them: they are free at once.
    Unnamed,
    /// Stored nodes name them now: nothing.
    HandedOver,
}

impl Evicted {
    /// The slot.
    pub fn slot(&self) -> PageId {
        self.page.page_id().expect("what is evicted is in a slot")
    }

    /// Every slot.
    pub fn slots(&self) -> impl Iterator<Item = PageId> + '_ {
        std::iter::once(self.slot()).chain(self.parts.iter().copied())
    }

    /// The stored node as the writer knows it: what lies below and still has a frame is named by the frame.
    pub fn with_frames(&self, stored: Arc<Node>) -> Arc<Node> {
        if self.below.is_empty() {
            return stored;
        }
        let mut node = Node::clone(&stored);
        for &(index, frame) in &self.below {
            name_below(&mut node, usize::from(index), PageRef::frame(frame));
        }
        Arc::new(node)
    }

    /// Bytes of memory, about: the same from beginning to end.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Frame>() + size_of::<Evicted>() + 16 + 8 * self.parts.len()
    }
}

/// Lets an entry of a node refer elsewhere: to another name of the same child or value.
pub(crate) fn name_below(node: &mut Node, index: usize, page: PageRef) {
    if !node.is_leaf() {
        let count = node.child(index).count;
        node.set_child(index, Child { page, count });
    } else if let Value::Large(LargeValue { length, .. }) = node.value(index) {
        node.set_large(index, LargeValue { page, length });
    }
}

impl Content {
    /// Bytes of memory that writing it to a slot gives back.
    pub fn dirty_bytes(&self) -> usize {
        match self {
            Content::Node(node) => node.memory_bytes(),
            Content::Value(value) => value.len() + 64,
            Content::Evicted(_) => 0,
        }
    }

    /// Bytes of memory that a forwarding address takes.
    pub fn forwarding_bytes(&self) -> usize {
        match self {
            Content::Evicted(evicted) => evicted.memory_bytes(),
            Content::Node(_) | Content::Value(_) => 0,
        }
    }

    /// The node; a reference to a node never names anything else.
    pub fn into_node(self) -> Arc<Node> {
        match self {
            Content::Node(node) => node,
            _ => panic!("B4: a child reference names a node"),
        }
    }

    /// The value; a reference to a value never names anything else.
    pub fn into_value(self) -> Bytes {
        match self {
            Content::Value(value) => value,
            _ => panic!("B4: a value reference names a value"),
        }
    }

    /// Whether both are the very same memory.
    pub fn is_same(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Node(one), Content::Node(other)) => Arc::ptr_eq(one, other),
            (Content::Value(one), Content::Value(other)) => one.as_ptr() == other.as_ptr() && one.len() == other.len(),
            _ => false,
        }
    }
}

/// An entry of the table.
#[derive(Debug)]
pub(crate) struct Frame {
    pub content: Content,
    /// The first version that can reach it.
    pub born: u64,
    /// No version from now on can reach it.
    pub retired: bool,
    /// Somebody looked at it since eviction last came by.
    referenced: AtomicBool,
}

const CHUNK: usize = 128;

/// Frames in chunks, so that growing never copies.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    chunks: Vec<Vec<Option<Frame>>>,
}

impl Frames {
    /// The content of a living frame, for somebody who reads it.
    #[inline]
    pub fn get(&self, frame: u32) -> &Content {
        let frame = self.entry(frame).expect("T4: a reachable frame is alive");
        // Looked at first, so that readers of one node do not take its line from each other.
        if !frame.referenced.load(Ordering::Relaxed) {
            frame.referenced.store(true, Ordering::Relaxed);
        }
        &frame.content
    }

    /// A frame, when it is alive.
    #[inline]
    pub fn entry(&self, frame: u32) -> Option<&Frame> {
        let frame = frame as usize;
        self.chunks.get(frame / CHUNK)?[frame % CHUNK].as_ref()
    }

    /// A frame, when it is alive.
    pub fn entry_mut(&mut self, frame: u32) -> Option<&mut Frame> {
        let frame = frame as usize;
        self.chunks.get_mut(frame / CHUNK)?[frame % CHUNK].as_mut()
    }

    /// Fills a frame.
    pub fn set(&mut self, frame: u32, content: Content, born: u64) {
        let frame = frame as usize;
        while self.chunks.len() <= frame / CHUNK {
            self.chunks.push((0..CHUNK).map(|_| None).collect());
        }
        let entry = Frame { content, born, retired: false, referenced: AtomicBool::new(true) };
        let before = self.chunks[frame / CHUNK][frame % CHUNK].replace(entry);
        assert!(before.is_none(), "T4: a frame is given out once");
    }

    /// Empties a frame.
    pub fn take(&mut self, frame: u32) -> Option<Frame> {
        let frame = frame as usize;
        self.chunks[frame / CHUNK][frame % CHUNK].take()
    }

    /// How many numbers the table has room for.
    pub fn capacity(&self) -> u32 {
        u32::try_from(self.chunks.len() * CHUNK).expect("frames are bounded by memory")
    }

    /// Everything held. O(frames).
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        self.chunks.iter().flatten().flatten().map(|frame| &frame.content)
    }
}

impl Frame {
    /// Whether somebody looked at it since this was last asked.
    pub fn take_referenced(&self) -> bool {
        self.referenced.swap(false, Ordering::Relaxed)
    }
}
