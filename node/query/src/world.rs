//! The world that the evaluator sees: this crate's terms, the query's time, the node's randomness, the fiber's fairness.

use std::rc::Rc;

use photondb_reql::error::Result;
use photondb_reql::eval::{Args, Cx, Sequence, Value, World};
use photondb_runtime::fiber;

use crate::changefeed;
use crate::surroundings::Surroundings;
use crate::terms;

/// One query's world.
pub(crate) struct QueryWorld {
    surroundings: Rc<Surroundings>,
}

impl QueryWorld {
    pub fn new(surroundings: Rc<Surroundings>) -> QueryWorld {
        QueryWorld { surroundings }
    }
}

impl World for QueryWorld {
    fn term(&self, args: &Args<'_>) -> Result<Value> {
        terms::eval(&self.surroundings, args)
    }

    fn union_feeds(&self, sequences: Vec<Sequence>, cx: &Cx) -> Result<Sequence> {
        changefeed::union(sequences, cx)
    }

    fn yield_now(&self) {
        fiber::yield_now();
    }

    fn now_micros(&self) -> i64 {
        self.surroundings.now_micros
    }

    fn random(&self, bytes: &mut [u8]) {
        self.surroundings.environment.random.fill(bytes);
    }
}
