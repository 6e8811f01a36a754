//! What took how long: the tasks of a query with `profile`, as a tree in RethinkDB's form.
//!
//! A task is `{description, duration(ms), sub_tasks}`; tasks that were done side by side stand in `{parallel_tasks}`, a list
//! of lists. What is done again and again for each row (calls of functions) is not shown one by one.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::datum::Datum;
use crate::datum::Object;
use crate::limits::{PROFILE_DEPTH_MAX, PROFILE_TASKS_MAX};

/// The tasks of one query so far.
pub struct Trace {
    /// Time since some moment in the past.
    clock: Box<dyn Fn() -> Duration>,
    open: RefCell<Vec<Open>>,
    /// Tasks that stand in no other and are done.
    done: RefCell<Vec<Datum>>,
    shown: Cell<usize>,
    /// Calls of functions that are being made: what happens in them is not shown.
    silent: Cell<usize>,
}

struct Open {
    description: String,
    began: Duration,
    parts: Vec<Datum>,
}

impl Trace {
    /// No tasks yet. `clock` gives the time since some moment in the past.
    pub fn new(clock: impl Fn() -> Duration + 'static) -> Trace {
        Trace {
            clock: Box::new(clock),
            open: RefCell::default(),
            done: RefCell::default(),
            shown: Cell::new(0),
            silent: Cell::new(0),
        }
    }

    /// Begins a task, inside the one that is going on.
    pub fn begin(&self, description: impl Into<String>) {
        let open = Open { description: description.into(), began: (self.clock)(), parts: Vec::new() };
        self.open.borrow_mut().push(open);
    }

    /// How many tasks are going on; for [`Trace::end_to`].
    pub fn level(&self) -> usize {
        self.open.borrow().len()
    }

    /// Ends tasks until `level` are going on.
    pub fn end_to(&self, level: usize) {
        let now = (self.clock)();
        let mut open = self.open.borrow_mut();
        while open.len() > level {
            let Some(task) = open.pop() else { return };
            self.file(task.close(now), &mut open);
        }
    }

    /// Does `work` as a task of its own.
    pub fn task<T>(&self, description: &str, work: impl FnOnce() -> T) -> T {
        let level = self.level();
        self.begin(description);
        let result = work();
        self.end_to(level);
        result
    }

    /// Does `work` on one shard: a task for the whole, and in it one among parallel ones for the shard.
    pub fn on_shard<T>(&self, whole: &str, part: &str, work: impl FnOnce() -> T) -> T {
        let level = self.level();
        self.begin(whole);
        let began = (self.clock)();
        let result = work();
        let shard = Open { description: part.to_owned(), began, parts: Vec::new() }.close((self.clock)());
        let split = Object::from([("parallel_tasks", Datum::from(vec![Datum::from(vec![shard])]))]);
        self.file(Datum::Object(split), &mut self.open.borrow_mut());
        self.end_to(level);
        result
    }

    fn file(&self, task: Datum, open: &mut [Open]) {
        if self.silent.get() > 0 || open.len() >= PROFILE_DEPTH_MAX || self.shown.get() >= PROFILE_TASKS_MAX {
            return;
        }
        self.shown.set(self.shown.get() + 1);
        match open.last_mut() {
            Some(around) => around.parts.push(task),
            None => self.done.borrow_mut().push(task),
        }
    }

    /// From now on until [`Trace::speak`] nothing is shown.
    pub(crate) fn hush(&self) {
        self.silent.set(self.silent.get() + 1);
    }

    /// Ends the last [`Trace::hush`].
    pub(crate) fn speak(&self) {
        self.silent.set(self.silent.get().saturating_sub(1));
    }

    /// The tasks since this was asked last, as a client sees them.
    pub fn take(&self) -> Datum {
        self.shown.set(0);
        Datum::from(std::mem::take(&mut *self.done.borrow_mut()))
    }
}

impl Open {
    fn close(self, now: Duration) -> Datum {
        let duration = now.saturating_sub(self.began).as_secs_f64() * 1e3;
        Datum::Object(Object::from([
            ("description", Datum::from(self.description)),
            ("duration(ms)", Datum::Number(duration)),
            ("sub_tasks", Datum::from(self.parts)),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn tasks_stand_in_one_another_with_their_durations() {
        let now = Rc::new(Cell::new(Duration::ZERO));
        let clock = now.clone();
        let trace = Trace::new(move || clock.get());
        trace.begin("Evaluating count.");
        trace.task("Evaluating table.", || now.set(Duration::from_millis(2)));
        trace.on_shard("Perform read.", "Perform read on shard.", || now.set(Duration::from_millis(5)));
        trace.end_to(0);
        assert_eq!(
            trace.take().to_json().unwrap(),
            r#"[{"description":"Evaluating count.","duration(ms)":5,"sub_tasks":[{"description":"Evaluating table.","duration(ms)":2,"sub_tasks":[]},{"description":"Perform read.","duration(ms)":3,"sub_tasks":[{"parallel_tasks":[[{"description":"Perform read on shard.","duration(ms)":3,"sub_tasks":[]}]]}]}]}]"#
        );
        assert_eq!(trace.take().to_json().unwrap(), "[]");
    }

    #[test]
    fn neither_their_number_nor_their_depth_is_without_bound() {
        let trace = Trace::new(|| Duration::ZERO);
        for _ in 0..2 * PROFILE_TASKS_MAX {
            trace.task("again", || ());
        }
        assert_eq!(trace.take().as_array().unwrap().len(), PROFILE_TASKS_MAX);
        for _ in 0..2 * PROFILE_DEPTH_MAX {
            trace.begin("deeper");
        }
        trace.end_to(0);
        assert!(trace.take().depth() <= 3 * PROFILE_DEPTH_MAX);
    }
}
