//! P1 and P3 for one node: whatever moment the power goes, what was acknowledged is there, once, in order; and nobody
//! votes twice in a term.
//!
//! The run is cut at every I/O operation in turn (a sample of them by default, all under `PHOTONDB_TESTS=full`).
//! `PHOTONDB_SEED` chooses the disk's randomness.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "node/node.rs"]
mod node;

use std::time::Duration;

use bytes::Bytes;
use node::{Checkpoints, Node, PATIENCE, block_on, patient, texts};
use photondb_consensus::ConsensusError;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Record, StreamId};

const ROUNDS: usize = 12;

/// Long enough for a member that acknowledges too early to get ahead of its disk.
const LATENCY: Duration = Duration::from_millis(1);

/// What one life has seen. `proposed` may go further than `acknowledged`.
#[derive(Default)]
struct Seen {
    proposed: Vec<String>,
    acknowledged: usize,
    vote: Option<Bytes>,
}

/// Proposes until the work is done or the disk is gone.
async fn work(node: &Node, seen: &mut Seen, life: usize) -> Result<(), ConsensusError> {
    let (group, machine) = node.start(1).await?;
    let term = group.wait_leading(Duration::from_millis(500)).await?;
    let before = machine.commands();
    assert!(before.len() >= seen.acknowledged, "an acknowledged proposal is gone");
    assert_eq!(texts(&before), seen.proposed[..before.len()], "in order, and nothing twice");
    // What was not acknowledged and did not survive has never been.
    seen.proposed.truncate(before.len());
    seen.acknowledged = before.len();
    for round in 0..ROUNDS {
        // Proposals of one life are pipelined, two at a time.
        let commands = [format!("{life}.{round}.a"), format!("{life}.{round}.b")];
        let outcomes = commands.map(|command| {
            seen.proposed.push(command.clone());
            group.propose(term, command.into())
        });
        for outcome in outcomes {
            match tokio::time::timeout(Duration::from_millis(500), outcome).await {
                Ok(Ok(_)) => seen.acknowledged += 1,
                _ => return Ok(()),
            }
        }
        if round % 5 == 4 {
            let (done, wait) = tokio::sync::oneshot::channel();
            node.wal.barrier(Box::new(move |result| drop(done.send(result))));
            if !matches!(tokio::time::timeout(PATIENCE, wait).await, Ok(Ok(Ok(())))) {
                return Ok(());
            }
            machine.take_checkpoint();
            if tokio::time::timeout(Duration::from_millis(500), group.purge_behind()).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn term_of(vote: &Bytes) -> (u64, u8) {
    // The layout that `format.rs` fixes: version, committed, term, member.
    (u64::from_le_bytes(vote[2..10].try_into().unwrap()), vote[1])
}

fn cut_at(operation: u64, seed: u64) -> bool {
    let (disk, checkpoints) = (SimulatedDisk::new(seed), Checkpoints::default());
    let mut seen = Seen::default();
    let mut struck = false;
    for life in 0..4 {
        // The second life, which recovers from the first one's end, is cut as well.
        match life {
            0 => disk.crash_at(operation),
            1 => disk.crash_at((operation * 5 + seed) % 25),
            _ => {}
        }
        if let Ok(node) = Node::open_with(&disk, &checkpoints, patient(), LATENCY) {
            if let Some(known) = &seen.vote {
                let found = node.wal.state(StreamId(1)).and_then(|state| state.vote).expect("a durable vote stays");
                assert!(term_of(&found) >= term_of(known), "a durable vote regressed");
            }
            let result = block_on(work(&node, &mut seen, life));
            if !disk.is_crashed() {
                result.unwrap();
                assert!(node.fatal.lock().is_empty(), "{:?}", node.fatal.lock());
                // The member has answered under this vote, so it is durable.
                seen.vote = node.wal.state(StreamId(1)).and_then(|state| state.vote);
            }
            node.kill();
        }
        struck |= life == 0 && disk.is_crashed();
        if disk.is_crashed() { disk.restart() } else { disk.crash() }
    }
    assert!(seen.acknowledged >= 2 * ROUNDS, "the last life worked");
    struck
}

#[test]
fn the_power_may_go_at_any_operation() {
    let full = std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full");
    let seed = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed);
    println!("PHOTONDB_SEED={seed}");
    let stride = if full { 1 } else { 7 };
    let mut operation = 0;
    while cut_at(operation, seed + operation) {
        operation += stride;
    }
    println!("cut at {} operations", operation / stride);
    assert!(operation > 30, "the run is long enough to be worth cutting");
}

#[test]
fn a_failed_sync_ends_the_node() {
    let (disk, checkpoints) = (SimulatedDisk::new(4), Checkpoints::default());
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, _, term) = node.lead(1).await;
        disk.fail_sync_after(0);
        let outcome = tokio::time::timeout(PATIENCE, group.propose(term, "x".into())).await.unwrap();
        let error = outcome.unwrap_err();
        assert!(!error.is_known_not_proposed(), "{error}");
    });
    assert!(!node.fatal.lock().is_empty());
}

#[test]
fn a_state_machine_that_refuses_an_entry_ends_the_node() {
    let (disk, checkpoints) = (SimulatedDisk::new(5), Checkpoints::default());
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, _, term) = node.lead(1).await;
        let outcome = tokio::time::timeout(PATIENCE, group.propose(term, "refuse".into())).await.unwrap();
        assert!(!outcome.unwrap_err().is_known_not_proposed());
    });
    assert!(node.fatal.lock()[0].contains("told to refuse"));
}

#[test]
fn a_damaged_log_is_not_opened_and_says_so() {
    let (disk, checkpoints) = (SimulatedDisk::new(6), Checkpoints::default());
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, _, term) = node.lead(1).await;
        for number in 0..50 {
            node::propose(&group, term, format!("{number} {}", "x".repeat(500))).await.unwrap();
        }
    });
    node.wal.idle_mark().unwrap();
    node.kill();
    let name =
        photondb_storage::disk::Disk::list(&disk).unwrap().into_iter().find(|name| name.contains("wal")).unwrap();
    assert!(disk.flip_bit(&name, 12_000));
    let node = Node::open(&disk, &checkpoints).unwrap();
    let error = block_on(node.start(1)).err().expect("refused");
    assert!(matches!(error, ConsensusError::Suspect { .. }), "{error}");
}

#[test]
fn a_lost_log_is_not_taken_for_a_new_one() {
    let (disk, checkpoints) = (SimulatedDisk::new(7), Checkpoints::default());
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        node::propose(&group, term, "a").await.unwrap();
        node.checkpoint(&machine).await;
    });
    node.kill();
    let other = SimulatedDisk::new(8);
    let node = Node::open(&other, &checkpoints).unwrap();
    let error = block_on(node.start(1)).err().expect("refused");
    assert!(matches!(error, ConsensusError::LogMissing { .. }), "{error}");
}

#[test]
fn a_truncated_tail_does_not_come_back() {
    // What another member's leader would have this one do: append, truncate, append over it. The log store's own
    // records, replayed by the WAL.
    let disk = SimulatedDisk::new(9);
    let checkpoints = Checkpoints::default();
    let node = Node::open(&disk, &checkpoints).unwrap();
    let entry =
        |index, term, text: &'static str| Record::Entry { index, term, payload: Bytes::from_static(text.as_bytes()) };
    let stream = StreamId(9);
    let submit = |records| {
        block_on(async {
            let (done, wait) = tokio::sync::oneshot::channel();
            node.wal.submit(stream, records, Some(Box::new(move |result| drop(done.send(result)))));
            wait.await.unwrap().unwrap();
        });
    };
    submit(vec![entry(0, 0, "a"), entry(1, 1, "b"), entry(2, 1, "c")]);
    submit(vec![Record::Truncate { from: 1 }, entry(1, 2, "d")]);
    node.kill();
    disk.crash();
    let node = Node::open(&disk, &checkpoints).unwrap();
    let found = node.wal.read(stream, 0, 10, usize::MAX).unwrap();
    let found: Vec<_> = found.iter().map(|entry| (entry.index, entry.term, &entry.payload[..])).collect();
    assert_eq!(found, [(0, 0, &b"a"[..]), (1, 2, &b"d"[..])]);
}
