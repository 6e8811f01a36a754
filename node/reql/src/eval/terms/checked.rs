//! What the tests of the families share: a query as JSON, and the answer to expect.

use std::cell::Cell;

use crate::error::{Error, Result};
use crate::eval::{Args, Cx, Scope, Value, World, compile, context, eval};
use crate::term::{Message, parse};

/// A world without tables, whose clock stands still and whose chance is the same each time.
struct Still {
    state: Cell<u64>,
}

impl World for Still {
    fn term(&self, args: &Args<'_>) -> Result<Value> {
        Err(Error::internal(format!("{} reached the world", args.kind().name())))
    }

    fn now_micros(&self) -> i64 {
        1_400_000_000_123_456
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next = self.state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.state.set(next);
            *byte = (next >> 56) as u8;
        }
    }
}

/// The error of three elements where there may be two.
pub const OVER_TWO: &str = "ResourceLimit: Array over size limit `2`.  To raise the number of allowed elements, modify the `array_limit` option to `.run` (not available in the Data Explorer), or use an index.";

/// Checks the answers to queries: JSON, or `Kind: message` of an error.
#[track_caller]
pub fn check(cases: &[(&str, &str)]) {
    check_within(context::Limits::default().array, cases);
}

/// The same of queries whose arrays may have so many elements.
#[track_caller]
pub fn check_within(array: usize, cases: &[(&str, &str)]) {
    for (query, expected) in cases {
        let answer = run(query, array).unwrap_or_else(|error| format!("{:?}: {}", error.kind, error.message));
        assert_eq!(&answer, expected, "{query}");
    }
}

fn run(query: &str, array: usize) -> Result<String> {
    let message = format!("[1,{query},{{}}]");
    let start = match parse(message.as_bytes()) {
        Ok(Message::Start(start)) => start,
        Ok(other) => panic!("{query} is no query but {other:?}"),
        Err(refusal) => return Err(refusal.error),
    };
    let cx = Cx::new(Still { state: Cell::new(42) }, context::Limits { array, ..context::Limits::default() });
    eval(&compile(&start.term)?.root, &Scope::empty(), &cx)?.into_answer(&cx)?.to_json()
}
