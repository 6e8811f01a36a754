//! A full disk refuses entries with a typed error, leaves nothing of them, still takes votes and purges, and works again
//! when space is back. A broken disk stops the log for good.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use model::{Model, Random, full, open, seed};
use photondb_storage::StorageError;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, Purpose, Record, StreamId, Wal, WalOptions};

const STREAM: StreamId = StreamId(1);
/// As `open` makes them.
const SEGMENT_BYTES: usize = 64 << 10;

fn entry(index: u64, bytes: usize) -> Record {
    Record::Entry { index, term: 1, payload: Bytes::from(vec![index as u8; bytes]) }
}

fn submit(wal: &Wal, stream: StreamId, records: Vec<Record>) -> Receiver<Result<(), StorageError>> {
    let (sender, receiver) = channel();
    wal.submit(stream, records, Some(Box::new(move |outcome| sender.send(outcome).unwrap())));
    receiver
}

fn store(wal: &Wal, stream: StreamId, records: Vec<Record>) -> Result<(), StorageError> {
    let outcome = submit(wal, stream, records);
    while wal.step()? {}
    outcome.try_recv().expect("every waiter is completed")
}

#[test]
fn entries_are_refused_votes_and_purges_are_not_and_a_purge_helps() {
    let disk = SimulatedDisk::new(1);
    disk.set_capacity(200 << 10);
    let wal = open(&disk).unwrap();
    let mut last = 0;
    let error = loop {
        match store(&wal, STREAM, vec![entry(last, 3000)]) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StorageError::Full { needed_bytes: 65536 }), "{error}");
    assert!(last > 50, "three segments hold more than {last}");
    let state = wal.state(STREAM).unwrap();
    assert_eq!(state.last_index, Some(last - 1), "nothing of it remains");
    store(&wal, STREAM, vec![Record::Vote(Bytes::from_static(b"vote"))]).unwrap();
    assert!(store(&wal, STREAM, vec![entry(last, 3000)]).is_err(), "still full");
    store(&wal, STREAM, vec![Record::Purge { upto: last - 5, payload: Bytes::from_static(b"p") }]).unwrap();
    for index in last..last + 100 {
        store(&wal, STREAM, vec![Record::Purge { upto: index - 5, payload: Bytes::new() }]).unwrap();
        store(&wal, STREAM, vec![entry(index, 3000)]).unwrap();
    }
    drop(wal);
    disk.crash();
    let wal = open(&disk).unwrap();
    let state = wal.state(STREAM).unwrap();
    assert_eq!((state.last_index, state.vote), (Some(last + 99), Some(Bytes::from_static(b"vote"))));
}

#[test]
fn space_that_comes_back_is_used_without_reopening() {
    let disk = SimulatedDisk::new(2);
    disk.set_capacity(70 << 10);
    let wal = open(&disk).unwrap();
    let mut last = 0;
    while store(&wal, STREAM, vec![entry(last, 3000)]).is_ok() {
        last += 1;
    }
    disk.set_capacity(u64::MAX);
    store(&wal, STREAM, vec![entry(last, 3000)]).unwrap();
}

#[test]
fn random_work_on_a_disk_that_fills_up_again_and_again() {
    let first = seed(50);
    let (mut refused, mut accepted) = (0, 0);
    for run in first..first + if full() { 400 } else { 20 } {
        let disk = SimulatedDisk::new(run);
        let mut random = Random::new(run);
        disk.set_capacity(200 << 10);
        let mut wal = open(&disk).unwrap();
        let mut durable = Model::default();
        for round in 0..150 {
            disk.set_capacity((150 + random.below(3) * 30) << 10);
            let mut now = durable.clone();
            let mut waiting = Vec::new();
            for _ in 0..1 + random.below(5) {
                let stream = StreamId(1 + random.below(3));
                let state = now.streams.get(&stream).map(|stream| stream.state.clone()).unwrap_or_default();
                let (first, last) = (state.first_index.unwrap_or(0), state.last_index.unwrap_or(0));
                let next = state.last_index.or(state.purged.map(|(upto, _)| upto)).map_or(0, |last| last + 1);
                let records = match random.below(10) {
                    0..5 => (0..1 + random.below(3)).map(|at| entry(next + at, random.below(6000) as usize)).collect(),
                    5 => vec![Record::Vote(Bytes::from(vec![round as u8; 20]))],
                    6 if state.last_index > Some(first) => {
                        let from = first + 1 + random.below(last - first);
                        vec![Record::Truncate { from }, entry(from, 100)]
                    }
                    _ if state.last_index.is_some() => {
                        let upto = first + random.below(last - first + 1);
                        vec![Record::Purge { upto, payload: Bytes::from(vec![1; 9]) }]
                    }
                    _ => vec![Record::Committed(Bytes::from(vec![round as u8; 5]))],
                };
                for record in &records {
                    now.apply(stream, record);
                }
                waiting.push((stream, records.clone(), submit(&wal, stream, records)));
            }
            assert_eq!(Model::of(&wal).known(), now.known(), "seed {run}, round {round}: seen at once");
            while wal.step().unwrap() {}
            for (stream, records, outcome) in waiting {
                match outcome.try_recv().expect("every waiter is completed") {
                    Ok(()) => {
                        accepted += 1;
                        records.iter().for_each(|record| durable.apply(stream, record));
                    }
                    Err(error) => {
                        refused += 1;
                        assert!(error.is_full(), "{error}");
                    }
                }
            }
            assert_eq!(Model::of(&wal).known(), durable.clone().known(), "seed {run}, round {round}: after the step");
            if random.below(20) == 0 {
                drop(wal);
                disk.crash();
                wal = open(&disk).unwrap();
                assert_eq!(Model::of(&wal).known(), durable.clone().known(), "seed {run}, round {round}: reopened");
            }
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(refused > 50 && accepted > 1000, "{accepted} {refused}");
}

#[test]
fn a_failed_sync_or_write_stops_the_log_for_good() {
    for fail_sync in [true, false] {
        let disk = SimulatedDisk::new(3);
        let wal = open(&disk).unwrap();
        store(&wal, STREAM, vec![entry(0, 10)]).unwrap();
        if fail_sync {
            disk.fail_sync_after(0)
        } else {
            disk.fail_write_after(0)
        }
        let first = submit(&wal, STREAM, vec![entry(1, 10)]);
        let second = submit(&wal, StreamId(2), vec![Record::Vote(Bytes::new())]);
        assert!(matches!(wal.step(), Err(StorageError::Io { .. })));
        assert!(first.try_recv().unwrap().is_err() && second.try_recv().unwrap().is_err());
        let later = submit(&wal, STREAM, vec![entry(2, 10)]);
        assert!(matches!(later.try_recv().unwrap(), Err(StorageError::Poisoned(_))));
        let (sender, receiver) = channel();
        wal.barrier(Box::new(move |outcome| sender.send(outcome).unwrap()));
        assert!(matches!(receiver.try_recv().unwrap(), Err(StorageError::Poisoned(_))));
        assert!(matches!(wal.step(), Err(StorageError::Poisoned(_))));
        assert!(matches!(wal.idle_mark(), Err(StorageError::Poisoned(_))));
        assert!(matches!(wal.close(), Err(StorageError::Poisoned(_))));
    }
}

#[test]
fn requests_that_break_the_rules_change_nothing() {
    let wal = open(&SimulatedDisk::new(4)).unwrap();
    store(&wal, STREAM, vec![entry(5, 10), entry(6, 10)]).unwrap();
    let order = store(&wal, STREAM, vec![entry(7, 10), entry(9, 10)]).unwrap_err();
    assert!(matches!(order, StorageError::LogOrder { stream: 1, expected: 8, found: 9 }));
    let large = store(&wal, STREAM, vec![entry(7, 70_000)]).unwrap_err();
    assert!(matches!(large, StorageError::TooLarge { .. }));
    let reserved = store(&wal, StreamId::LOG, vec![Record::Erased]).unwrap_err();
    assert!(matches!(reserved, StorageError::StreamReserved { .. }));
    assert_eq!(wal.state(STREAM).unwrap().last_index, Some(6));
    store(&wal, STREAM, vec![Record::Purge { upto: 6, payload: Bytes::new() }]).unwrap();
    let gap = store(&wal, STREAM, vec![entry(9, 10)]).unwrap_err();
    assert!(matches!(gap, StorageError::LogOrder { expected: 7, .. }));
    store(&wal, STREAM, vec![Record::Erased]).unwrap();
    let erased = store(&wal, STREAM, vec![entry(7, 10)]).unwrap_err();
    assert!(matches!(erased, StorageError::StreamErased { stream: 1 }));
    let odd = photondb_storage::wal::WalOptions { segment_bytes: (64 << 10) + 1, ..model::options() };
    let opened = Wal::open(Arc::new(SimulatedDisk::new(1)), odd, photondb_storage::wal::Lsn::ZERO, 0);
    assert!(matches!(opened, Err(StorageError::Option { option: "segment_bytes", .. })));
}

#[test]
fn what_a_new_process_reads_after_a_failed_sync_is_durable_before_it_is_shown() {
    for seed in 0..20 {
        let disk = SimulatedDisk::new(seed);
        let wal = open(&disk).unwrap();
        store(&wal, STREAM, vec![entry(0, 10)]).unwrap();
        disk.fail_sync_after(0);
        let outcome = submit(&wal, STREAM, vec![entry(1, 5000), entry(2, 10)]);
        assert!(wal.step().is_err() && outcome.try_recv().unwrap().is_err());
        drop(wal);
        // The process ends, the machine does not; the drive may or may not hold what the system shows.
        let wal = open(&disk).unwrap();
        let shown = Model::of(&wal);
        assert_eq!(wal.state(STREAM).unwrap().last_index, Some(2));
        drop(wal);
        disk.crash();
        assert_eq!(Model::of(&open(&disk).unwrap()), shown, "seed {seed}");
    }
}

#[test]
fn what_a_refused_truncation_gave_back_is_moved_and_freed_like_the_rest() {
    // The truncation waits while the entry it removes is written, because both do not fit in one step; then it is
    // refused, and the entry is there again.
    let disk = SimulatedDisk::new(9);
    let wal = open(&disk).unwrap();
    store(&wal, STREAM, vec![entry(0, 10)]).unwrap();
    disk.set_capacity(64 << 10);
    let written = submit(&wal, STREAM, vec![entry(1, 30_000)]);
    let refused = submit(&wal, STREAM, vec![Record::Truncate { from: 1 }, entry(1, 40_000)]);
    while wal.step().unwrap() {}
    assert!(written.try_recv().unwrap().is_ok() && refused.try_recv().unwrap().is_err());
    assert_eq!(wal.read(STREAM, 1, 2, usize::MAX).unwrap()[0].payload.len(), 30_000);
    disk.set_capacity(u64::MAX);
    for index in 0..200 {
        let purge = Record::Purge { upto: index, payload: Bytes::new() };
        store(&wal, StreamId(2), vec![entry(index, 3000), purge]).unwrap();
    }
    let metrics = wal.metrics();
    assert!(metrics.segments <= 4 && metrics.records_moved >= 2, "{metrics:?}");
    drop(wal);
    disk.crash();
    assert_eq!(open(&disk).unwrap().read(STREAM, 1, 2, usize::MAX).unwrap()[0].payload.len(), 30_000);
}

/// More than the next segment takes, and the disk fills up before any of it is submitted.
#[test]
fn more_than_a_segment_may_be_admitted_at_once() {
    let first = seed(71);
    let (mut large, mut refused) = (0, 0);
    for run in first..first + if full() { 4_000 } else { 200 } {
        let disk = SimulatedDisk::new(run);
        let mut random = Random::new(run);
        let wal = open(&disk).unwrap();
        let mut next = 0;
        for round in 0..20 {
            disk.set_capacity(disk.used_bytes() + ((random.below(10) * 65) << 10));
            let mut admitted = Vec::new();
            for _ in 0..1 + random.below(12) {
                let bytes = random.below(30_000) as usize;
                match wal.admit(bytes, Purpose::Write) {
                    Ok(admission) => admitted.push((bytes, admission)),
                    Err(error) => {
                        refused += 1;
                        assert!(error.is_full(), "{error}");
                    }
                }
            }
            disk.set_capacity(0);
            large += usize::from(admitted.iter().map(|(bytes, _)| bytes).sum::<usize>() > SEGMENT_BYTES);
            if random.below(8) == 0 {
                // At leisure in between: files that promises count on stay.
                wal.shrink().unwrap();
            }
            let waiting: Vec<_> = admitted
                .iter()
                .map(|(bytes, _)| {
                    next += 1;
                    submit(&wal, STREAM, vec![entry(next - 1, *bytes)])
                })
                .collect();
            while wal.step().unwrap() {}
            for outcome in waiting {
                let outcome = outcome.try_recv().expect("every waiter is completed");
                assert_eq!(outcome.map_err(|error| error.to_string()), Ok(()), "seed {run}, round {round}");
            }
            drop(admitted);
            if next > 0 && random.below(3) == 0 {
                store(&wal, STREAM, vec![Record::Purge { upto: next - 1, payload: Bytes::new() }]).unwrap();
            }
        }
        drop(wal);
        disk.set_capacity(u64::MAX);
        open(&disk).unwrap();
    }
    println!("{large} times more than a segment, {refused} refused");
    assert!(large > 200 && refused > 200, "{large} {refused}");
}

#[test]
fn what_was_admitted_is_never_refused() {
    let first = seed(70);
    let (mut refused, mut accepted) = (0, 0);
    for run in first..first + if full() { 400 } else { 20 } {
        let disk = SimulatedDisk::new(run);
        let mut random = Random::new(run);
        let wal = open(&disk).unwrap();
        let mut next = 0;
        for round in 0..300 {
            disk.set_capacity((70 + random.below(4) * 65) << 10);
            let mut waiting = Vec::new();
            let mut admissions = Vec::new();
            for _ in 0..1 + random.below(6) {
                let bytes = random.below(6000) as usize;
                match wal.admit(bytes, Purpose::Write) {
                    Ok(admission) => {
                        admissions.push(admission);
                        // What is on its way when the disk fills up.
                        disk.set_capacity(0);
                        waiting.push(submit(&wal, STREAM, vec![entry(next, bytes)]));
                        next += 1;
                    }
                    Err(error) => {
                        refused += 1;
                        assert!(error.is_full(), "{error}");
                    }
                }
            }
            while wal.step().unwrap() {}
            for outcome in waiting {
                let outcome = outcome.try_recv().expect("every waiter is completed");
                assert_eq!(outcome.map_err(|error| error.to_string()), Ok(()), "seed {run}, round {round}");
                accepted += 1;
            }
            drop(admissions);
            if next > 0 && random.below(4) == 0 {
                store(&wal, STREAM, vec![Record::Purge { upto: next - 1, payload: Bytes::new() }]).unwrap();
            }
        }
        disk.set_capacity(u64::MAX);
        wal.prepare().unwrap();
        wal.step().unwrap();
        assert!(wal.admit(3000, Purpose::Upkeep).is_ok(), "space is back");
        assert!(!wal.is_short() && wal.admit(3000, Purpose::Write).is_ok(), "seed {run}: space is back");
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(refused > 100 && accepted > 1000, "{accepted} {refused}");
}

#[test]
fn a_log_at_rest_that_refuses_writes_notices_that_there_is_space() {
    let disk = SimulatedDisk::new(9);
    let options = WalOptions { segment_bytes: 256 << 10, first_segment_bytes: 256 << 10, ..WalOptions::default() };
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options, Lsn::ZERO, 0).unwrap();
    let woken = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = woken.clone();
    wal.set_waker(Box::new(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }));
    disk.set_capacity(disk.used_bytes());
    // More than the active segment has room for, though little of it is used.
    let held: Vec<_> = std::iter::from_fn(|| wal.admit(30_000, Purpose::Write).ok()).collect();
    assert!(held.len() > 2 && wal.is_short());
    assert_eq!(woken.load(std::sync::atomic::Ordering::SeqCst), 1, "somebody has to look again");
    drop(held);
    assert!(wal.admit(100, Purpose::Write).unwrap_err().is_full());
    assert!(wal.prepare().unwrap_err().is_full() && wal.is_short());
    disk.set_capacity(u64::MAX);
    wal.prepare().unwrap();
    assert!(!wal.is_short() && wal.admit(100, Purpose::Write).is_ok());
}
