//! Ranges of keys from what is said about fields.

use std::collections::BTreeMap;

use photondb_reql::Str;
use photondb_reql::datum::Datum;

use crate::table::DatumRange;

/// What was said about each field so far, all of it at once.
#[derive(Default)]
pub(super) struct Claims(BTreeMap<Str, DatumRange>);

impl Claims {
    /// The field lies in `range` too.
    pub fn add(&mut self, field: &Str, range: DatumRange) {
        let narrowed = match self.0.remove(field) {
            Some(known) => intersect(known, range),
            None => range,
        };
        self.0.insert(field.clone(), narrowed);
    }

    pub fn into_ranges(self) -> BTreeMap<Str, DatumRange> {
        self.0
    }
}

fn intersect(a: DatumRange, b: DatumRange) -> DatumRange {
    let (left, left_closed) = match a.left.cmp(&b.left) {
        std::cmp::Ordering::Less => (b.left, b.left_closed),
        std::cmp::Ordering::Greater => (a.left, a.left_closed),
        std::cmp::Ordering::Equal => (a.left, a.left_closed && b.left_closed),
    };
    let (right, right_closed) = match a.right.cmp(&b.right) {
        std::cmp::Ordering::Less => (a.right, a.right_closed),
        std::cmp::Ordering::Greater => (b.right, b.right_closed),
        std::cmp::Ordering::Equal => (a.right, a.right_closed && b.right_closed),
    };
    DatumRange { left, left_closed, right, right_closed }
}

/// Whether an index files every value within the range: it has no place for nulls and objects, which are between others in
/// the order of types, nor for arrays that hold one.
pub(super) fn is_filed(range: &DatumRange) -> bool {
    if range.left == range.right {
        return true;
    }
    match (kind(&range.left), kind(&range.right)) {
        (Some(Kind::TimeOrString), None) => range.right == Datum::MaxVal,
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

/// Neighbours in the order of types between which there is nothing else.
#[derive(PartialEq, Eq)]
enum Kind {
    Bool,
    Number,
    Binary,
    TimeOrString,
}

fn kind(bound: &Datum) -> Option<Kind> {
    match bound {
        Datum::Bool(_) => Some(Kind::Bool),
        Datum::Number(_) => Some(Kind::Number),
        Datum::Binary(_) => Some(Kind::Binary),
        Datum::String(_) => Some(Kind::TimeOrString),
        time if time.is_ptype("TIME") => Some(Kind::TimeOrString),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use photondb_reql::datum::time;
    use photondb_reql::key::index_key;

    use super::*;

    fn range(left: Datum, left_closed: bool, right: Datum, right_closed: bool) -> DatumRange {
        DatumRange { left, left_closed, right, right_closed }
    }

    #[test]
    fn what_is_said_twice_holds_twice() {
        let number = |value: f64| Datum::Number(value);
        let mut claims = Claims::default();
        let field = Str::from("a");
        claims.add(&field, range(number(1.0), true, Datum::MaxVal, true));
        claims.add(&field, range(number(1.0), false, Datum::MaxVal, true));
        claims.add(&field, range(Datum::MinVal, true, number(5.0), true));
        claims.add(&field, range(Datum::MinVal, true, number(7.0), false));
        let found = claims.into_ranges().remove("a").expect("it was claimed");
        assert_eq!((found.left, found.left_closed), (number(1.0), false));
        assert_eq!((found.right, found.right_closed), (number(5.0), true));
    }

    /// Whatever lies in a range that is said to be filed can be a key.
    #[test]
    fn what_is_filed_has_a_place_in_an_index() {
        let object = |json: &str| photondb_reql::datum::json::parse(json.as_bytes()).expect("JSON");
        let values = [
            Datum::from(vec![]),
            Datum::from(vec![Datum::Null]),
            Datum::Bool(false),
            Datum::Bool(true),
            Datum::Null,
            Datum::Number(-1.0),
            Datum::Number(1.0),
            object("{}"),
            object(r#"{"a":1}"#),
            object(r#"{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[1,2]}"#),
            Datum::Binary(bytes::Bytes::from_static(b"a")),
            Datum::Binary(bytes::Bytes::from_static(b"b")),
            time::from_epoch(1.0, "+00:00").expect("is a time"),
            time::from_epoch(2.0, "+00:00").expect("is a time"),
            Datum::from(""),
            Datum::from("z"),
        ];
        let mut ends = values.to_vec();
        ends.extend([Datum::MinVal, Datum::MaxVal]);
        let (mut filed, mut all) = (0, 0);
        for left in &ends {
            for right in &ends {
                let within = range(left.clone(), true, right.clone(), true);
                all += 1;
                if left == right || !is_filed(&within) {
                    continue;
                }
                filed += 1;
                for value in values.iter().filter(|value| within.contains(value)) {
                    assert!(index_key(value, b"", None).is_ok(), "{value:?} in {within:?}");
                }
            }
        }
        assert!(filed > 10 && filed < all, "{filed} of {all}");
    }
}
