//! What damage took from a stream can be given up: then the stream goes on with what is left and fits. Until then nothing
//! that is left is thrown away, and nothing of it can be changed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "model/log.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod log;
#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;
use log::{ENTRY, SUSPECT, records, segments};
use model::{Model, Random, full, open, options, seed};
use photondb_storage::StorageError;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::wal::{Lsn, Record, StreamId, Wal, survey};

const HURT: StreamId = StreamId(1);
const OTHER: StreamId = StreamId(2);
const FIRST_SEGMENT: &str = "wal-0000000000000001";

fn entry(index: u64) -> Record {
    Record::Entry { index, term: 1, payload: Bytes::from(vec![index as u8; 100]) }
}

fn store(wal: &Wal, stream: StreamId, records: Vec<Record>) -> Result<(), StorageError> {
    let (sender, outcome) = channel();
    wal.submit(stream, records, Some(Box::new(move |result| sender.send(result).unwrap())));
    while wal.step()? {}
    outcome.try_recv().expect("everything submitted is answered")
}

fn accept(wal: &Wal, stream: StreamId, records: Vec<Record>, from: u64) -> Result<(), StorageError> {
    let (sender, outcome) = channel();
    wal.accept_loss(stream, records, from, Some(Box::new(move |result| sender.send(result).unwrap())));
    while wal.step()? {}
    outcome.try_recv().expect("everything submitted is answered")
}

/// Fills several segments with entries of the other stream that do not last.
fn churn(wal: &Wal, entries: u64) {
    let next = wal.state(OTHER).and_then(|state| state.purged).map_or(0, |(upto, _)| upto + 1);
    for index in next..next + entries {
        let large = Record::Entry { index, term: 1, payload: Bytes::from(vec![9; 3000]) };
        store(wal, OTHER, vec![large, Record::Purge { upto: index, payload: Bytes::new() }]).unwrap();
    }
}

/// Entries 0 to 20 and a vote of one stream, of which entry 5 has rotted; and another stream.
fn damaged(seed: u64) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed);
    let wal = open(&disk).unwrap();
    for index in 0..=20 {
        store(&wal, HURT, vec![entry(index)]).unwrap();
        store(&wal, OTHER, vec![entry(index)]).unwrap();
        if index == 10 {
            store(&wal, HURT, vec![Record::Vote(Bytes::from_static(b"vote"))]).unwrap();
        }
    }
    store(&wal, OTHER, vec![Record::Purge { upto: 20, payload: Bytes::new() }]).unwrap();
    drop(wal);
    let is_it = |record: &&log::RawRecord| record.stream == 1 && record.kind == ENTRY && record.number(0) == 5;
    let at = records(&disk).iter().find(is_it).unwrap().at;
    assert!(disk.flip_bit(FIRST_SEGMENT, at + 50));
    disk.crash();
    disk
}

fn range(wal: &Wal, stream: StreamId) -> Option<(u64, u64)> {
    let entries = wal.read(stream, 0, u64::MAX, usize::MAX).unwrap();
    Some((entries.first()?.index, entries.last()?.index))
}

#[test]
fn a_suspect_stream_says_what_is_left_of_it() {
    let wal = open(&damaged(1)).unwrap();
    let loss = wal.loss(HURT).unwrap();
    assert_eq!((loss.segment, &loss.runs[..]), (1, &[(0, 4), (6, 20)][..]));
    let text = loss.to_string();
    assert!(text.contains("entries 0 to 4, 6 to 20 are whole, others may be lost"), "{text}");
    assert_eq!((wal.loss(OTHER), wal.loss(StreamId(77))), (None, None));
    assert_eq!(range(&wal, HURT), Some((0, 4)), "what is behind a gap is nobody's to read");
    let refused = accept(&wal, OTHER, Vec::new(), 0).unwrap_err();
    assert!(matches!(refused, StorageError::StreamNotSuspect { stream: 2 }), "{refused}");
}

#[test]
fn what_comes_before_the_gap_goes_on() {
    let disk = damaged(2);
    let wal = open(&disk).unwrap();
    accept(&wal, HURT, Vec::new(), 0).unwrap();
    for reopened in [false, true] {
        let wal = if reopened {
            disk.crash();
            open(&disk).unwrap()
        } else {
            Arc::clone(&wal)
        };
        let state = wal.state(HURT).unwrap();
        assert_eq!((state.suspect, state.vote.as_deref()), (false, Some(&b"vote"[..])), "votes stay as they are");
        let next = state.last_index.unwrap() + 1;
        assert_eq!(next, if reopened { 6 } else { 5 });
        store(&wal, HURT, vec![entry(next)]).unwrap();
        assert_eq!(range(&wal, HURT), Some((0, next)));
    }
}

#[test]
fn what_follows_the_owners_state_goes_on_though_it_comes_behind_the_gap() {
    // Up to 10 the owner has everything elsewhere.
    let disk = damaged(3);
    let wal = open(&disk).unwrap();
    let purge = Record::Purge { upto: 10, payload: Bytes::from_static(b"ten") };
    accept(&wal, HURT, vec![purge], 11).unwrap();
    assert_eq!(range(&wal, HURT), Some((11, 20)));
    churn(&wal, 100);
    drop(wal);
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!(range(&wal, HURT), Some((11, 20)));
    let state = wal.state(HURT).unwrap();
    assert_eq!((state.suspect, state.purged), (false, Some((10, Bytes::from_static(b"ten")))));
    store(&wal, HURT, vec![entry(21)]).unwrap();
}

#[test]
fn nothing_remains_when_nothing_fits() {
    let disk = damaged(4);
    let wal = open(&disk).unwrap();
    // The owner's state ends far behind the log.
    let purge = Record::Purge { upto: 99, payload: Bytes::from_static(b"far") };
    accept(&wal, HURT, vec![Record::Committed(Bytes::from_static(b"99")), purge], 100).unwrap();
    assert_eq!(range(&wal, HURT), None);
    store(&wal, HURT, vec![entry(100)]).unwrap();
    drop(wal);
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!((range(&wal, HURT), wal.state(HURT).unwrap().suspect), (Some((100, 100)), false));
}

#[test]
fn until_then_what_is_behind_the_gap_is_kept_though_the_log_moves_on() {
    let disk = damaged(5);
    let mut wal = open(&disk).unwrap();
    let before = wal.stream_metrics().into_iter().find(|(id, _)| *id == HURT).unwrap().1;
    for _ in 0..4 {
        churn(&wal, 100);
        assert!(wal.metrics().segments <= 4, "{:?}", wal.metrics());
        drop(wal);
        disk.crash();
        wal = open(&disk).unwrap();
        let loss = wal.loss(HURT).unwrap();
        assert_eq!(loss.runs, [(0, 4), (6, 20)]);
        let now = wal.stream_metrics().into_iter().find(|(id, _)| *id == HURT).unwrap().1;
        assert_eq!(now.live_records, before.live_records);
    }
    let purge = Record::Purge { upto: 5, payload: Bytes::new() };
    accept(&wal, HURT, vec![purge], 6).unwrap();
    assert_eq!(range(&wal, HURT), Some((6, 20)));
}

#[test]
fn an_erased_stream_leaves_nothing_of_what_was_behind_the_gap() {
    let disk = damaged(6);
    let wal = open(&disk).unwrap();
    store(&wal, HURT, vec![Record::Erased]).unwrap();
    let left = wal.stream_metrics().into_iter().find(|(id, _)| *id == HURT).unwrap().1;
    assert_eq!(left.live_records, 1, "the tombstone");
    churn(&wal, 200);
    assert!(wal.metrics().segments <= 4);
}

#[test]
fn suspicion_is_durable_before_the_log_is_open_and_moves_on_with_it() {
    let disk = damaged(7);
    let wal = open(&disk).unwrap();
    drop(wal);
    disk.crash();
    // The bytes are as they were written again: the stream stays suspect.
    let about =
        |stream| records(&disk).into_iter().filter(|record| record.kind == SUSPECT && record.stream == stream).count();
    let file = disk.open(FIRST_SEGMENT, OpenMode::Existing).unwrap();
    file.write_all_at(&[5], damaged_byte(&disk)).unwrap();
    file.sync_data().unwrap();
    assert_eq!(about(1), 1);
    let mut wal = open(&disk).unwrap();
    assert!(wal.damage().is_empty() && wal.state(HURT).unwrap().suspect);
    for _ in 0..3 {
        churn(&wal, 100);
        drop(wal);
        disk.crash();
        wal = open(&disk).unwrap();
        assert!(wal.state(HURT).unwrap().suspect && wal.may_lack_streams());
    }
    assert!(!disk.names().iter().any(|name| name == FIRST_SEGMENT));
    store(&wal, HURT, vec![Record::Erased]).unwrap();
    assert!(!wal.state(HURT).unwrap().suspect);
}

/// The byte that [`damaged`] has changed, of a payload of fives.
fn damaged_byte(disk: &SimulatedDisk) -> u64 {
    let bytes = &segments(disk)[0].1;
    let is_it =
        |at: &usize| bytes[at + 7] == ENTRY && bytes[at + 8] == 1 && bytes[at + 24..at + 32] == 5u64.to_le_bytes();
    (4096..bytes.len() - 40).step_by(8).find(is_it).unwrap() as u64 + 50
}

#[test]
fn power_lost_while_a_loss_is_accepted_leaves_it_accepted_or_to_be_accepted() {
    let (mut before, mut after) = (0, 0);
    for boundary in 0..12 {
        for seed in 0..20 {
            let disk = damaged(seed << 8 | boundary);
            let wal = open(&disk).unwrap();
            disk.crash_at(boundary);
            let vote = Record::Vote(Bytes::from_static(b"newer"));
            let purge = || Record::Purge { upto: 7, payload: Bytes::new() };
            let accepted = accept(&wal, HURT, vec![vote, purge()], 8);
            drop(wal);
            disk.restart();
            let wal = open(&disk).unwrap();
            let state = wal.state(HURT).unwrap();
            assert!(accepted.is_err() || !state.suspect, "what was answered is there");
            if state.suspect {
                before += 1;
                accept(&wal, HURT, vec![purge()], 8).unwrap();
            } else {
                after += 1;
            }
            assert_eq!(range(&wal, HURT), Some((8, 20)), "power lost at call {boundary}");
            drop(wal);
            disk.crash();
            let wal = open(&disk).unwrap();
            assert_eq!((range(&wal, HURT), wal.state(HURT).unwrap().suspect), (Some((8, 20)), false));
        }
    }
    assert!(before > 10 && after > 10, "{before} {after}");
}

#[test]
fn a_stream_of_which_no_record_is_left_is_in_doubt_until_everybody_has_found_theirs() {
    let disk = SimulatedDisk::new(8);
    let wal = open(&disk).unwrap();
    store(&wal, HURT, vec![entry(0)]).unwrap();
    store(&wal, OTHER, vec![entry(0)]).unwrap();
    drop(wal);
    let at = records(&disk).iter().find(|record| record.stream == 1).unwrap().at;
    assert!(disk.flip_bit(FIRST_SEGMENT, at + 50));
    disk.crash();
    let mut wal = open(&disk).unwrap();
    store(&wal, OTHER, vec![Record::Purge { upto: 0, payload: Bytes::new() }]).unwrap();
    assert_eq!((wal.state(HURT), wal.may_lack_streams()), (None, true), "nothing tells that the stream was there");
    for _ in 0..3 {
        churn(&wal, 60);
        drop(wal);
        disk.crash();
        assert!(survey(&disk, Lsn::ZERO, &mut |_, _| {}).unwrap().may_lack_streams);
        wal = open(&disk).unwrap();
        assert!(wal.may_lack_streams());
    }
    let (sender, outcome) = channel();
    wal.accept_lacking_streams(Some(Box::new(move |result| sender.send(result).unwrap())));
    while wal.step().unwrap() {}
    assert_eq!(outcome.recv().unwrap().map_err(|error| error.to_string()), Ok(()));
    assert!(!wal.may_lack_streams());
    drop(wal);
    disk.crash();
    assert!(!open(&disk).unwrap().may_lack_streams());
}

#[test]
fn accepted_damage_is_told_apart_from_other_damage() {
    let disk = damaged(9);
    let wal = open(&disk).unwrap();
    assert!(!wal.damage().is_empty());
    accept(&wal, HURT, Vec::new(), 0).unwrap();
    wal.accept_lacking_streams(None);
    wal.close().unwrap();
    drop(wal);
    let found = survey(&disk, Lsn::ZERO, &mut |_, _| {}).unwrap();
    assert!(found.damage.is_empty() && !found.damage_accepted.is_empty() && !found.may_lack_streams);
    assert!(open(&disk).unwrap().damage().is_empty());
}

#[test]
fn programs_that_do_not_know_the_record_refuse_its_segment_and_no_other() {
    let versions = |disk: &SimulatedDisk| -> Vec<(u8, u8)> {
        segments(disk).iter().map(|(_, bytes)| (bytes[8], bytes[2048 + 8])).collect()
    };
    let disk = damaged(10);
    let wal = open(&disk).unwrap();
    churn(&wal, 20);
    assert!(versions(&disk).iter().all(|version| *version == (1, 1)), "suspicion is nothing new");
    accept(&wal, HURT, Vec::new(), 0).unwrap();
    assert_eq!(versions(&disk).iter().filter(|version| **version == (2, 2)).count(), 1, "{:?}", versions(&disk));
    churn(&wal, 200);
    assert!(versions(&disk).iter().all(|version| *version == (1, 1)), "it is gone with the damage");
    drop(wal);
    disk.crash();
    let wal = open(&disk).unwrap();
    assert!(!wal.state(HURT).unwrap().suspect && wal.damage().is_empty());
}

#[test]
fn random_damage_accepted_at_any_time_leaves_a_log_that_goes_on() {
    let first = seed(21);
    let mut accepted = 0;
    for run in first..first + if full() { 2000 } else { 150 } {
        let mut random = Random::new(run);
        let disk = SimulatedDisk::new(run);
        let wal = open(&disk).unwrap();
        let streams = 1 + random.below(4);
        for number in 0..40 + random.below(60) {
            let stream = StreamId(1 + random.below(streams));
            let next = wal.state(stream).and_then(|state| state.last_index).map_or(0, |last| last + 1);
            let payload = Bytes::from(vec![number as u8; random.below(3000) as usize]);
            store(&wal, stream, vec![Record::Entry { index: next, term: 1, payload }]).unwrap();
        }
        wal.idle_mark().unwrap();
        drop(wal);
        let end = records(&disk).last().unwrap().at;
        for _ in 0..1 + random.below(3) {
            let at = random.below(end);
            if at % (64 << 10) >= 4096 {
                let segment = 1 + at / (64 << 10);
                assert!(disk.flip_bit(&format!("wal-{segment:016x}"), at % (64 << 10)), "seed {run}");
            }
        }
        disk.crash();
        let mut wal = Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 0).unwrap().0;
        for _ in 0..random.below(3) {
            drop(wal);
            disk.crash();
            wal = open(&disk).unwrap();
        }
        let suspects: Vec<_> = wal.states().into_iter().filter(|(_, state)| state.suspect).map(|(id, _)| id).collect();
        for id in &suspects {
            accepted += 1;
            // As an owner who has everything up to somewhere, or nothing.
            let runs = wal.loss(*id).unwrap().runs;
            let last = runs.last().map_or(0, |(_, last)| *last);
            match random.below(2) {
                0 if runs.first().is_none_or(|(first, _)| *first == 0) => accept(&wal, *id, Vec::new(), 0).unwrap(),
                _ => {
                    let upto = random.below(last + 3);
                    let purge = Record::Purge { upto, payload: Bytes::new() };
                    accept(&wal, *id, vec![purge], upto + 1).unwrap();
                }
            }
        }
        wal.accept_lacking_streams(None);
        while wal.step().unwrap() {}
        for id in &suspects {
            let state = wal.state(*id).unwrap();
            let next = state.last_index.or(state.purged.map(|(upto, _)| upto)).map_or(0, |last| last + 1);
            store(&wal, *id, vec![entry(next)]).unwrap();
        }
        let expected = Model::of(&wal).known();
        drop(wal);
        disk.crash();
        let wal = open(&disk).unwrap();
        assert_eq!(Model::of(&wal).known(), expected, "seed {run}");
        assert!(wal.damage().is_empty() && !wal.may_lack_streams(), "seed {run}");
        assert!(wal.states().values().all(|state| !state.suspect), "seed {run}");
        churn_until_moved(&wal);
        drop(wal);
        disk.crash();
        let wal = open(&disk).unwrap();
        let found = Model::of(&wal).known();
        for (id, stream) in expected.streams.iter().filter(|(id, _)| id.0 != 99) {
            assert_eq!(found.streams.get(id), Some(stream), "seed {run}: after the log moved on");
        }
        assert!(wal.states().values().all(|state| !state.suspect), "seed {run}");
    }
    assert!(accepted > 50, "{accepted}");
}

fn churn_until_moved(wal: &Wal) {
    let next = wal.state(StreamId(99)).and_then(|state| state.purged).map_or(0, |(upto, _)| upto + 1);
    for index in next..next + 120 {
        let large = Record::Entry { index, term: 1, payload: Bytes::from(vec![9; 4000]) };
        store(wal, StreamId(99), vec![large, Record::Purge { upto: index, payload: Bytes::new() }]).unwrap();
    }
}
