//! Permissions and their scopes, between queries and the cluster state.

use photondb_cluster_state::{Change, PermissionChange as StoredChange, Permissions, Scope};
use photondb_query::catalog::{Grants, Permission, PermissionChange, PermissionScope};
use photondb_reql::Str;
use photondb_reql::error::{Error, Result};

/// Permissions as queries see them.
pub(crate) fn grants(permissions: Permissions) -> Grants {
    Grants {
        read: permissions.read,
        write: permissions.write,
        config: permissions.config,
        connect: permissions.connect,
    }
}

/// A scope as queries see it.
pub(crate) fn shown_scope(scope: Scope) -> PermissionScope {
    match scope {
        Scope::Global => PermissionScope::Global,
        Scope::Database(db) => PermissionScope::Database(Str::from(db.to_string())),
        Scope::Table(db, table) => PermissionScope::Table(Str::from(db.to_string()), Str::from(table.to_string())),
    }
}

/// A scope as the cluster state has it.
pub(crate) fn stored_scope(scope: &PermissionScope) -> Result<Scope> {
    let unknown = |_| Error::internal("an id of the catalog is no UUID");
    Ok(match scope {
        PermissionScope::Global => Scope::Global,
        PermissionScope::Database(db) => Scope::Database(db.parse().map_err(unknown)?),
        PermissionScope::Table(db, table) => {
            Scope::Table(db.parse().map_err(unknown)?, table.parse().map_err(unknown)?)
        }
    })
}

/// A change of permissions as the cluster state takes it.
pub(crate) fn stored_change(change: &PermissionChange) -> StoredChange {
    let mut stored = StoredChange::default();
    for (permission, value) in &change.0 {
        let value = match value {
            Some(value) => Change::Set(*value),
            None => Change::Unset,
        };
        match permission {
            Permission::Read => stored.read = value,
            Permission::Write => stored.write = value,
            Permission::Config => stored.config = value,
            Permission::Connect => stored.connect = value,
        }
    }
    stored
}
