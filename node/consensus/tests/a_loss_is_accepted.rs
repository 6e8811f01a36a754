//! A member whose log was damaged is not started. When its loss is accepted it starts with what fits together, whatever was
//! lost and whatever its state machine has, and goes on: positions rise, nothing is applied twice, and it survives a kill.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "node/node.rs"]
mod node;

use node::{Checkpoints, Node, Toy, block_on, texts};
use photondb_consensus::{ConsensusError, accept_loss};
use photondb_proto::{GroupId, MemberId};
use photondb_storage::disk::Disk;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::{Lsn, StreamId, Wal, WalOptions};

const GROUP: GroupId = GroupId(1);
const MEMBER: MemberId = MemberId(1);

/// Lives of one node with one group; a checkpoint after `checkpoint` proposals of the first life.
fn lived(seed: u64, checkpoint: Option<usize>) -> (SimulatedDisk, Checkpoints, Vec<String>) {
    let (disk, checkpoints) = (SimulatedDisk::new(seed), Checkpoints::default());
    let mut proposed = Vec::new();
    for life in 0..3 {
        let node = Node::open(&disk, &checkpoints).unwrap();
        block_on(async {
            let (group, machine, term) = node.lead(1).await;
            for number in 0..12 {
                let command = format!("{life}.{number}");
                node::propose(&group, term, command.clone()).await.unwrap();
                proposed.push(command);
                if Some(proposed.len()) == checkpoint {
                    node.checkpoint(&machine).await;
                }
            }
        });
        node.wal.idle_mark().unwrap();
        node.kill();
    }
    (disk, checkpoints, proposed)
}

/// Accepts what is lost, as the offline command does. Whether there was anything.
fn accept(disk: &SimulatedDisk, checkpoints: &Checkpoints) -> Result<bool, ConsensusError> {
    let options = WalOptions { segment_bytes: 256 << 10, first_segment_bytes: 128 << 10, ..WalOptions::default() };
    let wal = Wal::open(std::sync::Arc::new(disk.clone()), options, Lsn::ZERO, 0).unwrap().0;
    let machine = Toy::recovered(checkpoints.lock().entry(GROUP).or_default());
    let applied = photondb_consensus::Replicated::applied(&*machine);
    let accepted = accept_loss(&wal, GROUP, MEMBER, &applied)?;
    wal.accept_lacking_streams(None);
    wal.close().unwrap();
    Ok(accepted.is_some())
}

fn segment(disk: &SimulatedDisk) -> String {
    Disk::list(disk).unwrap().into_iter().find(|name| name.starts_with("wal-")).unwrap()
}

/// Bytes of the log that hold something.
fn used(disk: &SimulatedDisk) -> Vec<u64> {
    let bytes = disk.bytes_of(&segment(disk)).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    (4096..=end as u64).collect()
}

/// Starts, compares, goes on, is killed, and again. Returns how many of the proposals are there.
fn goes_on(disk: &SimulatedDisk, checkpoints: &Checkpoints, proposed: &[String], what: &str) -> usize {
    let mut there: Option<Vec<String>> = None;
    for life in 0..3 {
        let node = Node::open(disk, checkpoints).unwrap();
        block_on(async {
            let (group, machine, term) = node.lead(1).await;
            let commands = machine.commands();
            let found = texts(&commands);
            match &there {
                None => assert_eq!(found, proposed[..found.len()], "{what}: what is there is a beginning"),
                Some(there) => assert_eq!(found, *there, "{what}, life {life}"),
            }
            let mut now: Vec<String> = found.into_iter().map(str::to_owned).collect();
            for number in 0..3 {
                let command = format!("after {life}.{number}");
                node::propose(&group, term, command.clone()).await.unwrap();
                now.push(command);
            }
            there = Some(now);
        });
        assert!(node.fatal.lock().is_empty(), "{what}: {:?}", node.fatal.lock());
        node.kill();
    }
    there.unwrap().len() - 9
}

#[test]
fn rot_anywhere_in_the_log_is_accepted_and_left_behind() {
    let (mut accepted, mut kept, mut most) = (0, std::collections::BTreeSet::new(), 0);
    for checkpoint in [None, Some(1), Some(9), Some(20), Some(36)] {
        let (disk, checkpoints, proposed) = lived(1, checkpoint);
        let used = used(&disk);
        let step = if std::env::var("PHOTONDB_TESTS").is_ok_and(|level| level == "full") { 7 } else { 151 };
        for at in used.iter().copied().step_by(step) {
            let what = format!("checkpoint {checkpoint:?}, byte {at}");
            let hurt = disk.fork(at);
            assert!(hurt.flip_bit(&segment(&disk), at));
            hurt.kill();
            // The checkpoint on its own, so that each run has its.
            let own = Checkpoints::default();
            let saved = checkpoints.lock().get(&GROUP).map(|state| state.lock().clone());
            own.lock().insert(GROUP, std::sync::Arc::new(parking_lot::Mutex::new(saved.unwrap_or_default())));
            let node = Node::open(&hurt, &own).unwrap();
            let started = block_on(node.start(1)).map(drop);
            node.kill();
            if started.is_ok() {
                continue;
            }
            let error = started.unwrap_err();
            assert!(matches!(error, ConsensusError::Suspect { .. }), "{what}: {error}");
            assert!(accept(&hurt, &own).unwrap(), "{what}");
            assert!(!accept(&hurt, &own).unwrap(), "{what}: a second time there is nothing to accept");
            accepted += 1;
            let left = goes_on(&hurt, &own, &proposed, &what);
            assert!(left >= checkpoint.unwrap_or(0), "{what}: what the checkpoint holds is there, not only {left}");
            kept.insert(left);
            most = most.max(left);
        }
    }
    println!("{accepted} losses accepted; of 36 proposals were left {kept:?}");
    assert!(accepted > 50 && kept.len() > 5 && most == 36, "{accepted} {kept:?}");
}

#[test]
fn a_lost_loss_is_accepted() {
    // Nothing at all is left of the member: it is not founded anew in silence.
    for checkpoint in [None, Some(7)] {
        let (disk, checkpoints, proposed) = lived(2, checkpoint);
        let name = segment(&disk);
        for at in used(&disk).into_iter().step_by(24) {
            disk.flip_bit(&name, at);
        }
        disk.kill();
        // A log without a single good record, behind a batch that says that it was durable: as a start that is named.
        let open = || {
            let options =
                WalOptions { segment_bytes: 256 << 10, first_segment_bytes: 128 << 10, ..WalOptions::default() };
            let end = *used(&disk).last().unwrap() & !7;
            Wal::open(std::sync::Arc::new(disk.clone()), options, Lsn::new(end), 0)
        };
        let (wal, states) = open().unwrap();
        assert!(states.is_empty() && wal.may_lack_streams());
        let machine = Toy::recovered(checkpoints.lock().entry(GROUP).or_default());
        let applied = photondb_consensus::Replicated::applied(&*machine);
        assert!(accept_loss(&wal, GROUP, MEMBER, &applied).unwrap().is_some());
        assert_eq!(wal.state(StreamId(1)).is_some_and(|state| state.purged.is_some()), checkpoint.is_some());
        wal.accept_lacking_streams(None);
        wal.close().unwrap();
        drop(wal);
        let left = goes_on(&disk, &checkpoints, &proposed, "all lost");
        assert_eq!(left, checkpoint.unwrap_or(0));
    }
}

#[test]
fn a_member_that_the_damaged_log_does_not_know_is_not_taken_for_a_new_one() {
    let (disk, checkpoints, _) = lived(3, None);
    let node = Node::open(&disk, &checkpoints).unwrap();
    assert!(!node.wal.may_lack_streams());
    block_on(node.lead(2));
    node.kill();
    // A byte in the middle of the log: whoever has nothing else in it may have lost all of it there.
    let places = used(&disk);
    assert!(disk.flip_bit(&segment(&disk), places[places.len() / 2]));
    disk.kill();
    let node = Node::open(&disk, &checkpoints).unwrap();
    let error = block_on(node.start(3)).err().expect("refused");
    assert!(matches!(&error, ConsensusError::Suspect { lost, .. } if lost.contains("has none of them")), "{error}");
    // One that is new by its number is none that was lost, now and after a restart.
    block_on(async {
        node.groups.begin(MemberId(4)).await.unwrap();
        node.lead(4).await;
    });
    node.kill();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(node.lead(4));
    assert!(block_on(node.start(3)).is_err());
    node.wal.accept_lacking_streams(None);
    block_on(node.lead(3));
}
