//! A whole shard as a stream of chunks, and back.
//!
//! ```text
//! first chunk   version u8 = 1, kind u8 = 0, the shard's state
//! other chunks  version u8 = 1, kind u8 = 1, tree u32, count u32, count x (key length u16, key, value length u32, value)
//! ```

use bytes::{BufMut, Bytes};
use photondb_storage::fault::buggify;
use photondb_storage::{Direction, KeyRange, Snapshot, TreeId};

use crate::error::ShardError;
use crate::format::{Reader, put_bytes};
use crate::shard::{Shard, trees};

const VERSION: u8 = 1;
const CHUNK_STATE: u8 = 0;
const CHUNK_ROWS: u8 = 1;
/// Bytes after which a chunk is full.
const CHUNK_BYTES: usize = 256 << 10;

/// Pins the shard as it is now: the bytes of consensus, and the chunks. Errors: [`ShardError::Hollow`].
pub fn take(shard: &Shard) -> Result<(Bytes, Chunks), ShardError> {
    let snapshot = shard.tree_set().snapshot();
    let consensus = Shard::whole_consensus_of(&snapshot.meta())?;
    // What was cut off is not of the shard any more, and what was adopted is not yet.
    let mut all = snapshot.trees();
    all.retain(|tree| trees::slot_of(*tree).is_none());
    all.reverse();
    let rows = all.iter().map(|tree| snapshot.count(*tree, &KeyRange::all())).sum::<Result<u64, _>>()?;
    let read = RowsRead { read: 0, all: rows };
    Ok((consensus, Chunks { snapshot, trees: all, tree: None, after: None, begun: false, read }))
}

/// The chunks of a pinned shard, in order.
pub struct Chunks {
    snapshot: Snapshot,
    /// Trees not begun yet, the next one last.
    trees: Vec<TreeId>,
    tree: Option<TreeId>,
    after: Option<Bytes>,
    begun: bool,
    read: RowsRead,
}

/// How far a reader of chunks is. Rows are documents, and what indexes have of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsRead {
    /// In the chunks that were read.
    pub read: u64,
    /// In all chunks.
    pub all: u64,
}

impl Chunks {
    /// How far they have been read.
    pub fn rows_read(&self) -> RowsRead {
        self.read
    }

    fn rows(&mut self, tree: TreeId) -> Result<Bytes, ShardError> {
        let range = self.after.take().map_or_else(KeyRange::all, KeyRange::after);
        let mut rows = Vec::new();
        let mut count = 0u32;
        let mut cursor = self.snapshot.cursor(tree, range, Direction::Forward)?;
        while let Some((key, value)) = cursor.next()? {
            rows.put_u16_le(u16::try_from(key.len()).expect("keys are at most a few hundred bytes"));
            rows.put_slice(&key);
            put_bytes(&mut rows, &value);
            count += 1;
            if rows.len() >= CHUNK_BYTES || buggify!("shard/chunk-cut-short") {
                self.after = Some(key);
                break;
            }
        }
        drop(cursor);
        self.tree = self.after.is_some().then_some(tree);
        self.read.read += u64::from(count);
        let mut chunk = vec![VERSION, CHUNK_ROWS];
        chunk.put_u32_le(tree.0);
        chunk.put_u32_le(count);
        chunk.extend(rows);
        Ok(Bytes::from(chunk))
    }
}

impl Iterator for Chunks {
    type Item = Result<Bytes, ShardError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.begun {
            self.begun = true;
            let mut chunk = vec![VERSION, CHUNK_STATE];
            chunk.extend_from_slice(&self.snapshot.meta());
            return Some(Ok(Bytes::from(chunk)));
        }
        let tree = self.tree.take().or_else(|| self.trees.pop())?;
        Some(self.rows(tree))
    }
}

/// Replaces everything a shard holds by the chunks, as one transaction. Durable with the next checkpoint. `wrap` makes the
/// shard's errors those of the chunks' producer.
pub fn install<E>(
    shard: &Shard,
    chunks: &mut dyn Iterator<Item = Result<Bytes, E>>,
    wrap: impl Fn(ShardError) -> E,
) -> Result<(), E> {
    let mut replacement = shard.replace().map_err(&wrap)?;
    for chunk in chunks {
        replacement.chunk(&chunk?).map_err(&wrap)?;
    }
    replacement.finish().map_err(&wrap)
}

/// What one chunk holds.
pub(crate) enum Chunk {
    State(Bytes),
    Rows { tree: TreeId, rows: Vec<(Bytes, Bytes)> },
}

pub(crate) fn decode_chunk(bytes: &Bytes) -> Result<Chunk, ShardError> {
    let mut reader = Reader::new("a snapshot's chunk", bytes);
    reader.version(VERSION)?;
    match reader.u8()? {
        CHUNK_STATE => Ok(Chunk::State(bytes.slice(2..))),
        CHUNK_ROWS => {
            let tree = TreeId(reader.u32()?);
            let count = reader.u32()?;
            let mut rows = Vec::with_capacity((count as usize).min(bytes.len() / 6));
            for _ in 0..count {
                let length = usize::from(reader.u16()?);
                rows.push((reader.take(length)?, reader.bytes()?));
            }
            reader.end()?;
            Ok(Chunk::Rows { tree, rows })
        }
        _ => Err(reader.error("unknown kind of chunk")),
    }
}
