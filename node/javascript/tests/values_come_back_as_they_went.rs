//! Whatever a script is given and gives back, through both messages, is the value it was.

use bytes::Bytes;
use photondb_javascript::message::{LENGTH_BYTES, Reply, Request, Run};
use photondb_javascript::realm::Realm;
use photondb_reql::datum::{Datum, Object, Str, time};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    // Names that mean something to JavaScript, numbers as names, and any characters at all.
    prop_oneof![
        Just("__proto__".to_owned()),
        Just("constructor".to_owned()),
        Just("length".to_owned()),
        Just("valueOf".to_owned()),
        Just("toJSON".to_owned()),
        (0..20u8).prop_map(|number| number.to_string()),
        ".{0,8}",
        Just("a\u{0}b".to_owned()),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i32>().prop_map(f64::from),
        any::<f64>().prop_filter("only finite numbers are values", |number| number.is_finite()),
        Just(9_007_199_254_740_993.0),
    ]
}

fn moment() -> impl Strategy<Value = Datum> {
    // To the millisecond, within the years that a date can have; the zone is not kept.
    (-60_000_000_000_000i64..200_000_000_000_000)
        .prop_map(|millis| time::from_epoch(millis as f64 / 1000.0, "+00:00").expect("a moment near ours is a time"))
}

fn value() -> impl Strategy<Value = Datum> {
    let scalar = prop_oneof![
        Just(Datum::Null),
        any::<bool>().prop_map(Datum::from),
        number().prop_map(Datum::Number),
        text().prop_map(Datum::from),
        moment(),
    ];
    scalar.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Datum::from),
            prop::collection::btree_map(text(), inner, 0..6).prop_map(|fields| {
                let fields: Vec<(Str, Datum)> =
                    fields.into_iter().map(|(name, value)| (Str::from(name), value)).collect();
                Datum::from(Object::from(fields))
            }),
        ]
    })
}

fn body(message: Vec<u8>) -> Bytes {
    Bytes::from(message).slice(LENGTH_BYTES..)
}

fn through(realm: &mut Realm, source: &str, argument: Datum) -> Reply {
    let run = Run { source: source.to_owned(), arguments: Some(vec![argument]), array_limit: 100 };
    let request = Request::Run(run).encode().expect("the message is short");
    let Ok(Request::Run(run)) = Request::decode(body(request)) else { panic!("another request came out") };
    let reply = realm.run(&run).encode().expect("the message is short");
    Reply::decode(body(reply)).expect("a reply is one")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn as_they_are(value in value()) {
        let mut realm = Realm::new().expect("the engine starts");
        prop_assert_eq!(through(&mut realm, "x => x", value.clone()), Reply::Value(value));
    }

    #[test]
    fn as_json_says(value in value()) {
        // JavaScript's own reading of the value's JSON is the value as it was given; dates are texts in JSON.
        let mut realm = Realm::new().expect("the engine starts");
        let json = value.to_json().expect("every such value has JSON");
        let pair = Datum::from(vec![value, Datum::from(json)]);
        let compare = "([given, json]) => {
            const show = x => x instanceof Date ? +x : Array.isArray(x) ? x.map(show) : x && typeof x == 'object'
                ? x.$reql_type$ == 'TIME' ? Math.round(x.epoch_time * 1000)
                : Object.keys(x).sort().map(key => [key, show(Object.getOwnPropertyDescriptor(x, key).value)])
                : Object.is(x, -0) ? 0 : x;
            return JSON.stringify(show(given)) == JSON.stringify(show(JSON.parse(json)));
        }";
        prop_assert_eq!(through(&mut realm, compare, pair), Reply::Value(Datum::Bool(true)));
    }
}
