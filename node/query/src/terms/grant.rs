//! `grant`.

use std::rc::Rc;

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Value};

use super::databases;
use crate::catalog::IdentifierFormat;
use crate::catalog::{Grants, Permission, PermissionChange, PermissionScope, SYSTEM_DATABASE, TableOptions};
use crate::mismatch;
use crate::surroundings::Surroundings;

/// `grant(user, permissions)` on nothing, a database or a table.
pub(super) fn eval(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    let of = if args.len() == 2 { None } else { Some(args.value(0)?) };
    let user = args.string(args.len() - 2)?;
    let permissions = args.datum(args.len() - 1)?;
    let scope = match of {
        None => PermissionScope::Global,
        Some(Value::Db(db)) => PermissionScope::Database(db.id),
        Some(value) => {
            let table = mismatch::as_table(value, args.cx()).map_err(|error| error.at(args.id(0)))?;
            PermissionScope::Table(table.info().db_id.clone(), table.info().id.clone())
        }
    };
    let catalog = &surroundings.environment.catalog;
    // Everybody is told this, also who may not grant.
    if user == "admin" {
        return Err(Error::op_failed("The permissions of the user `admin` can't be modified."));
    }
    require_permissions_table(surroundings)?;
    catalog.permissions(&user)?;
    let change = PermissionChange::read(&permissions, &scope)?;
    let (old, new) = catalog.grant(&user, &scope, &change)?;
    let shown = |grants: Option<Grants>| grants.map_or(Datum::Null, |grants| grants.to_datum());
    Ok(Value::Datum(Datum::Object(Object::from([
        ("granted", Datum::from(1)),
        ("permissions_changes", databases::changes([(shown(old), shown(new))])),
    ]))))
}

/// Whoever may write the table `permissions` may grant.
fn require_permissions_table(surroundings: &Rc<Surroundings>) -> Result<()> {
    let catalog = &surroundings.environment.catalog;
    let db = catalog.database(SYSTEM_DATABASE)?;
    let options =
        TableOptions { identifier_format: IdentifierFormat::Name, user: surroundings.environment.user.clone() };
    let table = catalog.table(&db, "permissions", &options)?;
    surroundings.require_write(table.info())
}

impl PermissionChange {
    /// Reads `{read: true, write: null, ...}`.
    pub fn read(permissions: &Datum, scope: &PermissionScope) -> Result<PermissionChange> {
        let Datum::Object(fields) = permissions else {
            return Err(Error::op_failed(format!("Expected an object, got {}.", permissions.print())));
        };
        let mut change = Vec::with_capacity(fields.len());
        let known = [Permission::Read, Permission::Write, Permission::Config, Permission::Connect];
        for permission in known {
            let name = permission.name();
            let value = match fields.get(name) {
                None => continue,
                Some(_) if permission == Permission::Connect && *scope != PermissionScope::Global => {
                    return Err(Error::op_failed("The `connect` permission is only valid at the global scope."));
                }
                Some(Datum::Null) => None,
                Some(Datum::Bool(value)) => Some(value),
                Some(other) => {
                    let message = format!("Expected a boolean or null for `{name}`, got {}.", other.print());
                    return Err(Error::op_failed(message));
                }
            };
            change.push((permission, value));
        }
        let unknown: Vec<String> = fields
            .keys()
            .filter(|name| !known.iter().any(|permission| *name == permission.name()))
            .map(|name| format!("`{name}`"))
            .collect();
        if !unknown.is_empty() {
            return Err(Error::op_failed(format!("Unexpected key(s) {}.", unknown.join(", "))));
        }
        Ok(PermissionChange(change))
    }
}
