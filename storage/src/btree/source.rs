//! Where the nodes of a tree come from: the seam between walking a tree and keeping its nodes.

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::{LargeValue, Node, Value};
use crate::error::{Result, StorageError};
use crate::page::format::{PageRef, Target};

/// Resolves references of one consistent view.
pub trait NodeSource {
    /// The node at `page`. Errors: the page is damaged or cannot be read.
    fn node(&self, page: PageRef) -> Result<Arc<Node>>;

    /// The bytes of a large value. Errors: as [`NodeSource::node`].
    fn large_value(&self, value: LargeValue) -> Result<Bytes>;

    /// A node of a known level (B3).
    fn node_at_level(&self, page: PageRef, level: usize) -> Result<Arc<Node>> {
        let node = self.node(page)?;
        if node.level() == level { Ok(node) } else { Err(wrong_level(page, level, node.level())) }
    }

    /// A value as bytes of its own.
    fn bytes_of(&self, value: Value<'_>) -> Result<Bytes> {
        match value {
            Value::Inline(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            Value::Large(large) => self.large_value(large),
        }
    }
}

/// The error for a node at the wrong height of its tree.
pub(crate) fn wrong_level(page: PageRef, expected: usize, found: usize) -> StorageError {
    match page.target() {
        Target::Page(id) => StorageError::DamagedPage {
            page: id,
            offset: id.offset(),
            detail: "level of a tree node",
            expected: expected as u64,
            found: found as u64,
        },
        Target::Frame(_) => unreachable!("B3: nodes made in memory have the level of their place"),
    }
}
