//! Makes a node of cells: finds what their keys share, stores that once, and the rest of each.

use crate::btree::cell::{Cell, Content, Value};
use crate::btree::format::{FLAG_HEADS, HEADS_AT, LARGE_BIT, NODE_HEADER_BYTES, Shape, rest_len};
use crate::btree::key::{HEAD_BYTES, Key};
use crate::btree::node::Node;
use crate::limits::NODE_BODY_BYTES_OPENED_MAX;

/// Cells of one node, or of two that become one.
pub(crate) type Cells<'c> = Vec<Cell<'c>>;

/// Cells, and what a node of them will be.
pub(crate) struct Plan<'p, 'c> {
    level: usize,
    cells: &'p [Cell<'c>],
    prefix: usize,
    bytes: usize,
}

impl<'p, 'c> Plan<'p, 'c> {
    /// Plans a node with these cells, in order.
    pub fn new(level: usize, cells: &'p [Cell<'c>]) -> Self {
        // The first key of a branch is not kept: its parent has it.
        let compared = if level == 0 { cells } else { cells.get(1..).unwrap_or_default() };
        let prefix = match compared {
            [first, .., last] => first.key.common_len(&last.key),
            _ => 0,
        };
        let mut bytes = NODE_HEADER_BYTES + prefix + compared.iter().map(|cell| cell.footprint(prefix)).sum::<usize>();
        if level > 0 && !cells.is_empty() {
            bytes += Shape::of(level).per_entry();
        }
        Plan { level, cells, prefix, bytes }
    }

    /// Bytes of the node.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes the node, with `room` bytes free.
    pub fn build(&self, room: usize) -> Node {
        assert!(self.bytes <= NODE_BODY_BYTES_OPENED_MAX, "the caller counted the bytes");
        let shape = Shape::of(self.level);
        let count = self.cells.len();
        let arrays = count * shape.slot;
        let mut node = Node::from_body(vec![0; self.bytes + room]);
        node.set_u16(0, count);
        node.set_u16(2, self.bytes - NODE_HEADER_BYTES - arrays);
        node.body[6] = u8::try_from(self.level).expect("tree depth is bounded");
        node.body[7] = FLAG_HEADS;
        node.set_u16(8, self.prefix);
        let end = node.body.len();
        if let Some(last) = self.cells.last().filter(|_| self.prefix > 0) {
            let mut prefix = last.key.to_vec();
            prefix.truncate(self.prefix);
            node.body[end - self.prefix..].copy_from_slice(&prefix);
        }
        let slots_at = HEADS_AT + count * HEAD_BYTES;
        let mut at = end - node.heap_bytes();
        for (index, cell) in self.cells.iter().enumerate() {
            node.set_u16(slots_at + index * 2, end - at);
            let unused = self.level > 0 && index == 0;
            let (key, prefix) = if unused { (Key::from(&b""[..]), 0) } else { (cell.key, self.prefix) };
            let written = node.write_cell(at, key, prefix, cell.content);
            node.body[HEADS_AT + index * HEAD_BYTES..][..HEAD_BYTES].copy_from_slice(&written.head.to_le_bytes());
            if let Content::Child(child) = cell.content {
                node.set_child(index, child);
            }
            at += written.bytes;
        }
        node
    }
}

/// What [`Node::write_cell`] did.
pub(super) struct WrittenCell {
    /// The head of the key behind the prefix.
    pub head: u32,
    /// Bytes of the cell.
    pub bytes: usize,
}

impl Node {
    /// Writes the heap's part of an entry at `at`.
    pub(super) fn write_cell(&mut self, at: usize, key: Key<'_>, prefix: usize, content: Content<'_>) -> WrittenCell {
        let remainder = key.len() - prefix;
        let start = at + self.shape().cell;
        let mut end = start + rest_len(remainder);
        self.set_u16(at, remainder);
        let head = key.write_behind(prefix, &mut self.body[start..end]);
        match content {
            Content::Child(_) => {}
            Content::Value(Value::Inline(value)) => {
                self.set_u16(at + 2, value.len());
                self.body[end..end + value.len()].copy_from_slice(value);
                end += value.len();
            }
            Content::Value(Value::Large(large)) => {
                let bytes = large.to_bytes();
                self.set_u16(at + 2, bytes.len() | usize::from(LARGE_BIT));
                self.body[end..end + bytes.len()].copy_from_slice(&bytes);
                end += bytes.len();
                self.set_large_values(true);
            }
        }
        WrittenCell { head, bytes: end - at }
    }
}
