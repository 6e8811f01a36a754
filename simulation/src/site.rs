//! What the clients of one life share: the node, the history, the judge.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use photondb_query::table::{ReadMode, Table, WriteOptions, WriteResult};
use photondb_reql::ErrorKind;
use photondb_reql::error::Error;
use photondb_reql::eval::Cx;
use photondb_runtime::fiber::{self, StackSize};
use photondb_storage::disk::simulated::SimulatedDisk;

use crate::checker::{Violation, index_matches_table};
use crate::clock::Clock;
use crate::document::{key_datum, value_of, write};
use crate::ended::Ended;
use crate::history::{Action, History, Key, Outcome, Value};
use crate::node::Node;
use crate::plan::Plan;
use crate::probe::Probes;
use crate::trace::Trace;

/// What was found wrong so far. Clones share it.
#[derive(Clone)]
pub struct Judge {
    trace: Trace,
    found: Rc<RefCell<Vec<Violation>>>,
}

impl Judge {
    /// Nothing is wrong yet.
    pub fn new(trace: Trace) -> Judge {
        Judge { trace, found: Rc::default() }
    }

    /// A property does not hold.
    pub fn accuse(&self, property: &'static str, evidence: impl Into<String>) {
        self.take(Err(Violation { property, evidence: evidence.into() }));
    }

    /// Adds what a checker found.
    pub fn take(&self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.trace.event(&violation);
            self.found.borrow_mut().push(violation);
        }
    }

    /// Everything found so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.found.borrow().clone()
    }

    /// Whether nothing was found.
    pub fn is_content(&self) -> bool {
        self.found.borrow().is_empty()
    }
}

/// One life's node, and what its clients need.
pub struct Site {
    /// The node.
    pub node: Rc<Node>,
    /// Which life this is.
    pub life: u64,
    /// The run's plan.
    pub plan: Plan,
    /// The run's clock.
    pub clock: Rc<Clock>,
    /// What clients saw, over all lives.
    pub history: Rc<RefCell<History>>,
    /// The run's trace.
    pub trace: Trace,
    /// Takes violations.
    pub judge: Judge,
    /// Whether this life's process has ended.
    pub ended: Ended,
    /// Whether the machine has power.
    pub disk: SimulatedDisk,
    /// Counts rare paths.
    pub probes: Probes,
    /// When clients stop asking.
    pub until: Duration,
    /// Clients that have stopped.
    pub stopped: Cell<u64>,
}

impl Site {
    /// Whether clients go on asking.
    pub fn is_open(&self) -> bool {
        self.clock.now() < self.until && self.judge.is_content()
    }

    /// Whether the node is gone, though its tasks do not know yet: nothing that comes out of it now would have come out of
    /// a real one.
    pub fn is_dead(&self) -> bool {
        self.ended.is_ended() || self.disk.is_crashed()
    }

    /// Runs `work` as the product runs a query.
    pub async fn on_fiber<T: 'static>(&self, work: impl FnOnce() -> T + 'static) -> Option<T> {
        match fiber::run(StackSize::for_depth(8), work).await {
            Ok(output) => Some(output),
            Err(panicked) => {
                self.judge.accuse("no query panics", panicked.to_string());
                None
            }
        }
    }

    /// Client `client` does these in one request; all but reads, which go one by one.
    pub async fn request(&self, client: u64, actions: &[(Key, Action)]) {
        if let [(key, Action::Read)] = actions {
            self.read(client, *key).await;
            return;
        }
        let operations: Vec<_> = {
            let mut history = self.history.borrow_mut();
            actions.iter().map(|(key, action)| history.begin(client, self.life, *key, *action)).collect()
        };
        self.trace.event(format_args!("client {client} asks {actions:?}"));
        let writes = actions.iter().filter_map(|(key, action)| write(*key, *action)).collect();
        let table = self.node.table();
        let answer = self.on_fiber(move || table.write(writes, &WriteOptions::default(), &Cx::pure())).await;
        let outcomes = match answer {
            Some(Ok(results)) => results.iter().map(|result| self.outcome_of(result)).collect(),
            Some(Err(error)) => vec![self.outcome_of_error(&error); operations.len()],
            None => vec![Outcome::Unknown; operations.len()],
        };
        if self.is_dead() {
            return;
        }
        self.trace.event(format_args!("client {client} hears {outcomes:?}"));
        let mut history = self.history.borrow_mut();
        for (operation, outcome) in operations.into_iter().zip(outcomes) {
            history.end(operation, outcome);
        }
    }

    /// Client `client` reads one document. `None`: the answer did not come.
    pub async fn read(&self, client: u64, key: Key) -> Option<Value> {
        let operation = self.history.borrow_mut().begin(client, self.life, key, Action::Read);
        let table = self.node.table();
        let answer = self.on_fiber(move || table.get(&key_datum(key), ReadMode::Single)).await?;
        if self.is_dead() {
            return None;
        }
        let (outcome, value) = match answer {
            Ok(None) => (Outcome::Found(None), Some(None)),
            Ok(Some(document)) => match value_of(&document) {
                Ok(value) => (Outcome::Found(value), Some(value)),
                Err(evidence) => {
                    self.judge.accuse("documents are whole", evidence);
                    (Outcome::Unknown, None)
                }
            },
            Err(error) => (self.outcome_of_error(&error), None),
        };
        self.trace.event(format_args!("client {client} reads {key}: {outcome:?}"));
        self.history.borrow_mut().end(operation, outcome);
        value
    }

    /// Compares indexes and documents in one snapshot.
    pub fn compare_indexes(&self) {
        let reader = match self.node.replica().read() {
            Ok(reader) => reader,
            Err(error) => return self.trace.event(format_args!("comparing: {error}")),
        };
        let usable = reader.schema().indexes.values().filter(|index| index.is_usable()).count();
        let building = reader.schema().indexes.len() - usable;
        self.probes.reach("index read while another is built", u64::from(usable > 0 && building > 0));
        let result = index_matches_table::check(&reader);
        if !self.is_dead() {
            self.judge.take(result);
        }
    }

    /// Reads every document of the run. `None`: an answer did not come.
    pub async fn read_all(&self, client: u64) -> Option<BTreeMap<Key, Value>> {
        let mut found = BTreeMap::new();
        for key in 0..self.plan.keys {
            found.insert(key, self.read(client, key).await?);
        }
        Some(found)
    }

    fn outcome_of(&self, result: &WriteResult) -> Outcome {
        match result {
            WriteResult::Done { old, new } => match (value_of(old), value_of(new)) {
                (Ok(old), Ok(new)) => Outcome::Changed { old, new },
                (Err(evidence), _) | (_, Err(evidence)) => {
                    self.judge.accuse("documents are whole", evidence);
                    Outcome::Unknown
                }
            },
            WriteResult::Refused { error, .. } if error.message.starts_with("Duplicate primary key") => {
                Outcome::Refused
            }
            WriteResult::Refused { error, .. } => self.outcome_of_error(error),
        }
    }

    fn outcome_of_error(&self, error: &Error) -> Outcome {
        self.trace.event(format_args!("{:?}: {error}", error.kind));
        match error.kind {
            ErrorKind::OpFailed => {
                self.probes.reach("write refused for lack of space", u64::from(error.message.contains("disk")));
                Outcome::Failed
            }
            _ => Outcome::Unknown,
        }
    }
}
