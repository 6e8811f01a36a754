//! The body of a tree node: a slotted page, the same bytes in memory and on disk.
//!
//! ```text
//!  0  count            2  entries
//!  2  heap             2  bytes of the heap, which ends where the body ends
//!  4  garbage          2  heap bytes that belong to no entry (0 on disk)
//!  6  level            1  0: leaf; a branch is one above its children
//!  7  flags            1  bit 0: an entry is, or a child says it has, a large value
//!  8  slots            2 per entry, in key order: distance of the cell from the END of the body
//!     (free space; none on disk)
//!     heap of cells
//!
//! cell:   key length 2 | value length 2, top bit: large | key | value
//! leaf:   the value; or, when large, page reference 8 | length 4
//! branch: page reference 8 | entries below 8. The key is a lower bound of the child; the first one is ignored.
//! ```
//!
//! Counting from the end lets a body be widened and narrowed by two copies, without touching the slots.

use crate::btree::node::Node;
use crate::limits::{KEY_BYTES_MAX, NODE_BODY_BYTES_MAX, TREE_DEPTH_MAX};
use crate::page::format::PageRef;

/// Bytes before the slots.
pub const NODE_HEADER_BYTES: usize = 8;
/// Bytes of a slot.
pub const SLOT_BYTES: usize = 2;
/// Bytes of a cell before its key.
pub const CELL_HEADER_BYTES: usize = 4;
/// Bytes of a branch cell's value.
pub const CHILD_BYTES: usize = 16;
/// Bytes a leaf cell keeps of a large value.
pub const LARGE_VALUE_BYTES: usize = 12;
/// Top bit of the value length.
pub const LARGE_BIT: u16 = 1 << 15;
/// Flag of a node with large values in it or below it.
pub const FLAG_LARGE_VALUES: u8 = 1;

/// Why bytes are not a node.
pub type Flaw = &'static str;

/// Turns stored bytes into a node, or says what is wrong. Every later access relies on what is proved here: slots and
/// cells lie inside the body, keys ascend, references name slots that can exist.
pub fn open_stored(body: Vec<u8>) -> Result<Node, Flaw> {
    if body.len() < NODE_HEADER_BYTES || body.len() > NODE_BODY_BYTES_MAX {
        return Err("node size");
    }
    let node = Node::from_body(body);
    let body_len = node.body().len();
    let (count, heap) = (node.len(), node.heap_bytes());
    if count == 0 || node.garbage_bytes() != 0 || node.level() >= TREE_DEPTH_MAX {
        return Err("node header");
    }
    if NODE_HEADER_BYTES + count * SLOT_BYTES + heap != body_len {
        return Err("node heap");
    }
    let mut cells = 0;
    for index in 0..count {
        cells += stored_cell_bytes(&node, index, heap)?;
        if index > 0 {
            let first_compared = if node.level() == 0 { 0 } else { 1 };
            if index > first_compared && node.key(index - 1) >= node.key(index) {
                return Err("key order");
            }
        }
    }
    if cells != heap {
        return Err("cells do not fill the heap");
    }
    Ok(node)
}

fn stored_cell_bytes(node: &Node, index: usize, heap: usize) -> Result<usize, Flaw> {
    let from_end = node.slot(index);
    if from_end > heap || from_end < CELL_HEADER_BYTES {
        return Err("slot");
    }
    let (key, value, large) = node.cell_lengths(index);
    let bytes = CELL_HEADER_BYTES + key + value;
    if bytes > from_end || key > KEY_BYTES_MAX {
        return Err("cell");
    }
    let flagged = node.flags() & FLAG_LARGE_VALUES != 0;
    if node.level() > 0 {
        if value != CHILD_BYTES || large {
            return Err("child");
        }
        let child = PageRef::from_stored_bits(node.child_bits(index)).ok_or("child reference")?;
        if child.has_large_values() && !flagged {
            return Err("large value flag");
        }
    } else if large {
        if value != LARGE_VALUE_BYTES || !flagged {
            return Err("large value");
        }
        PageRef::from_stored_bits(node.large_bits(index)).ok_or("large value reference")?;
    }
    Ok(bytes)
}
