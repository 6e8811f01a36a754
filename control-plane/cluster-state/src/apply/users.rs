//! Users and permissions.

use std::sync::Arc;

use photondb_proto::DatabaseId;

use crate::command::{Change, PermissionChange, Response};
use crate::error::{NameKind, StateError};
use crate::limits::NAME_BYTES_MAX;
use crate::state::ClusterState;
use crate::users::{ADMIN, Credentials, Scope, User};

/// The id of the database `rethinkdb`, which RethinkDB derives from the name.
const SYSTEM_DATABASE_ID: DatabaseId = DatabaseId(0xb99b_9572_8e53_5fef_9a2b_5e6a_ba3e_df1c);

pub(super) fn set_user(
    state: &mut ClusterState,
    name: &str,
    credentials: Option<&Credentials>,
) -> Result<Response, StateError> {
    // RethinkDB accepts any text as the name of a user.
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(StateError::InvalidName { kind: NameKind::User, name: name.to_owned() });
    }
    if let Some(credentials) = credentials
        && credentials.iterations == 0
    {
        return Err(StateError::OutOfRange { what: "iterations".to_owned(), found: 0 });
    }
    let user = User { name: name.to_owned(), credentials: credentials.cloned() };
    state.users.insert(name.to_owned(), Arc::new(user));
    Ok(Response::Done)
}

pub(super) fn drop_user(state: &mut ClusterState, name: &str) -> Result<Response, StateError> {
    if name == ADMIN {
        return Err(StateError::AdminStays);
    }
    state.users.remove(name).ok_or_else(|| StateError::UserNotFound { name: name.to_owned() })?;
    state.permissions.retain(|(user, _), _| user != name);
    Ok(Response::Done)
}

pub(super) fn grant(
    state: &mut ClusterState,
    user: &str,
    scope: Scope,
    change: &PermissionChange,
) -> Result<Response, StateError> {
    if user == ADMIN {
        return Err(StateError::AdminPermissions);
    }
    if !state.users.contains_key(user) {
        return Err(StateError::UserNotFound { name: user.to_owned() });
    }
    match scope {
        Scope::Global => {}
        // The system tables are no tables of the state.
        Scope::Database(SYSTEM_DATABASE_ID) | Scope::Table(SYSTEM_DATABASE_ID, _) => {}
        Scope::Database(id) => {
            state.database(id).ok_or(StateError::DatabaseNotFound { id })?;
        }
        Scope::Table(database, id) => {
            let known = state.table(id).is_some_and(|table| table.database == database);
            if !known {
                return Err(StateError::TableNotFound { id });
            }
        }
    }
    if scope != Scope::Global && change.connect != Change::Keep {
        return Err(StateError::ConnectScope);
    }
    let mut permissions = state.permissions_at(user, scope);
    change.read.on(&mut permissions.read);
    change.write.on(&mut permissions.write);
    change.config.on(&mut permissions.config);
    change.connect.on(&mut permissions.connect);
    let key = (user.to_owned(), scope);
    if permissions.is_unset() {
        state.permissions.remove(&key);
    } else {
        state.permissions.insert(key, permissions);
    }
    Ok(Response::Done)
}

impl Change {
    fn on(self, said: &mut Option<bool>) {
        match self {
            Change::Keep => {}
            Change::Unset => *said = None,
            Change::Set(value) => *said = Some(value),
        }
    }
}
