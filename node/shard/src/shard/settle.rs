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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use photondb_proto::IndexId;
    use photondb_reql::eval::Cx;
    use photondb_reql::eval::stored::{compile_term, encode_function};
    use photondb_reql::term::{Message, parse};
    use photondb_storage::{Engine, EngineOptions, TreeId, TreeSetId};

    use super::*;
    use crate::command::Command;
    use crate::format::encode_command;
    use crate::read::{KeyBounds, Reader};
    use crate::schema::{Built, IndexState};
    use crate::shard::{Entry, EntryNumber, Position, View, trees};

    /// A shard with one index and some entries in its rest.
    fn shard() -> Shard {
        let Ok(Message::Start(start)) = parse(br#"[1,[69,[[2,[1]],[170,[[10,[1]],"a"]]]]]"#) else { panic!("a query") };
        let function = encode_function(&compile_term(&start.term).expect("compiles"), &Cx::pure()).expect("encodes");
        let (id, definition) = (IndexId(1), Bytes::from(function));
        let command = Command::CreateIndex { id, name: "a".into(), multi: false, geo: false, definition };
        let set = Engine::in_memory(EngineOptions::default()).create_tree_set(TreeSetId(1)).expect("a new tree set");
        let shard = Shard::open(set.clone()).expect("opens");
        let entry = Entry { position: EntryNumber(1), term: 1, command: Some(encode_command(&command)) };
        shard.apply(&[entry], Bytes::new()).expect("applies");
        let index = (*shard.view().schema.indexes[&id]).clone();
        let rest = TreeId(trees::HALVES_FROM);
        let mut transaction = set.begin();
        transaction.create_tree(rest).expect("a new tree");
        for (tree, key) in [(index.tree, "b"), (rest, "a"), (rest, "c")] {
            transaction.put(tree, key.as_bytes(), b"entry").expect("puts");
        }
        let index = Index { rest: Some(rest), built: Built::Whole, state: IndexState::Ready, ..index };
        schema::write_index(&mut transaction, &index).expect("writes");
        transaction.commit().expect("commits");
        Shard::open(set).expect("opens")
    }

    #[test]
    fn who_has_the_view_of_before_finds_in_the_index_what_was_in_its_rest() {
        let shard = shard();
        let before = shard.view();
        let counted = |view: &View| {
            let reader = Reader::new(shard.tree_set().snapshot(), view, Position(1), shard.traffic());
            reader.count_index("a", &KeyBounds::all()).expect("reads")
        };
        for _ in 0..3 {
            assert_eq!((counted(&before), counted(&shard.view())), (3, 3));
            assert!(shard.settle_rest_step(1).expect("settles"));
        }
        assert!(shard.is_settled() && !shard.settle_rest_step(1).expect("looks"));
        assert_eq!((counted(&before), counted(&shard.view())), (3, 3));
    }
}
