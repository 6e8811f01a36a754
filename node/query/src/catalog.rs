//! All that a query may ask of the cluster besides data: names, DDL, indexes, hooks, users.
//!
//! The implementation need not check permissions: `query` has asked [`Catalog::permissions`] before it calls. Names it
//! is given are syntactically valid. Calls are synchronous; one that must wait parks the fiber it runs on, and returns
//! only when every node that serves queries for it would see the change.

mod permissions;
mod spec;

use std::rc::Rc;

use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::value::Db;

pub use permissions::{Grants, Permission, PermissionChange, PermissionScope, Scope, UserPermissions};
pub use spec::{
    Compression, Dropped, EmergencyRepair, IndexSpec, Layout, Readiness, Rebalanced, Reconfigured, Replicas, TableSpec,
    WriteHook,
};

use crate::table::{Table, TableInfo};

/// The database of system tables.
pub const SYSTEM_DATABASE: &str = "rethinkdb";

/// How system tables name servers, databases and tables inside documents (`identifier_format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentifierFormat {
    /// By name.
    #[default]
    Name,
    /// By UUID.
    Uuid,
}

/// For whom and how a table is opened.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// For system tables.
    pub identifier_format: IdentifierFormat,
    /// The user: `jobs` shows others only their own queries, `table_config` checks what a write touches.
    pub user: Str,
}

/// The cluster's names and definitions. Errors carry RethinkDB's texts, with kind `OpFailed` unless stated otherwise.
pub trait Catalog {
    /// Every database, `rethinkdb` included, by name.
    fn databases(&self) -> Result<Vec<Db>>;

    /// The database of that name. Errors: `` Database `x` does not exist. ``
    fn database(&self, name: &str) -> Result<Db>;

    /// The names of a database's tables, ascending.
    fn tables(&self, db: &Db) -> Result<Vec<Str>>;

    /// A table. Errors: `` Table `d.t` does not exist. ``
    fn table(&self, db: &Db, name: &str, options: &TableOptions) -> Result<Rc<dyn Table>>;

    /// Creates a database and gives its `db_config` document. Errors: it exists.
    fn create_database(&self, name: &str) -> Result<Datum>;

    /// Drops a database and its tables. Errors: it is `rethinkdb`, or gone.
    fn drop_database(&self, db: &Db) -> Result<Dropped>;

    /// Creates a table, waits until it can be written, and gives its `table_config` document. Errors: it exists; the
    /// layout asks for more servers than there are.
    fn create_table(&self, db: &Db, name: &str, spec: &TableSpec) -> Result<Datum>;

    /// Drops a table and gives the `table_config` document it had.
    fn drop_table(&self, table: &TableInfo) -> Result<Datum>;

    /// Gives a table another layout, or with `dry_run` only says what would change.
    fn reconfigure(&self, table: &TableInfo, layout: &Layout, dry_run: bool) -> Result<Reconfigured>;

    /// Repairs a table that has lost a majority. Errors: it has not.
    fn emergency_repair(&self, table: &TableInfo, mode: EmergencyRepair, dry_run: bool) -> Result<Reconfigured>;

    /// Spreads a table's documents evenly over its shards.
    fn rebalance(&self, table: &TableInfo) -> Result<Rebalanced>;

    /// Waits until the table is as ready as `readiness`. Errors: `Timed out while waiting for tables.` after
    /// `timeout_seconds`; it is gone.
    fn wait(&self, table: &TableInfo, readiness: Readiness, timeout_seconds: Option<u64>) -> Result<()>;

    /// Defines a secondary index; it is built afterwards. Errors: it exists.
    fn create_index(&self, table: &TableInfo, index: &IndexSpec) -> Result<()>;

    /// Drops an index. Errors: no such index.
    fn drop_index(&self, table: &TableInfo, name: &str) -> Result<()>;

    /// Renames an index, over another one if `overwrite`. Errors: the one is not there, or the other is.
    fn rename_index(&self, table: &TableInfo, old: &str, new: &str, overwrite: bool) -> Result<()>;

    /// Parks until something about the table's indexes may have changed: what `index_wait` does between two looks.
    fn wait_for_index_progress(&self, table: &TableInfo) -> Result<()>;

    /// Sets or removes the write hook; gives the one there was.
    fn set_write_hook(&self, table: &TableInfo, hook: Option<WriteHook>) -> Result<Option<WriteHook>>;

    /// The write hook.
    fn write_hook(&self, table: &TableInfo) -> Result<Option<WriteHook>>;

    /// What a user may do. Errors: `` User `x` not found. ``
    fn permissions(&self, user: &str) -> Result<UserPermissions>;

    /// The same as far as this server knows it without asking another: what a feed can look at again and again, and while the others
    /// cannot be reached.
    fn known_permissions(&self, user: &str) -> Result<UserPermissions>;

    /// Changes what a user may do in one scope; gives the scope's grants before and after, `None` when there are none.
    /// Errors: no such user; `admin` cannot be changed.
    fn grant(
        &self,
        user: &str,
        scope: &PermissionScope,
        change: &PermissionChange,
    ) -> Result<(Option<Grants>, Option<Grants>)>;
}
