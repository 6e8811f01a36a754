//! What is done to the elements of a sequence on their way: each operator once, as a transformer of batches. The same code
//! serves arrays (one batch) and streams (many).

use crate::datum::Datum;
use crate::error::Result;
use crate::eval::{Batch, Cx, Func};

/// One operator and its parameters. Stateless: [`Running`] holds what it remembers between batches.
#[derive(Clone)]
pub enum Transform {
    /// The function's result in place of each element.
    Map(Func),
    /// Elements for which the predicate is true; `default` decides where it fails for want of a field.
    Filter { predicate: Func, default: FilterDefault },
}

/// What `filter` does with an element on which its predicate fails for want of a field.
#[derive(Clone, Debug, Default)]
pub enum FilterDefault {
    /// `default: false`: leave it out.
    #[default]
    Skip,
    /// `default: true`: keep it.
    Keep,
    /// `default: r.error(..)`: raise it. The message, or the original error when empty.
    Raise(Option<Datum>),
}

impl Transform {
    /// Whether elements that pass are still the documents they were.
    pub fn keeps_documents(&self) -> bool {
        matches!(self, Transform::Filter { .. })
    }
}

/// A chain of transforms at work on one sequence.
pub struct Running {
    steps: Vec<Transform>,
}

impl Running {
    /// A chain that has seen nothing yet.
    pub fn new(transforms: &[Transform]) -> Running {
        Running { steps: transforms.to_vec() }
    }

    /// Whether no further element can change the result (a `limit` is reached).
    pub fn satisfied(&self) -> bool {
        false
    }

    /// Takes a batch through the chain.
    pub fn push(&mut self, batch: Batch, cx: &Cx) -> Result<Batch> {
        let _ = (&self.steps, cx);
        Ok(batch)
    }

    /// What comes out after the last element.
    pub fn finish(&mut self, _cx: &Cx) -> Result<Batch> {
        Ok(Batch::new())
    }
}
