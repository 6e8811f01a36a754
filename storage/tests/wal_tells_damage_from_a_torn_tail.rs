//! Bytes that were durable and are not what was written are reported, never cut; bytes that were not are cut, never
//! reported.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use std::sync::Arc;

use bytes::Bytes;
use model::{open, options};
use photondb_storage::StorageError;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::wal::{DamageKind, Lsn, Record, StreamId, Wal};

const FIRST_SEGMENT: &str = "wal-0000000000000001";

fn entry(index: u64) -> Record {
    Record::Entry { index, term: 1, payload: Bytes::from(vec![index as u8; 100]) }
}

fn append(wal: &Wal, stream: u64, indexes: std::ops::Range<u64>) {
    for index in indexes {
        wal.submit(StreamId(stream), vec![entry(index)], None);
        assert!(wal.step().unwrap());
    }
}

/// Where the only entry with this stream and index lies in the first segment.
fn find(disk: &SimulatedDisk, stream: u64, index: u64) -> u64 {
    find_in(disk, stream, index).expect("the entry is there")
}

fn find_in(disk: &SimulatedDisk, stream: u64, index: u64) -> Option<u64> {
    let file = disk.open(FIRST_SEGMENT, OpenMode::ReadOnly).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let is_it = |at: &usize| {
        let field = |offset: usize| &bytes[at + offset..at + offset + 8];
        bytes[at + 7] == 2 && field(8) == stream.to_le_bytes() && field(24) == index.to_le_bytes()
    };
    (4096..bytes.len() - 40).step_by(8).find(is_it).map(|at| at as u64)
}

#[test]
fn a_flipped_bit_in_the_middle_makes_suspect_what_links_do_not_prove_whole() {
    let disk = SimulatedDisk::new(1);
    let wal = open(&disk).unwrap();
    append(&wal, 1, 0..5);
    append(&wal, 2, 0..5);
    append(&wal, 3, 0..2);
    append(&wal, 1, 5..6);
    append(&wal, 4, 0..3);
    drop(wal);
    // Streams 1 and 4 go on (or begin) behind the damage, which hits stream 2; stream 3 says nothing any more after it.
    let at = find(&disk, 2, 2);
    assert!(disk.flip_bit(FIRST_SEGMENT, at + 50));
    for _ in 0..3 {
        disk.crash();
        let wal = open(&disk).unwrap();
        let suspect = |stream| wal.state(StreamId(stream)).unwrap().suspect;
        assert!(!suspect(1) && suspect(2) && !suspect(4));
        // Stream 3 began behind the damage, so it is whole too.
        assert!(!suspect(3));
        let damage = wal.damage();
        assert_eq!((damage[0].segment, damage[0].offset), (1, at));
        let DamageKind::Checksum { expected, found } = damage[0].kind else { panic!("{damage:?}") };
        assert_ne!(expected, found);
        assert_eq!(wal.read(StreamId(1), 0, 100, usize::MAX).unwrap().len(), 6, "the rest is still there");
        assert_eq!(wal.read(StreamId(2), 0, 100, usize::MAX).unwrap().len(), 2, "and the suspect's beginning");
        drop(wal);
    }
    // A suspect stream may be erased and nothing else.
    let wal = open(&disk).unwrap();
    let (sender, outcomes) = std::sync::mpsc::channel();
    for record in [Record::Vote(Bytes::new()), Record::Erased] {
        let sender = sender.clone();
        wal.submit(StreamId(2), vec![record], Some(Box::new(move |outcome| sender.send(outcome).unwrap())));
    }
    while wal.step().unwrap() {}
    assert!(matches!(outcomes.recv().unwrap(), Err(StorageError::StreamSuspect { stream: 2 })));
    assert!(outcomes.recv().unwrap().is_ok());
}

#[test]
fn a_lost_vote_is_noticed_by_the_link_of_what_follows() {
    // No index shows that a vote is missing; a member that forgot it might vote twice.
    let disk = SimulatedDisk::new(2);
    let wal = open(&disk).unwrap();
    append(&wal, 1, 0..2);
    append(&wal, 2, 0..2);
    let vote = Bytes::from_static(b"the vote of member one");
    wal.submit(StreamId(1), vec![Record::Vote(vote.clone())], None);
    wal.step().unwrap();
    append(&wal, 1, 2..4);
    append(&wal, 2, 2..4);
    drop(wal);
    let file = disk.open(FIRST_SEGMENT, OpenMode::ReadOnly).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let at = bytes.windows(vote.len()).position(|window| window == vote).unwrap() as u64;
    assert!(disk.flip_bit(FIRST_SEGMENT, at));
    disk.crash();
    let wal = open(&disk).unwrap();
    assert!(wal.state(StreamId(1)).unwrap().suspect);
    assert!(!wal.state(StreamId(2)).unwrap().suspect);
}

#[test]
fn every_flipped_bit_is_noticed() {
    // Whatever the byte: either the log is whole, or damage is reported and what is wrong is suspect. Never silence.
    let reference = SimulatedDisk::new(3);
    let wal = open(&reference).unwrap();
    append(&wal, 1, 0..12);
    append(&wal, 2, 0..12);
    append(&wal, 1, 12..24);
    wal.idle_mark().unwrap();
    wal.close().unwrap();
    drop(wal);
    let end = find(&reference, 1, 23) + 136;
    for offset in (4096..end).step_by(3) {
        let disk = reference.fork(offset);
        assert!(disk.flip_bit(FIRST_SEGMENT, offset));
        let (wal, states) = Wal::open(Arc::new(disk), options(), Lsn::ZERO, 0).unwrap();
        for (stream, last) in [(StreamId(1), 23), (StreamId(2), 11)] {
            let whole = wal.read(stream, 0, 100, usize::MAX).is_ok_and(|entries| entries.len() as u64 == last + 1);
            let suspect = states.get(&stream).is_some_and(|state| state.suspect);
            assert!(whole || suspect, "byte {offset}: stream {stream} lost something in silence");
            assert!(!suspect || !wal.damage().is_empty(), "byte {offset}: suspicion without evidence");
        }
    }
}

#[test]
fn one_bad_header_copy_costs_nothing_and_two_are_damage() {
    let disk = SimulatedDisk::new(4);
    let wal = open(&disk).unwrap();
    append(&wal, 1, 0..3);
    drop(wal);
    disk.flip_bit(FIRST_SEGMENT, 20);
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!(wal.read(StreamId(1), 0, 10, usize::MAX).unwrap().len(), 3);
    drop(wal);
    disk.flip_bit(FIRST_SEGMENT, 2048 + 20);
    let outcome = Wal::open(Arc::new(disk), options(), Lsn::ZERO, 0);
    assert!(matches!(outcome, Err(StorageError::WalDamaged { .. })), "an unreadable log is not an empty one");
}

#[test]
fn a_lost_segment_is_damage_wherever_it_was() {
    for lost in 1..=4u64 {
        let disk = SimulatedDisk::new(5);
        let (wal, _) = Wal::open(
            Arc::new(disk.clone()),
            photondb_storage::wal::WalOptions { reclaim_slack_bytes: u64::MAX / 4, ..options() },
            Lsn::ZERO,
            0,
        )
        .unwrap();
        for index in 0..40 {
            let payload = Bytes::from(vec![index as u8; 5000]);
            wal.submit(StreamId(1), vec![Record::Entry { index, term: 1, payload }], None);
            wal.step().unwrap();
        }
        append(&wal, 2, 0..2);
        assert_eq!(wal.metrics().segments, 4);
        drop(wal);
        disk.remove(&format!("wal-{lost:016x}")).unwrap();
        disk.sync_directory().unwrap();
        for opened in 0..2 {
            disk.crash();
            let wal = open(&disk).unwrap();
            // Once suspicion is recorded, a log that begins later may forget where it was damaged.
            assert!(opened > 0 || !wal.damage().is_empty(), "segment {lost}");
            assert!(wal.state(StreamId(1)).is_none_or(|state| state.suspect), "segment {lost}");
            assert!(!wal.state(StreamId(2)).is_some_and(|state| state.suspect), "segment {lost}");
        }
    }
}

#[test]
fn a_torn_tail_is_cut_and_written_over() {
    let disk = SimulatedDisk::new(6);
    let wal = open(&disk).unwrap();
    append(&wal, 1, 0..10);
    let whole = find(&disk, 1, 9);
    drop(wal);
    // As if the last write had not reached the disk in full; nothing after it says it was durable.
    disk.flip_bit(FIRST_SEGMENT, whole + 100);
    disk.crash();
    let wal = open(&disk).unwrap();
    assert!(wal.damage().is_empty());
    let state = wal.state(StreamId(1)).unwrap();
    assert_eq!((state.last_index, state.suspect), (Some(8), false));
    append(&wal, 1, 9..12);
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!(wal.state(StreamId(1)).unwrap().last_index, Some(11));
}

#[test]
fn what_a_crash_left_behind_the_tail_never_follows_a_new_record() {
    // One write of two records: the first is torn, the second whole on the disk, and neither acknowledged. The next
    // record is just so long that the old second one would be read as following it.
    let disk = SimulatedDisk::new(8);
    let wal = open(&disk).unwrap();
    append(&wal, 1, 0..3);
    let sized = |index, bytes| Record::Entry { index, term: 1, payload: Bytes::from(vec![3; bytes]) };
    wal.submit(StreamId(1), vec![sized(3, 104)], None);
    wal.submit(StreamId(2), vec![sized(0, 104)], None);
    wal.step().unwrap();
    drop(wal);
    disk.flip_bit(FIRST_SEGMENT, find(&disk, 1, 3) + 60);
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!(wal.state(StreamId(1)).unwrap().last_index, Some(2));
    assert_eq!(wal.state(StreamId(2)), None);
    let old = find_in(&disk, 2, 0);
    // The write's own batch record takes 40 bytes.
    wal.submit(StreamId(1), vec![sized(3, 64)], None);
    wal.step().unwrap();
    drop(wal);
    assert_eq!(old, None, "the old bytes are gone");
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!(wal.state(StreamId(1)).unwrap().last_index, Some(3));
    assert_eq!(wal.state(StreamId(2)), None);
}

#[test]
fn a_log_that_does_not_belong_to_the_superblock_is_refused() {
    let disk = SimulatedDisk::new(7);
    let missing = Wal::open(Arc::new(disk.clone()), options(), Lsn::new(5000), 0);
    assert!(matches!(missing, Err(StorageError::LogMissing { start: 5000, .. })));
    let wal = open(&disk).unwrap();
    wal.checkpoint_published(7);
    wal.close().unwrap();
    drop(wal);
    let stale = Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 5);
    assert!(matches!(stale, Err(StorageError::StaleCheckpoint { found: 5, recorded: 7 })));
    assert!(Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 6).is_ok());
    let ahead = Wal::open(Arc::new(disk), options(), Lsn::new(1 << 30), 7);
    assert!(matches!(ahead, Err(StorageError::LogMissing { .. })));
}

#[test]
fn the_same_damage_is_a_torn_tail_or_rot_by_what_is_named_durable() {
    // The last write of all, with nothing behind it, with an idle mark, with another write: only the first is cut.
    for (behind, rot) in [("nothing", false), ("a mark", true), ("a write", true)] {
        let disk = SimulatedDisk::new(9);
        let wal = open(&disk).unwrap();
        append(&wal, 1, 0..5);
        append(&wal, 2, 0..1);
        match behind {
            "a mark" => wal.idle_mark().unwrap(),
            "a write" => append(&wal, 3, 0..1),
            _ => {}
        }
        drop(wal);
        assert!(disk.flip_bit(FIRST_SEGMENT, find(&disk, 2, 0) + 60));
        disk.kill();
        let wal = open(&disk).unwrap();
        assert_eq!(!wal.damage().is_empty(), rot, "{behind}");
        assert_eq!(wal.state(StreamId(1)).unwrap().suspect, rot, "{behind}: no later link proves that it is whole");
        assert!(!wal.state(StreamId(3)).is_some_and(|state| state.suspect), "{behind}");
        assert_eq!(wal.may_lack_streams(), rot, "{behind}: stream 2 is nowhere else");
        assert_eq!(wal.read(StreamId(1), 0, 9, usize::MAX).unwrap().len(), 5, "{behind}: nothing before it is cut");
    }
}

#[test]
fn what_the_superblock_names_as_start_was_durable() {
    // No batch says so, and yet the log is not cut there: a checkpoint stands on it.
    let disk = SimulatedDisk::new(10);
    let wal = open(&disk).unwrap();
    append(&wal, 1, 0..1);
    let at = find(&disk, 1, 0);
    drop(wal);
    assert!(disk.flip_bit(FIRST_SEGMENT, at + 60));
    disk.kill();
    let cut = disk.fork(1);
    assert!(open(&cut).unwrap().damage().is_empty());
    let refused = Wal::open(Arc::new(disk), options(), Lsn::new(at + 8), 0);
    // Nothing reaches that far any more: the log does not belong to the superblock, and says so.
    assert!(refused.is_err() || !refused.unwrap().0.damage().is_empty());
}
