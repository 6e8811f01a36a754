//! The variables in scope: a chain of frames, one for each function call that encloses the current node.

use std::rc::Rc;

use smallvec::SmallVec;

use crate::datum::Datum;

/// Where variables live while a query runs. Cloning shares the frames.
#[derive(Clone, Debug, Default)]
pub struct Scope(Option<Rc<Frame>>);

#[derive(Debug)]
struct Frame {
    values: SmallVec<[Datum; 2]>,
    parent: Scope,
}

impl Scope {
    /// The arguments of each enclosing function, innermost first.
    pub fn frames(&self) -> impl Iterator<Item = &[Datum]> {
        std::iter::successors(self.0.as_deref(), |frame| frame.parent.0.as_deref()).map(|frame| &frame.values[..])
    }

    /// No variables.
    pub fn empty() -> Scope {
        Scope(None)
    }

    /// A scope with one more frame: the arguments of a function called where `self` was in force.
    pub fn enter(&self, values: SmallVec<[Datum; 2]>) -> Scope {
        Scope(Some(Rc::new(Frame { values, parent: self.clone() })))
    }

    /// The value at a place that the compiler resolved.
    pub fn get(&self, up: u16, index: u16) -> &Datum {
        let mut scope = self;
        for _ in 0..up {
            scope = &scope.frame().parent;
        }
        &scope.frame().values[usize::from(index)]
    }

    fn frame(&self) -> &Frame {
        self.0.as_deref().expect("the compiler resolves variables only to enclosing functions")
    }
}
