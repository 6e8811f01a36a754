//! One group: a stream of the log, and the tree set its entries are applied to.

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_storage::TreeSetId;
use photondb_storage::wal::StreamId;

use crate::effect::{Effect, decode};
use crate::history::Stream;
use crate::trees::{Trees, apply_to_model};

/// An entry of the group.
#[derive(Clone)]
pub struct Entry {
    /// What it does.
    pub effects: Arc<Vec<Effect>>,
    /// It may be applied before it is durable: the log promised room for it.
    pub admitted: bool,
}

/// See the module.
#[derive(Default)]
pub struct Group {
    id: u64,
    /// Every entry since the first, also those that the log has purged.
    pub entries: BTreeMap<u64, Entry>,
    /// What the trees hold after so many entries; filled as it is asked for.
    states: BTreeMap<u64, Arc<Trees>>,
    /// How far entries were applied to the trees.
    pub applied: u64,
    /// The term of the next entry.
    pub term: u64,
}

impl Group {
    /// A group that has nothing.
    pub fn new(id: u64) -> Self {
        Group { id, term: 1, ..Group::default() }
    }

    /// Its stream.
    pub fn stream(&self) -> StreamId {
        StreamId(self.id)
    }

    /// Its tree set.
    pub fn set(&self) -> TreeSetId {
        TreeSetId(self.id)
    }

    /// The last entry there is.
    pub fn last(&self) -> u64 {
        self.entries.keys().next_back().copied().unwrap_or(0)
    }

    /// What the trees must hold after `index` entries.
    pub fn state_after(&mut self, index: u64) -> Arc<Trees> {
        let (from, mut state) = match self.states.range(..=index).next_back() {
            Some((from, state)) => (*from, Arc::clone(state)),
            None => (0, Arc::default()),
        };
        if from < index {
            let mut trees = Trees::clone(&state);
            for (_, entry) in self.entries.range(from + 1..=index) {
                apply_to_model(&mut trees, &entry.effects);
            }
            state = Arc::new(trees);
            self.states.insert(index, Arc::clone(&state));
        }
        state
    }

    /// Entries from `from` on are gone.
    pub fn truncate(&mut self, from: u64) {
        drop(self.entries.split_off(&from));
        drop(self.states.split_off(&from));
    }

    /// What a recovery found in the log counts; behind it nothing does. False: its bytes are no entry.
    pub fn settle(&mut self, found: &Stream) -> bool {
        let purged = found.state.purged.as_ref().map_or(0, |(upto, _)| *upto);
        self.truncate(purged + 1);
        for (index, entry) in &found.entries {
            let Some(effects) = decode(entry.payload.clone()) else { return false };
            self.entries.insert(*index, Entry { effects: Arc::new(effects), admitted: true });
            self.term = self.term.max(entry.term);
        }
        true
    }
}
