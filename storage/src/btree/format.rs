//! The body of a tree node: a slotted page, the same bytes in memory and on disk.
//!
//! ```text
//!  0  count            2  entries
//!  2  heap             2  bytes of the heap, the prefix included; it ends where the body ends
//!  4  garbage          2  heap bytes that belong to no entry (0 on disk)
//!  6  level            1  0: leaf; a branch is one above its children
//!  7  flags            1  bit 0: an entry is, or a child says it has, a large value; bit 1: this layout
//!  8  prefix           2  bytes that every compared key begins with
//! 10  reserved         2  zero
//! 12  heads            4 per entry, in key order: the four bytes of the key behind the prefix, as a number
//!     slots            2 per entry: distance of its cell from the END of the body
//!     children         8 per entry of a branch: page reference
//!     counts           8 per entry of a branch: entries below the child
//!     (free space; none on disk)
//!     heap: cells, then the prefix
//!
//! leaf cell:    key length 2 | value length 2, top bit: large | rest of the key | value
//! branch cell:  key length 2 | rest of the key
//! ```
//!
//! The key length counts from the prefix on, the rest begins behind the head; a key too short for its head has zeros
//! there. A large value is a page reference (8) and a length (4). The key of a branch entry is a lower bound of the
//! child; the first one is not used, has length 0 in new nodes, and takes no part in the prefix. On disk the prefix is
//! all that the compared keys have in common, nothing when there are fewer than two.
//!
//! A search looks at the heads alone, which lie together (poor man's normalized keys: Graefe, Modern B-Tree
//! Techniques, 2011, section 3.5), and at a cell only where a head is equal. A branch's counts lie together because
//! ranks add them up. Counting from the end lets a body be widened and narrowed by two copies, without touching the
//! slots.

mod first;

use crate::btree::node::Node;
use crate::limits::{KEY_BYTES_MAX, NODE_BODY_BYTES_OPENED_MAX, TREE_DEPTH_MAX};
use crate::page::format::PageRef;

/// Bytes before the heads.
pub const NODE_HEADER_BYTES: usize = 12;
/// Where the heads begin.
pub(super) const HEADS_AT: usize = NODE_HEADER_BYTES;
/// Bytes a leaf cell keeps of a large value.
pub const LARGE_VALUE_BYTES: usize = 12;
/// Top bit of the value length.
pub const LARGE_BIT: u16 = 1 << 15;
/// Flag of a node with large values in it or below it.
pub const FLAG_LARGE_VALUES: u8 = 1;
/// Flag of a node in the layout above; the first layout had neither heads nor prefix.
pub const FLAG_HEADS: u8 = 2;

/// What an entry takes in a leaf or in a branch.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Bytes in the arrays.
    pub slot: usize,
    /// Bytes of a cell before the rest of the key.
    pub cell: usize,
    /// Bytes per entry in the arrays before the children.
    pub children_after: usize,
    /// Bytes per entry in the arrays before the counts.
    pub counts_after: usize,
}

pub(super) const LEAF: Shape = Shape { slot: 6, cell: 4, children_after: 6, counts_after: 6 };
pub(super) const BRANCH: Shape = Shape { slot: 22, cell: 2, children_after: 6, counts_after: 14 };

impl Shape {
    pub fn of(level: usize) -> Self {
        if level == 0 { LEAF } else { BRANCH }
    }

    /// Bytes of an entry beside the rest of its key and its value.
    pub fn per_entry(self) -> usize {
        self.slot + self.cell
    }

    /// Bytes per entry of each array, in order.
    pub fn widths(self) -> &'static [usize] {
        if self.slot == LEAF.slot { &[4, 2] } else { &[4, 2, 8, 8] }
    }
}

/// Bytes of a key in its cell, when `remainder` bytes lie behind the prefix.
#[inline]
pub(super) fn rest_len(remainder: usize) -> usize {
    remainder.saturating_sub(4)
}

/// Why bytes are not a node.
pub type Flaw = &'static str;

/// Turns stored bytes into a node, or says what is wrong. A body of the first layout is converted. Every later access
/// relies on what is proved here: slots and cells lie inside the body, keys ascend, references name slots that can
/// exist.
pub fn open_stored(body: Vec<u8>) -> Result<Node, Flaw> {
    if body.len() < first::HEADER_BYTES || body.len() > NODE_BODY_BYTES_OPENED_MAX {
        return Err("node size");
    }
    if body[7] & FLAG_HEADS == 0 {
        return first::open(&body);
    }
    if body.len() < NODE_HEADER_BYTES || body[7] & !(FLAG_HEADS | FLAG_LARGE_VALUES) != 0 || body[10..12] != [0, 0] {
        return Err("node header");
    }
    let node = Node::from_body(body);
    let (count, heap, prefix) = (node.len(), node.heap_bytes(), node.prefix_len());
    if count == 0 || node.garbage_bytes() != 0 || node.level() >= TREE_DEPTH_MAX {
        return Err("node header");
    }
    if node.arrays_end() + heap != node.body().len() || prefix > heap || prefix > KEY_BYTES_MAX {
        return Err("node heap");
    }
    let first_compared = usize::from(!node.is_leaf());
    let mut cells = prefix;
    for index in 0..count {
        cells += stored_cell_bytes(&node, index, heap, prefix)?;
        if index > first_compared && node.compare(index - 1, index).is_ge() {
            return Err("key order");
        }
    }
    if cells != heap {
        return Err("cells do not fill the heap");
    }
    if node.common_prefix_len() != prefix {
        return Err("node prefix");
    }
    Ok(node)
}

fn stored_cell_bytes(node: &Node, index: usize, heap: usize, prefix: usize) -> Result<usize, Flaw> {
    let from_end = node.slot(index);
    let shape = Shape::of(node.level());
    if from_end > heap || from_end < prefix + shape.cell {
        return Err("slot");
    }
    let remainder = node.remainder_len(index);
    if remainder + prefix > KEY_BYTES_MAX {
        return Err("key length");
    }
    let key_bytes = shape.cell + rest_len(remainder);
    if prefix + key_bytes > from_end {
        return Err("cell");
    }
    let padding = 4usize.saturating_sub(remainder) * 8;
    if padding > 0 && u64::from(node.head(index)) & ((1 << padding) - 1) != 0 {
        return Err("head");
    }
    let flagged = node.flags() & FLAG_LARGE_VALUES != 0;
    if node.level() > 0 {
        let child = PageRef::from_stored_bits(node.child_bits(index)).ok_or("child reference")?;
        if child.has_large_values() && !flagged {
            return Err("large value flag");
        }
        return Ok(key_bytes);
    }
    let (value, large) = node.value_len(index);
    if prefix + key_bytes + value > from_end {
        return Err("cell");
    }
    if large {
        if value != LARGE_VALUE_BYTES || !flagged {
            return Err("large value");
        }
        PageRef::from_stored_bits(node.large_bits(index)).ok_or("large value reference")?;
    }
    Ok(key_bytes + value)
}
