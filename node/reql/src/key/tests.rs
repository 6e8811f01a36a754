//! Keys: golden bytes, order, limits, and the bounds of ranges.

use bytes::Bytes;

use super::format::{Role, decode, encode};
use super::*;
use crate::datum::samples::{self, Samples};
use crate::datum::{Datum, time};
use crate::error::ErrorKind;
use crate::limits::INDEX_VALUE_BYTES_MAX;

fn bytes(datum: &Datum) -> Vec<u8> {
    let mut out = Vec::new();
    encode(datum, Role::IndexBound, &mut out).unwrap();
    out
}

#[test]
fn golden_bytes() {
    for (datum, hex) in [
        (Datum::MinVal, "08"),
        (Datum::MaxVal, "f8"),
        (Datum::Bool(false), "18"),
        (Datum::Bool(true), "19"),
        (Datum::Number(1.0), "20bff0000000000000"),
        (Datum::Number(-1.0), "20400fffffffffffff"),
        (Datum::Number(-0.0), "208000000000000000"),
        (Datum::from("a\0\u{1}b"), "38610101010262 00"),
        (Datum::Binary(Bytes::from_static(b"\xff\0")), "28ff010100"),
        (time::from_epoch(1.0, "+01:00").unwrap(), "30bff0000000000000"),
        (Datum::from(vec![Datum::from("x"), Datum::from(vec![])]), "10387800100000"),
    ] {
        let found: String = bytes(&datum).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, hex.replace(' ', ""), "{datum:?}");
    }
    let key = index_key(&Datum::Bool(true), PrimaryKey::new(&Datum::from("p")).unwrap().as_bytes(), Some(3)).unwrap();
    assert_eq!(key, b"\x19\x38p\0\0\0\0\x03\0\x01\x02");
}

#[test]
fn the_order_of_the_bytes_is_the_order_of_the_datums() {
    let mut samples = Samples::from_environment();
    for _ in 0..samples::rounds(4_000) {
        let (a, b) = (samples.key(3), samples.key(3));
        let (encoded_a, encoded_b) = (bytes(&a), bytes(&b));
        assert_eq!(encoded_a.cmp(&encoded_b), a.cmp(&b), "{a:?} against {b:?}");
        assert!(a == b || !encoded_b.starts_with(&encoded_a), "{a:?} is a prefix of {b:?}");
        assert_eq!(decode(&encoded_a), Ok((a, encoded_a.len())));
    }
}

#[test]
fn damaged_keys_are_refused_and_never_panic() {
    let mut samples = Samples::from_environment();
    for _ in 0..samples::rounds(3_000) {
        let mut encoded = bytes(&samples.key(4));
        samples.damage(&mut encoded);
        let _whatever = decode(&encoded);
        let _whatever = IndexKey::parse(&encoded);
    }
    assert_eq!(decode(b""), Err(KeyError::Truncated));
    assert_eq!(decode(b"\x00"), Err(KeyError::Tag { found: 0 }));
    assert_eq!(decode(&[0x10; 5_000]), Err(KeyError::Malformed { what: "nesting too deep" }));
}

#[test]
fn primary_keys_end_at_127_bytes() {
    let text = |length: usize| Datum::from("x".repeat(length));
    let key = PrimaryKey::new(&text(127)).unwrap();
    assert_eq!(key.to_datum(), Ok(text(127)));
    let error = PrimaryKey::new(&text(128)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::QueryLogic);
    assert_eq!(error.message, format!("Primary key too long (max 127 characters): \"{}\"", "x".repeat(128)));
    // A number takes 18 characters and its digits, an element one more.
    let numbers = |count: usize| Datum::from(vec![Datum::from(7); count]);
    assert!(PrimaryKey::new(&numbers(6)).is_ok());
    assert!(PrimaryKey::new(&numbers(7)).is_err());
}

#[test]
fn what_cannot_be_a_primary_key() {
    let error = |datum: Datum| PrimaryKey::new(&datum).unwrap_err();
    let null = error(Datum::Null);
    assert_eq!(null.kind, ErrorKind::NonExistence);
    assert_eq!(
        null.message,
        "Primary keys must be either a number, string, bool, pseudotype or array (got type NULL):\nnull"
    );
    assert_eq!(
        error(Datum::from(crate::datum::Object::new())).message,
        "Primary keys must be either a number, string, bool, pseudotype or array (got type OBJECT):\n{}"
    );
    assert_eq!(
        error(Datum::from(vec![Datum::Null])).message,
        "Array keys can only contain numbers, strings, bools,  pseudotypes, or arrays (got null of type NULL)."
    );
    assert_eq!(
        error(Datum::from("a\0b")).message,
        "String \"a\\x00b\" (truncated) contains NULL byte at offset 1 in index key."
    );
}

#[test]
fn index_keys_come_apart_again() {
    let primary = PrimaryKey::new(&Datum::from("id")).unwrap();
    for tag in [None, Some(0), Some(70_000)] {
        for (value, truncated) in [(Datum::from("v\0v"), false), (Datum::from("v".repeat(400)), true)] {
            let key = index_key(&value, primary.as_bytes(), tag).unwrap();
            let parts = IndexKey::parse(&key).unwrap();
            assert_eq!((parts.primary, parts.tag, parts.truncated), (primary.as_bytes(), tag, truncated));
            assert_eq!(parts.to_datum().unwrap(), (!truncated).then_some(value));
        }
    }
    assert!(index_key(&Datum::MinVal, primary.as_bytes(), None).is_err());
    assert_eq!(
        index_key(&Datum::from(vec![Datum::MaxVal]), primary.as_bytes(), None).unwrap_err().message,
        "Cannot use `r.minval` or `r.maxval` in an index key."
    );
}

#[test]
fn bounds_enclose_exactly_what_they_should() {
    let mut samples = Samples::from_environment();
    let pad = "y".repeat(INDEX_VALUE_BYTES_MAX);
    for round in 0..samples::rounds(4_000) {
        let draw = |samples: &mut Samples| match round % 3 {
            // Long values that differ only behind the cut.
            0 => Datum::from(vec![Datum::from(pad.as_str()), samples.key(1)]),
            _ => samples.key(3),
        };
        let (value, bound) = (draw(&mut samples), draw(&mut samples));
        let primary = PrimaryKey::bound(&samples.key(2)).unwrap_or_default();
        let key = index_key(&value, &primary, None).unwrap();
        for open in [false, true] {
            let lower = index_lower_bound(&bound, open).unwrap();
            let inside = value > bound || (value == bound && !open);
            assert!(!inside || key >= lower.key);
            assert!(inside || lower.recheck || key < lower.key);
            let upper = index_upper_bound(&bound, open).unwrap();
            let inside = value < bound || (value == bound && !open);
            assert!(!inside || key < upper.key);
            assert!(inside || upper.recheck || key >= upper.key);
        }
    }
}
