//! A log that is left alone gives back the files it keeps for more writes, and takes them anew when writes come.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, Record, StreamId, Wal, WalOptions};

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

#[test]
fn when_it_is_idle() {
    let disk = SimulatedDisk::new(1);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 0).unwrap();
    let mut next = 1;
    fill(&wal, &disk, &mut next);
    wal.give_spares_back().unwrap();
    assert_eq!(spares(&disk), 0);
    fill(&wal, &disk, &mut next);
    wal.close().unwrap();
    drop(wal);
    disk.crash();
    disk.restart();
    let (wal, states) = Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 0).unwrap();
    assert_eq!(states[&STREAM].purged.as_ref().map(|(upto, _)| *upto), Some(next - 1));
    assert!(wal.damage().is_empty());
    wal.give_spares_back().unwrap();
    assert_eq!(spares(&disk), 0);
}
