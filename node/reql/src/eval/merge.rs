//! `merge`: what it makes of two values, and what `literal` means inside it.
//!
//! A literal travels as an object of the pseudo-type LITERAL, which exists only between its term and the merge around it.
//! Where one may stand is known when a query is compiled.

use crate::datum::{Array, Datum, Object, ObjectBuilder, PTYPE_FIELD};
use crate::error::{Error, Result};
use crate::term::TermKind;

const LITERAL: &str = "LITERAL";
/// Where a literal keeps its value.
const LITERAL_VALUE: &str = "value";

/// What `literal` outside of a merge raises.
pub fn stray_literal() -> Error {
    Error::logic(
        "Stray literal keyword found: literal is only legal inside of the object passed to merge or update and cannot nest \
         inside other literals.",
    )
}

/// The value of `literal(..)`: stands for itself in a merge, instead of being merged; without a value it removes a field.
pub fn literal(value: Option<Datum>) -> Datum {
    let mut fields = ObjectBuilder::new();
    fields.insert(PTYPE_FIELD, Datum::from(LITERAL));
    if let Some(value) = value {
        fields.insert(LITERAL_VALUE, value);
    }
    Datum::from(fields.build())
}

/// Whether argument `argument` of a term (`usize::MAX`: an optional one, of `MAKE_OBJ` a field) may be a literal, given
/// whether the term itself stands where one may. The bodies of functions stand where the function does, but for what `do`
/// calls. As in RethinkDB it is the first argument alone where a term looks at whether that one is grouped: of an array one
/// element, of `branch` no result.
pub fn passes_literals(kind: TermKind, argument: usize, literal_ok: bool) -> bool {
    match kind {
        TermKind::Merge => argument > 0,
        TermKind::Update | TermKind::Filter => argument == 1,
        TermKind::MakeObj | TermKind::Args => literal_ok,
        TermKind::MakeArray | TermKind::Branch | TermKind::Funcall => literal_ok && argument == 0,
        _ => false,
    }
}

/// Refuses what cannot be merged into an object: times, geometry; and a bare `literal`.
pub fn check_mergeable(datum: &Datum) -> Result<()> {
    match datum {
        Datum::Object(fields) if fields.node().ptype().is_some() => {
            Err(Error::logic(format!("Cannot merge objects of type `{}`.", datum.type_name())))
        }
        _ => Ok(()),
    }
}

/// `right` merged into `left`: objects field by field, everything else by `right` taking the place of `left`. Errors: the
/// result claims to be a pseudo-type and is none.
pub fn merge(left: &Datum, right: &Datum) -> Result<Datum> {
    let (Datum::Object(old), Datum::Object(fields)) = (left, right) else {
        return Ok(without_literals(right.clone()).unwrap_or(Datum::Null));
    };
    let mut out = ObjectBuilder::from(old.clone());
    for (name, value) in fields.iter() {
        let merged = match (&value, old.get(&name)) {
            (Datum::Object(_), Some(old)) if !is_literal(&value) => Some(merge(&old, &value)?),
            _ => without_literals(value),
        };
        match merged {
            Some(value) => {
                out.insert(name, value);
            }
            None => {
                out.remove(&name);
            }
        }
    }
    Datum::from_fields(out.build())
}

/// A value with each `literal` in it replaced by what it holds; `None` where nothing is left.
pub fn without_literals(datum: Datum) -> Option<Datum> {
    if !holds_literal(&datum) {
        return Some(datum);
    }
    match datum {
        Datum::Object(fields) if fields.node().ptype() == Some(LITERAL.as_bytes()) => fields.get(LITERAL_VALUE),
        Datum::Object(fields) => {
            let kept = fields.iter().filter_map(|(name, value)| Some((name, without_literals(value)?)));
            Some(Datum::from(kept.collect::<Object>()))
        }
        Datum::Array(items) => Some(Datum::from(items.iter().filter_map(without_literals).collect::<Array>())),
        other => Some(other),
    }
}

fn holds_literal(datum: &Datum) -> bool {
    match datum {
        Datum::Object(fields) => is_literal(datum) || fields.values().any(|value| holds_literal(&value)),
        Datum::Array(items) => items.iter().any(|item| holds_literal(&item)),
        _ => false,
    }
}

/// Whether a value is a literal on its way.
pub fn is_literal(datum: &Datum) -> bool {
    datum.is_ptype(LITERAL)
}

/// What a literal holds; `None`: the value is none.
pub fn as_literal(datum: &Datum) -> Option<Datum> {
    match datum {
        Datum::Object(fields) if is_literal(datum) => Some(fields.get(LITERAL_VALUE).unwrap_or(Datum::Null)),
        _ => None,
    }
}
