//! Founding, proposing, restarting, stopping: what a node with one member per group does all day.

#[path = "node/node.rs"]
mod node;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use node::{Checkpoints, Node, block_on, propose, texts};
use photondb_consensus::{ConsensusError, GroupState, Members, Options, ProposeError, Term};
use photondb_proto::{GroupId, MemberId};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::StreamId;

fn fresh() -> (SimulatedDisk, Checkpoints) {
    (SimulatedDisk::new(1), Checkpoints::default())
}

#[test]
fn a_sole_voter_leads_without_waiting_for_an_election_timeout() {
    let (disk, checkpoints) = fresh();
    for life in 1..=3 {
        let node = Node::open(&disk, &checkpoints).unwrap();
        let begun = Instant::now();
        let (group, machine, term) = block_on(node.lead(1));
        assert!(begun.elapsed() < Duration::from_secs(3), "elected after {:?}", begun.elapsed());
        assert_eq!((term, group.leading()), (Term(life), Some(Term(life))), "each life leads in a term of its own");
        assert_eq!(*machine.led.lock(), [Some(term)]);
        assert_eq!(machine.state.lock().positions.last().unwrap().term, term, "its first entry is applied");
        assert!(node.fatal.lock().is_empty());
    }
}

#[test]
fn who_looks_often_sees_what_has_changed_and_nothing_else() {
    let (disk, checkpoints) = fresh();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, _, term) = node.lead(1).await;
        let before = group.observe();
        propose(&group, term, "a").await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut seen = before.clone();
        while seen.applied == before.applied || group.observe_change(&seen).is_some() {
            if let Some(changed) = group.observe_change(&seen) {
                seen = changed;
            }
            assert!(Instant::now() < deadline, "an entry that was answered is not seen: {seen:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(seen, group.observe());
        let elsewhere = GroupState { members: Members::default(), ..seen.clone() };
        assert_eq!(group.observe_change(&elsewhere), Some(seen), "who belongs to it counts too");
    });
}

#[test]
fn what_was_proposed_comes_back_after_a_restart() {
    let (disk, checkpoints) = fresh();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        for (number, command) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(propose(&group, term, command).await.unwrap(), format!("{number}th"));
        }
        assert_eq!(texts(&machine.commands()), ["a", "b", "c"]);
    });
    node.kill();

    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        assert_eq!(texts(&machine.commands()), ["a", "b", "c"]);
        assert_eq!(propose(&group, term, "d").await.unwrap(), "3th");
    });
}

#[test]
fn a_stale_term_is_refused_and_nothing_is_appended() {
    let (disk, checkpoints) = fresh();
    let old = block_on(Node::open(&disk, &checkpoints).unwrap().lead(1)).2;
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        let end = |node: &Node| node.wal.state(StreamId(1)).unwrap().last_index;
        let before = end(&node);
        for asked in [Term(0), old, Term(term.0 + 1)] {
            let refused = propose(&group, asked, "x").await.unwrap_err();
            assert_eq!(
                refused,
                ProposeError::NotLeader { asked, led: Some(term), leader: Some((MemberId(1), node::NODE)) }
            );
            assert!(refused.is_known_not_proposed());
        }
        assert_eq!(end(&node), before);
        assert!(machine.commands().is_empty());
    });
}

#[test]
fn what_comes_together_may_be_more_than_the_log_takes_at_once() {
    let (disk, checkpoints) = fresh();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        // The group's thread waits for the machine, while more comes than a segment of the log holds.
        let held = machine.state.lock();
        let mut proposed = vec![group.propose(term, "first".into())];
        std::thread::sleep(Duration::from_millis(50));
        proposed.extend((0..600).map(|_| group.propose(term, vec![b'x'; 1 << 10].into())));
        drop(held);
        for outcome in tokio::time::timeout(node::PATIENCE, join_all(proposed)).await.unwrap() {
            outcome.unwrap();
        }
        assert_eq!(machine.commands().len(), 601);
        assert!(node.fatal.lock().is_empty(), "{:?}", node.fatal.lock());
    });
}

#[test]
fn proposals_enter_the_log_in_the_order_of_the_calls_and_share_syncs() {
    let (disk, checkpoints) = fresh();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        machine.batches.lock().clear();
        let before = disk.operations();
        let proposals: Vec<_> = (0..2000).map(|n| group.propose(term, format!("{n}").into())).collect();
        let outcomes = join_all(proposals).await;
        for (number, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome.unwrap(), format!("{number}th"));
        }
        let expected: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
        assert_eq!(texts(&machine.commands()), expected);
        let writes = disk.operations() - before;
        let batches = machine.batches.lock().len();
        assert!(writes < 400 && batches < 400, "{writes} disk operations, {batches} transactions for 2000 proposals");
    });
}

#[test]
fn groups_share_the_log_and_keep_apart() {
    let (disk, checkpoints) = fresh();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        for number in 1..=20 {
            let (group, _, term) = node.lead(number).await;
            propose(&group, term, format!("of {number}")).await.unwrap();
        }
    });
    node.kill();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        for number in 1..=20 {
            let (_, machine, _) = node.lead(number).await;
            assert_eq!(texts(&machine.commands()), [format!("of {number}")]);
        }
        assert_eq!(node.groups.list().len(), 20);
    });
}

#[test]
fn nothing_is_applied_once_a_group_has_stopped() {
    for pause in 0..60 {
        let (disk, checkpoints) = fresh();
        let node = Node::open_with(&disk, &checkpoints, node::patient(), Duration::from_micros(200)).unwrap();
        block_on(async {
            let (group, machine, term) = node.lead(1).await;
            let proposed: Vec<_> = (0..4_000).map(|_| group.propose(term, "x".into())).collect();
            std::thread::sleep(Duration::from_micros(100 * pause));
            node.groups.stop(GroupId(1)).await.unwrap();
            let applied = machine.commands().len();
            node.groups.erase(MemberId(1)).await.unwrap();
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(machine.commands().len(), applied, "stopped after {pause} pauses");
            drop(proposed);
        });
    }
}

#[test]
fn a_stopped_group_starts_again_in_the_same_process() {
    let (disk, checkpoints) = fresh();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        propose(&group, term, "a").await.unwrap();
        let twice = node.start(1).await.err().unwrap();
        assert!(matches!(twice, ConsensusError::AlreadyRunning { .. }), "{twice}");

        node.groups.stop(GroupId(1)).await.unwrap();
        assert_eq!(group.leading(), None);
        assert_eq!(*machine.led.lock(), [Some(term), None]);
        assert!(propose(&group, term, "b").await.unwrap_err().is_known_not_proposed());
        assert!(node.groups.find(GroupId(1)).is_none());
        assert!(matches!(node.groups.stop(GroupId(1)).await, Err(ConsensusError::NotRunning { .. })));

        let (_, machine, _) = node.lead(1).await;
        assert_eq!(texts(&machine.commands()), ["a"]);
        assert!(node.fatal.lock().is_empty(), "{:?}", node.fatal.lock());
    });
}

#[test]
fn an_idle_leader_keeps_its_lead() {
    let (disk, checkpoints) = fresh();
    let millis = Duration::from_millis;
    let quick = Options {
        heartbeat_interval: millis(20),
        election_timeout_min: millis(50),
        election_timeout_max: millis(70),
        lease: millis(40),
        ..Options::default()
    };
    let node = Node::open_with(&disk, &checkpoints, quick, Duration::ZERO).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        tokio::time::sleep(millis(500)).await;
        propose(&group, term, "late").await.unwrap();
        assert_eq!(*machine.led.lock(), [Some(term)]);
    });
}

#[test]
fn an_erased_member_never_comes_back() {
    let (disk, checkpoints) = fresh();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        node.lead(1).await;
        assert!(matches!(node.groups.erase(MemberId(1)).await, Err(ConsensusError::AlreadyRunning { .. })));
        node.groups.stop(GroupId(1)).await.unwrap();
        node.groups.erase(MemberId(1)).await.unwrap();
        assert!(matches!(node.start(1).await, Err(ConsensusError::Erased { member: MemberId(1) })));
    });
    node.kill();
    let node = Node::open(&disk, &checkpoints).unwrap();
    assert!(matches!(block_on(node.start(1)), Err(ConsensusError::Erased { .. })));
}

#[test]
fn a_command_larger_than_an_entry_is_refused() {
    let (disk, checkpoints) = fresh();
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, _, term) = node.lead(1).await;
        let refused = propose(&group, term, vec![0; (32 << 20) + 1]).await.unwrap_err();
        assert!(matches!(refused, ProposeError::TooLarge { .. }) && refused.is_known_not_proposed());
    });
}
