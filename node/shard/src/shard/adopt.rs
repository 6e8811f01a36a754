//! What a frozen shard has comes into the tree set of the one that is to have its keys (S15): the reverse of [`Shard::bear`].
//!
//! It lies there in a slot, as what was cut off does, until the entry that joins it is applied.

use bytes::BufMut;
use photondb_proto::{Epoch, ShardId};
use photondb_storage::limits::TREES_PER_SET_MAX;
use photondb_storage::{Engine, Moved, MovedMetas, TreeId, TreeSet};

use super::split::TREES_SPARE;
use super::state::State;
use super::{EntryNumber, Position, Shard, trees};
use crate::error::ShardError;
use crate::format;
use crate::schema::{Index, Schema};

/// Documents and indexes that were adopted and are not joined yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ward {
    /// Whose they were.
    pub shard: ShardId,
    /// The attempt that has frozen it.
    pub attempt: u32,
    /// The entry of its log that has.
    pub position: EntryNumber,
    /// The position that is told of that entry: no change of it is told of a later one.
    pub told: Position,
    /// Its epoch since then.
    pub epoch: Epoch,
    /// Where its trees lie: see [`trees::of_child`].
    pub(crate) slot: u32,
}

impl Shard {
    /// Takes what `right`, which is frozen and has the number `number`, has of documents and indexes; its change log stays there.
    /// Whether it lies here, and in both superblocks, so that no crash gives it back; if not, it is to be asked for again. Makes the
    /// checkpoints that it takes.
    ///
    /// Errors: [`ShardError::Hollow`] when another one has it, or had it; [`ShardError::Gone`] when either shard is closed; those of a
    /// checkpoint.
    pub fn adopt(&self, right: &Shard, number: ShardId, engine: &Engine) -> Result<bool, ShardError> {
        if !self.has_ward(number) {
            // Before anybody's turn: what is frozen does not change any more, so apply need not wait for a checkpoint here.
            engine.checkpoint()?;
            if !self.move_in(right, number, engine)? {
                return Ok(false);
            }
        }
        for _ in 0..2 {
            if self.wards().iter().any(|ward| ward.shard == number) {
                return Ok(true);
            }
            engine.checkpoint()?;
        }
        Ok(self.wards().iter().any(|ward| ward.shard == number))
    }

    /// What was adopted and is not joined yet, as far as both superblocks have it.
    pub fn wards(&self) -> Vec<Ward> {
        let state = self.state.lock();
        if state.wards.is_empty() {
            return Vec::new();
        }
        let durable = self.set.durable_meta().and_then(|meta| State::decode(&meta).ok()).unwrap_or_default();
        state.wards.iter().filter(|ward| durable.wards.contains(ward)).copied().collect()
    }

    fn has_ward(&self, number: ShardId) -> bool {
        self.state.lock().wards.iter().any(|ward| ward.shard == number)
    }

    /// Both turns are held: the blobs change with the trees, and nobody may store older ones. Of two shards the left one's turn comes
    /// first; as shards of a table have one order, nobody waits in a circle.
    fn move_in(&self, right: &Shard, number: ShardId, engine: &Engine) -> Result<bool, ShardError> {
        let mut own = self.state.lock();
        let mut theirs = right.state.lock();
        self.check_open()?;
        right.check_open()?;
        if own.wards.iter().any(|ward| ward.shard == number) {
            // Somebody else was faster.
            return Ok(true);
        }
        let Some(frozen) = theirs.frozen else { return Ok(false) };
        if theirs.hollow {
            return Err(ShardError::Hollow);
        }
        let slot = own.free_slot();
        let moving = moving(&theirs.schema, slot);
        if self.set.snapshot().trees().len() + moving.len() + TREES_SPARE > TREES_PER_SET_MAX {
            // What was cut off goes some day.
            return Ok(false);
        }
        let mut next = own.clone();
        next.wards.push(Ward {
            shard: number,
            attempt: frozen.attempt,
            position: frozen.at,
            told: theirs.told_of(frozen.at),
            epoch: theirs.epoch,
            slot,
        });
        let hollow = State { hollow: true, ..theirs.clone() };
        let metas = MovedMetas { from: Some(hollow.encode()), to: Some(next.encode()) };
        if engine.checkpoint_and_move_trees(right.set.id(), self.set.id(), &moving, metas)? == Moved::NotYet {
            return Ok(false);
        }
        *own = next;
        *theirs = State { schema: Schema::default().into(), ..hollow };
        right.view.store(theirs.view().into());
        theirs.furnish(&right.set)?;
        Ok(true)
    }
}

/// The trees of a shard that another one adopts, and where they come to lie. Those of indexes are counted through in the order of the
/// schema, which does not change while the shard is frozen: their own numbers may be any.
fn moving(schema: &Schema, slot: u32) -> Vec<(TreeId, TreeId)> {
    let own = [trees::PRIMARY, trees::SCHEMA].map(|tree| (tree, trees::of_child(slot, tree)));
    let indexes = schema.indexes.values().zip(0..).map(|(index, at)| (index.tree, index_of_ward(slot, at)));
    own.into_iter().chain(indexes).collect()
}

/// Where the tree of an index lies that was adopted, by its place in the order of the schema.
fn index_of_ward(slot: u32, place: u32) -> TreeId {
    trees::of_child(slot, TreeId(trees::INDEXES_FROM + place))
}

/// The indexes that were adopted, each with the tree in which its entries lie here.
pub(super) fn indexes_of_ward(schema: &Schema, slot: u32) -> impl Iterator<Item = (&Index, TreeId)> {
    schema.indexes.values().zip(0..).map(move |(index, place)| (&**index, index_of_ward(slot, place)))
}

impl State {
    /// Gives a shard of which all was adopted the trees that every shard has, with nothing in them, and drops what lay beside the trees
    /// that have gone.
    pub fn furnish(&self, set: &TreeSet) -> Result<(), ShardError> {
        let missing: Vec<_> = {
            let snapshot = set.snapshot();
            [trees::PRIMARY, trees::SCHEMA].into_iter().filter(|tree| !snapshot.has_tree(*tree)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let mut transaction = set.begin();
        for tree in transaction.trees() {
            if tree != trees::CHANGE_LOG && trees::slot_of(tree).is_none() {
                transaction.drop_tree(tree)?;
            }
        }
        for tree in missing {
            transaction.create_tree(tree)?;
        }
        transaction.set_meta(self.encode())?;
        transaction.commit()?;
        Ok(())
    }
}

impl Ward {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.shard.0);
        out.put_u32_le(self.attempt);
        out.put_u64_le(self.position.0);
        out.put_u64_le(self.told.0);
        out.put_u64_le(self.epoch.0);
        out.put_u32_le(self.slot);
    }

    pub(super) fn read(reader: &mut format::Reader<'_>) -> Result<Ward, ShardError> {
        let (shard, attempt) = (ShardId(reader.u64()?), reader.u32()?);
        let (position, told) = (EntryNumber(reader.u64()?), Position(reader.u64()?));
        let (epoch, slot) = (Epoch(reader.u64()?), reader.u32()?);
        Ok(Ward { shard, attempt, position, told, epoch, slot })
    }
}
