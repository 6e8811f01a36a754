//! A member that was away gets what it lacks from the log while the log has it, and by a snapshot from then on.

use std::time::Duration;

use photondb_proto::NodeId;

use crate::cluster::{Cluster, GROUP, member};
use crate::network::Link;

#[test]
fn by_the_log() {
    let mut cluster = Cluster::of_three(1);
    let (leader, _) = cluster.leader();
    let away = 1 + leader % 3;
    cluster.crash(away);
    cluster.propose_many(leader, "a", 200);
    assert!(cluster.start(away) && cluster.join(away));
    cluster.converge(&[leader, away]);
    assert_eq!(cluster.applied(away).len(), 200);
    assert_eq!(cluster.snapshots_sent(), 0);
    cluster.assert_healthy();
}

#[test]
fn the_log_is_kept_for_a_member_that_was_heard_of() {
    let mut cluster = Cluster::of_three(2);
    let (leader, _) = cluster.leader();
    let away = 1 + leader % 3;
    cluster.propose_many(leader, "a", 20);
    cluster.converge(&[leader, away]);
    cluster.isolate(away, true);
    cluster.propose_many(leader, "b", 200);
    cluster.checkpoint(leader);
    let purged = cluster.group(leader).observe().purged;
    assert!(purged <= cluster.group(away).observe().last, "{purged:?}");
    cluster.isolate(away, false);
    cluster.converge(&[leader, away]);
    assert_eq!(cluster.snapshots_sent(), 0);
    // Nobody lacks anything: now it goes.
    cluster.checkpoint(leader);
    let seen = cluster.group(leader).observe();
    assert!(seen.purged > purged && seen.purged == seen.applied, "{seen:?}");
}

/// A cluster whose leader has purged what the node `away`, which is down, has not got.
pub(super) fn purged_past(seed: u64) -> (Cluster, u64, u64) {
    let mut cluster = Cluster::of_three(seed);
    let (first, _) = cluster.leader();
    let (away, leader) = (1 + first % 3, 1 + (first + 1) % 3);
    cluster.propose(first, vec![b'x'; 700 << 10]);
    cluster.propose_many(first, "a", 100);
    cluster.converge(&[1, 2, 3]);
    cluster.crash(away);
    // The next leader has never heard of it.
    cluster.wait(cluster.group(first).transfer_leadership(member(leader))).unwrap();
    cluster.leader_among(&[leader]);
    cluster.propose_many(leader, "b", 100);
    cluster.checkpoint(leader);
    let seen = cluster.group(leader).observe();
    assert_eq!(seen.purged, seen.applied);
    (cluster, leader, away)
}

#[test]
fn past_the_purge_by_a_snapshot() {
    for seed in 0..5 {
        let (mut cluster, leader, away) = purged_past(seed);
        assert!(cluster.start(away) && cluster.join(away));
        cluster.converge(&[leader, away]);
        // A first one may have been offered while the member said nothing yet.
        let sent = cluster.snapshots_sent();
        assert!(sent >= 1);
        assert_eq!(cluster.applied(away).len(), 201);
        // It goes on with the log, and has kept everything when it comes back.
        cluster.propose_many(leader, "c", 20);
        cluster.converge(&[leader, away]);
        cluster.restart(away);
        cluster.converge(&[leader, away]);
        assert_eq!(cluster.applied(away).len(), 221);
        assert_eq!(cluster.snapshots_sent(), sent, "the log was enough");
        assert!(!cluster.disk_names(away).iter().any(|name| name.starts_with("spool-")));
        cluster.assert_healthy();
    }
}

#[test]
fn a_snapshot_is_listed_by_its_sender_for_as_long_as_it_takes() {
    let (mut cluster, leader, away) = purged_past(7);
    let slow = Link { delay: Duration::from_millis(2), ..Link::default() };
    cluster.network.set(leader.into(), away.into(), slow);
    assert!(cluster.transfers(leader).is_empty());
    assert!(cluster.start(away) && cluster.join(away));
    let is_half_done =
        |cluster: &Cluster| cluster.transfers(leader).iter().any(|one| (0.4..0.9).contains(&one.part_read.get()));
    cluster.run_until(Duration::from_secs(10), is_half_done).expect("it comes by its middle");
    let listed = cluster.transfers(leader);
    let [transfer] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((transfer.group, transfer.to, transfer.node), (GROUP, member(away), NodeId(away.into())));
    assert!(cluster.transfers(away).is_empty(), "the one who gets it does not list it too");
    cluster.converge(&[leader, away]);
    let is_over = |cluster: &Cluster| cluster.transfers(leader).is_empty();
    cluster.run_until(Duration::from_secs(1), is_over).expect("it is not listed when it is over");
    cluster.assert_healthy();
}

#[test]
fn a_broken_snapshot_is_begun_again() {
    for broken_after in [20, 60, 120, 250] {
        let (mut cluster, leader, away) = purged_past(broken_after);
        let slow = Link { delay: Duration::from_millis(2), ..Link::default() };
        cluster.network.set(leader.into(), away.into(), slow);
        assert!(cluster.start(away) && cluster.join(away));
        cluster.run_until(Duration::from_secs(10), |cluster| cluster.snapshots_sent() > 0).unwrap();
        cluster.run(Duration::from_millis(broken_after));
        cluster.isolate(away, true);
        cluster.run(Duration::from_secs(1));
        cluster.isolate(away, false);
        cluster.converge(&[leader, away]);
        assert_eq!(cluster.applied(away).len(), 201);
        cluster.assert_healthy();
    }
}

/// The link never holds for as long as the whole takes.
#[test]
fn a_broken_snapshot_goes_on_where_it_was() {
    for seed in 0..3 {
        let (mut cluster, leader, away) = purged_past(seed);
        assert!(cluster.start(away) && cluster.join(away));
        let mut rounds = 0;
        while cluster.applied(away).len() < 201 {
            assert!(rounds < 40, "nothing is gained by going on");
            rounds += 1;
            cluster.isolate(away, false);
            let slow = Link { delay: Duration::from_millis(8), ..Link::default() };
            cluster.network.set(leader.into(), away.into(), slow);
            cluster.run(Duration::from_millis(1100));
            cluster.isolate(away, true);
            cluster.run(Duration::from_millis(500));
        }
        assert!(rounds > 1, "it never broke");
        cluster.isolate(away, false);
        cluster.converge(&[leader, away]);
        assert!(!cluster.disk_names(away).iter().any(|name| name.starts_with("spool-")));
        cluster.assert_healthy();
    }
}

#[test]
fn a_receiver_may_crash_at_any_moment_of_a_snapshot() {
    for crashed_after in (0..120).step_by(9) {
        let (mut cluster, leader, away) = purged_past(crashed_after);
        assert!(cluster.start(away) && cluster.join(away));
        cluster.run_until(Duration::from_secs(10), |cluster| cluster.snapshots_sent() > 0).unwrap();
        cluster.run(Duration::from_millis(crashed_after));
        cluster.restart(away);
        cluster.converge(&[leader, away]);
        assert_eq!(cluster.applied(away).len(), 201);
        cluster.assert_healthy();
    }
}
