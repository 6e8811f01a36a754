//! What the documentation of RethinkDB says of single terms, and that the generator stays inside the model.

use serde_json::{Value as Json, json};

use super::generate::{Effect, Generator};
use super::*;
use crate::client::{Answer, ErrorKind};
use crate::random::Random;
use crate::term::{self, call, call_with, field, func, number, var};

fn server() -> Model {
    let mut model = Model::new();
    for query in [term::table_create("t"), term::index_create(term::table("t"), "n")] {
        model.run(&query).unwrap();
    }
    for document in [json!({"id": 1, "n": 5, "s": "a"}), json!({"id": 2, "n": 3, "s": "b"}), json!({"id": 3, "s": "b"})]
    {
        model.run(&term::insert(term::table("t"), document, "error", false)).unwrap();
    }
    model
}

fn answer(query: Term) -> Result<Json, ErrorKind> {
    match server().run(&query) {
        Ok(expected) => Ok(expected.to_json()),
        Err(Fault::Error(kind, _)) => Err(kind),
        Err(Fault::Undefined(what)) => panic!("{query}: {what}"),
    }
}

fn table() -> Term {
    term::table("t")
}

fn one(id: u64) -> Term {
    term::get(table(), id)
}

#[test]
fn reads() {
    let ids = |sequence: Term| call(number::GET_FIELD, [sequence, json!("id")]);
    let n = func(&[1], field(var(1), "n"));
    let cases = [
        (one(9), json!(null)),
        (ids(term::get_all(table(), 3, "n")), json!([2])),
        (ids(term::between(table(), 3, 5, "n")), json!([2])),
        (ids(call(number::FILTER, [table(), json!({ "s": "b" })])), json!([2, 3])),
        (ids(call(number::FILTER, [table(), func(&[1], term::ge(field(var(1), "n"), 4))])), json!([1])),
        (ids(call(number::ORDER_BY, [table(), call(number::DESC, [json!("id")])])), json!([3, 2, 1])),
        (call(number::SUM, [table(), json!("n")]), json!(8)),
        (call(number::AVG, [table(), n]), json!(4)),
        (field(call(number::MIN, [table(), json!("n")]), "id"), json!(2)),
        (call(number::TYPE_OF, [json!(null)]), json!("NULL")),
        (call(number::HAS_FIELDS, [one(3), json!("n")]), json!(false)),
        (term::default(field(one(3), "n"), json!(7)), json!(7)),
        (term::default(one(9), json!("none")), json!("none")),
        (call(number::AND, [json!(1), json!(null), json!(2)]), json!(null)),
        (call(number::OR, [json!(false), json!("x")]), json!("x")),
        (call(number::LT, [json!(1), json!(2), json!(2)]), json!(false)),
        (call(number::LT, [json!(true), json!(null), json!(-9), json!({}), json!("")]), json!(true)),
        (
            call(number::UNGROUP, [call(number::COUNT, [call(number::GROUP, [table(), json!("s")])])]),
            json!([{ "group": "a", "reduction": 1 }, { "group": "b", "reduction": 2 }]),
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(answer(query.clone()), Ok(expected), "{query}");
    }
}

#[test]
fn errors() {
    let cases = [
        (field(one(3), "n"), ErrorKind::NonExistence),
        (field(one(9), "n"), ErrorKind::NonExistence),
        (call(number::ADD, [json!(1), json!("x")]), ErrorKind::Logic),
        (call(number::ADD, [json!(1), json!(null)]), ErrorKind::NonExistence),
        (call(number::DIV, [json!(1), json!(0)]), ErrorKind::Logic),
        (call(number::MAP, [table(), func(&[1], field(var(1), "n"))]), ErrorKind::NonExistence),
        (call(number::MAX, [term::get_all(table(), 77, "n"), json!("id")]), ErrorKind::NonExistence),
        (term::get_all(table(), 1, "none"), ErrorKind::OpFailed),
        (term::table("none"), ErrorKind::OpFailed),
        (term::table_create("t"), ErrorKind::OpFailed),
    ];
    for (query, kind) in cases {
        assert_eq!(answer(query.clone()), Err(kind), "{query}");
    }
}

#[test]
fn writes() {
    let summary = |query: Term| {
        let answer = answer(query).unwrap();
        ["deleted", "errors", "inserted", "replaced", "skipped", "unchanged"].map(|name| answer[name].as_u64().unwrap())
    };
    let document = |id: u64| json!({ "id": id, "new": 1 });
    assert_eq!(summary(term::insert(table(), document(1), "error", false)), [0, 1, 0, 0, 0, 0]);
    assert_eq!(summary(term::insert(table(), document(1), "update", false)), [0, 0, 0, 1, 0, 0]);
    assert_eq!(summary(term::insert(table(), document(7), "replace", false)), [0, 0, 1, 0, 0, 0]);
    assert_eq!(summary(term::update(one(9), json!({ "a": 1 }), false)), [0, 0, 0, 0, 1, 0]);
    assert_eq!(summary(term::update(one(1), json!({ "n": 5 }), false)), [0, 0, 0, 0, 0, 1]);
    assert_eq!(summary(term::update(one(1), json!({ "id": 8 }), false)), [0, 1, 0, 0, 0, 0]);
    let grow = func(&[1], json!({ "n": term::add(field(var(1), "n"), 1) }));
    assert_eq!(summary(term::update(table(), grow, false)), [0, 1, 0, 2, 0, 0]);
    assert_eq!(summary(term::replace(one(9), document(9), false)), [0, 0, 1, 0, 0, 0]);
    assert_eq!(summary(term::replace(one(1), json!(null), false)), [1, 0, 0, 0, 0, 0]);
    assert_eq!(summary(term::delete(one(9), false)), [0, 0, 0, 0, 1, 0]);
    assert_eq!(summary(term::delete(table(), false)), [3, 0, 0, 0, 0, 0]);
    let changes = answer(term::delete(one(2), true)).unwrap()["changes"].clone();
    assert_eq!(changes, json!([{ "old_val": { "id": 2, "n": 3, "s": "b" }, "new_val": null }]));
}

#[test]
fn what_the_documentation_leaves_open_is_undefined() {
    let queries = [
        call(number::LIMIT, [table(), json!(1)]),
        call(number::NTH, [table(), json!(0)]),
        call(number::ORDER_BY, [table(), json!("s")]),
        call(number::GROUP, [table(), json!("n")]),
        call(number::UNGROUP, [call(number::GROUP, [table(), json!("s")])]),
        call_with(number::INSERT, [table(), json!({ "v": 1 })], json!({})),
        json!([99, []]),
    ];
    for query in queries {
        assert!(matches!(server().run(&query), Err(Fault::Undefined(_))), "{query}");
    }
}

#[test]
fn what_moves_in_the_index_that_finds_it_is_left_open_and_the_rest_is_known() {
    let found = term::get_all(table(), 5, "n");
    for (query, knows) in [
        (term::update(found.clone(), json!({ "n": 6 }), false), false),
        (term::update(call(number::FILTER, [found.clone(), json!({ "s": "a" })]), json!({ "n": 6 }), false), false),
        (term::update(found.clone(), json!({ "n": 5, "s": "c" }), false), true),
        (term::update(table(), json!({ "n": 6 }), false), true),
        (term::delete(found, false), true),
    ] {
        let mut model = server();
        let before = model.run(&table()).unwrap();
        assert_eq!(model.knows(&query), knows, "{query}");
        assert_eq!(model.run(&table()).unwrap(), before, "it is not run");
    }
}

#[test]
fn a_query_that_fails_changes_nothing() {
    let mut model = server();
    let before = model.run(&table()).unwrap();
    let first = term::update(one(1), json!({ "n": 99 }), false);
    let both = term::make_array([first, field(one(9), "n")]);
    assert!(matches!(model.run(&both), Err(Fault::Undefined(_))), "the first part stays written");
    assert_eq!(model.run(&table()).unwrap(), before);
}

#[test]
fn generated_queries_are_defined_and_of_every_kind() {
    let generator = Generator { table: "g".to_owned(), keys: 10 };
    let (mut open, mut failed, mut unasked, mut run) = (0, 0, 0, 0);
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut model = Model::new();
        model.run(&term::table_create("g")).unwrap();
        model.run(&term::index_create(term::table("g"), "n")).unwrap();
        for _ in 0..200 {
            let (query, effect) = generator.query(&mut random);
            run += 1;
            if effect == Effect::WritesMany && !model.knows(&query) {
                unasked += 1;
                continue;
            }
            match model.run(&query) {
                Ok(_) => {}
                Err(Fault::Error(..)) => failed += 1,
                Err(Fault::Undefined(what)) => {
                    assert_eq!(effect, Effect::Reads, "{query}: {what}");
                    open += 1;
                }
            }
        }
        let left = model.run(&term::count(term::table("g"))).unwrap().to_json();
        assert!(left.as_u64() <= Some(10));
    }
    assert!(open < run / 50, "{open} of {run} are undefined");
    assert!(unasked < run / 20, "{unasked} of {run} would leave the table unknown");
    assert!((run / 100..run / 4).contains(&failed), "{failed} of {run} fail");
}

#[test]
fn a_wrong_answer_does_not_agree() {
    let expected = server().run(&table());
    let rows = expected.as_ref().unwrap().to_json().as_array().unwrap().clone();
    let reversed = Answer::Rows(rows.iter().rev().cloned().collect());
    assert!(agree(&expected, &Ok(reversed)).is_ok(), "it has no order");
    assert!(agree(&expected, &Ok(Answer::Rows(rows[1..].to_vec()))).is_err());
    assert!(agree(&expected, &Err(ErrorKind::Logic)).is_err());
    let ordered = server().run(&call(number::ORDER_BY, [table(), json!("id")]));
    assert!(agree(&ordered, &Ok(Answer::Rows(rows.clone()))).is_ok());
    assert!(agree(&ordered, &Ok(Answer::Rows(rows.into_iter().rev().collect()))).is_err());
    let summary = server().run(&term::delete(one(1), false));
    let right = json!({"deleted": 1, "errors": 0, "inserted": 0, "replaced": 0, "skipped": 0, "unchanged": 0});
    assert!(agree(&summary, &Ok(Answer::Value(right.clone()))).is_ok());
    let mut more = right.clone();
    more["generated_keys"] = json!(["x"]);
    assert!(agree(&summary, &Ok(Answer::Value(more))).is_err());
}
