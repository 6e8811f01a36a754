//! A group begins with what the members of another one have, and goes on from the position at which that was.

use std::time::Duration;

use crate::cluster::{Cluster, founders, member};
use crate::node::State;
use bytes::Bytes;
use photondb_consensus::{Applied, Birth, LogPosition, Term};
use photondb_storage::wal::StreamId;

fn birth() -> Birth {
    Birth { at: LogPosition { term: Term(4), index: 1 }, founders: founders(&[1, 2, 3]) }
}

/// Three nodes whose machines hold two commands of another group, durably.
fn with_state(seed: u64) -> Cluster {
    let cluster = Cluster::new(3, seed);
    for node in 1..=3 {
        let machine = cluster.machine(node);
        let positions = vec![LogPosition { term: Term(3), index: 0 }, birth().at];
        let commands = vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let applied = Applied { consensus: birth().consensus() };
        *machine.state.lock() = State { applied, commands, positions };
        machine.take_checkpoint();
    }
    cluster
}

#[test]
fn three_go_on_from_where_another_group_was() {
    for seed in 0..6 {
        let mut cluster = with_state(seed);
        for node in 1..=3 {
            assert!(cluster.bear(node, &birth()));
        }
        let took = cluster.run_until(Duration::from_secs(5), |cluster| !cluster.leaders().is_empty());
        assert!(took.expect("one is elected") < Duration::from_millis(600), "nobody waits for what nobody promised");
        let (leader, term) = cluster.leader();
        assert!(term > birth().at.term, "terms do not fall");
        cluster.propose(leader, "c");
        cluster.converge(&[leader, 1, 2, 3]);
        assert_eq!(cluster.applied(1), ["a", "b", "c"]);
        let positions = cluster.machine(1).state.lock().positions.clone();
        assert!(positions.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "{positions:?}");
        // One that lost power comes back with what it had promised and appended, and with the state it began with.
        cluster.restart(1 + leader % 3);
        cluster.propose(leader, "d");
        cluster.converge(&[leader, 1, 2, 3]);
        assert_eq!(cluster.applied(1 + leader % 3), ["a", "b", "c", "d"]);
        cluster.assert_healthy();
    }
}

#[test]
fn who_is_borne_again_keeps_its_log_and_waits() {
    let mut cluster = with_state(9);
    for node in 1..=3 {
        cluster.bear(node, &birth());
    }
    let (leader, _) = cluster.leader();
    cluster.propose_many(leader, "c", 5);
    let victim = 1 + leader % 3;
    let vote = cluster.wal(victim).state(StreamId(member(victim).0)).unwrap().vote;
    cluster.crash(victim);
    assert!(cluster.start(victim));
    assert!(!cluster.bear(victim, &birth()), "it has a log");
    assert_eq!(cluster.wal(victim).state(StreamId(member(victim).0)).unwrap().vote, vote);
    cluster.converge(&[leader, 1, 2, 3]);
    assert_eq!(cluster.applied(victim).len(), 7);
    cluster.assert_healthy();
}

#[test]
fn a_majority_of_those_who_are_borne_is_enough() {
    let mut cluster = with_state(3);
    cluster.bear(1, &birth());
    cluster.run(Duration::from_secs(3));
    assert!(cluster.leaders().is_empty(), "one of three is no majority");
    cluster.bear(2, &birth());
    let (leader, _) = cluster.leader();
    cluster.propose(leader, "c");
    // The third comes late, and catches up from the log.
    cluster.bear(3, &birth());
    cluster.converge(&[leader, 1, 2, 3]);
    assert_eq!(cluster.applied(3), ["a", "b", "c"]);
    cluster.assert_healthy();
}
