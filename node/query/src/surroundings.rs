//! What every part of one query shares: the environment, the query's own time, its permissions, its default database.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::value::Db;
use photondb_reql::eval::{Cx, Node, Scope, Trace, Value, eval};

use crate::catalog::{Permission, SYSTEM_DATABASE, Scope as PermissionOf, UserPermissions};
use crate::environment::Environment;
use crate::mismatch;
use crate::observed::Observed;
use crate::table::TableInfo;

/// The database that `r.table("x")` means when the query names none.
pub(crate) const DEFAULT_DATABASE: &str = "test";

/// Shared by everything one query makes.
pub(crate) struct Surroundings {
    pub environment: Environment,
    /// The global option `db`, not evaluated before it is needed.
    pub default_db: Option<Node>,
    /// When the query began, in microseconds since the epoch.
    pub now_micros: i64,
    /// How many changes a feed holds for a slow reader.
    pub queue_size: usize,
    /// While `default_db` is evaluated.
    in_default_db: Cell<bool>,
    /// Where tasks are noted, when the query asks for its profile.
    pub trace: Option<Trace>,
    /// Whether a filter may read an index in place of its table.
    pub use_index: bool,
    /// Whether anything in the query writes.
    pub writes: bool,
    /// Where reads are counted, when the query is to be explained with what it did.
    pub observed: Option<Observed>,
    permissions: OnceCell<UserPermissions>,
    system: OnceCell<Str>,
}

/// What a query says about how it is to be run.
pub(crate) struct Orders {
    pub default_db: Option<Node>,
    pub queue_size: usize,
    pub trace: Option<Trace>,
    pub use_index: bool,
    pub writes: bool,
    pub observed: Option<Observed>,
}

impl Surroundings {
    pub fn new(environment: Environment, orders: Orders) -> Rc<Surroundings> {
        let now_micros = environment.clock.wall().micros;
        let Orders { default_db, queue_size, trace, use_index, writes, observed } = orders;
        Rc::new(Surroundings {
            environment,
            default_db,
            now_micros,
            queue_size,
            in_default_db: Cell::new(false),
            trace,
            use_index,
            writes,
            observed,
            permissions: OnceCell::new(),
            system: OnceCell::new(),
        })
    }

    /// The database that the query runs against.
    pub fn default_db(&self, cx: &Cx) -> Result<Db> {
        let Some(node) = &self.default_db else { return self.environment.catalog.database(DEFAULT_DATABASE) };
        // `db` may itself name a table without a database, which would ask here for ever.
        if self.in_default_db.replace(true) {
            return Err(Error::logic(
                "The global option `db` names a table of the database that it is to name itself.",
            ));
        }
        let value = eval(node, &Scope::empty(), cx);
        self.in_default_db.set(false);
        match value? {
            Value::Db(db) => Ok(db),
            other => Err(mismatch::expected("DATABASE", &other)),
        }
    }

    /// Whether the user may do everything.
    pub fn is_admin(&self) -> bool {
        &*self.environment.user == "admin"
    }

    /// Refuses what the user may not do.
    pub fn require(&self, permission: Permission, scope: PermissionOf<'_>) -> Result<()> {
        let catalog = &self.environment.catalog;
        if self.is_admin() {
            return Ok(());
        }
        if self.permissions.get().is_none() {
            let permissions = catalog.permissions(&self.environment.user)?;
            let _ = self.permissions.set(permissions);
        }
        if self.system.get().is_none() {
            let _ = self.system.set(catalog.database(SYSTEM_DATABASE)?.id);
        }
        let allowed = match (self.permissions.get(), self.system.get()) {
            (Some(permissions), Some(system)) => permissions.permits(permission, scope, system),
            _ => false,
        };
        if allowed { Ok(()) } else { Err(denied(&self.environment.user, permission)) }
    }

    /// Refuses what the user may not read any more, as far as this server has heard: nobody is asked behind each batch, and a feed does
    /// not end because nobody leads. What he may is otherwise what he might when the query began, and a feed goes on long after that.
    pub fn require_still_read(&self, table: &TableInfo) -> Result<()> {
        if self.is_admin() {
            return Ok(());
        }
        let (catalog, user) = (&self.environment.catalog, &self.environment.user);
        let system = catalog.database(SYSTEM_DATABASE)?.id;
        let permits = |permissions: UserPermissions| {
            permissions.permits(Permission::Read, PermissionOf::Table(&table.db_id, &table.id), &system)
        };
        // Who is not there any more may nothing.
        if catalog.permissions_heard(user).is_ok_and(permits) { Ok(()) } else { Err(denied(user, Permission::Read)) }
    }

    /// As [`Surroundings::require`], for a table.
    pub fn require_on(&self, permission: Permission, table: &TableInfo) -> Result<()> {
        self.require(permission, PermissionOf::Table(&table.db_id, &table.id))
    }

    /// Refuses writes to a table. Of a system table it is asked first whether the user may see it.
    pub fn require_write(&self, table: &TableInfo) -> Result<()> {
        if table.system {
            self.require_on(Permission::Read, table)?;
        }
        self.require_on(Permission::Write, table)
    }

    /// Does something that reads a shard.
    pub fn reading<T>(&self, read: impl FnOnce() -> T) -> T {
        match &self.trace {
            None => read(),
            Some(trace) => trace.on_shard("Perform read.", "Perform read on shard.", read),
        }
    }

    /// Does something that writes to a shard.
    pub fn writing<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.trace {
            None => write(),
            Some(trace) => trace.on_shard("Perform write.", "Perform write on shard.", write),
        }
    }

    /// A random UUID, as text.
    pub fn uuid(&self) -> Datum {
        let mut bytes = [0u8; 16];
        self.environment.random.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex =
            |range: std::ops::Range<usize>| -> String { bytes[range].iter().map(|b| format!("{b:02x}")).collect() };
        Datum::from(format!("{}-{}-{}-{}-{}", hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)))
    }
}

/// `` User `x` does not have the required `read` permission. ``
pub(crate) fn denied(user: &str, permission: Permission) -> Error {
    Error::permission(format!("User `{user}` does not have the required `{}` permission.", permission.name()))
}
