//! What a row costs in a filter, a map and a sum over 10,000 stored documents; and what a call by itself costs.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use photondb_reql::datum::{Array, Datum, Object};
use photondb_reql::eval::{self, Cx, Func, Scope};
use photondb_reql::term::{BacktraceId, Term, TermKind};

const ID: BacktraceId = BacktraceId::ROOT;
const ROWS: usize = 10_000;

fn call(kind: TermKind, args: Vec<Term>) -> Term {
    Term::call(kind, args, ID)
}

fn datum(datum: impl Into<Datum>) -> Term {
    Term::Datum(datum.into(), ID)
}

fn function(body: Term) -> Term {
    call(TermKind::Func, vec![datum(vec![Datum::from(1)]), body])
}

fn field(name: &str) -> Term {
    call(TermKind::Bracket, vec![call(TermKind::Var, vec![datum(1)]), datum(name)])
}

/// A document as it lies in a page: a view over its bytes.
fn stored(index: usize) -> Datum {
    let row = Object::from([("a", Datum::from(index)), ("b", Datum::from("text")), ("id", Datum::from(index))]);
    Datum::view(Bytes::from(Datum::from(row).to_encoded())).expect("the bytes were just written")
}

fn evaluation(criterion: &mut Criterion) {
    let cx = Cx::pure();
    let rows = datum(Datum::from((0..ROWS).map(stored).collect::<Array>()));
    let over = |kind, body| call(kind, vec![rows.clone(), function(body)]);
    let greater = || call(TermKind::Gt, vec![field("a"), datum(ROWS / 2)]);
    let mut group = criterion.benchmark_group("rows");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, term) in [
        ("filter", over(TermKind::Filter, greater())),
        ("map", over(TermKind::Map, call(TermKind::Add, vec![field("a"), datum(1)]))),
        ("sum", call(TermKind::Sum, vec![rows.clone(), datum("a")])),
    ] {
        let query = eval::compile(&term).expect("the query is sound");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let value = eval::eval(&query.root, &Scope::empty(), &cx).expect("every row has the field");
                value.into_datum(&cx).expect("the answer is an array or a number")
            });
        });
    }
    group.finish();

    let predicate: Func = eval::stored::compile_term(&function(greater())).expect("the function is sound");
    let row = stored(7);
    criterion.bench_function("predicate_of_one_row", |bencher| {
        bencher.iter(|| predicate.accepts(black_box(&row), &cx).expect("the row has the field"));
    });
}

criterion_group!(benches, evaluation);
criterion_main!(benches);
