//! Whatever the bytes of a segment are, reading it ends, and without a panic.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use bytes::Bytes;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::wal::{Lsn, Record, StreamId, Wal, WalOptions, examine};
use proptest::prelude::*;

const NAME: &str = "wal-0000000000000001";

fn options() -> WalOptions {
    WalOptions { segment_bytes: 64 << 10, first_segment_bytes: 64 << 10, ..WalOptions::default() }
}

/// A segment with a bit of everything in it.
fn segment() -> Vec<u8> {
    let disk = SimulatedDisk::new(1);
    let (wal, _) = Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 0).unwrap();
    for index in 0..8 {
        let payload = Bytes::from(vec![index as u8; (index * 900) as usize]);
        let records = vec![Record::Entry { index, term: 2, payload }, Record::Vote(Bytes::from_static(b"v"))];
        wal.submit(StreamId(index % 3 + 10 * index), records, None);
        wal.step().unwrap();
    }
    wal.close().unwrap();
    let file = disk.open(NAME, OpenMode::ReadOnly).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Opens a log whose first segment has these bytes. Any outcome but a panic is right.
fn open(bytes: &[u8]) {
    let disk = SimulatedDisk::new(2);
    let file = disk.open(NAME, OpenMode::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    if let Ok((wal, states)) = Wal::open(Arc::new(disk), options(), Lsn::ZERO, 0) {
        for stream in states.keys() {
            let _ = wal.read(*stream, 0, u64::MAX, usize::MAX);
        }
    }
}

#[test]
fn a_good_segment_is_read_whole() {
    let (records, clean) = examine(&segment());
    // A batch and two records a step, the last step a batch and the clean shutdown; behind them zeros, which nobody wrote.
    assert_eq!((records, clean), (8 * 3 + 2, false));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
        let _ = examine(&bytes);
        open(&bytes);
    }

    #[test]
    fn a_good_segment_with_changes(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
        behind_header in any::<bool>(),
    ) {
        let mut bytes = segment();
        let from = if behind_header { 4096 } else { 0 };
        for (at, value) in changes {
            let at = from + at.index(14_000);
            bytes[at] = value;
        }
        let _ = examine(&bytes);
        open(&bytes);
        let _ = examine(&bytes[..cut.index(bytes.len())]);
        open(&bytes[..cut.index(bytes.len())]);
    }
}
