//! Functions that are shown to clients as binary data and taken back: of indexes, and write hooks.
//!
//! ```text
//! index := "$reql_index_function$" flags:u8 (1 multi, 2 geo) function
//! hook  := "$reql_write_hook_function$" function
//! ```
//!
//! The prefixes are RethinkDB's, so that clients that look for them find them; what follows is ours.

use bytes::Bytes;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, Func, stored};
use photondb_reql::{BacktraceId, Str, Term, TermKind};

use crate::catalog::WriteHook;

const INDEX_PREFIX: &[u8] = b"$reql_index_function$";
const HOOK_PREFIX: &[u8] = b"$reql_write_hook_function$";

/// RethinkDB shows the parameter of such a function as `_var19`.
const FIELD_PARAMETER: i32 = -19;

const MULTI: u8 = 1;
const GEO: u8 = 2;

/// The bytes that a function is stored as.
pub(crate) fn encode(function: &Func, cx: &Cx) -> Result<Vec<u8>> {
    stored::encode_function(function, cx)
}

/// The function that was stored.
pub(crate) fn decode(definition: &[u8]) -> Result<Func> {
    stored::compile_function(definition)
}

/// The function that an index has when none is given: the field of its name.
pub(crate) fn of_field(name: &Str) -> Result<Func> {
    let id = BacktraceId::NONE;
    let number = Datum::from(FIELD_PARAMETER);
    let variable = Term::call(TermKind::Var, vec![Term::Datum(number.clone(), id)], id);
    let field = Term::Datum(Datum::String(name.clone()), id);
    let body = Term::call(TermKind::GetField, vec![variable, field], id);
    let params = Term::Datum(Datum::from(vec![number]), id);
    stored::compile_term(&Term::call(TermKind::Func, vec![params, body], id))
}

/// An index as `index_status` shows its function.
pub(crate) struct StoredIndex {
    pub definition: Vec<u8>,
    pub multi: bool,
    pub geo: bool,
}

impl StoredIndex {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut flags = 0;
        if self.multi {
            flags |= MULTI;
        }
        if self.geo {
            flags |= GEO;
        }
        [INDEX_PREFIX, &[flags], &self.definition].concat()
    }

    pub fn read(bytes: &Bytes) -> Result<StoredIndex> {
        let refused = || {
            Error::logic(
                "Cannot create an sindex except from a reql_index_function returned from `index_status` in the field \
                 `function`.",
            )
        };
        let rest = bytes.strip_prefix(INDEX_PREFIX).ok_or_else(refused)?;
        let (flags, definition) = rest.split_first().ok_or_else(refused)?;
        decode(definition).map_err(|_| refused())?;
        Ok(StoredIndex { definition: definition.to_vec(), multi: flags & MULTI != 0, geo: flags & GEO != 0 })
    }
}

/// A write hook as `get_write_hook` shows its function.
pub(crate) fn hook_bytes(hook: &WriteHook) -> Vec<u8> {
    [HOOK_PREFIX, &hook.definition].concat()
}

/// A write hook from what `get_write_hook` showed.
pub(crate) fn read_hook(bytes: &Bytes) -> Result<Vec<u8>> {
    let refused = || {
        Error::logic(
            "Cannot create a write hook except from a reql_write_hook_function returned from `get_write_hook`.",
        )
    };
    let definition = bytes.strip_prefix(HOOK_PREFIX).ok_or_else(refused)?;
    decode(definition).map_err(|_| refused())?;
    Ok(definition.to_vec())
}
