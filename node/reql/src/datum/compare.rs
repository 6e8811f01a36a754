//! RethinkDB's total order over all values.
//!
//! Values of different types are ordered by the names of their types, pseudo-types as `PTYPE<NAME>`, with MINVAL below
//! and MAXVAL above everything. Times compare by their instant alone, so two times of different zones can be equal.
//! Geometry is ordered among objects, as the object it is. (RethinkDB puts it above binary data, which is above every object;
//! the three then have no order at all. See [`of_two`].)

use std::cmp::Ordering;

use super::Datum;
use smallvec::SmallVec;

use super::node::{Cursor, Node, ObjectNode};

impl PartialEq for Datum {
    fn eq(&self, other: &Datum) -> bool {
        compare(self.node(), other.node()) == Ordering::Equal
    }
}

impl Eq for Datum {}

impl PartialOrd for Datum {
    fn partial_cmp(&self, other: &Datum) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Datum {
    fn cmp(&self, other: &Datum) -> Ordering {
        compare(self.node(), other.node())
    }
}

/// How two values compare when nobody asks for an order of more: geometry is above binary data, as in RethinkDB.
pub fn of_two(a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Binary(_), Datum::Object(_)) if b.is_ptype("GEOMETRY") => Ordering::Less,
        (Datum::Object(_), Datum::Binary(_)) if a.is_ptype("GEOMETRY") => Ordering::Greater,
        _ => a.cmp(b),
    }
}

/// The name of a type that is no pseudo-type but binary.
pub(super) fn plain_type_name(node: &Node<'_>) -> &'static str {
    match node {
        Node::MinVal => "MINVAL",
        Node::MaxVal => "MAXVAL",
        Node::Null => "NULL",
        Node::Bool(_) => "BOOL",
        Node::Number(_) => "NUMBER",
        Node::String(_) => "STRING",
        Node::Binary(_) => "PTYPE<BINARY>",
        Node::Array(_) => "ARRAY",
        Node::Object(_) => "OBJECT",
    }
}

/// A type's place among the types: first the rank, then, among pseudo-types, the name.
fn rank<'a>(node: &Node<'a>) -> (u8, &'a [u8]) {
    match node {
        Node::MinVal => (0, b""),
        Node::Array(_) => (1, b""),
        Node::Bool(_) => (2, b""),
        Node::Null => (3, b""),
        Node::Number(_) => (4, b""),
        Node::Object(fields) => match place_of_its_own(fields) {
            Some(name) => (6, name),
            None => (5, b""),
        },
        Node::Binary(_) => (6, b"BINARY"),
        Node::String(_) => (7, b""),
        Node::MaxVal => (8, b""),
    }
}

/// The name of a pseudo-type that is not ordered among objects.
fn place_of_its_own<'a>(fields: &ObjectNode<'a>) -> Option<&'a [u8]> {
    fields.ptype().filter(|name| *name != b"GEOMETRY")
}

/// The order of two values. Walks them with a list instead of the stack.
pub fn compare(a: Node<'_>, b: Node<'_>) -> Ordering {
    let mut open: SmallVec<[(Cursor<'_>, Cursor<'_>); 2]> = SmallVec::new();
    let (mut a, mut b) = (a, b);
    loop {
        let order = match compare_outside(a, b) {
            Outcome::Is(order) => order,
            Outcome::Inside(pair) => {
                open.push(pair);
                Ordering::Equal
            }
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = loop {
            let Some((left, right)) = open.last_mut() else { return Ordering::Equal };
            match (left.take(), right.take()) {
                (Some((key_a, a)), Some((key_b, b))) => match key_a.cmp(key_b) {
                    Ordering::Equal => break (a, b),
                    order => return order,
                },
                (None, None) => {
                    open.pop();
                }
                (found, _) => return if found.is_none() { Ordering::Less } else { Ordering::Greater },
            }
        };
    }
}

enum Outcome<'a> {
    Is(Ordering),
    /// Two containers of a kind: their elements decide.
    Inside((Cursor<'a>, Cursor<'a>)),
}

fn compare_outside<'a>(a: Node<'a>, b: Node<'a>) -> Outcome<'a> {
    Outcome::Is(match (a, b) {
        // Numbers are finite, so they always compare; -0 equals 0.
        (Node::Number(a), Node::Number(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (Node::String(a), Node::String(b)) | (Node::Binary(a), Node::Binary(b)) => a.cmp(b),
        (Node::Bool(a), Node::Bool(b)) => a.cmp(&b),
        (Node::Array(_), Node::Array(_)) => return inside(a, b),
        (Node::Object(fields_a), Node::Object(fields_b)) => {
            match (place_of_its_own(&fields_a), place_of_its_own(&fields_b)) {
                (Some(b"TIME"), Some(b"TIME")) => match (fields_a.get("epoch_time"), fields_b.get("epoch_time")) {
                    (Some(Node::Number(a)), Some(Node::Number(b))) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
                    _ => return inside(a, b),
                },
                (name_a, name_b) if name_a == name_b => return inside(a, b),
                _ => rank(&a).cmp(&rank(&b)),
            }
        }
        _ => rank(&a).cmp(&rank(&b)),
    })
}

fn inside<'a>(a: Node<'a>, b: Node<'a>) -> Outcome<'a> {
    match (Cursor::open(a), Cursor::open(b)) {
        (Some(a), Some(b)) => Outcome::Inside((a, b)),
        _ => Outcome::Is(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::{Object, time};
    use bytes::Bytes;

    #[test]
    fn types_are_ordered_by_name() {
        let ascending = [
            Datum::MinVal,
            Datum::from(vec![]),
            Datum::Bool(false),
            Datum::Bool(true),
            Datum::Null,
            Datum::Number(-1.0),
            Datum::Number(1e300),
            Datum::from(Object::new()),
            Datum::Binary(Bytes::from_static(b"x")),
            time::from_epoch(0.0, "+00:00").unwrap(),
            Datum::from(""),
            Datum::MaxVal,
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} against {b:?}");
            }
        }
    }

    #[test]
    fn geometry_is_ordered_among_objects() {
        let geometry = crate::geo::geometry("Point", Datum::from(vec![Datum::from(1), Datum::from(1)]));
        let (below, above) = (Datum::from(Object::from([("", 1)])), Datum::from(Object::from([("a", 1)])));
        assert!(below < geometry && geometry < above && above < Datum::Binary(Bytes::new()));
        assert_eq!(geometry, geometry.clone());
        let binary = Datum::Binary(Bytes::new());
        assert_eq!(of_two(&geometry, &binary), Ordering::Greater);
        assert_eq!(of_two(&binary, &geometry), Ordering::Less);
        assert_eq!(of_two(&above, &geometry), Ordering::Greater);
    }

    #[test]
    fn times_compare_by_instant() {
        let utc = time::from_epoch(7.0, "+00:00").unwrap();
        let elsewhere = time::from_epoch(7.0, "-08:00").unwrap();
        assert_eq!(utc, elsewhere);
        assert!(utc < time::from_epoch(7.001, "-08:00").unwrap());
    }

    #[test]
    fn containers_compare_element_by_element() {
        let array = |items: &[i32]| Datum::from(items.iter().map(|n| Datum::from(*n)).collect::<Vec<_>>());
        assert!(array(&[1]) < array(&[1, 0]));
        assert!(array(&[1, 9]) < array(&[2]));
        let ab = Datum::from(Object::from([("a", 1), ("b", 1)]));
        let ac = Datum::from(Object::from([("a", 1), ("c", 0)]));
        let b = Datum::from(Object::from([("b", 0)]));
        assert!(ab < ac && ac < b);
        assert_eq!(Datum::Number(0.0), Datum::Number(-0.0));
    }
}
