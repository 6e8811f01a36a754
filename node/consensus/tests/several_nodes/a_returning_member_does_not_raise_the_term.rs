//! Pre-vote: who could not win an election does not begin one.

use std::time::Duration;

use crate::cluster::Cluster;

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
