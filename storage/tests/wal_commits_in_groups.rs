//! Group commit: what waits is written at once and synced once; a lone writer waits for nobody; answers come in the order of
//! submission, whatever the streams.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "model/log.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod log;
#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use log::{BATCH, records};
use model::{Model, Random, full, open, seed};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, Record, StreamId, Wal, WalOptions};

fn entry(index: u64, bytes: usize) -> Record {
    Record::Entry { index, term: 1, payload: Bytes::from(vec![index as u8; bytes]) }
}

/// Calls to the disk since the last look, by their first word.
fn calls(disk: &SimulatedDisk, seen: &mut usize) -> Vec<String> {
    let lines = disk.trace();
    let new = lines[*seen..].iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    *seen = lines.len();
    new
}

#[test]
fn a_lone_writer_pays_one_write_and_one_sync_and_waits_for_nobody() {
    let disk = SimulatedDisk::new(1);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), WalOptions::default(), Lsn::ZERO, 0).unwrap();
    disk.trace_calls();
    let mut seen = disk.trace().len();
    for index in 0..50 {
        let answered = Arc::new(Mutex::new(false));
        let told = Arc::clone(&answered);
        wal.submit(
            StreamId(1),
            vec![entry(index, 200)],
            Some(Box::new(move |outcome| *told.lock().unwrap() = outcome.is_ok())),
        );
        assert!(wal.step().unwrap());
        assert!(*answered.lock().unwrap(), "the step that wrote it answers it");
        assert_eq!(calls(&disk, &mut seen), ["write", "sync"]);
        assert!(!wal.step().unwrap(), "and nothing is left to do");
        assert_eq!(calls(&disk, &mut seen), [""; 0]);
    }
    let metrics = wal.metrics();
    assert_eq!((metrics.submissions, metrics.syncs, metrics.group_max), (50, 50, 1));
}

#[test]
fn what_waits_is_written_at_once_synced_once_and_answered_in_order() {
    let disk = SimulatedDisk::new(2);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), WalOptions::default(), Lsn::ZERO, 0).unwrap();
    disk.trace_calls();
    let mut seen = disk.trace().len();
    for round in 0..10u64 {
        let answers = Arc::new(Mutex::new(Vec::new()));
        for number in 0..200u64 {
            let told = Arc::clone(&answers);
            let completion = Box::new(move |outcome: Result<(), _>| {
                assert!(outcome.is_ok());
                told.lock().unwrap().push(number);
            });
            wal.submit(StreamId(1 + number * 7 % 40), vec![entry(round * 5 + number / 40, 100)], Some(completion));
        }
        assert!(wal.step().unwrap());
        assert_eq!(calls(&disk, &mut seen), ["write", "sync"]);
        assert_eq!(*answers.lock().unwrap(), (0..200).collect::<Vec<_>>());
    }
    let group = wal.measurements().group_size;
    assert_eq!((group.count(), group.sum(), group.max()), (10, 2000, 200));
}

#[test]
fn the_answer_to_a_vote_covers_every_append_before_it() {
    // Whatever else is submitted around it, and wherever power is lost: a vote that is answered has its log with it.
    let first = seed(3);
    for run in first..first + if full() { 2000 } else { 150 } {
        let mut random = Random::new(run);
        let disk = SimulatedDisk::new(run);
        let wal = open(&disk).unwrap();
        disk.crash_at(random.below(30));
        let answered = Arc::new(Mutex::new(None));
        let (mut now, mut next) = (Model::default(), 0);
        let mut voted = Vec::new();
        'work: for number in 0..20u64 {
            for _ in 0..random.below(4) {
                let record = entry(next, random.below(4000) as usize);
                now.apply(StreamId(1), &record);
                wal.submit(StreamId(1), vec![record], None);
                next += 1;
            }
            let told = Arc::clone(&answered);
            let vote = Record::Vote(Bytes::from(vec![number as u8]));
            now.apply(StreamId(1), &vote);
            voted.push(now.clone());
            let completion = move |outcome: Result<(), _>| {
                if outcome.is_ok() {
                    *told.lock().unwrap() = Some(number);
                }
            };
            wal.submit(StreamId(1), vec![vote], Some(Box::new(completion)));
            for _ in 0..random.below(3) {
                if wal.step().is_err() {
                    break 'work;
                }
            }
        }
        drop(wal);
        disk.restart();
        let Some(number) = *answered.lock().unwrap() else { continue };
        let found = Model::of(&open(&disk).unwrap());
        let promised = &voted[number as usize].streams[&StreamId(1)];
        let entries = &found.streams[&StreamId(1)].entries;
        for (index, entry) in &promised.entries {
            assert_eq!(entries.get(index), Some(entry), "seed {run}: vote {number} was answered");
        }
    }
}

#[test]
fn each_write_names_what_was_durable_before_it_and_an_idle_writer_says_so_once_more_unsynced() {
    let disk = SimulatedDisk::new(4);
    let wal = open(&disk).unwrap();
    let mut ends = vec![4096];
    for index in 0..5 {
        wal.submit(StreamId(1), vec![entry(index, 100)], None);
        wal.step().unwrap();
        let last = records(&disk).last().unwrap().at;
        // Behind the entry: its header, stream, link, index, term, payload.
        ends.push((last + 8 + 32 + 100).next_multiple_of(8));
    }
    let batches = |disk: &SimulatedDisk| -> Vec<u64> {
        records(disk).iter().filter(|record| record.kind == BATCH).map(|record| record.number(0)).collect()
    };
    assert_eq!(batches(&disk), ends[..5], "each names the end of the one before");
    disk.trace_calls();
    let mut seen = disk.trace().len();
    wal.idle_mark().unwrap();
    assert_eq!(calls(&disk, &mut seen), ["write"], "and nothing is synced for it");
    assert_eq!(batches(&disk), ends);
    wal.idle_mark().unwrap();
    assert_eq!(calls(&disk, &mut seen), [""; 0], "once is enough");
}

#[test]
fn a_write_changes_no_metadata() {
    // W2: no length, no name, no directory, until the segment is full.
    let disk = SimulatedDisk::new(5);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), WalOptions::default(), Lsn::ZERO, 0).unwrap();
    let length = disk.bytes_of("wal-0000000000000001").unwrap().len();
    disk.trace_calls();
    for index in 0..100 {
        wal.submit(StreamId(1), vec![entry(index, 1000)], None);
        wal.step().unwrap();
        wal.idle_mark().unwrap();
        wal.prepare().unwrap();
    }
    assert!(disk.trace().iter().all(|call| call.starts_with("write wal-") || call.starts_with("sync wal-")));
    assert_eq!(disk.bytes_of("wal-0000000000000001").unwrap().len(), length);
}
