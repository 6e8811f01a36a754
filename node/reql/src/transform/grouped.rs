//! Sequences that have fallen apart into groups: read once, every group with its own transforms and its own aggregate.

use std::cell::RefCell;
use std::collections::BTreeMap;

use smallvec::{SmallVec, smallvec};

use crate::datum::node::Node;
use crate::datum::{Datum, Str};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::sequence::Reading;
use crate::eval::{Batch, Cx, Filed, Func, InPlace, Sequence, Source, Value};
use crate::term::BacktraceId;
use crate::transform::in_place::{Chain, InOrder, Keys, Outcome};
use crate::transform::{Accumulator, Aggregate, Running, Transform};

/// By what elements are grouped.
#[derive(Clone, Debug)]
pub struct GroupBy {
    /// The parts of a group's key. A single one is the key itself, several make an array.
    pub functions: Vec<Func>,
    /// The secondary index in whose order the table is read: the value by which it has a document is the last part of the key.
    /// No transform stands before the group then, for behind one that value is known no longer.
    pub index: Option<Str>,
    /// A part that is an array stands for each of its elements.
    pub multi: bool,
    /// Where the `group` stands in the query.
    pub id: BacktraceId,
}

impl GroupBy {
    /// The groups that an element belongs to, each as often as it does; `filed` is the value by which an index has it.
    fn keys(&self, element: &Datum, filed: Option<Datum>, cx: &Cx) -> Result<SmallVec<[Datum; 1]>> {
        if let ([function], false, None) = (self.functions.as_slice(), self.multi, &filed) {
            return Ok(smallvec![part(function, element, cx)?]);
        }
        let mut parts =
            self.functions.iter().map(|function| part(function, element, cx)).collect::<Result<Vec<_>>>()?;
        parts.extend(filed);
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
            let count = keys.len().saturating_mul(choices.len());
            if count > cx.limits().array {
                return Err(self.too_many(cx));
            }
            let parts = keys.first().map_or(0, Vec::len) + 1;
            cx.check_room(count.saturating_mul(size_of::<Vec<Datum>>() + parts * size_of::<Datum>()))?;
            keys = keys
                .iter()
                .flat_map(|key| choices.iter().map(|choice| extend(key, choice)).collect::<Vec<_>>())
                .collect();
        }
        Ok(keys.into_iter().map(key).collect())
    }

    /// The function that gives each element its one key, in the form that needs no datum.
    fn single(&self) -> Option<InPlace<'_>> {
        match self.functions.as_slice() {
            [function] if !self.multi && self.index.is_none() => function.in_place(),
            _ => None,
        }
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

/// The groups found so far.
struct Groups<'a> {
    by: &'a GroupBy,
    after: &'a [Transform],
    aggregate: &'a Aggregate,
    places: BTreeMap<Datum, usize>,
    /// The same, for elements where they lie.
    keys: Keys,
    groups: Vec<Group<'a>>,
    collected: usize,
}

impl<'a> Groups<'a> {
    /// Divides a batch among the groups.
    fn push(&mut self, batch: Batch, cx: &Cx) -> Result<()> {
        self.divide(batch.into_iter().map(|element| (element, None)), cx)
    }

    /// The same with the values by which an index has the elements.
    fn push_filed(&mut self, batch: Vec<Filed>, cx: &Cx) -> Result<()> {
        self.divide(batch.into_iter().map(|filed| (filed.document, Some(filed.value))), cx)
    }

    fn divide(&mut self, batch: impl Iterator<Item = (Datum, Option<Datum>)>, cx: &Cx) -> Result<()> {
        let mut parted: BTreeMap<Datum, Vec<Datum>> = BTreeMap::new();
        // An element that belongs to many groups is there once for each, and so are their keys.
        let mut copies = 0usize;
        for (element, filed) in batch {
            let mut keys = self.by.keys(&element, filed, cx)?;
            let last = keys.pop();
            for key in keys {
                let bytes = size_of::<Datum>() + key.footprint();
                cx.hold(bytes)?;
                copies += bytes;
                parted.entry(key).or_default().push(element.clone());
            }
            if let Some(key) = last {
                parted.entry(key).or_default().push(element);
            }
        }
        let collects = matches!(self.aggregate, Aggregate::Collect);
        for (key, elements) in parted {
            let place = self.place(key, cx)?;
            let group = &mut self.groups[place];
            for element in group.running.push(elements, cx)? {
                if collects {
                    cx.hold_datum(&element)?;
                }
                group.kept |= group.accumulator.push(element, cx)?;
                self.collected += 1;
            }
        }
        cx.release(copies);
        if self.groups.len() > cx.limits().array {
            return Err(self.by.too_many(cx));
        }
        if collects && self.collected > cx.limits().array {
            return Err(Error::resource(format!(
                "Grouped data over size limit `{}`.  Try putting a reduction (like `.reduce` or `.count`) on the end.",
                cx.limits().array
            )));
        }
        Ok(())
    }

    /// Where the group of this key is; it is made if there is none.
    fn place(&mut self, key: Datum, cx: &Cx) -> Result<usize> {
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        // It outlives the documents it comes from.
        let key = key.detach();
        // And is kept twice.
        cx.hold(2 * key.footprint() + size_of::<Group<'_>>())?;
        let place = self.groups.len();
        let running = Running::new(self.after);
        self.groups.push(Group { running, accumulator: Accumulator::new(self.aggregate), kept: false });
        self.keys.insert(&key, place);
        self.places.insert(key, place);
        Ok(place)
    }

    /// Whether an element is done with where it lies: of a group that is there, and simply reduced.
    fn take(&mut self, chain: &Chain<'_>, key: &InPlace<'_>, element: Node<'_>, queue: &InOrder) -> bool {
        let value = match chain.run(element) {
            Outcome::Dropped => return true,
            Outcome::Unknown => return queue.taken(|| false),
            Outcome::Value(value) => value,
        };
        queue.taken(|| {
            let Some(place) = key.value(value).and_then(|key| self.keys.get(key)) else { return false };
            let group = &mut self.groups[place];
            let taken = group.accumulator.take(value);
            group.kept |= taken;
            taken
        })
    }

    fn finish(self) -> Result<Vec<(Datum, Value)>> {
        let mut groups: Vec<_> = self.groups.into_iter().map(Some).collect();
        let in_order = self.places.into_iter().filter_map(|(key, place)| Some((key, groups[place].take()?)));
        let kept = in_order.filter(|(_, group)| group.kept);
        kept.map(|(key, group)| Ok((key, Value::Datum(group.accumulator.finish()?)))).collect()
    }
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

    let before = sequence.transforms.clone();
    let places = BTreeMap::new();
    let mut groups =
        Groups { by: &by, after: &after, aggregate, places, keys: Keys::default(), groups: Vec::new(), collected: 0 };
    if by.index.is_some() {
        let (Source::Table(table), true) = (&sequence.source, before.is_empty()) else {
            return Err(Error::internal("what is grouped by an index is not read by it"));
        };
        table.read_filed(cx, &mut |batch| groups.push_filed(batch, cx))?;
        return groups.finish();
    }
    let groups = RefCell::new(groups);
    let in_place = match (Chain::of(&before), by.single()) {
        (Some(chain), Some(key)) if after.is_empty() => Some((chain, key)),
        _ => None,
    };
    match in_place {
        None => sequence.for_each_batch(cx, |batch| groups.borrow_mut().push(batch, cx).map(|()| Reading::On))?,
        Some((chain, key)) => {
            let queue = InOrder::of(aggregate);
            let glance = |element: Node<'_>| groups.borrow_mut().take(&chain, &key, element, &queue);
            sequence.for_each_left(cx, glance, |batch| {
                queue.next_batch();
                groups.borrow_mut().push(batch, cx)
            })?;
        }
    }
    groups.into_inner().finish()
}
