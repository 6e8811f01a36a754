//! What is done to a tree set in several transactions: loading much, and freeing what was dropped.

use std::borrow::Borrow;

use crate::btree::Fill;
use crate::error::Result;
use crate::limits::BULK_LOAD_COMMIT_BYTES;
use crate::transaction::writer::is_dropped;
use crate::transaction::{TreeId, TreeSet};

impl TreeSet {
    /// Puts sorted entries behind the last key of a tree, or into an empty one, and commits a piece of a few MiB at a
    /// time, so that memory is bounded by what the engine keeps of changed nodes. How many it were.
    ///
    /// Errors: as of `Transaction::bulk_load`; the pieces before stay.
    pub fn bulk_load<K, V>(&self, tree: TreeId, entries: impl IntoIterator<Item = (K, V)>, fill: Fill) -> Result<u64>
    where
        K: Borrow<[u8]>,
        V: Borrow<[u8]>,
    {
        let mut entries = entries.into_iter().peekable();
        let mut loaded = 0;
        while entries.peek().is_some() {
            let mut bytes = 0;
            let piece = std::iter::from_fn(|| {
                if bytes >= BULK_LOAD_COMMIT_BYTES {
                    return None;
                }
                let (key, value) = entries.next()?;
                bytes += key.borrow().len() + value.borrow().len();
                Some((key, value))
            });
            let mut transaction = self.begin();
            loaded += transaction.bulk_load(tree, piece, fill)?;
            transaction.commit()?;
        }
        Ok(loaded)
    }

    /// Frees about `pages_max` pages of dropped trees; how many it were.
    pub(crate) fn reclaim_dropped(&self, pages_max: usize) -> Result<usize> {
        let waiting = self.snapshot().version().trees.last().is_some_and(|(id, _)| is_dropped(*id));
        if !waiting {
            return Ok(0);
        }
        let mut transaction = self.begin();
        let freed = transaction.reclaim_dropped(pages_max)?;
        transaction.commit()?;
        Ok(freed)
    }
}
