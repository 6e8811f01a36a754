//! A submission costs the same beside one stream and beside five thousand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, Record, StreamId, Wal, WalOptions};

const STREAMS: u64 = 5_000;

fn with_streams(disk: &SimulatedDisk, streams: u64) -> Arc<Wal> {
    let (wal, _) = Wal::open(Arc::new(disk.clone()), WalOptions::default(), Lsn::ZERO, 0).unwrap();
    for stream in 1..=streams {
        let entry = Record::Entry { index: 0, term: 1, payload: Bytes::from_static(b"first") };
        wal.submit(StreamId(stream), vec![Record::Vote(Bytes::from_static(b"vote")), entry], None);
    }
    while wal.step().unwrap() {}
    wal
}

/// What 200 submissions to one stream make the disk do: bytes, syncs, calls.
fn work(disk: &SimulatedDisk, wal: &Wal) -> (u64, u64, u64) {
    let (before, calls) = (wal.metrics(), disk.operations());
    for index in 1..=200 {
        let entry = Record::Entry { index, term: 1, payload: Bytes::from(vec![7; 100]) };
        wal.submit(StreamId(1), vec![entry], None);
        assert!(wal.step().unwrap());
        wal.idle_mark().unwrap();
        assert!(!wal.step().unwrap());
    }
    let after = wal.metrics();
    (after.bytes_written - before.bytes_written, after.syncs - before.syncs, disk.operations() - calls)
}

#[test]
fn a_submission_writes_and_syncs_the_same_beside_one_and_beside_thousands() {
    let (alone, crowded) = (SimulatedDisk::new(1), SimulatedDisk::new(1));
    let one = work(&alone, &with_streams(&alone, 1));
    let among = work(&crowded, &with_streams(&crowded, STREAMS));
    // Fillers at the ends of blocks fall where they fall.
    assert!(one.0.abs_diff(among.0) < one.0 / 50, "{one:?} {among:?}");
    assert_eq!((one.1, one.2), (among.1, among.2));
}

#[test]
fn thousands_of_streams_are_opened_moved_forward_and_measured() {
    let disk = SimulatedDisk::new(2);
    let options = WalOptions {
        segment_bytes: 1 << 20,
        first_segment_bytes: 1 << 20,
        reclaim_slack_bytes: 1 << 20,
        ..WalOptions::default()
    };
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options, Lsn::ZERO, 0).unwrap();
    for stream in 1..=STREAMS {
        wal.submit(StreamId(stream), vec![Record::Vote(Bytes::from_static(b"vote"))], None);
    }
    for index in 0..4_000 {
        let entry = Record::Entry { index, term: 1, payload: Bytes::from(vec![7; 2_000]) };
        let purge = Record::Purge { upto: index, payload: Bytes::new() };
        wal.submit(StreamId(STREAMS + 1), vec![entry, purge], None);
        wal.step().unwrap();
    }
    while wal.step().unwrap() {}
    let metrics = wal.metrics();
    assert!(metrics.records_moved >= STREAMS && metrics.segments <= 5, "{metrics:?}");
    assert_eq!(wal.stream_metrics().len() as u64, STREAMS + 1);
    drop(wal);
    disk.crash();
    let (wal, states) = Wal::open(Arc::new(disk), options, Lsn::ZERO, 0).unwrap();
    assert_eq!(states.len() as u64, STREAMS + 1);
    assert!(states.iter().all(|(id, state)| id.0 > STREAMS || state.vote.is_some()));
    assert!(wal.damage().is_empty());
}
