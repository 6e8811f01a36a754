//! Where a transaction keeps the nodes it made: nobody else can reach them, so they are changed in place.

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::{LargeValue, Node};
use crate::btree::source::{NodeSource, wrong_level};
use crate::error::Result;
use crate::page::format::{PageId, PageRef, Target};
use crate::page::overflow;
use crate::transaction::{Content, Shared, WriterState};

/// The fresh nodes of one transaction over the committed ones.
#[derive(Debug)]
pub(crate) struct Workspace {
    shared: Arc<Shared>,
    state: Box<WriterState>,
    /// Frames made here; `None`: made and thrown away again.
    fresh: Vec<(u32, Option<Content>)>,
    retired_frames: Vec<u32>,
    retired_pages: Vec<PageId>,
}

/// What is left of a workspace when its transaction commits.
pub(crate) struct Outcome {
    pub state: Box<WriterState>,
    pub fresh: Vec<(u32, Content)>,
    pub retired_frames: Vec<u32>,
    pub retired_pages: Vec<PageId>,
}

impl Workspace {
    pub fn new(shared: Arc<Shared>, state: Box<WriterState>) -> Self {
        Workspace { shared, state, fresh: Vec::new(), retired_frames: Vec::new(), retired_pages: Vec::new() }
    }

    fn fresh_position(&self, frame: u32) -> Option<usize> {
        self.state.fresh_of[frame as usize].checked_sub(1).map(|position| position as usize)
    }

    /// Gives a new node or value a frame.
    pub(super) fn add_content(&mut self, content: Content) -> PageRef {
        let frame = match self.state.free_frames.pop() {
            Some(frame) => frame,
            None => {
                let frame = self.state.frames_end;
                self.state.frames_end = frame.checked_add(1).expect("frames are bounded by memory");
                self.state.fresh_of.push(0);
                frame
            }
        };
        self.fresh.push((frame, Some(content)));
        self.state.fresh_of[frame as usize] = u32::try_from(self.fresh.len()).expect("frames are bounded by memory");
        PageRef::frame(frame)
    }

    /// Gives a new node a frame.
    pub fn add(&mut self, node: Node) -> PageRef {
        self.add_content(Content::Node(Arc::new(node)))
    }

    /// Gives a large value a frame.
    pub fn add_value(&mut self, value: Bytes) -> PageRef {
        self.add_content(Content::Value(value))
    }

    /// A reference to the same node that may be changed; when it is another one, it is a copy with `room` in bytes.
    pub fn own(&mut self, page: PageRef, node: Arc<Node>, room: usize) -> PageRef {
        if let Some(frame) = page.as_frame()
            && self.fresh_position(frame).is_some()
        {
            return page;
        }
        // What was read for this alone is nobody else's.
        let copy = match Arc::try_unwrap(node) {
            Ok(node) if room == 0 => node,
            Ok(node) => node.writable_copy(room),
            Err(node) => node.writable_copy(room),
        };
        self.retire(page);
        self.add(copy)
    }

    /// A node of this workspace. It must be owned, and no other handle on it may be alive.
    pub fn node_mut(&mut self, page: PageRef) -> &mut Node {
        let position = page.as_frame().and_then(|frame| self.fresh_position(frame)).expect("the node is owned");
        match &mut self.fresh[position].1 {
            Some(Content::Node(node)) => Arc::get_mut(node).expect("nobody else holds a fresh node"),
            _ => panic!("B4: a child reference names a node"),
        }
    }

    /// Takes a node out of the tree.
    pub fn retire(&mut self, page: PageRef) {
        match page.target() {
            Target::Page(id) => self.retired_pages.push(id),
            Target::Frame(frame) => match self.fresh_position(frame) {
                Some(position) => {
                    self.fresh[position].1 = None;
                    self.state.fresh_of[frame as usize] = 0;
                    self.state.free_frames.push(frame);
                }
                None => self.retired_frames.push(frame),
            },
        }
    }

    /// Everything a large value takes, to be retired later. Reads the list of its pieces when it has one.
    pub fn refs_of_value(&self, value: LargeValue) -> Result<Vec<PageRef>> {
        match value.page.target() {
            Target::Frame(_) => Ok(vec![value.page]),
            Target::Page(id) => {
                let slots = overflow::slots(&self.shared.ambient.store, id, value.length)?;
                Ok(slots.into_iter().map(|slot| PageRef::page(slot, false)).collect())
            }
        }
    }

    /// Whether nothing was changed.
    pub fn is_untouched(&self) -> bool {
        self.fresh.is_empty() && self.retired_frames.is_empty() && self.retired_pages.is_empty()
    }

    /// Ends the workspace for a commit.
    pub fn finish(mut self) -> Outcome {
        for (frame, _) in self.fresh.iter().filter(|(_, content)| content.is_some()) {
            self.state.fresh_of[*frame as usize] = 0;
        }
        Outcome {
            state: self.state,
            fresh: self.fresh.into_iter().filter_map(|(frame, content)| Some((frame, content?))).collect(),
            retired_frames: self.retired_frames,
            retired_pages: self.retired_pages,
        }
    }

    /// Ends the workspace for a rollback.
    pub fn abandon(mut self) -> Box<WriterState> {
        for (frame, _) in self.fresh.iter().filter(|(_, content)| content.is_some()) {
            self.state.fresh_of[*frame as usize] = 0;
            self.state.free_frames.push(*frame);
        }
        self.state
    }
}

impl Workspace {
    /// A leaf that is about to be changed. When it must be read it is not kept in the cache: this content of its slot has
    /// no future.
    pub(super) fn leaf_to_change(&self, page: PageRef) -> Result<Arc<Node>> {
        let store = &self.shared.ambient.store;
        let leaf = match page.target() {
            Target::Page(slot) => self.shared.note(store.node_in_passing(slot))?,
            Target::Frame(frame) => match self.frame(frame) {
                Content::Evicted(evicted) => {
                    evicted.with_frames(self.shared.note(store.node_in_passing(evicted.slot()))?)
                }
                content => content.into_node(),
            },
        };
        if leaf.is_leaf() { Ok(leaf) } else { Err(wrong_level(page, 0, leaf.level())) }
    }

    /// What a frame holds or forwards to.
    pub(super) fn frame(&self, frame: u32) -> Content {
        match self.fresh_position(frame) {
            Some(position) => self.fresh[position].1.clone().expect("a reachable frame is alive"),
            None => self.shared.published.read().frames.get(frame).clone(),
        }
    }
}

impl NodeSource for Workspace {
    fn node(&self, page: PageRef) -> Result<Arc<Node>> {
        let store = &self.shared.ambient.store;
        match page.target() {
            Target::Page(slot) => self.shared.note(store.node(slot)),
            Target::Frame(frame) => match self.frame(frame) {
                // The frames below own their slots: what the writer copies must name them.
                Content::Evicted(evicted) => Ok(evicted.with_frames(self.shared.note(store.node(evicted.slot()))?)),
                content => Ok(content.into_node()),
            },
        }
    }

    fn large_value(&self, value: LargeValue) -> Result<Bytes> {
        let slot = match value.page.target() {
            Target::Page(slot) => slot,
            Target::Frame(frame) => match self.frame(frame) {
                Content::Evicted(evicted) => evicted.slot(),
                content => return Ok(content.into_value()),
            },
        };
        self.shared.note(self.shared.ambient.store.value(slot, value.length))
    }
}
