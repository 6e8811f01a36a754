//! A leader hands over at once, and answers no read in its term from the moment it begins to.

use std::time::Duration;

use crate::cluster::{Cluster, member};
use photondb_consensus::{ConsensusError, Successor};
use photondb_proto::NodeId;

#[test]
fn the_other_leads_and_the_old_one_has_no_lease_any_more() {
    for seed in 0..10 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        cluster.propose_many(leader, "a", 20);
        let (old, to) = (cluster.group(leader), 1 + leader % 3);
        assert_eq!(old.leading(), Some(term));
        let handing = old.transfer_leadership(member(to));
        let mut handing = std::pin::pin!(handing);
        let begun = cluster.within(Duration::from_millis(1), &mut handing);
        assert_eq!((old.leading(), old.led()), (None, None));
        if begun.is_none() {
            cluster.wait(handing).unwrap();
        }
        let took = cluster.run_until(Duration::from_secs(2), |cluster| !cluster.leaders().is_empty()).unwrap();
        assert!(took < Duration::from_millis(300), "without an election timeout: {took:?}");
        assert_eq!(cluster.leader().0, to);
        cluster.propose(to, "b");
        cluster.converge(&[to, 1, 2, 3]);
        assert_eq!(cluster.applied(leader).len(), 21);
        cluster.assert_healthy();
    }
}

#[test]
fn when_the_other_is_gone_somebody_leads_again() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        let (old, to) = (cluster.group(leader), 1 + leader % 3);
        cluster.crash(to);
        // Whoever is left may have been elected in the time that is waited, or not yet.
        let _ = cluster.wait(old.transfer_leadership(member(to)));
        let (_, later) = cluster.leader();
        assert!(later > term);
    }
}

#[test]
fn who_is_down_or_waits_after_its_start_is_not_heard() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, _) = cluster.leader();
        let (old, to) = (cluster.group(leader), 1 + leader % 3);
        cluster.propose_many(leader, "a", 20);
        cluster.run(Duration::from_millis(400));
        assert!((1..=3).all(|node| old.hears(member(node))));
        cluster.crash(to);
        cluster.run(Duration::from_millis(400));
        assert!(!old.hears(member(to)), "it is down");
        cluster.restart(to);
        cluster.run(Duration::from_millis(100));
        assert!(!old.hears(member(to)), "it waits");
        let heard = cluster.run_until(Duration::from_secs(3), |_| old.hears(member(to)));
        assert!(heard.is_some(), "it takes part again");
    }
}

#[test]
fn only_a_leader_hands_over_and_only_to_a_voter() {
    let mut cluster = Cluster::of_three(1);
    let (leader, term) = cluster.leader();
    let follower = cluster.group(1 + leader % 3);
    let refused = cluster.wait(follower.transfer_leadership(member(leader))).unwrap_err();
    assert!(matches!(refused, ConsensusError::NotLeader { .. }), "{refused}");
    let old = cluster.group(leader);
    let refused = cluster.wait(old.transfer_leadership(member(9))).unwrap_err();
    assert!(matches!(refused, ConsensusError::NotAMembership { .. }), "{refused}");
    assert_eq!(old.leading(), Some(term));
}

#[test]
fn who_is_about_to_stop_hands_over_without_an_election_and_says_who_could_not() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        cluster.propose_many(leader, "a", 20);
        let (old, to) = (cluster.group(leader), 1 + leader % 3);
        old.retire();
        assert_eq!(old.leading(), Some(term), "nobody was named yet");
        assert!(!cluster.wait(old.hand_over(|| async { Successor::Nobody })));
        assert_eq!(old.leading(), Some(term), "nobody else can");
        let mut asked = 0;
        let choose = || {
            asked += 1;
            let is = if asked < 3 { Successor::NotYet } else { Successor::Is(member(to)) };
            async move { is }
        };
        let handed = cluster.within(Duration::from_millis(300), old.hand_over(choose));
        assert_eq!(handed, Some(true), "without an election timeout");
        assert_eq!(cluster.leader().0, to);
        // Who does not lead has nothing to hand over.
        assert_eq!(
            cluster.within(Duration::from_millis(50), old.hand_over(|| async { Successor::NotYet })),
            Some(true)
        );
        cluster.propose(to, "b");
        cluster.assert_healthy();
    }
}

#[test]
fn who_is_about_to_stop_is_not_elected_where_another_can_be() {
    for seed in 0..10 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, _) = cluster.leader();
        cluster.propose_many(leader, "a", 20);
        let retiring = 1 + leader % 3;
        cluster.group(retiring).retire();
        cluster.run(Duration::from_millis(400));
        cluster.crash(leader);
        assert_eq!(cluster.leader().0, 6 - leader - retiring, "seed {seed}");
    }
}

#[test]
fn who_is_about_to_stop_is_elected_when_nobody_else_can_be() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        let (retiring, lagging) = (1 + leader % 3, 1 + (leader + 1) % 3);
        cluster.run(Duration::from_millis(400));
        cluster.crash(lagging);
        // The third never hears of it: without the one that retires it is lost.
        cluster.propose_many(leader, "a", 20);
        cluster.group(retiring).retire();
        cluster.run(Duration::from_millis(400));
        cluster.crash(leader);
        assert!(cluster.start(lagging) && cluster.join(lagging));
        let (elected, later) = cluster.leader();
        assert_eq!(elected, retiring, "seed {seed}");
        assert!(later > term);
    }
}

#[test]
fn who_is_about_to_stop_waits_for_one_that_was_started_a_moment_ago() {
    for seed in 0..5 {
        for leads in [true, false] {
            let mut cluster = Cluster::of_three(seed);
            let (leader, term) = cluster.leader();
            let (started, other) = (1 + leader % 3, 1 + (leader + 1) % 3);
            let (stopped, leader) = if leads { (leader, other) } else { (other, leader) };
            cluster.propose_many(if leads { stopped } else { leader }, "a", 20);
            cluster.crash(started);
            (0..5)
                .for_each(|part| cluster.propose_many(if leads { stopped } else { leader }, &format!("b{part}."), 100));
            cluster.restart(started);
            let old = cluster.group(stopped);
            old.retire();
            let handing = old.hand_over(|| async { Successor::Is(member(leader)) });
            assert_eq!(cluster.within(Duration::from_secs(3), handing), Some(true));
            let last = |node| cluster.group(node).observe().last.map_or(0, |last| last.index);
            assert!(last(started) + 2 >= last(leader), "seed {seed}, leads: {leads}");
            cluster.stop(stopped);
            // Without a majority nobody would apply the first entry of the term before the other takes part.
            let took = cluster
                .run_until(Duration::from_secs(2), |cluster| cluster.leaders().iter().any(|(node, _)| *node == leader));
            assert!(
                took.is_some_and(|took| took < Duration::from_millis(300)),
                "seed {seed}, leads: {leads}: {took:?}"
            );
            let (found, later) = cluster.leader();
            assert_eq!((found, later.0 - term.0), (leader, u64::from(leads)), "seed {seed}, leads: {leads}");
            let begun = cluster.group(leader);
            let proposed = cluster.within(Duration::from_millis(300), begun.propose(later, "b".into()));
            assert!(proposed.is_some_and(|outcome| outcome.is_ok()), "seed {seed}, leads: {leads}");
            cluster.assert_healthy();
        }
    }
}

#[test]
fn who_is_about_to_stop_waits_for_nobody_who_is_down() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, _) = cluster.leader();
        let (down, other) = (1 + leader % 3, 1 + (leader + 1) % 3);
        cluster.propose_many(leader, "a", 20);
        cluster.crash(down);
        let old = cluster.group(leader);
        old.retire();
        let handing = old.hand_over(|| async { Successor::Is(member(other)) });
        assert_eq!(cluster.within(Duration::from_millis(700), handing), Some(true), "seed {seed}");
    }
}

#[test]
fn who_has_no_vote_is_missed_by_nobody() {
    for seed in 0..5 {
        let mut cluster = Cluster::new(4, seed);
        cluster.found(&[1, 2, 3]);
        let (leader, _) = cluster.leader();
        assert!(cluster.join(4));
        let group = cluster.group(leader);
        cluster.wait(group.add_learner(member(4), NodeId(4))).unwrap();
        cluster.converge(&[leader, 4]);
        // For an election timeout two of three take no part, with the learner or without it.
        for voter in (1..=3).filter(|voter| *voter != leader) {
            cluster.restart(voter);
        }
        let learner = cluster.group(4);
        learner.retire();
        let handing = learner.hand_over(|| async { Successor::Nobody });
        assert_eq!(cluster.within(Duration::from_millis(200), handing), Some(true), "seed {seed}");
    }
}

#[test]
fn who_lets_one_lead_that_dies_just_then_does_not_wait_for_it_for_ever() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, _) = cluster.leader();
        let (other, third) = (1 + leader % 3, 1 + (leader + 1) % 3);
        cluster.propose_many(leader, "a", 20);
        cluster.run(Duration::from_millis(400));
        cluster.crash(third);
        cluster.crash(other);
        let old = cluster.group(leader);
        old.retire();
        // The two could be said to be heard still.
        let handing = old.hand_over(|| async { Successor::Is(member(other)) });
        assert_eq!(cluster.within(Duration::from_secs(4), handing), Some(true), "seed {seed}");
        assert!(cluster.leaders().is_empty());
    }
}
