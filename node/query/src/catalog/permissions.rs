//! Who may do what: grants in three scopes, of which the narrowest that says something counts.

use photondb_reql::Str;
use photondb_reql::datum::{Datum, ObjectBuilder};

/// Something a user may or may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Read documents.
    Read,
    /// Write documents.
    Write,
    /// Create, drop and change tables, indexes and databases.
    Config,
    /// Let the server make connections (`http`); only global.
    Connect,
}

impl Permission {
    /// As documents and messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Config => "config",
            Permission::Connect => "connect",
        }
    }
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// The whole cluster.
    Global,
    /// A database, by UUID.
    Database(&'a str),
    /// A table, by the UUIDs of its database and its own.
    Table(&'a str, &'a str),
}

/// The scope that `grant` changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermissionScope {
    /// The whole cluster.
    Global,
    /// A database, by UUID.
    Database(Str),
    /// A table, by the UUIDs of its database and its own.
    Table(Str, Str),
}

/// The grants of one scope; what is `None` is inherited from the scope around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// May read.
    pub read: Option<bool>,
    /// May write.
    pub write: Option<bool>,
    /// May configure.
    pub config: Option<bool>,
    /// May connect; only in the global scope.
    pub connect: Option<bool>,
}

impl Grants {
    /// Everything is allowed.
    pub fn all() -> Grants {
        Grants { read: Some(true), write: Some(true), config: Some(true), connect: Some(true) }
    }

    /// What this scope says about one permission.
    pub fn get(&self, permission: Permission) -> Option<bool> {
        match permission {
            Permission::Read => self.read,
            Permission::Write => self.write,
            Permission::Config => self.config,
            Permission::Connect => self.connect,
        }
    }

    /// Sets what this scope says about one permission.
    pub fn set(&mut self, permission: Permission, value: Option<bool>) {
        match permission {
            Permission::Read => self.read = value,
            Permission::Write => self.write = value,
            Permission::Config => self.config = value,
            Permission::Connect => self.connect = value,
        }
    }

    /// Whether it says nothing at all; such rows do not exist.
    pub fn is_empty(&self) -> bool {
        *self == Grants::default()
    }

    /// As `{read: true, ...}`, without what it does not say.
    pub fn to_datum(&self) -> Datum {
        let mut fields = ObjectBuilder::new();
        for permission in [Permission::Config, Permission::Connect, Permission::Read, Permission::Write] {
            if let Some(value) = self.get(permission) {
                fields.insert(permission.name(), value);
            }
        }
        Datum::Object(fields.build())
    }
}

/// What `grant` changes: `None` leaves a permission alone, `Some(None)` removes what the scope said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionChange(pub Vec<(Permission, Option<bool>)>);

impl PermissionChange {
    /// The grants after the change; `None` when nothing remains.
    pub fn apply(&self, before: Option<Grants>) -> Option<Grants> {
        let mut grants = before.unwrap_or_default();
        for (permission, value) in &self.0 {
            grants.set(*permission, *value);
        }
        (!grants.is_empty()).then_some(grants)
    }
}

/// All grants of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserPermissions {
    /// `admin` may do everything.
    pub admin: bool,
    /// In the global scope.
    pub global: Grants,
    /// By database UUID.
    pub databases: Vec<(Str, Grants)>,
    /// By database and table UUID.
    pub tables: Vec<(Str, Str, Grants)>,
}

impl UserPermissions {
    /// Whether `permission` is granted in `scope`. `system` is the UUID of the database `rethinkdb`, to which global
    /// grants do not reach.
    pub fn permits(&self, permission: Permission, scope: Scope<'_>, system: &str) -> bool {
        if self.admin {
            return true;
        }
        let global = || self.global.get(permission).unwrap_or(false);
        let database = |db: &str| {
            let said = self.databases.iter().find(|(id, _)| **id == *db).and_then(|(_, grants)| grants.get(permission));
            said.unwrap_or_else(|| db != system && global())
        };
        match scope {
            Scope::Global => global(),
            Scope::Database(db) => database(db),
            Scope::Table(db, table) => self
                .tables
                .iter()
                .find(|(of_db, id, _)| **of_db == *db && **id == *table)
                .and_then(|(_, _, grants)| grants.get(permission))
                .unwrap_or_else(|| database(db)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(global: Grants) -> UserPermissions {
        UserPermissions { global, ..UserPermissions::default() }
    }

    #[test]
    fn the_narrowest_scope_that_speaks_decides() {
        let mut user = user(Grants { read: Some(true), ..Grants::default() });
        assert!(user.permits(Permission::Read, Scope::Table("d", "t"), "s"));
        user.databases.push(("d".into(), Grants { read: Some(false), ..Grants::default() }));
        assert!(!user.permits(Permission::Read, Scope::Table("d", "t"), "s"));
        user.tables.push(("d".into(), "t".into(), Grants { read: Some(true), ..Grants::default() }));
        assert!(user.permits(Permission::Read, Scope::Table("d", "t"), "s"));
        assert!(!user.permits(Permission::Write, Scope::Table("d", "t"), "s"));
    }

    #[test]
    fn global_grants_do_not_reach_the_system_database() {
        let user = user(Grants::all());
        assert!(!user.permits(Permission::Read, Scope::Database("s"), "s"));
        assert!(user.permits(Permission::Read, Scope::Database("d"), "s"));
    }

    #[test]
    fn a_change_that_leaves_nothing_removes_the_row() {
        let change = PermissionChange(vec![(Permission::Read, None)]);
        assert_eq!(change.apply(Some(Grants { read: Some(true), ..Grants::default() })), None);
        assert_eq!(change.apply(None), None);
    }
}
