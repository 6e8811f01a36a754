//! What must hold: one property per file. A checker looks at what clients saw or at what is stored, never at how the
//! product came to it.

pub mod bank;
pub mod counter;
pub mod feed_replays_table;
pub mod index_equals_table;
pub mod linearizable;
pub mod list_append;
pub mod names_agree;
pub mod raft;
pub mod storage_verifies;
pub mod unique_inserts;

#[cfg(test)]
mod imagined;
#[cfg(test)]
mod tests;

use std::fmt;

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: &'static str,
    /// How that shows.
    pub evidence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} does not hold: {}", self.property, self.evidence)
    }
}
