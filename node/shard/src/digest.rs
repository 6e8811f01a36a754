//! One number over everything that the replicas of a shard must agree on at one position: documents with the positions of
//! their last writes, the change log, the definitions of indexes and the write hook, the fence, and the bytes of consensus.
//!
//! Left out is what is each replica's own affair: how far an index is built here, by which version of the evaluator and in
//! which tree, and with it the entries of indexes, which [`verify`](crate::verify) holds against the documents.
//!
//! Digests are compared between replicas that run one build of the program, and never stored.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use photondb_storage::{Direction, KeyRange, Snapshot, TreeId};

use crate::error::ShardError;
use crate::schema;
use crate::shard::{EntryNumber, State, trees};

/// The last entry whose effects `snapshot` holds.
pub fn position(snapshot: &Snapshot) -> Result<EntryNumber, ShardError> {
    State::applied_of(&snapshot.meta())
}

/// How many rows [`of`] reads. In O(1), and equal where digests are. Errors: those of [`of`].
pub fn rows(snapshot: &Snapshot) -> Result<u64, ShardError> {
    let mut rows = 0;
    let meta = snapshot.meta();
    if !meta.is_empty() {
        State::decode(&meta)?.check_whole()?;
    }
    for tree in [trees::PRIMARY, trees::CHANGE_LOG] {
        if snapshot.has_tree(tree) {
            rows += snapshot.count(tree, &KeyRange::all())?;
        }
    }
    Ok(rows)
}

/// The digest of the shard in `snapshot`. Reads all of it. Errors: [`ShardError::Hollow`] when what it had is another shard's.
pub fn of(snapshot: &Snapshot) -> Result<u64, ShardError> {
    let mut hasher = DefaultHasher::new();
    let meta = snapshot.meta();
    if meta.is_empty() {
        return Ok(hasher.finish());
    }
    // Decoded and encoded again: two versions of its format may stand side by side.
    let state = State::decode(&meta)?;
    state.check_whole()?;
    field(&mut hasher, &state.agreed().encode());
    for tree in [trees::PRIMARY, trees::CHANGE_LOG] {
        rows_of(snapshot, tree, |key, value| {
            field(&mut hasher, key);
            field(&mut hasher, value);
            Ok(())
        })?;
        hasher.write_u32(tree.0);
    }
    rows_of(snapshot, trees::SCHEMA, |key, value| {
        field(&mut hasher, key);
        field(&mut hasher, &schema::agreed(key, value)?);
        Ok(())
    })?;
    Ok(hasher.finish())
}

fn rows_of(
    snapshot: &Snapshot,
    tree: TreeId,
    mut take: impl FnMut(&Bytes, &Bytes) -> Result<(), ShardError>,
) -> Result<(), ShardError> {
    if !snapshot.has_tree(tree) {
        return Ok(());
    }
    let mut cursor = snapshot.cursor(tree, KeyRange::all(), Direction::Forward)?;
    while let Some((key, value)) = cursor.next()? {
        take(&key, &value)?;
    }
    Ok(())
}

/// With its length, so that the end of one and the beginning of the next are not exchanged for each other.
fn field(hasher: &mut DefaultHasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}
