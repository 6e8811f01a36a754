//! What one operation on shapes may cost, and who is told how it goes on.

use crate::error::{Error, Result};
use crate::limits::{GEOMETRY_COVERING_LOOKS_MAX, GEOMETRY_LOOKS_MAX};

/// A look at an edge or a box takes some ten nanoseconds, a step of the evaluator about a hundred.
const LOOKS_PER_STEP: usize = 8;

/// Looks between two messages to whoever runs the operation.
const LOOKS_AT_ONCE: usize = 64;

/// Who runs an operation. It is told the steps of it while it goes on, and may let others run meanwhile, or end it.
pub trait Pace {
    /// So many steps of an evaluation were made.
    fn steps(&self, count: u32);
}

/// Nobody waits for the operation: it is not a query's.
pub struct Unpaced;

impl Pace for Unpaced {
    fn steps(&self, _count: u32) {}
}

/// The looks at edges, and at boxes around them, that one operation may still make: the whole of one `intersects`, or of one
/// reading of a geometry, with everything that it must know for it.
pub struct Effort<'a> {
    left: usize,
    /// Looks that nobody was told of.
    untold: usize,
    pace: &'a dyn Pace,
}

impl<'a> Effort<'a> {
    /// For one operation on shapes.
    pub fn new(pace: &'a dyn Pace) -> Effort<'a> {
        Effort::of(GEOMETRY_LOOKS_MAX, pace)
    }

    /// For what is done once for each vertex and is bounded by what a datum may hold.
    pub(super) fn without_end(pace: &'a dyn Pace) -> Effort<'a> {
        Effort::of(usize::MAX, pace)
    }

    /// For one covering.
    pub(super) fn of_covering(pace: &'a dyn Pace) -> Effort<'a> {
        Effort::of(GEOMETRY_COVERING_LOOKS_MAX, pace)
    }

    pub(super) fn of(left: usize, pace: &'a dyn Pace) -> Effort<'a> {
        pace.steps(1);
        Effort { left, untold: 0, pace }
    }

    /// Counts looks. Errors: they are more than are left.
    pub fn take(&mut self, looks: usize) -> Result<()> {
        self.untold = self.untold.saturating_add(looks);
        if self.untold >= LOOKS_AT_ONCE {
            self.pace.steps(u32::try_from(self.untold / LOOKS_PER_STEP).unwrap_or(u32::MAX));
            self.untold = 0;
        }
        let left = self.left.checked_sub(looks);
        self.left = left.unwrap_or(0);
        if left.is_some() { Ok(()) } else { Err(too_complex()) }
    }
}

#[cold]
fn too_complex() -> Error {
    Error::resource(format!(
        "The geometry is too complex: more than {GEOMETRY_LOOKS_MAX} looks at its edges are needed."
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::ErrorKind;

    struct Count(Cell<u32>);

    impl Pace for Count {
        fn steps(&self, count: u32) {
            self.0.set(self.0.get() + count);
        }
    }

    #[test]
    fn looks_end_at_the_limit_and_are_told() {
        let count = Count(Cell::new(0));
        let mut effort = Effort::new(&count);
        for _ in 0..GEOMETRY_LOOKS_MAX / 100 {
            effort.take(100).unwrap();
        }
        let error = effort.take(1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::ResourceLimit);
        assert!(error.message.starts_with("The geometry is too complex: "));
        assert!(effort.take(1).is_err());
        let steps = count.0.get() as usize;
        assert!((GEOMETRY_LOOKS_MAX / 10..GEOMETRY_LOOKS_MAX / 7).contains(&steps), "{steps}");
    }
}
