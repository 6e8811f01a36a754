//! A node that is about to stop lets others lead its shards at once, whatever the cluster state can decide, and is not let lead again.

use std::time::Duration;

use crate::whole::world::{in_a_world, until};
use crate::whole::{Cluster, SOON, Whole};
use photondb_cluster_state::{Command, Service};
use photondb_proto::{GroupId, NodeId};
use tokio::time::{sleep, timeout};

/// Less than it takes to miss a leader.
const AT_ONCE: Duration = Duration::from_millis(300);

/// By then whoever died is not heard of any more.
const MISSED: Duration = Duration::from_secs(1);

/// The node on which the table's shard is led.
fn leading(cluster: &Cluster) -> Option<u128> {
    let leads = |whole: &&Whole| whole.replica().is_some_and(|replica| replica.is_leading());
    cluster.live().find(leads).map(|whole| whole.node.id)
}

fn node(cluster: &Cluster, id: u128) -> &Whole {
    cluster.nodes[id as usize - 1].as_ref().unwrap()
}

/// Three nodes with a replica each, the first of which is preferred and leads; there is a document.
async fn led_by_the_first() -> Cluster {
    let cluster = Cluster::of(3).await;
    cluster.create(&[1, 2, 3]).await;
    cluster.write(0).await;
    cluster.settled(&[1, 2, 3], 1).await;
    until("who is preferred leads", SOON, || leading(&cluster) == Some(1)).await;
    cluster
}

#[test]
fn another_leads_at_once_and_it_does_not_come_back_before_its_next_start() {
    in_a_world(async {
        let mut cluster = led_by_the_first().await;
        let term = node(&cluster, 1).replica().unwrap().group().observe().term;
        assert_eq!(timeout(AT_ONCE, node(&cluster, 1).replicas.lead_nothing()).await, Ok(0));
        until("another leads", AT_ONCE, || leading(&cluster).is_some_and(|leader| leader != 1)).await;
        // Longer than it takes until who is preferred is let lead.
        for id in 1..50 {
            cluster.write(id).await;
            sleep(Duration::from_millis(100)).await;
            assert_ne!(leading(&cluster), Some(1), "it is about to stop");
        }
        let later = node(&cluster, 1).replica().unwrap().group().observe().term;
        assert_eq!(later.0, term.0 + 1, "it was handed over, once");
        cluster.crash(1).await;
        cluster.restart(1).await;
        until("who is preferred leads", SOON, || leading(&cluster) == Some(1)).await;
        cluster.settled(&[1, 2, 3], 50).await;
    });
}

#[test]
fn it_goes_on_leading_what_nobody_else_can_lead() {
    in_a_world(async {
        let mut cluster = led_by_the_first().await;
        cluster.crash(2).await;
        cluster.crash(3).await;
        sleep(MISSED).await;
        assert_eq!(timeout(AT_ONCE, node(&cluster, 1).replicas.lead_nothing()).await, Ok(1));
        assert!(node(&cluster, 1).replica().unwrap().group().led().is_some());
        // Who can comes later: it does not wait to be asked.
        cluster.restart(2).await;
        until("another leads", SOON, || leading(&cluster) == Some(2)).await;
        cluster.write(1).await;
    });
}

#[test]
fn two_that_stop_at_once_let_the_third_lead() {
    in_a_world(async {
        let cluster = led_by_the_first().await;
        let (first, second) = (node(&cluster, 1).replicas.clone(), node(&cluster, 2).replicas.clone());
        let (first, second) = tokio::join!(first.lead_nothing(), second.lead_nothing());
        assert_eq!((first, second), (0, 0));
        until("the third leads", AT_ONCE, || leading(&cluster) == Some(3)).await;
        for id in 1..30 {
            cluster.write(id).await;
            sleep(Duration::from_millis(100)).await;
            assert_eq!(leading(&cluster), Some(3));
        }
    });
}

#[test]
fn it_needs_no_majority_of_the_cluster_state() {
    in_a_world(async {
        let mut cluster = Cluster::of(5).await;
        cluster.create(&[1, 2, 3]).await;
        cluster.write(0).await;
        cluster.settled(&[1, 2, 3], 1).await;
        let voters =
            || cluster.any().node.groups.find(GroupId::META).unwrap().committed_membership().all_voters().len();
        until("five vote on the state", SOON, || voters() == 5).await;
        until("who is preferred leads", SOON, || leading(&cluster) == Some(1)).await;
        for gone in [3, 4, 5] {
            cluster.crash(gone).await;
        }
        sleep(MISSED).await;
        assert_eq!(timeout(AT_ONCE, node(&cluster, 1).replicas.lead_nothing()).await, Ok(0));
        until("another leads", AT_ONCE, || leading(&cluster) == Some(2)).await;
        cluster.write(1).await;
    });
}

#[test]
fn it_does_not_wait_for_who_says_nothing_where_another_can_lead() {
    // Whoever would come first.
    for silent in [2, 3] {
        in_a_world(async {
            let cluster = led_by_the_first().await;
            cluster.world.network.silence(silent);
            assert_eq!(timeout(AT_ONCE, node(&cluster, 1).replicas.lead_nothing()).await, Ok(0));
            until("the other leads", AT_ONCE, || leading(&cluster) == Some(5 - silent)).await;
        });
    }
}

#[test]
fn who_is_drained_meanwhile_does_not_let_it_lead() {
    // Whoever's turn it would be.
    for stopping in [2, 3] {
        in_a_world(async {
            let cluster = led_by_the_first().await;
            let term = node(&cluster, 1).replica().unwrap().group().observe().term;
            assert_eq!(node(&cluster, stopping).replicas.lead_nothing().await, 0);
            let drain = Command::SetService { id: NodeId(1), service: Service::Drained };
            cluster.any().node.controller.propose(drain).await.unwrap();
            until("the third leads", SOON, || leading(&cluster) == Some(5 - stopping)).await;
            for id in 1..30 {
                cluster.write(id).await;
                sleep(Duration::from_millis(100)).await;
                assert_eq!(leading(&cluster), Some(5 - stopping));
            }
            let later = node(&cluster, 5 - stopping).replica().unwrap().group().observe().term;
            assert_eq!(later.0, term.0 + 1, "it was handed over, once");
        });
    }
}
