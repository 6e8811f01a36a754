//! Without faults the log is a map of plain vectors, whatever is rolled over, moved, recycled and reopened meanwhile.

#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use model::{History, Model, full, open, seed};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::StreamState;

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
