//! Point reads, ranks and the n-th entry: one path down the tree each.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::btree::Root;
use crate::btree::node::{Node, Value};
use crate::btree::range::KeyRange;
use crate::btree::source::NodeSource;
use crate::error::Result;
use crate::page::format::PageRef;

/// One step of a descent.
pub(crate) enum Step<'n> {
    /// The key belongs below this child, which is at this level.
    Down(PageRef, usize),
    /// The key is here.
    Found(Value<'n>),
    /// The key is not in the tree.
    Missing,
}

/// Looks for a key in one node.
#[inline]
pub(crate) fn step<'n>(node: &'n Node, key: &[u8]) -> Step<'n> {
    if node.is_leaf() {
        match node.search(key) {
            Ok(index) => Step::Found(node.value(index)),
            Err(_) => Step::Missing,
        }
    } else {
        Step::Down(node.child(node.child_index(key)).page, node.level() - 1)
    }
}

/// The value of a key.
pub fn get(source: &impl NodeSource, root: Root, key: &[u8]) -> Result<Option<Bytes>> {
    find(source, root, key, |value| source.bytes_of(value))
}

/// Reads the value of a key where it lies.
pub fn get_with<R>(
    source: &impl NodeSource,
    root: Root,
    key: &[u8],
    read: impl FnOnce(&[u8]) -> R,
) -> Result<Option<R>> {
    find(source, root, key, |value| match value {
        Value::Inline(bytes) => Ok(read(bytes)),
        Value::Large(large) => Ok(read(&source.large_value(large)?)),
    })
}

fn find<R>(
    source: &impl NodeSource,
    root: Root,
    key: &[u8],
    found: impl FnOnce(Value<'_>) -> Result<R>,
) -> Result<Option<R>> {
    let Some(page) = root.page else { return Ok(None) };
    let mut node = source.node(page)?;
    loop {
        let next = match step(&node, key) {
            Step::Down(page, level) => source.node_at_level(page, level)?,
            Step::Found(value) => return found(value).map(Some),
            Step::Missing => return Ok(None),
        };
        node = next;
    }
}

/// Number of entries in a range, in O(log n).
pub fn count(source: &impl NodeSource, root: Root, range: &KeyRange) -> Result<u64> {
    let low = rank_of_start(source, root, range)?;
    Ok(rank_of_end(source, root, range)?.saturating_sub(low))
}

/// The `n`-th entry of a range in ascending order, from 0, in O(log n).
pub fn nth(source: &impl NodeSource, root: Root, range: &KeyRange, n: u64) -> Result<Option<(Bytes, Bytes)>> {
    let Some(rank) = rank_of_start(source, root, range)?.checked_add(n) else { return Ok(None) };
    if rank >= rank_of_end(source, root, range)? {
        return Ok(None);
    }
    let Some((leaf, index)) = select(source, root, rank)? else { return Ok(None) };
    Ok(Some((leaf.key(index).to_bytes(), source.bytes_of(leaf.value(index))?)))
}

/// Entries before the range.
fn rank_of_start(source: &impl NodeSource, root: Root, range: &KeyRange) -> Result<u64> {
    match &range.start {
        Bound::Unbounded => Ok(0),
        Bound::Included(key) => rank(source, root, key, false),
        Bound::Excluded(key) => rank(source, root, key, true),
    }
}

/// Entries before the range and in it.
fn rank_of_end(source: &impl NodeSource, root: Root, range: &KeyRange) -> Result<u64> {
    match &range.end {
        Bound::Unbounded => Ok(root.count),
        Bound::Included(key) => rank(source, root, key, true),
        Bound::Excluded(key) => rank(source, root, key, false),
    }
}

/// Entries with smaller keys, the key itself included on demand.
fn rank(source: &impl NodeSource, root: Root, key: &[u8], inclusive: bool) -> Result<u64> {
    let Some(page) = root.page else { return Ok(0) };
    let mut node = source.node(page)?;
    let mut before = 0;
    while !node.is_leaf() {
        let index = node.child_index(key);
        before = u64::wrapping_add(before, node.count_before(index));
        node = source.node_at_level(node.child(index).page, node.level() - 1)?;
    }
    let here = match node.search(key) {
        Ok(index) => index + usize::from(inclusive),
        Err(index) => index,
    };
    Ok(before.wrapping_add(here as u64))
}

/// The leaf and index of the entry with `rank` entries before it.
fn select(source: &impl NodeSource, root: Root, rank: u64) -> Result<Option<(Arc<Node>, usize)>> {
    let Some(page) = root.page else { return Ok(None) };
    let mut node = source.node(page)?;
    let mut rest = rank;
    while !node.is_leaf() {
        let Some((index, below)) = node.child_of_rank(rest) else { return Ok(None) };
        node = source.node_at_level(node.child(index).page, node.level() - 1)?;
        rest = below;
    }
    let index = usize::try_from(rest).unwrap_or(usize::MAX);
    Ok((index < node.len()).then_some((node, index)))
}
