//! Databases, tables and indexes that come and go.

use std::collections::BTreeMap;

use super::database::Table;
use super::evaluate::{Call, Evaluation, Scope};
use super::fault::Fault;
use super::thing::{Order, TableName, Thing};
use super::value::Value;
use crate::client::ErrorKind;
use crate::term::number;

impl Evaluation<'_> {
    pub(super) fn administer(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        match call.number {
            number::DB_LIST => {
                let names: Vec<_> = self.database.databases_mut().keys().cloned().collect();
                // The system's own database is listed too.
                self.names(names.into_iter().chain(["rethinkdb".to_owned()]))
            }
            number::DB_CREATE | number::DB_DROP => {
                call.takes(1)?;
                let Value::String(name) = self.value(call.argument(0)?, scope)? else {
                    return Err(Fault::undefined("a name that is no string"));
                };
                is_name(&name)?;
                let databases = self.database.databases_mut();
                if call.number == number::DB_DROP {
                    let tables = databases.remove(&name).ok_or_else(|| is_not_there("Database", &name))?;
                    return self.done(&[("dbs_dropped", 1), ("tables_dropped", tables.len())]);
                }
                if databases.contains_key(&name) || name == "rethinkdb" {
                    return Err(is_there("Database", &name));
                }
                databases.insert(name, BTreeMap::new());
                self.done(&[("dbs_created", 1)])
            }
            number::TABLE_CREATE | number::TABLE_DROP => {
                let TableName { database, table } = self.table_name(call, scope)?;
                is_name(&table)?;
                let tables = self.database.tables_mut(&database)?;
                if call.number == number::TABLE_DROP {
                    tables.remove(&table).ok_or_else(|| is_not_there("Table", &table))?;
                    return self.done(&[("tables_dropped", 1)]);
                }
                call.knows(&["shards", "replicas"])?;
                if tables.contains_key(&table) {
                    return Err(is_there("Table", &table));
                }
                tables.insert(table, Table::default());
                self.done(&[("tables_created", 1)])
            }
            number::TABLE_LIST => {
                let Thing::Database(database) = self.evaluate(call.argument(0)?, scope)? else {
                    return Err(Fault::undefined("the tables of no database"));
                };
                let names: Vec<_> = self.database.tables(&database)?.keys().cloned().collect();
                self.names(names)
            }
            _ => self.administer_table(call, scope),
        }
    }

    fn administer_table(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        let Thing::Table(name) = self.evaluate(call.argument(0)?, scope)? else {
            return Err(Fault::undefined("administration of no table"));
        };
        if call.number == number::WAIT {
            call.knows(&["timeout"])?;
            return self.done(&[("ready", 1)]);
        }
        let arguments = self.values(&call.arguments[1..], scope)?;
        let index = arguments.first().map(|index| index.string().map(str::to_owned)).transpose()?;
        let indexes = &mut self.database.table_mut(&name)?.indexes;
        match (call.number, index) {
            (number::INDEX_LIST, None) => {
                let names: Vec<_> = indexes.iter().cloned().collect();
                self.names(names)
            }
            (number::INDEX_CREATE, Some(index)) => {
                call.takes(2)?;
                call.knows(&[])?;
                if !indexes.insert(index.clone()) {
                    return Err(is_there("Index", &index));
                }
                self.done(&[("created", 1)])
            }
            (number::INDEX_DROP, Some(index)) => {
                if !indexes.remove(&index) {
                    return Err(is_not_there("Index", &index));
                }
                self.done(&[("dropped", 1)])
            }
            _ => Err(Fault::undefined("such administration")),
        }
    }

    fn names(&mut self, names: impl IntoIterator<Item = String>) -> Result<Thing, Fault> {
        let names = names.into_iter().map(Value::String).collect();
        self.array(names, Order::Any).map(Thing::Value)
    }

    /// What is counted; the configurations that a server adds are not in the model.
    fn done(&mut self, counts: &[(&str, usize)]) -> Result<Thing, Fault> {
        self.writes = true;
        let count = |(name, count): &(&str, usize)| ((*name).to_owned(), Value::Number(*count as f64));
        Ok(Thing::Value(Value::Object(counts.iter().map(count).collect())))
    }
}

/// Errors: it has signs that a server may refuse.
fn is_name(name: &str) -> Result<(), Fault> {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    match !name.is_empty() && name.chars().all(is_plain) {
        true => Ok(()),
        false => Err(Fault::undefined(format_args!("the name {name:?}"))),
    }
}

fn is_there(what: &str, name: &str) -> Fault {
    Fault::Error(ErrorKind::OpFailed, format!("{what} `{name}` already exists."))
}

fn is_not_there(what: &str, name: &str) -> Fault {
    Fault::Error(ErrorKind::OpFailed, format!("{what} `{name}` does not exist."))
}
