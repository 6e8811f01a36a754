//! `insert`.

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Cx, Value};

use super::write::Options;
use crate::catalog::Permission;
use crate::keys;
use crate::limits::{WRITE_BATCH_BYTES, WRITE_BATCH_DOCUMENTS};
use crate::mismatch;
use crate::selection::TableRef;
use crate::table::{Conflict, Transition, Write, WriteResult};
use crate::write::document;
use crate::write::stats::Stats;

/// `insert(documents, {conflict, durability, return_changes, ignore_write_hook})`.
pub(super) fn eval(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let table = args.convert(0, mismatch::as_table)?;
    let options = Options::read(args)?;
    options.permit(&table)?;
    let conflict = conflict(args)?;
    let mut inserts = Inserts {
        table: &table,
        options: &options,
        conflict,
        stats: Stats::new(options.return_changes, cx),
        pending: Vec::new(),
        weight: 0,
        permitted: false,
    };
    match args.value(1)? {
        Value::Datum(document @ Datum::Object(_)) => inserts.add(document, cx)?,
        Value::Row(row) => inserts.add(row.read(cx).map_err(|error| error.at(args.id(1)))?, cx)?,
        value => {
            let sequence = args.value_as_finite_sequence(1, value)?;
            let mut documents = sequence.open(cx)?;
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
        Value::Function(function) => {
            if !function.traits().deterministic() {
                return Err(Error::logic("The conflict function passed to `insert` must be deterministic."));
            }
            if !matches!(function.arity(), None | Some(0 | 3)) {
                return Err(Error::logic("The conflict function passed to `insert` should expect 3 arguments."));
            }
            Ok(Conflict::Function(function))
        }
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

/// Documents on their way, a batch at a time, in order.
struct Inserts<'a> {
    table: &'a TableRef,
    options: &'a Options,
    conflict: Conflict,
    stats: Stats,
    pending: Vec<Pending>,
    weight: usize,
    permitted: bool,
}

enum Pending {
    Write(Write),
    /// It cannot be written whatever the table holds.
    Invalid(Error),
}

impl Inserts<'_> {
    fn add(&mut self, document: Datum, cx: &Cx) -> Result<()> {
        let document = self.with_key(document);
        self.weight += document::weight(&document);
        let primary_key = &self.table.info().primary_key;
        let checked = document::check_object(&document, primary_key).and_then(|()| {
            let key = document.field(primary_key)?;
            // A bound is refused as a part of the document, not as a key.
            if !matches!(key, Datum::MinVal | Datum::MaxVal) {
                keys::check_primary(&key)?;
            }
            document::check_storable(&document)?;
            Ok(key)
        });
        self.pending.push(match checked {
            Ok(key) => {
                let transition = Transition::Insert { document, conflict: self.conflict.clone() };
                Pending::Write(Write { key, transition })
            }
            Err(error) => Pending::Invalid(error),
        });
        if self.pending.len() >= WRITE_BATCH_DOCUMENTS || self.weight >= WRITE_BATCH_BYTES {
            self.flush(cx)?;
        }
        Ok(())
    }

    /// Gives the document a primary key if it has none.
    fn with_key(&mut self, document: Datum) -> Datum {
        let primary_key = &self.table.info().primary_key;
        match document {
            Datum::Object(fields) if !fields.contains_key(primary_key) => {
                let key = self.table.surroundings.uuid();
                self.stats.generated(key.clone());
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
        let mut invalid = Vec::new();
        let mut writes = Vec::with_capacity(pending.len());
        for (position, one) in pending.into_iter().enumerate() {
            match one {
                Pending::Write(write) => writes.push(write),
                Pending::Invalid(error) => invalid.push((position, error)),
            }
        }
        // As in RethinkDB, documents that are invalid by themselves are the first errors of their batch.
        for (_, error) in &invalid {
            self.stats.error(error);
        }
        let count = writes.len() + invalid.len();
        let results = match writes.is_empty() {
            true => Vec::new(),
            false => self.table.surroundings.writing(|| self.table.table.write(writes, &self.options.write, cx))?,
        };
        let (mut invalid, mut results) = (invalid.into_iter().peekable(), results.iter());
        for position in 0..count {
            if let Some((_, error)) = invalid.next_if(|(of, _)| *of == position) {
                self.stats.invalid(&error);
            } else if let Some(result) = results.next() {
                let _: &WriteResult = result;
                self.stats.add(result);
            }
        }
        Ok(())
    }

    fn permit(&mut self) -> Result<()> {
        if !self.permitted {
            self.table.surroundings.require_on(Permission::Write, self.table.info())?;
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
