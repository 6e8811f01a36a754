//! `query::Catalog` over the cluster state.
//!
//! DDL is a command to the cluster state. It is acknowledged when this node's replicas have been brought to a state that
//! holds it, so that the next query finds what it made. Another node may be behind: it has the leader confirm its state before
//! it lists names, shows how something is configured, changes anything, or says that there is nothing of a name. Only a name
//! that it finds is taken as it stands, for reads and writes of documents would else all wait for that leader.

mod compression;
mod cuts;
mod documents;
mod facts;
mod ground;
mod layout;
mod repair;
pub(crate) mod reshape;
mod resize;
#[cfg(test)]
pub(crate) mod samples;
mod scope;
mod status;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::{
    ClusterState, Command, Durability, StateError, Table as StoredTable, TableSettings, WriteAcks,
};
use photondb_proto::{DatabaseId, TableId};
use photondb_query::catalog::{
    Catalog, Dropped, EmergencyRepair, Grants, IdentifierFormat, IndexSpec, Layout, PermissionChange, PermissionScope,
    Readiness, Rebalanced, Reconfigured, SYSTEM_DATABASE, TableOptions, TableSpec, UserPermissions, WriteHook,
};
use photondb_query::table::{Table, TableInfo};
use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::Db;
use photondb_runtime::{fiber, task};
use photondb_storage::fault::buggify;
use rustc_hash::FxHashMap;

use crate::node::{Cluster, Foundation};
use crate::report::Reporter;
use crate::tables::{self, UserTable};

pub(crate) use compression::{shown_compression, stored_compression};
pub(crate) use cuts::new_shards;
pub(crate) use documents::{database, db_config, server, table_config};
pub(crate) use facts::Scratch;
pub use facts::ServerFacts;
pub(crate) use ground::{Failure, Ground};
pub(crate) use layout::place;
use reshape::Wanted;
pub(crate) use resize::Resize;
pub(crate) use scope::{grants, shown_scope, stored_change, stored_scope};
pub(crate) use status::{Overview, status_of};

/// The id of the database of system tables; RethinkDB derives it from the name.
pub(crate) const SYSTEM_DATABASE_ID: &str = "b99b9572-8e53-5fef-9a2b-5e6aba3edf1c";

/// How long DDL waits between two looks at what it cannot be told of.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// One client thread's catalog.
pub struct NodeCatalog {
    ground: Rc<Ground>,
    /// Tables that were opened under one state of the cluster.
    opened: RefCell<Opened>,
}

#[derive(Default)]
struct Opened {
    state: Option<Arc<ClusterState>>,
    tables: FxHashMap<Str, FxHashMap<Str, Rc<UserTable>>>,
}

impl Opened {
    fn find(&self, state: &Arc<ClusterState>, db: &str, name: &str) -> Option<Rc<UserTable>> {
        self.state.as_ref().filter(|of| Arc::ptr_eq(of, state))?;
        self.tables.get(db)?.get(name).cloned()
    }

    fn keep(&mut self, state: Arc<ClusterState>, db: Str, name: Str, table: Rc<UserTable>) {
        if !self.state.as_ref().is_some_and(|of| Arc::ptr_eq(of, &state)) {
            *self = Opened { state: Some(state), ..Opened::default() };
        }
        self.tables.entry(db).or_default().insert(name, table);
    }
}

impl NodeCatalog {
    /// A catalog over the cluster that the node has joined.
    pub(crate) fn new(
        cluster: &Arc<Cluster>,
        foundation: &Arc<Foundation>,
        facts: &Arc<ServerFacts>,
        reporter: &Arc<Reporter>,
    ) -> NodeCatalog {
        let ground = Ground::new(cluster.clone(), foundation.clone(), facts.clone(), reporter.clone());
        NodeCatalog { ground: Rc::new(ground), opened: RefCell::default() }
    }

    fn user_table(&self, db: &Db, name: &str) -> Result<Rc<UserTable>> {
        let state = self.ground.state();
        let opened = self.opened.borrow().find(&state, &db.id, name);
        if let Some(table) = opened.filter(|_| !buggify!("server/table-opened-anew")) {
            return Ok(table);
        }
        let missing = || no_table(&db.name, name);
        let database: DatabaseId = db.id.parse().map_err(|_| missing())?;
        let stored = match state.table_named(database, name) {
            Some(stored) => stored.clone(),
            // Another node may have made it since.
            None => {
                let (state, database) = self.stored_database(db)?;
                let stored = state.table_named(database, name).ok_or_else(missing)?.clone();
                let id = stored.id;
                self.ground.settle(|state| state.table(id).is_some())?;
                stored
            }
        };
        let state = self.ground.state();
        let table = Rc::new(UserTable::open(&self.ground, &state, &stored)?);
        self.opened.borrow_mut().keep(state, db.id.clone(), Str::from(name), table.clone());
        Ok(table)
    }

    /// The table as it was acknowledged last. Where it was dropped and made again elsewhere, this node may have found the old
    /// one by its name: the name counts then.
    fn stored(&self, table: &TableInfo) -> Result<(Arc<ClusterState>, Arc<StoredTable>)> {
        let state = self.ground.newest_state()?;
        let id: Option<TableId> = table.id.parse().ok();
        let by_name = || state.table_named(state.database_named(&table.db_name)?.id, &table.name).cloned();
        match id.and_then(|id| state.table(id).cloned()).or_else(by_name) {
            Some(stored) => Ok((state, stored)),
            None => Err(no_table(&table.db_name, &table.name)),
        }
    }

    /// The same of a database.
    fn stored_database(&self, db: &Db) -> Result<(Arc<ClusterState>, DatabaseId)> {
        let state = self.ground.newest_state()?;
        let id: Option<DatabaseId> = db.id.parse().ok();
        let found = id.and_then(|id| state.database(id)).or_else(|| state.database_named(&db.name));
        match found.map(|database| database.id) {
            Some(id) => Ok((state, id)),
            None => Err(no_database(&db.name)),
        }
    }

    fn config_of(&self, id: TableId) -> Datum {
        let state = self.ground.state();
        state.table(id).map_or(Datum::Null, |table| table_config(&state, table, Default::default()))
    }
}

/// What a user may do according to a state.
fn permissions_in(state: &ClusterState, user: &str) -> Result<UserPermissions> {
    if state.user(user).is_none() {
        return Err(Error::op_failed(format!("User `{user}` not found.")));
    }
    let mut found = UserPermissions { admin: user == photondb_cluster_state::ADMIN, ..UserPermissions::default() };
    for (_, scope, permissions) in state.permissions().filter(|(of, _, _)| *of == user) {
        let grants = grants(permissions);
        match shown_scope(scope) {
            PermissionScope::Global => found.global = grants,
            PermissionScope::Database(db) => found.databases.push((db, grants)),
            PermissionScope::Table(db, table) => found.tables.push((db, table, grants)),
        }
    }
    Ok(found)
}

fn no_table(db: &str, name: &str) -> Error {
    Error::op_failed(format!("Table `{db}.{name}` does not exist."))
}

fn no_database(name: &str) -> Error {
    Error::op_failed(format!("Database `{name}` does not exist."))
}

fn system_database() -> Db {
    Db { id: Str::from_static(SYSTEM_DATABASE_ID), name: Str::from_static(SYSTEM_DATABASE) }
}

impl Catalog for NodeCatalog {
    fn databases(&self) -> Result<Vec<Db>> {
        let state = self.ground.newest_state()?;
        let mut found: Vec<Db> = state
            .databases()
            .map(|database| Db { id: Str::from(database.id.to_string()), name: Str::from(database.name.as_str()) })
            .collect();
        found.push(system_database());
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn database(&self, name: &str) -> Result<Db> {
        if name == SYSTEM_DATABASE {
            return Ok(system_database());
        }
        let state = self.ground.state();
        let id = match state.database_named(name).filter(|_| !buggify!("server/name-looked-up-at-leader")) {
            Some(found) => found.id,
            // Another node may have made it since.
            None => self.ground.newest_state()?.database_named(name).ok_or_else(|| no_database(name))?.id,
        };
        Ok(Db { id: Str::from(id.to_string()), name: Str::from(name) })
    }

    fn tables(&self, db: &Db) -> Result<Vec<Str>> {
        if db.name == SYSTEM_DATABASE {
            return Ok(tables::system::listed().map(Str::from).collect());
        }
        let (state, id) = self.stored_database(db)?;
        Ok(state.tables_of(id).map(|table| Str::from(table.name.as_str())).collect())
    }

    fn table(&self, db: &Db, name: &str, options: &TableOptions) -> Result<Rc<dyn Table>> {
        if db.name == SYSTEM_DATABASE {
            return tables::system::open(&self.ground, name, options).ok_or_else(|| no_table(&db.name, name));
        }
        Ok(self.user_table(db, name)?)
    }

    fn create_database(&self, name: &str) -> Result<Datum> {
        if name == SYSTEM_DATABASE {
            return Err(Error::op_failed(format!("Database `{name}` already exists.")));
        }
        let id = DatabaseId(self.ground.random_id());
        self.ground.propose(Command::CreateDatabase { id, name: name.to_owned() })?;
        Ok(db_config(&id.to_string(), name))
    }

    fn drop_database(&self, db: &Db) -> Result<Dropped> {
        let (state, id) = self.stored_database(db)?;
        let tables = state.tables_of(id).count() as u64;
        self.ground.propose(Command::DropDatabase { id })?;
        self.ground.settle(|state| state.database(id).is_none())?;
        Ok(Dropped { config: db_config(&db.id, &db.name), tables })
    }

    fn create_table(&self, db: &Db, name: &str, spec: &TableSpec) -> Result<Datum> {
        let (state, database) = self.stored_database(db)?;
        if state.table_named(database, name).is_some() {
            return Err(Error::op_failed(format!("Table `{}.{name}` already exists.", db.name)));
        }
        let placements = layout::place(&state, &spec.layout, None, &self.ground.burdens())?;
        let id = TableId(self.ground.random_id());
        self.ground.propose(Command::CreateTable {
            id,
            database,
            name: name.to_owned(),
            primary_key: spec.primary_key.to_string(),
            durability: if spec.soft { Durability::Soft } else { Durability::Hard },
            write_acks: WriteAcks::Majority,
            shards: cuts::new_shards(&placements),
            compression: stored_compression(spec.compression),
        })?;
        self.ground.settle_table(id, |state| state.table(id).is_some())?;
        Ok(self.config_of(id))
    }

    fn drop_table(&self, table: &TableInfo) -> Result<Datum> {
        let (state, stored) = self.stored(table)?;
        let config = table_config(&state, &stored, Default::default());
        let id = stored.id;
        self.ground.propose(Command::DropTable { id })?;
        self.ground.settle(|state| state.table(id).is_none())?;
        Ok(config)
    }

    fn reconfigure(&self, table: &TableInfo, layout: &Layout, dry_run: bool) -> Result<Reconfigured> {
        let (state, stored) = self.stored(table)?;
        let id = stored.id;
        let plan = |state: &ClusterState, stored: &Arc<StoredTable>| {
            let opened = UserTable::open(&self.ground, state, stored)?;
            let staying = resize::staying(stored, opened.shards(), layout.shards as usize)?;
            let placements = layout::place(state, layout, Some(&staying), &self.ground.burdens())?;
            Resize::plan(stored, opened.shards(), placements)
        };
        let config_in = |state: &ClusterState| {
            state.table(id).map_or(Datum::Null, |table| table_config(state, table, Default::default()))
        };
        // As in RethinkDB, a reconfiguration takes these back to what is safe.
        let settings = TableSettings {
            durability: Some(Durability::Hard),
            write_acks: Some(WriteAcks::Majority),
            flush_interval_ms: None,
            compression: None,
            change_log_bytes: None,
        };
        let wanted = Wanted { named: None, settings };
        if dry_run {
            let tried = reshape::try_out(&self.ground, id, &wanted, plan).map_err(Failure::into_error)?;
            return Ok(Reconfigured { config: (config_in(&tried.before), config_in(&tried.after)), status: None });
        }
        let before = status_of(&self.ground, &state, &stored, Default::default());
        let done = reshape::carry_out(&self.ground, id, &wanted, plan).map_err(Failure::into_error)?;
        let (state, stored) = done.carried_out(self.stored(table))?;
        let after = status_of(&self.ground, &state, &stored, Default::default());
        Ok(Reconfigured { config: (config_in(&done.before), self.config_of(id)), status: Some((before, after)) })
    }

    fn emergency_repair(&self, table: &TableInfo, mode: EmergencyRepair, dry_run: bool) -> Result<Reconfigured> {
        repair::needs_state(&self.ground)?;
        let (state, stored) = self.stored(table)?;
        let command = repair::plan(&self.ground, &state, &stored, mode)?;
        let planned = state.applied(&command).map_err(|refused| Failure::Refused(refused).into_error())?.0;
        let config_of =
            |state: &ClusterState, table: &StoredTable| table_config(state, table, IdentifierFormat::default());
        let wanted = planned.table(stored.id).map(|table| config_of(&planned, table)).unwrap_or(Datum::Null);
        let config = (config_of(&state, &stored), wanted);
        if dry_run {
            return Ok(Reconfigured { config, status: None });
        }
        let before = status_of(&self.ground, &state, &stored, IdentifierFormat::default());
        repair::carry_out(&self.ground, stored.id, command)?;
        let (state, stored) = reshape::accepted(self.stored(table))?;
        let after = status_of(&self.ground, &state, &stored, IdentifierFormat::default());
        Ok(Reconfigured { config, status: Some((before, after)) })
    }

    fn rebalance(&self, table: &TableInfo) -> Result<Rebalanced> {
        let (state, stored) = self.stored(table)?;
        let plan = |state: &ClusterState, stored: &Arc<StoredTable>| {
            let opened = UserTable::open(&self.ground, state, stored)?;
            Resize::rebalance(stored, opened.shards())
        };
        let before = status_of(&self.ground, &state, &stored, Default::default());
        let done =
            reshape::carry_out(&self.ground, stored.id, &Wanted::default(), plan).map_err(Failure::into_error)?;
        let (state, stored) = done.carried_out(self.stored(table))?;
        let after = status_of(&self.ground, &state, &stored, Default::default());
        Ok(Rebalanced { status: (before, after) })
    }

    fn wait(&self, table: &TableInfo, readiness: Readiness, timeout_seconds: Option<u64>) -> Result<()> {
        let (_, stored) = self.stored(table)?;
        self.ground.wait_for_replicas(stored.id, readiness, timeout_seconds.map(Duration::from_secs))
    }

    fn create_index(&self, table: &TableInfo, index: &IndexSpec) -> Result<()> {
        let (_, stored) = self.stored(table)?;
        let (id, name) = (stored.id, index.name.to_string());
        self.ground.propose(Command::CreateIndex {
            table: id,
            name: name.clone(),
            definition: index.definition.clone(),
            multi: index.multi,
            geo: index.geo,
        })?;
        self.ground.settle_table(id, |state| state.table(id).is_none_or(|table| table.index(&name).is_some()))
    }

    fn drop_index(&self, table: &TableInfo, name: &str) -> Result<()> {
        let (_, stored) = self.stored(table)?;
        let id = stored.id;
        match self.ground.propose_raw(Command::DropIndex { table: id, name: name.to_owned() }) {
            Ok(_) => {
                self.ground.settle_table(id, |state| state.table(id).is_none_or(|table| table.index(name).is_none()))
            }
            Err(Failure::Refused(StateError::IndexNotFound { .. })) => {
                let (db, table) = (&table.db_name, &table.name);
                Err(Error::op_failed(format!("Index `{name}` does not exist on table `{db}.{table}`.")))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    fn rename_index(&self, table: &TableInfo, old: &str, new: &str, overwrite: bool) -> Result<()> {
        let (_, stored) = self.stored(table)?;
        if old == new && stored.index(old).is_some() {
            return Ok(());
        }
        let id = stored.id;
        let command = Command::RenameIndex { table: id, from: old.to_owned(), to: new.to_owned(), overwrite };
        match self.ground.propose_raw(command) {
            Ok(_) => self.ground.settle_table(id, |state| {
                state.table(id).is_none_or(|table| table.index(old).is_none() && table.index(new).is_some())
            }),
            Err(Failure::Refused(StateError::IndexNotFound { .. } | StateError::IndexExists { .. })) => {
                let (db, table) = (&table.db_name, &table.name);
                Err(Error::op_failed(if overwrite {
                    format!("Index `{old}` does not exist on table `{db}.{table}`.")
                } else {
                    format!("Index `{old}` does not exist or index `{new}` already exists on table `{db}.{table}`.")
                }))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    fn wait_for_index_progress(&self, table: &TableInfo) -> Result<()> {
        let id: Option<TableId> = table.id.parse().ok();
        if id.is_none_or(|id| self.ground.state().table(id).is_none()) {
            return Err(no_table(&table.db_name, &table.name));
        }
        fiber::wait(task::sleep(LOOK_EVERY));
        Ok(())
    }

    fn set_write_hook(&self, table: &TableInfo, hook: Option<WriteHook>) -> Result<Option<WriteHook>> {
        let (_, stored) = self.stored(table)?;
        let before = stored.write_hook.clone().map(|definition| WriteHook { definition });
        let (id, wanted) = (stored.id, hook.map(|hook| hook.definition));
        self.ground.propose(Command::SetWriteHook { table: id, hook: wanted.clone() })?;
        self.ground.settle_table(id, |state| state.table(id).is_none_or(|table| table.write_hook == wanted))?;
        Ok(before)
    }

    fn write_hook(&self, table: &TableInfo) -> Result<Option<WriteHook>> {
        if table.system {
            return Ok(None);
        }
        let (_, stored) = self.stored(table)?;
        Ok(stored.write_hook.clone().map(|definition| WriteHook { definition }))
    }

    fn permissions(&self, user: &str) -> Result<UserPermissions> {
        let state = self.ground.newest_state()?;
        permissions_in(&state, user)
    }

    fn permissions_heard(&self, user: &str) -> Result<UserPermissions> {
        permissions_in(&self.ground.state(), user)
    }

    fn grant(
        &self,
        user: &str,
        scope: &PermissionScope,
        change: &PermissionChange,
    ) -> Result<(Option<Grants>, Option<Grants>)> {
        let stored = stored_scope(scope)?;
        let at = |state: &ClusterState| Some(grants(state.permissions_at(user, stored))).filter(|at| !at.is_empty());
        let before = at(&*self.ground.newest_state()?);
        self.ground.propose(Command::Grant { user: user.to_owned(), scope: stored, change: stored_change(change) })?;
        Ok((before, at(&self.ground.state())))
    }
}
