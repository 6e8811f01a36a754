//! All that a query may ask of data. `query` cannot tell a local shard from a remote one, nor a system table from a user's.
//!
//! Calls are synchronous; an implementation that must wait parks the fiber it runs on.

use std::sync::Arc;

use photondb_proto::KeyRange;
use photondb_reql::datum::{Datum, Str};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, Func, Glance};
use photondb_reql::geo::CellRanges;

/// One table at one moment's schema. Cheap to clone behind its `Rc`.
pub trait Table {
    /// What the table is.
    fn info(&self) -> &TableInfo;

    /// The document with this primary key. Errors: the key cannot be one.
    fn get(&self, key: &Datum, mode: ReadMode) -> Result<Option<Datum>>;

    /// Starts reading documents. Errors: no such index, or it is not built yet.
    fn scan(&self, access: &Access, mode: ReadMode) -> Result<Box<dyn Rows>>;

    /// How many rows [`Table::scan`] would give, without reading them; `None`: it must be counted by reading.
    fn count(&self, access: &Access, mode: ReadMode) -> Result<Option<u64>>;

    /// How many documents each shard has, where the table has shards; `None`: it has none.
    fn count_by_shard(&self, _mode: ReadMode) -> Result<Option<Vec<u64>>> {
        Ok(None)
    }

    /// How many documents have no entry in a secondary index, all counted at one moment; `None`: not known, or the index may
    /// file a document more than once.
    fn left_out(&self, index: &str, mode: ReadMode) -> Result<Option<u64>>;

    /// Applies writes in order; each is atomic for its document. One result for each, in order.
    fn write(&self, writes: Vec<Write>, options: &WriteOptions, cx: &Cx) -> Result<Vec<WriteResult>>;

    /// Waits until everything acknowledged is durable.
    fn sync(&self) -> Result<()>;

    /// Begins to listen: every change committed after this call is given, in order for each document.
    fn subscribe(&self) -> Result<Box<dyn Subscription>>;

    /// The same from where an earlier subscription stood, of which `from` are all sources at one moment: every change behind that is
    /// given, in order for each document. Errors: some of these changes are no longer kept; the table has never come so far.
    fn subscribe_from(&self, _from: &[Source]) -> Result<Box<dyn Subscription>> {
        Err(Error::logic("The changes of this table are not kept."))
    }

    /// The indexes, by name.
    fn indexes(&self) -> Result<Vec<IndexInfo>>;
}

/// What a table is.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// Its UUID as text.
    pub id: Str,
    /// Its name.
    pub name: Str,
    /// Its database's UUID as text.
    pub db_id: Str,
    /// Its database's name.
    pub db_name: Str,
    /// The field that is the primary key.
    pub primary_key: Str,
    /// The write hook, compiled: called with context, old and new value.
    pub write_hook: Option<Func>,
    /// Whether it is one of the database `rethinkdb`.
    pub system: bool,
}

impl TableInfo {
    /// The error for an index that is not there.
    pub fn no_such_index(&self, index: &str) -> Error {
        Error::op_failed(format!("Index `{index}` was not found on table `{}.{}`.", self.db_name, self.name))
    }

    /// The error for an index that is still being built.
    pub fn index_not_ready(&self, index: &str) -> Error {
        Error::op_failed(format!(
            "Index `{index}` on table `{}.{}` was accessed before its construction was finished.",
            self.db_name, self.name
        ))
    }
}

/// `read_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// Linearizable.
    #[default]
    Single,
    /// Linearizable.
    Majority,
    /// May lag behind.
    Outdated,
}

/// In which order rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// In any.
    #[default]
    Any,
    /// Lowest key first.
    Ascending,
    /// Highest key first.
    Descending,
    /// Lowest key first within each shard, one shard after the other as it comes, and nothing read ahead of what is given.
    AscendingInShards,
}

/// Which rows, by which tree.
#[derive(Clone, Debug)]
pub struct Access {
    /// A secondary index; `None`: the primary key.
    pub index: Option<Str>,
    /// Which keys.
    pub keys: Keys,
    /// In which order.
    pub order: Order,
}

/// Which keys of the tree.
#[derive(Clone, Debug)]
pub enum Keys {
    /// A range.
    Range(DatumRange),
    /// These, each as often as it is named (`get_all`).
    Each(Vec<Datum>),
    /// Of a geospatial index: each geometry that has a cell among these, once.
    Cells(Arc<CellRanges>),
}

/// A range of keys in ReQL's order. `MinVal` and `MaxVal` are unbounded.
#[derive(Clone, Debug)]
pub struct DatumRange {
    /// The lower bound.
    pub left: Datum,
    /// Whether the range holds its lower bound.
    pub left_closed: bool,
    /// The upper bound.
    pub right: Datum,
    /// Whether the range holds its upper bound.
    pub right_closed: bool,
}

impl DatumRange {
    /// Every key.
    pub fn all() -> DatumRange {
        DatumRange { left: Datum::MinVal, left_closed: true, right: Datum::MaxVal, right_closed: true }
    }

    /// Whether no key can lie in it.
    pub fn is_empty(&self) -> bool {
        self.left > self.right || (self.left == self.right && !(self.left_closed && self.right_closed))
    }

    /// Whether `key` lies in it.
    pub fn contains(&self, key: &Datum) -> bool {
        let above = if self.left_closed { *key >= self.left } else { *key > self.left };
        above && if self.right_closed { *key <= self.right } else { *key < self.right }
    }
}

/// A scan in progress. Each batch is read from one snapshot; later batches from later ones.
pub trait Rows {
    /// About `want` rows; none only at the end.
    fn next_batch(&mut self, want: usize) -> Result<Vec<Row>>;

    /// The same without the rows of which a glance at the document is all that is wanted; `examined` is 0 only at the end.
    fn glance_batch(&mut self, want: usize, glance: &mut Glance<'_>) -> Result<Glanced> {
        let mut rows = self.next_batch(want)?;
        let examined = rows.len();
        rows.retain(|row| !glance(row.document.node()));
        Ok(Glanced { rows, examined })
    }

    /// Its lanes, and how far each has been read: from the beginning on all that there are. A lane keeps its number; one that is cut
    /// keeps its lower keys, and others, at the end, get the rest. Every key that can be in the scan is one lane's.
    fn progress(&self) -> &[Progress];

    /// Whether it is known that no row comes behind the last batch: what is written later than its snapshot is not given.
    fn is_at_end(&self) -> bool;

    /// About how many bytes of memory it keeps between two batches, if that is more than a little.
    fn held_bytes(&self) -> usize {
        0
    }
}

/// What a glance at some rows left.
#[derive(Debug, Default)]
pub struct Glanced {
    /// The rows of which more is wanted.
    pub rows: Vec<Row>,
    /// How many were looked at.
    pub examined: usize,
}

/// One row of a scan.
#[derive(Clone, Debug)]
pub struct Row {
    /// The document.
    pub document: Datum,
    /// The value it has in the index it was found by; `None` for the primary key.
    pub index_value: Option<Datum>,
    /// By which lane it came: its place in [`Rows::progress`].
    pub lane: usize,
    /// The snapshot that it was read from.
    pub position: Position,
}

/// A shard, by a number that no other shard ever has. What has no shards is one of number zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardNumber(pub u64);

/// How far a shard has applied its log. Indexes of one shard are ordered. All that ever happens to one key is ordered by index, whosever
/// the key is by then: a shard that is cut off from another goes on behind the entry that did so, and one that another shard joins goes
/// on behind the end of both. Otherwise indexes of two shards have nothing to do with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Whose log.
    pub shard: ShardNumber,
    /// The last entry.
    pub index: u64,
}

/// How far a scan has read one lane: a range of primary keys that are read of one shard together. A shard that has them may be split or
/// joined meanwhile; what the lane was read of by then stays read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its keys, encoded.
    pub keys: KeyRange,
    /// The lane that it was cut from, if it was: all that was read of that one by then, of these keys, was read of this one.
    pub of: Option<usize>,
    /// Of which shard it was read last.
    pub shard: ShardNumber,
    /// From which snapshots; `None`: it was not read yet.
    pub snapshots: Option<Snapshots>,
    /// Some of what lies behind the last row was read already: in no snapshot older than this one, and nothing was found there.
    pub blank: Option<u64>,
    /// Nothing more of it is given.
    pub ended: bool,
}

/// The snapshots that a lane was read from, by their indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// The oldest one.
    pub first: u64,
    /// The oldest one that shows some of what lies between the rows of the last batch and those before: looks that find nothing may come
    /// between them.
    pub since: u64,
    /// The newest one. All rows that come are of no older one.
    pub last: u64,
}

impl Progress {
    /// A lane that was not read yet.
    pub fn ahead(keys: KeyRange, shard: ShardNumber) -> Progress {
        Progress { keys, of: None, shard, snapshots: None, blank: None, ended: false }
    }

    /// The lane is looked at, in a snapshot of the shard; no row is found yet.
    pub fn looks(&mut self, at: Position) {
        let Position { shard, index } = at;
        let (first, since) = (self.snapshots.map_or(index, |read| read.first), self.blank.unwrap_or(index));
        self.snapshots = Some(Snapshots { first, since, last: index });
        (self.shard, self.blank) = (shard, Some(since));
    }

    /// Rows were found there; whether the next look begins right behind the last of them.
    pub fn finds(&mut self, goes_on_behind: bool) {
        self.blank = self.snapshots.map(|read| read.last).filter(|_| !goes_on_behind);
    }
}

/// Where in a shard's changes somebody stands: everything before is known there. Ordered as the changes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// The index of the entry to go on with.
    pub index: u64,
    /// How many of its changes are known already.
    pub given: u32,
}

impl Standing {
    /// Behind all changes of the entry.
    pub fn behind(index: u64) -> Standing {
        Standing { index: index.saturating_add(1), given: 0 }
    }
}

/// A shard that a subscription listens to, and where it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which one.
    pub shard: ShardNumber,
    /// How far.
    pub standing: Standing,
    /// In the log of which of the shard's groups: zero for the first, a number of its own for each that took the place of another because that
    /// one was lost (`emergency_repair`). With a group the places in its log end.
    pub group: u64,
}

/// A shard was cut off from another while somebody listened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Whose keys they were, and the entry of its log that cut them off.
    pub of: Position,
    /// Whose keys they are.
    pub to: ShardNumber,
}

/// A shard became part of another while somebody listened: it tells nothing more, and everything that it told came before the other one
/// told what happened to its keys then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// Whose keys they are, and the entry of its log that joined them.
    pub into: Position,
    /// Whose keys they were.
    pub of: ShardNumber,
    /// The index of the last entry of its log.
    pub end: u64,
}

/// One document's write.
#[derive(Clone)]
pub struct Write {
    /// The primary key of the document.
    pub key: Datum,
    /// What becomes of it.
    pub transition: Transition,
}

/// What becomes of a document. Evaluated by the leader's proposer on the document as it is then; see `write::apply`.
#[derive(Clone)]
pub enum Transition {
    /// `insert`: the document goes in; when there is one, `conflict` decides.
    Insert { document: Datum, conflict: Conflict },
    /// `update`: what the function gives is merged into the document.
    Update(Func),
    /// `replace`: what the function gives takes its place; `null` deletes.
    Replace(Func),
    /// `delete`.
    Delete,
}

/// What `insert` does when the key exists.
#[derive(Clone)]
pub enum Conflict {
    /// Refuses.
    Error,
    /// The new one takes the old one's place.
    Replace,
    /// The new one is merged into the old one.
    Update,
    /// The function is called with key, old and new document.
    Function(Func),
}

/// How writes are carried out.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// `durability: "soft"` was asked for. Accepted, and served as hard.
    pub soft: bool,
    /// The write hook is not called (`ignore_write_hook`).
    pub ignore_write_hook: bool,
}

/// What became of one write.
#[derive(Clone, Debug)]
pub enum WriteResult {
    /// The document before and after; `Null` where there was or is none. Equal: nothing was written.
    Done { old: Datum, new: Datum },
    /// The write was refused for this document alone; the message goes into `first_error`, the document as it was into
    /// `return_changes: "always"`.
    Refused { error: photondb_reql::error::Error, old: Datum },
}

/// A subscription to a table's changes. It tells those of one key in the order of their positions, whichever shards tell them: of a
/// shard that was cut off nothing before the entry that did so, of one that another has joined nothing behind that before all of the other.
pub trait Subscription {
    /// The next changes, parking the fiber until there is one. Errors: the table is gone, or the reader fell too far behind.
    fn next(&mut self) -> Result<Vec<Change>>;

    /// Changes that are there already, without waiting; may be none.
    fn try_next(&mut self) -> Result<Vec<Change>>;

    /// What it listens to, and where it stands there before its first change is taken; none: nobody can go on where it ends.
    fn sources(&self) -> Vec<Source> {
        Vec::new()
    }

    /// The shards that were cut off from its sources since it began, in the order in which it heard of them; grows.
    fn cuts(&self) -> &[Cut] {
        &[]
    }

    /// The sources that are none any more since others that it listens to have their keys, in that order; grows. Each of them was a source
    /// when it began, or is in [`Subscription::cuts`].
    fn joins(&self) -> &[Join] {
        &[]
    }
}

/// One committed change of one document.
#[derive(Clone, Debug)]
pub struct Change {
    /// The document before; `None`: there was none.
    pub old: Option<Datum>,
    /// The document after; `None`: it was deleted.
    pub new: Option<Datum>,
    /// Where in the shard's log.
    pub position: Position,
    /// Where somebody who knows this change stands in the shard's changes.
    pub then: Standing,
}

/// What `index_status` shows.
#[derive(Clone, Debug)]
pub struct IndexInfo {
    /// Its name.
    pub name: Str,
    /// Built to the end.
    pub ready: bool,
    /// From 0 to 1 while it is built.
    pub progress: f64,
    /// One entry for each element of an array.
    pub multi: bool,
    /// Geospatial.
    pub geo: bool,
    /// Made with another version of the evaluator, and for that being built again.
    pub outdated: bool,
    /// The definition as stored bytes (`reql::format`): what `function` shows, and what `index_create` accepts back.
    pub definition: Vec<u8>,
    /// The definition as RethinkDB prints it.
    pub query: String,
}
