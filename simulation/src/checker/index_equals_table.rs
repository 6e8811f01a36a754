//! What an index shows is what the table holds, on one snapshot.
//!
//! A client cannot ask for two things on one snapshot. But while writers only move documents within the index, and neither
//! insert nor delete, every snapshot of the whole index has each document once; a read that mixes two of them has one twice
//! or not at all. And each document that a read of a part of the index gives belongs there by its own content.

use std::collections::{BTreeMap, BTreeSet};

use crate::checker::Violation;

const PROPERTY: &str = "index equals table";

/// A document, as far as this goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Its primary key.
    pub id: u64,
    /// What it is indexed by.
    pub indexed: i64,
}

/// Checks a read of the whole index while documents move: `expected` are the keys of all documents.
pub fn check_whole(expected: &BTreeSet<u64>, read: &[Row]) -> Result<(), Violation> {
    let mut seen = BTreeSet::new();
    for row in read {
        if !seen.insert(row.id) {
            return violation(format!("{row:?} came twice in {} rows of one read of the index", read.len()));
        }
    }
    match (expected.difference(&seen).next(), seen.difference(expected).next()) {
        (None, None) => Ok(()),
        (Some(_), _) => {
            let missing: Vec<&u64> = expected.difference(&seen).collect();
            violation(format!(
                "documents {missing:?} are missing in a read of everything, which gave {} rows",
                read.len()
            ))
        }
        (_, Some(extra)) => violation(format!("document {extra} is in the index and was never inserted")),
    }
}

/// Checks a read of the index from `low` up to below `high`.
pub fn check_part(low: i64, high: i64, read: &[Row]) -> Result<(), Violation> {
    match read.iter().find(|row| !(low..high).contains(&row.indexed)) {
        Some(row) => violation(format!("{row:?} came in a read of the index from {low} to {high}")),
        None => {
            let ids: BTreeSet<u64> = read.iter().map(|row| row.id).collect();
            let twice = ids.len() < read.len();
            if twice {
                violation(format!("a document came twice in a read from {low} to {high}: {read:?}"))
            } else {
                Ok(())
            }
        }
    }
}

/// Checks the index against the table when nobody writes any more.
pub fn check_still(table: &[Row], index: &[Row]) -> Result<(), Violation> {
    let by_id = |rows: &[Row]| rows.iter().map(|row| (row.id, row.indexed)).collect::<BTreeMap<_, _>>();
    let (of_table, of_index) = (by_id(table), by_id(index));
    if of_table == of_index && table.len() == index.len() {
        return Ok(());
    }
    let differs = |(id, indexed): &(&u64, &i64)| of_index.get(*id) != Some(*indexed);
    let example = of_table.iter().find(differs);
    violation(format!("{} documents, {} entries of the index; for one {example:?}", table.len(), index.len()))
}

fn violation(evidence: String) -> Result<(), Violation> {
    Err(Violation { property: PROPERTY, evidence })
}
