//! Documents that are read, set, compared and set, and deleted, each with one number `v`.

use serde_json::{Value, json};

use crate::linearizable::Object;
use crate::term::{self, Term, branch, eq, field, func, var};

/// What a client asks of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Its value.
    Read,
    /// Makes it this, whatever it was.
    Set(i64),
    /// Makes it the second, if it is the first.
    Swap(i64, i64),
    /// Takes it away.
    Delete,
}

/// What it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The value read; `None`: no document.
    Found(Option<i64>),
    /// What the write changed.
    Changed {
        /// Before.
        old: Option<i64>,
        /// After.
        new: Option<i64>,
    },
    /// The write changed nothing, for this document or the lack of it.
    Kept,
    /// There was no document to write.
    Skipped,
}

/// One document.
#[derive(Clone, Copy, Debug)]
pub struct Document;

impl Object for Document {
    type State = Option<i64>;
    type Input = Ask;
    type Output = Said;

    fn initial(&self) -> Option<i64> {
        None
    }

    fn step(&self, state: &Option<i64>, input: &Ask) -> (Option<i64>, Said) {
        let old = *state;
        let new = match *input {
            Ask::Read => return (old, Said::Found(old)),
            Ask::Swap(..) | Ask::Delete if old.is_none() => return (old, Said::Skipped),
            Ask::Swap(expected, _) if old != Some(expected) => return (old, Said::Kept),
            Ask::Set(value) | Ask::Swap(_, value) => Some(value),
            Ask::Delete => None,
        };
        if new == old { (old, Said::Kept) } else { (new, Said::Changed { old, new }) }
    }
}

/// What asks it of the document `key` of a table.
pub fn query(table: Term, key: usize, ask: Ask) -> Term {
    let document = term::get(table.clone(), key);
    match ask {
        Ask::Read => document,
        Ask::Set(value) => term::insert(table, json!({ "id": key, "v": value }), "replace", true),
        Ask::Swap(old, new) => {
            let same = eq(field(var(1), "v"), old);
            term::update(document, func(&[1], branch(same, json!({ "v": new }), json!({}))), true)
        }
        Ask::Delete => term::delete(document, true),
    }
}

/// What the answer to it says. `None`: no right server answers so.
pub fn said(ask: Ask, answer: &Value) -> Option<Said> {
    let value_of = |document: &Value| match document {
        Value::Null => Some(None),
        document => document["v"].as_i64().map(Some),
    };
    if ask == Ask::Read {
        return value_of(answer).map(Said::Found);
    }
    let count = |name: &str| answer[name].as_u64();
    let changed = [count("inserted")?, count("replaced")?, count("deleted")?].iter().sum::<u64>();
    let sum = [changed, count("unchanged")?, count("skipped")?];
    match (sum, count("errors")?, answer["changes"].as_array()?.as_slice()) {
        ([1, 0, 0], 0, [change]) => {
            Some(Said::Changed { old: value_of(&change["old_val"])?, new: value_of(&change["new_val"])? })
        }
        ([0, 1, 0], 0, []) => Some(Said::Kept),
        ([0, 0, 1], 0, []) => Some(Said::Skipped),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
