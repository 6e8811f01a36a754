//! A chain of terms is compiled, evaluated and dropped without recursion; what does nest says beforehand how deep.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use photondb_reql::datum::Datum;
use photondb_reql::eval::{self, Cx, Scope};
use photondb_reql::term::{BacktraceId, Term, TermKind};

/// As fibers are made: see the limits of the runtime.
const STACK_BYTES_LEAST: usize = 256 * 1024;
const STACK_BYTES_PER_LEVEL: usize = 6 * 1024;

const ID: BacktraceId = BacktraceId::ROOT;

fn number(value: i32) -> Term {
    Term::Datum(Datum::from(value), ID)
}

/// `0.f(1).f(1)...`
fn chain(kind: TermKind, length: usize) -> Term {
    (0..length).fold(number(0), |term, _| Term::call(kind, vec![term, number(1)], ID))
}

/// `1.f(1.f(1.f(...)))`
fn nest(kind: TermKind, depth: usize) -> Term {
    (0..depth).fold(number(0), |term, _| Term::call(kind, vec![number(1), term], ID))
}

/// Evaluates a query on a stack of the size that fibers have for its depth.
fn answer(term: Term) -> Datum {
    let query = eval::compile(&term).unwrap();
    drop(term);
    let stack = STACK_BYTES_LEAST + query.depth * STACK_BYTES_PER_LEVEL;
    let run = move || {
        let cx = Cx::pure();
        let value = eval::eval(&query.root, &Scope::empty(), &cx).unwrap().into_answer(&cx).unwrap();
        drop(query);
        value
    };
    std::thread::Builder::new().stack_size(stack).spawn(run).unwrap().join().unwrap()
}

#[test]
fn a_chain_of_ten_thousand_is_flat() {
    let query = eval::compile(&chain(TermKind::Add, 10_000)).unwrap();
    assert!(query.depth < 5, "{}", query.depth);
    assert_eq!(answer(chain(TermKind::Add, 10_000)), Datum::from(10_000));
}

#[test]
fn a_chain_that_chooses_what_to_evaluate_says_its_depth() {
    let query = eval::compile(&chain(TermKind::Default, 10_000)).unwrap();
    assert!(query.depth >= 10_000, "{}", query.depth);
    assert_eq!(answer(chain(TermKind::Default, 10_000)), Datum::from(0));
    assert_eq!(answer(chain(TermKind::And, 10_000)), Datum::from(1));
}

#[test]
fn a_thousand_inside_one_another_fit() {
    assert_eq!(answer(nest(TermKind::Add, 1_000)), Datum::from(1_000));
    assert_eq!(answer(nest(TermKind::And, 1_000)), Datum::from(0));
}

#[test]
fn functions_inside_functions_fit() {
    // x => (x => (... x)(x))(x)
    let variable = || Term::call(TermKind::Var, vec![number(1)], ID);
    let function = |body| {
        let parameters = Term::Datum(Datum::from(vec![Datum::from(1)]), ID);
        Term::call(TermKind::Func, vec![parameters, body], ID)
    };
    let mut body = variable();
    for _ in 0..400 {
        body = Term::call(TermKind::Funcall, vec![function(body), variable()], ID);
    }
    assert_eq!(answer(Term::call(TermKind::Funcall, vec![function(body), number(7)], ID)), Datum::from(7));
}

#[test]
fn sequences_inside_functions_fit() {
    // [0].map(x => [0].map(x => ...)(0))(0)
    let list = || Term::Datum(Datum::from(vec![Datum::from(0)]), ID);
    let function = |body| {
        let parameters = Term::Datum(Datum::from(vec![Datum::from(1)]), ID);
        Term::call(TermKind::Func, vec![parameters, body], ID)
    };
    let mut body = number(5);
    for _ in 0..200 {
        let mapped = Term::call(TermKind::Map, vec![list(), function(body)], ID);
        body = Term::call(TermKind::Nth, vec![mapped, number(0)], ID);
    }
    assert_eq!(answer(body), Datum::from(5));
}
