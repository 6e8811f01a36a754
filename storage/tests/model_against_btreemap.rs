//! Random operations on an engine give what the same operations on `BTreeMap` give: commits, rollbacks, snapshots held
//! over many commits and checkpoints, ranges in both directions, counts, and everything again after reopening.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use harness::{Random, options, seeds};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Compression, Direction, Engine, EngineOptions, KeyRange, Snapshot, TreeId, TreeSet, TreeSetId};

type Model = BTreeMap<u32, BTreeMap<Vec<u8>, Vec<u8>>>;

const SET: TreeSetId = TreeSetId(7);

struct Case {
    random: Random,
    model: Model,
    meta: Vec<u8>,
    held: Vec<(Snapshot, Model)>,
    key_space: u64,
    long_keys: bool,
}

impl Case {
    fn key(&mut self) -> Vec<u8> {
        let number = self.random.below(self.key_space);
        let mut key = format!("key-{number:06}").into_bytes();
        if self.long_keys && number.is_multiple_of(3) {
            key.resize(200 + (number % 700) as usize, b'x');
        }
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let length = match self.random.below(40) {
            0 => self.random.below(200_000),
            1..=3 => self.random.below(9_000),
            _ => self.random.below(300),
        };
        let byte = self.random.next() as u8;
        (0..length).map(|at| byte.wrapping_add((at % 251) as u8)).collect()
    }

    fn range(&mut self) -> KeyRange {
        let bound = |case: &mut Case| match case.random.below(3) {
            0 => Bound::Unbounded,
            1 => Bound::Included(Bytes::from(case.key())),
            _ => Bound::Excluded(Bytes::from(case.key())),
        };
        KeyRange::new(bound(self), bound(self))
    }

    /// One transaction, mirrored; sometimes taken back.
    fn transact(&mut self, set: &TreeSet) {
        let mut transaction = set.begin();
        let mut model = self.model.clone();
        let mut meta = self.meta.clone();
        for _ in 0..=self.random.below(60) {
            let tree = self.random.below(3) as u32;
            model.entry(tree).or_insert_with(|| {
                transaction.create_tree(TreeId(tree)).unwrap();
                BTreeMap::new()
            });
            let key = self.key();
            match self.random.below(100) {
                0 => {
                    transaction.drop_tree(TreeId(tree)).unwrap();
                    model.remove(&tree);
                }
                1 => {
                    meta = self.value();
                    transaction.set_meta(Bytes::from(meta.clone())).unwrap();
                }
                2..=9 => {
                    let range = self.range();
                    check_range(&model[&tree], &range, &|| transaction.count(TreeId(tree), &range).unwrap(), &|way| {
                        let mut cursor = transaction.cursor(TreeId(tree), range.clone(), way).unwrap();
                        std::iter::from_fn(move || cursor.next().unwrap()).collect()
                    });
                }
                10..=55 => {
                    let removed = transaction.delete(TreeId(tree), &key).unwrap();
                    assert_eq!(removed, model.get_mut(&tree).unwrap().remove(&key).is_some());
                }
                _ => {
                    let value = self.value();
                    let replaced = transaction.put(TreeId(tree), &key, &value).unwrap();
                    assert_eq!(replaced, model.get_mut(&tree).unwrap().insert(key.clone(), value).is_some());
                    let read = transaction.get(TreeId(tree), &key).unwrap().unwrap();
                    assert_eq!(read[..], model[&tree][&key][..]);
                }
            }
        }
        if self.random.below(5) == 0 {
            transaction.rollback();
        } else {
            transaction.commit().unwrap();
            self.model = model;
            self.meta = meta;
        }
    }

    fn check_point_reads(&mut self, set: &TreeSet) {
        assert_eq!(set.meta()[..], self.meta[..]);
        for _ in 0..20 {
            let (tree, key) = (self.random.below(3) as u32, self.key());
            match self.model.get(&tree) {
                None => assert!(set.get(TreeId(tree), &key).is_err()),
                Some(rows) => {
                    assert_eq!(set.get(TreeId(tree), &key).unwrap().as_deref(), rows.get(&key).map(Vec::as_slice))
                }
            }
        }
    }

    fn check_snapshot(&mut self, snapshot: &Snapshot, model: &Model) {
        let trees: Vec<TreeId> = model.keys().map(|&tree| TreeId(tree)).collect();
        assert_eq!(snapshot.trees(), trees);
        for (&tree, rows) in model {
            let range = self.range();
            check_range(rows, &range, &|| snapshot.count(TreeId(tree), &range).unwrap(), &|way| {
                let mut cursor = snapshot.cursor(TreeId(tree), range.clone(), way).unwrap();
                std::iter::from_fn(move || cursor.next().unwrap()).collect()
            });
            let n = self.random.below(rows.len() as u64 + 2);
            let nth = snapshot.nth(TreeId(tree), &KeyRange::all(), n).unwrap();
            assert_eq!(nth.map(|(key, _)| key.to_vec()), rows.keys().nth(n as usize).cloned());
        }
    }
}

fn check_range(
    rows: &BTreeMap<Vec<u8>, Vec<u8>>,
    range: &KeyRange,
    count: &dyn Fn() -> u64,
    walk: &dyn Fn(Direction) -> Vec<(Bytes, Bytes)>,
) {
    let expected: Vec<(&Vec<u8>, &Vec<u8>)> = rows.iter().filter(|(key, _)| range.contains(key)).collect();
    assert_eq!(count(), expected.len() as u64, "{range:?}");
    let forward = walk(Direction::Forward);
    assert!(forward.iter().map(|(k, v)| (&k[..], &v[..])).eq(expected.iter().map(|(k, v)| (&k[..], &v[..]))));
    let backward = walk(Direction::Backward);
    assert!(backward.iter().map(|(k, v)| (&k[..], &v[..])).eq(expected.iter().rev().map(|(k, v)| (&k[..], &v[..]))));
}

/// Returns how many pages were written to give memory back.
fn run(seed: u64, disk: Option<Arc<SimulatedDisk>>) -> u64 {
    let mut evicted = 0;
    let mut random = Random::new(seed);
    let compression = if random.below(2) == 0 { Compression::None } else { Compression::Lz4 };
    // From budgets that two nodes exceed to such that nothing is ever written before a checkpoint.
    let cache_bytes = [10 << 10, 200 << 10, 8 << 20][random.below(3) as usize];
    let options = EngineOptions { compression, cache_bytes, ..options() };
    let open = |disk: &Option<Arc<SimulatedDisk>>| match disk {
        Some(disk) => Engine::open(disk.clone(), options.clone()).unwrap(),
        None => Engine::in_memory(options.clone()),
    };
    let mut engine = open(&disk);
    let mut set = engine.create_tree_set(SET).unwrap();
    let key_space = [30, 400, 5_000][random.below(3) as usize];
    let long_keys = random.below(2) == 0;
    let mut case = Case { random, model: Model::new(), meta: Vec::new(), held: Vec::new(), key_space, long_keys };
    for _ in 0..120 {
        case.transact(&set);
        case.check_point_reads(&set);
        match case.random.below(20) {
            0..=2 => case.held.push((set.snapshot(), case.model.clone())),
            3..=4 if !case.held.is_empty() => {
                let (snapshot, model) = case.held.remove(0);
                case.check_snapshot(&snapshot, &model);
            }
            5..=9 => {
                engine.checkpoint().unwrap();
                if let Some((snapshot, model)) = case.held.pop() {
                    case.check_snapshot(&snapshot, &model);
                    case.held.push((snapshot, model));
                }
            }
            10..=13 => {
                // A little, so that half of a tree is written, or all there is.
                let bytes = [1, 30_000, usize::MAX][case.random.below(3) as usize];
                while engine.evict_step(bytes).unwrap() && bytes == usize::MAX {}
                engine.wait_for_memory().unwrap();
                evicted = evicted.max(engine.metrics().pages_evicted);
            }
            14 if disk.is_some() => {
                for (snapshot, model) in std::mem::take(&mut case.held) {
                    case.check_snapshot(&snapshot, &model);
                }
                drop(set);
                engine.close().unwrap();
                harness::assert_clean(disk.as_ref().unwrap());
                engine = open(&disk);
                set = engine.tree_set(SET).unwrap();
            }
            _ => {}
        }
        let snapshot = set.snapshot();
        let model = case.model.clone();
        case.check_snapshot(&snapshot, &model);
    }
    if let Some(disk) = &disk {
        drop((set, std::mem::take(&mut case.held)));
        engine.close().unwrap();
        harness::assert_clean(disk);
    }
    evicted
}

#[test]
fn on_disk() {
    let evicted: u64 = seeds(24).into_iter().map(|seed| run(seed, Some(Arc::new(SimulatedDisk::new(seed))))).sum();
    assert!(evicted > 0 || std::env::var("PHOTONDB_SEED").is_ok());
}

#[test]
fn in_memory() {
    for seed in seeds(12) {
        run(seed, None);
    }
}
