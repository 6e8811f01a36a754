//! The tables of the database `rethinkdb`: documents made from the cluster state and from what the node knows of itself.
//!
//! Each is a [`Contents`]; [`SystemTable`] makes `query::Table` of any of them: reading is listing all documents, a
//! change is evaluated here and handed to the contents document by document, a feed compares two listings.

mod cluster_config;
mod current_issues;
mod db_config;
mod debug;
mod feed;
mod fields;
mod issue;
mod jobs;
mod logs;
mod permissions;
mod photon_issues;
mod photon_nodes;
mod photon_ranges;
mod photon_tables;
mod server_config;
mod server_status;
mod stats;
mod table_config;
mod table_status;
mod users;

use std::rc::Rc;
use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Permission, Scope};
use photondb_proto::KeyRange;
use photondb_query::catalog::{IdentifierFormat, SYSTEM_DATABASE, TableOptions};
use photondb_query::table::{
    Access, IndexInfo, Keys, Order, Position, Progress, ReadMode, Row, Rows, ShardNumber, Subscription, Table,
    TableInfo, Write, WriteOptions, WriteResult,
};
use photondb_query::write;
use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, ErrorKind, Result};
use photondb_reql::eval::Cx;

use crate::catalog::{Ground, SYSTEM_DATABASE_ID};
use feed::{LogFeed, SystemFeed};

/// The primary key of every system table.
const PRIMARY_KEY: &str = "id";

/// What one system table holds, and how it is changed.
trait Contents {
    /// All documents, in any order.
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>>;

    /// The document of that key.
    fn row(&self, viewer: &Viewer<'_>, key: &Datum) -> Result<Option<Datum>> {
        row_in(self.rows(viewer)?, key)
    }

    /// Whether a row that [`Contents::rows`] lists can be asked for by its key.
    fn is_found_by(&self, _viewer: &Viewer<'_>, _key: &Datum) -> bool {
        true
    }

    /// Whether rows show what was agreed upon, and so must hold every change that any node has acknowledged. Others tell how
    /// things are, which has to be seen most of all while nobody leads.
    fn is_agreed(&self) -> bool {
        false
    }

    /// How a feed learns that rows may have changed.
    fn news(&self) -> News {
        News::OfTheState
    }

    /// Makes `new` of `old`; `Null` is none, and both may be. Gives the document as it is shown afterwards. Errors of
    /// kind `Permission` end the query, others are of this document alone.
    fn write(&self, viewer: &Viewer<'_>, _key: &Datum, _old: &Datum, _new: &Datum) -> Result<Datum> {
        Err(Error::op_failed(format!("It's illegal to write to the `{SYSTEM_DATABASE}.{}` table.", viewer.table)))
    }
}

/// The one among `rows` that has this key.
fn row_in(rows: Vec<Datum>, key: &Datum) -> Result<Option<Datum>> {
    for document in rows {
        if document.field(PRIMARY_KEY)? == *key {
            return Ok(Some(document));
        }
    }
    Ok(None)
}

/// How a feed learns that rows may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// The cluster state changes, or `_debug_scratch`.
    OfTheState,
    /// Nobody tells: it looks now and then.
    FromTimeToTime,
    /// Both: what is agreed upon is seen at once, and what servers add to it soon.
    OfTheStateAndFromTimeToTime,
    /// Logs grow; what was forgotten of them is not shown as deleted.
    OfTheLog,
}

/// Who looks at a system table, at what state, and how things are to be named.
struct Viewer<'a> {
    ground: &'a Ground,
    state: Arc<ClusterState>,
    format: IdentifierFormat,
    user: &'a str,
    table: &'static str,
}

impl Viewer<'_> {
    /// Refuses what the user may not configure.
    fn require_config(&self, scope: Scope) -> Result<()> {
        if self.state.may(self.user, Permission::Config, scope) {
            return Ok(());
        }
        Err(Error::permission(format!("User `{}` does not have the required `config` permission.", self.user)))
    }
}

struct Entry {
    name: &'static str,
    /// RethinkDB derives it from the name.
    id: &'static str,
    /// Whether `table_list` shows it: what RethinkDB lists, and no more.
    listed: bool,
    contents: &'static dyn Contents,
}

const fn entry(name: &'static str, id: &'static str, contents: &'static dyn Contents) -> Entry {
    Entry { name, id, listed: true, contents }
}

const fn hidden(name: &'static str, id: &'static str, contents: &'static dyn Contents) -> Entry {
    Entry { name, id, listed: false, contents }
}

/// By name.
const TABLES: &[Entry] = &[
    hidden("_debug_scratch", "cd30ca12-d885-5a1c-9f2b-c7c4d360846d", &debug::Scratch),
    hidden("_debug_stats", "a3c774e7-17a0-539c-84e7-d91100035596", &debug::Stats),
    hidden("_debug_table_status", "59519c39-df02-5737-b9ca-5f516f8c5d7d", &debug::TableStatus),
    entry("cluster_config", "2678573f-3a6c-525b-9bc9-60389f644458", &cluster_config::ClusterConfig),
    entry("current_issues", "5ed95837-774b-5cde-bb9a-09f8b93b1786", &current_issues::CurrentIssues),
    entry("db_config", "77e2a360-e196-5a6e-8a02-341743cfe122", &db_config::DbConfig),
    entry("jobs", "69be2167-342c-5d03-918c-730335195ed2", &jobs::Jobs),
    entry("logs", "3cb0d6bd-57a9-5c7f-b33d-00224d31a18d", &logs::Logs),
    entry("permissions", "c8083c3a-17a1-5451-bf91-47caa60650be", &permissions::PermissionRows),
    hidden("photon_issues", "a9558086-186f-5f67-8eef-8f6612df1e4f", &photon_issues::PhotonIssues),
    hidden("photon_nodes", "ca3aac78-2f91-5aec-8684-257020fa97af", &photon_nodes::PhotonNodes),
    hidden("photon_ranges", "d682693c-6591-5de6-bd7a-5e0e80f0e626", &photon_ranges::PhotonRanges),
    hidden("photon_tables", "eea90935-26f4-5817-a104-e337fbf1096f", &photon_tables::PhotonTables),
    entry("server_config", "528a6285-67b5-5a84-a90d-051a3f44db1c", &server_config::ServerConfig),
    entry("server_status", "63c45d34-1c3a-58f8-8815-d08d028931c4", &server_status::ServerStatus),
    entry("stats", "e078b99f-bbc4-5960-bd94-c74a5826a77d", &stats::Stats),
    entry("table_config", "4c16a05c-fbdd-5cbf-9e28-57d927474b01", &table_config::TableConfig),
    entry("table_status", "bd984e39-2e8b-5ef3-9ca8-cec6a9de24a1", &table_status::TableStatus),
    entry("users", "664a9e0b-8871-51f2-b85c-e0abcb12d3cd", &users::Users),
];

/// The names that `table_list` shows, ascending.
pub(crate) fn listed() -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter(|entry| entry.listed).map(|entry| entry.name)
}

/// Opens one; `None`: there is none of that name.
pub(crate) fn open(ground: &Rc<Ground>, name: &str, options: &TableOptions) -> Option<Rc<dyn Table>> {
    let entry = TABLES.iter().find(|entry| entry.name == name)?;
    let info = TableInfo {
        id: Str::from_static(entry.id),
        name: Str::from_static(entry.name),
        db_id: Str::from_static(SYSTEM_DATABASE_ID),
        db_name: Str::from_static(SYSTEM_DATABASE),
        primary_key: Str::from_static(PRIMARY_KEY),
        write_hook: None,
        system: true,
    };
    let source = Source { ground: ground.clone(), entry, options: options.clone() };
    Some(Rc::new(SystemTable { info, source }))
}

/// Where the documents of one table come from.
#[derive(Clone)]
struct Source {
    ground: Rc<Ground>,
    entry: &'static Entry,
    options: TableOptions,
}

impl Source {
    fn viewer(&self) -> Viewer<'_> {
        Viewer {
            ground: &self.ground,
            state: self.ground.state(),
            format: self.options.identifier_format,
            user: &self.options.user,
            table: self.entry.name,
        }
    }

    /// Brings this node's state to what was acknowledged before, where the table promises that.
    fn catch_up(&self) -> Result<()> {
        if self.entry.contents.is_agreed() {
            self.ground.newest_state()?;
        }
        Ok(())
    }

    /// All documents, by key.
    fn rows(&self) -> Result<Vec<(Datum, Datum)>> {
        let mut rows = Vec::new();
        for document in self.entry.contents.rows(&self.viewer())? {
            rows.push((document.field(PRIMARY_KEY)?, document));
        }
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(rows)
    }

    fn row(&self, key: &Datum) -> Result<Option<Datum>> {
        if !self.entry.contents.is_found_by(&self.viewer(), key) {
            return Ok(None);
        }
        self.entry.contents.row(&self.viewer(), key)
    }
}

/// A system table as a query sees it.
struct SystemTable {
    info: TableInfo,
    source: Source,
}

impl Table for SystemTable {
    fn info(&self) -> &TableInfo {
        &self.info
    }

    fn get(&self, key: &Datum, _mode: ReadMode) -> Result<Option<Datum>> {
        self.source.catch_up()?;
        self.source.row(key)
    }

    fn scan(&self, access: &Access, _mode: ReadMode) -> Result<Box<dyn Rows>> {
        if let Some(index) = &access.index {
            return Err(self.info.no_such_index(index));
        }
        self.source.catch_up()?;
        let mut rows = self.source.rows()?;
        match &access.keys {
            Keys::Range(range) => rows.retain(|(key, _)| range.contains(key)),
            // A system table has no geospatial index.
            Keys::Cells(_) => rows.clear(),
            Keys::Each(keys) => {
                let found = |key: &Datum| {
                    let place = rows.binary_search_by(|(of, _)| of.cmp(key)).ok()?;
                    Some(rows[place].clone())
                };
                rows = keys.iter().filter_map(found).collect();
            }
        }
        if access.order == Order::Descending {
            rows.reverse();
        }
        let rows = rows.into_iter().map(|(_, document)| {
            // Below every position of [`SystemFeed`].
            Row { document, index_value: None, lane: 0, position: Position::default() }
        });
        let mut lane = Progress { ended: true, ..Progress::ahead(KeyRange::all(), ShardNumber::default()) };
        lane.looks(Position::default());
        Ok(Box::new(Listing { rows: rows.collect(), lane: [lane] }))
    }

    fn count(&self, _access: &Access, _mode: ReadMode) -> Result<Option<u64>> {
        Ok(None)
    }

    fn left_out(&self, index: &str, _mode: ReadMode) -> Result<Option<u64>> {
        Err(self.info.no_such_index(index))
    }

    fn write(&self, writes: Vec<Write>, options: &WriteOptions, cx: &Cx) -> Result<Vec<WriteResult>> {
        let mut results = Vec::with_capacity(writes.len());
        self.source.catch_up()?;
        for write in writes {
            let old = self.source.row(&write.key)?.unwrap_or(Datum::Null);
            let done =
                write::apply(&write.transition, &old, self.info.rules(options), &write.key, cx).and_then(|new| {
                    if new == old && !old.is_null() {
                        return Ok(new);
                    }
                    self.source.entry.contents.write(&self.source.viewer(), &write.key, &old, &new)
                });
            results.push(match done {
                Ok(new) => WriteResult::Done { old, new },
                Err(error) if error.kind == ErrorKind::Permission => return Err(error),
                Err(error) => WriteResult::Refused { error, old },
            });
        }
        Ok(results)
    }

    fn sync(&self) -> Result<()> {
        Err(Error::op_failed("Artificial tables don't support `sync()`."))
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>> {
        self.source.catch_up()?;
        Ok(match self.source.entry.contents.news() {
            News::OfTheLog => Box::new(LogFeed::open(self.source.clone())),
            News::OfTheState | News::FromTimeToTime | News::OfTheStateAndFromTimeToTime => {
                Box::new(SystemFeed::open(self.source.clone())?)
            }
        })
    }

    fn indexes(&self) -> Result<Vec<IndexInfo>> {
        Ok(Vec::new())
    }
}

/// Documents that were listed when the scan began.
struct Listing {
    rows: Vec<Row>,
    lane: [Progress; 1],
}

impl Rows for Listing {
    /// All of them at once: a later batch would have to be of a later listing.
    fn next_batch(&mut self, _want: usize) -> Result<Vec<Row>> {
        Ok(std::mem::take(&mut self.rows))
    }

    fn progress(&self) -> &[Progress] {
        &self.lane
    }

    fn is_at_end(&self) -> bool {
        self.rows.is_empty()
    }
}
