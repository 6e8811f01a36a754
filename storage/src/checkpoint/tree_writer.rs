//! Writes what a snapshot has only in memory, children first, and remembers which frame went to which slot.

use rustc_hash::FxHashMap;

use crate::btree::Root;
use crate::btree::node::{Child, LargeValue, Node, Value};
use crate::btree::source::NodeSource;
use crate::checkpoint::page_writer::PageWriter;
use crate::error::Result;
use crate::page::format::{PageId, PageRef};
use crate::transaction::Snapshot;

/// Where a frame's content was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// The slot, as branches refer to it.
    pub page: PageRef,
    /// Slots of a large value's pieces.
    pub parts: Vec<PageId>,
}

/// Frames of one tree set and where they were written.
pub(crate) type WrittenFrames = FxHashMap<u32, Written>;

/// Writes a tree. Returns its root in slots.
pub(crate) fn write_tree(
    snapshot: &Snapshot,
    root: Root,
    writer: &mut PageWriter<'_>,
    written: &mut WrittenFrames,
) -> Result<Root> {
    let page = root.page.map(|page| write_below(snapshot, page, writer, written)).transpose()?;
    Ok(Root { page, count: root.count })
}

fn write_below(
    snapshot: &Snapshot,
    page: PageRef,
    writer: &mut PageWriter<'_>,
    written: &mut WrittenFrames,
) -> Result<PageRef> {
    let Some(frame) = page.as_frame() else { return Ok(page) };
    let node = snapshot.node(page)?;
    let mut image = node.packed();
    drop(node);
    let large_values = if image.is_leaf() {
        write_values(snapshot, &mut image, writer, written)?
    } else {
        write_children(snapshot, &mut image, writer, written)?
    };
    image.set_large_values(large_values);
    let page = PageRef::page(writer.write_node(image)?, large_values);
    written.insert(frame, Written { page, parts: Vec::new() });
    Ok(page)
}

fn write_children(
    snapshot: &Snapshot,
    image: &mut Node,
    writer: &mut PageWriter<'_>,
    written: &mut WrittenFrames,
) -> Result<bool> {
    let mut large_values = false;
    for index in 0..image.len() {
        let child = image.child(index);
        let page = write_below(snapshot, child.page, writer, written)?;
        large_values |= page.has_large_values();
        image.set_child(index, Child { page, count: child.count });
    }
    Ok(large_values)
}

fn write_values(
    snapshot: &Snapshot,
    image: &mut Node,
    writer: &mut PageWriter<'_>,
    written: &mut WrittenFrames,
) -> Result<bool> {
    let mut large_values = false;
    for index in 0..image.len() {
        let Value::Large(value) = image.value(index) else { continue };
        large_values = true;
        if let Some(frame) = value.page.as_frame() {
            let (page, parts) = writer.write_value(&snapshot.large_value(value)?)?;
            let page = PageRef::page(page, false);
            image.set_large(index, LargeValue { page, length: value.length });
            written.insert(frame, Written { page, parts });
        }
    }
    Ok(large_values)
}
