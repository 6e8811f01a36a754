//! What becomes of one document: pure, so that the leader's proposer evaluates it and nobody else has to.

pub(crate) mod document;
pub(crate) mod stats;

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, Func, merge};

use crate::table::{Conflict, TableInfo, Transition, WriteOptions};

/// The document that takes the place of `old`; `Null` stands for none, before and after.
///
/// `key` is the primary key that the write is for. Errors concern this document alone: they are counted into `errors`
/// and the first one becomes `first_error`; the document stays as it was. `cx` gives the write hook its time.
pub fn apply(
    transition: &Transition,
    old: &Datum,
    table: &TableInfo,
    key: &Datum,
    options: &WriteOptions,
    cx: &Cx,
) -> Result<Datum> {
    let wanted = match transition {
        Transition::Insert { document, conflict } => insert(document, conflict, old, table, key, cx)?,
        Transition::Update(_) if old.is_null() => Datum::Null,
        Transition::Update(function) => merge::merge(old, &function.apply(old.clone(), cx)?)?,
        Transition::Replace(function) => function.apply(old.clone(), cx)?,
        Transition::Delete => Datum::Null,
    };
    let new = match &table.write_hook {
        Some(hook) if !options.ignore_write_hook => call_hook(hook, old, wanted, table, cx)?,
        _ => wanted,
    };
    document::check_replacement(old, &new, &table.primary_key, key)?;
    Ok(new)
}

fn insert(
    document: &Datum,
    conflict: &Conflict,
    old: &Datum,
    table: &TableInfo,
    key: &Datum,
    cx: &Cx,
) -> Result<Datum> {
    if old.is_null() {
        return Ok(document.clone());
    }
    match conflict {
        Conflict::Error => Err(Error::op_failed(format!(
            "Duplicate primary key `{}`:\n{}\n{}",
            table.primary_key,
            old.print(),
            document.print()
        ))),
        Conflict::Replace => Ok(document.clone()),
        Conflict::Update => merge::merge(old, document),
        Conflict::Function(function) => {
            let args = [key.clone(), old.clone(), document.clone()];
            let args = if function.arity() == Some(0) { &[][..] } else { &args[..] };
            function.call_datum(args, cx)
        }
    }
}

fn call_hook(hook: &Func, old: &Datum, new: Datum, table: &TableInfo, cx: &Cx) -> Result<Datum> {
    let key_of = |document: &Datum| document.as_object().ok().and_then(|fields| fields.get(&table.primary_key));
    let key = key_of(&new).or_else(|| key_of(old)).unwrap_or(Datum::Null);
    let context =
        Object::from([("primary_key", key), ("timestamp", crate::times::from_micros(cx.world().now_micros()))]);
    let deletes = new.is_null();
    let hooked = hook
        .call_datum(&[Datum::Object(context), old.clone(), new], cx)
        .map_err(|error| Error { message: format!("Error in write hook: {}", error.message), ..error })?;
    if deletes && !hooked.is_null() {
        return Err(Error::op_failed("A write hook function must not turn a deletion into a replace/insert."));
    }
    if !deletes && hooked.is_null() {
        return Err(Error::op_failed("A write hook function must not turn a replace/insert into a deletion."));
    }
    Ok(hooked)
}
