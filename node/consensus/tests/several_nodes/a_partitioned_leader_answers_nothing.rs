//! A leader that nobody hears answers no read once its lease has run out, before anybody else can be elected; and what it
//! appended alone is gone when it returns.

use std::time::Duration;

use crate::cluster::{Cluster, member};
use photondb_consensus::{ConsensusError, limits};

fn others(leader: u64) -> [u64; 2] {
    [1 + leader % 3, 1 + (leader + 1) % 3]
}

#[test]
fn its_lease_ends_before_another_leads_and_its_own_entries_are_truncated() {
    for seed in 0..10 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        cluster.propose_many(leader, "a", 10);
        let old = cluster.group(leader);
        cluster.isolate(leader, true);
        let doomed = old.propose(term, "doomed".into());
        let held = cluster.run_until(Duration::from_secs(2), |_| old.leading().is_none()).unwrap();
        assert!(held <= limits::LEASE, "{held:?}");
        assert!(cluster.leaders().is_empty(), "nobody else yet");
        let (next, _) = cluster.leader_among(&others(leader));
        assert_eq!(old.leading(), None);
        cluster.propose(next, "kept");
        assert!(old.observe().last > old.observe().applied, "there is something to truncate");
        cluster.isolate(leader, false);
        cluster.converge(&[next, 1, 2, 3]);
        let applied = cluster.applied(leader);
        assert_eq!((applied.len(), applied.last().unwrap().as_str()), (11, "kept"));
        let outcome = cluster.wait(doomed).unwrap_err();
        assert!(!outcome.is_known_not_proposed(), "{outcome}");
        cluster.assert_healthy();
    }
}

#[test]
fn a_leader_that_stood_still_serves_no_stale_read() {
    for seed in 0..10 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        cluster.propose(leader, "old");
        let old = cluster.group(leader);
        assert_eq!(old.leading(), Some(term));
        // Its runtime does not go on; its clock does, as a machine's does in its sleep.
        cluster.pause(leader, true);
        let (next, _) = cluster.leader_among(&others(leader));
        cluster.propose(next, "new");
        assert_eq!(old.leading(), None, "the first thing a reader sees when it goes on");
        cluster.pause(leader, false);
        for _ in 0..2000 {
            // As a read does: the term, the state, the term again.
            if let Some(before) = old.leading() {
                let state = cluster.applied(leader);
                if old.leading() == Some(before) {
                    assert!(state.contains(&"new".to_owned()), "a stale read");
                }
            }
            cluster.run(Duration::from_millis(1));
        }
        cluster.converge(&[next, leader]);
        cluster.assert_healthy();
    }
}

#[test]
fn clocks_that_drift_within_the_bound_change_nothing() {
    for seed in 0..6 {
        let mut cluster = Cluster::with_rates(&[0.76, 1.24, 1.24], seed);
        cluster.found(&[1, 2, 3]);
        let (first, _) = cluster.leader();
        if first != 1 {
            cluster.wait(cluster.group(first).transfer_leadership(member(1))).unwrap();
        }
        // The slowest clock leads: its lease lasts longest, and the others' promises are shortest.
        cluster.leader_among(&[1]);
        cluster.propose(1, "a");
        cluster.isolate(1, true);
        let (next, _) = cluster.leader_among(&[2, 3]);
        cluster.propose(next, "b");
        cluster.isolate(1, false);
        cluster.converge(&[next, 1, 2, 3]);
        assert_eq!(cluster.applied(1), ["a", "b"]);
        cluster.assert_healthy();
    }
}

#[test]
fn a_leader_that_is_heard_by_one_follower_goes_on() {
    let mut cluster = Cluster::of_three(5);
    let (leader, term) = cluster.leader();
    let [far, near] = others(leader);
    cluster.cut(leader, far, true);
    cluster.cut(far, leader, true);
    for number in 0..20 {
        cluster.propose(leader, format!("{number}"));
        cluster.run(Duration::from_millis(250));
        assert_eq!(cluster.leaders(), [(leader, term)], "the far one's pre-votes are not granted");
    }
    cluster.converge(&[leader, near]);
    assert_eq!(cluster.applied(far).len(), 0);
}

#[test]
fn a_read_index_is_confirmed_by_a_quorum_or_not_at_all() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        let [follower, _] = others(leader);
        cluster.propose_many(leader, "a", 10);
        let asked = (0..50).map(|_| {
            let group = cluster.group(leader);
            async move { group.confirm_leading().await.unwrap() }
        });
        let confirmed = cluster.wait(futures_util::future::join_all(asked));
        assert!(confirmed.iter().all(|found| *found == term));
        assert_eq!(cluster.applied(leader).len(), 10);
        let group = cluster.group(follower);
        let refused = cluster.wait(group.confirm_leading()).unwrap_err();
        assert!(matches!(refused, ConsensusError::NotLeader { leader: Some(_), .. }), "{refused}");

        let old = cluster.group(leader);
        cluster.isolate(leader, true);
        let alone = cluster.wait(old.confirm_leading()).unwrap_err();
        assert!(matches!(alone, ConsensusError::NotLeader { .. } | ConsensusError::Timeout { .. }), "{alone}");
        let (next, later) = cluster.leader_among(&others(leader));
        cluster.propose(next, "b");
        let group = cluster.group(next);
        assert_eq!(cluster.wait(group.confirm_leading()).unwrap(), later);
        assert_eq!(cluster.applied(next).len(), 11);
    }
}
