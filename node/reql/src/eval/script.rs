//! Scripts of `r.js`. What runs them is outside ([`World::script`](crate::eval::World::script)).

use crate::datum::{Datum, Str};
use crate::term::BacktraceId;

/// A script in JavaScript, and for how long it may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The script.
    pub source: Str,
    /// Milliseconds that evaluating it, and each call of the function it gives, may take.
    pub timeout_ms: u64,
    /// Where the term stands in the query.
    pub id: BacktraceId,
}

/// What a script gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Scripted {
    /// A value.
    Value(Datum),
    /// A function: the script itself stands for it.
    Function,
}
