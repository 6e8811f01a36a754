//! Databases, tables, documents and indexes.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Fault;
use super::thing::TableName;
use super::value::Value;
use crate::client::ErrorKind;

/// A change of one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// In which table.
    pub table: TableName,
    /// Before; `Null` for none.
    pub old: Value,
    /// After; `Null` for none.
    pub new: Value,
}

/// A table. The primary key is `id`.
#[derive(Clone, Debug, Default)]
pub struct Table {
    documents: BTreeMap<Value, Value>,
    /// Simple indexes on the field of their name.
    pub indexes: BTreeSet<String>,
}

/// What a server holds.
#[derive(Clone, Debug, Default)]
pub struct Database {
    databases: BTreeMap<String, BTreeMap<String, Table>>,
    journal: Vec<Change>,
}

impl Database {
    /// A fresh server.
    pub fn new() -> Database {
        Database { databases: BTreeMap::from([("test".to_owned(), BTreeMap::new())]), journal: Vec::new() }
    }

    /// Every change of a document so far, in order.
    pub fn journal(&self) -> &[Change] {
        &self.journal
    }

    /// Forgets a table, so that queries that use it are undefined until it is created anew.
    pub fn forget(&mut self, database: &str, table: &str) {
        if let Some(tables) = self.databases.get_mut(database) {
            tables.remove(table);
        }
    }

    /// All documents of a table, by primary key.
    pub fn documents(&self, name: &TableName) -> Result<Vec<Value>, Fault> {
        Ok(self.table(name)?.documents.values().cloned().collect())
    }

    /// One document, or `Null`.
    pub fn document(&self, name: &TableName, key: &Value) -> Result<Value, Fault> {
        Ok(self.table(name)?.documents.get(key).cloned().unwrap_or(Value::Null))
    }

    /// Makes a document what `new` says, or takes it away for `Null`.
    pub fn put(&mut self, name: &TableName, key: Value, new: Value) -> Result<(), Fault> {
        let table = self.table_mut(name)?;
        let old = match &new {
            Value::Null => table.documents.remove(&key),
            new => table.documents.insert(key, new.clone()),
        };
        self.journal.push(Change { table: name.clone(), old: old.unwrap_or(Value::Null), new });
        Ok(())
    }

    /// Takes back every change of a document after the first `changes` of the journal.
    pub fn rewind(&mut self, changes: usize) {
        for Change { table, old, new } in self.journal.split_off(changes).into_iter().rev() {
            let key = [&old, &new].into_iter().find_map(|side| side.field("id").ok()).cloned();
            let documents = self.table_mut(&table).ok().map(|table| &mut table.documents);
            if let (Some(key), Some(documents)) = (key, documents) {
                match old {
                    Value::Null => documents.remove(&key),
                    old => documents.insert(key, old),
                };
            }
        }
    }

    /// The table.
    pub fn table(&self, name: &TableName) -> Result<&Table, Fault> {
        self.tables(&name.database)?.get(&name.table).ok_or_else(|| no_table(name))
    }

    /// The table, to be changed.
    pub fn table_mut(&mut self, name: &TableName) -> Result<&mut Table, Fault> {
        self.tables_mut(&name.database)?.get_mut(&name.table).ok_or_else(|| no_table(name))
    }

    /// The tables of a database.
    pub fn tables(&self, database: &str) -> Result<&BTreeMap<String, Table>, Fault> {
        self.databases.get(database).ok_or_else(|| no_database(database))
    }

    /// The tables of a database, to be changed.
    pub fn tables_mut(&mut self, database: &str) -> Result<&mut BTreeMap<String, Table>, Fault> {
        self.databases.get_mut(database).ok_or_else(|| no_database(database))
    }

    /// All databases.
    pub fn databases_mut(&mut self) -> &mut BTreeMap<String, BTreeMap<String, Table>> {
        &mut self.databases
    }
}

fn no_table(name: &TableName) -> Fault {
    Fault::Error(ErrorKind::OpFailed, format!("Table `{}.{}` does not exist.", name.database, name.table))
}

fn no_database(name: &str) -> Fault {
    Fault::Error(ErrorKind::OpFailed, format!("Database `{name}` does not exist."))
}
