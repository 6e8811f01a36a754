//! `permissions`: what each user may do, by scope. The key is `[user]`, `[user, database]` or `[user, database, table]`.

use photondb_cluster_state::{ADMIN, ClusterState, Command, Scope};
use photondb_proto::{DatabaseId, TableId};
use photondb_query::catalog::{
    Grants, IdentifierFormat, Permission, PermissionChange, PermissionScope, SYSTEM_DATABASE,
};
use photondb_reql::datum::{Array, Datum, Object, ObjectBuilder};
use photondb_reql::error::{Error, Result};

use super::{Contents, TABLES, Viewer, fields};
use crate::catalog::{self, SYSTEM_DATABASE_ID};

/// The table.
pub(super) struct PermissionRows;

impl Contents for PermissionRows {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let mut rows = vec![row(viewer, ADMIN, &PermissionScope::Global, &Grants::all())];
        let system = PermissionScope::Database(photondb_reql::Str::from_static(SYSTEM_DATABASE_ID));
        rows.push(row(viewer, ADMIN, &system, &Grants { connect: None, ..Grants::all() }));
        for (user, scope, permissions) in viewer.state.permissions() {
            rows.push(row(viewer, user, &catalog::shown_scope(scope), &catalog::grants(permissions)));
        }
        Ok(rows)
    }

    /// What was said about a database that is gone is listed, and cannot be named any more.
    fn is_found_by(&self, viewer: &Viewer<'_>, key: &Datum) -> bool {
        matches!(key, Datum::Array(items) if matches!(items.get(0), Some(Datum::String(user)) if user == ADMIN))
            || parse_key(&viewer.state, key).is_ok()
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        if viewer.key_is_generated {
            return Err(Error::op_failed("You must specify a primary key."));
        }
        let (user, scope) = parse_key(&viewer.state, key)?;
        if user == ADMIN {
            return Err(Error::op_failed("The permissions of the user `admin` can't be modified."));
        }
        if new == old {
            return Ok(new.clone());
        }
        let shown = catalog::shown_scope(scope);
        let wanted = if new.is_null() { PermissionChange::default() } else { read(viewer, &user, &shown, new)? };
        // What the document does not say is not said any more.
        let said = |permission| wanted.0.iter().find(|(of, _)| *of == permission).and_then(|(_, value)| *value);
        let mut all = vec![Permission::Read, Permission::Write, Permission::Config];
        if scope == Scope::Global {
            all.push(Permission::Connect);
        }
        let change = PermissionChange(all.into_iter().map(|permission| (permission, said(permission))).collect());
        let stored = catalog::stored_change(&change);
        viewer.ground.propose(Command::Grant { user: user.clone(), scope, change: stored })?;
        Ok(change.apply(None).map_or(Datum::Null, |grants| row(viewer, &user, &shown, &grants)))
    }
}

fn row(viewer: &Viewer<'_>, user: &str, scope: &PermissionScope, grants: &Grants) -> Datum {
    let mut key = vec![Datum::from(user)];
    let mut fields = ObjectBuilder::new();
    match scope {
        PermissionScope::Global => {}
        PermissionScope::Database(db) => {
            key.push(Datum::from(db.clone()));
            fields.insert("database", database_name(viewer, db));
        }
        PermissionScope::Table(db, table) => {
            key.push(Datum::from(db.clone()));
            key.push(Datum::from(table.clone()));
            fields.insert("database", database_name(viewer, db));
            fields.insert("table", table_name(viewer, db, table));
        }
    }
    fields.insert("id", Array::from(key));
    fields.insert("permissions", grants.to_datum());
    fields.insert("user", user);
    Datum::Object(fields.build())
}

fn database_name(viewer: &Viewer<'_>, id: &str) -> Datum {
    if viewer.format == IdentifierFormat::Uuid {
        return Datum::from(id);
    }
    if id == SYSTEM_DATABASE_ID {
        return Datum::from(SYSTEM_DATABASE);
    }
    let database = id.parse::<DatabaseId>().ok().and_then(|id| viewer.state.database(id));
    Datum::from(database.map_or("__deleted_database__", |database| database.name.as_str()))
}

fn table_name(viewer: &Viewer<'_>, db: &str, id: &str) -> Datum {
    if viewer.format == IdentifierFormat::Uuid {
        return Datum::from(id);
    }
    if db == SYSTEM_DATABASE_ID {
        return Datum::from(TABLES.iter().find(|entry| entry.id == id).map_or("__deleted_table__", |entry| entry.name));
    }
    let table = id.parse::<TableId>().ok().and_then(|id| viewer.state.table(id));
    Datum::from(table.map_or("__deleted_table__", |table| table.name.as_str()))
}

fn parse_key(state: &ClusterState, key: &Datum) -> Result<(String, Scope)> {
    let items = match key {
        Datum::Array(items) if (1..=3).contains(&items.len()) => items.clone().into_vec(),
        _ => {
            return Err(Error::op_failed(format!(
                "Expected an array of one to three items in the primary key, got {}.",
                key.print()
            )));
        }
    };
    let Datum::String(user) = &items[0] else {
        return Err(Error::op_failed(format!("Expected a string as the username, got {}.", items[0].print())));
    };
    let user = user.to_string();
    // What is no key at all is told before who is nobody.
    let scope = parse_scope(state, &items)?;
    if state.user(&user).is_none() {
        return Err(Error::op_failed(format!("No user named `{user}`.")));
    }
    Ok((user, scope))
}

fn parse_scope(state: &ClusterState, items: &[Datum]) -> Result<Scope> {
    let Some(database) = items.get(1) else { return Ok(Scope::Global) };
    let database = match database {
        Datum::String(text) => text.parse::<DatabaseId>().ok(),
        _ => None,
    }
    .ok_or_else(|| Error::op_failed(format!("Expected a UUID as the database, got {}.", items[1].print())))?;
    let system = database.to_string() == SYSTEM_DATABASE_ID;
    if state.database(database).is_none() && !system {
        return Err(Error::op_failed(format!("No database with UUID `{database}` exists.")));
    }
    let Some(table) = items.get(2) else { return Ok(Scope::Database(database)) };
    let table = match table {
        Datum::String(text) => text.parse::<TableId>().ok(),
        _ => None,
    }
    .ok_or_else(|| Error::op_failed(format!("Expected a UUID as the table, got {}.", items[2].print())))?;
    let known = if system {
        TABLES.iter().any(|entry| entry.id == table.to_string())
    } else {
        state.table(table).is_some_and(|found| found.database == database)
    };
    if !known {
        return Err(Error::op_failed(format!("No table with UUID `{table}` exists.")));
    }
    Ok(Scope::Table(database, table))
}

fn read(viewer: &Viewer<'_>, user: &str, scope: &PermissionScope, new: &Datum) -> Result<PermissionChange> {
    let document: &Object = new.as_object()?;
    let expected = row(viewer, user, scope, &Grants::default());
    let mut known = vec!["id", "permissions"];
    for name in ["user", "database", "table"] {
        // The key says no such thing: the field is one too many.
        let Some(expected) = expected.as_object()?.get(name) else { continue };
        known.push(name);
        if let Some(given) = document.get(name)
            && given != expected
        {
            return Err(Error::op_failed(mismatch(viewer, name, &given)));
        }
    }
    let Some(permissions) = document.get("permissions") else {
        return Err(Error::op_failed("Expected a field `permissions`."));
    };
    let change = PermissionChange::read(&permissions, scope)?;
    fields::only(document, &known)?;
    Ok(change)
}

/// What is wrong with a field that does not say what the key says.
fn mismatch(viewer: &Viewer<'_>, name: &str, given: &Datum) -> String {
    let read = match (name, viewer.format) {
        ("user", _) => given.as_string().map(|_| ()).map_err(|error| error.message),
        (_, IdentifierFormat::Name) => fields::named(given, &format!("{name} name"), fields::is_name).map(|_| ()),
        (_, IdentifierFormat::Uuid) => fields::uuid::<DatabaseId>(given).map(|_| ()),
    };
    match read {
        Ok(()) => format!("The key `{name}` does not match the primary key."),
        Err(what) => what,
    }
}
