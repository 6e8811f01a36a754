//! A sync fails, the process ends, and the system still shows what was not made durable. The next process takes what it
//! sees; when the power goes later, all of that must be on the disk: headers of segments, and the ends of those before.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use bytes::Bytes;
use model::open;
use photondb_storage::disk::simulated::{Fault, SimulatedDisk};
use photondb_storage::wal::{Record, StreamId, Wal};

const STREAM: StreamId = StreamId(1);

/// Appends entries until the log stops, and returns how many were acknowledged.
fn append(wal: &Wal, entries: u64) -> u64 {
    let first = wal.state(STREAM).and_then(|state| state.last_index).map_or(1, |last| last + 1);
    for index in first..first + entries {
        let entry = Record::Entry { index, term: 1, payload: Bytes::from(vec![index as u8; 9_000]) };
        wal.submit(STREAM, vec![entry], None);
        if wal.step().is_err() {
            return index - 1;
        }
    }
    first + entries - 1
}

fn last(wal: &Wal) -> u64 {
    wal.read(STREAM, 1, u64::MAX, usize::MAX).unwrap().last().map_or(0, |entry| entry.index)
}

#[test]
fn at_any_sync_of_the_log() {
    for fault in [Fault::SyncError, Fault::SyncNoSpace] {
        for failing in 0..60 {
            for seed in 0..6 {
                let disk = SimulatedDisk::new(seed << 32 | failing);
                let what = format!("{fault}, sync {failing}, seed {seed}");
                let wal = open(&disk).unwrap();
                disk.strike_file_after(fault, failing, "wal-");
                let acknowledged = append(&wal, 40);
                drop(wal);
                disk.kill();
                let seen = {
                    let wal = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
                    // Half of them go on into what the dead process began.
                    if seed % 2 == 0 { last(&wal) } else { append(&wal, 1 + failing % 7) }
                };
                assert!(seen >= acknowledged, "{what}: {acknowledged} acknowledged, {seen} seen");
                disk.crash();
                let wal = open(&disk).unwrap_or_else(|error| panic!("{what}, after power was lost: {error}"));
                assert!(wal.damage().is_empty(), "{what}: {:?}", wal.damage());
                assert!(last(&wal) >= seen, "{what}: {seen} seen, {} after power was lost", last(&wal));
                assert!(append(&wal, 20) >= seen + 20, "{what}: it goes on");
            }
        }
    }
}
