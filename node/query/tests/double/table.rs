//! A table in memory: what `query` asks of data, without storage.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};

use photondb_proto::KeyRange;
use photondb_query::table::{
    Access, Change, IndexInfo, Keys, Order, Position, Progress, ReadMode, Row, Rows, ShardNumber, Source, Standing,
    Subscription, Table, TableInfo, Write, WriteOptions, WriteResult,
};
use photondb_query::write;
use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, stored::compile_function};
use photondb_reql::geo::cells_of_entry;
use photondb_reql::key::{PrimaryKey, index_key};
use photondb_runtime::fiber;

thread_local! {
    /// Rows that the scans of this thread have given.
    pub static ROWS_GIVEN: Cell<usize> = const { Cell::new(0) };
    /// How many shards the tables of this thread have.
    pub static SHARDS: Cell<u64> = const { Cell::new(1) };
    /// How many numbers are the keys of a shard: the first has those from zero on. It has what comes before numbers, too, the last what
    /// comes behind.
    pub static SHARD_KEYS: Cell<u64> = const { Cell::new(2) };
}

/// What all handles of one table share.
#[derive(Default)]
pub struct Contents {
    documents: BTreeMap<Datum, Datum>,
    pub indexes: BTreeMap<Str, IndexInfo>,
    /// How far each shard is.
    positions: BTreeMap<ShardNumber, u64>,
    /// What is kept of all changes, oldest first.
    log: VecDeque<Change>,
    /// Of each shard, the last change that is kept no longer.
    floors: BTreeMap<ShardNumber, u64>,
    listeners: Vec<Weak<RefCell<VecDeque<Change>>>>,
}

#[derive(Clone)]
pub struct MemoryTable {
    pub info: TableInfo,
    pub contents: Rc<RefCell<Contents>>,
}

/// (index value, key, document)
type Entry = (Datum, Datum, Datum);

impl MemoryTable {
    /// The entries that a scan gives, in its order.
    fn found(&self, access: &Access) -> Result<Vec<Entry>> {
        let entries = self.entries(access.index.as_ref())?;
        let mut found: Vec<Entry> = match &access.keys {
            Keys::Range(range) => entries.into_iter().filter(|(value, _, _)| range.contains(value)).collect(),
            Keys::Cells(cells) => {
                let meets = |value: &Datum| cells_of_entry(value).iter().any(|cell| cells.contains(*cell));
                entries.into_iter().filter(|(value, _, _)| meets(value)).collect()
            }
            Keys::Each(keys) => {
                keys.iter().flat_map(|key| entries.iter().filter(move |(value, _, _)| value == key).cloned()).collect()
            }
        };
        if access.order == Order::Descending {
            found.reverse();
        }
        Ok(found)
    }

    /// Every (index value, key, document) of an index, ascending.
    fn entries(&self, index: Option<&Str>) -> Result<Vec<Entry>> {
        let contents = self.contents.borrow();
        let Some(name) = index else {
            return Ok(contents
                .documents
                .iter()
                .map(|(key, document)| (key.clone(), key.clone(), document.clone()))
                .collect());
        };
        let info = contents.indexes.get(name).ok_or_else(|| self.info.no_such_index(name))?;
        let function = compile_function(&info.definition)?;
        let cx = Cx::pure();
        let mut entries = Vec::new();
        for (key, document) in &contents.documents {
            let values = match function.apply(document.clone(), &cx) {
                Ok(Datum::Array(items)) if info.multi => items.into_vec(),
                Ok(Datum::Null) | Err(_) => Vec::new(),
                Ok(value) => vec![value],
            };
            let filed = |value: &Datum| info.geo || index_key(value, b"", None).is_ok();
            entries.extend(values.into_iter().filter(filed).map(|value| (value, key.clone(), document.clone())));
        }
        entries.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        Ok(entries)
    }
}

impl Table for MemoryTable {
    fn info(&self) -> &TableInfo {
        &self.info
    }

    fn get(&self, key: &Datum, _mode: ReadMode) -> Result<Option<Datum>> {
        Ok(self.contents.borrow().documents.get(key).cloned())
    }

    fn scan(&self, access: &Access, _mode: ReadMode) -> Result<Box<dyn Rows>> {
        self.found(access)?;
        let (table, access) = (self.clone(), access.clone());
        let shard = ShardNumber(0);
        let progress = shards().map(|shard| Progress::ahead(keys_of(shard), shard)).collect();
        Ok(Box::new(MemoryRows { table, access, shard, last: None, progress, ended: false }))
    }

    fn count(&self, access: &Access, mode: ReadMode) -> Result<Option<u64>> {
        let _ = mode;
        Ok(Some(self.found(access)?.len() as u64))
    }

    fn left_out(&self, index: &str, _mode: ReadMode) -> Result<Option<u64>> {
        let entries = self.entries(Some(&Str::from(index)))?.len();
        let contents = self.contents.borrow();
        let once = contents.indexes.get(index).is_some_and(|info| !info.multi && !info.geo);
        Ok(once.then(|| (contents.documents.len() - entries) as u64))
    }

    fn write(&self, writes: Vec<Write>, options: &WriteOptions, cx: &Cx) -> Result<Vec<WriteResult>> {
        let mut results = Vec::new();
        for write in writes {
            let old = self.get(&write.key, ReadMode::Single)?.unwrap_or(Datum::Null);
            let new = match write::apply(&write.transition, &old, self.info.rules(options), &write.key, cx) {
                Ok(new) => new,
                Err(error) => {
                    results.push(WriteResult::Refused { error, old });
                    continue;
                }
            };
            if old != new {
                self.put(&write.key, &old, &new);
            }
            results.push(WriteResult::Done { old, new });
        }
        Ok(results)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>> {
        let contents = self.contents.borrow();
        let standing = |shard| Standing::behind(contents.position_of(shard).index);
        let sources = shards().map(|shard| Source { shard, standing: standing(shard), group: 0 }).collect();
        drop(contents);
        Ok(Box::new(self.listen(sources, VecDeque::new())))
    }

    fn subscribe_from(&self, from: &[Source]) -> Result<Box<dyn Subscription>> {
        let contents = self.contents.borrow();
        let floor = |shard| contents.floors.get(shard).copied().unwrap_or_default();
        if from.iter().any(|source| source.standing.index <= floor(&source.shard)) {
            return Err(Error::op_failed("The token is too old."));
        }
        let is_behind = |change: &&Change| {
            let at = Standing { index: change.position.index, given: 0 };
            from.iter().any(|source| source.shard == change.position.shard && source.standing <= at)
        };
        let behind = contents.log.iter().filter(is_behind).cloned().collect();
        drop(contents);
        Ok(Box::new(self.listen(from.to_vec(), behind)))
    }

    fn indexes(&self) -> Result<Vec<IndexInfo>> {
        Ok(self.contents.borrow().indexes.values().cloned().collect())
    }
}

impl MemoryTable {
    fn listen(&self, sources: Vec<Source>, begins: VecDeque<Change>) -> MemorySubscription {
        let queue = Rc::new(RefCell::new(begins));
        self.contents.borrow_mut().listeners.push(Rc::downgrade(&queue));
        MemorySubscription { sources, queue }
    }

    fn put(&self, key: &Datum, old: &Datum, new: &Datum) {
        let mut contents = self.contents.borrow_mut();
        *contents.positions.entry(shard_of(key)).or_default() += 1;
        let some = |document: &Datum| (!document.is_null()).then(|| document.clone());
        let change = Change {
            old: some(old),
            new: some(new),
            position: contents.position_of(shard_of(key)),
            then: Standing::behind(contents.position_of(shard_of(key)).index),
        };
        match new {
            Datum::Null => contents.documents.remove(key),
            new => contents.documents.insert(key.clone(), new.clone()),
        };
        contents.log.push_back(change.clone());
        contents.listeners.retain(|listener| match listener.upgrade() {
            Some(queue) => {
                queue.borrow_mut().push_back(change.clone());
                true
            }
            None => false,
        });
    }
}

/// Each batch is of the table as it is then; a descending scan and one of single keys are one batch. Where only the order within
/// shards is wanted, they come one after the other.
struct MemoryRows {
    table: MemoryTable,
    access: Access,
    /// The shard that is being read.
    shard: ShardNumber,
    /// The place behind which the next batch begins.
    last: Option<(Datum, Datum)>,
    progress: Vec<Progress>,
    ended: bool,
}

fn shard_of(key: &Datum) -> ShardNumber {
    let last = SHARDS.get() - 1;
    ShardNumber(match key {
        Datum::Number(number) => (*number as u64 / SHARD_KEYS.get()).min(last),
        Datum::Array(_) | Datum::Bool(_) => 0,
        _ => last,
    })
}

fn keys_of(shard: ShardNumber) -> KeyRange {
    let first = |shard: u64| PrimaryKey::new(&Datum::Number((shard * SHARD_KEYS.get()) as f64)).expect("a key").bytes();
    let start = if shard.0 == 0 { Vec::new() } else { first(shard.0).to_vec() };
    let end = (shard.0 + 1 < SHARDS.get()).then(|| first(shard.0 + 1).to_vec());
    KeyRange::new(start, end).expect("has keys")
}

fn shards() -> impl Iterator<Item = ShardNumber> {
    (0..SHARDS.get()).map(ShardNumber)
}

impl Contents {
    /// Keeps the last so many changes, and no others.
    #[allow(dead_code, reason = "not every suite has feeds that go on")]
    pub fn trim(&mut self, keep: usize) {
        while self.log.len() > keep {
            let Position { shard, index } = self.log.pop_front().expect("there are more").position;
            self.floors.insert(shard, index);
        }
    }

    fn position_of(&self, shard: ShardNumber) -> Position {
        Position { shard, index: self.positions.get(&shard).copied().unwrap_or_default() }
    }
}

impl MemoryRows {
    fn looked(&mut self, shard: ShardNumber, found: bool, ended: bool) {
        let at = self.table.contents.borrow().position_of(shard);
        let lane = &mut self.progress[shard.0 as usize];
        lane.looks(at);
        if found {
            lane.finds(!ended);
        }
        lane.ended = ended;
    }

    fn next_entries(&mut self, want: usize) -> Result<Vec<Entry>> {
        let in_shards = self.access.order == Order::AscendingInShards;
        let mut found = self.table.found(&self.access)?;
        let whole = self.access.order == Order::Descending || matches!(self.access.keys, Keys::Each(_));
        if !whole {
            let shard = self.shard;
            found.retain(|(_, key, _)| !in_shards || shard_of(key) == shard);
            found.retain(|(value, key, _)| self.last.as_ref().is_none_or(|last| (value, key) > (&last.0, &last.1)));
            found.truncate(want);
            self.last = found.last().map(|(value, key, _)| (value.clone(), key.clone()));
        }
        // As of a table: who gets less than was asked for knows that it was the last.
        let ended = whole || found.len() < want;
        if in_shards {
            self.looked(self.shard, !found.is_empty(), ended);
            self.ended = ended && self.shard.0 + 1 == SHARDS.get();
            if ended && !self.ended {
                (self.shard, self.last) = (ShardNumber(self.shard.0 + 1), None);
            }
        } else {
            for shard in shards() {
                let has_some = found.iter().any(|(_, key, _)| shard_of(key) == shard);
                self.looked(shard, has_some, ended);
            }
            self.ended = ended;
        }
        Ok(found)
    }
}

impl Rows for MemoryRows {
    fn next_batch(&mut self, want: usize) -> Result<Vec<Row>> {
        let mut found = Vec::new();
        while found.is_empty() && !self.ended {
            found = self.next_entries(want.max(1))?;
        }
        ROWS_GIVEN.set(ROWS_GIVEN.get() + found.len());
        let secondary = self.access.index.is_some();
        let contents = self.table.contents.borrow();
        let row = |(value, key, document)| {
            let shard = shard_of(&key);
            let (lane, position) = (shard.0 as usize, contents.position_of(shard));
            Row { document, index_value: secondary.then_some(value), lane, position }
        };
        Ok(found.into_iter().map(row).collect())
    }

    fn progress(&self) -> &[Progress] {
        &self.progress
    }

    fn is_at_end(&self) -> bool {
        self.ended
    }
}

struct MemorySubscription {
    sources: Vec<Source>,
    queue: Rc<RefCell<VecDeque<Change>>>,
}

impl Subscription for MemorySubscription {
    fn next(&mut self) -> Result<Vec<Change>> {
        loop {
            let changes = self.try_next()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            fiber::yield_now();
        }
    }

    fn try_next(&mut self) -> Result<Vec<Change>> {
        Ok(self.queue.borrow_mut().drain(..).collect())
    }

    fn sources(&self) -> Vec<Source> {
        self.sources.clone()
    }
}
