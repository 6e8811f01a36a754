//! A checkpoint after 1,000 scattered writes in 100,000 entries, and one after writing them all; on the real disk.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::{Engine, EngineOptions, TreeId, TreeSet, TreeSetId};

const TREE: TreeId = TreeId(0);
const ROWS: u64 = 100_000;

fn write(set: &TreeSet, rows: impl Iterator<Item = u64>, byte: u8) {
    let mut transaction = set.begin();
    if !transaction.has_tree(TREE) {
        transaction.create_tree(TREE).expect("the tree is new");
    }
    for number in rows {
        transaction.put(TREE, &number.to_be_bytes(), &[byte; 200]).expect("the pages are sound");
    }
    transaction.commit().expect("a commit is in memory");
}

fn checkpoint(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is a temporary directory");
    let disk = SystemDisk::open(folder.path()).expect("the folder is ours");
    let engine = Engine::open(Arc::new(disk), EngineOptions::default()).expect("the folder is empty");
    let set = engine.create_tree_set(TreeSetId(1)).expect("a new engine has no sets");
    let mut byte = 0;
    let mut group = criterion.benchmark_group("checkpoint");
    group.sample_size(20);
    for (name, stride) in [("all", 1), ("scattered", 100)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    byte += 1;
                    write(&set, (0..ROWS).step_by(stride), byte);
                },
                |()| engine.checkpoint().expect("the disk has room"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, checkpoint);
criterion_main!(benches);
