//! What a stored document must be.

use photondb_reql::datum::{Datum, Node};
use photondb_reql::error::{Error, Result};
use photondb_reql::limits::NESTING_MAX;

use crate::keys::check_primary;
use crate::limits::{DOCUMENT_BYTES_MAX, STORED_ARRAY_ELEMENTS_MAX};

/// What is counted for each value besides its text: more than any encoding of it takes.
const VALUE_BYTES: usize = 16;

/// Checks that `new` may take the place of `old` under `key`. `Null` is always allowed.
pub(crate) fn check_replacement(old: &Datum, new: &Datum, primary_key: &str, key: &Datum) -> Result<()> {
    if new.is_null() {
        return Ok(());
    }
    if !matches!(new, Datum::Object(_)) {
        return Err(not_an_object(new));
    }
    let found = primary_key_of(new, primary_key)?;
    if found != *key {
        if !old.is_null() {
            return Err(key_changed(old, new, primary_key));
        }
        // That it cannot be a key at all comes first.
        check_primary(&found)?;
        let shown = new.print();
        return Err(Error::logic(format!("Primary key `{primary_key}` cannot be changed (null -> {shown})")));
    }
    check_storable(new)
}

/// The primary key of a document that is to be inserted. Errors: it is no object, has no key, or one that cannot be one.
pub(crate) fn check_inserted(document: &Datum, primary_key: &str) -> Result<Datum> {
    let key = primary_key_of(document, primary_key)?;
    // A bound is refused as a part of the document, not as a key.
    if !matches!(key, Datum::MinVal | Datum::MaxVal) {
        check_primary(&key)?;
    }
    Ok(key)
}

/// Checks what a function that is not atomic makes of `old`. It writes like an insert, so that nothing is no document.
pub(crate) fn check_reinserted(old: &Datum, new: &Datum, primary_key: &str, key: &Datum) -> Result<()> {
    match primary_key_of(new, primary_key)? == *key {
        true => Ok(()),
        false => Err(key_changed(old, new, primary_key)),
    }
}

/// The primary key of `document`. Errors: it is no object, or has none.
fn primary_key_of(document: &Datum, primary_key: &str) -> Result<Datum> {
    let Some(key) = document.as_object()?.get(primary_key) else {
        let shown = document.print();
        return Err(Error::logic(format!("Inserted object must have primary key `{primary_key}`:\n{shown}")));
    };
    // A time or a geometry is an object, but no document.
    match document.ptype_name() {
        Some(_) => Err(not_an_object(document)),
        None => Ok(key),
    }
}

fn key_changed(old: &Datum, new: &Datum, primary_key: &str) -> Error {
    let (old, new) = (old.print(), new.print());
    Error::logic(format!("Primary key `{primary_key}` cannot be changed (`{old}` -> `{new}`)."))
}

fn not_an_object(document: &Datum) -> Error {
    let message = format!("Inserted value must be an OBJECT (got {}):\n{}", document.type_name(), document.print());
    Error::wrong_type(document, message)
}

/// Checks that every part of it can be stored, and that it is not too large.
pub(crate) fn check_storable(document: &Datum) -> Result<()> {
    // Parts that are within the limit may be put together past it. What is stored deeper could not be read again.
    if document.depth() > NESTING_MAX {
        return Err(Error::resource(format!(
            "Document nested too deeply for disk writes (limit {NESTING_MAX} levels)."
        )));
    }
    let weight = weigh(document.node())?;
    // The estimate is never too small, so that only documents near the limit are encoded to know better.
    if weight > DOCUMENT_BYTES_MAX && document.to_encoded().len() > DOCUMENT_BYTES_MAX {
        return Err(Error::resource(format!("Document too large for disk writes (limit {DOCUMENT_BYTES_MAX} bytes).")));
    }
    Ok(())
}

/// About how many bytes it takes when it is stored; never too few. Errors: it holds what cannot be stored.
fn weigh(root: Node<'_>) -> Result<usize> {
    let (mut weight, mut pending) = (0, Vec::new());
    let mut next = Some(root);
    while let Some(node) = next {
        weight += weigh_alone(&node)?;
        match node {
            Node::Array(items) => items.iter().try_for_each(|item| put_by(item, &mut weight, &mut pending))?,
            Node::Object(fields) => fields.iter().try_for_each(|(name, value)| {
                weight += name.len();
                put_by(value, &mut weight, &mut pending)
            })?,
            _ => {}
        }
        next = pending.pop();
    }
    Ok(weight)
}

/// Weighs a scalar at once, and puts anything else by.
fn put_by<'a>(node: Node<'a>, weight: &mut usize, pending: &mut Vec<Node<'a>>) -> Result<()> {
    match node {
        Node::Array(_) | Node::Object(_) => pending.push(node),
        scalar => *weight += weigh_alone(&scalar)?,
    }
    Ok(())
}

/// What it takes without its elements or fields.
fn weigh_alone(node: &Node<'_>) -> Result<usize> {
    match node {
        Node::MinVal | Node::MaxVal => Err(Error::logic("`r.minval` and `r.maxval` cannot be written to disk.")),
        Node::Array(items) if items.len() > STORED_ARRAY_ELEMENTS_MAX => {
            Err(Error::logic("Array too large for disk writes (limit 100,000 elements)."))
        }
        Node::String(text) => Ok(VALUE_BYTES + text.len()),
        Node::Binary(data) => Ok(VALUE_BYTES + data.len()),
        _ => Ok(VALUE_BYTES),
    }
}

/// About how many bytes it takes on the wire between nodes.
pub(crate) fn weight(document: &Datum) -> usize {
    weigh(document.node()).unwrap_or(VALUE_BYTES)
}
