//! The world that the evaluator sees: this crate's terms, the query's time, the node's randomness, the fiber's fairness.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::{Args, Cx, Script, Scripted, Sequence, Trace, Value, World};

use crate::changefeed;
use crate::limits::{MEMORY_FREE_BYTES, SCRIPT_TIME_MAX_MS};
use crate::memory::MemoryShare;
use crate::pace::Pace;
use crate::script::{Realm, ScriptError};
use crate::surroundings::Surroundings;
use crate::terms;

/// One query's world.
pub(crate) struct QueryWorld {
    surroundings: Rc<Surroundings>,
    /// Where the scripts of this query run, once there was one; taken out while one runs.
    realm: Cell<Option<Box<dyn Realm>>>,
    pace: Pace,
    /// What it has of the memory for all queries; `None` as long as it needs no more than is free.
    memory: RefCell<Option<MemoryShare>>,
}

impl QueryWorld {
    pub fn new(surroundings: Rc<Surroundings>) -> QueryWorld {
        let pace = Pace::new(surroundings.environment.clock.clone());
        QueryWorld { surroundings, realm: Cell::new(None), pace, memory: RefCell::default() }
    }
}

impl World for QueryWorld {
    fn term(&self, args: &Args<'_>) -> Result<Value> {
        terms::eval(&self.surroundings, args)
    }

    fn union_feeds(&self, sequences: Vec<Sequence>, cx: &Cx) -> Result<Sequence> {
        changefeed::union(sequences, cx)
    }

    fn script(&self, script: &Script, arguments: Option<&[Datum]>, cx: &Cx) -> Result<Scripted> {
        let script = Script { timeout_ms: script.timeout_ms.min(SCRIPT_TIME_MAX_MS), ..script.clone() };
        let mut realm = match self.realm.take() {
            Some(realm) => realm,
            None => self.surroundings.environment.scripts.realm(&self.surroundings.environment.user)?,
        };
        let mark = cx.held();
        let outcome = realm.run(&script, arguments, cx);
        // Whoever gathers results counts them.
        cx.release_to(mark);
        if !matches!(outcome, Err(ScriptError::TimedOut | ScriptError::Crashed | ScriptError::Memory(_))) {
            self.realm.set(Some(realm));
        }
        outcome.map_err(|error| error.of(&script))
    }

    fn grant_steps(&self) -> u32 {
        self.pace.grant()
    }

    fn grant_memory(&self, bytes: usize) -> Result<usize> {
        let mut memory = self.memory.borrow_mut();
        match &mut *memory {
            Some(share) => share.grow_to(bytes)?,
            none => *none = MemoryShare::of(&self.surroundings.environment.memory, bytes)?,
        }
        Ok(memory.as_ref().map_or(MEMORY_FREE_BYTES, MemoryShare::bytes))
    }

    fn take_memory_back(&self, bytes: usize) -> usize {
        match &mut *self.memory.borrow_mut() {
            Some(share) => {
                share.shrink_to(bytes);
                share.bytes()
            }
            None => MEMORY_FREE_BYTES,
        }
    }

    fn trace(&self) -> Option<&Trace> {
        self.surroundings.trace.as_ref()
    }

    fn now_micros(&self) -> i64 {
        self.surroundings.now_micros
    }

    fn random(&self, bytes: &mut [u8]) {
        self.surroundings.environment.random.fill(bytes);
    }
}
