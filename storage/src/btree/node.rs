//! A tree node: reading it. How it changes stands in `node/change.rs`, how one is made of cells in `node/build.rs`.
//!
//! The layout is in [`super::format`]. A node that other threads can reach is behind an `Arc` and never changes.

mod build;
mod change;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::btree::cell::Content;
pub use crate::btree::cell::{Cell, Child, LargeValue, Value};
use crate::btree::format::{
    BRANCH, FLAG_HEADS, FLAG_LARGE_VALUES, HEADS_AT, LARGE_BIT, LEAF, NODE_HEADER_BYTES, Shape, rest_len,
};
use crate::btree::key::{HEAD_BYTES, Key, head_of};
use crate::page::format::PageRef;
pub(crate) use build::{Cells, Plan};

/// How many counts are added up before the sum is compared with a rank.
const COUNTS_PER_STEP: usize = 16;

/// A leaf or a branch.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    body: Vec<u8>,
}

impl Node {
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

    /// Says whether large values lie here or below.
    pub fn set_large_values(&mut self, yes: bool) {
        self.body[7] = FLAG_HEADS | if yes { FLAG_LARGE_VALUES } else { 0 };
    }

    pub(super) fn heap_bytes(&self) -> usize {
        usize::from(self.u16_at(2))
    }

    pub(super) fn garbage_bytes(&self) -> usize {
        usize::from(self.u16_at(4))
    }

    #[inline]
    fn shape(&self) -> Shape {
        if self.is_leaf() { LEAF } else { BRANCH }
    }

    /// Bytes of header, slots, prefix and living cells.
    pub fn used_bytes(&self) -> usize {
        self.arrays_end() + self.heap_bytes() - self.garbage_bytes()
    }

    #[inline]
    pub(super) fn arrays_end(&self) -> usize {
        NODE_HEADER_BYTES + self.len() * self.shape().slot
    }

    #[inline]
    fn u16_at(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.body[at], self.body[at + 1]])
    }

    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.body[at..at + 8].try_into().expect("eight bytes"))
    }

    #[inline]
    pub(super) fn prefix_len(&self) -> usize {
        usize::from(self.u16_at(8))
    }

    /// What every key of this node begins with, but for the first of a branch, which is not used.
    #[inline]
    pub fn prefix(&self) -> &[u8] {
        &self.body[self.body.len() - self.prefix_len()..]
    }

    #[inline]
    fn heads(&self) -> &[[u8; HEAD_BYTES]] {
        self.body[HEADS_AT..HEADS_AT + self.len() * HEAD_BYTES].as_chunks().0
    }

    #[inline]
    pub(super) fn head(&self, index: usize) -> u32 {
        u32::from_le_bytes(self.heads()[index])
    }

    /// Distance of a cell from the end of the body.
    #[inline]
    pub(super) fn slot(&self, index: usize) -> usize {
        usize::from(self.u16_at(HEADS_AT + self.len() * HEAD_BYTES + index * 2))
    }

    #[inline]
    fn cell_at(&self, index: usize) -> usize {
        self.body.len() - self.slot(index)
    }

    /// Bytes of a key behind the prefix.
    #[inline]
    pub(super) fn remainder_len(&self, index: usize) -> usize {
        usize::from(self.u16_at(self.cell_at(index)))
    }

    /// Length of a leaf's value in its cell, and whether it is large.
    pub(super) fn value_len(&self, index: usize) -> (usize, bool) {
        let value = self.u16_at(self.cell_at(index) + 2);
        (usize::from(value & !LARGE_BIT), value & LARGE_BIT != 0)
    }

    #[inline]
    fn rest(&self, index: usize) -> &[u8] {
        let at = self.cell_at(index);
        let start = at + self.shape().cell;
        &self.body[start..start + rest_len(usize::from(self.u16_at(at)))]
    }

    /// The key of an entry.
    #[inline]
    pub fn key(&self, index: usize) -> Key<'_> {
        let remainder = self.remainder_len(index);
        Key::in_pieces(self.prefix(), self.head(index), remainder, self.rest(index))
    }

    /// Writes the key of an entry behind what `out` has, which is this node's prefix.
    #[inline]
    pub(super) fn append_remainder(&self, index: usize, out: &mut Vec<u8>) {
        let remainder = self.remainder_len(index);
        out.extend_from_slice(&self.head(index).to_be_bytes()[..remainder.min(HEAD_BYTES)]);
        out.extend_from_slice(self.rest(index));
    }

    #[inline]
    fn value_start(&self, index: usize) -> usize {
        let at = self.cell_at(index);
        at + LEAF.cell + rest_len(usize::from(self.u16_at(at)))
    }

    /// The value of a leaf entry.
    #[inline]
    pub fn value(&self, index: usize) -> Value<'_> {
        debug_assert!(self.is_leaf());
        let at = self.cell_at(index);
        let start = at + LEAF.cell + rest_len(usize::from(self.u16_at(at)));
        let length = self.u16_at(at + 2);
        let bytes = &self.body[start..start + usize::from(length & !LARGE_BIT)];
        if length & LARGE_BIT == 0 {
            return Value::Inline(bytes);
        }
        Value::Large(LargeValue {
            page: PageRef::from_trusted_bits(u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))),
            length: u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes")),
        })
    }

    pub(super) fn large_bits(&self, index: usize) -> u64 {
        self.u64_at(self.value_start(index))
    }

    fn child_at(&self, index: usize) -> usize {
        NODE_HEADER_BYTES + self.len() * BRANCH.children_after + index * 8
    }

    fn count_at(&self, index: usize) -> usize {
        NODE_HEADER_BYTES + self.len() * BRANCH.counts_after + index * 8
    }

    pub(super) fn child_bits(&self, index: usize) -> u64 {
        self.u64_at(self.child_at(index))
    }

    /// A child of a branch.
    #[inline]
    pub fn child(&self, index: usize) -> Child {
        debug_assert!(!self.is_leaf());
        let page = PageRef::from_trusted_bits(self.child_bits(index));
        Child { page, count: self.u64_at(self.count_at(index)) }
    }

    #[inline]
    fn counts(&self) -> &[[u8; 8]] {
        let start = self.count_at(0);
        self.body[start..start + self.len() * 8].as_chunks().0
    }

    /// Entries in the leaves below, or in this leaf.
    pub fn total(&self) -> u64 {
        if self.is_leaf() { self.len() as u64 } else { sum(self.counts()) }
    }

    /// Entries below the children of a branch before child `index`.
    pub fn count_before(&self, index: usize) -> u64 {
        sum(&self.counts()[..index])
    }

    /// The child of a branch that has the entry with `rank` entries before it, and how many of those lie in the child.
    pub fn child_of_rank(&self, rank: u64) -> Option<(usize, u64)> {
        let mut rest = rank;
        for (step, counts) in self.counts().chunks(COUNTS_PER_STEP).enumerate() {
            let below = sum(counts);
            if rest >= below {
                rest -= below;
                continue;
            }
            for (index, count) in counts.iter().enumerate() {
                let count = u64::from_le_bytes(*count);
                if rest < count {
                    return Some((step * COUNTS_PER_STEP + index, rest));
                }
                rest -= count;
            }
        }
        None
    }

    /// What of `key` lies behind the prefix; or on which side of all keys of this node it lies.
    #[inline]
    fn behind_prefix<'k>(&self, key: &'k [u8]) -> Result<&'k [u8], Ordering> {
        let prefix = self.prefix();
        key.strip_prefix(prefix).ok_or_else(|| key.cmp(prefix))
    }

    /// Compares an entry's key with one whose head is the same.
    #[inline]
    fn compare_rest(&self, index: usize, remainder: &[u8]) -> Ordering {
        let rest = remainder.get(HEAD_BYTES..).unwrap_or_default();
        // When neither goes on behind the head, only trailing zeros can tell them apart.
        self.rest(index).cmp(rest).then_with(|| self.remainder_len(index).cmp(&remainder.len()))
    }

    /// Compares two keys of this node.
    pub(super) fn compare(&self, left: usize, right: usize) -> Ordering {
        let heads = self.head(left).cmp(&self.head(right));
        let rests = heads.then_with(|| self.rest(left).cmp(self.rest(right)));
        rests.then_with(|| self.remainder_len(left).cmp(&self.remainder_len(right)))
    }

    /// Finds a key in a leaf: `Ok` its index, `Err` where it would go.
    #[inline]
    pub fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let remainder = match self.behind_prefix(key) {
            Ok(remainder) => remainder,
            Err(Ordering::Less) => return Err(0),
            Err(_) => return Err(self.len()),
        };
        let (mut low, mut high) = equal_heads(self.heads(), head_of(remainder));
        while low < high {
            let middle = (low + high) / 2;
            match self.compare_rest(middle, remainder) {
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
        let remainder = match self.behind_prefix(key) {
            Ok(remainder) => remainder,
            Err(Ordering::Less) => return 0,
            Err(_) => return self.len() - 1,
        };
        // The first key is not used, so the index of the first greater key among the others is the child.
        let (mut low, mut high) = equal_heads(&self.heads()[1..], head_of(remainder));
        while low < high {
            let middle = (low + high) / 2;
            if self.compare_rest(middle + 1, remainder).is_le() { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// An entry as it can be put into another node.
    pub fn cell(&self, index: usize) -> Cell<'_> {
        let content =
            if self.is_leaf() { Content::Value(self.value(index)) } else { Content::Child(self.child(index)) };
        Cell { key: self.key(index), content }
    }

    /// All entries.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = Cell<'_>> {
        (0..self.len()).map(|index| self.cell(index))
    }
}

/// Sums that wrap: what a damaged page claims must not panic.
#[inline]
fn sum(counts: &[[u8; 8]]) -> u64 {
    counts.iter().fold(0, |sum: u64, count| sum.wrapping_add(u64::from_le_bytes(*count)))
}

/// The range of entries that have this head, in which a key may be; empty where it would go when there is none.
#[inline]
fn equal_heads(heads: &[[u8; HEAD_BYTES]], head: u32) -> (usize, usize) {
    let low = first_not_below(heads, head);
    let is_equal = |at: usize| heads.get(at).is_some_and(|found| u32::from_le_bytes(*found) == head);
    if !is_equal(low) {
        return (low, low);
    }
    if !is_equal(low + 1) {
        return (low, low + 1);
    }
    let greater = head.checked_add(1).map_or(heads.len(), |next| low + first_not_below(&heads[low..], next));
    (low, greater)
}

/// The first head that is not smaller. Written without a branch that depends on the keys.
#[inline]
fn first_not_below(heads: &[[u8; HEAD_BYTES]], head: u32) -> usize {
    let is_below = |at: usize| usize::from(u32::from_le_bytes(heads[at]) < head);
    let (mut base, mut length) = (0, heads.len());
    if length == 0 {
        return 0;
    }
    while length > 1 {
        let half = length / 2;
        base += is_below(base + half - 1) * half;
        length -= half;
    }
    base + is_below(base)
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node(level {}, {} entries, {} bytes)", self.level(), self.len(), self.used_bytes())
    }
}
