//! `insert`.

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Cx, Func, Value};

use super::write::{Options, return_changes};
use crate::limits::{WRITE_BATCH_BYTES, WRITE_BATCH_DOCUMENTS};
use crate::mismatch;
use crate::selection::TableRef;
use crate::table::{Conflict, Transition, Write, WriteOptions, WriteResult};
use crate::write::document;
use crate::write::stats::Stats;

/// `insert(documents, {conflict, durability, return_changes, ignore_write_hook})`.
pub(super) fn eval(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let table = args.convert(0, mismatch::as_table)?;
    let return_changes = return_changes(args)?;
    let conflict = conflict(args)?;
    let options = Options::besides(return_changes, args)?;
    options.permit(&table)?;
    if let Conflict::Function(function) = &conflict {
        check_resolver(function)?;
    }
    let mut inserts = Inserts {
        table: &table,
        options: &options,
        conflict,
        stats: Stats::new(options.return_changes, cx),
        pending: Vec::new(),
        generated: Vec::new(),
        weight: 0,
        permitted: false,
    };
    let value = args.value(1)?;
    let single = match &value {
        Value::Datum(document) => Some(document.clone()),
        Value::Row(row) => Some(row.read(cx).map_err(|error| error.at(args.id(1)))?),
        _ => None,
    };
    match single {
        Some(document @ Datum::Object(_)) => inserts.add(document, cx)?,
        _ => {
            let mut documents = args.value_as_finite_sequence(1, value)?.open(cx)?;
            loop {
                let batch = documents.next_batch(WRITE_BATCH_DOCUMENTS, cx)?;
                if batch.is_empty() {
                    break;
                }
                for document in batch {
                    inserts.add(document, cx)?;
                }
            }
        }
    }
    inserts.finish(cx)
}

fn conflict(args: &Args<'_>) -> Result<Conflict> {
    let Some(node) = args.optarg_node("conflict") else { return Ok(Conflict::Error) };
    let Some(value) = args.optarg("conflict")? else { return Ok(Conflict::Error) };
    match value {
        Value::Function(function) => Ok(Conflict::Function(function)),
        value => {
            let datum = value.into_datum(args.cx()).map_err(|error| error.at(node.id()))?;
            match datum.as_string().map_err(|error| error.at(node.id()))?.as_str() {
                "error" => Ok(Conflict::Error),
                "replace" => Ok(Conflict::Replace),
                "update" => Ok(Conflict::Update),
                other => Err(Error::logic(format!(
                    "Conflict option `{other}` unrecognized (options are \"error\", \"replace\" and \"update\")."
                ))
                .at(node.id())),
            }
        }
    }
}

/// Checks the function that decides about documents whose key is taken.
fn check_resolver(function: &Func) -> Result<()> {
    if !function.traits().deterministic() {
        return Err(Error::logic("The conflict function passed to `insert` must be deterministic."));
    }
    if !matches!(function.arity(), None | Some(0 | 3)) {
        return Err(Error::logic("The conflict function passed to `insert` should expect 3 arguments."));
    }
    Ok(())
}

/// Documents on their way, a batch at a time, in order.
struct Inserts<'a> {
    table: &'a TableRef,
    options: &'a Options,
    conflict: Conflict,
    stats: Stats,
    pending: Vec<Pending>,
    /// The keys that were made up for those that are pending, where the table asks for them.
    generated: Vec<Datum>,
    weight: usize,
    permitted: bool,
}

enum Pending {
    Write(Write),
    Refused(Refusal),
}

/// Why a document is not even sent to its table.
enum Refusal {
    /// It is no document, or its key cannot be one.
    Invalid(Error),
    /// It holds what cannot be stored: it counts as if the table had refused it.
    Unstorable(Error),
}

impl Inserts<'_> {
    fn add(&mut self, document: Datum, cx: &Cx) -> Result<()> {
        let document = self.with_key(document);
        self.weight += document::weight(&document);
        let primary_key = &self.table.info().primary_key;
        let checked = document::check_inserted(&document, primary_key);
        self.pending.push(match (checked, document::check_storable(&document)) {
            (Err(error), _) => Pending::Refused(Refusal::Invalid(error)),
            (Ok(_), Err(error)) => Pending::Refused(Refusal::Unstorable(error)),
            (Ok(key), Ok(())) => {
                let transition = Transition::Insert { document, conflict: self.conflict.clone() };
                Pending::Write(Write { key, transition })
            }
        });
        if self.pending.len() >= WRITE_BATCH_DOCUMENTS || self.weight >= WRITE_BATCH_BYTES {
            self.flush(cx)?;
        }
        Ok(())
    }

    /// Gives the document a primary key if it has none. A time or a geometry is none, and takes no further field.
    fn with_key(&mut self, document: Datum) -> Datum {
        let primary_key = &self.table.info().primary_key;
        let whole = document.ptype_name().is_some();
        match document {
            Datum::Object(fields) if !whole && !fields.contains_key(primary_key) => {
                let key = self.table.surroundings.uuid();
                self.stats.generated(key.clone());
                if self.table.info().system {
                    self.generated.push(key.clone());
                }
                let fields: Object = fields.with(primary_key.clone(), key);
                Datum::Object(fields)
            }
            document => document,
        }
    }

    fn flush(&mut self, cx: &Cx) -> Result<()> {
        self.weight = 0;
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        self.permit()?;
        let mut refused = Vec::new();
        let mut writes = Vec::with_capacity(pending.len());
        for (position, one) in pending.into_iter().enumerate() {
            match one {
                Pending::Write(write) => writes.push(write),
                Pending::Refused(refusal) => refused.push((position, refusal)),
            }
        }
        // As in RethinkDB, documents that are invalid by themselves are the first errors of their batch.
        for (_, refusal) in &refused {
            if let Refusal::Invalid(error) = refusal {
                self.stats.error(error);
            }
        }
        let count = writes.len() + refused.len();
        let options = WriteOptions { generated: std::mem::take(&mut self.generated), ..self.options.write.clone() };
        let results = match writes.is_empty() {
            true => Vec::new(),
            false => self.table.surroundings.writing(|| self.table.table.write(writes, &options, cx))?,
        };
        let (mut refused, mut results) = (refused.into_iter().peekable(), results.iter());
        for position in 0..count {
            match refused.next_if(|(of, _)| *of == position) {
                Some((_, Refusal::Invalid(error))) => self.stats.invalid(&error),
                Some((_, Refusal::Unstorable(error))) => {
                    self.stats.add(&WriteResult::Refused { error, old: Datum::Null });
                }
                None => {
                    if let Some(result) = results.next() {
                        self.stats.add(result);
                    }
                }
            }
        }
        Ok(())
    }

    fn permit(&mut self) -> Result<()> {
        if !self.permitted {
            self.table.surroundings.require_write(self.table.info())?;
            self.permitted = true;
        }
        Ok(())
    }

    fn finish(mut self, cx: &Cx) -> Result<Value> {
        self.permit()?;
        self.flush(cx)?;
        Ok(Value::Datum(self.stats.into_datum()))
    }
}
