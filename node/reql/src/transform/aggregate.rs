//! What a sequence is reduced to: each aggregate once, fed element by element.

use std::cell::RefCell;

use smallvec::smallvec;

use crate::datum::compare::compare;
use crate::datum::node::Node;
use crate::datum::{Array, Datum};
use crate::error::{Error, Result};
use crate::eval::sequence::Reading;
use crate::eval::{Batch, Cx, Func, InPlace, Sequence, Value};
use crate::transform::grouped;
use crate::transform::in_place::{Chain, InOrder, Outcome};

/// How a sequence is reduced. Elements on which the function fails for want of a field are left out.
#[derive(Clone, Debug)]
pub enum Aggregate {
    /// How many elements.
    Count,
    /// The sum of numbers.
    Sum(Option<Func>),
    /// Their mean.
    Avg(Option<Func>),
    /// The element with the least value.
    Min(Option<Func>),
    /// The element with the greatest value.
    Max(Option<Func>),
    /// Two elements made one by a function, until one is left.
    Reduce(Func),
    /// All elements, in an array.
    Collect,
}

impl Aggregate {
    /// Reads a sequence to its end and reduces it; a grouped one group by group.
    pub fn run(&self, sequence: Sequence, cx: &Cx) -> Result<Value> {
        if sequence.is_grouped() {
            return grouped::run(sequence, self, cx).map(Value::Grouped);
        }
        let transforms = sequence.transforms.clone();
        let accumulator = RefCell::new(Accumulator::new(self));
        let push_all = |batch: Batch| {
            let mut accumulator = accumulator.borrow_mut();
            batch.into_iter().try_for_each(|element| accumulator.push(element, cx).map(|_| ()))
        };
        match Chain::of(&transforms).filter(|_| accumulator.borrow().takes()) {
            None => sequence.for_each_batch(cx, |batch| push_all(batch).map(|()| Reading::On))?,
            Some(chain) => {
                let queue = InOrder::of(self);
                let glance = |element: Node<'_>| match chain.run(element) {
                    Outcome::Dropped => true,
                    Outcome::Value(value) => queue.taken(|| accumulator.borrow_mut().take(value)),
                    Outcome::Unknown => queue.taken(|| false),
                };
                sequence.for_each_left(cx, glance, |batch| {
                    queue.next_batch();
                    push_all(batch)
                })?;
            }
        }
        accumulator.into_inner().finish().map(Value::Datum)
    }
}

/// An aggregate at work on one group.
pub struct Accumulator<'a> {
    aggregate: &'a Aggregate,
    count: u64,
    sum: f64,
    /// Of `min` and `max`: the value that is the best so far. Of `reduce`: the result so far.
    best: Option<Datum>,
    /// Of `min` and `max`: the element that has it.
    element: Option<Datum>,
    all: Vec<Datum>,
    /// Its function's form that needs no datum. Without a function, nothing.
    by: Option<InPlace<'a>>,
    /// Whether it can take elements where they lie.
    takes: bool,
    /// Bytes that are counted of `best` and `element`.
    held: usize,
}

impl<'a> Accumulator<'a> {
    /// One that has seen nothing.
    pub fn new(aggregate: &'a Aggregate) -> Accumulator<'a> {
        let (by, takes) = match aggregate {
            Aggregate::Count => (None, true),
            Aggregate::Sum(by) | Aggregate::Avg(by) | Aggregate::Min(by) | Aggregate::Max(by) => {
                let in_place = by.as_ref().and_then(Func::in_place);
                (in_place, by.is_none() || in_place.is_some())
            }
            Aggregate::Reduce(_) | Aggregate::Collect => (None, false),
        };
        Accumulator { aggregate, count: 0, sum: 0.0, best: None, element: None, all: Vec::new(), by, takes, held: 0 }
    }

    /// Whether [`Accumulator::take`] may take anything.
    pub(crate) fn takes(&self) -> bool {
        self.takes
    }

    /// Takes an element where it lies, if it can; it counts then.
    pub(crate) fn take(&mut self, element: Node<'_>) -> bool {
        if !self.takes {
            return false;
        }
        if matches!(self.aggregate, Aggregate::Count) {
            self.count += 1;
            return true;
        }
        let value = match &self.by {
            Some(by) => by.value(element),
            None => Some(element),
        };
        match (self.aggregate, value, &self.best) {
            (Aggregate::Sum(_) | Aggregate::Avg(_), Some(Node::Number(number)), _) => {
                self.sum += number;
                self.count += 1;
                true
            }
            // One that is better is kept, and so must be made a datum.
            (Aggregate::Min(_), Some(value), Some(best)) => compare(value, best.node()).is_ge(),
            (Aggregate::Max(_), Some(value), Some(best)) => compare(value, best.node()).is_le(),
            _ => false,
        }
    }

    /// Takes one more element; says whether it counted.
    pub fn push(&mut self, element: Datum, cx: &Cx) -> Result<bool> {
        match self.aggregate {
            Aggregate::Count => self.count += 1,
            Aggregate::Collect => self.all.push(element),
            Aggregate::Reduce(function) => {
                let so_far = match self.best.take() {
                    Some(so_far) => function.call_datum_with(smallvec![so_far, element], cx)?,
                    None => element,
                };
                cx.hold_instead(&mut self.held, so_far.footprint())?;
                self.best = Some(so_far);
            }
            Aggregate::Sum(by) | Aggregate::Avg(by) => {
                let Some(number) =
                    skip_missing(value_of(by.as_ref(), &element, cx).and_then(|value| value.as_number()))?
                else {
                    return Ok(false);
                };
                self.sum += number;
                self.count += 1;
            }
            Aggregate::Min(by) | Aggregate::Max(by) => {
                let Some(value) = skip_missing(value_of(by.as_ref(), &element, cx))? else { return Ok(false) };
                let better = match &self.best {
                    None => true,
                    Some(best) if matches!(self.aggregate, Aggregate::Min(_)) => value < *best,
                    Some(best) => value > *best,
                };
                if better {
                    // They outlive their neighbours, with whom they may share memory.
                    let (value, element) = (value.detach(), element.detach());
                    cx.hold_instead(&mut self.held, value.footprint().saturating_add(element.footprint()))?;
                    (self.best, self.element) = (Some(value), Some(element));
                }
            }
        }
        Ok(true)
    }

    /// The result. Errors: nothing was seen, where that has no answer.
    pub fn finish(self) -> Result<Datum> {
        match self.aggregate {
            Aggregate::Count => Ok(Datum::from(self.count)),
            Aggregate::Collect => Ok(Datum::from(Array::from(self.all))),
            Aggregate::Sum(_) => Datum::number(self.sum),
            Aggregate::Avg(_) if self.count == 0 => Err(empty("average", "avg")),
            Aggregate::Avg(_) => Datum::number(self.sum / self.count as f64),
            Aggregate::Min(_) => self.element.ok_or_else(|| empty("min", "min")),
            Aggregate::Max(_) => self.element.ok_or_else(|| empty("max", "max")),
            Aggregate::Reduce(function) => {
                self.best.ok_or_else(|| function.blame(Error::non_existence("Cannot reduce over an empty stream.")))
            }
        }
    }
}

fn empty(what: &str, term: &str) -> Error {
    Error::non_existence(format!(
        "Cannot take the {what} of an empty stream.  (If you passed `{term}` a field name, it may be that no elements of \
         the stream had that field.)"
    ))
}

fn value_of(by: Option<&Func>, element: &Datum, cx: &Cx) -> Result<Datum> {
    match by {
        Some(function) => function.apply_to(element, cx),
        None => Ok(element.clone()),
    }
}

fn skip_missing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_non_existence() => Ok(None),
        Err(error) => Err(error),
    }
}
