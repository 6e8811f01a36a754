//! Datums in memory: types, truth, access, and building.

use super::*;

#[test]
fn type_names() {
    for (datum, name) in [
        (Datum::MinVal, "MINVAL"),
        (Datum::Null, "NULL"),
        (Datum::from(true), "BOOL"),
        (Datum::from(1), "NUMBER"),
        (Datum::from("x"), "STRING"),
        (Datum::from(vec![]), "ARRAY"),
        (Datum::from(Object::new()), "OBJECT"),
        (binary::from_slice(b""), "PTYPE<BINARY>"),
        (time::from_epoch(0.0, "Z").unwrap(), "PTYPE<TIME>"),
        (Datum::from(Object::from([(PTYPE_FIELD, "GEOMETRY")])), "PTYPE<GEOMETRY>"),
    ] {
        assert_eq!(datum.type_name(), name);
        let inner = name.strip_prefix("PTYPE<").and_then(|rest| rest.strip_suffix('>'));
        assert_eq!(datum.ptype_name().as_deref(), inner);
    }
    assert!(time::from_epoch(0.0, "Z").unwrap().is_ptype("TIME"));
}

#[test]
fn truth() {
    assert!(!Datum::Null.is_truthy() && !Datum::Bool(false).is_truthy());
    assert!(Datum::from(0).is_truthy() && Datum::from("").is_truthy());
}

#[test]
fn errors_of_access() {
    let object = Datum::from(Object::from([("a", 1)]));
    let error = object.field("b").unwrap_err();
    assert!(error.is_non_existence());
    assert_eq!(error.message, "No attribute `b` in object:\n{\n\t\"a\":\t1\n}");
    assert_eq!(Datum::from("x").as_number().unwrap_err().message, "Expected type NUMBER but found STRING.");
    assert_eq!(Datum::number(f64::INFINITY).unwrap_err().message, "Non-finite number: inf");
}

#[test]
fn objects_are_maps() {
    let object =
        Object::from(vec![("b".into(), Datum::from(1)), ("a".into(), Datum::from(2)), ("b".into(), Datum::from(3))]);
    assert_eq!(object.keys().map(String::from).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(object.get("b"), Some(Datum::from(3)));
    assert_eq!(object.with("aa", 0).without("a").len(), 2);
    let mut builder = ObjectBuilder::new();
    assert!(builder.add("x", 1) && !builder.add("x", 2));
    assert_eq!(builder.insert("x", 3), Some(Datum::from(1)));
    assert_eq!(builder.remove("x"), Some(Datum::from(3)));
}

#[test]
fn detached_pieces_equal_their_originals() {
    let datum = Datum::from(Object::from([("a", Datum::from(vec![Datum::from("text")]))]));
    let view = Datum::decode(Bytes::from(datum.to_encoded())).unwrap();
    let piece = view.field("a").unwrap();
    assert_eq!(piece.detach(), piece);
}

#[test]
fn builders_take_many_fields_in_any_order() {
    let mut builder = ObjectBuilder::new();
    for number in 0..100_000u32 {
        // An odd factor visits every remainder once, in no order.
        builder.insert(format!("{:05}", number.wrapping_mul(7_919) % 100_000), number);
    }
    assert_eq!(builder.len(), 100_000);
    assert_eq!(builder.remove("00007").map(|value| value.is_null()), Some(false));
    let object = builder.build();
    assert!(object.keys().is_sorted() && !object.contains_key("00007") && object.contains_key("99999"));
}

/// Queries run on small stacks: the deepest value that the limits allow must leave room.
#[test]
fn the_deepest_value_needs_little_stack() {
    use crate::limits::NESTING_MAX;
    let work = || {
        let deepest = |leaf: i32| {
            (0..NESTING_MAX).fold(Datum::from(leaf), |inner, level| match level % 2 {
                0 => Datum::from(vec![inner]),
                _ => Datum::from(Object::from([("a", inner)])),
            })
        };
        let (one, two) = (deepest(1), deepest(2));
        assert!(one < two);
        let view = Datum::decode(Bytes::from(one.to_encoded())).unwrap();
        assert_eq!((view.clone(), view.depth()), (one.clone(), NESTING_MAX));
        assert_eq!(view.to_json(), one.to_json());
        assert_eq!(view.print().len(), one.print().len());
        assert!(one.size_hint() > NESTING_MAX);
        assert_eq!(json::parse(one.to_json().unwrap().as_bytes()), Ok(one.detach()));
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(work).unwrap().join().unwrap();
}

/// What a value takes is counted by what it is made of in memory, not by its encoded form.
#[test]
fn a_footprint_is_that_of_the_memory() {
    let numbers = |count: u32| Datum::from((0..count).map(Datum::from).collect::<Vec<_>>());
    let of_numbers = numbers(1_000);
    assert!(of_numbers.footprint() >= 1_000 * size_of::<Datum>(), "{}", of_numbers.footprint());
    let nested = Datum::from((0..1_000).map(|_| numbers(3)).collect::<Vec<_>>());
    assert!(nested.footprint() >= 4_000 * size_of::<Datum>(), "{}", nested.footprint());
    let object = Datum::Object(Object::from([("a", 1), ("b", 2)]));
    let objects = Datum::from(vec![object; 1_000]);
    assert!(objects.footprint() >= 1_000 * 2 * size_of::<(Str, Datum)>(), "{}", objects.footprint());
    // What is packed takes as much as its bytes.
    let mut packed = nested.clone();
    packed.pack();
    assert_eq!(packed.footprint(), size_of::<Datum>() + packed.to_encoded().len() - 1);
    assert!(packed.footprint() * 5 < nested.footprint());
    // A vector that was made with room for more keeps it.
    let mut roomy = Vec::with_capacity(1_000);
    roomy.push(Datum::Null);
    assert!(Datum::from(roomy).footprint() >= 1_000 * size_of::<Datum>());
}
