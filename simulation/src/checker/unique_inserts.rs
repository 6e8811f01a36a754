//! Inserts of the same keys by many: at most one succeeds for each, its document stays for ever, and a refusal means that
//! somebody's document may have been there.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::ledger::{Call, Fate};

const PROPERTY: &str = "a key is inserted once";

/// What a client asks of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertInput {
    /// Puts a document with this value there, which no other insert has.
    Insert(i64),
    /// The document's value.
    Read,
}

/// What it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertOutput {
    /// The document is in.
    Inserted,
    /// There was one already.
    Refused,
    /// The value read; `None`: no document.
    Found(Option<i64>),
}

/// Checks all calls on one key.
pub fn check(key: u64, calls: &[&Call<InsertInput, InsertOutput>]) -> Result<(), Violation> {
    let violation = |evidence| Err(Violation { property: PROPERTY, evidence: format!("key {key}: {evidence}") });
    let mut inserts = BTreeMap::new();
    for call in calls {
        if let (InsertInput::Insert(value), true) = (call.input, call.fate != Fate::Nothing) {
            inserts.insert(value, *call);
        }
    }
    let succeeded = |call: &&&Call<InsertInput, InsertOutput>| call.answer() == Some(&InsertOutput::Inserted);
    let winners: Vec<_> = calls.iter().filter(succeeded).collect();
    if let [one, other, ..] = winners[..] {
        return violation(format!("{one:?} and {other:?} both succeeded"));
    }
    // The document that is there, once anybody knows it; and what told first.
    let mut there = winners.first().and_then(|winner| match winner.input {
        InsertInput::Insert(value) => Some((value, **winner)),
        InsertInput::Read => None,
    });
    for call in calls {
        let Some(InsertOutput::Found(Some(value))) = call.answer() else { continue };
        match inserts.get(value) {
            None => return violation(format!("{call:?} found what nobody can have inserted")),
            Some(insert) if call.ended_before(insert.began) => {
                return violation(format!("{call:?} found what {insert:?} inserted later"));
            }
            Some(insert) if insert.answer() == Some(&InsertOutput::Refused) => {
                return violation(format!("{call:?} found what {insert:?} was refused"));
            }
            Some(_) => {}
        }
        match &there {
            Some((known, by)) if known != value => {
                return violation(format!("{call:?} found another document than {by:?}"));
            }
            _ => there = Some((*value, call)),
        }
    }
    // Whoever was refused, met a document too.
    let met = |call: &&&Call<_, _>| call.answer().is_some_and(|answer| *answer != InsertOutput::Found(None));
    let since = calls.iter().filter(met).min_by_key(|call| call.ended);
    for call in calls {
        let evidence = match call.answer() {
            Some(InsertOutput::Found(None)) => {
                let before = since.filter(|by| by.ended_before(call.began));
                before.map(|by| format!("{call:?} found nothing after {by:?}"))
            }
            Some(InsertOutput::Refused) => {
                let may_be_there = inserts.values().any(|insert| {
                    let is_other = insert.began != call.began && insert.answer() != Some(&InsertOutput::Refused);
                    is_other && !call.ended_before(insert.began)
                });
                (!may_be_there).then(|| format!("{call:?} though nothing can have been there"))
            }
            _ => None,
        };
        if let Some(evidence) = evidence {
            return violation(evidence);
        }
    }
    Ok(())
}
