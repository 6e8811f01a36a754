//! Reading one key of 100,000: from memory, and from pages in the cache; and putting one, committed by itself.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Engine, EngineOptions, TreeId, TreeSet, TreeSetId};

const TREE: TreeId = TreeId(0);
const ROWS: u64 = 100_000;

fn key(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mixed.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

fn filled(engine: &Engine) -> TreeSet {
    let set = engine.create_tree_set(TreeSetId(1)).expect("a new engine has no sets");
    let mut transaction = set.begin();
    transaction.create_tree(TREE).expect("a new set has no trees");
    for number in 0..ROWS {
        transaction.put(TREE, &key(number), &[7; 200]).expect("nothing is read from disk");
    }
    transaction.commit().expect("a commit is in memory");
    set
}

fn point_read(criterion: &mut Criterion) {
    let memory = Engine::in_memory(EngineOptions::default());
    let in_memory = filled(&memory);
    let disk = Engine::open(Arc::new(SimulatedDisk::new(1)), EngineOptions::default()).expect("the disk is empty");
    let on_disk = filled(&disk);
    disk.checkpoint().expect("the disk has room");
    let mut number = 0;
    let mut next = || {
        number = (number + 7_919) % ROWS;
        key(number)
    };
    criterion.bench_function("get/in_memory", |bencher| bencher.iter(|| black_box(in_memory.get(TREE, &next()))));
    criterion.bench_function("get/cached_page", |bencher| bencher.iter(|| black_box(on_disk.get(TREE, &next()))));
    criterion.bench_function("put/commit_each", |bencher| {
        bencher.iter(|| {
            let mut transaction = in_memory.begin();
            transaction.put(TREE, &next(), &[8; 200]).expect("nothing is read from disk");
            transaction.commit().expect("a commit is in memory");
        });
    });
    criterion.bench_function("put/commit_each_200", |bencher| {
        bencher.iter(|| {
            let mut transaction = in_memory.begin();
            for _ in 0..200 {
                transaction.put(TREE, &next(), &[8; 200]).expect("nothing is read from disk");
            }
            transaction.commit().expect("a commit is in memory");
        });
    });
    criterion.bench_function("snapshot", |bencher| bencher.iter(|| black_box(in_memory.snapshot())));
}

criterion_group!(benches, point_read);
criterion_main!(benches);
