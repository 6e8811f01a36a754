//! Datums: one total order, the same for every form in memory; encodings and JSON that come back as they went.
//!
//! First byte modulo 3: 0 datums made of what follows; 1 bytes of an encoded datum; 2 the text of JSON.

use std::cmp::Ordering;

use bytes::Bytes;
use photondb_reql::datum::{Datum, compare, json};
use photondb_reql::eval::Cx;

use super::datums;
use super::input::Input;

/// Datums of one run.
const DATUMS: usize = 5;

/// What is examined.
#[derive(Clone, Copy)]
pub struct Subject {
    pub compare: fn(&Datum, &Datum) -> Ordering,
    pub encode: fn(&Datum) -> Vec<u8>,
    pub to_json: fn(&Datum) -> Option<String>,
}

impl Subject {
    /// The product.
    pub const PRODUCT: Subject =
        Subject { compare: Datum::cmp, encode: Datum::to_encoded, to_json: |datum| datum.to_json().ok() };
}

/// Examines the product.
pub fn run(input: &[u8]) {
    run_with(input, &Subject::PRODUCT);
}

/// Examines `subject`.
pub fn run_with(input: &[u8], subject: &Subject) {
    let mut input = Input::new(input);
    match input.byte() % 3 {
        0 => {
            let mut made = Vec::new();
            while made.len() < DATUMS {
                let next = match made.last() {
                    Some(last) if input.below(3) != 0 => datums::variant(last, &mut input),
                    _ => datums::datum(&mut input, 3),
                };
                made.push(next);
            }
            made.iter().for_each(|datum| forms_agree(datum, subject));
            laws_hold(&made, subject);
        }
        1 => {
            let mut encoded = vec![1];
            encoded.extend_from_slice(input.rest());
            // A view of damaged bytes may be read wrongly; it must not panic.
            if let Ok(view) = Datum::view(Bytes::from(encoded.clone())) {
                let _whatever = (view.print(), view.depth(), view.size_hint(), view == view.clone());
            }
            if let Ok(datum) = Datum::decode(Bytes::from(encoded.clone())) {
                assert_eq!(Datum::to_encoded(&datum), encoded, "two encodings of {datum:?}");
                forms_agree(&datum, subject);
            }
        }
        _ => {
            let text = input.rest();
            if let Ok(datum) = json::parse(text) {
                forms_agree(&datum, subject);
            }
            if let Ok(text) = std::str::from_utf8(text) {
                let _whatever = json::parse_text(text, &mut &Cx::pure());
            }
        }
    }
}

/// Nobody can tell how a datum is kept, and what is written comes back.
fn forms_agree(datum: &Datum, subject: &Subject) {
    let encoded = (subject.encode)(datum);
    let view = Datum::decode(Bytes::from(encoded.clone())).expect("what was encoded can be decoded");
    assert_eq!((subject.compare)(datum, &view), Ordering::Equal, "{datum:?} is stored as {view:?}");
    assert_eq!((subject.encode)(&view), encoded, "{datum:?} has two encodings");
    // Of a scalar it is about that.
    if datum.depth() > 0 {
        assert_eq!(view.size_hint(), encoded.len() - 1, "the size of {view:?}");
    }
    assert_eq!((view.depth(), view.type_name()), (datum.depth(), datum.type_name()), "{datum:?}");
    assert_eq!(view.print(), datum.print());
    assert_eq!(datum.is_truthy(), view.is_truthy());
    let text = (subject.to_json)(datum);
    assert_eq!(text, (subject.to_json)(&view), "{datum:?} has two JSON texts");
    if let Some(text) = text {
        match json::parse(text.as_bytes()) {
            Ok(read) => assert_eq!(Datum::to_encoded(&read), encoded, "{text} is read as {read:?}"),
            // Bytes may claim to be a pseudo-type that there is not.
            Err(json::ParseError::Datum(_)) => {}
            Err(json::ParseError::Json(error)) => panic!("{text} cannot be read: {error}"),
        }
        let _: serde_json::Value = serde_json::from_str(&text).expect("it is JSON to others too");
    }
}

/// For any two one of three holds, and for any three the order goes through.
fn laws_hold(made: &[Datum], subject: &Subject) {
    let views: Vec<Datum> = made.iter().map(Datum::detach).collect();
    let order = |a: usize, b: usize| (subject.compare)(&made[a], &made[b]);
    for a in 0..made.len() {
        assert_eq!(order(a, a), Ordering::Equal, "{:?} is itself", made[a]);
        for b in 0..made.len() {
            let found = order(a, b);
            assert_eq!(found, order(b, a).reverse(), "{:?} against {:?}", made[a], made[b]);
            assert_eq!(found, (subject.compare)(&views[a], &made[b]), "{:?} as a view", made[a]);
            assert_eq!(found, (subject.compare)(&views[a], &views[b]), "{:?} as views", made[a]);
            assert_eq!(found.is_eq(), made[a] == made[b], "{:?} against {:?}", made[a], made[b]);
            let apart = |a: &Datum, b: &Datum| a.is_ptype("GEOMETRY") && b.is_ptype("BINARY");
            if !apart(&made[a], &made[b]) && !apart(&made[b], &made[a]) {
                assert_eq!(found, compare::of_two(&made[a], &made[b]));
            }
            for c in 0..made.len() {
                if found.is_le() && order(b, c).is_le() {
                    assert!(order(a, c).is_le(), "{:?}, {:?}, {:?} go round", made[a], made[b], made[c]);
                }
            }
        }
    }
}
