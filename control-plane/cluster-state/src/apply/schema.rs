//! Databases, tables, indexes, hooks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use photondb_proto::{DatabaseId, IndexId, SchemaVersion, TableId};

use super::shards;
use crate::command::{NewShard, Response, TableSettings};
use crate::error::{NameKind, StateError};
use crate::limits::{
    CHANGE_LOG_BYTES_DEFAULT, CHANGE_LOG_BYTES_MAX, CHANGE_LOG_BYTES_MIN, DEFINITION_BYTES_MAX, INDEXES_PER_TABLE_MAX,
};
use crate::names;
use crate::schema::{Compression, Database, Durability, Index, Table, WriteAcks};
use crate::state::ClusterState;
use crate::users::Scope;

/// What a user may choose.
const CHANGE_LOG_BYTES: RangeInclusive<u64> = CHANGE_LOG_BYTES_MIN..=CHANGE_LOG_BYTES_MAX;

/// What a new table is to be.
pub(super) struct NewTable<'a> {
    pub(super) name: &'a str,
    pub(super) primary_key: &'a str,
    pub(super) durability: Durability,
    pub(super) write_acks: WriteAcks,
    pub(super) shards: &'a [NewShard],
    pub(super) compression: Compression,
}

pub(super) fn create_database(state: &mut ClusterState, id: DatabaseId, name: &str) -> Result<Response, StateError> {
    if state.database(id).is_some_and(|known| known.name == name) {
        return Ok(Response::Done);
    }
    names::check(NameKind::Database, name)?;
    database_name_is_free(state, name)?;
    if state.databases.contains_key(&id) {
        return Err(StateError::DatabaseExists { name: name.to_owned() });
    }
    state.databases.insert(id, Arc::new(Database { id, name: name.to_owned() }));
    state.database_names.insert(name.to_owned(), id);
    Ok(Response::Done)
}

pub(super) fn drop_database(state: &mut ClusterState, id: DatabaseId) -> Result<Response, StateError> {
    let database = state.databases.remove(&id).ok_or(StateError::DatabaseNotFound { id })?;
    state.database_names.remove(&database.name);
    let dropped: Vec<TableId> = state.table_names.remove(&id).into_iter().flat_map(BTreeMap::into_values).collect();
    for table in &dropped {
        state.tables.remove(table);
    }
    // What was said about the database itself stays and is shown, as RethinkDB does: no other database gets its id.
    state.permissions.retain(|(_, scope), _| !matches!(scope, Scope::Table(database, _) if *database == id));
    Ok(Response::Tables(dropped))
}

pub(super) fn rename_database(state: &mut ClusterState, id: DatabaseId, name: &str) -> Result<Response, StateError> {
    let old = state.database(id).ok_or(StateError::DatabaseNotFound { id })?.name.clone();
    if old == name {
        return Ok(Response::Done);
    }
    names::check(NameKind::Database, name)?;
    database_name_is_free(state, name)?;
    state.databases.insert(id, Arc::new(Database { id, name: name.to_owned() }));
    state.database_names.remove(&old);
    state.database_names.insert(name.to_owned(), id);
    Ok(Response::Done)
}

pub(super) fn create_table(
    state: &mut ClusterState,
    id: TableId,
    database: DatabaseId,
    new: NewTable<'_>,
) -> Result<Response, StateError> {
    let known = |table: &Arc<Table>| table.name == new.name && table.database == database;
    if state.table(id).is_some_and(known) {
        return Ok(Response::Done);
    }
    names::check(NameKind::Table, new.name)?;
    table_name_is_free(state, database, new.name)?;
    if state.tables.contains_key(&id) {
        return Err(StateError::TableExists { database: id.to_string(), table: new.name.to_owned() });
    }
    let shards = shards::begin(state, new.name, new.shards)?;
    let table = Table {
        id,
        database,
        name: new.name.to_owned(),
        primary_key: new.primary_key.to_owned(),
        durability: new.durability,
        write_acks: new.write_acks,
        flush_interval_ms: None,
        shards,
        indexes: BTreeMap::new(),
        write_hook: None,
        schema: SchemaVersion(1),
        compression: new.compression,
        change_log_bytes: CHANGE_LOG_BYTES_DEFAULT,
        joined: Vec::new(),
    };
    state.table_names.entry(database).or_default().insert(table.name.clone(), id);
    state.tables.insert(id, Arc::new(table));
    Ok(Response::Done)
}

pub(super) fn drop_table(state: &mut ClusterState, id: TableId) -> Result<Response, StateError> {
    let table = state.tables.remove(&id).ok_or(StateError::TableNotFound { id })?;
    if let Some(names) = state.table_names.get_mut(&table.database) {
        names.remove(&table.name);
    }
    state.permissions.retain(|(_, scope), _| *scope != Scope::Table(table.database, id));
    Ok(Response::Tables(vec![id]))
}

pub(super) fn rename_table(state: &mut ClusterState, id: TableId, name: &str) -> Result<Response, StateError> {
    let (database, old) = {
        let table = state.table(id).ok_or(StateError::TableNotFound { id })?;
        (table.database, table.name.clone())
    };
    if old == name {
        return Ok(Response::Done);
    }
    names::check(NameKind::Table, name)?;
    table_name_is_free(state, database, name)?;
    table_mut(state, id)?.name = name.to_owned();
    let names = state.table_names.entry(database).or_default();
    names.remove(&old);
    names.insert(name.to_owned(), id);
    Ok(Response::Done)
}

/// What was said about the table's permissions goes along.
pub(super) fn move_table(
    state: &mut ClusterState,
    id: TableId,
    database: DatabaseId,
    name: &str,
) -> Result<Response, StateError> {
    let (from, old) = {
        let table = state.table(id).ok_or(StateError::TableNotFound { id })?;
        (table.database, table.name.clone())
    };
    if from == database {
        return rename_table(state, id, name);
    }
    state.database(database).ok_or(StateError::DatabaseNotFound { id: database })?;
    names::check(NameKind::Table, name)?;
    table_name_is_free(state, database, name)?;
    let table = table_mut(state, id)?;
    table.database = database;
    table.name = name.to_owned();
    state.table_names.entry(from).or_default().remove(&old);
    state.table_names.entry(database).or_default().insert(name.to_owned(), id);
    let here = Scope::Table(from, id);
    let users: Vec<String> =
        state.permissions.keys().filter(|(_, scope)| *scope == here).map(|(user, _)| user.clone()).collect();
    for user in users {
        if let Some(permissions) = state.permissions.remove(&(user.clone(), here)) {
            state.permissions.insert((user, Scope::Table(database, id)), permissions);
        }
    }
    Ok(Response::Done)
}

pub(super) fn set_table_config(
    state: &mut ClusterState,
    id: TableId,
    settings: &TableSettings,
) -> Result<Response, StateError> {
    if let Some(found) = settings.change_log_bytes.filter(|bytes| !CHANGE_LOG_BYTES.contains(bytes)) {
        return Err(StateError::OutOfRange { what: "change_log_bytes".to_owned(), found });
    }
    let table = table_mut(state, id)?;
    if let Some(durability) = settings.durability {
        table.durability = durability;
    }
    if let Some(write_acks) = settings.write_acks {
        table.write_acks = write_acks;
    }
    if let Some(flush_interval_ms) = settings.flush_interval_ms {
        table.flush_interval_ms = flush_interval_ms;
    }
    if let Some(compression) = settings.compression {
        table.compression = compression;
    }
    if let Some(change_log_bytes) = settings.change_log_bytes {
        table.change_log_bytes = change_log_bytes;
    }
    Ok(Response::Done)
}

pub(super) fn create_index(
    state: &mut ClusterState,
    table: TableId,
    name: &str,
    definition: &[u8],
    multi: bool,
    geo: bool,
) -> Result<Response, StateError> {
    check_definition(definition)?;
    let found = state.table(table).ok_or(StateError::TableNotFound { id: table })?;
    if found.primary_key == name {
        return Err(StateError::IndexIsPrimaryKey { index: name.to_owned() });
    }
    if found.indexes.contains_key(name) {
        return Err(index_exists(state, found, name));
    }
    if found.indexes.len() >= INDEXES_PER_TABLE_MAX {
        return Err(StateError::TooManyIndexes { table: found.name.clone(), max: INDEXES_PER_TABLE_MAX as u64 });
    }
    let id = IndexId(state.next_index);
    state.next_index += 1;
    let index = Index { id, definition: definition.to_vec(), multi, geo };
    let table = table_mut(state, table)?;
    table.indexes.insert(name.to_owned(), index);
    table.schema.0 += 1;
    Ok(Response::Index(id))
}

pub(super) fn drop_index(state: &mut ClusterState, table: TableId, name: &str) -> Result<Response, StateError> {
    let found = state.table(table).ok_or(StateError::TableNotFound { id: table })?;
    let id = found.index(name).ok_or_else(|| index_not_found(state, found, name))?.id;
    let table = table_mut(state, table)?;
    table.indexes.remove(name);
    table.schema.0 += 1;
    Ok(Response::Index(id))
}

pub(super) fn rename_index(
    state: &mut ClusterState,
    table: TableId,
    from: &str,
    to: &str,
    overwrite: bool,
) -> Result<Response, StateError> {
    let found = state.table(table).ok_or(StateError::TableNotFound { id: table })?;
    let id = found.index(from).ok_or_else(|| index_not_found(state, found, from))?.id;
    if from == to {
        return Ok(Response::Index(id));
    }
    if found.primary_key == to {
        return Err(StateError::IndexIsPrimaryKey { index: to.to_owned() });
    }
    if found.indexes.contains_key(to) && !overwrite {
        return Err(index_exists(state, found, to));
    }
    let table = table_mut(state, table)?;
    let index = table.indexes.remove(from).expect("found above");
    table.indexes.insert(to.to_owned(), index);
    table.schema.0 += 1;
    Ok(Response::Index(id))
}

pub(super) fn set_write_hook(
    state: &mut ClusterState,
    table: TableId,
    hook: Option<&[u8]>,
) -> Result<Response, StateError> {
    check_definition(hook.unwrap_or_default())?;
    let table = table_mut(state, table)?;
    table.write_hook = hook.map(<[u8]>::to_vec);
    table.schema.0 += 1;
    Ok(Response::Done)
}

pub(super) fn table_mut(state: &mut ClusterState, id: TableId) -> Result<&mut Table, StateError> {
    state.tables.get_mut(&id).map(Arc::make_mut).ok_or(StateError::TableNotFound { id })
}

fn database_name_is_free(state: &ClusterState, name: &str) -> Result<(), StateError> {
    if name == names::SYSTEM_DATABASE || state.database_names.contains_key(name) {
        return Err(StateError::DatabaseExists { name: name.to_owned() });
    }
    Ok(())
}

fn table_name_is_free(state: &ClusterState, database: DatabaseId, name: &str) -> Result<(), StateError> {
    let found = state.database(database).ok_or(StateError::DatabaseNotFound { id: database })?;
    if state.table_named(database, name).is_some() {
        return Err(StateError::TableExists { database: found.name.clone(), table: name.to_owned() });
    }
    Ok(())
}

pub(super) fn skip_ids(state: &mut ClusterState, next_shard: u64, next_member: u64) -> Response {
    state.next_shard = state.next_shard.max(next_shard);
    state.next_member = state.next_member.max(next_member);
    Response::Done
}

fn check_definition(definition: &[u8]) -> Result<(), StateError> {
    if definition.len() > DEFINITION_BYTES_MAX {
        let (bytes, max) = (definition.len() as u64, DEFINITION_BYTES_MAX as u64);
        return Err(StateError::DefinitionTooLarge { bytes, max });
    }
    Ok(())
}

fn index_exists(state: &ClusterState, table: &Table, index: &str) -> StateError {
    let (database, table) = qualified(state, table);
    StateError::IndexExists { database, table, index: index.to_owned() }
}

fn index_not_found(state: &ClusterState, table: &Table, index: &str) -> StateError {
    let (database, table) = qualified(state, table);
    StateError::IndexNotFound { database, table, index: index.to_owned() }
}

fn qualified(state: &ClusterState, table: &Table) -> (String, String) {
    (state.databases[&table.database].name.clone(), table.name.clone())
}
