//! After a checkpoint: lets a tree set refer to the slots just written instead of the frames, so that their memory
//! is free. The set went on changing meanwhile; only nodes made since the checkpoint's snapshot are visited.

use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::btree::Root;
use crate::btree::node::{Child, LargeValue, Node, Value};
use crate::checkpoint::tree_writer::WrittenFrames;
use crate::page::format::{PageId, PageRef};
use crate::transaction::{Changes, Content, Shared, Snapshot, TreeId};

/// Publishes a version with the same content as the last commit, in which everything written is named by its slot.
/// Returns its number, and whether nothing was committed since the snapshot that was written.
///
/// The snapshot must live until here: it keeps the frames it reaches from being freed, and their numbers from being given
/// to other nodes, so that `written` means what it says.
pub(crate) fn relocate(shared: &Shared, written: &WrittenFrames, snapshot: Snapshot) -> (u64, bool) {
    let mut state = shared.take_writer();
    let retired: FxHashSet<u32> =
        state.history.iter().flat_map(|superseded| superseded.frames.iter().copied()).collect();
    let mut dead_pages = Vec::new();
    let mut alive_frames = Vec::new();
    for (&frame, to) in written {
        if retired.contains(&frame) {
            dead_pages.extend(to.page.page_id());
            dead_pages.extend(&to.parts);
        } else {
            alive_frames.push(frame);
        }
    }
    let (number, trees, meta, rewritten) = plan(shared, written);
    let unchanged = number == snapshot.version().number;
    drop(snapshot);
    // The checkpoint has these slots, the set left them before it ever saw them: no reader knows them.
    state.unlinked.extend(dead_pages.iter().map(|&page: &PageId| (number, page)));
    shared.ambient.released.lock().extend(dead_pages);
    let changes = Changes { fresh: rewritten, retired_frames: alive_frames, retired_pages: Vec::new(), trees, meta };
    shared.publish(&mut state, changes);
    shared.return_writer(state);
    (number + 1, unchanged)
}

type Plan = (u64, Vec<(TreeId, Root)>, Bytes, Vec<(u32, Content)>);

fn plan(shared: &Shared, written: &WrittenFrames) -> Plan {
    let published = shared.published.read();
    let mut rewritten = Vec::new();
    let mut visit =
        |page: PageRef| renamed(page, written, &|frame| published.frames.get(frame).as_node(), &mut rewritten);
    let version = &published.version;
    let trees =
        version.trees.iter().map(|&(id, root)| (id, Root { page: root.page.map(&mut visit), count: root.count }));
    (version.number, trees.collect(), version.meta.clone(), rewritten)
}

/// The new name of a node; when it keeps its frame, its content with new names below goes to `rewritten`.
fn renamed<'f>(
    page: PageRef,
    written: &WrittenFrames,
    node_of: &impl Fn(u32) -> &'f std::sync::Arc<Node>,
    rewritten: &mut Vec<(u32, Content)>,
) -> PageRef {
    let Some(frame) = page.as_frame() else { return page };
    if let Some(to) = written.get(&frame) {
        return to.page;
    }
    let node = node_of(frame);
    let mut copy: Option<Node> = None;
    for index in 0..node.len() {
        if node.is_leaf() {
            let Value::Large(value) = node.value(index) else { continue };
            if let Some(to) = value.page.as_frame().and_then(|frame| written.get(&frame)) {
                let copy = copy.get_or_insert_with(|| Node::clone(node));
                copy.set_large(index, LargeValue { page: to.page, length: value.length });
            }
        } else {
            let child = node.child(index);
            let page = renamed(child.page, written, node_of, rewritten);
            if page != child.page {
                copy.get_or_insert_with(|| Node::clone(node)).set_child(index, Child { page, count: child.count });
            }
        }
    }
    if let Some(copy) = copy {
        rewritten.push((frame, Content::Node(std::sync::Arc::new(copy))));
    }
    page
}
