//! Writes, and the summaries they answer.

use std::collections::BTreeMap;

use super::evaluate::{Call, Evaluation, Function, Scope, contains};
use super::fault::Fault;
use super::shape::pair;
use super::thing::{TableName, Thing};
use super::value::Value;
use crate::term::{Term, number};

const PRIMARY_KEY: &str = "id";

/// Longer keys are refused by the server.
const KEY_BYTES_MAX: usize = 100;

/// What became of one document.
enum Fate {
    Inserted(Value),
    Replaced { old: Value, new: Value },
    Deleted(Value),
    Unchanged,
    Skipped,
    Failed(Fault),
}

/// The index by which a selection is read, be it filtered then or not.
fn index_read(term: &Term) -> Option<String> {
    let call = Call::of(term).ok()??;
    match call.number {
        number::BETWEEN | number::GET_ALL => call.option("index").and_then(Term::as_str).map(str::to_owned),
        _ => index_read(call.argument(0).ok()?),
    }
}

#[derive(Default)]
struct Summary {
    counts: BTreeMap<&'static str, u64>,
    first_error: Option<String>,
    changes: Vec<Value>,
}

/// What is asked of each document.
enum Change<'a> {
    Update(Function<'a>),
    Replace(Function<'a>),
    Delete,
}

impl Evaluation<'_> {
    pub(super) fn write(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Value, Fault> {
        call.knows(&["conflict", "return_changes", "durability"])?;
        let returns_changes = match call.option("return_changes") {
            None => false,
            Some(option) => {
                option.as_bool().ok_or_else(|| Fault::undefined("return_changes neither true nor false"))?
            }
        };
        if call.option("durability").is_some_and(|option| *option != "hard" && *option != "soft") {
            return Err(Fault::undefined("such a durability"));
        }
        let subject = self.evaluate(call.argument(0)?, scope)?;
        if call.number == number::INSERT {
            let Thing::Table(table) = subject else { return Err(Fault::undefined("insert into no table")) };
            let summary = self.insert(call, &table, scope)?;
            return Ok(summary.value(returns_changes));
        }
        if call.arguments[1..].iter().any(|argument| contains(argument, number::TABLE)) {
            return Err(Fault::undefined("a write that reads tables"));
        }
        call.takes(if call.number == number::DELETE { 1 } else { 2 })?;
        let change = match call.number {
            number::UPDATE => Change::Update(self.function(call.argument(1)?, scope)?),
            number::REPLACE => Change::Replace(self.function(call.argument(1)?, scope)?),
            _ => Change::Delete,
        };
        // It is read in batches, each of which sees what was written before: a document that moves ahead is met again.
        let read_by = index_read(call.argument(0)?);
        let (table, targets) = match subject {
            Thing::One { table, key, row } => (table, vec![(key, row)]),
            Thing::Selection { table, rows, .. } => (table, keyed(rows)?),
            Thing::Table(table) => {
                let rows = keyed(self.database.documents(&table)?)?;
                (table, rows)
            }
            _ => return Err(Fault::undefined("a write of what is no selection")),
        };
        let mut summary = Summary::default();
        for (key, old) in targets {
            let fate = match self.changed(&change, &key, old) {
                Err(fault @ Fault::Error(..)) => Fate::Failed(fault),
                fate => fate?,
            };
            if let (Fate::Replaced { old, new }, Some(index)) = (&fate, &read_by)
                && old.field(index).ok() != new.field(index).ok()
            {
                return Err(Fault::undefined("a document that moves in the index by which it was found"));
            }
            match &fate {
                Fate::Inserted(new) | Fate::Replaced { new, .. } => self.database.put(&table, key, new.clone())?,
                Fate::Deleted(_) => self.database.put(&table, key, Value::Null)?,
                Fate::Unchanged | Fate::Skipped | Fate::Failed(_) => {}
            }
            summary.add(fate);
        }
        Ok(summary.value(returns_changes))
    }

    fn insert(&mut self, call: &Call<'_>, table: &TableName, scope: &Scope) -> Result<Summary, Fault> {
        call.takes(2)?;
        let conflict = call.option("conflict").map_or(Some("error"), Term::as_str);
        let conflict = conflict.ok_or_else(|| Fault::undefined("a conflict function"))?;
        let documents = match self.evaluate(call.argument(1)?, scope)? {
            Thing::Value(document @ Value::Object(_)) => vec![document],
            other => self.rows(other)?.0,
        };
        let mut summary = Summary::default();
        for document in documents {
            let key = match document.field(PRIMARY_KEY) {
                Ok(key @ Value::Number(_)) => key.clone(),
                Ok(Value::String(key)) if key.len() <= KEY_BYTES_MAX && !key.contains('\0') => {
                    Value::String(key.clone())
                }
                _ => return Err(Fault::undefined("a document with a key of the server's, or with a strange one")),
            };
            let old = self.database.document(table, &key)?;
            let fate = match (&old, conflict) {
                (Value::Null, _) => Fate::Inserted(document),
                (_, "error") => Fate::Failed(Fault::logic("Duplicate primary key")),
                (old, "replace") => replaced(old.clone(), document),
                (old, "update") => replaced(old.clone(), old.merged(&document)),
                _ => return Err(Fault::undefined("such a conflict option")),
            };
            if let Fate::Inserted(new) | Fate::Replaced { new, .. } = &fate {
                self.database.put(table, key, new.clone())?;
            }
            summary.add(fate);
        }
        Ok(summary)
    }

    fn changed(&mut self, change: &Change<'_>, key: &Value, old: Value) -> Result<Fate, Fault> {
        let row = std::slice::from_ref(&old);
        let new = match change {
            Change::Delete | Change::Update(_) if old == Value::Null => return Ok(Fate::Skipped),
            Change::Delete => return Ok(Fate::Deleted(old)),
            Change::Update(function) => {
                let change = self.apply(function, row)?;
                if change == Value::Null {
                    return Err(Fault::undefined("an update by null"));
                }
                change.fields()?;
                old.merged(&change)
            }
            Change::Replace(function) => self.apply(function, row)?,
        };
        match (&old, &new) {
            (Value::Null, Value::Null) => return Ok(Fate::Skipped),
            (_, Value::Null) => return Ok(Fate::Deleted(old)),
            _ => {}
        }
        match new.fields()?.get(PRIMARY_KEY) {
            Some(found) if found == key => {}
            _ => return Err(Fault::logic("the primary key cannot be changed")),
        }
        Ok(if old == Value::Null { Fate::Inserted(new) } else { replaced(old, new) })
    }
}

fn keyed(rows: Vec<Value>) -> Result<Vec<(Value, Value)>, Fault> {
    rows.into_iter().map(|row| Ok((row.field(PRIMARY_KEY)?.clone(), row))).collect()
}

fn replaced(old: Value, new: Value) -> Fate {
    if old == new { Fate::Unchanged } else { Fate::Replaced { old, new } }
}

impl Summary {
    fn add(&mut self, fate: Fate) {
        let (name, change) = match fate {
            Fate::Inserted(new) => ("inserted", Some((Value::Null, new))),
            Fate::Replaced { old, new } => ("replaced", Some((old, new))),
            Fate::Deleted(old) => ("deleted", Some((old, Value::Null))),
            Fate::Unchanged => ("unchanged", None),
            Fate::Skipped => ("skipped", None),
            Fate::Failed(fault) => {
                let (Fault::Error(_, message) | Fault::Undefined(message)) = fault;
                self.first_error.get_or_insert(message);
                ("errors", None)
            }
        };
        *self.counts.entry(name).or_default() += 1;
        self.changes.extend(change.map(|(old, new)| pair(("old_val", old), ("new_val", new))));
    }

    fn value(self, returns_changes: bool) -> Value {
        let names = ["deleted", "errors", "inserted", "replaced", "skipped", "unchanged"];
        let count = |name: &str| Value::Number(self.counts.get(name).copied().unwrap_or(0) as f64);
        let mut fields: BTreeMap<String, Value> = names.iter().map(|name| ((*name).to_owned(), count(name))).collect();
        fields.extend(self.first_error.map(|error| ("first_error".to_owned(), Value::String(error))));
        // A write that met no row says nothing of changes.
        if returns_changes && !self.counts.is_empty() {
            fields.insert("changes".to_owned(), Value::Array(self.changes));
        }
        Value::Object(fields)
    }
}
