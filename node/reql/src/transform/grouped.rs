//! Sequences that have fallen apart into groups: read once, every group with its own transforms and its own aggregate.

use std::collections::BTreeMap;

use smallvec::{SmallVec, smallvec};

use crate::datum::Datum;
use crate::error::{Error, ErrorKind, Result};
use crate::eval::sequence::Reading;
use crate::eval::{Cx, Func, Sequence, Value};
use crate::term::BacktraceId;
use crate::transform::{Accumulator, Aggregate, Running, Transform};

/// By what elements are grouped.
#[derive(Clone, Debug)]
pub struct GroupBy {
    /// The parts of a group's key. A single one is the key itself, several make an array.
    pub functions: Vec<Func>,
    /// A part that is an array stands for each of its elements.
    pub multi: bool,
    /// Where the `group` stands in the query.
    pub id: BacktraceId,
}

impl GroupBy {
    /// The groups that an element belongs to, each as often as it does.
    fn keys(&self, element: &Datum, cx: &Cx) -> Result<SmallVec<[Datum; 1]>> {
        if let ([function], false) = (self.functions.as_slice(), self.multi) {
            return Ok(smallvec![part(function, element, cx)?]);
        }
        let parts = self.functions.iter().map(|function| part(function, element, cx)).collect::<Result<Vec<_>>>()?;
        if !self.multi {
            return Ok(smallvec![key(parts)]);
        }
        let mut keys: Vec<Vec<Datum>> = vec![Vec::new()];
        for part in parts {
            let choices = match &part {
                Datum::Array(array) if array.is_empty() => vec![Datum::Null],
                Datum::Array(array) => array.iter().collect(),
                _ => vec![part],
            };
            let extend = |key: &Vec<Datum>, choice: &Datum| {
                let mut key = key.clone();
                key.push(choice.clone());
                key
            };
            keys = keys
                .iter()
                .flat_map(|key| choices.iter().map(|choice| extend(key, choice)).collect::<Vec<_>>())
                .collect();
            if keys.len() > cx.limits().array {
                return Err(self.too_many(cx));
            }
        }
        Ok(keys.into_iter().map(key).collect())
    }

    fn too_many(&self, cx: &Cx) -> Error {
        Error::resource(format!("Too many groups (> {}).", cx.limits().array)).at(self.id)
    }
}

fn part(function: &Func, element: &Datum, cx: &Cx) -> Result<Datum> {
    match function.apply_to(element, cx) {
        Err(error) if error.kind == ErrorKind::NonExistence => Ok(Datum::Null),
        part => part,
    }
}

fn key(mut parts: Vec<Datum>) -> Datum {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            Datum::from(parts)
        }
        None => Datum::Null,
    }
}

struct Group<'a> {
    running: Running,
    accumulator: Accumulator<'a>,
    /// Whether any element counted: a group of which nothing is left is none.
    kept: bool,
}

/// Reads a grouped sequence to its end and reduces each group.
pub fn run(mut sequence: Sequence, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<(Datum, Value)>> {
    let Some(position) = sequence.transforms.iter().position(|transform| matches!(transform, Transform::Group(_)))
    else {
        return Err(Error::internal("an ungrouped sequence was run as a grouped one"));
    };
    let after = sequence.transforms.split_off(position + 1);
    let Some(Transform::Group(by)) = sequence.transforms.pop() else {
        return Err(Error::internal("the grouping transform has moved"));
    };
    sequence.table = None;

    let mut groups: BTreeMap<Datum, Group<'_>> = BTreeMap::new();
    let mut collected = 0;
    sequence.for_each_batch(cx, |batch| {
        let mut parted: BTreeMap<Datum, Vec<Datum>> = BTreeMap::new();
        for element in batch {
            let mut keys = by.keys(&element, cx)?;
            let last = keys.pop();
            for key in keys {
                parted.entry(key).or_default().push(element.clone());
            }
            if let Some(key) = last {
                parted.entry(key).or_default().push(element);
            }
        }
        for (key, elements) in parted {
            if !groups.contains_key(&key) {
                cx.hold(key.footprint() + size_of::<Group<'_>>())?;
                let running = Running::new(&after);
                let group = Group { running, accumulator: Accumulator::new(aggregate), kept: false };
                // It outlives the documents it comes from.
                groups.insert(key.detach(), group);
            }
            let group = groups.get_mut(&key).expect("it was put in if it was not there");
            for element in group.running.push(elements, cx)? {
                if matches!(aggregate, Aggregate::Collect) {
                    cx.hold_datum(&element)?;
                }
                group.kept |= group.accumulator.push(element, cx)?;
                collected += 1;
            }
        }
        if groups.len() > cx.limits().array {
            return Err(by.too_many(cx));
        }
        if matches!(aggregate, Aggregate::Collect) && collected > cx.limits().array {
            return Err(Error::resource(format!(
                "Grouped data over size limit `{}`.  Try putting a reduction (like `.reduce` or `.count`) on the end.",
                cx.limits().array
            )));
        }
        Ok(Reading::On)
    })?;

    let kept = groups.into_iter().filter(|(_, group)| group.kept);
    kept.map(|(key, group)| Ok((key, Value::Datum(group.accumulator.finish()?)))).collect()
}
