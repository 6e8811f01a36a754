//! What it costs to encode a primary key and an index key, and to read one back.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use photondb_reql::datum::Datum;
use photondb_reql::key::{PrimaryKey, index_key};

fn keys(criterion: &mut Criterion) {
    let uuid = Datum::from("5f0c9a1e-7d4c-4d0e-9f5a-0c5b6a7d8e9f");
    let number = Datum::from(123_456);
    let compound = Datum::from(vec![Datum::from("London"), Datum::from(1815)]);
    let mut group = criterion.benchmark_group("key");
    for (name, datum) in [("uuid", &uuid), ("number", &number), ("compound", &compound)] {
        group.bench_function(format!("primary_{name}"), |bencher| {
            bencher.iter(|| PrimaryKey::new(black_box(datum)).expect("it is a key"));
        });
    }
    let primary = PrimaryKey::new(&uuid).expect("it is a key");
    group.bench_function("index_compound", |bencher| {
        bencher.iter(|| index_key(black_box(&compound), primary.as_bytes(), None).expect("it is an index key"));
    });
    group.bench_function("primary_back_to_datum", |bencher| {
        bencher.iter(|| black_box(&primary).to_datum().expect("it was just written"));
    });
    group.finish();
}

criterion_group!(benches, keys);
criterion_main!(benches);
