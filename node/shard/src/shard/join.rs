//! Two shards become one (S16).
//!
//! Documents are joined in the tree in O(log n). Indexes cannot be: their entries lie in the order of their values. So the tree that
//! the other one had stays beside the first as its rest (S17).

use bytes::Bytes;
use photondb_proto::{Epoch, KeyRange};
use photondb_storage::{Direction, KeyRange as KeyBounds, TreeId};

use super::adopt::{Ward, indexes_of_ward};
use super::state::Joined;
use super::{EntryNumber, Shard, Work, trees};
use crate::change_log;
use crate::command::{Join, Outcome, Skipped};
use crate::error::ShardError;
use crate::publish::ChangeBatch;
use crate::schema::{self, Built, Index, IndexState, Schema};

impl Shard {
    /// The entry that last joined another shard to this one. Who was not there when that one was frozen must not be sent it.
    pub fn last_join(&self) -> Option<EntryNumber> {
        self.state.lock().joined.map(|joined| joined.at)
    }
}

impl Work {
    /// Errors: [`ShardError::NoWard`] when this replica cannot, because what is joined is not here.
    pub(super) fn join(&mut self, join: &Join) -> Result<Outcome, ShardError> {
        let is_of_now = self.state.is_of_now(join.epoch, &join.range);
        let whole = together(&join.range, &join.right_range).filter(|_| is_of_now);
        let Some(whole) = whole else { return Ok(Outcome::Skipped(Skipped::Epoch)) };
        let is_joined = |ward: &Ward| ward.shard == join.right && ward.position == join.end;
        let no_ward = ShardError::NoWard { shard: join.right, end: join.end };
        let ward = self.state.wards.iter().position(is_joined).ok_or(no_ward)?;
        let end = self.state.wards[ward].told;
        self.state.tell_behind(end);
        let position = self.state.told();
        self.state.log = change_log::append_joined(&mut self.transaction, self.state.log, position.0, join.right, end)?;
        self.take_in(ward)?;
        self.state.joined = Some(Joined { shard: join.right, at: self.state.applied });
        self.state.epoch = Epoch(join.epoch.0.max(join.right_epoch.0) + 1);
        self.state.range = Some(whole);
        let joined = Some((join.right, end));
        self.published.push(ChangeBatch { joined, ..ChangeBatch::of(position, [].into()) });
        photondb_storage::probe!("shard joined");
        Ok(Outcome::Applied)
    }

    /// What was adopted becomes the shard's own.
    pub(super) fn take_in(&mut self, ward: usize) -> Result<(), ShardError> {
        let slot = self.state.wards.remove(ward).slot;
        self.join_indexes(slot)?;
        self.transaction.join_trees(trees::PRIMARY, trees::of_child(slot, trees::PRIMARY))?;
        trees::drop_slot(&mut self.transaction, slot)?;
        self.state.version.0 += 1;
        Ok(())
    }

    /// Before the documents are joined.
    fn join_indexes(&mut self, slot: u32) -> Result<(), ShardError> {
        let last = {
            let mut documents = self.transaction.cursor(trees::PRIMARY, KeyBounds::all(), Direction::Backward)?;
            documents.next()?.map(|(key, _)| key)
        };
        let adopted = Schema::load_from(&self.transaction, trees::of_child(slot, trees::SCHEMA))?;
        let mut schema = (*self.state.schema).clone();
        for index in schema.indexes.values_mut() {
            let other = indexes_of_ward(&adopted, slot).find(|(other, _)| other.id == index.id);
            let joined = self.join_index(index, other, last.clone())?;
            schema::write_index(&mut self.transaction, &joined)?;
            *index = joined.into();
        }
        self.state.schema = schema.into();
        Ok(())
    }

    /// The index of all documents, from that of the documents up to `last` and the other one, if there is one, with its tree.
    fn join_index(
        &mut self,
        index: &Index,
        other: Option<(&Index, TreeId)>,
        last: Option<Bytes>,
    ) -> Result<Index, ShardError> {
        let mut joined = Index { halves: None, ..index.clone() };
        index.drop_halves(&mut self.transaction)?;
        let other = other.filter(|(other, _)| index.makes_the_same_as(other));
        // Of this all replicas decide alike; of what follows each by itself.
        if other.is_none_or(|(other, _)| other.state == IndexState::Building) {
            joined.state = IndexState::Building;
        }
        let is_alone = |index: &Index| index.built != Built::Nothing && index.rest.is_none();
        // It may lie here since before this program came.
        let fits = |other: &Index| is_alone(index) && is_alone(other) && !other.must_be_built_again();
        match other.filter(|(other, _)| index.built == Built::Whole && fits(other)) {
            Some((other, tree)) => {
                joined.built = other.built.clone();
                joined.outdated = other.outdated;
                if self.transaction.count(tree, &KeyBounds::all())? > 0 {
                    let rest = TreeId(self.state.next_own_tree);
                    self.state.next_own_tree += 1;
                    self.transaction.split_tree(tree, &[], rest)?;
                    joined.rest = Some(rest);
                }
            }
            None if index.built == Built::Whole => {
                photondb_storage::probe!("shard joined whose indexes are to be built on");
                joined.built = last.map_or(Built::Nothing, Built::UpTo);
            }
            // It is built on from where it stands.
            None => {}
        }
        Ok(joined)
    }
}

/// The keys of both, if the second ones follow the first.
fn together(left: &KeyRange, right: &KeyRange) -> Option<KeyRange> {
    let follows = left.end() == Some(right.start());
    KeyRange::new(left.start().to_vec(), right.end().map(<[u8]>::to_vec)).filter(|_| follows)
}
