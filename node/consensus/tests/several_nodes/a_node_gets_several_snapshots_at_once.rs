//! A snapshot for whose receiving there is no turn yet waits for it, and loses nothing of what has arrived before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use photondb_consensus::limits::PIECE_WAIT;
use photondb_proto::{GroupId, MemberId, NodeId, v1};
use photondb_runtime::clock::Moment;
use photondb_runtime::peers::{Exchange, Peer};
use prost::Message;
use tokio::sync::mpsc;

use super::a_lagging_member_catches_up::purged_past;
use crate::cluster::Cluster;
use crate::network::Link;
use crate::node::{PATIENCE, Toy};

/// A group of which the node has the only member.
const BUSY: GroupId = GroupId(2);
const RECEIVER: MemberId = MemberId(900);
const SENDER: MemberId = MemberId(901);

/// Snapshots for [`RECEIVER`] that never end by themselves.
struct Endless {
    lasts: Arc<AtomicBool>,
    applied: Bytes,
    node: u64,
}

impl Endless {
    /// None yet. `leader` leads the other group of the node.
    fn to(cluster: &mut Cluster, node: u64, leader: u64) -> Endless {
        let groups = cluster.groups(node);
        let machine = Toy::recovered(&Arc::default());
        let group = cluster.wait(groups.initialize(BUSY, RECEIVER, NodeId(node.into()), machine)).unwrap();
        cluster.wait(group.wait_leading(PATIENCE)).unwrap();
        let applied = cluster.machine(leader).state.lock().applied.consensus.clone();
        Endless { lasts: Arc::new(AtomicBool::new(true)), applied, node }
    }

    /// One more.
    fn begin(&self, cluster: &mut Cluster) {
        let vote = v1::RaftVote { term: 1, member: SENDER.0, committed: true };
        let what = v1::RaftSnapshot { vote: Some(vote), applied: self.applied.clone(), transfer: 0 };
        let address = v1::RaftAddress { group: BUSY.0, from: SENDER.0, to: RECEIVER.0 };
        let open = v1::RaftOpen { address: Some(address), what: Some(v1::raft_open::What::Snapshot(what)) };
        let (pieces, receive) = mpsc::channel(4);
        let (send, answers) = mpsc::channel(4);
        let first = Bytes::from(open.encode_to_vec());
        // It is taken part in whether or not somebody waits for the end.
        drop(cluster.groups(self.node).service().exchange(Peer(1000), first, Exchange { send, receive }));
        let lasts = Arc::clone(&self.lasts);
        cluster.spawn(async move {
            let _answers = answers;
            while lasts.load(Ordering::Relaxed) {
                // Of no bytes, whose checksum is zero.
                let piece = Bytes::from(v1::RaftPiece::default().encode_to_vec());
                let _ = pieces.send(Ok(piece)).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        });
        cluster.run(Duration::from_millis(20));
    }

    fn end(self) {
        self.lasts.store(false, Ordering::Relaxed);
    }
}

/// When the only snapshot was begun that the node sends.
fn begun(cluster: &Cluster, leader: u64) -> Moment {
    let listed = cluster.transfers(leader);
    let [transfer] = &listed[..] else { panic!("{listed:?}") };
    transfer.since
}

/// Goes on for longer than anybody waits who hears nothing: the snapshot stays where it is, and its exchange lasts.
fn assert_waits(cluster: &mut Cluster, leader: u64) {
    let (since, opened) = (begun(cluster, leader), cluster.snapshots_sent());
    cluster.run(PIECE_WAIT * 2);
    assert_eq!(begun(cluster, leader), since);
    assert_eq!(cluster.snapshots_sent(), opened, "its sender was told nothing");
}

/// Goes on until the snapshot that was begun then has arrived, and no other was begun.
fn assert_arrives(cluster: &mut Cluster, leader: u64, away: u64, since: Moment) {
    let has_arrived = |cluster: &Cluster| {
        assert!(cluster.transfers(leader).iter().all(|one| one.since == since), "it was begun anew");
        cluster.applied(away).len() == 201
    };
    cluster.run_until(Duration::from_secs(20), has_arrived).expect("its turn comes");
    cluster.converge(&[leader, away]);
    // The others end too.
    cluster.run(Duration::from_secs(3));
    assert!(!cluster.disk_names(away).iter().any(|name| name.starts_with("spool-")));
    cluster.assert_healthy();
}

#[test]
fn one_whose_turn_has_not_come_waits() {
    let (mut cluster, leader, away) = purged_past(1);
    assert!(cluster.start(away));
    let others = Endless::to(&mut cluster, away, leader);
    others.begin(&mut cluster);
    others.begin(&mut cluster);
    assert!(cluster.join(away));
    let is_under_way = |cluster: &Cluster| {
        let now = cluster.groups(leader).now();
        cluster.transfers(leader).iter().any(|one| now.since(one.since) > Duration::from_secs(1))
    };
    cluster.run_until(Duration::from_secs(10), is_under_way).expect("it is sent");
    assert_waits(&mut cluster, leader);
    assert!(cluster.applied(away).len() < 201);
    let since = begun(&cluster, leader);
    others.end();
    assert_arrives(&mut cluster, leader, away, since);
}

#[test]
fn one_that_broke_and_lost_its_turn_goes_on_where_it_was() {
    let (mut cluster, leader, away) = purged_past(2);
    assert!(cluster.start(away));
    let others = Endless::to(&mut cluster, away, leader);
    others.begin(&mut cluster);
    let slow = Link { delay: Duration::from_millis(8), ..Link::default() };
    cluster.network.set(leader.into(), away.into(), slow);
    assert!(cluster.join(away));
    let is_half_done =
        |cluster: &Cluster| cluster.transfers(leader).iter().any(|one| (0.4..0.7).contains(&one.part_read.get()));
    cluster.run_until(Duration::from_secs(10), is_half_done).expect("it comes by its middle");
    let since = begun(&cluster, leader);
    // Has its turn as soon as the exchange breaks.
    others.begin(&mut cluster);
    let opened = cluster.snapshots_sent();
    cluster.isolate(away, true);
    cluster.run(Duration::from_millis(600));
    cluster.isolate(away, false);
    let is_again = |cluster: &Cluster| cluster.snapshots_sent() == opened + 1;
    cluster.run_until(Duration::from_secs(15), is_again).expect("it goes on over another exchange");
    assert_waits(&mut cluster, leader);

    // That one breaks too, and its end of it does not know yet when the next one comes.
    cluster.cut(away, leader, true);
    let is_again = |cluster: &Cluster| cluster.snapshots_sent() == opened + 2;
    cluster.run_until(Duration::from_secs(15), is_again).expect("it goes on over another exchange");
    cluster.cut(away, leader, false);
    assert_waits(&mut cluster, leader);
    assert!(cluster.applied(away).len() < 201);
    others.end();
    assert_arrives(&mut cluster, leader, away, since);
}
