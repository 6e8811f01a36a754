//! From a parsed query to its answer. Everything here runs on a fiber.

mod batches;
mod globals;

use std::rc::Rc;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::{Cx, FeedKind, Query, Scope, Sequence, Stream, Trace, Value, compile, eval};
use photondb_reql::term::Start;

use crate::environment::Environment;
use crate::explain;
use crate::memory::MemoryShare;
use crate::observed::Observed;
use crate::surroundings::{Orders, Surroundings};
use crate::world::QueryWorld;
use batches::{BatchSizes, Batches};
use globals::Explain;
pub(crate) use globals::positive;

/// The note that a feed shows its states.
const INCLUDES_STATES: u8 = 5;

/// A query that has been compiled and not yet run.
#[derive(Debug)]
pub struct Prepared {
    query: Query,
    start: Start,
    /// Held as long as it lives.
    _memory: Option<MemoryShare>,
}

/// Compiles a query. Errors: arity, names of options, variables; their places are in the registry of `start`.
#[expect(
    clippy::result_large_err,
    reason = "whoever answers the error needs the whole query, and it is answered at once"
)]
pub fn prepare(start: Start) -> std::result::Result<Prepared, (photondb_reql::error::Error, Start)> {
    match compile(&start.term) {
        Ok(query) => Ok(Prepared { query, start, _memory: None }),
        Err(error) => Err((error, start)),
    }
}

impl Prepared {
    /// How many calls of the evaluator may be inside one another: what the stack must hold.
    pub fn depth(&self) -> usize {
        self.query.depth
    }

    /// What it takes of the memory for all queries, until it is dropped.
    #[must_use]
    pub fn counted(self, memory: Option<MemoryShare>) -> Prepared {
        Prepared { _memory: memory, ..self }
    }

    /// The query as it came: its options, and what the places in errors stand for.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Runs it. Errors point into the registry of [`Prepared::start`].
    pub fn run(&self, environment: &Environment) -> Result<Outcome> {
        run(&self.query, &self.start, environment)
    }
}

/// Compiles and runs a query.
pub fn start(start: &Start, environment: &Environment) -> Result<Outcome> {
    run(&compile(&start.term)?, start, environment)
}

fn run(query: &Query, start: &Start, environment: &Environment) -> Result<Outcome> {
    let mut globals = globals::read(start)?;
    globals.limits.memory = environment.memory_max.min(globals.limits.memory);
    let trace = start.flag("profile").then(|| {
        let clock = environment.clock.clone();
        Trace::new(move || clock.now().since_start())
    });
    let orders = Orders {
        default_db: globals.db,
        queue_size: globals.queue_size,
        trace,
        use_index: globals.use_index,
        writes: query.root.traits().writes,
        observed: (globals.explain == Explain::Analyze).then(Observed::default),
    };
    let surroundings = Surroundings::new(environment.clone(), orders);
    let cx = Cx::new(QueryWorld::new(surroundings.clone()), globals.limits);
    for (name, value) in globals.values {
        cx.set_global(name, value);
    }
    #[cfg(feature = "fault-points")]
    fail::fail_point!("evaluator-panics");
    let answer = match globals.explain {
        Explain::Nothing => evaluate(query, &surroundings, &cx)?,
        Explain::Plan => Answer::Atom(explain::plan(query, start, &surroundings, &cx)?),
        Explain::Analyze => Answer::Atom(explain::analyze(query, start, &surroundings, &cx)?),
    };
    let profile = match &answer {
        Answer::Sequence(cursor) if !cursor.is_feed() => None,
        _ => surroundings.trace.as_ref().map(Trace::take),
    };
    if let Answer::Atom(datum) = &answer {
        // The text that is made of it is about as long.
        cx.hold(datum.size_hint())?;
    }
    Ok(Outcome { answer, profile, _held: cx })
}

/// Runs a query, whatever it was asked to answer in place of its result.
pub(crate) fn evaluate(query: &Query, surroundings: &Rc<Surroundings>, cx: &Cx) -> Result<Answer> {
    answer(eval(&query.root, &Scope::empty(), cx)?, surroundings, cx)
}

/// What a query answers.
#[must_use]
pub struct Outcome {
    /// The result, or its beginning.
    pub answer: Answer,
    /// With `profile: true`: what took how long, when this is the answer; of rows to come [`Cursor::profile`] tells.
    pub profile: Option<Datum>,
    /// The answer is counted among what the query holds until it is written.
    _held: Cx,
}

/// The result of a query.
pub enum Answer {
    /// One value.
    Atom(Datum),
    /// Rows to come; none has been read yet.
    Sequence(Cursor),
}

fn answer(value: Value, surroundings: &Rc<Surroundings>, cx: &Cx) -> Result<Answer> {
    let sequence = match value {
        Value::Table(table) => Sequence::table(table),
        Value::Sequence(sequence) if !sequence.is_array() && !sequence.is_grouped() => sequence,
        value => return value.into_answer(cx).map(Answer::Atom),
    };
    let sizes = BatchSizes::read(cx)?;
    let mut notes = Vec::new();
    if let Some(kind) = sequence.feed() {
        notes.push(note(kind));
        if sequence.shows_states() {
            notes.push(INCLUDES_STATES);
        }
    }
    let feed = sequence.feed().is_some();
    let infinite = sequence.infinite();
    let stream = sequence.open(cx)?;
    let clock = surroundings.environment.clock.clone();
    Ok(Answer::Sequence(Cursor { stream, cx: cx.clone(), batches: Batches::new(sizes, feed, clock), notes, infinite }))
}

fn note(kind: FeedKind) -> u8 {
    match kind {
        FeedKind::Sequence => 1,
        FeedKind::Atom => 2,
        FeedKind::OrderByLimit => 3,
        FeedKind::Unioned => 4,
    }
}

/// The rows of a result, read as the client asks for them.
pub struct Cursor {
    stream: Box<dyn Stream>,
    cx: Cx,
    batches: Batches,
    notes: Vec<u8>,
    infinite: bool,
}

/// Some rows of a result.
#[derive(Debug)]
pub struct CursorBatch {
    /// The rows; from a feed at least one while there is more.
    pub rows: Vec<Datum>,
    /// Whether there may be more rows after them.
    pub more: bool,
}

impl Cursor {
    /// The notes of each answer of this result (`ResponseNote` of the protocol).
    pub fn notes(&self) -> &[u8] {
        &self.notes
    }

    /// Whether the result never ends by itself.
    pub fn is_feed(&self) -> bool {
        self.batches.is_feed()
    }

    /// Whether it never ends although it is no feed.
    pub fn is_infinite(&self) -> bool {
        self.infinite
    }

    /// With `profile: true`: what took how long since the last answer.
    pub fn profile(&self) -> Option<Datum> {
        self.cx.trace().map(Trace::take)
    }

    /// The rows of the last batch were written and dropped: they are counted no more.
    pub fn let_go(&mut self) {
        self.batches.let_go(&self.cx);
    }

    /// The next rows, on a fiber, which a feed parks until there is one. After an error there is nothing more.
    pub fn next_batch(&mut self) -> Result<CursorBatch> {
        #[cfg(feature = "fault-points")]
        fail::fail_point!("stream-panics");
        self.batches.next(&mut *self.stream, &self.cx)
    }
}
