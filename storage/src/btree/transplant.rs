//! Takes a tree that is only in memory over from another workspace: the same nodes under numbers of this one.

use std::sync::Arc;

use crate::btree::node::{Node, Value};
use crate::btree::workspace::Workspace;
use crate::page::format::PageRef;
use crate::transaction::Content;
use crate::transaction::frames::name_below;

impl Workspace {
    /// Takes everything below `page` out of `from` and returns its name here. Leaves without large values are shared with
    /// who still reads them there; what names others is copied. O(n). Panics when anything of it is in a slot.
    pub fn transplant(&mut self, from: &mut Workspace, page: PageRef) -> PageRef {
        let frame = page.as_frame().expect("a tree of the engine in memory has no slots");
        let content = from.frame(frame);
        from.retire(page);
        let content = match content {
            Content::Node(node) => Content::Node(self.transplant_below(from, node)),
            Content::Value(value) => Content::Value(value),
            Content::Evicted(_) => panic!("a tree of the engine in memory has no slots"),
        };
        self.add_content(content)
    }

    fn transplant_below(&mut self, from: &mut Workspace, node: Arc<Node>) -> Arc<Node> {
        let named = |index: usize| match node.is_leaf() {
            false => Some(node.child(index).page),
            true => match node.value(index) {
                Value::Large(value) => Some(value.page),
                Value::Inline(_) => None,
            },
        };
        let mut image: Option<Node> = None;
        for index in 0..node.len() {
            let Some(page) = named(index) else { continue };
            let moved = self.transplant(from, page);
            name_below(image.get_or_insert_with(|| Node::clone(&node)), index, moved);
        }
        image.map_or_else(|| Arc::clone(&node), Arc::new)
    }
}
