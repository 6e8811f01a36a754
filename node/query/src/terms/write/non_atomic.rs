//! Writes whose function may not run at the shard: it is called here, on the document as it is now, and the result is
//! written on condition that the document is still the same. Otherwise it is called again.
//!
//! So the function sees and changes one state of its document, as with an atomic write; what it read elsewhere may have
//! changed meanwhile, and it may be called more than once.

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Cx, Func, Shortcut, Value, stored};
use photondb_reql::{BacktraceId, Term, TermKind};

use crate::catalog::Permission;
use crate::limits::NON_ATOMIC_ATTEMPTS;
use crate::selection::TableRef;
use crate::table::{Transition, Write, WriteOptions, WriteResult};
use crate::write::{document, updated};

/// What the conditional write says when its document has changed; nobody sees it but this module.
const CHANGED: &str = "\u{1}the document has changed";

/// An `update` or `replace` with a function that is not deterministic.
pub(super) enum NonAtomic<'a> {
    /// Its argument is read anew for each document: what is no function literal may give something else each time.
    Update(&'a Args<'a>),
    /// Its argument was read once.
    Replace(Func),
}

impl NonAtomic<'_> {
    /// Writes one document. The inner error is about what the function makes of it: it counts, and no change shows it.
    pub fn write(&self, table: &TableRef, key: Datum, options: &WriteOptions, cx: &Cx) -> Result<Result<WriteResult>> {
        let primary_key = &table.info().primary_key;
        table.surroundings.require_on(Permission::Read, table.info())?;
        for _ in 0..NON_ATOMIC_ATTEMPTS {
            let old = table.table.get(&key, table.mode)?.unwrap_or(Datum::Null);
            let evaluated = self.evaluate(&old, cx);
            let checked = evaluated.and_then(|new| {
                document::check_reinserted(&old, &new, primary_key, &key)?;
                Ok(new)
            });
            let new = match checked {
                Ok(new) => new,
                Err(error) => return Ok(Err(error)),
            };
            let write = Write { key: key.clone(), transition: Transition::Replace(replace_if(old, new)?) };
            let result = table.table.write(vec![write], options, cx)?.pop();
            match result {
                Some(WriteResult::Refused { error, .. }) if error.message == CHANGED => {}
                Some(result) => return Ok(Ok(result)),
                None => return Err(Error::internal("a table answered fewer results than it was given writes")),
            }
        }
        let old = table.table.get(&key, table.mode)?.unwrap_or(Datum::Null);
        let error = Error::op_failed("The document kept changing while a non-atomic write was evaluated.");
        Ok(Ok(WriteResult::Refused { error, old }))
    }

    fn evaluate(&self, old: &Datum, cx: &Cx) -> Result<Datum> {
        let args = match self {
            NonAtomic::Replace(function) => return function.apply(old.clone(), cx),
            NonAtomic::Update(_) if old.is_null() => return Ok(Datum::Null),
            NonAtomic::Update(args) => args,
        };
        let function = args.function(1, Shortcut::Constant)?;
        let changes = match function.call(std::slice::from_ref(old), cx)? {
            // What is merged in is evaluated for each document, and may then be a function itself: a script of `r.js`.
            Value::Function(inner) => inner.apply(old.clone(), cx)?,
            value => value.into_datum(cx).map_err(|error| function.blame(error))?,
        };
        updated(old, &changes)
    }
}

/// The function `x -> branch(x == old, new, error(CHANGED))`.
fn replace_if(old: Datum, new: Datum) -> Result<Func> {
    let id = BacktraceId::NONE;
    let constant = |datum| Term::Datum(datum, id);
    let parameter = Datum::from(1);
    let variable = Term::call(TermKind::Var, vec![constant(parameter.clone())], id);
    let same = Term::call(TermKind::Eq, vec![variable, constant(old)], id);
    let changed = Term::call(TermKind::Error, vec![constant(Datum::from(CHANGED))], id);
    let body = Term::call(TermKind::Branch, vec![same, constant(new), changed], id);
    stored::compile_term(&Term::call(TermKind::Func, vec![constant(Datum::from(vec![parameter])), body], id))
}
