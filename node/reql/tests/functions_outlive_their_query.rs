//! A function that is stored and compiled again computes what it computed before, whatever it had captured.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use photondb_reql::datum::Datum;
use photondb_reql::datum::json;
use photondb_reql::error::ErrorKind;
use photondb_reql::eval::{self, Cx, Func, Scope, Value, compile_function, encode_function, function_term};
use photondb_reql::term::{Message, parse};

/// The function that a query gives.
fn function(query: &str) -> Func {
    let Message::Start(start) = parse(format!("[1,{query},{{}}]").as_bytes()).unwrap() else { panic!("no query") };
    let compiled = eval::compile(&start.term).unwrap();
    match eval::eval(&compiled.root, &Scope::empty(), &Cx::pure()).unwrap() {
        Value::Function(function) => function,
        _ => panic!("no function"),
    }
}

fn datum(text: &str) -> Datum {
    json::parse(text.as_bytes()).unwrap()
}

fn check(query: &str, argument: &str, expected: &str) {
    let cx = Cx::pure();
    let function = function(query);
    let stored = compile_function(&encode_function(&function, &cx).unwrap()).unwrap();
    for function in [function, stored] {
        assert_eq!(function.call_datum(&[datum(argument)], &cx).unwrap(), datum(expected), "{query}");
    }
}

#[test]
fn stored_functions_compute_the_same() {
    check("[69,[[2,[1]],[170,[[10,[1]],\"a\"]]]]", "{\"a\":5}", "5");
    check("[69,[[2,[1]],[24,[[170,[[13,[]],\"a\"]],1]]]]", "{\"a\":5}", "6");
    // A function inside a function, and a variable of the outer one in it.
    check(
        "[69,[[2,[1]],[38,[[170,[[10,[1]],\"l\"]],[69,[[2,[2]],[24,[[10,[2]],[170,[[10,[1]],\"a\"]]]]]]]]]]",
        "{\"a\":5,\"l\":[1,2]}",
        "[6,7]",
    );
    // Optional arguments, and the default of a filter, which is compiled in its own way.
    check(
        "[69,[[2,[1]],[39,[[10,[1]],[69,[[2,[2]],[170,[[10,[2]],\"a\"]]]]],{\"default\":true}]]]",
        "[{\"a\":false},{\"b\":1}]",
        "[{\"b\":1}]",
    );
    // Literals survive, as functions of `update` need them.
    check("[69,[[2,[1]],[35,[[10,[1]],{\"a\":[137,[{\"c\":1}]]}]]]]", "{\"a\":{\"b\":1}}", "{\"a\":{\"c\":1}}");
    // Joins are compiled to other terms.
    check("[69,[[2,[1]],[43,[[48,[[10,[1]],[10,[1]],[69,[[2,[2,3]],[17,[[10,[2]],[10,[3]]]]]]]]]]]]", "[1,2,3]", "3");
}

#[test]
fn captured_variables_become_constants() {
    // (x => (y => y + x))(10)
    check("[64,[[69,[[2,[1]],[69,[[2,[2]],[24,[[10,[2]],[10,[1]]]]]]]],10]]", "1", "11");
}

#[test]
fn the_row_stays_the_row() {
    let function = function("[69,[[2,[1]],[170,[[13,[]],\"a\"]]]]");
    let term = function_term(&function, &Cx::pure()).unwrap();
    assert_eq!(format!("{:?}", term.args()[1]), "BRACKET(IMPLICIT_VAR, \"a\")");
}

#[test]
fn bytes_that_are_no_function_are_refused() {
    for bytes in [&b""[..], b"\x02", b"\x01", b"\x01\x01\x03", b"\x01garbage"] {
        assert_eq!(compile_function(bytes).unwrap_err().kind, ErrorKind::Internal);
    }
}
