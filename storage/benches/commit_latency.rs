//! What a durable append costs beside what the disk asks for it: one `fdatasync` into preallocated space.
//!
//! The directory is `PHOTONDB_BENCH_DIRECTORY`, or the system's temporary one (which may be memory: look before you
//! quote a number).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::wal::{Lsn, Record, StreamId, Wal, WalOptions};

const STREAMS: u64 = 8;
const PAYLOAD_BYTES: usize = 256;

fn directory() -> tempfile::TempDir {
    match std::env::var_os("PHOTONDB_BENCH_DIRECTORY") {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .expect("the directory is writable")
}

fn bare_sync(criterion: &mut Criterion) {
    let directory = directory();
    let disk = SystemDisk::open(directory.path()).expect("the directory is there");
    let file = disk.open("bare", OpenMode::CreateNew).expect("the name is free");
    let length = 16u64 << 20;
    file.allocate(length).expect("there is space");
    let mut offset = 0;
    criterion.bench_function("bare write and fdatasync of 4 KiB", |bencher| {
        bencher.iter(|| {
            file.write_all_at(&[7; 4096], offset).expect("the disk works");
            file.sync_data().expect("the disk works");
            offset = (offset + 4096) % length;
        });
    });
}

fn commit(criterion: &mut Criterion) {
    let directory = directory();
    let disk = Arc::new(SystemDisk::open(directory.path()).expect("the directory is there"));
    let (wal, _) = Wal::open(disk, WalOptions::default(), Lsn::ZERO, 0).expect("the log opens");
    let mut next = [0u64; STREAMS as usize];
    let done = Arc::new(AtomicU64::new(0));
    let mut group = criterion.benchmark_group("append and sync");
    for count in [1u64, 64] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} records"), |bencher| {
            bencher.iter(|| {
                for at in 0..count {
                    let stream = at % STREAMS;
                    let index = next[stream as usize];
                    next[stream as usize] += 1;
                    let payload = Bytes::from(vec![7; PAYLOAD_BYTES]);
                    let mut records = vec![Record::Entry { index, term: 1, payload }];
                    if index % 1024 == 1023 {
                        records.push(Record::Purge { upto: index - 512, payload: Bytes::new() });
                    }
                    let done = Arc::clone(&done);
                    let count_one = move |outcome: Result<(), _>| {
                        assert!(outcome.is_ok());
                        done.fetch_add(1, Ordering::Relaxed);
                    };
                    wal.submit(StreamId(stream), records, Some(Box::new(count_one)));
                }
                wal.step().expect("the disk works");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bare_sync, commit);
criterion_main!(benches);
