//! One shard becomes two (S10, S11).
//!
//! Documents are cut in the tree in O(log n). An index cannot be: its entries lie in the order of their values. So each replica
//! copies its indexes beforehand into two halves, in the background, while apply maintains both; the cut then only exchanges
//! trees. A replica that has not finished by then builds its indexes again.
//!
//! What is cut off lies in the shard's own tree set at first, durable with it, until [`Shard::bear`] gives it one of its own.

use bytes::Bytes;
use photondb_proto::ShardId;
use photondb_storage::fault::fault_point;
use photondb_storage::limits::TREES_PER_SET_MAX;
use photondb_storage::{Direction, Engine, KeyRange, Moved, MovedMetas, TreeId, TreeSetId};

use super::state::{Child, State};
use super::{Entry, EntryNumber, Shard, Work, trees};
use crate::change_log::{self, Extent};
use crate::command::{Outcome, Skipped, Split};
use crate::error::ShardError;
use crate::publish::ChangeBatch;
use crate::schema::{self, Built, Halves, Index};
use crate::secondary;

/// Trees that a set keeps free for its owner when something is cut off.
pub(super) const TREES_SPARE: usize = 64;

/// A shard that was cut off and has no tree set of its own yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unborn {
    /// Which.
    pub shard: ShardId,
    /// Its first key.
    pub start: Vec<u8>,
    /// The entry that cut it off, and with which its log begins.
    pub position: EntryNumber,
    /// The term of that entry.
    pub term: u64,
}

impl Shard {
    /// Copies about `entries` more entries of indexes into halves for a split at `at`, once no index has a rest any more. Called between
    /// applies; takes the same turn as they do. Whether there is more to be copied.
    pub fn prepare_split_step(&self, at: &Bytes, entries: usize) -> Result<bool, ShardError> {
        let mut state = self.state.lock();
        self.check_open()?;
        if state.frozen.is_some() {
            return Ok(false);
        }
        if self.settle(&mut state, entries)? {
            return Ok(true);
        }
        let Some(index) = state.schema.indexes.values().find(|index| !is_prepared(index, at)).cloned() else {
            return Ok(false);
        };
        let mut transaction = self.set.begin();
        let mut next = (*index).clone();
        let mut halves = match index.halves.clone().filter(|halves| halves.at == *at) {
            Some(halves) => halves,
            None => {
                index.drop_halves(&mut transaction)?;
                let lower = TreeId(state.next_own_tree);
                let upper = TreeId(lower.0 + 1);
                state.next_own_tree += 2;
                transaction.create_tree(lower)?;
                transaction.create_tree(upper)?;
                Halves { at: at.clone(), lower, upper, copied: Built::Nothing }
            }
        };
        let ahead = match &halves.copied {
            Built::UpTo(mark) => KeyRange::after(mark.clone()),
            _ => KeyRange::all(),
        };
        let mut cursor = self.set.snapshot().cursor(index.tree, ahead, Direction::Forward)?;
        halves.copied = Built::Whole;
        let mut copied = 0;
        while let Some((entry, stored)) = cursor.next()? {
            let lower = secondary::primary_key_of(&index, &stored)? < *at;
            transaction.put(if lower { halves.lower } else { halves.upper }, &entry, &stored)?;
            copied += 1;
            if copied >= entries {
                halves.copied = Built::UpTo(entry);
                break;
            }
        }
        drop(cursor);
        next.halves = Some(halves);
        schema::write_index(&mut transaction, &next)?;
        transaction.set_meta(state.encode())?;
        transaction.commit()?;
        let mut schema = (*state.schema).clone();
        schema.indexes.insert(index.id, next.into());
        state.schema = schema.into();
        self.view.store(state.view().into());
        Ok(true)
    }

    /// Whether nothing of the indexes is left to be copied before a split at `at`.
    pub fn is_prepared(&self, at: &[u8]) -> bool {
        self.view.load().schema.indexes.values().all(|index| is_prepared(index, at))
    }

    /// What was cut off and has no tree set of its own yet.
    pub fn unborn(&self) -> Vec<Unborn> {
        let state = self.state.lock();
        let unborn = |child: &Child| {
            let begins = State::decode(&child.state).expect("it was encoded here, or decoded with this state");
            let start = begins.range.as_ref().map_or_else(Vec::new, |range| range.start().to_vec());
            Unborn { shard: child.shard, start, position: begins.applied, term: child.term }
        };
        state.children.iter().map(unborn).collect()
    }

    /// Gives what was cut off to the tree set `to`, which is empty: a shard that is opened there begins with it. `consensus` are the
    /// bytes of consensus to begin with. Makes the checkpoints that it takes, and one more: when it returns, the
    /// child lasts without this shard, which may be dropped.
    ///
    /// Whether it is done; if not, other checkpoints came in between, and it is to be asked for again. Errors: [`ShardError::Gone`] when
    /// nothing is here of it; those of a checkpoint.
    pub fn bear(&self, child: ShardId, engine: &Engine, to: TreeSetId, consensus: Bytes) -> Result<bool, ShardError> {
        let found = self.state.lock().children.iter().find(|unborn| unborn.shard == child).cloned();
        let Child { slot, state: begins, .. } = found.ok_or(ShardError::Gone)?;
        let begins = State { consensus, ..State::decode(&begins)? };
        let own = |tree: TreeId| trees::slot_of(tree).filter(|(of, _)| *of == slot).map(|(_, own)| (tree, own));
        let moving: Vec<_> = self.set.snapshot().trees().into_iter().filter_map(own).collect();
        // Nobody changes what was cut off, so apply goes on meanwhile. That the trees are gone says that the child is born.
        let metas = MovedMetas { from: None, to: Some(begins.encode()) };
        if engine.checkpoint_and_move_trees(self.set.id(), to, &moving, metas)? == Moved::NotYet {
            return Ok(false);
        }
        self.state.lock().children.retain(|unborn| unborn.shard != child);
        engine.checkpoint()?;
        Ok(true)
    }

    /// Drops what was cut off and is not wanted here: the shard has other members.
    pub fn forget_unborn(&self, child: ShardId) -> Result<(), ShardError> {
        let mut state = self.state.lock();
        let Some(at) = state.children.iter().position(|unborn| unborn.shard == child) else { return Ok(()) };
        let mut next = state.clone();
        let slot = next.children.remove(at).slot;
        let mut transaction = self.set.begin();
        trees::drop_slot(&mut transaction, slot)?;
        transaction.set_meta(next.encode())?;
        transaction.commit()?;
        *state = next;
        Ok(())
    }
}

impl Work {
    pub(super) fn split(&mut self, entry: &Entry, split: &Split) -> Result<Outcome, ShardError> {
        let is_of_now = self.state.is_of_now(split.epoch, &split.range);
        let cut = split.range.cut(&split.at).filter(|_| is_of_now);
        let Some([left, right]) = cut else { return Ok(Outcome::Skipped(Skipped::Epoch)) };
        let position = self.state.told();
        self.state.log = change_log::append_child(&mut self.transaction, self.state.log, position.0, split.child)?;
        self.state.epoch.0 += 1;
        self.state.range = Some(left);
        let slot = self.state.free_slot();
        let schema = self.state.schema.clone();
        let own = [trees::PRIMARY, trees::CHANGE_LOG, trees::SCHEMA].map(|tree| trees::of_child(slot, tree));
        let [documents, log, definitions] = own;
        self.transaction.split_tree(trees::PRIMARY, &split.at, documents)?;
        self.transaction.create_tree(log)?;
        self.transaction.create_tree(definitions)?;
        let mut kept = (*schema).clone();
        for (index, tree) in schema.indexes.values().zip(trees::INDEXES_FROM..) {
            let [lower, upper] = self.split_index(index, &split.at, TreeId(tree), slot)?;
            schema::write_index(&mut self.transaction, &lower)?;
            schema::write_index_to(&mut self.transaction, definitions, &upper)?;
            kept.indexes.insert(index.id, lower.into());
        }
        schema::write_hook_to(&mut self.transaction, definitions, schema.write_hook.as_ref())?;
        schema::write_change_log_bytes_to(&mut self.transaction, definitions, schema.change_log_bytes)?;
        self.state.schema = kept.into();
        let begins = State {
            applied: entry.position,
            shift: self.state.shift,
            epoch: self.state.epoch,
            version: self.state.version,
            next_tree: trees::INDEXES_FROM + u32::try_from(schema.indexes.len()).expect("trees are counted in 32 bits"),
            log: Extent { bytes: 0, floor: position.0 },
            range: Some(right),
            next_own_tree: trees::HALVES_FROM,
            ..State::default()
        };
        if self.transaction.trees().len() + TREES_SPARE > TREES_PER_SET_MAX {
            // It is not born here then, and is filled from others.
            trees::drop_slot(&mut self.transaction, slot)?;
        } else {
            let child = Child { shard: split.child, term: entry.term, slot, state: begins.encode() };
            self.state.children.push(child);
        }
        let child = (!fault_point!("child-not-told")).then_some(split.child);
        self.published.push(ChangeBatch { child, ..ChangeBatch::of(position, [].into()) });
        photondb_storage::probe!("shard split");
        Ok(Outcome::Applied)
    }

    /// The index of what stays, and that of what goes, whose tree is to be `tree` in its own set.
    fn split_index(&mut self, index: &Index, at: &[u8], tree: TreeId, slot: u32) -> Result<[Index; 2], ShardError> {
        let cut_off = trees::of_child(slot, tree);
        let [mut lower, mut upper] = [index.clone(), index.clone()];
        (lower.halves, upper.halves) = (None, None);
        (lower.rest, upper.rest) = (None, None);
        upper.tree = tree;
        self.transaction.drop_tree(index.tree)?;
        match index.halves.as_ref().filter(|_| is_prepared(index, at)) {
            Some(halves) => {
                lower.tree = halves.lower;
                self.transaction.split_tree(halves.upper, &[], cut_off)?;
                self.transaction.drop_tree(halves.upper)?;
                if let Built::UpTo(mark) = &index.built {
                    let passed = mark.as_ref() >= at;
                    lower.built = if passed { Built::Whole } else { index.built.clone() };
                    upper.built = if passed { index.built.clone() } else { Built::Nothing };
                }
            }
            None => {
                photondb_storage::probe!("shard split before its indexes were copied");
                index.drop_trees_beside(&mut self.transaction)?;
                lower.tree = TreeId(self.state.next_own_tree);
                self.state.next_own_tree += 1;
                self.transaction.create_tree(lower.tree)?;
                self.transaction.create_tree(cut_off)?;
                (lower.built, upper.built) = (Built::Nothing, Built::Nothing);
            }
        }
        Ok([lower, upper])
    }
}

fn is_prepared(index: &Index, at: &[u8]) -> bool {
    index.rest.is_none() && index.halves.as_ref().is_some_and(|halves| halves.at == at && halves.copied == Built::Whole)
}
