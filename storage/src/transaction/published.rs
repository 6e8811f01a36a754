//! What readers of a tree set see, and what waits until the last of them has let it go.
//!
//! A commit replaces a version. What it retired can be reached from that version and older ones, so it waits with it in
//! `history`, where only versions stand that somebody holds: one that nobody holds gives what waits with it to the next
//! older one, except frames that are younger than that (T4). Trees that passed to another set are waited for there in the
//! same way (T5, `transfer.rs`).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::btree::Root;
use crate::error::{Result, StorageError};
use crate::page::format::{PageId, PageRef};
use crate::transaction::TreeId;
use crate::transaction::frames::{Content, Evicted, Fate, Frames};
use crate::transaction::transfer::Transfers;
use crate::transaction::writer::is_dropped;

/// One committed state of a tree set.
#[derive(Debug)]
pub(crate) struct Version {
    /// Counts commits. Never the same for two sets of one engine, even when one takes the other's id.
    pub number: u64,
    /// Roots, sorted by tree.
    pub trees: Vec<(TreeId, Root)>,
    /// The owner's blob.
    pub meta: Bytes,
}

impl Version {
    pub fn root(&self, tree: TreeId) -> Result<Root> {
        match self.trees.binary_search_by_key(&tree, |(id, _)| *id) {
            Ok(at) if !is_dropped(tree) => Ok(self.trees[at].1),
            _ => Err(StorageError::NoTree(tree)),
        }
    }
}

/// A version that was replaced, with what only it and its ancestors could reach.
#[derive(Debug)]
struct Superseded {
    version: Arc<Version>,
    frames: Vec<u32>,
    /// Slots that superblocks know.
    stored: Vec<PageId>,
    /// Slots that no superblock ever named.
    unnamed: Vec<PageId>,
    /// T5: versions of the sets that have what this version and its ancestors can reach, from before they had it.
    ties: Vec<Arc<Version>>,
}

/// What readers see.
#[derive(Debug)]
pub(crate) struct Published {
    pub version: Arc<Version>,
    pub frames: Frames,
    /// Replaced versions, oldest first, until no reader holds them.
    history: VecDeque<Superseded>,
    /// Length of the history at which its inside is looked at again.
    history_look: usize,
    /// Slots of superblocks that left the tree, with the version that no longer has them, until a checkpoint covers it.
    pub(super) unlinked: Vec<(u64, PageId)>,
    /// Slots in the tree that no superblock names yet.
    pub(super) ahead: FxHashSet<PageId>,
    /// A checkpoint is under way and may be about to name them.
    pub(super) checkpointing: bool,
    /// Evicted frames that name other frames' slots.
    handovers: VecDeque<u32>,
    /// Frame numbers that became free.
    pub(super) freed_frames: Vec<u32>,
    /// Trees that came from other sets and went to them since this one was stored.
    pub transfers: Transfers,
}

/// What a commit changes.
#[derive(Default)]
pub(crate) struct Changes {
    pub fresh: Vec<(u32, Content)>,
    pub retired_frames: Vec<u32>,
    pub retired_pages: Vec<PageId>,
    pub trees: Vec<(TreeId, Root)>,
    pub meta: Bytes,
    /// The version of another set that must not end before the readers of what is replaced here.
    pub tie: Option<Arc<Version>>,
}

/// What nobody can reach any more.
#[derive(Default)]
pub(super) struct Dead {
    pub contents: Vec<Content>,
    pub stored: Vec<PageId>,
    pub unnamed: Vec<PageId>,
    /// The set was dropped before: its slots are taken back as a whole.
    pub dropped: bool,
}

/// The history's inside is looked at when it has grown to twice what was left last time, and this.
const HISTORY_LOOK_MIN: usize = 8;

impl Published {
    pub fn new(version: Version) -> Self {
        Published {
            version: Arc::new(version),
            frames: Frames::default(),
            history: VecDeque::new(),
            history_look: HISTORY_LOOK_MIN,
            unlinked: Vec::new(),
            ahead: FxHashSet::default(),
            checkpointing: false,
            handovers: VecDeque::new(),
            freed_frames: Vec::new(),
            transfers: Transfers::default(),
        }
    }

    /// Makes a new version the one that readers see (T1). `handed_over`: frames retired when their slots were.
    pub(super) fn replace(&mut self, changes: Changes, handed_over: Vec<u32>) {
        let number = self.version.number + 1;
        for (frame, content) in changes.fresh {
            self.frames.set(frame, content, number);
        }
        for &frame in &changes.retired_frames {
            self.retire(frame, number);
        }
        let (mut stored, mut unnamed) = (Vec::new(), Vec::new());
        for page in changes.retired_pages {
            match self.leave(std::iter::once(page), number) {
                Fate::Unnamed => unnamed.push(page),
                _ => stored.push(page),
            }
        }
        let version = Arc::new(Version { number, trees: changes.trees, meta: changes.meta });
        let replaced = std::mem::replace(&mut self.version, version);
        let mut frames = changes.retired_frames;
        frames.extend(handed_over);
        let ties = changes.tie.into_iter().collect();
        self.history.push_back(Superseded { version: replaced, frames, stored, unnamed, ties });
    }

    fn retire(&mut self, frame: u32, number: u64) {
        let entry = self.frames.entry_mut(frame).expect("T4: a frame in the tree is alive");
        assert!(!entry.retired, "T4: a frame leaves the tree once");
        entry.retired = true;
        let Content::Evicted(evicted) = &mut entry.content else { return };
        // The copy that replaces it names these frames itself.
        evicted.below = Vec::new();
        let slots: Vec<PageId> = evicted.slots().collect();
        let fate = self.leave(slots.into_iter(), number);
        if let Some(Content::Evicted(evicted)) = self.frames.entry_mut(frame).map(|entry| &mut entry.content) {
            evicted.fate = fate;
        }
    }

    /// Slots of one owner leave the tree with version `number`.
    fn leave(&mut self, slots: impl Iterator<Item = PageId>, number: u64) -> Fate {
        let mut fate = Fate::Stored;
        for slot in slots {
            if !self.checkpointing && self.ahead.remove(&slot) {
                fate = Fate::Unnamed;
            } else {
                self.unlinked.push((number, slot));
            }
        }
        fate
    }

    /// Lets a frame forward to where its content was written; false when it is not what it was.
    pub(super) fn forward(&mut self, frame: u32, original: &Content, evicted: &Evicted, dead: &mut Dead) -> bool {
        let number = self.version.number;
        let Some(entry) = self.frames.entry_mut(frame).filter(|entry| entry.content.is_same(original)) else {
            return false;
        };
        let mut evicted = evicted.clone();
        if !entry.retired {
            evicted.fate = Fate::InTree;
            self.ahead.extend(evicted.slots());
            if !evicted.below.is_empty() {
                self.handovers.push_back(frame);
            }
        } else {
            evicted.below = Vec::new();
            if self.checkpointing {
                // The version that is being stored reaches it, the newest one does not.
                evicted.fate = Fate::Stored;
                self.ahead.extend(evicted.slots());
                self.unlinked.extend(evicted.slots().map(|slot| (number, slot)));
            } else {
                evicted.fate = Fate::Unnamed;
            }
        }
        dead.contents.push(std::mem::replace(&mut entry.content, Content::Evicted(Box::new(evicted))));
        true
    }

    /// Lets slots be owned by the names that stored nodes have for them, and takes the frames that owned them so far
    /// out of the tree: about `frames_max`. Only for the writer, between transactions: one that is open may have copied a
    /// node that names such a frame. Returns the frames.
    pub(super) fn hand_over(&mut self, frames_max: usize) -> Vec<u32> {
        let mut handed_over = Vec::new();
        while handed_over.len() < frames_max
            && let Some(frame) = self.handovers.pop_front()
        {
            if self.frames.entry(frame).is_some_and(|entry| !entry.retired) {
                self.hand_over_below(frame, &mut handed_over);
            }
        }
        handed_over
    }

    fn hand_over_below(&mut self, frame: u32, handed_over: &mut Vec<u32>) {
        let Some(entry) = self.frames.entry_mut(frame) else { return };
        let Content::Evicted(evicted) = &mut entry.content else { return };
        for (_, below) in std::mem::take(&mut evicted.below) {
            self.hand_over_below(below, handed_over);
            let entry = self.frames.entry_mut(below).expect("T4: what a node in the tree names is alive");
            let Content::Evicted(evicted) = &mut entry.content else {
                panic!("T4: a stored node names slots only");
            };
            assert!(!entry.retired && evicted.fate == Fate::InTree, "T4: a frame leaves the tree once");
            (entry.retired, evicted.fate) = (true, Fate::HandedOver);
            handed_over.push(below);
        }
    }

    /// Whether slots wait to be handed over.
    pub fn has_handovers(&self) -> bool {
        !self.handovers.is_empty()
    }

    /// Takes a root's frame out of the tree, whose slot the version names from now on. `None` while it cannot be done.
    pub(super) fn hand_over_root(&mut self, frame: u32) -> Option<PageRef> {
        let entry = self.frames.entry_mut(frame)?;
        let Content::Evicted(evicted) = &mut entry.content else { return None };
        if !evicted.below.is_empty() {
            return None;
        }
        (entry.retired, evicted.fate) = (true, Fate::HandedOver);
        Some(evicted.page)
    }

    /// Frees what only versions without readers could reach. A version that is not published any more gets no new
    /// readers except from those that hold it, so exclusive access now is exclusive access for ever.
    pub(super) fn reclaim(&mut self, dead: &mut Dead) {
        while let Some(oldest) = self.history.front_mut() {
            if Arc::get_mut(&mut oldest.version).is_none() {
                break;
            }
            let Some(oldest) = self.history.pop_front() else { break };
            oldest.frames.into_iter().for_each(|frame| self.free(frame, dead));
            dead.stored.extend(oldest.stored);
            dead.unnamed.extend(oldest.unnamed);
        }
        if self.history.len() >= self.history_look {
            self.reclaim_inside(dead);
            self.history_look = 2 * self.history.len() + HISTORY_LOOK_MIN;
        } else if self.history.is_empty() {
            self.history_look = HISTORY_LOOK_MIN;
        }
    }

    /// The same between versions that are held: without it one old reader would keep everything made since.
    fn reclaim_inside(&mut self, dead: &mut Dead) {
        let mut held: VecDeque<Superseded> = VecDeque::with_capacity(self.history.len());
        for mut superseded in std::mem::take(&mut self.history) {
            let free = Arc::get_mut(&mut superseded.version).is_some();
            match held.back_mut() {
                Some(older) if free => {
                    for frame in superseded.frames {
                        let born = self.frames.entry(frame).map_or(0, |entry| entry.born);
                        if born > older.version.number {
                            self.free(frame, dead);
                        } else {
                            older.frames.push(frame);
                        }
                    }
                    older.stored.extend(superseded.stored);
                    older.unnamed.extend(superseded.unnamed);
                    older.ties.extend(superseded.ties);
                }
                _ => held.push_back(superseded),
            }
        }
        self.history = held;
    }

    fn free(&mut self, frame: u32, dead: &mut Dead) {
        let entry = self.frames.take(frame).expect("T4: a retired frame is freed once");
        if let Content::Evicted(evicted) = &entry.content {
            match evicted.fate {
                Fate::Stored => dead.stored.extend(evicted.slots()),
                Fate::Unnamed => dead.unnamed.extend(evicted.slots()),
                Fate::HandedOver => {}
                Fate::InTree => panic!("T4: a frame is freed after it left the tree"),
            }
        }
        dead.contents.push(entry.content);
        self.freed_frames.push(frame);
    }

    /// Whether somebody holds a version that was replaced, or did when that was last looked at.
    pub fn has_history(&self) -> bool {
        !self.history.is_empty()
    }

    /// Every version that can be reached, the newest last. Holding them is holding everything.
    pub fn all_versions(&self) -> Vec<Arc<Version>> {
        self.history.iter().map(|superseded| &superseded.version).chain([&self.version]).map(Arc::clone).collect()
    }

    /// Slots of superblocks that left the tree while readers could still reach them.
    pub fn stored_slots_in_history(&self) -> Vec<PageId> {
        let mut slots = Vec::new();
        for superseded in &self.history {
            slots.extend(&superseded.stored);
            slots.extend(self.slots_of_retired(superseded, Fate::Stored));
        }
        slots
    }

    /// Slots that no superblock names, in the tree or waiting for readers, and some that one does.
    pub fn slots_written_ahead(&self) -> Vec<PageId> {
        let mut slots: Vec<PageId> = self.ahead.iter().copied().collect();
        slots.extend(self.unlinked.iter().map(|(_, slot)| *slot));
        for superseded in &self.history {
            slots.extend(&superseded.unnamed);
            slots.extend(self.slots_of_retired(superseded, Fate::Unnamed));
        }
        slots
    }

    fn slots_of_retired(&self, superseded: &Superseded, fate: Fate) -> Vec<PageId> {
        let evicted = superseded.frames.iter().filter_map(|&frame| match &self.frames.entry(frame)?.content {
            Content::Evicted(evicted) if evicted.fate == fate => Some(evicted),
            _ => None,
        });
        evicted.flat_map(|evicted| evicted.slots()).collect()
    }
}
