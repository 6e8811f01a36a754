//! Without faults the log is a map of plain vectors, whatever is rolled over, moved, recycled and reopened meanwhile.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use bytes::Bytes;
use model::{History, Model, full, open, seed};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Record, StreamId, StreamState};

#[test]
fn random_work_with_reopening_agrees_with_plain_vectors() {
    let first = seed(7);
    let (mut moved, mut released, mut segments_max) = (0, 0, 0);
    for run in first..first + if full() { 300 } else { 12 } {
        let disk = SimulatedDisk::new(run);
        let mut history = History::new(run);
        for _ in 0..4 {
            let wal = open(&disk).expect("a closed log opens");
            assert_eq!(Model::of(&wal).known(), history.now.clone().known(), "seed {run}: after opening");
            for action in 0..200 {
                history.act(&wal).expect("nothing fails on a good disk");
                if action % 10 == 0 {
                    assert_eq!(Model::of(&wal).known(), history.now.clone().known(), "seed {run}: at once");
                }
            }
            wal.close().expect("nothing fails on a good disk");
            history.acknowledge();
            assert!(history.is_all_acknowledged(), "seed {run}");
            assert!(wal.damage().is_empty());
            let metrics = wal.metrics();
            moved += metrics.records_moved;
            released += metrics.segments_released;
            segments_max = segments_max.max(metrics.segments);
            let live_segments = 2 * metrics.live_bytes / (64 << 10);
            assert!(metrics.segments <= live_segments + 6, "seed {run}: {metrics:?}");
        }
    }
    println!("{moved} records moved, {released} segments released, at most {segments_max} segments");
    assert!(moved > 100 && released > 50, "{moved} {released}");
}

#[test]
fn an_unknown_stream_has_no_state_and_an_empty_log_no_streams() {
    let wal = open(&SimulatedDisk::new(1)).expect("an empty disk opens");
    assert_eq!(wal.state(photondb_storage::wal::StreamId(1)), None);
    assert!(wal.states().is_empty());
    assert_eq!(StreamState::default().last_index, None);
}

#[test]
fn copying_forward_comes_to_rest_whatever_is_live() {
    for live in 0..60u64 {
        for bytes in [200usize, 3000, 20_000, 35_000] {
            let wal = open(&SimulatedDisk::new(live)).unwrap();
            let entry = |index: u64| Record::Entry { index, term: 1, payload: Bytes::from(vec![1; bytes]) };
            let (slow, fast) = (StreamId(1), StreamId(2));
            for index in 0..live.max(12) {
                if index < live && index * (bytes as u64) < 300_000 {
                    wal.submit(slow, vec![entry(index)], None);
                }
                wal.submit(fast, vec![entry(index), Record::Purge { upto: index, payload: Bytes::new() }], None);
                let mut steps = 0;
                while wal.step().unwrap() {
                    steps += 1;
                    assert!(steps < 50, "{live} live entries of {bytes} bytes go round and round: {:?}", wal.metrics());
                }
            }
            let metrics = wal.metrics();
            assert!(metrics.segments <= 2 * metrics.live_bytes / (64 << 10) + 4, "{live} {bytes}: {metrics:?}");
        }
    }
}
