//! A table: its documents, and its shards with all that happened to them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use photondb_proto::KeyRange;
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;

use super::super::lane::Kind;
use super::ReadToken;
use crate::table::{ShardNumber, Standing};

/// Keys are below it, and places in the index.
pub const KEYS: u8 = 24;

/// A document: its place in the index, and a number that no other version has.
pub type Version = (u8, u64);

/// What happens, a key, and a place.
pub type Step = (u8, u8, u8);

#[derive(Default)]
pub struct World {
    pub shards: Vec<Shard>,
    pub documents: BTreeMap<u8, Version>,
    versions: u64,
}

#[derive(Clone)]
pub struct Shard {
    pub number: ShardNumber,
    /// The first key, and the one behind the last. A shard that was joined to another has none.
    pub keys: (u8, u8),
    pub index: u64,
    pub log: Vec<(u64, Event)>,
}

#[derive(Clone)]
pub enum Event {
    Changed { key: u8, old: Option<Version>, new: Option<Version> },
    CutOff(ShardNumber),
    Joined(ShardNumber),
}

impl World {
    pub fn whole() -> Rc<RefCell<World>> {
        let whole = Shard { number: ShardNumber(0), keys: (0, KEYS), index: 0, log: Vec::new() };
        Rc::new(RefCell::new(World { shards: vec![whole], ..World::default() }))
    }

    pub fn live(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(|shard| shard.keys.0 < shard.keys.1)
    }

    fn of(&self, key: u8) -> usize {
        let has = |shard: &Shard| shard.keys.0 <= key && key < shard.keys.1;
        self.shards.iter().position(has).expect("every key is some shard's")
    }

    pub fn shard(&self, number: ShardNumber) -> &Shard {
        self.shards.iter().find(|shard| shard.number == number).expect("shards stay")
    }

    /// What happened to a shard next.
    pub fn next(&self, shard: ShardNumber, after: u64) -> Option<(u64, Event)> {
        self.shard(shard).log.iter().find(|(index, _)| *index > after).cloned()
    }

    pub fn step(&mut self, (what, key, place): Step) {
        let key = key % KEYS;
        match what % 16 {
            0 | 1 => self.split(key),
            2 | 3 => self.join(key),
            4..=6 => self.write(key, None),
            _ => self.write(key, Some(place % KEYS)),
        }
    }

    pub fn write(&mut self, key: u8, place: Option<u8>) {
        self.versions += 1;
        let new = place.map(|place| (place, self.versions));
        let old = self.documents.remove(&key);
        self.documents.extend(new.map(|new| (key, new)));
        let of = self.of(key);
        let shard = &mut self.shards[of];
        shard.index += 1;
        shard.log.push((shard.index, Event::Changed { key, old, new }));
    }

    pub fn split(&mut self, at: u8) {
        let (of, number) = (self.of(at), ShardNumber(self.shards.len() as u64));
        let shard = &mut self.shards[of];
        if shard.keys.0 == at {
            return;
        }
        shard.index += 1;
        shard.log.push((shard.index, Event::CutOff(number)));
        let (keys, index) = ((at, shard.keys.1), shard.index);
        shard.keys.1 = at;
        self.shards.push(Shard { number, keys, index, log: Vec::new() });
    }

    /// The shard of this key joins its left neighbour, which goes on behind the end of both.
    pub fn join(&mut self, key: u8) {
        let right = self.of(key);
        let (first, behind) = self.shards[right].keys;
        let Some(left) = self.live().position(|shard| shard.keys.1 == first) else { return };
        let left = self.live().nth(left).expect("was found").number;
        let right = &mut self.shards[right];
        // It is frozen by an entry of its own.
        right.index += 1;
        right.keys = (first, first);
        let (end, number) = (right.index, right.number);
        let left = self.shards.iter_mut().find(|shard| shard.number == left).expect("was found");
        left.index = left.index.max(end) + 1;
        left.log.push((left.index, Event::Joined(number)));
        left.keys.1 = behind;
    }

    /// Whether what happened to a shard there is behind who comes with this token.
    pub fn is_before(&self, shard: ShardNumber, index: u64, token: &ReadToken) -> bool {
        match token.sources.iter().find(|source| source.shard == shard) {
            Some(source) => Standing { index, given: 0 } < source.standing,
            None => self.is_joined_before(shard, token),
        }
    }

    /// Whether all that happened to a shard is: it was joined to another one.
    pub fn is_joined_before(&self, right: ShardNumber, token: &ReadToken) -> bool {
        let joins = |event: &Event| matches!(event, Event::Joined(joined) if *joined == right);
        let mut entries = self.shards.iter().flat_map(|left| left.log.iter().map(move |entry| (left.number, entry)));
        entries.any(|(left, (index, event))| joins(event) && self.is_before(left, *index, token))
    }
}

/// How content is selected, and in which order it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All by their keys.
    Range,
    /// Every third key.
    Points,
    /// All by the index.
    Index,
    /// Every third place of the index.
    Values,
    /// All by the index, as if it told no order.
    Cells,
}

impl Selection {
    pub const ALL: [Selection; 5] =
        [Selection::Range, Selection::Points, Selection::Index, Selection::Values, Selection::Cells];

    fn has(self, key: u8, place: u8) -> bool {
        match self {
            Selection::Points => key.is_multiple_of(3),
            Selection::Values => place.is_multiple_of(3),
            Selection::Range | Selection::Index | Selection::Cells => true,
        }
    }

    /// Where a document stands in it, in the order of reading.
    pub fn place(self, key: u8, version: Option<Version>) -> Option<u8> {
        let place = version.map(|(place, _)| place).filter(|place| self.has(key, *place));
        place.map(|place| if self.by_index() { place } else { key })
    }

    /// The number of the version of a document that stands in it.
    pub fn version(self, key: u8, version: Option<Version>) -> Option<u64> {
        version.filter(|(place, _)| self.has(key, *place)).map(|(_, version)| version)
    }

    pub fn kind(self) -> Kind {
        match self {
            Selection::Range => Kind::Keys,
            Selection::Points | Selection::Index | Selection::Values => Kind::Index,
            Selection::Cells => Kind::Documents,
        }
    }

    pub fn by_index(self) -> bool {
        matches!(self, Selection::Index | Selection::Values | Selection::Cells)
    }

    /// The ranges that are read one after the other, each by its first key or place and the one behind the last.
    pub fn spans(self) -> Vec<(u8, u8)> {
        match self {
            Selection::Points | Selection::Values => (0..KEYS).step_by(3).map(|at| (at, at + 1)).collect(),
            Selection::Range | Selection::Index | Selection::Cells => vec![(0, KEYS)],
        }
    }
}

pub fn number(of: u8) -> Datum {
    Datum::Number(f64::from(of))
}

pub fn document(key: u8, (_, version): Version) -> Datum {
    Datum::Object([("id", number(key)), ("version", Datum::Number(version as f64))].into_iter().collect())
}

/// Keys, encoded. Those from 0 to `KEYS` are all.
pub fn range((first, behind): (u8, u8)) -> KeyRange {
    let encoded = |key: u8| PrimaryKey::new(&number(key)).expect("a key").bytes().to_vec();
    let start = if first == 0 { Vec::new() } else { encoded(first) };
    KeyRange::new(start, (behind < KEYS).then(|| encoded(behind))).expect("has keys")
}
