//! A log that is left alone gives back the files it keeps for more writes and goes on in one small file, and takes large ones
//! anew when writes come.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, Purpose, Record, StreamId, Wal, WalOptions};

const STREAM: StreamId = StreamId(7);

fn options() -> WalOptions {
    WalOptions {
        segment_bytes: 64 << 10,
        first_segment_bytes: 64 << 10,
        reclaim_slack_bytes: 0,
        ..WalOptions::default()
    }
}

fn spares(disk: &SimulatedDisk) -> usize {
    disk.names().iter().filter(|name| name.starts_with("wal-spare-")).count()
}

/// Appends and purges until files were kept.
fn fill(wal: &Wal, disk: &SimulatedDisk, next: &mut u64) {
    while spares(disk) == 0 {
        let payload = Bytes::from(vec![3; 5_000]);
        let purge = Record::Purge { upto: *next, payload: Bytes::new() };
        wal.submit(STREAM, vec![Record::Entry { index: *next, term: 1, payload }, purge], None);
        *next += 1;
        while wal.step().unwrap() {}
    }
}

fn options_small_first() -> WalOptions {
    WalOptions { segment_bytes: 256 << 10, ..options() }
}

fn bytes(disk: &SimulatedDisk) -> usize {
    let names = disk.names();
    names.iter().filter(|name| name.starts_with("wal-")).map(|name| disk.bytes_of(name).unwrap().len()).sum()
}

/// Several streams write and one forgets; then the log is left alone, and its files become one of the first size. What lives
/// is read from there, also after the power went, and large files come again with more writes.
#[test]
fn what_lives_is_carried_over() {
    let disk = SimulatedDisk::new(1);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options_small_first(), Lsn::ZERO, 0).unwrap();
    let quiet = StreamId(1);
    let kept = Bytes::from(vec![9; 3_000]);
    wal.submit(quiet, vec![Record::Vote(Bytes::from_static(b"vote"))], None);
    wal.submit(quiet, vec![Record::Entry { index: 1, term: 1, payload: kept.clone() }], None);
    let mut next = 1;
    for round in 0..3 {
        fill(&wal, &disk, &mut next);
        wal.prepare().unwrap();
        assert!(bytes(&disk) >= 2 * (256 << 10), "{:?}", disk.names());
        wal.shrink().unwrap();
        assert_eq!(bytes(&disk), 64 << 10, "round {round}: {:?}", disk.names());
        let again = disk.operations();
        wal.shrink().unwrap();
        assert_eq!(disk.operations(), again, "nothing is left to do");
    }
    drop(wal);
    disk.crash();
    disk.restart();
    let (wal, states) = Wal::open(Arc::new(disk.clone()), options_small_first(), Lsn::ZERO, 0).unwrap();
    assert!(wal.damage().is_empty());
    assert_eq!(states[&quiet].vote.as_deref(), Some(&b"vote"[..]));
    assert_eq!(wal.read(quiet, 1, 2, usize::MAX).unwrap()[0].payload, kept);
    assert_eq!(states[&STREAM].purged.as_ref().map(|(upto, _)| *upto), Some(next - 1));
    fill(&wal, &disk, &mut next);
}

/// What lives is too much for a small segment: all stays where it is.
#[test]
fn not_while_much_is_live() {
    let disk = SimulatedDisk::new(1);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options_small_first(), Lsn::ZERO, 0).unwrap();
    for index in 1..60 {
        wal.submit(STREAM, vec![Record::Entry { index, term: 1, payload: Bytes::from(vec![3; 5_000]) }], None);
        while wal.step().unwrap() {}
    }
    let before = disk.names();
    wal.shrink().unwrap();
    assert_eq!(disk.names(), before);
    assert_eq!(wal.read(STREAM, 1, 60, usize::MAX).unwrap().len(), 59);
}

/// Nobody who was promised room loses it, and a full disk is no error.
#[test]
fn not_while_somebody_was_promised_room_and_not_on_a_full_disk() {
    let disk = SimulatedDisk::new(1);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options_small_first(), Lsn::ZERO, 0).unwrap();
    let mut next = 1;
    fill(&wal, &disk, &mut next);
    let promised = wal.admit(1_000, Purpose::Write).unwrap();
    wal.shrink().unwrap();
    assert_eq!(spares(&disk), 0);
    assert!(bytes(&disk) >= 256 << 10, "{:?}", disk.names());
    drop(promised);
    disk.set_capacity(disk.used_bytes());
    wal.shrink().unwrap();
    disk.set_capacity(1 << 30);
    wal.submit(STREAM, vec![Record::Entry { index: next, term: 1, payload: Bytes::from_static(b"more") }], None);
    while wal.step().unwrap() {}
    wal.shrink().unwrap();
    assert_eq!(bytes(&disk), 64 << 10, "{:?}", disk.names());
    assert_eq!(wal.read(STREAM, next, next + 1, usize::MAX).unwrap().len(), 1);
}

#[test]
fn when_it_is_idle() {
    let disk = SimulatedDisk::new(1);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 0).unwrap();
    let mut next = 1;
    fill(&wal, &disk, &mut next);
    wal.shrink().unwrap();
    assert_eq!(spares(&disk), 0);
    fill(&wal, &disk, &mut next);
    wal.close().unwrap();
    drop(wal);
    disk.crash();
    disk.restart();
    let (wal, states) = Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 0).unwrap();
    assert_eq!(states[&STREAM].purged.as_ref().map(|(upto, _)| *upto), Some(next - 1));
    assert!(wal.damage().is_empty());
    wal.shrink().unwrap();
    assert_eq!(spares(&disk), 0);
}

/// The power goes at any call of it. What lived lives, and the longest record finds room.
#[test]
fn whenever_the_power_goes() {
    for call in 0.. {
        let disk = SimulatedDisk::new(call);
        let (wal, _) = Wal::open(Arc::new(disk.clone()), options_small_first(), Lsn::ZERO, 0).unwrap();
        wal.submit(StreamId(1), vec![Record::Vote(Bytes::from_static(b"vote"))], None);
        let mut next = 1;
        fill(&wal, &disk, &mut next);
        wal.prepare().unwrap();
        disk.crash_at(call);
        let shrunk = wal.shrink();
        drop(wal);
        if !disk.is_crashed() {
            assert!(shrunk.is_ok() && call > 5, "{call} calls");
            break;
        }
        disk.restart();
        let open = || Wal::open(Arc::new(disk.clone()), options_small_first(), Lsn::ZERO, 0).unwrap();
        let (wal, _) = open();
        assert!(wal.damage().is_empty(), "call {call}: {:?}", wal.damage());
        for _ in 0..4 {
            let payload = Bytes::from(vec![5; 200_000]);
            let entry = Record::Entry { index: next, term: 1, payload };
            wal.submit(STREAM, vec![entry, Record::Purge { upto: next - 1, payload: Bytes::new() }], None);
            while wal.step().unwrap() {}
            next += 1;
        }
        drop(wal);
        disk.crash();
        let (wal, states) = open();
        assert!(wal.damage().is_empty(), "call {call}: {:?}", wal.damage());
        assert_eq!(states[&StreamId(1)].vote.as_deref(), Some(&b"vote"[..]), "call {call}");
        assert_eq!(wal.read(STREAM, next - 1, next, usize::MAX).unwrap()[0].payload.len(), 200_000, "call {call}");
    }
}

/// It was short of space for a large segment, and goes on in a small one: writes are taken again.
#[test]
fn writes_are_taken_again() {
    let disk = SimulatedDisk::new(1);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options_small_first(), Lsn::ZERO, 0).unwrap();
    let mut next = 1;
    let mut append = |bytes: usize| {
        let purge = Record::Purge { upto: next, payload: Bytes::new() };
        let entry = Record::Entry { index: next, term: 1, payload: Bytes::from(vec![3; bytes]) };
        wal.submit(STREAM, vec![entry, purge], None);
        next += 1;
        while wal.step().unwrap() {}
    };
    append(50_000);
    disk.set_capacity(disk.used_bytes() + (100 << 10));
    for _ in 0..40 {
        append(5_000);
    }
    assert!(wal.prepare().is_err() && wal.is_short(), "{:?}", disk.names());
    assert!(wal.admit(100, Purpose::Write).is_err());
    wal.shrink().unwrap();
    assert!(!wal.is_short(), "{:?}", disk.names());
    assert_eq!(bytes(&disk), 64 << 10, "{:?}", disk.names());
    drop(wal.admit(100, Purpose::Write).unwrap());
}
