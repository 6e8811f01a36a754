//! `update`, `replace`, `delete`: read what is selected, in batches, and write each batch.

mod non_atomic;
mod options;

use std::rc::Rc;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result, ResultExt};
use photondb_reql::eval::{Args, Cx, Func, Node, Sequence, Shortcut, Value, stored};
use photondb_reql::{BacktraceId, Term, TermKind};

pub(super) use options::{Options, return_changes, soft_durability};

use crate::limits::WRITE_BATCH_DOCUMENTS;
use crate::mismatch;
use crate::row::RowRef;
use crate::selection::TableRef;
use crate::table::{Transition, Write, WriteResult};
use crate::write::stats::Stats;
use non_atomic::NonAtomic;

/// Evaluates one of the three.
pub(super) fn eval(args: &Args<'_>) -> Result<Value> {
    let non_atomic = args.optarg_bool("non_atomic")? == Some(true);
    let options = Options::read(args)?;
    let change = change(args, non_atomic)?;
    let Target { table, rows } = target(args)?;
    options.permit(&table)?;
    let cx = args.cx();
    let may_write = || table.surroundings.require_write(table.info());
    let mut stats = Stats::new(options.return_changes, cx);
    match rows {
        Rows::One(row) => {
            let key = row.key_of_document().at(args.id(0))?;
            may_write()?;
            write(&table, vec![key], &change, &options, &mut stats, cx)?;
        }
        Rows::Many(documents) => {
            let mut documents = documents.open(cx).at(args.id(0))?;
            may_write()?;
            let mut keys = Vec::new();
            loop {
                let batch = documents.next_batch(WRITE_BATCH_DOCUMENTS, cx)?;
                let ended = batch.is_empty();
                for document in &batch {
                    keys.push(document.field(&table.info().primary_key)?);
                }
                // Few wait for more: a document that is selected twice, side by side, is read twice before it is written.
                while keys.len() >= WRITE_BATCH_DOCUMENTS || (ended && !keys.is_empty()) {
                    let rest = keys.split_off(keys.len().min(WRITE_BATCH_DOCUMENTS));
                    write(&table, std::mem::replace(&mut keys, rest), &change, &options, &mut stats, cx)?;
                }
                if ended {
                    break;
                }
            }
        }
    }
    Ok(Value::Datum(stats.into_datum()))
}

/// What is to be done to each document.
enum Change<'a> {
    Atomic(Transition),
    NonAtomic(NonAtomic<'a>),
}

fn write(
    table: &TableRef,
    keys: Vec<Datum>,
    change: &Change<'_>,
    options: &Options,
    stats: &mut Stats,
    cx: &Cx,
) -> Result<()> {
    let results = match change {
        Change::Atomic(transition) => {
            let writes = keys.into_iter().map(|key| Write { key, transition: transition.clone() }).collect();
            table.surroundings.writing(|| table.table.write(writes, &options.write, cx))?
        }
        Change::NonAtomic(change) => {
            let mut results = Vec::with_capacity(keys.len());
            for key in keys {
                match change.write(table, key, &options.write, cx)? {
                    Ok(result) => results.push(result),
                    Err(error) => stats.error(&error),
                }
            }
            results
        }
    };
    results.iter().for_each(|result: &WriteResult| stats.add(result));
    Ok(())
}

fn change<'a>(args: &'a Args<'a>, non_atomic: bool) -> Result<Change<'a>> {
    if args.kind() == TermKind::Delete {
        return Ok(Change::Atomic(Transition::Delete));
    }
    // With `r.args` the nodes are not where the arguments are, so all but the selection are looked at.
    let deterministic = args.call().args.iter().skip(1).all(|node| node.traits().deterministic());
    if deterministic {
        let function = match args.function(1, Shortcut::Constant) {
            // What is no function literal is part of one that `update` makes: its failure is each document's own.
            Err(error) if args.kind() == TermKind::Update && !is_function(args) => failing(&error)?,
            function => function?,
        };
        return Ok(Change::Atomic(match args.kind() {
            TermKind::Update => Transition::Update(function),
            _ => Transition::Replace(function),
        }));
    }
    if !non_atomic {
        return Err(Error::logic(
            "Could not prove argument deterministic.  Maybe you want to use the non_atomic flag?",
        ));
    }
    if args.kind() == TermKind::Update {
        return Ok(Change::NonAtomic(NonAtomic::Update(args)));
    }
    Ok(match args.function(1, Shortcut::Constant)? {
        constant @ Func::Constant(_) => Change::Atomic(Transition::Replace(constant)),
        function => Change::NonAtomic(NonAtomic::Replace(function)),
    })
}

fn is_function(args: &Args<'_>) -> bool {
    matches!(args.call().args.get(1), Some(Node::Function(_)))
}

/// A function that raises `error`'s text.
fn failing(error: &Error) -> Result<Func> {
    let id = BacktraceId::NONE;
    let message = Term::Datum(Datum::from(error.message.as_str()), id);
    let body = Term::call(TermKind::Error, vec![message], id);
    let params = Term::Datum(Datum::from(vec![Datum::from(1)]), id);
    stored::compile_term(&Term::call(TermKind::Func, vec![params, body], id))
}

struct Target {
    table: TableRef,
    rows: Rows,
}

/// Not read yet.
enum Rows {
    One(Rc<RowRef>),
    Many(Sequence),
}

fn target(args: &Args<'_>) -> Result<Target> {
    args.convert(0, |value, _| {
        if let Some(row) = mismatch::as_row(&value) {
            return Ok(Target { table: row.table.clone(), rows: Rows::One(row) });
        }
        let sequence = match value {
            Value::Table(table) => Sequence::table(table),
            Value::Sequence(sequence) => sequence,
            other => return Err(mismatch::expected("SELECTION", &other)),
        };
        let table = sequence.table.as_ref().and_then(|table| table.as_any().downcast_ref::<TableRef>()).cloned();
        match table {
            Some(table) => Ok(Target { table, rows: Rows::Many(sequence) }),
            None => Err(mismatch::expected("SELECTION", &Value::Sequence(sequence))),
        }
    })
}
