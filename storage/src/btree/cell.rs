//! What goes into a node and comes out of it: values, children, and either with its key.

use crate::btree::format::{BRANCH, LARGE_VALUE_BYTES, LEAF, rest_len};
use crate::btree::key::Key;
use crate::page::format::PageRef;

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

impl Value<'_> {
    /// Where it is, when it is elsewhere.
    pub(super) fn page(&self) -> Option<PageRef> {
        match self {
            Value::Inline(_) => None,
            Value::Large(large) => Some(large.page),
        }
    }

    /// Bytes it takes in a leaf.
    pub(super) fn stored_bytes(&self) -> usize {
        match self {
            Value::Inline(bytes) => bytes.len(),
            Value::Large(_) => LARGE_VALUE_BYTES,
        }
    }
}

/// A value too large for a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeValue {
    /// Where it is.
    pub page: PageRef,
    /// Its length in bytes.
    pub length: u32,
}

impl LargeValue {
    pub(super) fn to_bytes(self) -> [u8; LARGE_VALUE_BYTES] {
        let mut bytes = [0; LARGE_VALUE_BYTES];
        bytes[..8].copy_from_slice(&self.page.to_bits().to_le_bytes());
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }
}

/// An entry of a node: a key, and what it leads to.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'c> {
    pub(super) key: Key<'c>,
    pub(super) content: Content<'c>,
}

/// What the key of a cell leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'c> {
    Value(Value<'c>),
    Child(Child),
}

impl<'c> Cell<'c> {
    /// A leaf entry.
    pub fn entry(key: &'c [u8], value: Value<'c>) -> Self {
        Cell { key: key.into(), content: Content::Value(value) }
    }

    /// A branch entry.
    pub fn child(key: &'c [u8], child: Child) -> Self {
        Cell { key: key.into(), content: Content::Child(child) }
    }

    /// The same value under another key.
    pub fn with_key(self, key: &'c [u8]) -> Self {
        Cell { key: key.into(), content: self.content }
    }

    /// The key.
    pub fn key(&self) -> Key<'c> {
        self.key
    }

    /// Bytes it takes in a node that stores the first `prefix` bytes of its key elsewhere.
    pub(super) fn footprint(&self, prefix: usize) -> usize {
        let shape = match self.content {
            Content::Value(value) => LEAF.per_entry() + value.stored_bytes(),
            Content::Child(_) => BRANCH.per_entry(),
        };
        shape + rest_len(self.key.len() - prefix)
    }
}
