//! What an evaluation may know of its surroundings: limits, the time, chance, and the world of tables.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::datum::{Datum, Str, json};
use crate::error::{Error, Result};
use crate::eval::args::Args;
use crate::eval::script::{Script, Scripted};
use crate::eval::sequence::Sequence;
use crate::eval::trace::Trace;
use crate::eval::value::Value;
use crate::geo::Pace;
use crate::term::BacktraceId;

/// How large things may get in one query.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Elements of an array, and of one group; `array_limit`.
    pub array: usize,
    /// Rows of one batch to a client; `max_batch_rows`.
    pub batch_rows: usize,
    /// Bytes that one query may hold at once, as [`Cx::hold`] counts them.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            array: crate::limits::ARRAY_ELEMENTS_MAX,
            batch_rows: usize::MAX,
            memory: crate::limits::QUERY_MEMORY_BYTES_MAX,
        }
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

    /// Called when the steps that it granted last are used up: lets other queries of this thread run when it is their turn,
    /// and grants more steps. A query that is to end is unwound here.
    fn grant_steps(&self) -> u32 {
        u32::MAX
    }

    /// Called before the query holds `bytes`, which is more than it was granted last. Gives how many it may hold from now
    /// on. Errors: nothing is left of what all queries may hold together.
    fn grant_memory(&self, _bytes: usize) -> Result<usize> {
        Ok(usize::MAX)
    }

    /// Called when the query holds only `bytes`, which is much less than it was granted. Gives how many it may hold from
    /// now on.
    fn take_memory_back(&self, _bytes: usize) -> usize {
        usize::MAX
    }

    /// Where tasks are noted, when the query asks for its profile.
    fn trace(&self) -> Option<&Trace> {
        None
    }

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

/// What a query was granted and does not hold may be so much before it is given back, in bytes: a query that holds more and
/// less in turn asks seldom.
const GRANTED_AHEAD_BYTES_MAX: usize = 512 * 1024;

/// Less than this is not looked at again when a term is done, in bytes.
const SETTLED_BYTES_MIN: usize = 64 * 1024;

/// The context of one query. Shared by reference while it runs, and kept by its cursor between batches.
#[derive(Clone)]
pub struct Cx(Rc<Inner>);

struct Inner {
    world: Box<dyn World>,
    limits: Limits,
    /// Steps until the world is asked for more.
    steps_left: Cell<u32>,
    /// Bytes held, as far as they are counted.
    held: Cell<usize>,
    /// Bytes that it may hold before it asks the world for more.
    granted: Cell<usize>,
    /// When it holds less than this, the world takes some back.
    kept_from: Cell<usize>,
    /// Whether the world has a trace.
    traced: bool,
    /// Where the value that was evaluated last came about.
    origin: Cell<BacktraceId>,
    /// Global optional arguments, by name.
    globals: RefCell<Vec<(Str, Datum)>>,
}

impl Cx {
    /// A context for one query.
    pub fn new(world: impl World + 'static, limits: Limits) -> Cx {
        let traced = world.trace().is_some();
        Cx(Rc::new(Inner {
            world: Box::new(world),
            traced,
            limits,
            steps_left: Cell::new(0),
            held: Cell::new(0),
            granted: Cell::new(0),
            kept_from: Cell::new(0),
            origin: Cell::new(BacktraceId::NONE),
            globals: RefCell::default(),
        }))
    }

    /// A context without a world, for stored functions.
    pub fn pure() -> Cx {
        Cx::new(NoWorld, Limits::default())
    }

    /// The world outside.
    pub fn world(&self) -> &dyn World {
        &*self.0.world
    }

    /// Where the value that was evaluated last came about: of `default`, `branch` and the like it is the term that gave the
    /// value which they let through. Errors about the value point there.
    pub(crate) fn origin(&self) -> BacktraceId {
        self.0.origin.get()
    }

    /// Says where the value that was just evaluated came about.
    pub(crate) fn set_origin(&self, id: BacktraceId) {
        self.0.origin.set(id);
    }

    /// Where tasks are noted, when the query asks for its profile.
    pub fn trace(&self) -> Option<&Trace> {
        if self.0.traced { self.0.world.trace() } else { None }
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

    /// Counts `count` steps at once: for loops over rows, and for single steps that take as long as so many.
    pub fn steps(&self, count: u32) {
        match self.0.steps_left.get().checked_sub(count) {
            Some(left) => self.0.steps_left.set(left),
            None => self.ask_for_steps(),
        }
    }

    /// Counts the steps of a loop over `count` rows.
    pub fn steps_of(&self, count: usize) {
        self.steps(u32::try_from(count).unwrap_or(u32::MAX));
    }

    #[cold]
    fn ask_for_steps(&self) {
        // Nobody may take the grant of somebody who runs while this one waits: the cell is written after the wait.
        let granted = self.0.world.grant_steps();
        self.0.steps_left.set(granted);
    }

    /// Counts `bytes` more that the query holds. Errors: it holds more than it may.
    ///
    /// What gathers elements (arrays made of streams, sorts, groups, `distinct`) counts each as it comes in; whatever the
    /// evaluation of a term counted is given back when the term is done, but for its result ([`Cx::settle`]).
    pub fn hold(&self, bytes: usize) -> Result<()> {
        let held = self.0.held.get().saturating_add(bytes);
        if held > self.0.granted.get() {
            self.ask_for_memory(held)?;
        }
        self.0.held.set(held);
        Ok(())
    }

    #[cold]
    fn ask_for_memory(&self, held: usize) -> Result<()> {
        if held > self.0.limits.memory {
            return Err(Error::query_too_large(self.0.limits.memory));
        }
        let granted = self.0.world.grant_memory(held)?;
        self.set_granted(granted);
        Ok(())
    }

    fn set_granted(&self, granted: usize) {
        // A world that grants everything need not be given anything back.
        let kept_from = if granted == usize::MAX { 0 } else { granted.saturating_sub(GRANTED_AHEAD_BYTES_MAX) };
        self.0.granted.set(granted.min(self.0.limits.memory));
        self.0.kept_from.set(kept_from);
    }

    /// Counts `now` bytes where so far `before` were counted. Errors: as [`Cx::hold`]; then `before` stays.
    pub fn hold_instead(&self, before: &mut usize, now: usize) -> Result<()> {
        match now.checked_sub(*before) {
            Some(more) => self.hold(more)?,
            None => self.release(*before - now),
        }
        *before = now;
        Ok(())
    }

    /// Bytes that it may still hold.
    pub fn room(&self) -> usize {
        self.0.limits.memory.saturating_sub(self.0.held.get())
    }

    /// Refuses `bytes` that are held for a short time beside what is counted.
    pub fn check_room(&self, bytes: usize) -> Result<()> {
        let held = self.0.held.get();
        self.hold(bytes)?;
        self.0.held.set(held);
        Ok(())
    }

    /// Counts an element that was gathered.
    pub fn hold_datum(&self, datum: &Datum) -> Result<()> {
        self.hold(datum.footprint())
    }

    /// Counts elements that were gathered.
    pub fn hold_all(&self, batch: &[Datum]) -> Result<()> {
        self.hold(footprint_of(batch))
    }

    /// Bytes held now; what [`Cx::settle`] and [`Cx::release_to`] go back to.
    pub fn held(&self) -> usize {
        self.0.held.get()
    }

    /// Gives back everything counted since `mark`.
    pub fn release_to(&self, mark: usize) {
        self.set_held(self.0.held.get().min(mark));
    }

    /// Gives back `bytes` of what was counted.
    pub fn release(&self, bytes: usize) {
        self.set_held(self.0.held.get().saturating_sub(bytes));
    }

    fn set_held(&self, held: usize) {
        self.0.held.set(held);
        if held < self.0.kept_from.get() {
            self.give_back(held);
        }
    }

    #[cold]
    fn give_back(&self, held: usize) {
        let granted = self.0.world.take_memory_back(held);
        self.set_granted(granted);
    }

    /// Gives back what was counted since `mark` but for what `value` is made of. Free when little was counted.
    pub(crate) fn settle(&self, mark: usize, value: &Value) {
        if self.0.held.get().saturating_sub(mark) >= SETTLED_BYTES_MIN {
            let kept = value.footprint();
            self.set_held(self.0.held.get().min(mark.saturating_add(kept)));
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

/// A query that parses a text counts what it makes, and lets others have their turn.
impl json::Progress for &Cx {
    fn look(&mut self, values: usize, bytes: usize) -> Result<()> {
        self.steps_of(values);
        self.hold(bytes)
    }

    fn array(&mut self, length: usize) -> Result<()> {
        self.check_array_length(length)
    }
}

/// About how many bytes of memory these take.
pub fn footprint_of(batch: &[Datum]) -> usize {
    batch.iter().map(Datum::footprint).fold(0, usize::saturating_add)
}

impl Pace for Cx {
    fn steps(&self, count: u32) {
        Cx::steps(self, count);
    }
}
