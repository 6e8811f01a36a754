//! Whole trees against a model: split at any key, joined again, loaded in bulk, dropped and freed in steps, between
//! ordinary writes, commits, rollbacks, snapshots, checkpoints and reopenings. Counts stay exact, the offline check finds
//! nothing, and what was cut and joined many times is not larger than what was loaded afresh.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;
use harness::{Random, options, seeds};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{
    Direction, Engine, EngineOptions, Fill, KeyRange, Snapshot, StorageError, Transaction, TreeId, TreeSet, TreeSetId,
    verify,
};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
type Model = BTreeMap<u32, Rows>;

const SET: TreeSetId = TreeSetId(3);

struct Case {
    random: Random,
    key_space: u64,
    shared: usize,
    next_tree: u32,
}

impl Case {
    fn key(&mut self) -> Vec<u8> {
        let number = self.random.below(self.key_space);
        let mut key = vec![b'k'; self.shared];
        key.extend(number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0));
        key.resize(key.len() + (number % 3) as usize, 0);
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let length = match self.random.below(60) {
            0 => 3_000 + self.random.below(90_000),
            1..=3 => self.random.below(2_049),
            _ => self.random.below(120),
        };
        vec![self.random.next() as u8; length as usize]
    }

    fn new_tree(&mut self) -> u32 {
        self.next_tree += 1;
        self.next_tree
    }

    fn any_tree(&mut self, model: &Model) -> u32 {
        *model.keys().nth(self.random.below(model.len() as u64) as usize).unwrap()
    }

    fn step(&mut self, transaction: &mut Transaction, model: &mut Model) {
        let tree = self.any_tree(model);
        match self.random.below(20) {
            0..=7 => {
                for _ in 0..self.random.below(200) {
                    let (key, value) = (self.key(), self.value());
                    let replaced = transaction.put(TreeId(tree), &key, &value).unwrap();
                    assert_eq!(replaced, model.get_mut(&tree).unwrap().insert(key, value).is_some());
                }
            }
            8..=11 => {
                for _ in 0..self.random.below(150) {
                    let key = self.key();
                    let removed = transaction.delete(TreeId(tree), &key).unwrap();
                    assert_eq!(removed, model.get_mut(&tree).unwrap().remove(&key).is_some());
                }
            }
            12..=14 => {
                let (key, new_tree) = (self.key(), self.new_tree());
                transaction.split_tree(TreeId(tree), &key, TreeId(new_tree)).unwrap();
                let cut = model.get_mut(&tree).unwrap().split_off(&key);
                model.insert(new_tree, cut);
            }
            15..=17 => {
                let right = self.any_tree(model);
                let apart = tree != right
                    && match (model[&tree].last_key_value(), model[&right].first_key_value()) {
                        (Some((last, _)), Some((first, _))) => last < first,
                        _ => true,
                    };
                match transaction.join_trees(TreeId(tree), TreeId(right)) {
                    Ok(()) => {
                        assert!(apart);
                        let rows = model.remove(&right).unwrap();
                        model.get_mut(&tree).unwrap().extend(rows);
                    }
                    Err(StorageError::TreesOverlap { .. }) => assert!(!apart),
                    Err(other) => panic!("{other}"),
                }
            }
            18 => self.load(transaction, model, tree),
            _ if model.len() > 1 => {
                transaction.drop_tree(TreeId(tree)).unwrap();
                model.remove(&tree);
            }
            _ => {}
        }
        for (&tree, rows) in model.iter() {
            assert_eq!(transaction.count(TreeId(tree), &KeyRange::all()).unwrap(), rows.len() as u64);
        }
    }

    fn load(&mut self, transaction: &mut Transaction, model: &mut Model, tree: u32) {
        let mut rows = Rows::new();
        for _ in 0..self.random.below(400) {
            let (mut key, value) = (self.key(), self.value());
            if self.random.below(4) > 0 {
                key.insert(0, b'z');
            }
            rows.insert(key, value);
        }
        let fill = Fill::percent(self.random.below(101) as u8);
        let target = model.get_mut(&tree).unwrap();
        let behind = match (target.last_key_value(), rows.first_key_value()) {
            (Some((last, _)), Some((first, _))) => last < first,
            _ => true,
        };
        let before = transaction.count(TreeId(tree), &KeyRange::all()).unwrap();
        match transaction.bulk_load(TreeId(tree), rows.iter().map(|(key, value)| (&key[..], &value[..])), fill) {
            Ok(count) => {
                assert!(behind);
                assert_eq!(count, rows.len() as u64);
                target.extend(rows);
            }
            Err(StorageError::NotAscending { position: 0 }) => {
                assert!(!behind);
                assert_eq!(transaction.count(TreeId(tree), &KeyRange::all()).unwrap(), before);
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&mut self, snapshot: &Snapshot, model: &Model) {
        assert!(snapshot.trees().into_iter().eq(model.keys().map(|tree| TreeId(*tree))));
        for (&tree, rows) in model {
            let tree = TreeId(tree);
            let (low, high) = (self.key(), self.key());
            let range = KeyRange::new(Bound::Excluded(Bytes::from(low)), Bound::Included(Bytes::from(high)));
            let expected: Vec<_> = rows.iter().filter(|(key, _)| range.contains(key)).collect();
            assert_eq!(snapshot.count(tree, &range).unwrap(), expected.len() as u64);
            for direction in [Direction::Forward, Direction::Backward] {
                let mut seen = Vec::new();
                let mut cursor = snapshot.cursor(tree, range.clone(), direction).unwrap();
                let mut keep = |key: &[u8], value: &[u8]| {
                    seen.push((key.to_vec(), value.to_vec()));
                    ControlFlow::<()>::Continue(())
                };
                if self.random.below(2) == 0 {
                    cursor.for_each(keep).unwrap();
                } else {
                    while cursor.next_with(|key, value| _ = keep(key, value)).unwrap().is_some() {}
                }
                if direction == Direction::Backward {
                    seen.reverse();
                }
                assert!(seen.iter().map(|(key, value)| (key, value)).eq(expected.iter().copied()));
            }
            let n = self.random.below(rows.len() as u64 + 1);
            let nth = snapshot.nth(tree, &KeyRange::all(), n).unwrap();
            assert_eq!(nth.map(|(key, _)| key.to_vec()), rows.keys().nth(n as usize).cloned());
            for key in rows.keys().step_by(17) {
                let found = snapshot.get_with(tree, key, |value| value == rows[key]).unwrap();
                assert_eq!(found, Some(true));
            }
        }
    }
}

fn run(seed: u64) {
    let disk = Arc::new(SimulatedDisk::new(seed));
    let mut random = Random::new(seed);
    let cache_bytes = [200 << 10, 8 << 20][random.below(2) as usize];
    let options = EngineOptions { cache_bytes, ..options() };
    let mut engine = Engine::open(disk.clone(), options.clone()).unwrap();
    let mut set = engine.create_tree_set(SET).unwrap();
    let key_space = [50, 3_000, 100_000][random.below(3) as usize];
    let shared = [0, 3, 60, 900][random.below(4) as usize];
    let mut case = Case { random, key_space, shared, next_tree: 1 };
    let mut model = Model::from([(1, Rows::new())]);
    let mut transaction = set.begin();
    transaction.create_tree(TreeId(1)).unwrap();
    transaction.commit().unwrap();
    let mut held: Option<(Snapshot, Model)> = None;
    for round in 0..40 {
        let mut transaction = set.begin();
        let mut changed = model.clone();
        for _ in 0..=case.random.below(4) {
            case.step(&mut transaction, &mut changed);
        }
        if case.random.below(5) == 0 {
            transaction.rollback();
        } else {
            transaction.commit().unwrap();
            model = changed;
        }
        case.check(&set.snapshot(), &model);
        match case.random.below(10) {
            0..=1 => _ = engine.checkpoint().unwrap(),
            2 => _ = engine.reclaim_step(1 + case.random.below(10) as usize).unwrap(),
            3 => {
                if let Some((snapshot, model)) = held.replace((set.snapshot(), model.clone())) {
                    case.check(&snapshot, &model);
                }
            }
            4 if round % 3 == 0 => {
                held = None;
                drop(set);
                engine.close().unwrap();
                harness::assert_clean(&disk);
                engine = Engine::open(disk.clone(), options.clone()).unwrap();
                set = engine.tree_set(SET).unwrap();
            }
            _ => {}
        }
    }
    if let Some((snapshot, model)) = held {
        case.check(&snapshot, &model);
    }
    case.check(&set.snapshot(), &model);
    drop(set);
    engine.close().unwrap();
    harness::assert_clean(&disk);
}

#[test]
fn in_any_order() {
    for seed in seeds(16) {
        run(seed);
    }
}

fn pages(fill: impl FnOnce(&TreeSet)) -> u64 {
    let disk = Arc::new(SimulatedDisk::new(1));
    let engine = Engine::open(disk.clone(), options()).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    let mut transaction = set.begin();
    transaction.create_tree(TreeId(0)).unwrap();
    transaction.commit().unwrap();
    fill(&set);
    drop(set);
    engine.close().unwrap();
    let report = verify::check(disk, &mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert_eq!(report.entries, ENTRIES);
    report.pages
}

const ENTRIES: u64 = 20_000;

fn long_rows() -> impl Iterator<Item = ([u8; 8], [u8; 1000])> {
    (0..7_000u64).map(|number| (number.to_be_bytes(), [number as u8; 1000]))
}

fn rows() -> impl Iterator<Item = ([u8; 8], [u8; 100])> {
    (0..ENTRIES).map(|number| ((number * 10).to_be_bytes(), [number as u8; 100]))
}

#[test]
fn cutting_and_joining_leaves_no_small_nodes() {
    let loaded = pages(|set| assert_eq!(set.bulk_load(TreeId(0), rows(), Fill::FULL).unwrap(), ENTRIES));
    let cut = pages(|set| {
        set.bulk_load(TreeId(0), rows(), Fill::FULL).unwrap();
        let mut random = Random::new(7);
        for _ in 0..3_000 {
            let mut transaction = set.begin();
            let key = random.below(ENTRIES * 10).to_be_bytes();
            transaction.split_tree(TreeId(0), &key, TreeId(1)).unwrap();
            transaction.join_trees(TreeId(0), TreeId(1)).unwrap();
            transaction.commit().unwrap();
        }
    });
    assert!(cut * 10 < loaded * 18, "{cut} pages, and {loaded} when loaded");
}

/// A full load takes as many pages as the bytes ask for, and a load that fails changes nothing.
#[test]
fn bulk_load_fills_pages_and_refuses_disorder() {
    let full = pages(|set| _ = set.bulk_load(TreeId(0), rows(), Fill::FULL).unwrap());
    let half = pages(|set| _ = set.bulk_load(TreeId(0), rows(), Fill::percent(50)).unwrap());
    let one_by_one = pages(|set| {
        let mut transaction = set.begin();
        for (key, value) in rows() {
            transaction.put(TreeId(0), &key, &value).unwrap();
        }
        transaction.commit().unwrap();
    });
    let entry_bytes = 6 + 4 + 100;
    assert!(full < ENTRIES * entry_bytes / 8_000 * 11 / 10 + 20, "{full}");
    assert!(half > full * 18 / 10 && half < full * 22 / 10, "{half} {full}");
    assert!(full <= one_by_one);

    let engine = Engine::in_memory(EngineOptions::default());
    let set = engine.create_tree_set(SET).unwrap();
    let mut transaction = set.begin();
    transaction.create_tree(TreeId(0)).unwrap();
    transaction.put(TreeId(0), b"m", b"").unwrap();
    for (keys, position) in [(&["n", "o", "o"][..], 2), (&["n", "m"][..], 1), (&["m", "n"][..], 0), (&["a"][..], 0)] {
        let entries = keys.iter().map(|key| (key.as_bytes(), &b"value"[..]));
        let refused = transaction.bulk_load(TreeId(0), entries, Fill::FULL);
        assert!(matches!(refused, Err(StorageError::NotAscending { position: at }) if at == position), "{refused:?}");
        assert_eq!(transaction.count(TreeId(0), &KeyRange::all()).unwrap(), 1);
    }
    let refused = transaction.bulk_load(TreeId(0), [(&[b'x'; 1025][..], &b""[..])], Fill::FULL);
    assert!(matches!(refused, Err(StorageError::KeyTooLong { .. })));
    assert!(matches!(transaction.bulk_load(TreeId(9), rows(), Fill::FULL), Err(StorageError::NoTree(TreeId(9)))));
    transaction.commit().unwrap();
}

/// A dropped tree is gone at once, is freed in steps, and what is left of it survives a restart to be freed then.
#[test]
fn dropped_tree_is_freed_in_steps() {
    let disk = Arc::new(SimulatedDisk::new(5));
    let engine = Engine::open(disk.clone(), options()).unwrap();
    let set = engine.create_tree_set(SET).unwrap();
    let mut transaction = set.begin();
    for tree in 0..3 {
        transaction.create_tree(TreeId(tree)).unwrap();
        transaction.bulk_load(TreeId(tree), long_rows(), Fill::FULL).unwrap();
        transaction.put(TreeId(tree), b"large", &[1; 300_000]).unwrap();
    }
    transaction.commit().unwrap();
    engine.checkpoint().unwrap();
    let before = engine.metrics().page_file_used_bytes;
    let mut transaction = set.begin();
    transaction.drop_tree(TreeId(1)).unwrap();
    transaction.drop_tree(TreeId(0)).unwrap();
    assert_eq!(transaction.trees(), [TreeId(2)]);
    assert!(matches!(transaction.get(TreeId(1), b""), Err(StorageError::NoTree(TreeId(1)))));
    transaction.create_tree(TreeId(1)).unwrap();
    transaction.commit().unwrap();
    assert_eq!(set.snapshot().trees(), [TreeId(1), TreeId(2)]);
    let mut freed = 0;
    for _ in 0..10 {
        let step = engine.reclaim_step(7).unwrap();
        assert!((1..=7).contains(&step));
        freed += step;
    }
    drop(set);
    engine.close().unwrap();
    harness::assert_clean(&disk);
    let engine = Engine::open(disk.clone(), options()).unwrap();
    assert!((10..=70).contains(&freed));
    let mut freed = 0;
    loop {
        match engine.reclaim_step(50).unwrap() {
            0 => break,
            step => freed += step,
        }
    }
    // The checkpoint of the close took a bounded part of it.
    assert!(freed > 500, "{freed}");
    engine.checkpoint().unwrap();
    engine.checkpoint().unwrap();
    assert!(engine.metrics().page_file_used_bytes < before / 2);
    assert_eq!(engine.tree_set(SET).unwrap().snapshot().count(TreeId(2), &KeyRange::all()).unwrap(), 7_001);
    engine.close().unwrap();
    harness::assert_clean(&disk);
}
