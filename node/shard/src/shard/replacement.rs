//! A snapshot takes the place of everything a shard holds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::MutexGuard;
use photondb_storage::fault::fault_point;
use photondb_storage::{Transaction, TreeId};

use super::adopt::Ward;
use super::state::State;
use super::{Shard, trees};
use crate::error::ShardError;
use crate::snapshot::{Chunk, decode_chunk};

impl Shard {
    /// Begins to replace everything the shard holds; nothing is visible before [`Replacement::finish`].
    pub(crate) fn replace(&self) -> Result<Replacement<'_>, ShardError> {
        let state = self.state.lock();
        let mut transaction = self.set.begin();
        // What was cut off here is not of the shard any more, and what was adopted is not yet.
        for tree in self.set.snapshot().trees().into_iter().filter(|tree| trees::slot_of(*tree).is_none()) {
            transaction.drop_tree(tree)?;
        }
        Ok(Replacement { shard: self, state, transaction, received: None, trees: Vec::new() })
    }
}

/// A shard being replaced by a snapshot.
pub(crate) struct Replacement<'a> {
    shard: &'a Shard,
    state: MutexGuard<'a, State>,
    transaction: Transaction,
    received: Option<State>,
    trees: Vec<TreeId>,
}

impl Replacement<'_> {
    /// Takes one chunk of the snapshot.
    pub(crate) fn chunk(&mut self, bytes: &Bytes) -> Result<(), ShardError> {
        match decode_chunk(bytes)? {
            Chunk::State(meta) => self.received = Some(State::decode(&meta)?),
            Chunk::Rows { tree, rows } => {
                if !self.trees.contains(&tree) {
                    self.transaction.create_tree(tree)?;
                    self.trees.push(tree);
                }
                let whole = rows.len();
                let taken = if fault_point!("snapshot-switched-early") { whole.div_ceil(2) } else { whole };
                for (key, value) in rows.into_iter().take(taken) {
                    self.transaction.put(tree, &key, &value)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the snapshot's contents the shard's.
    pub(crate) fn finish(mut self) -> Result<(), ShardError> {
        let missing = ShardError::Format { what: "a snapshot", offset: 0, reason: "without the shard's state" };
        let received = self.received.take().ok_or(missing)?;
        let (children, mut wards) = (self.state.children.clone(), self.state.wards.clone());
        // What was joined came with it. More than the last one was never adopted here: no other is frozen while something waits (S14).
        let has_come = |ward: &mut Ward| received.joined.is_some_and(|joined| joined.shard == ward.shard);
        for ward in wards.extract_if(.., has_come) {
            photondb_storage::probe!("what was adopted came with a snapshot");
            trees::drop_slot(&mut self.transaction, ward.slot)?;
        }
        let received = State { children, wards, hollow: false, ..received }.encode();
        self.transaction.set_meta(received.clone())?;
        self.shard.narrowing.store(true, Ordering::Release);
        self.transaction.commit()?;
        *self.state = State::load(&self.shard.set, &received)?;
        self.shard.view.store(Arc::new(self.state.view()));
        self.shard.narrowing.store(false, Ordering::Release);
        self.shard.publisher.replaced();
        Ok(())
    }
}
