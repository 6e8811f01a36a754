//! Two neighbouring shards on one disk, the logs that were fed to them, and one shard that was never cut to hold them against.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;
use photondb_proto::{IndexId, KeyRange, ShardId};
use photondb_reql::geo::{LonLat, Unpaced, cells_of_query, polygon_datum};
use photondb_reql::key::geo_bounds;
use photondb_shard::read::{GeoScan, KeyBounds};
use photondb_shard::{Command, Effect, EntryNumber, Fence, Join, Outcome, Reader, Shard};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Direction, Engine, EngineOptions, TreeSetId};

use crate::fed::{Fed, Numbers, datum, field_function, key};

pub const RIGHT: ShardId = ShardId(2);
/// The first id of the right shard.
pub const CUT: u64 = 30;
pub const IDS: u64 = 60;
/// The name, and whether it is `multi` and geospatial.
pub const INDEXES: [(&str, bool, bool); 3] = [("age", false, false), ("tags", true, false), ("place", false, true)];

pub struct Pair {
    pub disk: Arc<SimulatedDisk>,
    pub left: Fed,
    pub right: Fed,
}

fn open(disk: &Arc<SimulatedDisk>) -> Engine {
    Engine::open(disk.clone(), EngineOptions::default()).expect("opens")
}

pub fn ranges() -> [KeyRange; 2] {
    KeyRange::all().cut(&key(CUT)).expect("has keys")
}

/// A shard in the set of that number, which may have one.
fn fed_in(engine: &Engine, set: u64) -> Fed {
    let found = engine.tree_set(TreeSetId(set));
    let set = found.unwrap_or_else(|| engine.create_tree_set(TreeSetId(set)).expect("a new tree set"));
    let shard = Shard::open(set).expect("opens");
    Fed { engine: engine.clone(), shard, log: Vec::new(), fence: Fence { term: 1, chain: 1, ..Fence::default() } }
}

pub fn document(id: u64, age: u64, tags: &[u64]) -> Bytes {
    let tags: Vec<String> = tags.iter().map(u64::to_string).collect();
    let (longitude, latitude) = (age as f64 * 3.0 + id as f64 / 100.0, id as f64 / 10.0);
    let place = format!(r#"{{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[2,[{longitude},{latitude}]]}}"#);
    let mut bytes = Vec::new();
    datum(&format!(r#"{{"id":{id},"age":{age},"tags":[2,[{}]],"place":{place}}}"#, tags.join(","))).encode(&mut bytes);
    Bytes::from(bytes)
}

pub fn put(id: u64, age: u64) -> Effect {
    Effect::Put { key: key(id), document: document(id, age, &[age, age + 1]) }
}

/// A few effects on documents with ids of that range, each of another document.
pub fn effects(numbers: &mut Numbers, ids: Range<u64>) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut id = ids.start + numbers.below(ids.end - ids.start);
    while id < ids.end && effects.len() < 6 {
        if numbers.below(4) == 0 {
            effects.push(Effect::Delete { key: key(id) });
        } else {
            let tags: Vec<u64> = (0..numbers.below(4)).map(|_| numbers.below(5)).collect();
            effects.push(Effect::Put { key: key(id), document: document(id, numbers.below(10), &tags) });
        }
        id += 1 + numbers.below(9);
    }
    effects
}

pub fn create_index(fed: &mut Fed, id: usize) {
    let (name, multi, geo) = INDEXES[id];
    let definition = field_function(name);
    let command = Command::CreateIndex { id: IndexId(id as u64), name: name.into(), multi, geo, definition };
    assert_eq!(fed.apply(&command), Outcome::Applied);
}

/// A shard with all indexes that has never been cut.
pub fn single() -> Fed {
    let mut fed = Fed::new();
    (0..INDEXES.len()).for_each(|id| create_index(&mut fed, id));
    fed.finish_indexes();
    fed
}

impl Pair {
    pub fn new(seed: u64) -> Pair {
        let disk = Arc::new(SimulatedDisk::new(seed));
        let engine = open(&disk);
        let (left, right) = (fed_in(&engine, 1), fed_in(&engine, 2));
        engine.checkpoint().expect("stores both");
        Pair { disk, left, right }
    }

    /// With all indexes, which are ready.
    pub fn with_indexes(seed: u64) -> Pair {
        let mut pair = Pair::new(seed);
        for fed in [&mut pair.left, &mut pair.right] {
            (0..INDEXES.len()).for_each(|id| create_index(fed, id));
            fed.finish_indexes();
        }
        pair
    }

    /// The same shards elsewhere, with the same logs; by itself nothing is built there.
    pub fn replicas(&self, seed: u64) -> Pair {
        let mut pair = Pair::new(seed);
        pair.follow(self);
        pair
    }

    /// Applies what the other one has applied since.
    pub fn follow(&mut self, other: &Pair) {
        for (fed, other) in [(&mut self.left, &other.left), (&mut self.right, &other.right)] {
            fed.log.clone_from(&other.log);
            fed.fence = other.fence;
            apply_again(fed);
        }
    }

    /// Both shards after a loss of power, with what their logs have.
    pub fn crash(self) -> Pair {
        let Pair { disk, left, right } = self;
        let logs = [left, right].map(|fed| (fed.log, fed.fence));
        disk.crash();
        let engine = open(&disk);
        let [left, right] = logs;
        let again = |set, (log, fence)| {
            let mut fed = Fed { log, fence, ..fed_in(&engine, set) };
            apply_again(&mut fed);
            fed
        };
        let (left, right) = (again(1, left), again(2, right));
        Pair { disk, left, right }
    }

    pub fn freeze(&mut self, attempt: u32) {
        assert_eq!(self.right.apply(&Command::Freeze { attempt }), Outcome::Applied);
    }

    pub fn adopt(&self) {
        let adopted = self.left.shard.adopt(&self.right.shard, RIGHT, &self.left.engine);
        assert!(adopted.expect("adopts"), "nothing came in between");
    }

    /// The command that joins what was adopted.
    pub fn join(&self) -> Join {
        let ward = self.left.shard.wards()[0];
        let view = self.left.shard.view();
        let [range, right_range] = ranges();
        Join {
            right: ward.shard,
            end: ward.position,
            right_epoch: ward.epoch,
            epoch: view.epoch,
            range: view.range.clone().unwrap_or(range),
            right_range,
        }
    }

    pub fn freeze_adopt_and_join(&mut self, attempt: u32) {
        self.freeze(attempt);
        self.adopt();
        let join = Command::Join(self.join());
        assert_eq!(self.left.apply(&join), Outcome::Applied);
    }
}

fn apply_again(fed: &mut Fed) {
    let applied = fed.shard.position();
    let behind = fed.log.iter().filter(|entry| entry.position > applied).cloned().collect::<Vec<_>>();
    if let Some(last) = behind.last() {
        let consensus = Bytes::from(last.position.0.to_le_bytes().to_vec());
        fed.shard.apply(&behind, consensus).expect("applies");
    }
}

/// An entry of consensus itself.
pub fn blank(fed: &mut Fed) {
    let position = EntryNumber(fed.shard.position().0 + 1);
    let entry = photondb_shard::Entry { position, term: 1, command: None };
    fed.log.push(entry.clone());
    fed.shard.apply(&[entry], Bytes::from(position.0.to_le_bytes().to_vec())).expect("applies");
}

/// Every entry of an index within bounds, a few at a time: the keys of entries and of documents.
fn entries(
    reader: &Reader,
    index: &str,
    mut bounds: KeyBounds,
    direction: Direction,
    want: usize,
) -> Vec<(Bytes, Bytes)> {
    let mut all = Vec::new();
    loop {
        let (found, more) = reader.index_entries(index, &bounds, direction, want).expect("is ready");
        all.extend(found.iter().map(|entry| (entry.entry.clone(), entry.primary_key.clone())));
        let Some(last) = found.last().filter(|_| more) else { return all };
        match direction {
            Direction::Forward => bounds.start = Bound::Excluded(last.entry.clone()),
            Direction::Backward => bounds.end = Bound::Excluded(last.entry.clone()),
        }
    }
}

/// Every entry of the geospatial index that meets a square, a few at a time.
fn places(reader: &Reader, side: f64, want: usize) -> Vec<(Bytes, Bytes)> {
    let corners = [(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)];
    let corners = corners.map(|(longitude, latitude)| LonLat { longitude, latitude });
    let ranges = cells_of_query(&polygon_datum(corners.to_vec()).expect("finite"), &Unpaced);
    let (mut all, mut scan) = (Vec::new(), GeoScan::default());
    for range in ranges.iter() {
        let (low, high) = geo_bounds(range);
        let mut bounds = KeyBounds::half_open(Bytes::copy_from_slice(&low), Bytes::copy_from_slice(&high));
        loop {
            let found = reader.geo_rows("place", &ranges, &bounds, want, &mut scan).expect("is ready");
            all.extend(found.rows.into_iter().map(|row| (row.entry, row.primary_key)));
            let Some(last) = found.last.filter(|_| found.more) else { break };
            bounds.start = Bound::Excluded(last);
        }
    }
    all
}

/// Holds what a shard gives, by whatever way it is read, against what the other one gives of the same ids.
pub fn assert_reads_alike(shard: &Shard, single: &Shard, ids: Range<u64>, numbers: &mut Numbers, seed: u64) {
    let (reader, whole) = (shard.read().expect("reads"), single.read().expect("reads"));
    let (low, high) = (key(ids.start), key(ids.end));
    let is_own = |key: &Bytes| low <= *key && *key < high;
    let mut documents = whole.all_documents().expect("reads");
    documents.retain(|(key, _)| is_own(key));
    assert_eq!(reader.all_documents().expect("reads"), documents, "seed {seed}");
    assert_eq!(photondb_shard::verify::indexes(&reader).expect("reads"), None, "seed {seed}");
    let want = 1 + numbers.below(9) as usize;
    for (index, _, geo) in INDEXES {
        let own = |mut entries: Vec<(Bytes, Bytes)>| {
            entries.retain(|(_, primary_key)| is_own(primary_key));
            entries
        };
        if geo {
            for side in [2.0, 15.0, 40.0] {
                let expected = own(places(&whole, side, usize::MAX));
                assert_eq!(places(&reader, side, want), expected, "seed {seed}: {index} in {side}");
            }
            continue;
        }
        let all = entries(&whole, index, KeyBounds::all(), Direction::Forward, usize::MAX);
        let mut bounds = KeyBounds::all();
        if all.len() > 1 && numbers.below(2) == 0 {
            let from = numbers.below(all.len() as u64) as usize;
            let to = from + numbers.below((all.len() - from) as u64) as usize;
            bounds = KeyBounds::new(Bound::Included(all[from].0.clone()), Bound::Included(all[to].0.clone()));
        }
        for direction in [Direction::Forward, Direction::Backward] {
            let expected = own(entries(&whole, index, bounds.clone(), direction, usize::MAX));
            let found = entries(&reader, index, bounds.clone(), direction, want);
            assert_eq!(found, expected, "seed {seed}: {index} {direction:?}");
            let count = reader.count_index(index, &bounds).expect("is ready");
            assert_eq!(count, expected.len() as u64, "seed {seed}: {index} counted");
        }
    }
}
