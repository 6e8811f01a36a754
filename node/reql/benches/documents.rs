//! What it costs to store a document of about 200 bytes, to look at it, and to send it as JSON.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use photondb_reql::datum::{Datum, Object};

fn document() -> Datum {
    let address = Object::from([
        ("street", Datum::from("St James's Square")),
        ("city", Datum::from("London")),
        ("number", Datum::from(12)),
    ]);
    let tags = vec![Datum::from("mathematics"), Datum::from("engines"), Datum::from("notes")];
    Datum::from(Object::from([
        ("id", Datum::from("5f0c9a1e-7d4c-4d0e-9f5a-0c5b6a7d8e9f")),
        ("name", Datum::from("Ada Lovelace")),
        ("born", Datum::from(1815)),
        ("tags", Datum::from(tags)),
        ("address", Datum::from(address)),
        ("active", Datum::from(true)),
        ("score", Datum::Number(99.5)),
    ]))
}

fn documents(criterion: &mut Criterion) {
    let document = document();
    let stored = Bytes::from(document.to_encoded());
    let viewed = Datum::view(stored.clone()).expect("the bytes were just written");
    let mut group = criterion.benchmark_group("document");
    group.throughput(Throughput::Bytes(stored.len() as u64));
    let mut buffer = Vec::with_capacity(1024);
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            black_box(&document).encode(&mut buffer);
            buffer.len()
        });
    });
    group.bench_function("encode_again", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            black_box(&viewed).encode(&mut buffer);
            buffer.len()
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter_batched(|| stored.clone(), Datum::decode, BatchSize::SmallInput);
    });
    group.bench_function("view", |bencher| {
        bencher.iter_batched(|| stored.clone(), Datum::view, BatchSize::SmallInput);
    });
    group.bench_function("field", |bencher| {
        bencher.iter(|| black_box(&viewed).field("name").expect("the field is there"));
    });
    for (name, datum) in [("json_of_stored", &viewed), ("json_of_built", &document)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                buffer.clear();
                black_box(datum).write_json(&mut buffer).expect("a document has JSON");
                buffer.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, documents);
criterion_main!(benches);
