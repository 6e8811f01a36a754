//! The terms that need more than their arguments. [`eval`] only decides whose turn it is; each family has a file.

mod admin;
mod databases;
mod feed;
mod for_each;
mod grant;
mod hooks;
mod http;
mod indexes;
mod info;
mod insert;
mod join;
mod layout;
mod names;
mod tables;
mod write;

use std::rc::Rc;

use photondb_reql::TermKind;
use photondb_reql::error::{Error as ReqlError, Result};
use photondb_reql::eval::{Args, Value};

use crate::mismatch;
use crate::row::RowRef;
use crate::selection::{self, TableRef};
use crate::surroundings::Surroundings;

/// Whether the term, called on a table or a part of one, is done here.
pub(crate) fn on_table(kind: TermKind) -> bool {
    use TermKind::*;
    matches!(
        kind,
        Get | GetAll
            | Between
            | BetweenDeprecated
            | GetIntersecting
            | GetNearest
            | Insert
            | Update
            | Replace
            | Delete
            | Changes
            | IndexCreate
            | IndexDrop
            | IndexList
            | IndexStatus
            | IndexWait
            | IndexRename
            | SetWriteHook
            | GetWriteHook
            | Sync
            | Config
            | Status
            | Wait
            | Reconfigure
            | Rebalance
            | Grant
            | Info
    )
}

/// Whether the term, called on a row, is done here.
pub(crate) fn on_row(kind: TermKind) -> bool {
    matches!(kind, TermKind::Update | TermKind::Replace | TermKind::Delete | TermKind::Changes | TermKind::Info)
}

/// Evaluates a term whose first argument is known already.
pub(crate) fn eval_on(first: Value, args: &Args<'_>) -> Result<Value> {
    let surroundings = match &first {
        Value::Table(table) => table.as_any().downcast_ref::<TableRef>().map(|table| table.surroundings.clone()),
        Value::Row(row) => row.as_any().downcast_ref::<RowRef>().map(|row| row.table.surroundings.clone()),
        _ => None,
    };
    match surroundings {
        Some(surroundings) => eval(&surroundings, &args.with_first(first)),
        None => Err(ReqlError::internal("a table of another make reached the query's terms")),
    }
}

/// Evaluates a term.
pub(crate) fn eval(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    use TermKind::*;
    match args.kind() {
        Db => databases::db(surroundings, args),
        DbCreate => databases::create(surroundings, args),
        DbDrop => databases::drop(surroundings, args),
        DbList => databases::list(surroundings),
        Table => tables::table(surroundings, args),
        TableCreate => tables::create(surroundings, args),
        TableDrop => tables::drop(surroundings, args),
        TableList => tables::list(surroundings, args),
        Get => get(args),
        GetAll => selection::get_all(args),
        Between | BetweenDeprecated => selection::between(args),
        GetIntersecting => selection::get_intersecting(args),
        GetNearest => selection::get_nearest(args),
        OrderBy => Err(selection::not_a_slice()),
        Insert => insert::eval(args),
        Update | Replace | Delete => write::eval(args),
        ForEach => for_each::eval(args),
        EqJoin => join::eq_join(args),
        Changes => feed::changes(surroundings, args),
        IndexCreate => indexes::create(args),
        IndexDrop => indexes::drop(args),
        IndexList => indexes::list(args),
        IndexStatus => indexes::status(args),
        IndexWait => indexes::wait(args),
        IndexRename => indexes::rename(args),
        SetWriteHook => hooks::set(args),
        GetWriteHook => hooks::get(args),
        Sync => admin::sync(args),
        Config => admin::config(surroundings, args),
        Status => admin::status(args),
        Wait => admin::wait(surroundings, args),
        Reconfigure => admin::reconfigure(surroundings, args),
        Rebalance => admin::rebalance(surroundings, args),
        Grant => grant::eval(surroundings, args),
        Info => info::eval(args),
        Http => http::eval(surroundings, args),
        kind => Err(ReqlError::internal(format!("The term {} was not expected here.", kind.name()))),
    }
}

/// `get(key)`.
fn get(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let key = args.datum(1)?;
    Ok(RowRef::by_key(&table, key)?.into_value())
}
