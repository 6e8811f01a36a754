//! The figures an operator sees: latency of syncs, size of groups, live bytes of each stream, what is cached and what waits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::{History, full, open, options, seed};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, Record, StreamId, StreamMetrics, survey};

fn entry(index: u64, bytes: usize) -> Record {
    Record::Entry { index, term: 1, payload: Bytes::from(vec![index as u8; bytes]) }
}

#[test]
fn syncs_are_measured_with_the_time_that_is_given_and_not_at_all_without() {
    let wal = open(&SimulatedDisk::new(1)).unwrap();
    wal.submit(StreamId(1), vec![entry(0, 10)], None);
    wal.step().unwrap();
    assert_eq!(wal.measurements().sync_time.count(), 0);
    // Each look at it finds it 3 ms later.
    let now = AtomicU64::new(0);
    wal.set_stopwatch(Box::new(move || Duration::from_millis(now.fetch_add(3, Ordering::Relaxed))));
    for index in 1..11 {
        wal.submit(StreamId(1), vec![entry(index, 10)], None);
        wal.step().unwrap();
    }
    let measured = wal.measurements();
    let sync = measured.sync_time;
    assert_eq!((sync.count(), sync.sum(), sync.max()), (10, 30_000_000, 3_000_000));
    assert_eq!(sync.quantile(0.5), 3_000_000, "never above the maximum");
    assert_eq!(measured.group_size.count(), 11);
}

#[test]
fn live_bytes_of_streams_are_what_an_offline_look_finds() {
    // Counted with each record here, from nothing there.
    let first = seed(11);
    for run in first..first + if full() { 200 } else { 10 } {
        let disk = SimulatedDisk::new(run);
        let mut history = History::new(run);
        for _ in 0..3 {
            let wal = open(&disk).unwrap();
            for round in 0..12 {
                for _ in 0..20 {
                    history.act(&wal).unwrap();
                }
                while wal.step().unwrap() {}
                history.acknowledge();
                let mut counted = wal.stream_metrics();
                counted.sort_by_key(|(id, _)| *id);
                let found = survey(&disk, Lsn::ZERO, &mut |_, _| {}).unwrap();
                let live = |records, bytes| StreamMetrics { live_records: records, live_bytes: bytes };
                let looked: Vec<_> = found
                    .streams
                    .iter()
                    .filter(|(_, stream)| stream.live_records > 0)
                    .map(|(id, stream)| (*id, live(stream.live_records, stream.live_bytes)))
                    .collect();
                assert_eq!(counted, looked, "seed {run}, round {round}");
                let all: u64 = counted.iter().map(|(_, stream)| stream.live_bytes).sum();
                let total = wal.metrics().live_bytes;
                assert!(all <= total && total - all < 100, "besides there is the newest checkpoint's record");
            }
            drop(wal);
            disk.crash();
        }
    }
}

#[test]
fn cached_payloads_stay_within_the_budget_of_all_streams_together() {
    let budget = options().cache_bytes as u64;
    let wal = open(&SimulatedDisk::new(3)).unwrap();
    let mut largest = 0;
    for index in 0..400u64 {
        // Larger than the budget now and then, and often empty.
        let bytes = if index % 37 == 0 { 20_000 } else { [0, 100, 3000, 0, 900, 50][index as usize % 6] };
        wal.submit(StreamId(1 + index % 23), vec![entry(index / 23, bytes)], None);
        if index % 3 == 0 {
            wal.step().unwrap();
            let cached = wal.metrics().cached_bytes;
            assert!(cached <= budget, "{cached} bytes are cached");
            largest = largest.max(cached);
        }
    }
    assert!(largest > budget / 2, "{largest}");
    while wal.step().unwrap() {}
    // What is not in memory any more is read from the log.
    for stream in 1..=23 {
        let entries = wal.read(StreamId(stream), 0, u64::MAX, usize::MAX).unwrap();
        assert!(
            entries.len() >= 17
                && entries.iter().all(|entry| entry.payload.iter().all(|byte| *byte == entry.index as u8))
        );
    }
    let wal = Arc::into_inner(wal).map(|wal| wal.metrics().queued_bytes);
    assert_eq!(wal, Some(0));
}

#[test]
fn what_waits_is_counted_and_only_who_submits_bounds_it() {
    // The log takes what it is given: a queue that refuses would have to tell Raft to take back an entry. Who proposes asks
    // for admission first, and consensus bounds what a group may have waiting.
    let wal = open(&SimulatedDisk::new(4)).unwrap();
    for index in 0..100 {
        wal.submit(StreamId(1), vec![entry(index, 1000)], None);
    }
    let queued = wal.metrics().queued_bytes;
    assert!((100_000..120_000).contains(&queued), "{queued}");
    while wal.step().unwrap() {}
    assert_eq!(wal.metrics().queued_bytes, 0);
}
