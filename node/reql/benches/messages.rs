//! What it costs to turn the bytes of a message into terms, and terms into something that can be evaluated.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use photondb_reql::eval::compile;
use photondb_reql::term::{Message, parse};

/// `r.table('t').get(123)`, as a driver sends it.
const GET: &str = r#"[1,[16,[[15,["t"]],123]],{"db":[14,["test"]]}]"#;

/// `r.table('t').insert(document)` of about 200 bytes.
const INSERT: &str = concat!(
    r#"[1,[56,[[15,["t"]],{"id":"5f0c9a1e-7d4c-4d0e-9f5a-0c5b6a7d8e9f","name":"Ada Lovelace","#,
    r#""born":1815,"tags":[2,["mathematics","engines","notes"]],"address":{"street":"St James's Square","#,
    r#""city":"London","number":12},"active":true,"score":99.5}]],{"db":[14,["test"]]}]"#
);

/// `r.table('t').filter(row => row('a') > 50000).pluck('id', 'a').limit(10)`.
const FILTER: &str = concat!(
    r#"[1,[71,[[33,[[39,[[15,["t"]],[69,[[2,[1]],[21,[[170,[[10,[1]],"a"]],50000]]]]]],"id","a"]],10]],"#,
    r#"{"db":[14,["test"]]}]"#
);

const MESSAGES: [(&str, &str); 3] = [("get", GET), ("insert_200_bytes", INSERT), ("filter", FILTER)];

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, message) in MESSAGES {
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert!(parse(black_box(message.as_bytes())).is_ok()));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("compile");
    for (name, message) in MESSAGES {
        let Ok(Message::Start(start)) = parse(message.as_bytes()) else { panic!("{name} starts a query") };
        group.bench_function(name, |bencher| {
            bencher.iter(|| compile(black_box(&start.term)).expect("the query is sound"));
        });
    }
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
