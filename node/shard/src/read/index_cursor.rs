//! The entries of an index in the order of their keys, though some of them lie in a tree of their own (S17).

use std::cmp::Ordering;

use bytes::Bytes;
use photondb_storage::{Cursor, Direction, TreeId};

use super::{KeyBounds, Reader};
use crate::error::ShardError;
use crate::schema::Index;

type Row = (Bytes, Bytes);

/// Goes through an index.
pub(crate) struct IndexCursor {
    main: Cursor,
    rest: Option<Rest>,
}

/// The other tree, and what either gives next.
struct Rest {
    cursor: Cursor,
    direction: Direction,
    next_of_main: Option<Row>,
    next: Option<Row>,
}

impl Reader {
    /// The tree with the rest of an index, if there is one still: it goes when it is empty, and who holds an older view does not
    /// know that yet. What was in it is in the other tree by then (no tree has its number again, S8).
    pub(crate) fn rest_of(&self, index: &Index) -> Option<TreeId> {
        index.rest.filter(|rest| self.snapshot.has_tree(*rest))
    }
}

impl IndexCursor {
    /// Begins at the one end of the bounds.
    pub fn new(
        reader: &Reader,
        index: &Index,
        bounds: &KeyBounds,
        direction: Direction,
    ) -> Result<IndexCursor, ShardError> {
        let mut main = reader.snapshot.cursor(index.tree, bounds.clone(), direction)?;
        let Some(rest) = reader.rest_of(index) else { return Ok(IndexCursor { main, rest: None }) };
        let mut cursor = reader.snapshot.cursor(rest, bounds.clone(), direction)?;
        let (next_of_main, next) = (main.next()?, cursor.next()?);
        Ok(IndexCursor { main, rest: Some(Rest { cursor, direction, next_of_main, next }) })
    }

    /// The next entry: its key and what is stored there.
    pub fn next(&mut self) -> Result<Option<Row>, ShardError> {
        let Some(rest) = &mut self.rest else { return Ok(self.main.next()?) };
        let is_main_next = match (&rest.next_of_main, &rest.next) {
            (Some((main, _)), Some((rest_key, _))) => match rest.direction {
                Direction::Forward => main.cmp(rest_key) != Ordering::Greater,
                Direction::Backward => main.cmp(rest_key) != Ordering::Less,
            },
            (Some(_), None) => true,
            (None, _) => false,
        };
        match is_main_next {
            true => Ok(std::mem::replace(&mut rest.next_of_main, self.main.next()?)),
            false if rest.next.is_some() => Ok(std::mem::replace(&mut rest.next, rest.cursor.next()?)),
            false => Ok(None),
        }
    }
}
