//! What an evaluation may know of its surroundings: limits, the time, chance, and the world of tables.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::datum::{Datum, Str};
use crate::error::{Error, Result};
use crate::eval::args::Args;
use crate::eval::script::{Script, Scripted};
use crate::eval::sequence::Sequence;
use crate::eval::value::Value;

/// How large things may get in one query.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Elements of an array, and of one group; `array_limit`.
    pub array: usize,
    /// Rows of one batch to a client; `max_batch_rows`.
    pub batch_rows: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { array: crate::limits::ARRAY_ELEMENTS_MAX, batch_rows: usize::MAX }
    }
}

/// The terms that need more than their arguments. Implemented by `photondb-query`; [`NoWorld`] at a shard.
pub trait World {
    /// Evaluates a term that the pure language does not know (`db`, `table`, `table_create`, `for_each`, `changes`, `http`, ...).
    fn term(&self, args: &Args<'_>) -> Result<Value>;

    /// One feed of several sequences, at least one of which is a feed.
    fn union_feeds(&self, _sequences: Vec<Sequence>, _cx: &Cx) -> Result<Sequence> {
        Err(Error::logic("Changefeeds cannot be united here."))
    }

    /// Runs a script of `r.js`, or with `arguments` calls the function that it gives; may park the fiber. Errors: there is
    /// no engine; it took too long; what the script threw.
    fn script(&self, _script: &Script, _arguments: Option<&[Datum]>, _cx: &Cx) -> Result<Scripted> {
        Err(Error::logic("JavaScript cannot be run here."))
    }

    /// Lets other queries of this thread run. Called every so many steps.
    fn yield_now(&self) {}

    /// The time at which the query began, in microseconds since 1970-01-01T00:00:00Z: what `now()` gives.
    fn now_micros(&self) -> i64;

    /// Fills `bytes` with chance: `random`, `uuid`, `sample`.
    fn random(&self, bytes: &mut [u8]);
}

/// No tables, no time, no chance: where stored functions run, which the compiler has found deterministic.
pub struct NoWorld;

impl World for NoWorld {
    fn term(&self, args: &Args<'_>) -> Result<Value> {
        Err(Error::logic(format!("`{}` cannot be used in a stored function.", args.kind().name())))
    }

    fn now_micros(&self) -> i64 {
        0
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// The context of one query. Shared by reference while it runs, and kept by its cursor between batches.
#[derive(Clone)]
pub struct Cx(Rc<Inner>);

struct Inner {
    world: Box<dyn World>,
    limits: Limits,
    /// Steps since the last look at the clock of fairness.
    steps: Cell<u32>,
    /// Global optional arguments, by name.
    globals: RefCell<Vec<(Str, Datum)>>,
}

/// How many steps an evaluation makes before it lets others run.
const STEPS_BETWEEN_YIELDS: u32 = 4096;

impl Cx {
    /// A context for one query.
    pub fn new(world: impl World + 'static, limits: Limits) -> Cx {
        Cx(Rc::new(Inner { world: Box::new(world), limits, steps: Cell::new(0), globals: RefCell::default() }))
    }

    /// A context without a world, for stored functions.
    pub fn pure() -> Cx {
        Cx::new(NoWorld, Limits::default())
    }

    /// The world outside.
    pub fn world(&self) -> &dyn World {
        &*self.0.world
    }

    /// The limits of this query.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Sets a global optional argument (`db`, `array_limit`, `durability`, ...), already evaluated.
    pub fn set_global(&self, name: Str, value: Datum) {
        self.0.globals.borrow_mut().push((name, value));
    }

    /// A global optional argument.
    pub fn global(&self, name: &str) -> Option<Datum> {
        self.0.globals.borrow().iter().find(|(known, _)| &**known == name).map(|(_, value)| value.clone())
    }

    /// Counts one step, and now and then lets other queries run.
    pub fn step(&self) {
        self.steps(1);
    }

    /// Counts `count` steps at once, for loops over rows.
    pub fn steps(&self, count: u32) {
        let steps = self.0.steps.get().saturating_add(count);
        if steps >= STEPS_BETWEEN_YIELDS {
            self.0.steps.set(0);
            self.0.world.yield_now();
        } else {
            self.0.steps.set(steps);
        }
    }

    /// Refuses an array past the limit.
    pub fn check_array_length(&self, length: usize) -> Result<()> {
        if length > self.0.limits.array {
            return Err(Error::array_too_large(self.0.limits.array));
        }
        Ok(())
    }
}
