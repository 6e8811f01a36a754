//! A catalog in memory: one database, tables made on demand, no users but those a test names.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use photondb_query::catalog::{
    Catalog, Dropped, EmergencyRepair, Grants, IndexSpec, Layout, PermissionChange, PermissionScope, Readiness,
    Rebalanced, Reconfigured, TableOptions, TableSpec, UserPermissions, WriteHook,
};
use photondb_query::table::{IndexInfo, Table, TableInfo};
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Db, stored::compile_hook};

use super::table::{Contents, MemoryTable};

#[derive(Default)]
pub struct MemoryCatalog {
    tables: RefCell<BTreeMap<Str, Stored>>,
    pub users: RefCell<BTreeMap<String, UserPermissions>>,
    created: Cell<u32>,
}

#[derive(Clone)]
struct Stored {
    id: Str,
    primary_key: Str,
    hook: Option<WriteHook>,
    contents: Rc<RefCell<Contents>>,
}

fn absent() -> Error {
    Error::op_failed("The double does not do this.")
}

impl MemoryCatalog {
    /// Of the changes of a table only so many are kept.
    #[allow(dead_code, reason = "not every suite has feeds that go on")]
    pub fn trim(&self, table: &str, keep: usize) {
        self.tables.borrow()[&Str::from(table)].contents.borrow_mut().trim(keep);
    }

    fn with<T>(&self, table: &TableInfo, change: impl FnOnce(&mut Stored) -> T) -> Result<T> {
        let mut tables = self.tables.borrow_mut();
        let stored = tables.get_mut(&table.name).ok_or_else(|| Error::op_failed("gone"))?;
        Ok(change(stored))
    }
}

impl Catalog for MemoryCatalog {
    fn databases(&self) -> Result<Vec<Db>> {
        Ok(vec![self.database("test")?, self.database("rethinkdb")?])
    }

    fn database(&self, name: &str) -> Result<Db> {
        match name {
            "test" | "rethinkdb" => Ok(Db { id: Str::from(format!("id of {name}")), name: Str::from(name) }),
            _ => Err(Error::op_failed(format!("Database `{name}` does not exist."))),
        }
    }

    fn tables(&self, _db: &Db) -> Result<Vec<Str>> {
        Ok(self.tables.borrow().keys().cloned().collect())
    }

    fn table(&self, db: &Db, name: &str, _options: &TableOptions) -> Result<Rc<dyn Table>> {
        let stored = self.tables.borrow().get(name).cloned();
        let missing = || Error::op_failed(format!("Table `{}.{name}` does not exist.", db.name));
        let stored = stored.ok_or_else(missing)?;
        let write_hook = stored.hook.map(|hook| compile_hook(&hook.definition)).transpose()?;
        let info = TableInfo {
            id: stored.id,
            name: Str::from(name),
            db_id: db.id.clone(),
            db_name: db.name.clone(),
            primary_key: stored.primary_key,
            write_hook,
            system: false,
        };
        Ok(Rc::new(MemoryTable { info, contents: stored.contents }))
    }

    fn create_database(&self, _name: &str) -> Result<Datum> {
        Err(absent())
    }

    fn drop_database(&self, _db: &Db) -> Result<Dropped> {
        Err(absent())
    }

    fn create_table(&self, _db: &Db, name: &str, spec: &TableSpec) -> Result<Datum> {
        self.created.set(self.created.get() + 1);
        let id = Str::from(format!("00000000-0000-4000-8000-0000{:08x}", self.created.get()));
        let stored = Stored { id, primary_key: spec.primary_key.clone(), hook: None, contents: Rc::default() };
        self.tables.borrow_mut().insert(Str::from(name), stored);
        Ok(Datum::Object(Object::from([("name", name)])))
    }

    fn drop_table(&self, table: &TableInfo) -> Result<Datum> {
        self.tables.borrow_mut().remove(&table.name);
        Ok(Datum::Null)
    }

    fn reconfigure(&self, _table: &TableInfo, _layout: &Layout, _dry_run: bool) -> Result<Reconfigured> {
        Err(absent())
    }

    fn emergency_repair(&self, _table: &TableInfo, _mode: EmergencyRepair, _dry_run: bool) -> Result<Reconfigured> {
        Err(absent())
    }

    fn rebalance(&self, _table: &TableInfo) -> Result<Rebalanced> {
        Err(absent())
    }

    fn wait(&self, _table: &TableInfo, _readiness: Readiness, _timeout_seconds: Option<u64>) -> Result<()> {
        Ok(())
    }

    fn create_index(&self, table: &TableInfo, index: &IndexSpec) -> Result<()> {
        let info = IndexInfo {
            name: index.name.clone(),
            ready: true,
            progress: 1.0,
            multi: index.multi,
            geo: index.geo,
            outdated: false,
            definition: index.definition.clone(),
            query: String::new(),
        };
        self.with(table, |stored| {
            stored.contents.borrow_mut().indexes.insert(index.name.clone(), info);
        })
    }

    fn drop_index(&self, table: &TableInfo, name: &str) -> Result<()> {
        self.with(table, |stored| {
            stored.contents.borrow_mut().indexes.remove(name);
        })
    }

    fn rename_index(&self, _table: &TableInfo, _old: &str, _new: &str, _overwrite: bool) -> Result<()> {
        Err(absent())
    }

    fn wait_for_index_progress(&self, _table: &TableInfo) -> Result<()> {
        Ok(())
    }

    fn set_write_hook(&self, table: &TableInfo, hook: Option<WriteHook>) -> Result<Option<WriteHook>> {
        self.with(table, |stored| std::mem::replace(&mut stored.hook, hook))
    }

    fn write_hook(&self, table: &TableInfo) -> Result<Option<WriteHook>> {
        self.with(table, |stored| stored.hook.clone())
    }

    fn permissions(&self, user: &str) -> Result<UserPermissions> {
        let found = self.users.borrow().get(user).cloned();
        found.ok_or_else(|| Error::op_failed(format!("User `{user}` not found.")))
    }

    fn known_permissions(&self, user: &str) -> Result<UserPermissions> {
        self.permissions(user)
    }

    fn grant(
        &self,
        _user: &str,
        _scope: &PermissionScope,
        _change: &PermissionChange,
    ) -> Result<(Option<Grants>, Option<Grants>)> {
        Err(absent())
    }
}
