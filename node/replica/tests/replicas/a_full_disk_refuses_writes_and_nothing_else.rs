//! A disk that fills up: writes are refused with a clear error, reads go on, no group ends; with space they work again.

use crate::parts::{Parts, TABLE, datum, options, start, start_on, start_with};
use photondb_cluster_state::{Command, apply};
use photondb_storage::EngineOptions;
use photondb_storage::disk::simulated::SimulatedDisk;

/// Writes until one is refused; gives how many were acknowledged.
fn fill(parts: &Parts, from: u64) -> u64 {
    for id in from..from + 10_000 {
        if let Err(error) = parts.write(id, 10_000) {
            assert!(error.contains("full") && error.contains("nothing was written"), "{error}");
            return id;
        }
    }
    panic!("the disk never filled");
}

#[test]
fn writes_are_refused_reads_go_on_and_space_mends_it() {
    let disk = SimulatedDisk::new(11);
    let parts = start(&disk);
    parts.write(0, 100).expect("there is space");
    disk.set_capacity(disk.used_bytes() + (3 << 20));
    let end = fill(&parts, 1);
    assert!(end > 50, "{end}");
    for _ in 0..50 {
        assert!(parts.write(end, 10_000).is_err());
        assert!(parts.has(0) && parts.has(end - 1) && !parts.has(end));
    }
    // A checkpoint fails for the same reason, and changes nothing.
    assert!(parts.engine.checkpoint().expect_err("no space").is_full());
    // A restart on the full disk serves what was acknowledged.
    drop(parts);
    disk.crash();
    let parts = start(&disk);
    assert!((0..end).all(|id| parts.has(id)) && !parts.has(end));
    disk.set_capacity(u64::MAX);
    parts.checkpoint_and_purge();
    let mut attempts = 0;
    while parts.write(end, 10_000).is_err() {
        attempts += 1;
        assert!(attempts < 1_000, "writes never work again");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!((0..=end).all(|id| parts.has(id)));
}

#[test]
fn a_failing_checkpoint_refuses_writes_until_one_succeeds() {
    let disk = SimulatedDisk::new(12);
    let parts = start(&disk);
    parts.write(0, 100_000).expect("there is space");
    disk.set_capacity(disk.used_bytes());
    assert!(parts.engine.checkpoint().expect_err("no space").is_full());
    let error = parts.write(1, 10).expect_err("memory must not grow without end");
    assert!(error.contains("full"), "{error}");
    disk.set_capacity(u64::MAX);
    parts.engine.checkpoint().expect("there is space");
    parts.write(1, 10).expect("there is space");
}

#[test]
fn one_request_larger_than_an_entry_is_written_in_several() {
    let disk = SimulatedDisk::new(13);
    let parts = start_with(&disk, EngineOptions::default());
    let text: String = std::iter::repeat_n('x', 12 << 20).collect();
    let documents = (0..4).map(|id| (id, datum(&format!(r#"{{"id":{id},"text":"{text}"}}"#)))).collect::<Vec<_>>();
    parts.write_all(documents).expect("is cut");
    assert!((0..4).all(|id| parts.has(id)));
}

#[test]
fn each_document_of_a_request_that_a_full_disk_cuts_short_is_answered_for_itself() {
    let text: String = std::iter::repeat_n('x', 6 << 20).collect();
    let mut cut_short = 0;
    for room_mib in [30, 45, 60, 75, 90] {
        let disk = SimulatedDisk::new(15);
        let parts = start_with(&disk, EngineOptions::default());
        disk.set_capacity(disk.used_bytes() + (room_mib << 20));
        // More than an entry holds: the request is several.
        let documents = (0..12).map(|id| (id, datum(&format!(r#"{{"id":{id},"text":"{text}"}}"#)))).collect();
        let Ok(said) = parts.write_each(documents) else {
            assert!((0..12).all(|id| !parts.has(id)), "a request that was refused as a whole has written something");
            continue;
        };
        for (id, said) in said.iter().enumerate() {
            assert_eq!(parts.has(id as u64), said.is_ok(), "{room_mib} MiB, document {id}: {said:?}");
        }
        cut_short += u64::from(said.iter().any(Result::is_ok) && said.iter().any(Result::is_err));
    }
    assert!(cut_short > 0, "no request was cut short");
}

#[test]
fn the_log_of_a_table_dropped_before_a_crash_is_erased_after_it() {
    let disk = SimulatedDisk::new(14);
    let mut parts = start(&disk);
    parts.write(0, 100).expect("there is space");
    let member = parts.state.tables().next().expect("the table").shards[0].members[0].id;
    let live = |parts: &Parts| parts.engine.wal().states().iter().any(|(id, log)| id.0 == member.0 && !log.erased);
    assert!(live(&parts));
    // The cluster state dropped the table, and the node ended before it obeyed.
    let drop_table = Command::DropTable { id: TABLE };
    apply(&mut parts.state, &drop_table).expect("the table is there");
    let state = parts.state.clone();
    drop(parts);
    disk.crash();
    let parts = start_on(&disk, options(), state);
    assert!(!live(&parts), "its log would be carried forward for ever");
    assert!(parts.engine.tree_sets().is_empty());
}
