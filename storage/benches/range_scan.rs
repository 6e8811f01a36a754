//! Walking 100,000 entries of 200 bytes, and counting and finding by position in them.

use std::hint::black_box;
use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, Snapshot, TreeId, TreeSetId};

const TREE: TreeId = TreeId(0);
const ROWS: u64 = 100_000;

fn filled(engine: &Engine) -> Snapshot {
    let set = engine.create_tree_set(TreeSetId(1)).expect("a new engine has no sets");
    let mut transaction = set.begin();
    transaction.create_tree(TREE).expect("a new set has no trees");
    for number in 0..ROWS {
        transaction.put(TREE, &number.to_be_bytes(), &[7; 200]).expect("nothing is read from disk");
    }
    transaction.commit().expect("a commit is in memory");
    set.snapshot()
}

fn range_scan(criterion: &mut Criterion) {
    let engine = Engine::in_memory(EngineOptions::default());
    let snapshot = filled(&engine);
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(ROWS));
    for direction in [Direction::Forward, Direction::Backward] {
        group.bench_function(format!("visit/{direction:?}"), |bencher| {
            bencher.iter(|| {
                let mut bytes = 0;
                let mut cursor = snapshot.cursor(TREE, KeyRange::all(), direction).expect("the tree exists");
                let visit = |_: &[u8], value: &[u8]| {
                    bytes += value.len();
                    ControlFlow::<()>::Continue(())
                };
                cursor.for_each(visit).expect("everything is in memory");
                black_box(bytes)
            });
        });
    }
    group.bench_function("next", |bencher| {
        bencher.iter(|| {
            let mut cursor = snapshot.cursor(TREE, KeyRange::all(), Direction::Forward).expect("the tree exists");
            while let Some(entry) = cursor.next().expect("everything is in memory") {
                black_box(entry);
            }
        });
    });
    group.finish();
    let range = KeyRange::half_open(1_000u64.to_be_bytes().to_vec(), 90_000u64.to_be_bytes().to_vec());
    criterion.bench_function("count_of_range", |bencher| bencher.iter(|| snapshot.count(TREE, black_box(&range))));
    criterion.bench_function("nth", |bencher| bencher.iter(|| snapshot.nth(TREE, &range, black_box(44_000))));
}

criterion_group!(benches, range_scan);
criterion_main!(benches);
