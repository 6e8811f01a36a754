//! The small state that is stored with every entry, and what is made of it at the start.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use photondb_proto::{Epoch, SchemaVersion};
use photondb_reql::eval::stored::EvaluatorVersion;
use photondb_storage::fault::fault_point;
use photondb_storage::{Transaction, TreeId, TreeSet};

use super::{Position, View, trees};
use crate::change_log::Extent;
use crate::command::{Fence, Skipped};
use crate::error::ShardError;
use crate::format;
use crate::schema::{self, Built, Index, Schema};

/// The small state that is stored with every entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub applied: Position,
    pub epoch: Epoch,
    pub version: SchemaVersion,
    /// The last chain of writes: its term, id, and the number of its last entry.
    pub term: u64,
    pub chain: u64,
    pub number: u64,
    pub next_tree: u32,
    /// The change log.
    pub log: Extent,
    pub consensus: Bytes,
    pub schema: Arc<Schema>,
}

const STATE_VERSION: u8 = 2;
/// From this one on it says from where on the change log is whole.
const STATE_VERSION_WITH_FLOOR: u8 = 2;

impl State {
    pub fn view(&self) -> View {
        View { schema: self.schema.clone(), epoch: self.epoch, version: self.version }
    }

    /// Why an entry with this fence, appended in `term`, must be skipped; `None`: it is applied.
    pub fn refuses(&self, fence: &Fence, term: u64) -> Option<Skipped> {
        let follows = fence.term == self.term && fence.chain == self.chain && fence.number == self.number + 1;
        let begins = fence.number == 1 && (fence.term, fence.chain) > (self.term, self.chain);
        if fence.term != term {
            Some(Skipped::Term)
        } else if fence.epoch != self.epoch {
            Some(Skipped::Epoch)
        } else if fence.schema != self.version {
            Some(Skipped::Schema)
        } else if !follows && !begins && !fault_point!("chain-not-checked") {
            Some(Skipped::Chain)
        } else {
            None
        }
    }

    /// The state with its schema, as `set` and its `meta` hold it. Indexes that another version of the evaluator has made
    /// are emptied, to be built again: they are read by nobody until then.
    pub fn load(set: &TreeSet, meta: &Bytes) -> Result<State, ShardError> {
        let mut state = State::decode(meta)?;
        let mut schema = Schema::load(&set.snapshot())?;
        let outdated: Vec<_> = schema.indexes.values().filter(|index| index.must_be_built_again()).cloned().collect();
        if !outdated.is_empty() {
            let mut transaction = set.begin();
            for index in outdated {
                let index = State::build_again(&index, &mut transaction)?;
                schema.indexes.insert(index.id, Arc::new(index));
            }
            transaction.set_meta(state.encode())?;
            transaction.commit()?;
        }
        state.schema = Arc::new(schema);
        Ok(state)
    }

    /// The index with nothing in it. It has another tree, so that no reader takes what is there for all there is (S8).
    fn build_again(index: &Index, transaction: &mut Transaction) -> Result<Index, ShardError> {
        let last =
            transaction.trees().into_iter().map(|tree| tree.0).filter(|tree| *tree >= trees::BUILT_AGAIN_FROM).max();
        transaction.drop_tree(index.tree)?;
        // This is this replica's affair: the numbers that the log gives out stay those of every replica.
        let tree = TreeId(last.map_or(trees::BUILT_AGAIN_FROM, |last| last + 1));
        transaction.create_tree(tree)?;
        let evaluator = EvaluatorVersion::CURRENT;
        let index = Index { tree, built: Built::Nothing, evaluator, outdated: true, ..index.clone() };
        schema::write_index(transaction, &index)?;
        Ok(index)
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(80 + self.consensus.len());
        out.put_u8(STATE_VERSION);
        for number in [self.applied.0, self.epoch.0, self.version.0, self.term, self.chain, self.number] {
            out.put_u64_le(number);
        }
        out.put_u32_le(self.next_tree);
        out.put_u64_le(self.log.bytes);
        out.put_u64_le(self.log.floor);
        format::put_bytes(&mut out, &self.consensus);
        Bytes::from(out)
    }

    pub fn decode(bytes: &Bytes) -> Result<State, ShardError> {
        let mut reader = format::Reader::new("a shard's state", bytes);
        let version = reader.version(STATE_VERSION)?;
        let mut state = State {
            applied: Position(reader.u64()?),
            epoch: Epoch(reader.u64()?),
            version: SchemaVersion(reader.u64()?),
            term: reader.u64()?,
            chain: reader.u64()?,
            number: reader.u64()?,
            next_tree: reader.u32()?,
            log: Extent { bytes: reader.u64()?, floor: 0 },
            consensus: Bytes::new(),
            schema: Arc::default(),
        };
        // What nobody has noted may be missing.
        state.log.floor = if version >= STATE_VERSION_WITH_FLOOR { reader.u64()? } else { state.applied.0 };
        state.consensus = reader.bytes()?;
        reader.end()?;
        Ok(state)
    }

    pub fn applied_of(meta: &Bytes) -> Result<Position, ShardError> {
        if meta.is_empty() {
            return Ok(Position(0));
        }
        let mut reader = format::Reader::new("a shard's state", meta);
        reader.version(STATE_VERSION)?;
        Ok(Position(reader.u64()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_a_state() {
        let state = State {
            applied: Position(9),
            epoch: Epoch(2),
            version: SchemaVersion(3),
            term: 4,
            chain: 5,
            number: 6,
            next_tree: 17,
            log: Extent { bytes: 300, floor: 7 },
            consensus: Bytes::from_static(b"raft"),
            schema: Arc::default(),
        };
        let numbers: Vec<u8> = [9u64, 2, 3, 4, 5, 6].into_iter().flat_map(u64::to_le_bytes).collect();
        let (log_bytes, floor) = (300u64.to_le_bytes(), 7u64.to_le_bytes());
        let rest = b"\x04\0\0\0raft".as_slice();
        let expected = [&[2], &numbers[..], &[17, 0, 0, 0], &log_bytes, &floor, rest].concat();
        assert_eq!(state.encode(), expected);
        let read = State::decode(&Bytes::from(expected)).expect("decodes");
        assert_eq!((read.applied, read.log, read.consensus), (state.applied, state.log, state.consensus.clone()));
        // Before it said from where on the log is whole, nothing of it could be counted on.
        let old = [&[1], &numbers[..], &[17, 0, 0, 0], &log_bytes, rest].concat();
        let read = State::decode(&Bytes::from(old)).expect("decodes");
        assert_eq!((read.log, read.consensus), (Extent { bytes: 300, floor: 9 }, state.consensus));
    }
}
