//! An engine, what it should hold, and what can be done to both.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{
    Compression, Direction, Engine, EngineOptions, Fill, KeyRange, Snapshot, StorageError, Transaction, TreeId,
    TreeSet, TreeSetId, TreeSetOptions, verify,
};

use super::super::directory::options;
use super::super::input::Input;
use super::model::{Model, in_range, key, key_of, range, value_of};

/// Past this nothing more is put.
const BYTES_MAX: usize = 3 << 20;

/// Trees that an input can name.
const TREES: u8 = 4;

/// A tree set at work.
struct Owned {
    set: TreeSet,
    transaction: Option<Transaction>,
    /// As of the last commit.
    committed: Model,
    /// With the open transaction.
    working: Model,
}

/// A run.
pub struct Case {
    disk: SimulatedDisk,
    options: EngineOptions,
    on_disk: bool,
    /// Present except while it is opened anew.
    engine: Option<Engine>,
    sets: BTreeMap<u64, Owned>,
    /// What the newest checkpoint holds.
    durable: BTreeMap<u64, Model>,
    held: Option<(Snapshot, Model)>,
    current: u64,
}

impl Case {
    /// An engine as the byte says.
    pub fn new(kind: u8) -> Self {
        let compression = [Compression::None, Compression::Lz4, Compression::Zstd, Compression::Lz4];
        let mut options = EngineOptions { compression: compression[usize::from(kind >> 1 & 3)], ..options() };
        if kind & 8 != 0 {
            (options.cache_bytes, options.dirty_bytes) = (64 << 10, 32 << 10);
        }
        let disk = SimulatedDisk::new(1);
        let on_disk = kind & 1 == 0;
        let engine = if on_disk { open(&disk, &options) } else { Engine::in_memory(options.clone()) };
        let mut case = Case {
            disk,
            options,
            on_disk,
            engine: Some(engine),
            sets: BTreeMap::new(),
            durable: BTreeMap::new(),
            held: None,
            current: 1,
        };
        case.create_set(compression[0]);
        case
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("an engine is open")
    }

    fn create_set(&mut self, compression: Compression) {
        let set = self.engine().create_tree_set_with(TreeSetId(self.current), TreeSetOptions { compression });
        let owned = Owned {
            set: set.expect("the set is new"),
            transaction: None,
            committed: Model::default(),
            working: Model::default(),
        };
        self.sets.insert(self.current, owned);
        let (transaction, model) = self.transaction();
        transaction.create_tree(TreeId(0)).expect("the set is empty");
        model.trees.insert(0, BTreeMap::new());
    }

    /// The open transaction of the current set, and what it sees.
    fn transaction(&mut self) -> (&mut Transaction, &mut Model) {
        let owned = self.sets.get_mut(&self.current).expect("the current set exists");
        let transaction = owned.transaction.get_or_insert_with(|| owned.set.begin());
        (transaction, &mut owned.working)
    }

    /// The next operation of the input.
    pub fn operate(&mut self, input: &mut Input<'_>) {
        let code = input.byte();
        match code % 32 {
            0..=3 => self.put(input),
            4 | 5 => self.delete(input),
            6 => self.put_run(input),
            7 => self.delete_run(input),
            8 => self.get(input),
            9 => self.count(input),
            10 => self.nth(input),
            11 | 12 => self.walk(input),
            13 => self.split(input),
            14 => self.join(input),
            15 => self.load(input),
            16 => self.load_in_pieces(input),
            17 => self.drop_tree(input),
            18 => self.create_tree(input),
            19 => self.set_meta(input),
            20 | 21 => self.end(true),
            22 => self.end(false),
            23 => self.checkpoint(),
            24 => self.hold(),
            25 => self.check_held(),
            26 => self.reopen(),
            27 => self.kill(),
            28 => self.write_ahead(input),
            29 => self.reclaim(input),
            30 => self.choose_compression(input),
            _ => self.switch_set(input),
        }
    }

    fn put(&mut self, input: &mut Input<'_>) {
        let tree = input.byte() % TREES;
        let (key, value) = (key(input), value_of(input.byte(), input.byte()));
        self.put_one(tree, key, value);
    }

    fn put_one(&mut self, tree: u8, key: Vec<u8>, value: Arc<[u8]>) {
        let (transaction, model) = self.transaction();
        let tree = u32::from(tree);
        let replaced = transaction.put(TreeId(tree), &key, &value);
        match model.trees.get_mut(&tree) {
            Some(rows) => assert_eq!(replaced.expect("the pages are sound"), rows.insert(key, value).is_some()),
            None => assert!(matches!(replaced, Err(StorageError::NoTree(_)))),
        }
    }

    fn delete(&mut self, input: &mut Input<'_>) {
        let (tree, key) = (input.byte() % TREES, key(input));
        self.delete_one(tree, &key);
    }

    fn delete_one(&mut self, tree: u8, key: &[u8]) {
        let (transaction, model) = self.transaction();
        let tree = u32::from(tree);
        let removed = transaction.delete(TreeId(tree), key);
        match model.trees.get_mut(&tree) {
            Some(rows) => assert_eq!(removed.expect("the pages are sound"), rows.remove(key).is_some()),
            None => assert!(matches!(removed, Err(StorageError::NoTree(_)))),
        }
    }

    /// Numbers from a first one on in equal steps, up or down.
    fn run_of_keys(input: &mut Input<'_>) -> (u8, Vec<Vec<u8>>) {
        let (tree, shape, from, step) = (input.byte() % TREES, input.byte(), input.word(), input.byte());
        let step = if step >= 128 { u16::from(step - 128).wrapping_neg() } else { u16::from(step) };
        let count = u16::from(input.byte()) * 2;
        (tree, (0..count).map(|at| key_of(shape, from.wrapping_add(at.wrapping_mul(step)))).collect())
    }

    fn put_run(&mut self, input: &mut Input<'_>) {
        let (tree, keys) = Self::run_of_keys(input);
        let value = value_of(input.byte() % 224, input.byte());
        if self.transaction().1.bytes() + keys.len() * (300 + value.len()) > BYTES_MAX {
            return;
        }
        for key in keys {
            self.put_one(tree, key, Arc::clone(&value));
        }
    }

    fn delete_run(&mut self, input: &mut Input<'_>) {
        let (tree, keys) = Self::run_of_keys(input);
        keys.iter().for_each(|key| self.delete_one(tree, key));
    }

    fn get(&mut self, input: &mut Input<'_>) {
        let (tree, key) = (u32::from(input.byte() % TREES), key(input));
        let (transaction, model) = self.transaction();
        let Some(rows) = model.trees.get(&tree) else { return };
        let found = transaction.get(TreeId(tree), &key).expect("the pages are sound");
        assert_eq!(found.as_deref(), rows.get(&key).map(|value| &value[..]));
    }

    fn count(&mut self, input: &mut Input<'_>) {
        let (tree, range) = (u32::from(input.byte() % TREES), range(input));
        let (transaction, model) = self.transaction();
        let Some(rows) = model.trees.get(&tree) else { return };
        let count = transaction.count(TreeId(tree), &range).expect("the pages are sound");
        assert_eq!(count, in_range(rows, &range).count() as u64);
    }

    fn nth(&mut self, input: &mut Input<'_>) {
        let (tree, range, n) = (u32::from(input.byte() % TREES), range(input), input.word());
        let (transaction, model) = self.transaction();
        let Some(rows) = model.trees.get(&tree) else { return };
        let found = transaction.nth(TreeId(tree), &range, n.into()).expect("the pages are sound");
        let expected = in_range(rows, &range).nth(n.into());
        assert_eq!(
            found.as_ref().map(|(key, value)| (&key[..], &value[..])),
            expected.map(|(key, value)| (&key[..], &value[..]))
        );
    }

    fn walk(&mut self, input: &mut Input<'_>) {
        let (tree, range, way) = (u32::from(input.byte() % TREES), range(input), input.byte());
        let (transaction, model) = self.transaction();
        let Some(rows) = model.trees.get(&tree) else { return };
        let direction = if way & 1 == 0 { Direction::Forward } else { Direction::Backward };
        let mut cursor = transaction.cursor(TreeId(tree), range.clone(), direction).expect("the tree exists");
        let mut expected = in_range(rows, &range);
        // Some look at a few entries only, and let the cursor go.
        for _ in 0..if way & 2 == 0 { usize::MAX } else { usize::from(way >> 2) } {
            let expected = if direction == Direction::Forward { expected.next() } else { expected.next_back() };
            let found = cursor.next().expect("the pages are sound");
            assert_eq!(
                found.as_ref().map(|(key, value)| (&key[..], &value[..])),
                expected.map(|(key, value)| (&key[..], &value[..]))
            );
            if found.is_none() {
                break;
            }
        }
    }

    fn split(&mut self, input: &mut Input<'_>) {
        let (tree, new, key) = (u32::from(input.byte() % TREES), u32::from(input.byte() % TREES), key(input));
        let (transaction, model) = self.transaction();
        let outcome = transaction.split_tree(TreeId(tree), &key, TreeId(new));
        match (model.trees.contains_key(&tree), model.trees.contains_key(&new)) {
            (false, _) => assert!(matches!(outcome, Err(StorageError::NoTree(_)))),
            (true, true) => assert!(matches!(outcome, Err(StorageError::TreeExists(_)))),
            (true, false) => {
                outcome.expect("the pages are sound");
                let rest = model.trees.get_mut(&tree).expect("checked above").split_off(&key);
                model.trees.insert(new, rest);
            }
        }
    }

    fn join(&mut self, input: &mut Input<'_>) {
        let (left, right) = (u32::from(input.byte() % TREES), u32::from(input.byte() % TREES));
        let (transaction, model) = self.transaction();
        let outcome = transaction.join_trees(TreeId(left), TreeId(right));
        let (Some(low), Some(high)) = (model.trees.get(&left), model.trees.get(&right)) else {
            return assert!(matches!(outcome, Err(StorageError::NoTree(_))));
        };
        let apart = low.keys().next_back().zip(high.keys().next()).is_none_or(|(last, first)| last < first);
        if left == right || !apart {
            return assert!(matches!(outcome, Err(StorageError::TreesOverlap { .. })));
        }
        outcome.expect("the pages are sound");
        let moved = model.trees.remove(&right).expect("checked above");
        model.trees.get_mut(&left).expect("checked above").extend(moved);
    }

    fn load(&mut self, input: &mut Input<'_>) {
        let (tree, keys) = Self::run_of_keys(input);
        let (value, fill) = (value_of(input.byte() % 224, input.byte()), Fill::percent(input.byte()));
        let (transaction, model) = self.transaction();
        if model.bytes() + keys.len() * (300 + value.len()) > BYTES_MAX {
            return;
        }
        let tree = u32::from(tree);
        let outcome = transaction.bulk_load(TreeId(tree), keys.iter().map(|key| (&key[..], &value[..])), fill);
        let Some(rows) = model.trees.get_mut(&tree) else {
            return assert!(matches!(outcome, Err(StorageError::NoTree(_))));
        };
        let last = rows.keys().next_back();
        let in_order =
            keys.is_sorted_by(|a, b| a < b) && keys.first().zip(last).is_none_or(|(first, last)| last < first);
        if in_order {
            assert_eq!(outcome.expect("the pages are sound"), keys.len() as u64);
            rows.extend(keys.into_iter().map(|key| (key, Arc::clone(&value))));
        } else {
            assert!(matches!(outcome, Err(StorageError::NotAscending { .. })));
        }
    }

    /// A load of its own transactions, behind everything there is.
    fn load_in_pieces(&mut self, input: &mut Input<'_>) {
        let (tree, count, value) =
            (u32::from(input.byte() % TREES), u32::from(input.word()) % 1_500, value_of(input.byte() % 200, 3));
        self.end(true);
        let owned = self.sets.get_mut(&self.current).expect("the current set exists");
        if owned.committed.bytes() + count as usize * (300 + value.len()) > BYTES_MAX {
            return;
        }
        let Some(rows) = owned.committed.trees.get_mut(&tree) else { return };
        let last = rows.keys().next_back().cloned().unwrap_or_default();
        if last.len() > 1_000 {
            return;
        }
        let keys = (0..count).map(|number| [&last[..], &number.to_be_bytes()].concat());
        let entries = keys.clone().map(|key| (key, value.to_vec()));
        let loaded = owned.set.bulk_load(TreeId(tree), entries, Fill::FULL).expect("the pages are sound");
        assert_eq!(loaded, u64::from(count));
        rows.extend(keys.map(|key| (key, Arc::clone(&value))));
        owned.working = owned.committed.clone();
    }

    fn drop_tree(&mut self, input: &mut Input<'_>) {
        let tree = u32::from(input.byte() % TREES);
        let (transaction, model) = self.transaction();
        let outcome = transaction.drop_tree(TreeId(tree));
        assert_eq!(outcome.is_ok(), model.trees.remove(&tree).is_some());
    }

    fn create_tree(&mut self, input: &mut Input<'_>) {
        let tree = u32::from(input.byte() % TREES);
        let (transaction, model) = self.transaction();
        let outcome = transaction.create_tree(TreeId(tree));
        assert_eq!(outcome.is_err(), model.trees.contains_key(&tree));
        model.trees.entry(tree).or_default();
    }

    fn set_meta(&mut self, input: &mut Input<'_>) {
        let meta = value_of(input.byte(), input.byte());
        let (transaction, model) = self.transaction();
        transaction.set_meta(Bytes::copy_from_slice(&meta)).expect("it is small");
        assert_eq!(transaction.meta(), meta[..]);
        model.meta = meta.to_vec();
    }

    /// Commits or takes back the open transaction of the current set.
    fn end(&mut self, commit: bool) {
        let owned = self.sets.get_mut(&self.current).expect("the current set exists");
        let Some(transaction) = owned.transaction.take() else { return };
        if commit {
            transaction.commit().expect("in memory");
            owned.committed = owned.working.clone();
        } else {
            transaction.rollback();
            owned.working = owned.committed.clone();
        }
        let snapshot = owned.set.snapshot();
        for (tree, rows) in &owned.committed.trees {
            assert_eq!(
                snapshot.count(TreeId(*tree), &KeyRange::all()).expect("the pages are sound"),
                rows.len() as u64
            );
        }
    }

    fn committed(&self) -> BTreeMap<u64, Model> {
        self.sets.iter().map(|(id, owned)| (*id, owned.committed.clone())).collect()
    }

    fn checkpoint(&mut self) {
        self.end(true);
        self.engine().checkpoint().expect("the disk has room");
        self.durable = self.committed();
    }

    fn hold(&mut self) {
        self.check_held();
        self.end(true);
        let owned = &self.sets[&self.current];
        self.held = Some((owned.set.snapshot(), owned.committed.clone()));
    }

    fn check_held(&mut self) {
        if let Some((snapshot, model)) = self.held.take() {
            check(&snapshot, &model);
        }
    }

    /// A clean end and a new beginning.
    fn reopen(&mut self) {
        self.check_held();
        self.end(true);
        let committed = self.committed();
        if !self.on_disk {
            return;
        }
        self.sets.clear();
        self.engine.take().expect("an engine is open").close().expect("the disk has room");
        self.check_directory();
        self.durable = committed;
        self.open_again();
    }

    /// The process dies: what the newest checkpoint holds is left.
    fn kill(&mut self) {
        if !self.on_disk {
            return;
        }
        self.end(false);
        self.held = None;
        self.sets.clear();
        self.engine = None;
        self.disk.kill();
        self.check_directory();
        self.open_again();
    }

    fn open_again(&mut self) {
        let engine = open(&self.disk, &self.options);
        assert_eq!(engine.tree_sets(), self.durable.keys().copied().map(TreeSetId).collect::<Vec<_>>());
        for (id, model) in &self.durable {
            let set = engine.tree_set(TreeSetId(*id)).expect("it is listed");
            check(&set.snapshot(), model);
            let owned = Owned { set, transaction: None, committed: model.clone(), working: model.clone() };
            self.sets.insert(*id, owned);
        }
        self.engine = Some(engine);
        if !self.sets.contains_key(&self.current) {
            self.create_set(Compression::None);
        }
    }

    fn write_ahead(&mut self, input: &mut Input<'_>) {
        let bytes = usize::from(input.byte()) << 10;
        self.end(true);
        self.engine().evict_step(bytes).expect("the disk has room");
    }

    fn reclaim(&mut self, input: &mut Input<'_>) {
        let pages = usize::from(input.byte());
        self.end(true);
        self.engine().reclaim_step(pages).expect("the pages are sound");
    }

    fn choose_compression(&mut self, input: &mut Input<'_>) {
        let compression = Compression::from_number(input.byte() % 3).expect("there are three");
        self.end(true);
        let set = &self.sets[&self.current].set;
        set.set_compression(compression).expect("in memory");
        assert_eq!(set.compression(), compression);
    }

    /// Goes on with another set, which is made when there is none; or drops the current one first.
    fn switch_set(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        self.end(true);
        if choice & 4 != 0 {
            self.sets.remove(&self.current);
            self.engine().drop_tree_set(TreeSetId(self.current)).expect("the set exists");
        }
        self.current = u64::from(choice & 3);
        if !self.sets.contains_key(&self.current) {
            self.create_set(Compression::from_number(choice >> 3 & 1).expect("two are known"));
        }
    }

    fn check_directory(&self) {
        let report = verify::check(Arc::new(self.disk.clone()), &mut |_| {}).expect("the disk is sound");
        assert!(report.problems.is_empty(), "{:#?}", report.problems);
    }

    /// Everything once more.
    pub fn finish(mut self) {
        self.check_held();
        self.end(true);
        for owned in self.sets.values() {
            check(&owned.set.snapshot(), &owned.committed);
        }
        self.reopen();
    }
}

fn open(disk: &SimulatedDisk, options: &EngineOptions) -> Engine {
    Engine::open(Arc::new(disk.clone()), options.clone()).expect("the disk is sound")
}

/// A snapshot holds what it should, by every way of reading.
fn check(snapshot: &Snapshot, model: &Model) {
    assert_eq!(snapshot.trees(), model.trees.keys().copied().map(TreeId).collect::<Vec<_>>());
    assert_eq!(snapshot.meta(), model.meta[..]);
    for (tree, rows) in &model.trees {
        let tree = TreeId(*tree);
        assert_eq!(snapshot.count(tree, &KeyRange::all()).expect("the pages are sound"), rows.len() as u64);
        let mut cursor = snapshot.cursor(tree, KeyRange::all(), Direction::Forward).expect("the tree exists");
        for (key, value) in rows {
            let (found_key, found) = cursor.next().expect("the pages are sound").expect("the key is there");
            assert!(found_key == key[..] && found == value[..]);
        }
        assert!(cursor.next().expect("the pages are sound").is_none());
        let mut cursor = snapshot.cursor(tree, KeyRange::all(), Direction::Backward).expect("the tree exists");
        for key in rows.keys().rev() {
            let found = cursor.next_with(|found, _| found == &key[..]).expect("the pages are sound");
            assert_eq!(found, Some(true));
        }
        if let Some((key, value)) = rows.iter().nth(rows.len() / 3) {
            let found = snapshot.nth(tree, &KeyRange::all(), (rows.len() / 3) as u64).expect("the pages are sound");
            assert_eq!(found.map(|(key, value)| (key.to_vec(), value.to_vec())), Some((key.clone(), value.to_vec())));
            let found = snapshot.get_with(tree, key, |found| found == &value[..]).expect("the pages are sound");
            assert_eq!(found, Some(true));
        }
    }
}
