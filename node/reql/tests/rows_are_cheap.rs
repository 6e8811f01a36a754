//! What a simple predicate costs for each row. Printed always; asserted only in the full run, where nothing else disturbs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use bytes::Bytes;
use photondb_reql::datum::{Array, Datum, Object};
use photondb_reql::eval::{self, Cx, Scope};
use photondb_reql::term::{BacktraceId, Term, TermKind};

const ID: BacktraceId = BacktraceId::ROOT;
const ROWS: usize = 100_000;

fn call(kind: TermKind, args: Vec<Term>) -> Term {
    Term::call(kind, args, ID)
}

fn datum(datum: impl Into<Datum>) -> Term {
    Term::Datum(datum.into(), ID)
}

/// `rows.filter(row => row['a'] > 50000 )` and the like, for each row in nanoseconds.
fn nanoseconds(name: &str, term: &Term) -> u128 {
    let query = eval::compile(term).unwrap();
    let cx = Cx::pure();
    let mut best = u128::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let value = eval::eval(&query.root, &Scope::empty(), &cx).unwrap();
        best = best.min(start.elapsed().as_nanos() / ROWS as u128);
        drop(value);
    }
    println!("{name}: {best} ns a row");
    best
}

#[test]
fn a_simple_predicate_costs_well_under_a_microsecond() {
    let row = |index: usize| {
        let row = Object::from([("a", Datum::from(index)), ("b", Datum::from("text")), ("id", Datum::from(index))]);
        Datum::view(Bytes::from(Datum::from(row).to_encoded())).unwrap()
    };
    let rows = datum(Datum::from((0..ROWS).map(row).collect::<Array>()));
    let variable = || call(TermKind::Var, vec![datum(1)]);
    let field = |name: &str| call(TermKind::Bracket, vec![variable(), datum(name)]);
    let function = |body| call(TermKind::Func, vec![datum(vec![Datum::from(1)]), body]);
    let over = |kind, body| call(kind, vec![rows.clone(), function(body)]);

    let filter = nanoseconds("filter", &over(TermKind::Filter, call(TermKind::Gt, vec![field("a"), datum(50_000)])));
    nanoseconds("filter true", &over(TermKind::Filter, datum(true)));
    nanoseconds("filter by field", &over(TermKind::Filter, field("a")));
    nanoseconds("filter by variable", &over(TermKind::Filter, variable()));
    nanoseconds("filter by object", &call(TermKind::Filter, vec![rows.clone(), datum(Object::from([("b", "text")]))]));
    nanoseconds("map", &over(TermKind::Map, call(TermKind::Add, vec![field("a"), datum(1)])));
    nanoseconds("sum", &call(TermKind::Sum, vec![rows.clone(), datum("a")]));
    nanoseconds("pluck", &call(TermKind::Pluck, vec![rows.clone(), datum("a")]));
    nanoseconds("order_by", &call(TermKind::OrderBy, vec![rows.clone(), datum("a")]));
    let groups = over(TermKind::Group, call(TermKind::Mod, vec![field("a"), datum(10)]));
    nanoseconds("group, count", &call(TermKind::Count, vec![groups]));
    if std::env::var("PHOTONDB_TESTS").is_ok_and(|tests| tests == "full") {
        assert!(filter < 1_000, "{filter} ns");
    }
}
