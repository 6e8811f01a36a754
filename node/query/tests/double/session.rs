//! Runs queries given as JSON against the double, and reads their answers as JSON.

use std::rc::Rc;
use std::sync::Arc;

use photondb_query::fetch::{Fetch, FetchError, Request, Response};
use photondb_query::script::{Realm, Scripts};
use photondb_query::{Answer, Environment, MemoryBudget, start};
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::term::{Message, parse};
use photondb_reql::{BacktraceId, Str};
use photondb_runtime::clock::{ManualClock, WallTime};
use photondb_runtime::fiber::{self, StackSize};
use photondb_runtime::random::SeededRandom;

use super::catalog::MemoryCatalog;

/// No other server, and no engine.
struct Nobody;

impl Fetch for Nobody {
    fn check_allowed(&self) -> Result<(), FetchError> {
        Err(FetchError::NotAllowed)
    }

    fn fetch(&self, _request: &Request, _cx: &Cx) -> Result<Response, FetchError> {
        Err(FetchError::NotAllowed)
    }
}

impl Scripts for Nobody {
    fn realm(&self, _user: &str) -> photondb_reql::error::Result<Box<dyn Realm>> {
        Err(photondb_reql::error::Error::op_failed("There is no engine."))
    }
}

/// A user's session.
pub struct Session {
    environment: Environment,
}

impl Session {
    /// A user's session. The table `t` is there.
    pub fn of(catalog: &Rc<MemoryCatalog>, user: &str) -> Session {
        Session::with_memory(catalog, user, usize::MAX)
    }

    /// The same, whose queries may hold so many bytes.
    pub fn with_memory(catalog: &Rc<MemoryCatalog>, user: &str, memory_max: usize) -> Session {
        Session::among(catalog, user, memory_max, &MemoryBudget::new(usize::MAX))
    }

    /// The same, which shares `memory` with others.
    pub fn among(catalog: &Rc<MemoryCatalog>, user: &str, memory_max: usize, memory: &Arc<MemoryBudget>) -> Session {
        let environment = Environment {
            catalog: catalog.clone(),
            fetch: Rc::new(Nobody),
            scripts: Rc::new(Nobody),
            user: Str::from(user),
            clock: Arc::new(ManualClock::starting_at(WallTime { micros: 1_000_000_000_000 })),
            random: Arc::new(SeededRandom::new(1)),
            memory_max,
            memory: memory.clone(),
        };
        let session = Session { environment };
        if session.run(r#"[62,[]]"#) == "[]" {
            session.run(r#"[60,["t"]]"#);
        }
        session
    }

    /// The answer as JSON: rows in an array for a sequence; errors as `!kind: message`.
    pub fn run(&self, term: &str) -> String {
        match self.open(term) {
            Err(error) => error,
            Ok(Answer::Atom(datum)) => datum.to_json().expect("answers have JSON"),
            Ok(Answer::Sequence(mut cursor)) => {
                let mut rows = Vec::new();
                loop {
                    match block(move || (cursor.next_batch(), cursor)) {
                        (Ok(batch), back) => {
                            cursor = back;
                            rows.extend(batch.rows);
                            if !batch.more {
                                return Datum::from(rows).to_json().expect("rows have JSON");
                            }
                        }
                        (Err(error), _) => return format!("!{:?}: {}", error.kind, error.message),
                    }
                }
            }
        }
    }

    /// Where in the query the error arose that it ends with, as JSON.
    #[allow(dead_code, reason = "not every suite asks for it")]
    pub fn frames(&self, term: &str) -> String {
        let Ok(Message::Start(query)) = parse(format!("[1,{term}]").as_bytes()) else { panic!("{term} is no START") };
        let (registry, environment) = (query.registry.clone(), self.environment.clone());
        let Err(error) = block(move || start(&query, &environment).map(|_| ())) else { panic!("{term} answers") };
        let mut frames = Vec::new();
        registry.write_json(error.backtrace.unwrap_or(BacktraceId::NONE), &mut frames);
        String::from_utf8(frames).expect("JSON is UTF-8")
    }

    /// What the query answers, its rows not read yet.
    pub fn open(&self, term: &str) -> Result<Answer, String> {
        let message = parse(format!("[1,{term}]").as_bytes()).map_err(|refusal| format!("!{refusal}"))?;
        let Message::Start(query) = message else { panic!("no START") };
        let environment = self.environment.clone();
        block(move || start(&query, &environment))
            .map(|outcome| outcome.answer)
            .map_err(|error| format!("!{:?}: {}", error.kind, error.message))
    }
}

fn block<T: 'static>(work: impl FnOnce() -> T + 'static) -> T {
    fiber::block_on(StackSize::for_depth(64), work).expect("the query does not panic")
}
