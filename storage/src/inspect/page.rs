//! One page, opened.

use crate::btree::node::Value;
use crate::error::Result;
use crate::page::PageId;
use crate::page::format::PageKind;
use crate::page::store::PageStore;
use crate::slab::SizeClass;

/// A page, as far as it can be shown.
#[derive(Clone, Debug)]
pub struct PageReport {
    /// Which one.
    pub page: PageId,
    /// Where its slot begins in the page file.
    pub offset: u64,
    /// What it holds.
    pub kind: PageKind,
    /// The checkpoint that wrote it.
    pub generation: u64,
    /// Bytes of its content, uncompressed.
    pub content_bytes: u64,
    /// Bytes stored for it, header included.
    pub stored_bytes: u64,
    /// Level of a tree node; leaves are at 0.
    pub level: Option<u64>,
    /// Entries of a tree node, in order of keys.
    pub entries: Vec<EntryReport>,
}

/// An entry of a tree node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryReport {
    /// A key and a value in a leaf.
    Inline {
        /// The key.
        key: Vec<u8>,
        /// Bytes of the value.
        value_bytes: u64,
    },
    /// A key in a leaf whose value is elsewhere.
    Large {
        /// The key.
        key: Vec<u8>,
        /// Bytes of the value.
        value_bytes: u64,
        /// Where it is.
        page: Option<PageId>,
    },
    /// A child of a branch.
    Child {
        /// The lower bound of its keys. That of the first child is not used.
        key: Vec<u8>,
        /// Where it is.
        page: Option<PageId>,
        /// Entries below it.
        entries: u64,
    },
}

pub(super) fn report(store: &PageStore, id: PageId) -> Result<PageReport> {
    let id = store.in_present_life(id)?;
    let page = store.read_any(id)?;
    let mut report = PageReport {
        page: id,
        offset: id.offset(),
        kind: page.kind,
        generation: page.generation,
        content_bytes: page.body.len() as u64,
        stored_bytes: store.stored_bytes(id)?,
        level: None,
        entries: Vec::new(),
    };
    if matches!(page.kind, PageKind::Leaf | PageKind::Branch) {
        let node = store.node_of(id, page)?;
        report.level = Some(node.level() as u64);
        for index in 0..node.len() {
            let key = node.key(index).to_vec();
            report.entries.push(match node.is_leaf() {
                false => {
                    let child = node.child(index);
                    EntryReport::Child { key, page: child.page.page_id(), entries: child.count }
                }
                true => match node.value(index) {
                    Value::Inline(bytes) => EntryReport::Inline { key, value_bytes: bytes.len() as u64 },
                    Value::Large(large) => {
                        EntryReport::Large { key, value_bytes: u64::from(large.length), page: large.page.page_id() }
                    }
                },
            });
        }
    }
    Ok(report)
}

/// Reads a page's name as it is printed: size of the slot in KiB, `K:`, extent, `.`, slot. `None`: it is not one.
#[must_use]
pub fn parse_page(text: &str) -> Option<PageId> {
    let (size, place) = text.split_once("K:")?;
    let (extent, slot) = place.split_once('.')?;
    let bytes = match size.split_once('.') {
        None => size.parse::<usize>().ok()?.checked_mul(1024)?,
        Some((whole, "5")) => whole.parse::<usize>().ok()?.checked_mul(1024)? + 512,
        Some(_) => return None,
    };
    let class = SizeClass::fitting(bytes).filter(|class| class.slot_bytes() == bytes)?;
    let (extent, slot) = (extent.parse().ok()?, slot.parse::<u16>().ok()?);
    (usize::from(slot) < class.slots_per_extent()).then(|| PageId::new(class, extent, slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_it_is_printed() {
        for (bytes, extent, slot) in [(8192, 0, 0), (4608, 17, 3), (65536, 9, 1)] {
            let page = PageId::new(SizeClass::fitting(bytes).unwrap(), extent, slot);
            assert_eq!(parse_page(&format!("{page:?}")), Some(page));
        }
        for other in ["", "8K", "8K:1", "8K:1.127", "8K:1.x", "9.3K:1.1", "33K:1.1", "8K:4294967296.0", "-8K:1.1"] {
            assert_eq!(parse_page(other), None, "{other}");
        }
    }
}
