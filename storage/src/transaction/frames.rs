//! The frame table of a tree set: nodes and large values that no checkpoint has written yet, by number.

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::Node;

/// What a frame holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A tree node.
    Node(Arc<Node>),
    /// A large value.
    Value(Bytes),
}

impl Content {
    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Content::Node(node) => node.memory_bytes(),
            Content::Value(value) => value.len() + 64,
        }
    }

    /// The node; a reference to a node never names anything else.
    pub fn as_node(&self) -> &Arc<Node> {
        match self {
            Content::Node(node) => node,
            Content::Value(_) => panic!("B4: a child reference names a node"),
        }
    }

    /// The value; a reference to a value never names anything else.
    pub fn as_value(&self) -> &Bytes {
        match self {
            Content::Value(value) => value,
            Content::Node(_) => panic!("B4: a value reference names a value"),
        }
    }
}

const CHUNK: usize = 128;

/// Frames in chunks, so that growing never copies.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    chunks: Vec<Vec<Option<Content>>>,
}

impl Frames {
    /// The content of a living frame.
    #[inline]
    pub fn get(&self, frame: u32) -> &Content {
        let frame = frame as usize;
        self.chunks[frame / CHUNK][frame % CHUNK].as_ref().expect("T4: a reachable frame is alive")
    }

    /// Fills a frame.
    pub fn set(&mut self, frame: u32, content: Content) -> Option<Content> {
        let frame = frame as usize;
        while self.chunks.len() <= frame / CHUNK {
            self.chunks.push(vec![None; CHUNK]);
        }
        self.chunks[frame / CHUNK][frame % CHUNK].replace(content)
    }

    /// Empties a frame.
    pub fn take(&mut self, frame: u32) -> Option<Content> {
        let frame = frame as usize;
        self.chunks[frame / CHUNK][frame % CHUNK].take()
    }
}

impl Frames {
    /// Memory of everything held, in bytes. O(frames).
    pub fn memory_bytes(&self) -> usize {
        self.chunks.iter().flatten().flatten().map(Content::memory_bytes).sum()
    }
}
