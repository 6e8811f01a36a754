//! Queries, each evaluated in several ways that must agree: no panic, an end in bounded steps, one answer.
//!
//! First byte modulo 4: 0 the text of a term, then changes of it (see [`changes`]); otherwise a query grown from what
//! follows.

pub mod changes;
pub mod forms;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use photondb_reql::BacktraceId;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{self, Cx, Limits, Node, Query, Scope, Value};
use photondb_reql::term::{Message, Registry, Term, parse};

use super::input::Input;
use super::queries::{Reach, term};
use world::{OutOfSteps, SmallWorld, Way};

/// Elements of an array, so that what grows meets its limit soon.
const ARRAY_MAX: usize = 2_000;

/// Bytes that a query may hold.
const MEMORY_MAX: usize = 32 * 1024 * 1024;

/// What is examined.
#[derive(Clone, Copy)]
pub struct Subject {
    pub compile: fn(&Term) -> Result<Query>,
    pub eval: fn(&Node, &Scope, &Cx) -> Result<Value>,
}

impl Subject {
    /// The product.
    pub const PRODUCT: Subject = Subject { compile: eval::compile, eval: eval::eval };
}

/// Examines the product.
pub fn run(input: &[u8]) {
    run_with(input, &Subject::PRODUCT);
}

/// Examines `subject`.
pub fn run_with(input: &[u8], subject: &Subject) {
    let text = query(input);
    let Ok(Message::Start(start)) = parse(format!("[1,{text}]").as_bytes()) else { return };
    let outcome = |term: &Term, query: &Query, way: Way| evaluate(term, query, way, &start.registry, subject);
    let Ok(compiled) = (subject.compile)(&start.term) else { return };
    let first = outcome(&start.term, &compiled, Way::Usual);
    let agree =
        |other: Outcome, how: &str| assert!(first.agrees(&other), "{text}\n gives {first:?},\n {how} {other:?}");
    agree(outcome(&start.term, &compiled, Way::Usual), "a second time");
    agree(outcome(&start.term, &compiled, Way::Traced), "with a profile");
    let in_full = Query { root: forms::without_plain(&compiled.root), depth: compiled.depth };
    agree(outcome(&start.term, &in_full, Way::InFull), "without short ways");
    let packed = forms::with_packed_constants(&start.term);
    if let Ok(query) = (subject.compile)(&packed) {
        agree(outcome(&packed, &query, Way::Usual), "with stored constants");
    }
    let stored = forms::stored_and_read(&start.term);
    let again = (subject.compile)(&stored).expect("what compiled once compiles again");
    agree(outcome(&stored, &again, Way::Usual).nowhere(), "stored and read again");
}

/// The text of the query that an input stands for.
pub fn query(input: &[u8]) -> String {
    let mut input = Input::new(input);
    match input.byte() % 4 {
        0 => changes::changed(&mut input),
        _ => term(&mut input, Reach::Scan),
    }
}

/// What came of a query.
#[derive(Clone, Debug)]
enum Outcome {
    Answer(String),
    /// Kind and message, and the path to the fault where it is known.
    Failure(String, Option<String>),
    /// It was ended for its length.
    OutOfSteps,
}

impl Outcome {
    /// Whether both are the same, as far as both are known. What is ended takes its steps differently in each way.
    fn agrees(&self, other: &Outcome) -> bool {
        match (self, other) {
            (Outcome::OutOfSteps, _) | (_, Outcome::OutOfSteps) => true,
            (Outcome::Answer(a), Outcome::Answer(b)) => a == b,
            (Outcome::Failure(a, _), Outcome::Failure(b, None)) => a == b,
            (Outcome::Failure(a, at), Outcome::Failure(b, bt)) => a == b && at == bt,
            _ => false,
        }
    }

    /// Without the path.
    fn nowhere(self) -> Outcome {
        match self {
            Outcome::Failure(error, _) => Outcome::Failure(error, None),
            other => other,
        }
    }
}

fn evaluate(term: &Term, query: &Query, way: Way, registry: &Registry, subject: &Subject) -> Outcome {
    let limits = Limits { array: ARRAY_MAX, memory: MEMORY_MAX, ..Limits::default() };
    let cx = Cx::new(SmallWorld::new(way), limits);
    let answer = || -> Result<String> {
        let value = (subject.eval)(&query.root, &Scope::empty(), &cx)?;
        value.into_answer(&cx)?.to_json()
    };
    let failure = |error: Error| {
        let mut path = Vec::new();
        registry.write_json(error.backtrace.unwrap_or(BacktraceId::NONE), &mut path);
        let path = String::from_utf8_lossy(&path).into_owned();
        Outcome::Failure(format!("{:?}: {}", error.kind, error.message), Some(path))
    };
    match catch_unwind(AssertUnwindSafe(answer)) {
        Ok(Ok(answer)) => Outcome::Answer(answer),
        Ok(Err(error)) => {
            assert_ne!(error.kind, photondb_reql::ErrorKind::Internal, "{term:?}: {}", error.message);
            failure(error)
        }
        Err(cause) if cause.is::<OutOfSteps>() => Outcome::OutOfSteps,
        Err(cause) => resume_unwind(cause),
    }
}
