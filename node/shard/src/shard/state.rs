//! The small state that is stored with every entry, and what is made of it at the start.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use photondb_proto::{Epoch, KeyRange, SchemaVersion, ShardId};
use photondb_reql::eval::stored::EvaluatorVersion;
use photondb_storage::fault::fault_point;
use photondb_storage::{Transaction, TreeId, TreeSet};

use super::adopt::Ward;
use super::freeze::Frozen;
use super::{EntryNumber, Position, View, trees};
use crate::change_log::Extent;
use crate::command::{Fence, Skipped};
use crate::error::ShardError;
use crate::format;
use crate::schema::{self, Built, Index, Schema};

/// The small state that is stored with every entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub applied: EntryNumber,
    /// How far what is told of an entry is ahead of its number: raised by joins alone (S18).
    pub shift: u64,
    pub epoch: Epoch,
    pub version: SchemaVersion,
    /// The last chain of writes: its term, id, and the number of its last entry.
    pub term: u64,
    pub chain: u64,
    pub number: u64,
    pub next_tree: u32,
    /// The change log.
    pub log: Extent,
    /// The keys it has; `None`: those that it began with, because nothing was cut off yet.
    pub range: Option<KeyRange>,
    /// The number that the next tree gets that this replica alone knows of: a half of an index.
    pub next_own_tree: u32,
    /// What was cut off, and lies here until it has a tree set of its own. This replica's affair.
    pub children: Vec<Child>,
    /// Since when it answers nothing, because its keys are to be another shard's.
    pub frozen: Option<Frozen>,
    /// The last attempt at a join that was given up: up to this one nothing freezes it any more. They are counted from one.
    pub thawed: u32,
    /// What it had was adopted: documents and indexes are another shard's. This replica's affair.
    pub hollow: bool,
    /// What was adopted, and lies here until it is joined. This replica's affair.
    pub wards: Vec<Ward>,
    /// Its last join, if there was one.
    pub joined: Option<Joined>,
    pub consensus: Bytes,
    pub schema: Arc<Schema>,
}

/// The last shard that was joined to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub shard: ShardId,
    /// The entry that joined it.
    pub at: EntryNumber,
}

/// A shard that was cut off here, and has no tree set of its own yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub shard: ShardId,
    /// The term of the entry that cut it off.
    pub term: u64,
    /// Where its trees lie: see [`trees::of_child`].
    pub slot: u32,
    /// The state it begins with, as bytes; consensus' are still to come.
    pub state: Bytes,
}

const STATE_VERSION: u8 = 5;
/// From this one on it says what is told of entries, and when it was frozen or joined.
const STATE_VERSION_WITH_SHIFT: u8 = 5;
/// From this one on it says what is to be joined.
const STATE_VERSION_WITH_WARDS: u8 = 4;
/// From this one on it says which keys it has, and what was cut off.
const STATE_VERSION_WITH_RANGE: u8 = 3;
/// From this one on it says from where on the change log is whole.
const STATE_VERSION_WITH_FLOOR: u8 = 2;

/// What stands first in the bytes of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub applied: EntryNumber,
    pub shift: u64,
    pub epoch: Epoch,
    pub version: SchemaVersion,
}

impl Head {
    fn read(reader: &mut format::Reader<'_>, version: u8) -> Result<Head, ShardError> {
        let applied = EntryNumber(reader.u64()?);
        let shift = if version >= STATE_VERSION_WITH_SHIFT { reader.u64()? } else { 0 };
        Ok(Head { applied, shift, epoch: Epoch(reader.u64()?), version: SchemaVersion(reader.u64()?) })
    }

    /// The position of the last entry applied.
    pub fn told(&self) -> Position {
        Position(self.applied.0 + self.shift)
    }
}

impl State {
    /// The position of the last entry applied.
    pub fn told(&self) -> Position {
        self.told_of(self.applied)
    }

    /// The position of an entry behind the last join.
    pub fn told_of(&self, entry: EntryNumber) -> Position {
        Position(entry.0 + self.shift)
    }

    /// From the last entry on all is told behind `end`, where another shard's changes end whose keys come.
    pub fn tell_behind(&mut self, end: Position) {
        let missing = (end.0 + 1).saturating_sub(self.told().0);
        photondb_storage::probe!("positions of a shard leap at a join", missing > 0);
        self.shift += missing;
    }

    pub fn view(&self) -> View {
        let (schema, range) = (self.schema.clone(), self.range.clone());
        let frozen = self.frozen.map(|frozen| frozen.attempt);
        View { schema, epoch: self.epoch, version: self.version, range, frozen }
    }

    /// Why an entry with this fence, appended in `term`, must be skipped; `None`: it is applied.
    pub fn refuses(&self, fence: &Fence, term: u64) -> Option<Skipped> {
        let follows = fence.term == self.term && fence.chain == self.chain && fence.number == self.number + 1;
        let begins = fence.number == 1 && (fence.term, fence.chain) > (self.term, self.chain);
        if fence.term != term {
            Some(Skipped::Term)
        } else if (fence.epoch != self.epoch || self.frozen.is_some()) && !fault_point!("epoch-not-checked") {
            Some(Skipped::Epoch)
        } else if fence.schema != self.version {
            Some(Skipped::Schema)
        } else if !follows && !begins && !fault_point!("chain-not-checked") {
            Some(Skipped::Chain)
        } else {
            None
        }
    }

    /// Whether what was proposed under this epoch, for a shard with these keys, is for the shard as it is.
    pub fn is_of_now(&self, epoch: Epoch, range: &KeyRange) -> bool {
        epoch == self.epoch && self.frozen.is_none() && self.range.as_ref().is_none_or(|own| own == range)
    }

    /// Errors: [`ShardError::Hollow`].
    pub fn check_whole(&self) -> Result<(), ShardError> {
        if self.hollow { Err(ShardError::Hollow) } else { Ok(()) }
    }

    /// A slot in which nothing lies.
    pub fn free_slot(&self) -> u32 {
        let taken = self.children.iter().map(|child| child.slot).chain(self.wards.iter().map(|ward| ward.slot));
        let slot = (0..).find(|slot| taken.clone().all(|of| of != *slot));
        slot.expect("there are more slots than shards that lie in them")
    }

    /// The state with its schema, as `set` and its `meta` hold it. Indexes that another version of the evaluator has made
    /// are emptied, to be built again: they are read by nobody until then.
    pub fn load(set: &TreeSet, meta: &Bytes) -> Result<State, ShardError> {
        let mut state = State::decode(meta)?;
        if state.hollow {
            state.furnish(set)?;
        }
        let snapshot = set.snapshot();
        state.children.retain(|child| snapshot.has_tree(trees::of_child(child.slot, trees::PRIMARY)));
        let is_here = |ward: &Ward| snapshot.has_tree(trees::of_child(ward.slot, trees::PRIMARY));
        assert!(state.wards.iter().all(is_here), "S15: what was adopted came with what says so");
        let mut schema = Schema::load(&snapshot)?;
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
        index.drop_trees(transaction)?;
        // This is this replica's affair: the numbers that the log gives out stay those of every replica.
        let tree = TreeId(last.map_or(trees::BUILT_AGAIN_FROM, |last| last + 1));
        transaction.create_tree(tree)?;
        let evaluator = EvaluatorVersion::CURRENT;
        let (halves, rest) = (None, None);
        let index = Index { tree, built: Built::Nothing, evaluator, outdated: true, halves, rest, ..index.clone() };
        schema::write_index(transaction, &index)?;
        Ok(index)
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(80 + self.consensus.len());
        out.put_u8(STATE_VERSION);
        for number in [self.applied.0, self.shift, self.epoch.0, self.version.0, self.term, self.chain, self.number] {
            out.put_u64_le(number);
        }
        out.put_u32_le(self.next_tree);
        out.put_u64_le(self.log.bytes);
        out.put_u64_le(self.log.floor);
        out.put_u8(u8::from(self.range.is_some()));
        if let Some(range) = &self.range {
            format::put_range(&mut out, range);
        }
        out.put_u32_le(self.next_own_tree);
        out.put_u8(u8::try_from(self.children.len()).expect("so many are never cut off at once"));
        for child in &self.children {
            out.put_u64_le(child.shard.0);
            out.put_u64_le(child.term);
            out.put_u32_le(child.slot);
            format::put_bytes(&mut out, &child.state);
        }
        out.put_u8(u8::from(self.frozen.is_some()));
        if let Some(Frozen { attempt, at, term }) = self.frozen {
            out.put_u32_le(attempt);
            out.put_u64_le(at.0);
            out.put_u64_le(term);
        }
        out.put_u32_le(self.thawed);
        out.put_u8(u8::from(self.hollow));
        out.put_u8(u8::try_from(self.wards.len()).expect("so many are never adopted at once"));
        for ward in &self.wards {
            ward.put(&mut out);
        }
        out.put_u8(u8::from(self.joined.is_some()));
        if let Some(Joined { shard, at }) = self.joined {
            out.put_u64_le(shard.0);
            out.put_u64_le(at.0);
        }
        format::put_bytes(&mut out, &self.consensus);
        Bytes::from(out)
    }

    /// The state without what is this replica's affair.
    pub fn agreed(self) -> State {
        State { next_own_tree: 0, children: Vec::new(), hollow: false, wards: Vec::new(), ..self }
    }

    pub fn decode(bytes: &Bytes) -> Result<State, ShardError> {
        let mut reader = format::Reader::new("a shard's state", bytes);
        let version = reader.version(STATE_VERSION)?;
        let head = Head::read(&mut reader, version)?;
        let mut state = State {
            applied: head.applied,
            shift: head.shift,
            epoch: head.epoch,
            version: head.version,
            term: reader.u64()?,
            chain: reader.u64()?,
            number: reader.u64()?,
            next_tree: reader.u32()?,
            log: Extent { bytes: reader.u64()?, floor: 0 },
            range: None,
            next_own_tree: trees::HALVES_FROM,
            ..State::default()
        };
        // What nobody has noted may be missing.
        state.log.floor = if version >= STATE_VERSION_WITH_FLOOR { reader.u64()? } else { state.told().0 };
        if version >= STATE_VERSION_WITH_RANGE {
            state.range = if reader.u8()? == 0 { None } else { Some(reader.range()?) };
            state.next_own_tree = reader.u32()?;
            for _ in 0..reader.u8()? {
                let (shard, term, slot) = (ShardId(reader.u64()?), reader.u64()?, reader.u32()?);
                state.children.push(Child { shard, term, slot, state: reader.bytes()? });
            }
        }
        if version >= STATE_VERSION_WITH_WARDS {
            if reader.u8()? != 0 {
                let (attempt, at) = (reader.u32()?, EntryNumber(reader.u64()?));
                // Nothing proposed a freeze before.
                let term = if version >= STATE_VERSION_WITH_SHIFT { reader.u64()? } else { 0 };
                state.frozen = Some(Frozen { attempt, at, term });
            }
            state.thawed = reader.u32()?;
            state.hollow = reader.u8()? != 0;
            for _ in 0..reader.u8()? {
                if version < STATE_VERSION_WITH_SHIFT {
                    return Err(reader.error("something was adopted before anything could be"));
                }
                state.wards.push(Ward::read(&mut reader)?);
            }
        }
        if version >= STATE_VERSION_WITH_SHIFT && reader.u8()? != 0 {
            state.joined = Some(Joined { shard: ShardId(reader.u64()?), at: EntryNumber(reader.u64()?) });
        }
        state.consensus = reader.bytes()?;
        reader.end()?;
        Ok(state)
    }

    pub fn applied_of(meta: &Bytes) -> Result<EntryNumber, ShardError> {
        State::head_of(meta).map(|head| head.applied)
    }

    /// The last entry applied, and under which epoch and schema.
    pub fn head_of(meta: &Bytes) -> Result<Head, ShardError> {
        if meta.is_empty() {
            return Ok(Head::default());
        }
        let mut reader = format::Reader::new("a shard's state", meta);
        let version = reader.version(STATE_VERSION)?;
        Head::read(&mut reader, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_a_state() {
        let mut state = State {
            applied: EntryNumber(9),
            shift: 1000,
            epoch: Epoch(2),
            version: SchemaVersion(3),
            term: 4,
            chain: 5,
            number: 6,
            next_tree: 17,
            log: Extent { bytes: 300, floor: 7 },
            range: None,
            next_own_tree: trees::HALVES_FROM,
            consensus: Bytes::from_static(b"raft"),
            ..State::default()
        };
        let bytes_of = |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        let numbers = bytes_of(&[9, 1000, 2, 3, 4, 5, 6]);
        let (log_bytes, floor) = (300u64.to_le_bytes(), 7u64.to_le_bytes());
        let (whole, rest) = (b"\0\0\0\0\x20\0".as_slice(), b"\x04\0\0\0raft".as_slice());
        let same = |read: &State, written: &State| {
            assert_eq!((read.applied, read.log, &read.consensus), (written.applied, written.log, &written.consensus));
            assert_eq!((&read.range, &read.children), (&written.range, &written.children));
            assert_eq!(read.next_own_tree, written.next_own_tree);
            assert_eq!((read.frozen, read.thawed, read.hollow), (written.frozen, written.thawed, written.hollow));
            assert_eq!((&read.wards, read.epoch, read.number), (&written.wards, written.epoch, written.number));
            assert_eq!(read.joined, written.joined);
        };
        let alone = b"\0\0\0\0\0\0\0\0".as_slice();
        let expected = [&[5], &numbers[..], &[17, 0, 0, 0], &log_bytes, &floor, whole, alone, rest].concat();
        assert_eq!(state.encode(), expected);
        let read = State::decode(&Bytes::from(expected)).expect("decodes");
        same(&read, &state);
        assert_eq!((read.shift, read.told()), (1000, Position(1009)));
        let other = State { shift: 999, ..read.clone() };
        assert_ne!(read.agreed().encode(), other.agreed().encode(), "replicas must agree on it");
        // As it was when all was told by the numbers of entries, and nothing was ever adopted.
        let numbers_before = bytes_of(&[9, 2, 3, 4, 5, 6]);
        let old = [&[4], &numbers_before[..], &[17, 0, 0, 0], &log_bytes, &floor, whole, &alone[..7], rest].concat();
        let read = State::decode(&Bytes::from(old)).expect("decodes");
        same(&read, &state);
        assert_eq!((read.shift, read.told()), (0, Position(9)));
        let alone_but_ward = [&alone[..6], b"\x01"].concat();
        let old =
            [&[4], &numbers_before[..], &[17, 0, 0, 0], &log_bytes, &floor, whole, &alone_but_ward, rest].concat();
        assert!(State::decode(&Bytes::from(old)).is_err());
        // As it was before anything could be joined.
        let old = [&[3], &numbers_before[..], &[17, 0, 0, 0], &log_bytes, &floor, whole, rest].concat();
        same(&State::decode(&Bytes::from(old)).expect("decodes"), &state);
        // As it was before anything could be cut off.
        let old = [&[2], &numbers_before[..], &[17, 0, 0, 0], &log_bytes, &floor, rest].concat();
        same(&State::decode(&Bytes::from(old)).expect("decodes"), &state);

        state.range = KeyRange::new(b"b".to_vec(), Some(b"m".to_vec()));
        state.children = vec![Child { shard: ShardId(8), term: 4, slot: 1, state: Bytes::from_static(b"begin") }];
        let range = b"\x01\x01\0b\x01\x01\0m".as_slice();
        let child = b"\x01\x08\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\x05\0\0\0begin".as_slice();
        state.frozen = Some(Frozen { attempt: 3, at: EntryNumber(8), term: 2 });
        (state.thawed, state.hollow) = (2, true);
        let (shard, attempt, epoch) = (ShardId(9), 5, Epoch(6));
        let (position, told) = (EntryNumber(7), Position(77));
        state.wards = vec![Ward { shard, attempt, position, told, epoch, slot: 4 }];
        let own = [range, b"\0\0\0\x20", child].concat();
        let frozen = b"\x01\x03\0\0\0\x08\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\x01".as_slice();
        let numbers_of_ward = bytes_of(&[7, 77, 6]);
        let ward = [b"\x01\x09\0\0\0\0\0\0\0\x05\0\0\0", &numbers_of_ward[..], b"\x04\0\0\0"].concat();
        state.joined = Some(Joined { shard: ShardId(6), at: EntryNumber(5) });
        let joined = [b"\x01".as_slice(), &bytes_of(&[6, 5])].concat();
        let expected =
            [&[5], &numbers[..], &[17, 0, 0, 0], &log_bytes, &floor, &own, frozen, &ward, &joined, rest].concat();
        assert_eq!(state.encode(), expected);
        same(&State::decode(&Bytes::from(expected)).expect("decodes"), &state);

        // Before it said from where on the log is whole, nothing of it could be counted on.
        let old = [&[1], &numbers_before[..], &[17, 0, 0, 0], &log_bytes, rest].concat();
        let read = State::decode(&Bytes::from(old)).expect("decodes");
        assert_eq!((read.log, read.consensus), (Extent { bytes: 300, floor: 9 }, state.consensus));
    }
}
