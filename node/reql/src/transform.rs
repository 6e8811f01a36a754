//! What is done to the elements of a sequence on their way: each operator once, as a transformer of batches. The same code
//! serves arrays (one batch) and streams (many).

pub mod aggregate;
pub mod grouped;
mod in_place;
pub mod members;

pub use aggregate::{Accumulator, Aggregate};
pub use grouped::GroupBy;
pub use members::Members;

use smallvec::smallvec;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::merge::merge;
use crate::eval::terms::control::is_empty_error;
use crate::eval::{Batch, Cx, Func, Traits, Value};
use crate::limits::CONCATENATED_BYTES;
use crate::term::BacktraceId;
use crate::transform::in_place::Filters;

/// When a filter keeps fewer than one element of so many, it keeps copies.
const KEPT_FRACTION_MIN: usize = 4;

/// One operator and its parameters. Stateless: [`Running`] holds what it remembers between batches.
#[derive(Clone, Debug)]
pub enum Transform {
    /// The function's result in place of each element.
    Map(Func),
    /// Elements for which the predicate is true. `default` is called where it fails for want of a field.
    Filter { predicate: Func, default: Option<Func> },
    /// The elements of the sequence that the function gives, in place of each element.
    ConcatMap(Func),
    /// The positions of the elements for which the predicate is true.
    OffsetsOf(Func),
    /// `{left, right}` merged into one.
    Zip,
    /// All but the first so many.
    Skip(u64),
    /// The first so many.
    Limit(u64),
    /// A term of objects (`pluck`, `get_field`, ...) on each element.
    Members(Members),
    /// The elements fall apart into groups; what follows is done for each group.
    Group(GroupBy),
}

impl Transform {
    /// Whether elements that pass are still the documents they were.
    pub fn keeps_documents(&self) -> bool {
        match self {
            Transform::Filter { .. } | Transform::Skip(_) | Transform::Limit(_) => true,
            Transform::Members(members) => members.keeps_documents(),
            _ => false,
        }
    }

    /// What its functions and arguments may do, and where the first of them stands that could do something else when done
    /// again.
    pub fn traits(&self) -> (Traits, Option<BacktraceId>) {
        let of_functions = |functions: &[Option<&Func>]| {
            let functions = functions.iter().flatten();
            functions.fold((Traits::default(), None), |(all, place), function| {
                let traits = function.traits();
                (all.union(traits), place.or_else(|| if traits.repeatable() { None } else { function.body_id() }))
            })
        };
        match self {
            Transform::Map(function) | Transform::ConcatMap(function) | Transform::OffsetsOf(function) => {
                of_functions(&[Some(function)])
            }
            Transform::Filter { predicate, default } => of_functions(&[Some(predicate), default.as_ref()]),
            Transform::Members(members) => (members.traits(), Some(members.call().id)),
            Transform::Zip | Transform::Skip(_) | Transform::Limit(_) | Transform::Group(_) => {
                (Traits::default(), None)
            }
        }
    }

    /// Whether as many elements come out as went in.
    fn keeps_count(&self) -> bool {
        matches!(self, Transform::Map(_) | Transform::Zip | Transform::Limit(_))
            || matches!(self, Transform::Members(members) if members.keeps_count())
    }
}

/// A chain of transforms at work on one sequence.
pub struct Running {
    steps: Vec<Step>,
}

struct Step {
    transform: Transform,
    /// Of `skip` and `limit`: how many are left to skip or to take. Of `offsets_of`: the position of the next element. Of
    /// `concat_map`: what an element of the last batch became, in bytes; 0 before the first.
    count: u64,
}

impl Running {
    /// A chain that has seen nothing yet.
    pub fn new(transforms: &[Transform]) -> Running {
        let step = |transform: &Transform| {
            let count = match transform {
                Transform::Skip(count) | Transform::Limit(count) => *count,
                _ => 0,
            };
            Step { transform: transform.clone(), count }
        };
        Running { steps: transforms.iter().map(step).collect() }
    }

    /// Whether no further element can change the result (a `limit` is reached).
    pub fn satisfied(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.transform, Transform::Limit(_)) && step.count == 0)
    }

    /// How many elements to ask the source for when `want` are wanted: no more than a `limit` can still let through.
    pub fn wants(&self, want: usize) -> usize {
        let mut wants = want;
        for step in &self.steps {
            match step.transform {
                Transform::Limit(_) => wants = wants.min(usize::try_from(step.count).unwrap_or(usize::MAX)),
                // One element may become very many, and all of a batch are held at once.
                Transform::ConcatMap(_) => {
                    let fitting = (CONCATENATED_BYTES as u64).checked_div(step.count).unwrap_or(1);
                    wants = wants.min(usize::try_from(fitting).unwrap_or(usize::MAX));
                }
                _ => {}
            }
            if !step.transform.keeps_count() {
                break;
            }
        }
        wants.max(1)
    }

    /// The filters at the beginning that can look at elements where they lie.
    pub(crate) fn first_filters(&self) -> Filters<'_> {
        Filters::first(self.steps.iter().map(|step| &step.transform))
    }

    /// Takes a batch through the chain.
    pub fn push(&mut self, mut batch: Batch, cx: &Cx) -> Result<Batch> {
        for step in &mut self.steps {
            if batch.is_empty() {
                break;
            }
            batch = step.push(batch, cx)?;
        }
        Ok(batch)
    }

    /// What comes out after the last element.
    pub fn finish(&mut self, _cx: &Cx) -> Result<Batch> {
        Ok(Batch::new())
    }
}

impl Step {
    fn push(&mut self, mut batch: Batch, cx: &Cx) -> Result<Batch> {
        match &mut self.transform {
            Transform::Map(function) => {
                for element in &mut batch {
                    *element = function.call_datum_with(smallvec![std::mem::replace(element, Datum::Null)], cx)?;
                }
                Ok(batch)
            }
            Transform::Filter { predicate, default } => {
                let before = batch.len();
                retain(&mut batch, |element| keeps(predicate, default.as_ref(), element, cx))?;
                // Documents of one read share memory. The few that stay must not keep that of all.
                if batch.len() < before / KEPT_FRACTION_MIN {
                    batch.iter_mut().for_each(|element| *element = element.detach());
                }
                Ok(batch)
            }
            Transform::ConcatMap(function) => {
                let elements = batch.len().max(1);
                let batch = concat_map(function, batch, cx)?;
                let bytes: usize = batch.iter().map(Datum::footprint).sum();
                self.count = (bytes / elements).max(1) as u64;
                Ok(batch)
            }
            Transform::OffsetsOf(predicate) => {
                let mut offsets = Batch::new();
                for element in &batch {
                    if keeps(predicate, None, element, cx)? {
                        offsets.push(Datum::from(self.count));
                    }
                    self.count += 1;
                }
                Ok(offsets)
            }
            Transform::Zip => batch.iter().map(zip).collect(),
            Transform::Skip(_) => {
                let skipped = batch.len().min(usize::try_from(self.count).unwrap_or(usize::MAX));
                self.count -= skipped as u64;
                batch.drain(..skipped);
                Ok(batch)
            }
            Transform::Limit(_) => {
                batch.truncate(usize::try_from(self.count).unwrap_or(usize::MAX));
                self.count -= batch.len() as u64;
                Ok(batch)
            }
            Transform::Members(members) => members.push(batch, cx),
            Transform::Group(_) => Err(Error::internal("a grouped sequence was run as an ungrouped one")),
        }
    }
}

/// Keeps the elements for which `keep` answers true, in order.
fn retain(batch: &mut Batch, mut keep: impl FnMut(&Datum) -> Result<bool>) -> Result<()> {
    let mut failure = None;
    batch.retain(|element| {
        failure.is_none()
            && keep(element).unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
    });
    failure.map_or(Ok(()), Err)
}

/// Whether `filter` keeps an element. Where the predicate fails for want of something, `default` decides.
pub fn keeps(predicate: &Func, default: Option<&Func>, element: &Datum, cx: &Cx) -> Result<bool> {
    let missing = match predicate.accepts(element, cx) {
        Err(error) if error.is_non_existence() => error,
        answer => return answer,
    };
    let Some(default) = default else { return Ok(false) };
    match default.call_datum(&[], cx) {
        Ok(answer) => Ok(answer.is_truthy()),
        // `default: r.error()` stands for the error that there was.
        Err(error) if is_empty_error(&error) => Err(missing),
        Err(error) => Err(error),
    }
}

fn concat_map(function: &Func, batch: Batch, cx: &Cx) -> Result<Batch> {
    let mut out = Batch::new();
    let mark = cx.held();
    for element in batch {
        let value = function.call_with(smallvec![element], cx)?;
        let of_datum = matches!(value, Value::Datum(_));
        let sequence = value
            .into_sequence(cx)
            .map_err(|error| if of_datum { function.blame_whole(error) } else { function.blame(error) })?;
        out.extend(sequence.read_unlimited(cx)?);
    }
    cx.release_to(mark);
    Ok(out)
}

fn zip(pair: &Datum) -> Result<Datum> {
    let fields = pair.as_object()?;
    let Some(left) = fields.get("left") else {
        return Err(Error::logic("ZIP can only be called on the result of a join."));
    };
    Ok(match fields.get("right") {
        Some(right) => merge(&left, &right)?,
        None => left,
    })
}
