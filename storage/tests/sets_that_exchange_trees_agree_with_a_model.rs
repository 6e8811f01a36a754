//! Three sets that exchange trees, against maps: between ordinary writes, cuts and joins, snapshots held for long, sets
//! dropped and made anew, checkpoints that succeed or find the disk full, pages written ahead, compaction, clean ends and
//! the death of the process. The offline check finds nothing, and in the end nothing is held that nobody reads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use harness::{Random, assert_clean, options, seeds};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{
    Direction, Engine, EngineOptions, KeyRange, Moved, MovedMetas, Snapshot, StorageError, Tolerance, TreeId, TreeSetId,
};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Default, PartialEq)]
struct Model {
    trees: BTreeMap<u32, Rows>,
    meta: Vec<u8>,
}

type Models = BTreeMap<u64, Model>;

const SETS: u64 = 3;
const TREES: u64 = 6;

struct Case {
    random: Random,
    disk: Option<Arc<SimulatedDisk>>,
    options: EngineOptions,
    /// Present except while it is opened anew.
    engine: Option<Engine>,
    models: Models,
    /// What the newest superblock has: one of these.
    durable: Vec<Models>,
    held: Vec<(Snapshot, Model)>,
    moved: u64,
    not_yet: u64,
}

fn open(disk: &Option<Arc<SimulatedDisk>>, options: &EngineOptions) -> Engine {
    match disk {
        Some(disk) => Engine::open(disk.clone(), options.clone()).unwrap(),
        None => Engine::in_memory(options.clone()),
    }
}

impl Case {
    fn new(seed: u64, disk: Option<Arc<SimulatedDisk>>) -> Self {
        let mut random = Random::new(seed);
        let cache_bytes = [0, 100 << 10, 8 << 20][random.below(3) as usize];
        let options = EngineOptions { cache_bytes, compaction: Tolerance::NONE, ..options() };
        let engine = Some(open(&disk, &options));
        let (models, durable) = (Models::new(), vec![Models::new()]);
        Case { random, disk, options, engine, models, durable, held: Vec::new(), moved: 0, not_yet: 0 }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.random.below(2_000);
        let mut key = number.to_be_bytes()[6..].to_vec();
        key.resize(2 + (number % 4) as usize * 40, b'x');
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let length = match self.random.below(60) {
            0 => 3_000 + self.random.below(90_000),
            1..=3 => self.random.below(2_049),
            _ => self.random.below(200),
        };
        vec![self.random.next() as u8; length as usize]
    }

    fn any_set(&mut self) -> u64 {
        let id = self.random.below(SETS);
        if !self.models.contains_key(&id) {
            self.engine().create_tree_set(TreeSetId(id)).unwrap();
            self.models.insert(id, Model::default());
        }
        id
    }

    /// A tree of the set.
    fn any_tree(&mut self, set: u64) -> Option<u32> {
        let count = self.models[&set].trees.len() as u64;
        (count > 0).then(|| *self.models[&set].trees.keys().nth(self.random.below(count) as usize).unwrap())
    }

    fn transact(&mut self) {
        let id = self.any_set();
        let mut model = self.models[&id].clone();
        let mut transaction = self.engine().tree_set(TreeSetId(id)).unwrap().begin();
        for _ in 0..=self.random.below(4) {
            let tree = self.random.below(TREES) as u32;
            let Some(rows) = model.trees.get_mut(&tree) else {
                transaction.create_tree(TreeId(tree)).unwrap();
                model.trees.insert(tree, Rows::new());
                continue;
            };
            match self.random.below(10) {
                0..=4 => {
                    for _ in 0..self.random.below(120) {
                        let (key, value) = (self.key(), self.value());
                        transaction.put(TreeId(tree), &key, &value).unwrap();
                        rows.insert(key, value);
                    }
                }
                5..=6 => {
                    for _ in 0..self.random.below(80) {
                        let key = self.key();
                        assert_eq!(transaction.delete(TreeId(tree), &key).unwrap(), rows.remove(&key).is_some());
                    }
                }
                7 => {
                    let (key, into) = (self.key(), self.random.below(TREES) as u32);
                    let outcome = transaction.split_tree(TreeId(tree), &key, TreeId(into));
                    if model.trees.contains_key(&into) {
                        assert!(matches!(outcome, Err(StorageError::TreeExists(_))));
                    } else {
                        let cut = model.trees.get_mut(&tree).unwrap().split_off(&key);
                        model.trees.insert(into, cut);
                    }
                }
                8 => {
                    let right = self.random.below(TREES) as u32;
                    let joined = transaction.join_trees(TreeId(tree), TreeId(right));
                    if joined.is_ok() {
                        let rows = model.trees.remove(&right).unwrap();
                        model.trees.get_mut(&tree).unwrap().extend(rows);
                    }
                }
                _ => {
                    transaction.drop_tree(TreeId(tree)).unwrap();
                    model.trees.remove(&tree);
                }
            }
        }
        if self.random.below(6) == 0 {
            transaction.rollback();
        } else {
            transaction.commit().unwrap();
            self.models.insert(id, model);
        }
    }

    fn move_trees(&mut self) {
        let (from, to) = (self.any_set(), self.any_set());
        let (mut trees, mut free) = (Vec::new(), (0..TREES as u32).collect::<Vec<_>>());
        free.retain(|tree| !self.models[&to].trees.contains_key(tree));
        for tree in self.models[&from].trees.keys() {
            if self.random.below(2) == 0 && !free.is_empty() {
                let number = free.swap_remove(self.random.below(free.len() as u64) as usize);
                trees.push((TreeId(*tree), TreeId(number)));
            }
        }
        let mut meta =
            || (self.random.below(2) == 0).then(|| Bytes::copy_from_slice(&self.random.next().to_le_bytes()));
        let metas = MovedMetas { from: meta(), to: meta() };
        let (from_id, to_id) = (TreeSetId(from), TreeSetId(to));
        let with_checkpoint = self.random.below(2) == 0;
        let engine = self.engine();
        let moved = match with_checkpoint {
            true => engine.checkpoint_and_move_trees(from_id, to_id, &trees, metas.clone()),
            false => engine.move_trees(from_id, to_id, &trees, metas.clone()),
        };
        if from == to {
            return assert!(matches!(moved, Err(StorageError::SameTreeSet(_))));
        }
        match moved.unwrap() {
            Moved::Done => self.moved += trees.len() as u64,
            Moved::NotYet => {
                assert!(!with_checkpoint && self.disk.is_some(), "nobody else changes anything");
                self.not_yet += 1;
                return;
            }
        }
        if with_checkpoint {
            // Whether there was one is not told. The move itself is in none.
            self.durable.push(self.models.clone());
        }
        for (tree, number) in trees {
            let rows = self.models.get_mut(&from).unwrap().trees.remove(&tree.0).unwrap();
            self.models.get_mut(&to).unwrap().trees.insert(number.0, rows);
        }
        for (id, meta) in [(from, metas.from), (to, metas.to)] {
            if let Some(meta) = meta {
                self.models.get_mut(&id).unwrap().meta = meta.to_vec();
            }
        }
    }

    fn checkpoint(&mut self) {
        if let Some(disk) = self.disk.as_ref().filter(|_| self.random.below(4) == 0) {
            disk.set_capacity(disk.used_bytes() + self.random.below(200_000));
        }
        match self.engine().checkpoint() {
            Ok(_) => self.durable = vec![self.models.clone()],
            Err(error) => assert!(error.is_full(), "{error}"),
        }
        if let Some(disk) = &self.disk {
            disk.set_capacity(u64::MAX);
        }
    }

    fn hold(&mut self) {
        let id = self.any_set();
        let set = self.engine().tree_set(TreeSetId(id)).unwrap();
        self.held.push((set.snapshot(), self.models[&id].clone()));
    }

    fn let_go(&mut self) {
        if !self.held.is_empty() {
            let at = self.random.below(self.held.len() as u64) as usize;
            let (snapshot, model) = self.held.swap_remove(at);
            check(&snapshot, &model);
        }
    }

    fn check_held(&mut self) {
        std::mem::take(&mut self.held).into_iter().for_each(|(snapshot, model)| check(&snapshot, &model));
    }

    fn drop_set(&mut self) {
        let id = self.any_set();
        self.engine().drop_tree_set(TreeSetId(id)).unwrap();
        self.models.remove(&id);
    }

    /// A clean end, or the process dies.
    fn reopen(&mut self, clean: bool) {
        let Some(disk) = self.disk.clone() else { return };
        self.check_held();
        let engine = self.engine.take().unwrap();
        if clean {
            engine.close().unwrap();
            self.durable = vec![self.models.clone()];
        } else {
            drop(engine);
            disk.kill();
        }
        assert_clean(&disk);
        let engine = open(&self.disk, &self.options);
        let found = self.durable.iter().find(|models| agrees(&engine, models));
        self.models = found.expect("it is as a checkpoint left it").clone();
        self.durable = vec![self.models.clone()];
        self.engine = Some(engine);
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0..=11 => self.transact(),
            12..=19 => self.move_trees(),
            20..=25 => self.checkpoint(),
            26..=27 => {
                let bytes = [1, 30_000, usize::MAX][self.random.below(3) as usize];
                self.engine().evict_step(bytes).unwrap();
            }
            28..=30 => {
                let slots = [1, 20, 500][self.random.below(3) as usize];
                // While the last checkpoint found no space, nothing more may become dirty.
                if let Err(error) = self.engine().compact_step(slots) {
                    assert!(error.is_full(), "{error}");
                }
            }
            31 => _ = self.engine().reclaim_step(10).unwrap(),
            32..=34 => self.hold(),
            35..=36 => self.let_go(),
            37 => self.drop_set(),
            38 => self.reopen(true),
            _ => self.reopen(false),
        }
        let id = self.any_set();
        let set = self.engine().tree_set(TreeSetId(id)).unwrap();
        if let Some(tree) = self.any_tree(id) {
            let key = self.key();
            let expected = self.models[&id].trees[&tree].get(&key);
            assert_eq!(set.get(TreeId(tree), &key).unwrap().as_deref(), expected.map(Vec::as_slice));
        }
        check(&set.snapshot(), &self.models[&id]);
    }

    fn finish(mut self) -> (u64, u64) {
        self.check_held();
        for _ in 0..6 {
            self.engine().checkpoint().unwrap();
        }
        self.durable = vec![self.models.clone()];
        let metrics = self.engine().metrics();
        if self.disk.is_some() {
            assert_eq!((metrics.dirty_bytes, metrics.page_file_held_bytes), (0, 0), "nobody reads any more");
        }
        self.reopen(true);
        let fresh = self.engine().metrics();
        assert_eq!(metrics.page_file_used_bytes, fresh.page_file_used_bytes);
        (self.moved, self.not_yet)
    }
}

fn agrees(engine: &Engine, models: &Models) -> bool {
    engine.tree_sets().into_iter().map(|id| id.0).eq(models.keys().copied())
        && models.iter().all(|(id, model)| content(&engine.tree_set(TreeSetId(*id)).unwrap().snapshot()) == *model)
}

fn content(snapshot: &Snapshot) -> Model {
    let mut model = Model { trees: BTreeMap::new(), meta: snapshot.meta().to_vec() };
    for tree in snapshot.trees() {
        let mut cursor = snapshot.cursor(tree, KeyRange::all(), Direction::Forward).unwrap();
        let mut rows = Rows::new();
        while let Some((key, value)) = cursor.next().unwrap() {
            rows.insert(key.to_vec(), value.to_vec());
        }
        assert_eq!(snapshot.count(tree, &KeyRange::all()).unwrap(), rows.len() as u64);
        model.trees.insert(tree.0, rows);
    }
    model
}

fn check(snapshot: &Snapshot, model: &Model) {
    assert!(content(snapshot) == *model, "set {:?}", snapshot.id());
}

fn run(seed: u64, disk: Option<Arc<SimulatedDisk>>) -> (u64, u64) {
    let mut case = Case::new(seed, disk);
    for _ in 0..300 {
        case.step();
    }
    case.finish()
}

#[test]
fn on_disk() {
    let (mut moved, mut not_yet) = (0, 0);
    for seed in seeds(24) {
        let counts = run(seed, Some(Arc::new(SimulatedDisk::new(seed))));
        (moved, not_yet) = (moved + counts.0, not_yet + counts.1);
    }
    println!("{moved} trees moved, {not_yet} times not yet");
    assert!((moved > 50 && not_yet > 10) || std::env::var("PHOTONDB_SEED").is_ok());
}

#[test]
fn in_memory() {
    let moved: u64 = seeds(8).into_iter().map(|seed| run(seed, None).0).sum();
    assert!(moved > 50 || std::env::var("PHOTONDB_SEED").is_ok());
}
