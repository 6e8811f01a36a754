//! `Object`: an immutable map from field names to values, ordered by the bytes of the names, either a tree in memory or
//! a view over encoded bytes.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::format;
use super::node::ObjectNode;
use super::repr::Repr;
use super::{Datum, Measures, Str};

/// An object; a clone costs one counter.
#[derive(Clone)]
pub struct Object(Repr<(Str, Datum)>);

impl Object {
    pub fn new() -> Object {
        Object::from_sorted(Vec::new())
    }

    /// From fields that already ascend strictly by name.
    fn from_sorted(entries: Vec<(Str, Datum)>) -> Object {
        debug_assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "the fields ascend");
        Object(Repr::tree(entries))
    }

    pub(super) fn view(value: Bytes) -> Object {
        Object(Repr::View(value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, field: &str) -> Option<Datum> {
        match &self.0 {
            Repr::Tree(tree) => {
                let index = position(&tree.parts, field).ok()?;
                Some(tree.parts[index].1.clone())
            }
            Repr::View(value) => {
                Repr::<(Str, Datum)>::container(value).get(field.as_bytes()).map(|found| format::lift(value, found))
            }
        }
    }

    pub fn contains_key(&self, field: &str) -> bool {
        match &self.0 {
            Repr::Tree(tree) => position(&tree.parts, field).is_ok(),
            Repr::View(value) => Repr::<(Str, Datum)>::container(value).find(field.as_bytes()).is_ok(),
        }
    }

    /// Name and value number `index`, in the order of the names.
    pub fn entry(&self, index: usize) -> Option<(Str, Datum)> {
        match &self.0 {
            Repr::Tree(tree) => tree.parts.get(index).cloned(),
            Repr::View(value) => {
                let (key, found) = Repr::<(Str, Datum)>::container(value).entry(index)?;
                Some((Str::view(value.slice_ref(key)), format::lift(value, found)))
            }
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Str, Datum)> + '_ {
        (0..self.len()).filter_map(|index| self.entry(index))
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = Str> + '_ {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = Datum> + '_ {
        self.iter().map(|(_, value)| value)
    }

    /// This object with one field set.
    #[must_use]
    pub fn with(&self, field: impl Into<Str>, value: impl Into<Datum>) -> Object {
        let mut builder = ObjectBuilder::from(self.clone());
        builder.insert(field, value);
        builder.build()
    }

    /// This object without one field.
    #[must_use]
    pub fn without(&self, field: &str) -> Object {
        if !self.contains_key(field) {
            return self.clone();
        }
        let mut builder = ObjectBuilder::from(self.clone());
        builder.remove(field);
        builder.build()
    }

    /// The fields as a vector of one's own, ascending by name, without copying when nobody else holds this object.
    pub fn into_entries(self) -> Vec<(Str, Datum)> {
        match self.0.into_parts() {
            Ok(parts) => parts,
            Err(view) => Object(view).iter().collect(),
        }
    }

    /// 1 + the greatest depth of a value.
    pub fn depth(&self) -> usize {
        self.0.depth()
    }

    pub fn node(&self) -> ObjectNode<'_> {
        match &self.0 {
            Repr::Tree(tree) => ObjectNode::Tree(&tree.parts),
            Repr::View(value) => ObjectNode::View(Repr::<(Str, Datum)>::container(value)),
        }
    }

    pub(super) fn size_hint(&self) -> usize {
        self.0.size_hint()
    }

    pub(super) fn measures(&self) -> Measures {
        self.0.measures()
    }

    pub(super) fn heap(&self) -> usize {
        self.0.heap()
    }

    /// The encoded value, when this is a view.
    pub(super) fn encoded(&self) -> Option<&[u8]> {
        self.0.encoded()
    }

    /// The fields of a tree; empty for a view.
    pub(super) fn entries(&self) -> &[(Str, Datum)] {
        self.0.parts()
    }

    /// Moves the values out when nobody else holds them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Datum>) {
        self.0.dismantle_into(pending);
    }
}

fn position(entries: &[(Str, Datum)], field: &str) -> Result<usize, usize> {
    entries.binary_search_by(|(key, _)| key.as_bytes().cmp(field.as_bytes()))
}

impl Default for Object {
    fn default() -> Object {
        Object::new()
    }
}

impl From<BTreeMap<Str, Datum>> for Object {
    fn from(fields: BTreeMap<Str, Datum>) -> Object {
        Object::from_sorted(fields.into_iter().collect())
    }
}

impl From<Vec<(Str, Datum)>> for Object {
    /// In any order; of fields with the same name the last one stays.
    fn from(mut entries: Vec<(Str, Datum)>) -> Object {
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            // The sort is stable, so walking backwards meets the last one first.
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.reverse();
            entries.dedup_by(|later, earlier| later.0 == earlier.0);
            entries.reverse();
        }
        Object::from_sorted(entries)
    }
}

impl<K: Into<Str>, V: Into<Datum>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Object {
        Object::from(fields.into_iter().map(|(key, value)| (key.into(), value.into())).collect::<Vec<_>>())
    }
}

impl<K: Into<Str>, V: Into<Datum>, const N: usize> From<[(K, V); N]> for Object {
    fn from(fields: [(K, V); N]) -> Object {
        Object::from_iter(fields)
    }
}

impl IntoIterator for Object {
    type Item = (Str, Datum);
    type IntoIter = std::vec::IntoIter<(Str, Datum)>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_entries().into_iter()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Fields beyond this many, when they do not come in order, are collected in a tree.
const FLAT_FIELDS_MAX: usize = 64;

/// Collects fields, in any order and any number.
#[derive(Debug, Default)]
pub struct ObjectBuilder {
    fields: Fields,
}

#[derive(Debug)]
enum Fields {
    /// Ascending; for fields that come in order, and for few.
    Flat(Vec<(Str, Datum)>),
    /// For many fields in any order, where moving a vector for each would take quadratic time.
    Map(BTreeMap<Str, Datum>),
}

impl Default for Fields {
    fn default() -> Fields {
        Fields::Flat(Vec::new())
    }
}

impl ObjectBuilder {
    pub fn new() -> ObjectBuilder {
        ObjectBuilder::default()
    }

    pub fn with_capacity(fields: usize) -> ObjectBuilder {
        ObjectBuilder { fields: Fields::Flat(Vec::with_capacity(fields)) }
    }

    /// Sets a field and returns what it was before.
    pub fn insert(&mut self, field: impl Into<Str>, value: impl Into<Datum>) -> Option<Datum> {
        let (field, value) = (field.into(), value.into());
        let entries = match &mut self.fields {
            Fields::Map(map) => return map.insert(field, value),
            Fields::Flat(entries) => entries,
        };
        if entries.last().is_none_or(|(last, _)| *last < field) {
            entries.push((field, value));
            return None;
        }
        match entries.binary_search_by(|(key, _)| key.cmp(&field)) {
            Ok(index) => Some(std::mem::replace(&mut entries[index].1, value)),
            Err(index) if entries.len() < FLAT_FIELDS_MAX => {
                entries.insert(index, (field, value));
                None
            }
            Err(_) => {
                let mut map: BTreeMap<Str, Datum> = std::mem::take(entries).into_iter().collect();
                map.insert(field, value);
                self.fields = Fields::Map(map);
                None
            }
        }
    }

    /// Adds a field that must not be there yet; says whether it was added.
    pub fn add(&mut self, field: impl Into<Str>, value: impl Into<Datum>) -> bool {
        let field = field.into();
        if self.get(&field).is_some() {
            return false;
        }
        self.insert(field, value);
        true
    }

    pub fn remove(&mut self, field: &str) -> Option<Datum> {
        match &mut self.fields {
            Fields::Flat(entries) => {
                let index = position(entries, field).ok()?;
                Some(entries.remove(index).1)
            }
            Fields::Map(map) => map.remove(field),
        }
    }

    pub fn get(&self, field: &str) -> Option<&Datum> {
        match &self.fields {
            Fields::Flat(entries) => position(entries, field).ok().map(|index| &entries[index].1),
            Fields::Map(map) => map.get(field),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        match &self.fields {
            Fields::Flat(entries) => entries.len(),
            Fields::Map(map) => map.len(),
        }
    }

    /// The object as it stands. Pseudo-types are not looked at: see [`Datum::from_fields`].
    pub fn build(self) -> Object {
        match self.fields {
            Fields::Flat(entries) => Object::from_sorted(entries),
            Fields::Map(map) => Object::from(map),
        }
    }
}

impl From<Object> for ObjectBuilder {
    fn from(object: Object) -> ObjectBuilder {
        ObjectBuilder { fields: Fields::Flat(object.into_entries()) }
    }
}
