//! One life of the process: the engine, driven as the node drives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use photondb_storage::wal::{Purpose, Record, StreamId};
use photondb_storage::{Compression, Engine, Snapshot, StorageError, TreeSet};

use crate::effect::{Effect, Sizes, draw, encode};
use crate::ending::{Outcome, violation};
use crate::events::Events;
use crate::group::{Entry, Group};
use crate::history::History;
use crate::random::Random;
use crate::trees::{Difference, Trees, apply_to_store, compare, probe};

/// A stream whose last records may be lost: the log cannot tell damage of its very last write from a torn tail.
const SCRATCH_MIN: u64 = 1 << 40;

/// Whether a stream is such a one.
pub fn is_scratch(id: StreamId) -> bool {
    id.0 >= SCRATCH_MIN
}

/// What readers hold at most.
const HELD_MAX: usize = 6;

/// What the owner knows, over all lives.
#[derive(Default)]
pub struct Owner {
    /// The log.
    pub history: History,
    /// The groups, erased ones included.
    pub groups: BTreeMap<u64, Group>,
    /// The next group's number.
    pub next_group: u64,
    /// How many scratch streams were given up, because they became suspect.
    pub scratches: u64,
}

/// A reader that goes on reading what it began with.
struct Held {
    snapshot: Snapshot,
    state: Arc<Trees>,
}

/// See the module.
pub struct Life {
    /// The engine.
    pub engine: Engine,
    held: Vec<Held>,
}

impl Owner {
    /// Adds a group.
    pub fn add_group(&mut self) {
        self.next_group += 1;
        self.groups.insert(self.next_group, Group::new(self.next_group));
    }

    /// A group that is not erased.
    pub fn draw_group(&mut self, random: &mut Random) -> u64 {
        let live: Vec<u64> = self.groups.keys().copied().filter(|id| !self.is_erased(*id)).collect();
        if live.is_empty() {
            self.add_group();
            return self.next_group;
        }
        random.pick(&live)
    }

    /// Whether the group's stream has a tombstone, durable or on its way.
    pub fn is_erased(&self, id: u64) -> bool {
        self.history.now.0.get(&StreamId(id)).is_some_and(|stream| stream.state.erased)
    }

    fn group(&mut self, id: u64) -> &mut Group {
        self.groups.get_mut(&id).expect("groups are never forgotten")
    }

    /// How far the group's entries may be applied: those that are durable, and those that were admitted.
    fn may_apply(&mut self, id: u64) -> u64 {
        let acknowledged = self.history.acknowledged.stream(StreamId(id));
        let now = self.history.now.stream(StreamId(id));
        let group = self.group(id);
        let mut upto = group.applied;
        while let Some(entry) = group.entries.get(&(upto + 1)) {
            let durable = acknowledged.entries.get(&(upto + 1)).is_some_and(|e| Some(e) == now.entries.get(&e.index));
            if !entry.admitted && !durable {
                break;
            }
            upto += 1;
        }
        upto
    }

    /// The log refused something: what it still holds counts.
    fn take_back(&mut self) {
        for (id, group) in &mut self.groups {
            let now = self.history.now.stream(StreamId(*id));
            let before = group.entries.clone();
            group.truncate(group.applied + 1);
            for (index, entry) in now.entries.range(group.applied + 1..) {
                let effects = crate::effect::decode(entry.payload.clone()).expect("what was submitted is an entry");
                let held = before.get(index).filter(|held| *held.effects == effects);
                let admitted = held.is_some_and(|held| held.admitted);
                group.entries.insert(*index, Entry { effects: Arc::new(effects), admitted });
            }
        }
    }
}

/// The number of the last entry applied, in a set's blob.
pub fn index_of(meta: &[u8]) -> u64 {
    meta.try_into().map_or(0, u64::from_le_bytes)
}

fn judge(difference: Result<(), Difference>, what: &str) -> Outcome {
    match difference {
        Ok(()) => Ok(()),
        Err(Difference::Wrong(how)) => violation(format!("{what}: {how}")),
        Err(Difference::Unread(error)) => Err(error.into()),
    }
}

impl Life {
    /// Begins with an open engine.
    pub fn new(engine: Engine) -> Self {
        Life { engine, held: Vec::new() }
    }

    fn set(&self, group: &Group) -> Result<TreeSet, StorageError> {
        match self.engine.tree_set(group.set()) {
            Some(set) => Ok(set),
            None => self.engine.create_tree_set(group.set()),
        }
    }

    /// Appends entries, cutting off some that were not applied now and then.
    pub fn append(&mut self, owner: &mut Owner, random: &mut Random, sizes: &Sizes, events: &mut Events) -> Outcome {
        let id = owner.draw_group(random);
        let count = 1 + random.below(3);
        let (mut admissions, mut drafts) = (Vec::new(), Vec::new());
        // A few do not ask first, as the entries that consensus makes itself; those are small.
        let asks = !random.one_of(8);
        for _ in 0..count {
            let share = Sizes { entry_bytes_max: sizes.entry_bytes_max / count as usize, ..*sizes };
            let mut effects = draw(random, &share);
            if asks {
                match self.engine.admit(encode(&effects).len(), Purpose::Write) {
                    Ok(admission) => admissions.push(admission),
                    Err(error) if error.is_full() => break,
                    Err(error) => return Err(error.into()),
                }
            } else {
                effects = vec![Effect::Delete { tree: 1, key: Bytes::from_static(b"never put") }];
            }
            drafts.push(effects);
        }
        if drafts.is_empty() {
            return Ok(());
        }
        // What was admitted may be applied before it is durable.
        let admitted = asks && !random.one_of(4);
        let mut records = Vec::new();
        let group = owner.group(id);
        let mut next = group.last().max(group.applied) + 1;
        if next > group.applied + 1 && random.one_of(4) {
            next = group.applied + 1 + random.below(next - group.applied - 1);
            group.term += 1;
            group.truncate(next);
            records.push(Record::Truncate { from: next });
        }
        events.note(format_args!("group {id}: append {} from {next}, admitted: {admitted}", drafts.len()));
        for effects in drafts {
            records.push(Record::Entry { index: next, term: group.term, payload: encode(&effects) });
            group.entries.insert(next, Entry { effects: Arc::new(effects), admitted });
            next += 1;
        }
        owner.history.submit_admitted(self.engine.wal(), StreamId(id), records, admissions);
        Ok(())
    }

    /// Votes and committed marks.
    pub fn mark(&mut self, owner: &mut Owner, random: &mut Random) -> Outcome {
        let stream = StreamId(owner.draw_group(random));
        let bytes = Bytes::from(random.bits().to_le_bytes().to_vec());
        let record = if random.one_of(3) { Record::Committed(bytes) } else { Record::Vote(bytes) };
        owner.history.submit(self.engine.wal(), stream, vec![record]);
        Ok(())
    }

    /// The log's writer takes a turn, or as many as there is work for.
    pub fn step_all(&mut self, owner: &mut Owner, once: bool) -> Outcome {
        loop {
            let worked = self.engine.wal().step();
            if let Err(broken) = owner.history.hear() {
                return violation(broken);
            }
            owner.take_back();
            if !worked? || once {
                return Ok(());
            }
        }
    }

    /// Applies entries that may be.
    pub fn apply(&mut self, owner: &mut Owner, random: &mut Random) -> Outcome {
        let id = owner.draw_group(random);
        let upto = owner.may_apply(id);
        let from = owner.group(id).applied;
        let upto = from + if upto > from && random.one_of(3) { random.below(upto - from) } else { upto - from };
        self.apply_upto(owner, id, upto)
    }

    /// Applies a group's entries through `upto`.
    pub fn apply_upto(&mut self, owner: &mut Owner, id: u64, upto: u64) -> Outcome {
        let group = owner.group(id);
        while group.applied < upto {
            let index = group.applied + 1;
            let set = self.set(group)?;
            let mut transaction = set.begin();
            let meta = index_of(&transaction.meta());
            if meta != group.applied {
                return violation(format!("group {id}: T1: meta is {meta} after {} were applied", group.applied));
            }
            apply_to_store(&mut transaction, &group.entries[&index].effects)?;
            transaction.set_meta(Bytes::copy_from_slice(&index.to_le_bytes()))?;
            transaction.commit()?;
            group.applied = index;
        }
        Ok(())
    }

    /// Purges behind what both superblocks have.
    pub fn purge(&mut self, owner: &mut Owner, random: &mut Random, events: &mut Events) -> Outcome {
        let id = owner.draw_group(random);
        let group = owner.group(id);
        let durable = self.engine.tree_set(group.set()).and_then(|set| set.durable_meta());
        let upto = durable.map_or(0, |meta| index_of(&meta));
        if upto > 0 {
            let upto = if random.one_of(4) { 1 + random.below(upto) } else { upto };
            events.note(format_args!("group {id}: purge through {upto}"));
            let record = Record::Purge { upto, payload: Bytes::copy_from_slice(&upto.to_le_bytes()) };
            owner.history.submit(self.engine.wal(), StreamId(id), vec![record]);
        }
        Ok(())
    }

    /// A checkpoint.
    pub fn checkpoint(&mut self, owner: &mut Owner, events: &mut Events) -> Outcome {
        let report = self.engine.checkpoint();
        if let Err(broken) = owner.history.hear() {
            return violation(broken);
        }
        owner.take_back();
        let report = report?;
        events.note(format_args!("checkpoint {}: {} pages", report.generation, report.pages));
        Ok(())
    }

    /// Ends a group for ever: first its stream, then its trees.
    pub fn erase(&mut self, owner: &mut Owner, id: u64, events: &mut Events) -> Outcome {
        events.note(format_args!("group {id}: erase"));
        owner.history.submit(self.engine.wal(), StreamId(id), vec![Record::Erased]);
        self.drop_set(owner, id)
    }

    /// Drops the trees of a group that is erased.
    pub fn drop_set(&mut self, owner: &mut Owner, id: u64) -> Outcome {
        let set = owner.group(id).set();
        if self.engine.tree_set(set).is_some() {
            self.engine.drop_tree_set(set)?;
        }
        Ok(())
    }

    /// Steps that go on beside everything else: eviction, the freeing of dropped trees, another compression, compaction.
    pub fn background(&mut self, owner: &mut Owner, random: &mut Random, events: &mut Events) -> Outcome {
        match random.below(6) {
            4 | 5 => {
                let moved = self.engine.compact_step(random.pick(&[1, 16, 1_000]))?;
                events.note(format_args!("compaction left {moved} slots"));
            }
            0 | 1 => {
                let more = self.engine.evict_step(random.pick(&[1, 16 << 10, 1 << 20]))?;
                events.note(format_args!("evicted, more: {more}"));
            }
            2 => {
                let freed = self.engine.reclaim_step(random.pick(&[1, 4, 1_000]))?;
                events.note(format_args!("freed {freed} pages of dropped trees"));
            }
            _ => {
                let id = owner.draw_group(random);
                if let Some(set) = self.engine.tree_set(owner.group(id).set()) {
                    set.set_compression(random.pick(&[Compression::None, Compression::Lz4, Compression::Zstd]))?;
                }
            }
        }
        Ok(())
    }

    /// A reader begins, or one goes on, or ends.
    pub fn read(&mut self, owner: &mut Owner, random: &mut Random) -> Outcome {
        if self.held.len() < HELD_MAX && random.one_of(2) {
            let id = owner.draw_group(random);
            let group = owner.group(id);
            if let Some(set) = self.engine.tree_set(group.set()) {
                let snapshot = set.snapshot();
                let index = index_of(&snapshot.meta());
                if index != group.applied {
                    return violation(format!("group {id}: T1: a snapshot is at {index}, not {}", group.applied));
                }
                let state = group.state_after(index);
                judge(probe(&snapshot, &state, random), &format!("group {id} after {index} entries"))?;
                self.held.push(Held { snapshot, state });
            }
        }
        if !self.held.is_empty() {
            let at = random.below(self.held.len() as u64) as usize;
            let held = &self.held[at];
            let what = format!("T2: an older snapshot of group {}", held.snapshot.id().0);
            let outcome = if random.one_of(3) {
                compare(&held.snapshot, &held.state)
            } else {
                probe(&held.snapshot, &held.state, random)
            };
            judge(outcome, &what)?;
            if random.one_of(4) {
                self.held.swap_remove(at);
            }
        }
        Ok(())
    }

    /// Readers that are left look at everything once more.
    pub fn read_held(&mut self) -> Outcome {
        for held in self.held.drain(..) {
            let what = format!("T2: an older snapshot of group {}", held.snapshot.id().0);
            judge(compare(&held.snapshot, &held.state), &what)?;
        }
        Ok(())
    }

    /// Compares the whole of a group's trees with the model.
    pub fn compare(&self, owner: &mut Owner, id: u64) -> Outcome {
        let group = owner.group(id);
        let Some(set) = self.engine.tree_set(group.set()) else { return Ok(()) };
        let snapshot = set.snapshot();
        let index = index_of(&snapshot.meta());
        if index > group.last().max(group.applied) {
            return violation(format!("group {id}: the trees are at {index}, the log ends at {}", group.last()));
        }
        let state = group.state_after(index);
        judge(compare(&snapshot, &state), &format!("group {id} after {index} entries"))
    }

    /// Makes everything submitted durable, and known to be: the last thing in the log is of no account.
    pub fn settle(&mut self, owner: &mut Owner) -> Outcome {
        self.step_all(owner, false)?;
        for _ in 0..2 {
            let vote = Record::Vote(Bytes::from_static(b"scratch"));
            let scratch = StreamId(SCRATCH_MIN + owner.scratches);
            owner.history.submit(self.engine.wal(), scratch, vec![vote]);
            self.step_all(owner, false)?;
        }
        Ok(())
    }
}
