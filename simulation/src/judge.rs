//! Takes what was found wrong.

use std::cell::RefCell;
use std::rc::Rc;

use crate::checker::Violation;
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
