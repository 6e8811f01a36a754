//! Changing a node that nobody else can see yet.

use crate::btree::cell::{Cell, Child, Content, LargeValue, Value};
use crate::btree::format::{FLAG_HEADS, HEADS_AT, NODE_HEADER_BYTES, rest_len};
use crate::btree::key::{HEAD_BYTES, Key};
use crate::btree::node::Node;
use crate::btree::node::build::{Cells, Plan};
use crate::limits::NODE_BODY_BYTES_MAX;

/// The least free space of a node that grows, in bytes.
const GROWTH_BYTES_MIN: usize = 256;

impl Node {
    /// An empty node. It grows with what is put in.
    pub fn empty(level: usize) -> Self {
        let mut body = vec![0; NODE_HEADER_BYTES];
        body[6] = u8::try_from(level).expect("tree depth is bounded");
        body[7] = FLAG_HEADS;
        Node { body }
    }

    /// An empty node with room for everything it may hold.
    pub(in crate::btree) fn roomy(level: usize) -> Self {
        let mut node = Node::empty(level);
        node.body.resize(NODE_BODY_BYTES_MAX, 0);
        node
    }

    /// A node of these cells, in order, that are known to fit.
    pub fn of_cells(level: usize, cells: &[Cell<'_>]) -> Self {
        Plan::new(level, cells).build(0)
    }

    pub(super) fn set_u16(&mut self, at: usize, value: usize) {
        let value = u16::try_from(value).expect("a node is below 64 KiB");
        self.body[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    /// Points a branch entry elsewhere.
    #[inline]
    pub fn set_child(&mut self, index: usize, child: Child) {
        debug_assert!(!self.is_leaf());
        let (page_at, count_at) = (self.child_at(index), self.count_at(index));
        self.body[page_at..page_at + 8].copy_from_slice(&child.page.to_bits().to_le_bytes());
        self.body[count_at..count_at + 8].copy_from_slice(&child.count.to_le_bytes());
    }

    /// Points a leaf entry's large value elsewhere.
    pub fn set_large(&mut self, index: usize, large: LargeValue) {
        debug_assert!(self.is_leaf() && self.value_len(index).1);
        let at = self.value_start(index);
        let bytes = large.to_bytes();
        self.body[at..at + bytes.len()].copy_from_slice(&bytes);
    }

    /// Overwrites an inline value with one of the same length; false when it does not fit exactly.
    pub fn overwrite(&mut self, index: usize, value: &[u8]) -> bool {
        let (length, large) = self.value_len(index);
        if large || length != value.len() {
            return false;
        }
        let at = self.value_start(index);
        self.body[at..at + length].copy_from_slice(value);
        true
    }

    /// Puts a cell before entry `index`, growing when needed; false, and nothing changed, when a node cannot hold it.
    /// The first key of a branch is not kept.
    pub fn insert(&mut self, index: usize, cell: Cell<'_>) -> bool {
        self.insert_within(NODE_BODY_BYTES_MAX, index, cell)
    }

    /// As [`Node::insert`], into a node that must not take more than `bytes_max`, which is at most what nodes may take.
    pub(in crate::btree) fn insert_within(&mut self, bytes_max: usize, index: usize, cell: Cell<'_>) -> bool {
        let unused = index == 0 && !self.is_leaf();
        debug_assert!(!unused || self.is_empty(), "the first child of a branch stays first");
        if !unused && !cell.key.starts_with(self.prefix()) {
            return self.rebuild_with(bytes_max, index, cell);
        }
        let (key, prefix) = if unused { (Key::from(&b""[..]), 0) } else { (cell.key, self.prefix_len()) };
        let needed = self.used_bytes() + Cell { key, ..cell }.footprint(prefix);
        if needed > bytes_max {
            return self.shares_more_than_the_prefix() && self.rebuild_with(bytes_max, index, cell);
        }
        if needed + self.garbage_bytes() > self.body.len() {
            // By a quarter more than needed, so that many inserts copy the node only a few times.
            let grown = (needed + (needed / 4).max(GROWTH_BYTES_MIN)).min(NODE_BODY_BYTES_MAX);
            let length = if needed > self.body.len() { grown } else { self.body.len() };
            *self = self.with_length(length);
        }
        let (count, heap) = (self.len(), self.heap_bytes());
        let value_bytes = match cell.content {
            Content::Value(value) => value.stored_bytes(),
            Content::Child(_) => 0,
        };
        let from_end = heap + self.shape().cell + rest_len(key.len() - prefix) + value_bytes;
        let at = self.body.len() - from_end;
        self.open_arrays(index);
        self.set_u16(0, count + 1);
        self.set_u16(2, from_end);
        let written = self.write_cell(at, key, prefix, cell.content);
        self.body[HEADS_AT + index * HEAD_BYTES..][..HEAD_BYTES].copy_from_slice(&written.head.to_le_bytes());
        self.set_u16(HEADS_AT + (count + 1) * HEAD_BYTES + index * 2, from_end);
        if let Content::Child(child) = cell.content {
            self.set_child(index, child);
        }
        true
    }

    /// Moves the arrays apart for a new entry, last array first.
    fn open_arrays(&mut self, index: usize) {
        let count = self.len();
        let mut before = self.shape().slot;
        for width in self.shape().widths().iter().rev() {
            before -= width;
            let from = NODE_HEADER_BYTES + count * before;
            let to = NODE_HEADER_BYTES + (count + 1) * before;
            self.body.copy_within(from + index * width..from + count * width, to + (index + 1) * width);
            if from != to {
                self.body.copy_within(from..from + index * width, to);
            }
        }
    }

    /// Moves the arrays together over an entry, first array first.
    fn close_arrays(&mut self, index: usize) {
        let count = self.len();
        let mut before = 0;
        for width in self.shape().widths() {
            let from = NODE_HEADER_BYTES + count * before;
            let to = NODE_HEADER_BYTES + (count - 1) * before;
            if from != to {
                self.body.copy_within(from..from + index * width, to);
            }
            self.body.copy_within(from + (index + 1) * width..from + count * width, to + index * width);
            before += width;
        }
    }

    /// Takes out entry `index`.
    pub fn remove(&mut self, index: usize) {
        let count = self.len();
        let value = if self.is_leaf() { self.value_len(index).0 } else { 0 };
        let cell = self.shape().cell + rest_len(self.remainder_len(index)) + value;
        if self.slot(index) == self.heap_bytes() {
            self.set_u16(2, self.heap_bytes() - cell);
        } else {
            self.set_u16(4, self.garbage_bytes() + cell);
        }
        self.close_arrays(index);
        self.set_u16(0, count - 1);
    }

    /// A copy for the writer, who is about to put in cells of about `room` bytes.
    pub fn writable_copy(&self, room: usize) -> Node {
        let used = self.used_bytes();
        self.with_length((used + room).min(NODE_BODY_BYTES_MAX).max(used))
    }

    /// A copy without garbage and free space, sharing as much of the keys as it can: the stored form.
    pub fn packed(&self) -> Node {
        if self.common_prefix_len() != self.prefix_len() {
            return self.rebuilt();
        }
        self.with_length(self.used_bytes())
    }

    /// How much all keys that are compared have in common; what a new node would have as prefix.
    pub(in crate::btree) fn common_prefix_len(&self) -> usize {
        let first = usize::from(!self.is_leaf());
        if self.len() < first + 2 {
            return 0;
        }
        self.key(first).common_len(&self.key(self.len() - 1))
    }

    fn shares_more_than_the_prefix(&self) -> bool {
        self.common_prefix_len() > self.prefix_len()
    }

    fn with_length(&self, length: usize) -> Node {
        if self.garbage_bytes() > 0 { self.without_garbage(length) } else { self.resized(length) }
    }

    fn resized(&self, length: usize) -> Node {
        let heap = self.heap_bytes();
        let mut body = Vec::with_capacity(length);
        body.extend_from_slice(&self.body[..self.arrays_end()]);
        body.resize(length - heap, 0);
        body.extend_from_slice(&self.body[self.body.len() - heap..]);
        Node { body }
    }

    /// A copy with the same prefix and no garbage, of `length` bytes.
    fn without_garbage(&self, length: usize) -> Node {
        let (prefix, count) = (self.prefix_len(), self.len());
        let heap = self.heap_bytes() - self.garbage_bytes();
        let mut node = Node { body: vec![0; length] };
        node.body[..self.arrays_end()].copy_from_slice(&self.body[..self.arrays_end()]);
        node.set_u16(2, heap);
        node.set_u16(4, 0);
        node.body[length - prefix..].copy_from_slice(self.prefix());
        let mut at = length - heap;
        for index in 0..count {
            let value = if self.is_leaf() { self.value_len(index).0 } else { 0 };
            let bytes = self.shape().cell + rest_len(self.remainder_len(index)) + value;
            let from = self.cell_at(index);
            node.body[at..at + bytes].copy_from_slice(&self.body[from..from + bytes]);
            node.set_u16(HEADS_AT + count * HEAD_BYTES + index * 2, length - at);
            at += bytes;
        }
        node
    }

    fn rebuilt(&self) -> Node {
        let cells: Cells<'_> = self.cells().collect();
        let mut node = Plan::new(self.level(), &cells).build(0);
        node.set_large_values(self.has_large_values());
        node
    }

    /// Puts a cell in by making the node anew with the prefix that all keys then share.
    fn rebuild_with(&mut self, bytes_max: usize, index: usize, cell: Cell<'_>) -> bool {
        let mut cells: Cells<'_> = self.cells().collect();
        cells.insert(index, cell);
        let plan = Plan::new(self.level(), &cells);
        if plan.bytes() > bytes_max {
            return false;
        }
        let room = (plan.bytes() / 4).max(GROWTH_BYTES_MIN).min(NODE_BODY_BYTES_MAX - plan.bytes());
        let mut node = plan.build(room);
        let large = self.has_large_values() || matches!(cell.content, Content::Value(Value::Large(_)));
        node.set_large_values(large);
        *self = node;
        true
    }
}
