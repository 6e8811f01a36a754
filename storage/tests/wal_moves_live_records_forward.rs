//! Space comes back oldest segment first, because what still counts in it is copied to the end of the log. A copy stands
//! for its original: at its place, with its age. Nothing that was removed comes back by it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "model/log.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod log;
#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use log::{ENTRY, RawRecord, VOTE, is_segment, records};
use model::{Model, open};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Record, StreamId, Wal};

const SLOW: StreamId = StreamId(1);
const FAST: StreamId = StreamId(2);
const GONE: StreamId = StreamId(3);

fn entry(index: u64, bytes: usize) -> Record {
    Record::Entry { index, term: 1, payload: Bytes::from(vec![index as u8; bytes]) }
}

fn store(wal: &Wal, stream: StreamId, records: Vec<Record>) {
    wal.submit(stream, records, None);
    while wal.step().unwrap() {}
}

/// Entries of the fast stream, each purged at once: enough to fill several segments.
fn churn(wal: &Wal, entries: u64) {
    let next = wal.state(FAST).and_then(|state| state.purged).map_or(0, |(upto, _)| upto + 1);
    for index in next..next + entries {
        store(wal, FAST, vec![entry(index, 3000), Record::Purge { upto: index, payload: Bytes::from_static(b"at") }]);
    }
}

/// A slow stream with a bit of everything: old entries, a truncated tail written anew, votes of which one counts, a purge;
/// and a stream that is erased.
fn begin(disk: &SimulatedDisk) -> std::sync::Arc<Wal> {
    let wal = open(disk).unwrap();
    store(&wal, SLOW, (0..8).map(|index| entry(index, 300)).collect());
    store(&wal, SLOW, vec![Record::Vote(Bytes::from_static(b"the first"))]);
    store(&wal, SLOW, vec![Record::Truncate { from: 5 }, entry(5, 500)]);
    store(&wal, SLOW, vec![Record::Vote(Bytes::from_static(b"the newest"))]);
    store(&wal, SLOW, vec![Record::Purge { upto: 1, payload: Bytes::from_static(b"purged") }]);
    store(&wal, SLOW, vec![Record::Committed(Bytes::from_static(b"committed"))]);
    store(&wal, GONE, vec![entry(0, 100), Record::Erased]);
    wal
}

/// Moved records of one stream.
fn copies(disk: &SimulatedDisk, stream: StreamId) -> Vec<RawRecord> {
    records(disk).into_iter().filter(|record| record.original.is_some() && record.stream == stream.0).collect()
}

#[test]
fn a_slow_stream_does_not_pin_the_log() {
    let disk = SimulatedDisk::new(1);
    let wal = begin(&disk);
    let before = wal.state(SLOW);
    for _ in 0..20 {
        churn(&wal, 60);
        assert!(wal.metrics().segments <= 4, "{:?}", wal.metrics());
    }
    let metrics = wal.metrics();
    assert!(metrics.segments_released > 40 && metrics.records_moved > 40, "{metrics:?}");
    assert_eq!(wal.state(SLOW), before, "and it is as it was");
}

#[test]
fn what_counts_is_copied_in_the_order_of_the_log_with_its_first_position() {
    let disk = SimulatedDisk::new(2);
    let wal = begin(&disk);
    let live: Vec<RawRecord> = records(&disk);
    churn(&wal, 80);
    // Of entries 2 to 5 the newest of each, the newest of each mark, and the tombstone; nothing that was removed.
    let copied = copies(&disk, SLOW);
    let says = |record: &RawRecord| (record.kind, if record.kind == ENTRY { record.number(0) } else { 0 });
    let kinds: BTreeSet<_> = copied.iter().map(says).collect();
    let expected: BTreeSet<_> = [(ENTRY, 2), (ENTRY, 3), (ENTRY, 4), (ENTRY, 5), (VOTE, 0), (6, 0), (4, 0)].into();
    assert_eq!(kinds, expected, "{copied:?}");
    for copy in &copied {
        let original = live.iter().find(|record| Some(record.at) == copy.original).expect("it was there");
        assert_eq!((original.kind, &original.body, original.stream), (copy.kind, &copy.body, copy.stream));
    }
    let vote = copied.iter().find(|record| record.kind == VOTE).unwrap();
    assert_eq!(vote.body, b"the newest");
    let first_round: Vec<_> = copied.iter().take(expected.len()).map(|record| record.original).collect();
    assert!(first_round.is_sorted(), "{first_round:?}");
    assert_eq!(copies(&disk, GONE).iter().map(|record| record.kind).collect::<BTreeSet<_>>(), [8].into());
}

#[test]
fn links_go_through_copies_too() {
    let disk = SimulatedDisk::new(3);
    let wal = begin(&disk);
    churn(&wal, 200);
    store(&wal, SLOW, vec![entry(6, 10)]);
    let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
    let mut followed_a_copy = false;
    let all = records(&disk);
    for record in all.iter().filter(|record| record.stream != u64::MAX) {
        if let Some(newest) = newest.insert(record.stream, record.at) {
            assert_eq!(record.link, newest, "each record names the one before it: {record:?}");
            followed_a_copy |= all.iter().any(|other| other.at == newest && other.original.is_some());
        }
    }
    assert!(followed_a_copy);
}

#[test]
fn segments_go_strictly_oldest_first_and_the_names_stay_one_run() {
    let disk = SimulatedDisk::new(4);
    let wal = begin(&disk);
    let mut oldest = 1;
    for _ in 0..40 {
        churn(&wal, 7);
        let names: Vec<_> = disk.names().into_iter().filter(|name| is_segment(name)).collect();
        let mut sequences: Vec<_> = names.iter().map(|name| u64::from_str_radix(&name[4..], 16).unwrap()).collect();
        sequences.sort_unstable();
        assert!(sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{sequences:?}");
        assert!(sequences[0] >= oldest);
        oldest = sequences[0];
    }
    assert!(oldest > 5, "{oldest}");
}

#[test]
fn copies_and_the_start_behind_them_are_synced_before_the_segment_goes() {
    let disk = SimulatedDisk::new(5);
    let wal = begin(&disk);
    disk.trace_calls();
    churn(&wal, 60);
    let calls: Vec<String> = disk.trace();
    let mut gone = 0;
    for (at, call) in calls.iter().enumerate() {
        if !call.starts_with("rename wal-0") && !call.starts_with("remove wal-0") {
            continue;
        }
        gone += 1;
        // Whatever was written to the log before this was synced before it.
        let written = calls[..at].iter().rposition(|call| call.starts_with("write wal-")).unwrap();
        let synced = calls[..at].iter().rposition(|call| call.starts_with("sync wal-")).unwrap();
        assert!(written < synced, "{call} at {at}: {:?}", &calls[written..=at]);
    }
    assert!(gone > 0, "{calls:?}");
}

#[test]
fn neither_a_truncated_tail_nor_a_forgotten_vote_nor_an_erased_stream_comes_back() {
    // At every call to the disk while the log moves on, with power lost there, and again after going on.
    for boundary in 0.. {
        let disk = SimulatedDisk::new(boundary);
        let wal = begin(&disk);
        let before = Model::of(&wal);
        disk.crash_at(boundary);
        for index in 0..60 {
            let purge = Record::Purge { upto: index, payload: Bytes::new() };
            wal.submit(FAST, vec![entry(index, 3000), purge], None);
            while wal.step().unwrap_or(false) {}
        }
        let ended = !disk.is_crashed();
        drop(wal);
        disk.restart();
        for _ in 0..2 {
            let wal = open(&disk).unwrap();
            let found = Model::of(&wal);
            for stream in [SLOW, GONE] {
                assert_eq!(found.streams.get(&stream), before.streams.get(&stream), "power lost at call {boundary}");
            }
            assert!(wal.damage().is_empty());
            churn(&wal, 30);
            drop(wal);
            disk.crash();
        }
        if ended {
            assert!(boundary > 100, "{boundary}");
            return;
        }
    }
}

#[test]
fn a_tombstone_is_kept_for_ever_and_nothing_makes_an_id_that_has_one() {
    let disk = SimulatedDisk::new(6);
    let mut wal = begin(&disk);
    for round in 0..6 {
        churn(&wal, 150);
        assert!(wal.state(GONE).unwrap().erased, "round {round}");
        let (sender, outcome) = std::sync::mpsc::channel();
        wal.submit(GONE, vec![entry(0, 10)], Some(Box::new(move |result| sender.send(result).unwrap())));
        let refused = outcome.recv().unwrap().unwrap_err();
        assert!(matches!(refused, photondb_storage::StorageError::StreamErased { stream: 3 }), "{refused}");
        drop(wal);
        disk.crash();
        wal = open(&disk).unwrap();
    }
    assert!(wal.metrics().segments <= 4);
}

#[test]
fn old_records_of_a_recycled_segment_are_never_believed() {
    // The files go round: each holds whole records of its last use behind what was written since.
    let disk = SimulatedDisk::new(7);
    let mut wal = begin(&disk);
    let mut recycled = 0;
    for round in 0..40 {
        churn(&wal, 3 + round % 5);
        let expected = Model::of(&wal);
        recycled += u64::from(disk.names().iter().any(|name| name.starts_with("wal-spare-")));
        drop(wal);
        disk.crash();
        wal = open(&disk).unwrap();
        assert_eq!(Model::of(&wal), expected, "round {round}");
        assert!(wal.damage().is_empty());
    }
    assert!(recycled > 0);
}

#[test]
fn damage_in_the_oldest_segment_does_not_pin_the_log() {
    // Rot in what no longer counts, with much behind it that does: the rest is copied past it.
    let disk = SimulatedDisk::new(8);
    let wal = open(&disk).unwrap();
    store(&wal, FAST, vec![entry(0, 2000), Record::Purge { upto: 0, payload: Bytes::new() }]);
    store(&wal, SLOW, (0..8).map(|index| entry(index, 300)).collect());
    let expected = Model::of(&wal).streams[&SLOW].clone();
    assert!(disk.flip_bit("wal-0000000000000001", 5000));
    churn(&wal, 300);
    let metrics = wal.metrics();
    assert!(metrics.segments <= 4 && metrics.segments_released > 5, "{metrics:?}");
    assert!(!wal.damage().is_empty(), "it was seen");
    assert_eq!(Model::of(&wal).streams[&SLOW], expected);
}

#[test]
fn what_cannot_be_copied_keeps_its_segment_until_the_log_is_opened_again() {
    let disk = SimulatedDisk::new(9);
    let wal = begin(&disk);
    // Entry 3 of the slow stream, which counts.
    let place = records(&disk).into_iter().find(|record| record.kind == ENTRY && record.number(0) == 3).unwrap();
    assert!(disk.flip_bit("wal-0000000000000001", place.at + 60));
    churn(&wal, 100);
    assert!(disk.names().iter().any(|name| name == "wal-0000000000000001"), "it is the evidence");
    // Nobody turns round and round over it.
    assert!(!wal.step().unwrap());
    drop(wal);
    disk.crash();
    let wal = open(&disk).unwrap();
    assert!(wal.state(SLOW).unwrap().suspect && !wal.state(FAST).unwrap().suspect);
    churn(&wal, 100);
    assert!(wal.metrics().segments <= 4, "and now it can go: {:?}", wal.metrics());
}
