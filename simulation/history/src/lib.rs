//! What clients of a database ask and hear, and whether it can be right: queries as drivers send them ([`term`]), how they
//! end ([`answer`]), what was asked and heard in its order ([`ledger`]), and checkers of that, which know nothing of who
//! answered. The simulator's clients and those of real processes are judged by the same.

pub mod answer;
pub mod counter;
pub mod feed;
pub mod feed_replays_first;
pub mod feed_replays_table;
pub mod imagined;
pub mod ledger;
pub mod linearizable;
pub mod random;
pub mod register;
pub mod shown;
pub mod term;

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
