//! Which frames of a tree set can be written to slots now, coldest first.

use std::sync::Arc;

use crate::btree::node::Node;
use crate::sync::atomic::Ordering;
use crate::transaction::frames::{Content, Frame, Frames};
use crate::transaction::published::Version;
use crate::transaction::tree_set::Shared;

impl Shared {
    /// How many frames there are, and were.
    pub fn frames_end(&self) -> u32 {
        self.published.read().frames.capacity()
    }

    /// Goes on around the frames and takes those that nobody looked at since the last time, until it has about `bytes` or
    /// has looked at `frames_max`. While the versions that come with them are held, nothing these refer to is freed.
    pub fn cold_frames(&self, bytes: usize, frames_max: u32) -> (Vec<(u32, Content)>, Vec<Arc<Version>>) {
        let published = self.published.read();
        let frames = &published.frames;
        let end = frames.capacity();
        let mut cold = Vec::new();
        let mut cold_bytes = 0;
        let mut hand = self.eviction_hand.load(Ordering::Relaxed);
        for _ in 0..frames_max.min(end) {
            hand = if hand + 1 < end { hand + 1 } else { 0 };
            let Some(frame) = frames.entry(hand) else { continue };
            if can_be_written(frame, frames) && !frame.take_referenced() {
                cold_bytes += frame.content.dirty_bytes();
                cold.push((hand, frame.content.clone()));
                if cold_bytes >= bytes {
                    break;
                }
            }
        }
        self.eviction_hand.store(hand, Ordering::Relaxed);
        (cold, published.all_versions())
    }
}

/// Whether the stored form would name slots only, values written along with it aside.
fn can_be_written(frame: &Frame, frames: &Frames) -> bool {
    match &frame.content {
        Content::Evicted(_) => false,
        Content::Value(_) => true,
        Content::Node(node) => node.is_leaf() || is_all_in_slots(node, frames),
    }
}

fn is_all_in_slots(branch: &Node, frames: &Frames) -> bool {
    (0..branch.len()).all(|index| match branch.child(index).page.as_frame() {
        None => true,
        Some(child) => frames.entry(child).is_some_and(|child| matches!(child.content, Content::Evicted(_))),
    })
}
