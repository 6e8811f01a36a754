//! What becomes of one document: pure, so that the leader's proposer evaluates it and nobody else has to.

pub(crate) mod document;
pub(crate) mod stats;

use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, Func, merge};

use crate::table::{Conflict, TableInfo, Transition, WriteOptions};

/// What each write of a table must keep to.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The field that is the primary key.
    pub primary_key: &'a Str,
    /// The write hook, unless the write is not to call it.
    pub hook: Option<&'a Func>,
}

impl TableInfo {
    /// The rules for writes with `options`.
    pub fn rules(&self, options: &WriteOptions) -> Rules<'_> {
        let hook = self.write_hook.as_ref().filter(|_| !options.ignore_write_hook);
        Rules { primary_key: &self.primary_key, hook }
    }
}

/// The document that takes the place of `old`; `Null` stands for none, before and after.
///
/// `key` is the primary key that the write is for. Errors concern this document alone: they are counted into `errors`
/// and the first one becomes `first_error`; the document stays as it was. `cx` gives the write hook its time.
pub fn apply(transition: &Transition, old: &Datum, rules: Rules<'_>, key: &Datum, cx: &Cx) -> Result<Datum> {
    let wanted = match transition {
        Transition::Insert { document, conflict } => insert(document, conflict, old, rules, key, cx)?,
        Transition::Update(_) if old.is_null() => Datum::Null,
        Transition::Update(function) => updated(old, &function.apply(old.clone(), cx)?)?,
        Transition::Replace(function) => function.apply(old.clone(), cx)?,
        Transition::Delete => Datum::Null,
    };
    let new = match rules.hook {
        Some(hook) => call_hook(hook, old, wanted, rules.primary_key, cx)?,
        None => wanted,
    };
    document::check_replacement(old, &new, rules.primary_key, key)?;
    Ok(new)
}

/// What `update` makes of a document: with `Null` there is nothing to change.
pub(crate) fn updated(old: &Datum, changes: &Datum) -> Result<Datum> {
    match changes {
        Datum::Null => Ok(old.clone()),
        changes => merge::merge(old, changes),
    }
}

fn insert(document: &Datum, conflict: &Conflict, old: &Datum, rules: Rules<'_>, key: &Datum, cx: &Cx) -> Result<Datum> {
    if old.is_null() {
        return Ok(document.clone());
    }
    match conflict {
        Conflict::Error => Err(Error::op_failed(format!(
            "Duplicate primary key `{}`:\n{}\n{}",
            rules.primary_key,
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

fn call_hook(hook: &Func, old: &Datum, new: Datum, primary_key: &str, cx: &Cx) -> Result<Datum> {
    let shown = if new.is_null() { old } else { &new };
    let key = match shown {
        Datum::Null => None,
        // An error here is about the document, not about the hook.
        document => document.as_object()?.get(primary_key),
    };
    let key = key.unwrap_or(Datum::Null);
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
