//! A borrowed look at a datum, the same for a tree in memory and for encoded bytes.
//!
//! Everything that only reads (comparing, writing JSON, encoding keys) is written once, on this, and so never builds a
//! tree from a stored document.

use super::format::{self, Container};
use super::{Datum, Str};

/// What a datum is, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Node<'a> {
    MinVal,
    MaxVal,
    Null,
    Bool(bool),
    Number(f64),
    /// UTF-8.
    String(&'a [u8]),
    Binary(&'a [u8]),
    Array(ArrayNode<'a>),
    Object(ObjectNode<'a>),
}

#[derive(Clone, Copy, Debug)]
pub enum ArrayNode<'a> {
    Tree(&'a [Datum]),
    View(Container<'a>),
}

#[derive(Clone, Copy, Debug)]
pub enum ObjectNode<'a> {
    Tree(&'a [(Str, Datum)]),
    View(Container<'a>),
}

impl<'a> ArrayNode<'a> {
    pub fn len(&self) -> usize {
        match self {
            ArrayNode::Tree(items) => items.len(),
            ArrayNode::View(elements) => elements.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, index: usize) -> Option<Node<'a>> {
        match self {
            ArrayNode::Tree(items) => items.get(index).map(Datum::node),
            ArrayNode::View(elements) => elements.element(index).map(format::node),
        }
    }

    pub fn iter(self) -> impl Iterator<Item = Node<'a>> {
        (0..self.len()).map_while(move |index| self.get(index))
    }
}

impl<'a> ObjectNode<'a> {
    pub fn len(&self) -> usize {
        match self {
            ObjectNode::Tree(entries) => entries.len(),
            ObjectNode::View(elements) => elements.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Key and value number `index`, in the order of the keys.
    pub fn entry(&self, index: usize) -> Option<(&'a [u8], Node<'a>)> {
        match self {
            ObjectNode::Tree(entries) => entries.get(index).map(|(key, value)| (key.as_bytes(), value.node())),
            ObjectNode::View(elements) => elements.entry(index).map(|(key, value)| (key, format::node(value))),
        }
    }

    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        match self {
            ObjectNode::Tree(entries) => {
                let index = entries.binary_search_by(|(found, _)| found.as_bytes().cmp(key.as_bytes())).ok()?;
                Some(entries[index].1.node())
            }
            ObjectNode::View(elements) => elements.get(key.as_bytes()).map(format::node),
        }
    }

    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Node<'a>)> {
        (0..self.len()).map_while(move |index| self.entry(index))
    }

    /// The name under `$reql_type$` when that is a string.
    pub fn ptype(&self) -> Option<&'a [u8]> {
        // The name sorts before those of most fields, so that the first one tells.
        if self.entry(0).is_none_or(|(first, _)| first > super::PTYPE_FIELD.as_bytes()) {
            return None;
        }
        match self.get(super::PTYPE_FIELD) {
            Some(Node::String(name)) => Some(name),
            _ => None,
        }
    }
}

/// A place inside an array or object, for walking a datum with a list instead of the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    inside: Inside<'a>,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
enum Inside<'a> {
    Array(ArrayNode<'a>),
    Object(ObjectNode<'a>),
}

impl<'a> Cursor<'a> {
    /// Before the first element of a container; nothing for a scalar.
    pub fn open(node: Node<'a>) -> Option<Cursor<'a>> {
        match node {
            Node::Array(items) => Some(Cursor { inside: Inside::Array(items), next: 0 }),
            Node::Object(fields) => Some(Cursor { inside: Inside::Object(fields), next: 0 }),
            _ => None,
        }
    }

    pub fn is_array(&self) -> bool {
        matches!(self.inside, Inside::Array(_))
    }

    pub fn len(&self) -> usize {
        match self.inside {
            Inside::Array(items) => items.len(),
            Inside::Object(fields) => fields.len(),
        }
    }

    /// How many elements were taken.
    pub fn taken(&self) -> usize {
        self.next
    }

    /// The next element; in an object with its key, in an array with an empty one.
    pub fn take(&mut self) -> Option<(&'a [u8], Node<'a>)> {
        let found = match self.inside {
            Inside::Array(items) => (b"".as_slice(), items.get(self.next)?),
            Inside::Object(fields) => fields.entry(self.next)?,
        };
        self.next += 1;
        Some(found)
    }
}
