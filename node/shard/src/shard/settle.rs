//! What a join has left beside an index comes into the index, some entries at a time (S17).

use std::sync::Arc;

use photondb_storage::{Direction, KeyRange};

use super::Shard;
use super::state::State;
use crate::error::ShardError;
use crate::schema::{self, Index};

impl Shard {
    /// Moves about `entries` entries of the rest of an index to the others. Called between applies; takes the same turn as they do.
    /// Whether there may be more to be moved.
    pub fn settle_rest_step(&self, entries: usize) -> Result<bool, ShardError> {
        let mut state = self.state.lock();
        self.check_open()?;
        if state.frozen.is_some() {
            return Ok(false);
        }
        self.settle(&mut state, entries)
    }

    /// Whether no index has a rest.
    pub fn is_settled(&self) -> bool {
        self.view.load().schema.indexes.values().all(|index| index.rest.is_none())
    }

    pub(super) fn settle(&self, state: &mut State, entries: usize) -> Result<bool, ShardError> {
        let found = state.schema.indexes.values().find_map(|index| index.rest.map(|rest| (index.clone(), rest)));
        let Some((index, rest)) = found else { return Ok(false) };
        let mut transaction = self.set.begin();
        let mut cursor = self.set.snapshot().cursor(rest, KeyRange::all(), Direction::Forward)?;
        let mut moved = 0;
        let is_empty = loop {
            if moved == entries {
                break false;
            }
            let Some((entry, stored)) = cursor.next()? else { break true };
            transaction.put(index.tree, &entry, &stored)?;
            transaction.delete(rest, &entry)?;
            moved += 1;
        };
        drop(cursor);
        if !is_empty {
            transaction.commit()?;
            return Ok(true);
        }
        transaction.drop_tree(rest)?;
        let settled = Index { rest: None, ..(*index).clone() };
        schema::write_index(&mut transaction, &settled)?;
        transaction.commit()?;
        let mut schema = (*state.schema).clone();
        schema.indexes.insert(index.id, Arc::new(settled));
        state.schema = Arc::new(schema);
        self.view.store(Arc::new(state.view()));
        Ok(true)
    }
}
