//! A tree node: reading it, and changing one that nobody else can see yet.
//!
//! The layout is in [`super::format`]. A node that other threads can reach is behind an `Arc` and never changes.

use std::cmp::Ordering;

use crate::btree::format::{
    CELL_HEADER_BYTES, CHILD_BYTES, FLAG_LARGE_VALUES, LARGE_BIT, LARGE_VALUE_BYTES, NODE_HEADER_BYTES, SLOT_BYTES,
};
use crate::limits::NODE_BODY_BYTES_MAX;
use crate::page::format::PageRef;

/// A leaf or a branch.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    body: Vec<u8>,
}

/// A child of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Where it is.
    pub page: PageRef,
    /// Entries in the leaves below it.
    pub count: u64,
}

/// The value of a leaf entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'n> {
    /// The bytes themselves.
    Inline(&'n [u8]),
    /// Bytes elsewhere.
    Large(LargeValue),
}

/// A value too large for a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeValue {
    /// Where it is.
    pub page: PageRef,
    /// Its length in bytes.
    pub length: u32,
}

impl Child {
    fn to_bytes(self) -> [u8; CHILD_BYTES] {
        let mut bytes = [0; CHILD_BYTES];
        bytes[..8].copy_from_slice(&self.page.to_bits().to_le_bytes());
        bytes[8..].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }
}

impl LargeValue {
    fn to_bytes(self) -> [u8; LARGE_VALUE_BYTES] {
        let mut bytes = [0; LARGE_VALUE_BYTES];
        bytes[..8].copy_from_slice(&self.page.to_bits().to_le_bytes());
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }
}

/// What goes into a cell.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'c> {
    key: &'c [u8],
    value: CellValue<'c>,
}

#[derive(Clone, Copy, Debug)]
enum CellValue<'c> {
    Borrowed(&'c [u8], bool),
    Child([u8; CHILD_BYTES]),
    Large([u8; LARGE_VALUE_BYTES]),
}

impl<'c> Cell<'c> {
    /// A leaf entry.
    pub fn entry(key: &'c [u8], value: Value<'c>) -> Self {
        let value = match value {
            Value::Inline(bytes) => CellValue::Borrowed(bytes, false),
            Value::Large(large) => CellValue::Large(large.to_bytes()),
        };
        Cell { key, value }
    }

    /// A branch entry.
    pub fn child(key: &'c [u8], child: Child) -> Self {
        Cell { key, value: CellValue::Child(child.to_bytes()) }
    }

    /// The same value under another key.
    pub fn with_key(self, key: &'c [u8]) -> Self {
        Cell { key, value: self.value }
    }

    /// The key.
    pub fn key(&self) -> &'c [u8] {
        self.key
    }

    fn value(&self) -> (&[u8], bool) {
        match &self.value {
            CellValue::Borrowed(bytes, large) => (bytes, *large),
            CellValue::Child(bytes) => (bytes, false),
            CellValue::Large(bytes) => (bytes, true),
        }
    }

    /// Bytes it takes in a node, its slot included.
    pub fn footprint(&self) -> usize {
        SLOT_BYTES + CELL_HEADER_BYTES + self.key.len() + self.value().0.len()
    }
}

impl Node {
    /// An empty node with room for everything it may hold.
    pub fn empty(level: usize) -> Self {
        let mut body = vec![0; NODE_BODY_BYTES_MAX];
        body[6] = u8::try_from(level).expect("tree depth is bounded");
        Node { body }
    }

    pub(super) fn from_body(body: Vec<u8>) -> Self {
        Node { body }
    }

    /// The stored form, when garbage and free space are gone (see [`Node::packed`]).
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Bytes of memory this node takes.
    pub fn memory_bytes(&self) -> usize {
        self.body.capacity() + 64
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.u16_at(0))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// 0 for a leaf.
    #[inline]
    pub fn level(&self) -> usize {
        usize::from(self.body[6])
    }

    /// Whether the entries are keys and values.
    #[inline]
    pub fn is_leaf(&self) -> bool {
        self.body[6] == 0
    }

    pub(super) fn flags(&self) -> u8 {
        self.body[7]
    }

    /// Whether large values lie here or below.
    pub fn has_large_values(&self) -> bool {
        self.flags() & FLAG_LARGE_VALUES != 0
    }

    pub(super) fn heap_bytes(&self) -> usize {
        usize::from(self.u16_at(2))
    }

    pub(super) fn garbage_bytes(&self) -> usize {
        usize::from(self.u16_at(4))
    }

    /// Bytes of header, slots and living cells.
    pub fn used_bytes(&self) -> usize {
        NODE_HEADER_BYTES + self.len() * SLOT_BYTES + self.heap_bytes() - self.garbage_bytes()
    }

    #[inline]
    fn u16_at(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.body[at], self.body[at + 1]])
    }

    fn set_u16(&mut self, at: usize, value: usize) {
        let value = u16::try_from(value).expect("a node is below 64 KiB");
        self.body[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(super) fn slot(&self, index: usize) -> usize {
        usize::from(self.u16_at(NODE_HEADER_BYTES + index * SLOT_BYTES))
    }

    #[inline]
    fn cell_at(&self, index: usize) -> usize {
        self.body.len() - self.slot(index)
    }

    pub(super) fn cell_lengths(&self, index: usize) -> (usize, usize, bool) {
        let at = self.cell_at(index);
        let value = self.u16_at(at + 2);
        (usize::from(self.u16_at(at)), usize::from(value & !LARGE_BIT), value & LARGE_BIT != 0)
    }

    /// The key of an entry.
    #[inline]
    pub fn key(&self, index: usize) -> &[u8] {
        let at = self.cell_at(index);
        let start = at + CELL_HEADER_BYTES;
        &self.body[start..start + usize::from(self.u16_at(at))]
    }

    #[inline]
    fn value_bytes(&self, index: usize) -> (&[u8], bool) {
        let at = self.cell_at(index);
        let (key, value, large) = self.cell_lengths(index);
        let start = at + CELL_HEADER_BYTES + key;
        (&self.body[start..start + value], large)
    }

    fn value_start(&self, index: usize) -> usize {
        let at = self.cell_at(index);
        at + CELL_HEADER_BYTES + usize::from(self.u16_at(at))
    }

    /// The value of a leaf entry.
    #[inline]
    pub fn value(&self, index: usize) -> Value<'_> {
        debug_assert!(self.is_leaf());
        match self.value_bytes(index) {
            (bytes, false) => Value::Inline(bytes),
            (bytes, true) => Value::Large(LargeValue {
                page: PageRef::from_trusted_bits(u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))),
                length: u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes")),
            }),
        }
    }

    pub(super) fn large_bits(&self, index: usize) -> u64 {
        let at = self.value_start(index);
        u64::from_le_bytes(self.body[at..at + 8].try_into().expect("eight bytes"))
    }

    pub(super) fn child_bits(&self, index: usize) -> u64 {
        self.large_bits(index)
    }

    /// A child of a branch.
    #[inline]
    pub fn child(&self, index: usize) -> Child {
        debug_assert!(!self.is_leaf());
        let at = self.value_start(index);
        let word = |at: usize| u64::from_le_bytes(self.body[at..at + 8].try_into().expect("eight bytes"));
        Child { page: PageRef::from_trusted_bits(word(at)), count: word(at + 8) }
    }

    /// Entries in the leaves below, or in this leaf.
    pub fn total(&self) -> u64 {
        if self.is_leaf() { self.len() as u64 } else { (0..self.len()).map(|index| self.child(index).count).sum() }
    }

    /// Finds a key in a leaf: `Ok` its index, `Err` where it would go.
    #[inline]
    pub fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.key(middle).cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The child of a branch under which a key belongs.
    #[inline]
    pub fn child_index(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (1, self.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.key(middle) <= key { low = middle + 1 } else { high = middle }
        }
        low - 1
    }

    /// An entry as it can be put into another node.
    pub fn cell(&self, index: usize) -> Cell<'_> {
        let (bytes, large) = self.value_bytes(index);
        Cell { key: self.key(index), value: CellValue::Borrowed(bytes, large) }
    }

    /// Points a branch entry elsewhere.
    pub fn set_child(&mut self, index: usize, child: Child) {
        debug_assert!(!self.is_leaf());
        let at = self.value_start(index);
        self.body[at..at + CHILD_BYTES].copy_from_slice(&child.to_bytes());
    }

    /// Points a leaf entry's large value elsewhere.
    pub fn set_large(&mut self, index: usize, large: LargeValue) {
        debug_assert!(self.is_leaf() && self.cell_lengths(index).2);
        let at = self.value_start(index);
        self.body[at..at + LARGE_VALUE_BYTES].copy_from_slice(&large.to_bytes());
    }

    /// Overwrites an inline value with one of the same length; false when it does not fit exactly.
    pub fn overwrite(&mut self, index: usize, value: &[u8]) -> bool {
        let (_, length, large) = self.cell_lengths(index);
        if large || length != value.len() {
            return false;
        }
        let at = self.value_start(index);
        self.body[at..at + length].copy_from_slice(value);
        true
    }

    /// Says that large values lie here or below.
    pub fn set_large_values(&mut self, yes: bool) {
        self.body[7] = if yes { FLAG_LARGE_VALUES } else { 0 };
    }

    /// Puts a cell before entry `index`, growing when needed; false, and nothing changed, when a node cannot hold it.
    pub fn insert(&mut self, index: usize, cell: Cell<'_>) -> bool {
        let needed = self.used_bytes() + cell.footprint();
        if needed > NODE_BODY_BYTES_MAX {
            return false;
        }
        if needed > self.body.len() {
            // By a quarter more than needed, so that many inserts copy the node only a few times.
            *self = self.with_length((needed + needed / 4).min(NODE_BODY_BYTES_MAX));
        } else if needed + self.garbage_bytes() > self.body.len() {
            *self = self.rebuilt(self.body.len());
        }
        let (count, heap) = (self.len(), self.heap_bytes());
        let (value, large) = cell.value();
        let from_end = heap + CELL_HEADER_BYTES + cell.key.len() + value.len();
        let at = self.body.len() - from_end;
        let value_len =
            u16::try_from(value.len()).expect("inline values are small") | if large { LARGE_BIT } else { 0 };
        self.set_u16(at, cell.key.len());
        self.body[at + 2..at + 4].copy_from_slice(&value_len.to_le_bytes());
        let key_end = at + CELL_HEADER_BYTES + cell.key.len();
        self.body[at + CELL_HEADER_BYTES..key_end].copy_from_slice(cell.key);
        self.body[key_end..key_end + value.len()].copy_from_slice(value);
        let slot = NODE_HEADER_BYTES + index * SLOT_BYTES;
        let slots_end = NODE_HEADER_BYTES + count * SLOT_BYTES;
        self.body.copy_within(slot..slots_end, slot + SLOT_BYTES);
        self.set_u16(slot, from_end);
        self.set_u16(0, count + 1);
        self.set_u16(2, from_end);
        if large {
            self.set_large_values(true);
        }
        true
    }

    /// Takes out entry `index`.
    pub fn remove(&mut self, index: usize) {
        let count = self.len();
        let (key, value, _) = self.cell_lengths(index);
        let cell = CELL_HEADER_BYTES + key + value;
        if self.slot(index) == self.heap_bytes() {
            self.set_u16(2, self.heap_bytes() - cell);
        } else {
            self.set_u16(4, self.garbage_bytes() + cell);
        }
        let slot = NODE_HEADER_BYTES + index * SLOT_BYTES;
        self.body.copy_within(slot + SLOT_BYTES..NODE_HEADER_BYTES + count * SLOT_BYTES, slot);
        self.set_u16(0, count - 1);
    }

    /// A copy for the writer, who is about to put in cells of about `room` bytes.
    pub fn writable_copy(&self, room: usize) -> Node {
        self.with_length((self.used_bytes() + room).min(NODE_BODY_BYTES_MAX))
    }

    /// A copy without garbage and free space: the stored form.
    pub fn packed(&self) -> Node {
        self.with_length(self.used_bytes())
    }

    fn with_length(&self, length: usize) -> Node {
        if self.garbage_bytes() > 0 { self.rebuilt(length) } else { self.resized(length) }
    }

    fn resized(&self, length: usize) -> Node {
        let slots_end = NODE_HEADER_BYTES + self.len() * SLOT_BYTES;
        let heap = self.heap_bytes();
        let mut body = Vec::with_capacity(length);
        body.extend_from_slice(&self.body[..slots_end]);
        body.resize(length - heap, 0);
        body.extend_from_slice(&self.body[self.body.len() - heap..]);
        Node { body }
    }

    fn rebuilt(&self, length: usize) -> Node {
        let mut node = Node { body: vec![0; length] };
        node.body[6] = self.body[6];
        for index in 0..self.len() {
            let inserted = node.insert(index, self.cell(index));
            assert!(inserted, "living cells fit a node of their size");
        }
        node.body[7] = self.body[7];
        node
    }

    /// Adds cells that are known to fit, in order.
    pub fn extend<'c>(&mut self, cells: impl IntoIterator<Item = Cell<'c>>) {
        for cell in cells {
            let inserted = self.insert(self.len(), cell);
            assert!(inserted, "the caller counted the bytes");
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node(level {}, {} entries, {} bytes)", self.level(), self.len(), self.used_bytes())
    }
}
