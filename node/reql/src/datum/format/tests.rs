//! Stored datums: golden bytes, round trips, and what damaged bytes do.

use bytes::Bytes;

use crate::datum::samples::{self, Samples};
use crate::datum::{Array, Datum, DecodeError, Object};
use crate::limits::NESTING_MAX;

fn hex(datum: &Datum) -> String {
    datum.to_encoded().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_bytes() {
    for (datum, golden) in [
        (Datum::MinVal, "0101"),
        (Datum::MaxVal, "0102"),
        (Datum::Null, "0103"),
        (Datum::Bool(false), "0104"),
        (Datum::Bool(true), "0105"),
        (Datum::Number(0.5), "0106000000000000e03f"),
        (Datum::Number(-0.0), "01060000000000000080"),
        (Datum::Number(0.0), "010700"),
        (Datum::Number(-128.0), "010780"),
        (Datum::Number(128.0), "01088000"),
        (Datum::Number(-40_000.0), "0109c063ffff"),
        (Datum::Number(4_294_967_296.0), "0106000000000000f041"),
        (Datum::from("hé"), "010a68c3a9"),
        (Datum::Binary(Bytes::from_static(b"\0\xff")), "010b00ff"),
        (Datum::from(vec![]), "01100001"),
        (Datum::from(vec![Datum::Null, Datum::from("a")]), "0110030a61 0103 02 01"),
        (Datum::from(Object::new()), "01140001"),
        (
            Datum::from(Object::from([("id", Datum::from(7)), ("b", Datum::from(vec![Datum::Bool(true)]))])),
            "0114 0162 1005010101 026964 0707 070c 02 02",
        ),
    ] {
        assert_eq!(hex(&datum), golden.replace(' ', ""), "{datum:?}");
        assert_eq!(Datum::decode(Bytes::from(datum.to_encoded())), Ok(datum));
    }
}

#[test]
fn wide_tables_use_wide_ends() {
    for (size, tag) in [(200, 0x10), (300, 0x11), (70_000, 0x12)] {
        let datum = Datum::from(vec![Datum::from("x".repeat(size))]);
        let encoded = datum.to_encoded();
        assert_eq!(encoded[1], tag);
        assert_eq!(Datum::decode(Bytes::from(encoded)), Ok(datum));
    }
}

#[test]
fn whatever_is_encoded_comes_back_the_same() {
    let mut samples = Samples::from_environment();
    for _ in 0..samples::rounds(3_000) {
        let datum = samples.datum(5);
        let encoded = datum.to_encoded();
        let view = Datum::decode(Bytes::from(encoded.clone())).unwrap();
        assert_eq!(view, datum);
        assert_eq!(view.depth(), datum.depth());
        assert_eq!(view.to_encoded(), encoded, "one datum has one encoding");
        assert_eq!(view.to_json(), datum.to_json());
        assert_eq!(view.print(), datum.print());
        if let (Datum::Object(view), Datum::Object(tree)) = (&view, &datum) {
            assert!(tree.iter().eq(view.iter()));
            for (key, value) in tree.iter() {
                assert_eq!(view.get(&key), Some(value));
            }
            assert_eq!(view.get("no such field"), None);
            // A tree that holds views encodes as one that does not.
            let touched = view.with("a", 1).without("a");
            assert_eq!(Datum::from(touched).to_encoded(), Datum::from(tree.without("a")).to_encoded());
        }
        if let (Datum::Array(view), Datum::Array(tree)) = (&view, &datum) {
            assert!(tree.iter().eq(view.iter()));
            assert_eq!(Datum::from(view.slice(1, 3)), Datum::from(tree.slice(1, 3)));
            assert_eq!(view.get(view.len()), None);
        }
    }
}

#[test]
fn damaged_bytes_are_refused_or_mean_something_else() {
    let mut samples = Samples::from_environment();
    for _ in 0..samples::rounds(5_000) {
        let mut encoded = samples.datum(4).to_encoded();
        samples.damage(&mut encoded);
        if let Ok(datum) = Datum::decode(Bytes::from(encoded.clone())) {
            // What passes the check is sound: reading all of it works, and it is canonical up to widths.
            assert_eq!(Datum::decode(Bytes::from(datum.to_encoded())).as_ref(), Ok(&datum));
            let _text = datum.to_json();
        }
    }
}

#[test]
fn an_unchecked_view_of_damaged_bytes_never_panics() {
    let mut samples = Samples::from_environment();
    for _ in 0..samples::rounds(3_000) {
        let mut encoded = samples.datum(4).to_encoded();
        samples.damage(&mut encoded);
        if let Ok(datum) = Datum::view(Bytes::from(encoded)) {
            let _order = datum.cmp(&Datum::Null);
            let _text = datum.to_json();
            let _copy = format!("{datum:?}");
            let _again = datum.to_encoded();
        }
    }
}

#[test]
fn faults_are_told_apart() {
    let decode = |bytes: &'static [u8]| Datum::decode(Bytes::from_static(bytes)).unwrap_err();
    assert_eq!(decode(b""), DecodeError::Truncated);
    assert_eq!(decode(b"\x01"), DecodeError::Truncated);
    assert_eq!(decode(b"\x02\x03"), DecodeError::Version { found: 2 });
    assert_eq!(decode(b"\x01\xf0"), DecodeError::Tag { found: 0xf0 });
    assert_eq!(decode(b"\x01\x0a\xff"), DecodeError::Malformed { what: "a string is not UTF-8" });
    assert_eq!(decode(b"\x01\x03\x00"), DecodeError::Malformed { what: "bytes behind a constant" });
    assert_eq!(decode(b"\x01\x06\0\0\0\0\0\0\xf0\x7f"), DecodeError::Malformed { what: "a number is not finite" });
    assert_eq!(
        decode(b"\x01\x14\x01b\x03\x01a\x03\x03\x06\x02\x01"),
        DecodeError::Malformed { what: "the keys do not ascend" }
    );
    // Found by the fuzz target `datum_order`: two encodings of one datum.
    for wide in [&b"\x01\x09\0\0\0\0"[..], b"\x01\x08\x05\0", b"\x01\x06\0\0\0\0\0\0\xf0\x3f"] {
        let what = "a number is wider than it need be";
        assert_eq!(Datum::decode(Bytes::copy_from_slice(wide)), Err(DecodeError::Malformed { what }));
    }
    let what = "the ends are wider than they need be";
    assert_eq!(decode(b"\x01\x11\x03\x01\0\x01\0\x01"), DecodeError::Malformed { what });
    let what = "the length of a key is wider than it need be";
    assert_eq!(decode(b"\x01\x14\x81\0a\x03\x04\x01\x01"), DecodeError::Malformed { what });
    assert_eq!(decode(b"\x01\x10\x03\x01\x01\x07"), DecodeError::Malformed { what: "the depth is wrong" });
}

#[test]
fn depth_is_known_and_limited() {
    let nest = |levels: usize| (0..levels).fold(Datum::Null, |inner, _| Datum::Array(Array::from(vec![inner])));
    assert_eq!(nest(NESTING_MAX).depth(), NESTING_MAX);
    let decoded = Datum::decode(Bytes::from(nest(NESTING_MAX).to_encoded())).unwrap();
    assert_eq!(decoded.depth(), NESTING_MAX);
    assert_eq!(
        Datum::decode(Bytes::from(nest(NESTING_MAX + 1).to_encoded())),
        Err(DecodeError::Malformed { what: "nesting too deep" })
    );
    // A tree far deeper than any stack is dropped all the same.
    drop(nest(1_000_000));
}
