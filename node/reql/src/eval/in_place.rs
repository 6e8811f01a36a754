//! Functions of one argument, on elements where they lie: in a page of the store, or in a datum somebody else holds.
//!
//! Like plain expressions (which most of them are) these know the answers of the frequent cases and nothing else. Where
//! they have none, a datum is made of the element and the function is called in full, which gives the answer or the error.

use crate::datum::compare::compare;
use crate::datum::node::Node;
use crate::datum::{Datum, Str};
use crate::eval::Func;
use crate::eval::function::Closure;
use crate::eval::plain::Plain;

/// Larger patterns are matched in full, because one of them counts as a single step.
const PATTERN_FIELDS_MAX: usize = 32;

/// The form of a function that needs no datum.
#[derive(Clone, Copy, Debug)]
pub enum InPlace<'f> {
    /// A function literal.
    Plain(&'f Plain),
    /// The field of this name.
    Field(&'f Str),
    /// Whether each of these fields has this value; they are scalars.
    Pattern(&'f Datum),
}

impl Func {
    /// Its form that needs no datum, when it has one.
    pub fn in_place(&self) -> Option<InPlace<'_>> {
        match self {
            Func::Closure(Closure { function, .. }) if function.params.len() == 1 => {
                function.plain.as_ref().map(InPlace::Plain)
            }
            Func::GetField(Datum::String(name), _) => Some(InPlace::Field(name)),
            Func::Matches(pattern) if is_flat(pattern) => Some(InPlace::Pattern(pattern)),
            _ => None,
        }
    }
}

impl<'f> InPlace<'f> {
    /// The result for this element; `None`: call the function in full.
    pub fn value<'a>(&'a self, element: Node<'a>) -> Option<Node<'a>> {
        match self {
            InPlace::Plain(plain) => plain.view_of(element),
            InPlace::Field(name) => match element {
                // A field of a time or a point is an error.
                Node::Object(fields) if fields.ptype().is_none() => fields.get(name),
                _ => None,
            },
            InPlace::Pattern(_) => self.truth(element).map(Node::Bool),
        }
    }

    /// Whether `filter` keeps this element; `None`: call the function in full.
    pub fn truth(&self, element: Node<'_>) -> Option<bool> {
        match self {
            InPlace::Plain(plain) => plain.truth_of(element),
            InPlace::Field(_) => match self.value(element)? {
                Node::Object(_) => None,
                value => Some(!matches!(value, Node::Null | Node::Bool(false))),
            },
            InPlace::Pattern(pattern) => fits(pattern, element),
        }
    }
}

/// Whether a pattern is an object of scalars, and no large one.
fn is_flat(pattern: &Datum) -> bool {
    match pattern.node() {
        Node::Object(fields) => {
            fields.len() <= PATTERN_FIELDS_MAX
                && fields.ptype().is_none()
                && fields.iter().all(|(_, wanted)| is_scalar(wanted))
        }
        _ => false,
    }
}

fn is_scalar(node: Node<'_>) -> bool {
    matches!(node, Node::Null | Node::Bool(_) | Node::Number(_) | Node::String(_))
}

fn fits(pattern: &Datum, element: Node<'_>) -> Option<bool> {
    let (Node::Object(wanted), Node::Object(fields)) = (pattern.node(), element) else { return None };
    if fields.ptype().is_some() {
        return None;
    }
    for (name, wanted) in wanted.iter() {
        let found = fields.get(std::str::from_utf8(name).ok()?)?;
        if compare(wanted, found).is_ne() {
            return Some(false);
        }
    }
    Some(true)
}
