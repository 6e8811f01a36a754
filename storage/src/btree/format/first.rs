//! The first layout of a node's body, which pages of format version 1 have. It is only read.
//!
//! ```text
//!  0  count 2 | heap 2 | garbage 2 (0) | level 1 | flags 1 (bit 0: large values)
//!  8  slots            2 per entry, in key order: distance of the cell from the end of the body
//!     heap of cells:   key length 2 | value length 2, top bit: large | key | value
//! ```
//! A leaf's value as today; a branch's is a page reference (8) and the entries below (8).

use crate::btree::cell::{Cell, Child, LargeValue, Value};
use crate::btree::format::{FLAG_LARGE_VALUES, Flaw, LARGE_BIT, LARGE_VALUE_BYTES};
use crate::btree::node::Node;
use crate::limits::{KEY_BYTES_MAX, NODE_BODY_BYTES_MAX, TREE_DEPTH_MAX};
use crate::page::format::PageRef;

pub(super) const HEADER_BYTES: usize = 8;
const SLOT_BYTES: usize = 2;
const CELL_HEADER_BYTES: usize = 4;
const CHILD_BYTES: usize = 16;

struct Body<'b> {
    bytes: &'b [u8],
    heap: usize,
    is_leaf: bool,
    large_values: bool,
}

/// Reads a body of at least a header's length.
pub(super) fn open(bytes: &[u8]) -> Result<Node, Flaw> {
    let (count, heap, garbage) = (u16_at(bytes, 0), u16_at(bytes, 2), u16_at(bytes, 4));
    let (level, flags) = (usize::from(bytes[6]), bytes[7]);
    let known_flags = flags & !FLAG_LARGE_VALUES == 0;
    if bytes.len() > NODE_BODY_BYTES_MAX || count == 0 || garbage != 0 || level >= TREE_DEPTH_MAX || !known_flags {
        return Err("node header");
    }
    if HEADER_BYTES + count * SLOT_BYTES + heap != bytes.len() {
        return Err("node heap");
    }
    let body = Body { bytes, heap, is_leaf: level == 0, large_values: flags & FLAG_LARGE_VALUES != 0 };
    let mut cells = Vec::with_capacity(count);
    let mut cell_bytes = 0;
    for index in 0..count {
        let (cell, bytes) = body.cell(index)?;
        cells.push(cell);
        cell_bytes += bytes;
    }
    let compared = if level == 0 { &cells[..] } else { &cells[1..] };
    if !compared.is_sorted_by(|left, right| left.key() < right.key()) {
        return Err("key order");
    }
    if cell_bytes != heap {
        return Err("cells do not fill the heap");
    }
    let mut node = Node::of_cells(level, &cells);
    node.set_large_values(body.large_values);
    Ok(node)
}

impl<'b> Body<'b> {
    fn cell(&self, index: usize) -> Result<(Cell<'b>, usize), Flaw> {
        let from_end = u16_at(self.bytes, HEADER_BYTES + index * SLOT_BYTES);
        if from_end > self.heap || from_end < CELL_HEADER_BYTES {
            return Err("slot");
        }
        let cell = &self.bytes[self.bytes.len() - from_end..];
        let (key, value) = (u16_at(cell, 0), u16_at(cell, 2));
        let (value, large) = (value & !usize::from(LARGE_BIT), value & usize::from(LARGE_BIT) != 0);
        let bytes = CELL_HEADER_BYTES + key + value;
        if bytes > from_end || key > KEY_BYTES_MAX {
            return Err("cell");
        }
        let (key, value) = cell[CELL_HEADER_BYTES..bytes].split_at(key);
        let cell = if self.is_leaf {
            Cell::entry(key, self.value(value, large)?)
        } else {
            Cell::child(key, self.child(value, large)?)
        };
        Ok((cell, bytes))
    }

    fn value<'v>(&self, value: &'v [u8], large: bool) -> Result<Value<'v>, Flaw> {
        if !large {
            return Ok(Value::Inline(value));
        }
        if value.len() != LARGE_VALUE_BYTES || !self.large_values {
            return Err("large value");
        }
        let page = PageRef::from_stored_bits(u64_at(value, 0)).ok_or("large value reference")?;
        let length = u32::from_le_bytes([value[8], value[9], value[10], value[11]]);
        Ok(Value::Large(LargeValue { page, length }))
    }

    fn child(&self, value: &[u8], large: bool) -> Result<Child, Flaw> {
        if value.len() != CHILD_BYTES || large {
            return Err("child");
        }
        let page = PageRef::from_stored_bits(u64_at(value, 0)).ok_or("child reference")?;
        if page.has_large_values() && !self.large_values {
            return Err("large value flag");
        }
        Ok(Child { page, count: u64_at(value, 8) })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
