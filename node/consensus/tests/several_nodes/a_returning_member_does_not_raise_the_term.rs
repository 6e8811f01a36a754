//! Pre-vote: who could not win an election does not begin one.

use std::time::Duration;

use crate::cluster::Cluster;
use photondb_storage::fault::probe::take_reached;

#[test]
fn a_member_that_was_cut_off_finds_its_leader_as_it_was() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        let away = 1 + leader % 3;
        cluster.isolate(away, true);
        cluster.run(Duration::from_secs(8));
        assert_eq!(cluster.group(away).observe().term, term);
        cluster.propose(leader, "meanwhile");
        cluster.isolate(away, false);
        cluster.run(Duration::from_secs(3));
        assert_eq!(cluster.leaders(), [(leader, term)]);
        assert_eq!(cluster.applied(away), ["meanwhile"]);
    }
}

#[test]
fn a_member_that_hears_nobody_but_is_heard_disturbs_nobody() {
    let mut cluster = Cluster::of_three(7);
    let (leader, term) = cluster.leader();
    let deaf = 1 + leader % 3;
    for other in (1..=3).filter(|node| *node != deaf) {
        cluster.cut(other, deaf, true);
    }
    cluster.run(Duration::from_secs(8));
    assert_eq!(cluster.leaders(), [(leader, term)]);
}

#[test]
fn who_could_not_answer_a_leader_yet_does_not_stand_beside_it() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        let away = 1 + leader % 3;
        cluster.restart(away);
        // It is told that there is a leader, and is not bound by its last life any more when it hears of nobody.
        cluster.run(Duration::from_millis(600));
        for other in (1..=3).filter(|node| *node != away) {
            cluster.cut(other, away, true);
        }
        take_reached();
        cluster.run(Duration::from_millis(400));
        let refused = || take_reached().contains_key("vote refused by pre-vote");
        assert!(!refused(), "seed {seed}: an election timeout after the leader's word it may stand, not before");
        cluster.run(Duration::from_secs(1));
        assert!(refused(), "seed {seed}: it stands");
        assert_eq!(cluster.leaders(), [(leader, term)]);
    }
}
