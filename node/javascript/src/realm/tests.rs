//! What scripts give, and what they are refused.

use photondb_reql::datum::{Datum, json, time};

use super::*;
use crate::limits::RESULT_NESTING_MAX;

fn reply(realm: &mut Realm, source: &str, arguments: Option<Vec<Datum>>) -> String {
    let run = Run { source: source.to_owned(), arguments, array_limit: 1_000 };
    match realm.run(&run) {
        Reply::Value(datum) => datum.to_json().unwrap(),
        Reply::Function => "FUNCTION".to_owned(),
        Reply::Failed(text) => format!("! {text}"),
    }
}

fn eval(source: &str) -> String {
    reply(&mut Realm::new().unwrap(), source, None)
}

/// Calls a function with arguments given as JSON.
fn call(source: &str, arguments: &str) -> String {
    let Ok(Datum::Array(arguments)) = json::parse_text(arguments, &mut json::Unwatched) else { panic!("{arguments}") };
    reply(&mut Realm::new().unwrap(), source, Some(arguments.into_vec()))
}

fn check(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(eval(source), *expected, "{source}");
    }
}

#[test]
fn the_last_value_of_a_script_is_its_result() {
    check(&[
        ("1 + 1; 2 + 2", "4"),
        ("'a' + 'ü😀\\u0000'", "\"aü😀\\u0000\""),
        ("({b: [1, null, true], a: -0.5})", r#"{"a":-0.5,"b":[1,null,true]}"#),
        ("[]", "[]"),
        ("x = 5; x", "5"),
        ("(function() { return 1; })", "FUNCTION"),
        ("() => 1", "FUNCTION"),
        ("class A {}; A", "FUNCTION"),
        ("new Map([[1, 2]])", "{}"),
        ("Object.create({inherited: 1}, {hidden: {value: 1}, shown: {value: 2, enumerable: true}})", r#"{"shown":2}"#),
        ("'\\ud800x'", "\"\u{fffd}x\""),
        ("({'\\ud800': 1})", "{\"\u{fffd}\":1}"),
    ]);
}

#[test]
fn what_is_no_value_is_refused_in_rethinkdbs_words() {
    check(&[
        ("", "! Cannot convert javascript `undefined` to ql::datum_t."),
        ("[,1]", "! Cannot convert javascript `undefined` to ql::datum_t."),
        ("NaN", "! Number return value is not finite."),
        ("({a: [1 / 0]})", "! Number return value is not finite."),
        ("[function() {}]", "! Cannot convert function to ql::datum_t."),
        ("/x/", "! Cannot convert RegExp to ql::datum_t."),
        ("Symbol()", "! Unhandled value type when converting to ql::datum_t."),
        ("10n", "! Unhandled value type when converting to ql::datum_t."),
        ("({get a() { throw 1; }})", "! Unhandled value type when converting to ql::datum_t."),
        ("var o = {}; o.o = o; o", "! Recursion limit exceeded in js_to_json (circular reference?)."),
        ("Object.create(Date.prototype)", "! Invalid Date in JS environment"),
        ("new Date(NaN)", "! Non-finite number: nan"),
        ("({$reql_type$: 'nonsense'})", "! Unknown $reql_type$ `PTYPE<nonsense>`."),
    ]);
    assert!(eval("new Array(1001)").starts_with("! Array over size limit `1000`."));
    assert!(eval("new Array(4294967295)").starts_with("! Array over size limit `1000`."));
}

#[test]
fn errors_are_what_the_script_threw() {
    check(&[
        ("function() { return 1; }", "! SyntaxError: function name expected"),
        ("nothing", "! ReferenceError: nothing is not defined"),
        ("throw 'mine'", "! mine"),
        ("throw null", "! null"),
        ("throw {toString() { return 'text'; }}", "! text"),
        ("throw {toString() { throw 1; }}", "! The script threw something that has no text."),
        ("throw new TypeError('of mine')", "! TypeError: of mine"),
        ("1\u{0}", "! SyntaxError: a script may not hold the character NUL"),
    ]);
    assert_eq!(eval("throw 'x'.repeat(1000000)").len(), ERROR_BYTES_MAX + 2);
}

#[test]
fn an_exception_is_not_found_again_by_the_next_script() {
    let mut realm = Realm::new().unwrap();
    for (source, expected) in [
        ("({get a() { throw 'left'; }})", "! Unhandled value type when converting to ql::datum_t."),
        ("throw {toString() { throw 'left'; }}", "! The script threw something that has no text."),
        ("1", "1"),
    ] {
        assert_eq!(reply(&mut realm, source, None), expected);
    }
}

#[test]
fn functions_are_called_with_values() {
    assert_eq!(call("(function(a, b) { return a + b; })", "[1,2]"), "3");
    assert_eq!(call("(function(a) { return a; })", r#"[{"x":[1,null,true,"s"]}, 2]"#), r#"{"x":[1,null,true,"s"]}"#);
    assert_eq!(call("(a, b, c) => c", "[1,2]"), "! Cannot convert javascript `undefined` to ql::datum_t.");
    assert_eq!(call("(function() { return this === globalThis; })", "[]"), "true");
    assert_eq!(call("() => () => 1", "[]"), "! Returning functions from within `r.js` is unsupported.");
    assert_eq!(
        call("a => Object.keys(a).concat(a.b)", r#"[{"__proto__":{"b":1},"c":2}]"#),
        "! Cannot convert javascript `undefined` to ql::datum_t."
    );
    assert_eq!(call("a => a.__proto__.b", r#"[{"__proto__":{"b":1}}]"#), "1");
    assert_eq!(call("1", "[]"), "! Javascript query `1` returned a value when it should have returned a function.");
    let binary = Some(vec![Datum::from(vec![Datum::Binary(vec![1].into())])]);
    let mut realm = Realm::new().unwrap();
    assert_eq!(reply(&mut realm, "x => 1", binary), "! `r.binary` data cannot be used in `r.js`.");
    assert_eq!(reply(&mut realm, "x => 1", Some(vec![Datum::MinVal])), "! `r.minval` cannot be passed to `r.js`.");
    assert_eq!(reply(&mut realm, "x => 1", Some(vec![Datum::MaxVal])), "! `r.maxval` cannot be passed to `r.js`.");
}

#[test]
fn times_are_dates_on_both_ways() {
    let mut realm = Realm::new().unwrap();
    let moment = time::from_epoch(1_375_147_296.681, "+02:00").unwrap();
    let back = realm.run(&Run { source: "x => x".to_owned(), arguments: Some(vec![moment.clone()]), array_limit: 1 });
    assert_eq!(back, Reply::Value(time::from_epoch(1_375_147_296.681, "+00:00").unwrap()));
    assert_eq!(reply(&mut realm, "x => x.toISOString()", Some(vec![moment.clone()])), "\"2013-07-30T01:21:36.681Z\"");
    // A script that meddles with `Date` harms only what it calls itself.
    let meddle = "Date.prototype.valueOf = () => 0; Date = null; new ((0, eval)('(x => x)(1), Object'))()";
    assert_eq!(reply(&mut realm, meddle, None), "{}");
    let back = realm.run(&Run { source: "x => x".to_owned(), arguments: Some(vec![moment]), array_limit: 1 });
    assert_eq!(back, Reply::Value(time::from_epoch(1_375_147_296.681, "+00:00").unwrap()));
}

#[test]
fn a_query_keeps_its_variables_and_another_never_sees_them() {
    let mut realm = Realm::new().unwrap();
    let counter = "var n = 0; (function() { return ++n; })";
    assert_eq!(reply(&mut realm, counter, None), "FUNCTION");
    assert_eq!(reply(&mut realm, counter, Some(Vec::new())), "1");
    assert_eq!(reply(&mut realm, counter, Some(Vec::new())), "2");
    assert_eq!(reply(&mut realm, "Array.prototype.map = Object.prototype.polluted = 1; n", None), "2");
    assert_eq!(eval("typeof n + typeof [].map + typeof {}.polluted"), "\"undefinedfunctionundefined\"");
}

#[test]
fn a_realm_forgets_functions_rather_than_keep_them_all() {
    let mut realm = Realm::new().unwrap();
    for number in 0..FUNCTIONS_MAX * 2 {
        assert_eq!(reply(&mut realm, &format!("() => {number}"), Some(Vec::new())), number.to_string());
        assert!(realm.functions.len() <= FUNCTIONS_MAX);
    }
}

#[test]
fn memory_and_stack_have_ends_and_the_realm_lives_on() {
    let mut realm = Realm::new().unwrap();
    for bomb in [
        "var a = []; for (;;) a.push(new Array(1000).fill(1));",
        "var s = 'x'; for (;;) s += s;",
        "new ArrayBuffer(1e10)",
        "'x'.repeat(1e9)",
    ] {
        let answer = reply(&mut realm, &format!("(function() {{ {bomb} }})()"), None);
        assert!(answer.starts_with("! "), "{bomb}: {answer}");
        assert_eq!(reply(&mut realm, "1", None), "1", "after {bomb}");
    }
    let deep = reply(&mut realm, "(function f() { return f() + 1; })()", None);
    assert_eq!(deep, "! RangeError: Maximum call stack size exceeded");
    let deep = reply(&mut realm, "JSON.parse('['.repeat(1e6))", None);
    assert!(deep.starts_with("! "), "{deep}");
    let huge = reply(&mut realm, "new Array(1000).fill('x'.repeat(1e6))", None);
    assert_eq!(huge, "! The result of a JavaScript query is larger than 33554432 bytes.");
    assert_eq!(reply(&mut realm, "1 + 1", None), "2");
}

#[test]
fn nesting_goes_as_deep_as_it_may() {
    let nested = |levels: usize| format!("var a = 1; for (var i = 0; i < {levels}; i++) a = [a]; a");
    assert!(eval(&nested(RESULT_NESTING_MAX - 1)).starts_with("[["));
    assert_eq!(eval(&nested(RESULT_NESTING_MAX)), "! Recursion limit exceeded in js_to_json (circular reference?).");
    let mut deep = Datum::from(1);
    for _ in 0..photondb_reql::limits::NESTING_MAX {
        deep = Datum::from(vec![deep]);
    }
    let count = "x => { var n = 0; while (Array.isArray(x)) { x = x[0]; n++; } return n; }";
    assert_eq!(reply(&mut Realm::new().unwrap(), count, Some(vec![deep])), "1000");
}

#[test]
fn there_is_no_way_out() {
    check(&[
        (
            "typeof require + typeof process + typeof std + typeof os + typeof fetch + typeof setTimeout + typeof console",
            "\"undefinedundefinedundefinedundefinedundefinedundefinedundefined\"",
        ),
        ("import('x'); 1", "1"),
    ]);
}
