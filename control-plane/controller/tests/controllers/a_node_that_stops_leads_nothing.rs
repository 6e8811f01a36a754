//! A node that is about to stop lets another lead the cluster state at once, and is not let lead again.

use std::time::Duration;

use crate::world::{Node, World, in_a_world, until};
use photondb_cluster_state::Command;
use photondb_proto::DatabaseId;
use photondb_runtime::peers::Service;
use photondb_storage::disk::simulated::SimulatedDisk;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(30);

/// Less than it takes to miss a leader.
const AT_ONCE: Duration = Duration::from_millis(300);

/// By then each has said that it lives and has space.
const HEARD: Duration = Duration::from_secs(3);

fn create(id: u128) -> Command {
    Command::CreateDatabase { id: DatabaseId(id), name: format!("db{id}") }
}

fn leads(node: &Node) -> bool {
    node.controller.group().led().is_some()
}

async fn three(world: &World) -> Vec<Node> {
    let disks: Vec<SimulatedDisk> = (1..=3).map(SimulatedDisk::new).collect();
    let mut nodes = vec![world.found(1, &disks[0]).await];
    for id in 2..=3 {
        nodes.push(world.join(id, &disks[id as usize - 1], 1).await);
    }
    let votes = |node: &Node| node.controller.group().membership().all_voters().len() == 3;
    until("three vote", SOON, || nodes.iter().all(votes)).await;
    sleep(HEARD).await;
    assert!(leads(&nodes[0]), "nobody took it from who founded the cluster");
    nodes
}

/// The node changes the state as before, through whoever leads, and while it does something stays as it is.
async fn keeps(node: &Node, holds: impl Fn() -> bool) {
    for id in 10..15 {
        node.controller.propose(create(id)).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert!(holds());
    }
}

#[test]
fn another_leads_at_once_and_it_does_not_come_back() {
    in_a_world(async {
        let world = World::new();
        let nodes = three(&world).await;
        let term = nodes[0].controller.group().observe().term;
        assert_eq!(timeout(AT_ONCE, nodes[0].controller.lead_nothing()).await, Ok(true));
        until("another leads", AT_ONCE, || nodes[1..].iter().any(leads)).await;
        keeps(&nodes[0], || !leads(&nodes[0])).await;
        assert_eq!(nodes[0].controller.group().observe().term.0, term.0 + 1, "it was handed over, once");
    });
}

#[test]
fn two_that_stop_at_once_let_the_third_lead() {
    in_a_world(async {
        let world = World::new();
        let nodes = three(&world).await;
        let stopping = async {
            tokio::join!(nodes[0].controller.lead_nothing(), nodes[1].controller.lead_nothing());
        };
        timeout(HEARD, stopping).await.expect("the third can lead");
        until("the third leads", HEARD, || leads(&nodes[2])).await;
        keeps(&nodes[0], || leads(&nodes[2])).await;
    });
}

#[test]
fn who_stops_says_so_at_once_though_it_waits_for_an_answer_to_what_it_said_before() {
    in_a_world(async {
        let world = World::new();
        let nodes = three(&world).await;
        let term = nodes[0].controller.group().observe().term;
        world.network.swallow(2, 1, Service::Control);
        // By then the second waits, and would do so for seconds.
        sleep(Duration::from_millis(1500)).await;
        world.network.heal();
        assert_eq!(timeout(AT_ONCE, nodes[1].controller.lead_nothing()).await, Ok(true));
        sleep(Duration::from_millis(50)).await;
        // Of equals it would let the second lead.
        assert_eq!(timeout(AT_ONCE, nodes[0].controller.lead_nothing()).await, Ok(true));
        until("the third leads", AT_ONCE, || leads(&nodes[2])).await;
        assert_eq!(nodes[2].controller.group().observe().term.0, term.0 + 1, "it was handed over, once");
    });
}

#[test]
fn where_nobody_can_take_over_it_says_so_and_does_not_wait() {
    in_a_world(async {
        let world = World::new();
        let disk = SimulatedDisk::new(9);
        let alone = world.found(9, &disk).await;
        assert_eq!(timeout(AT_ONCE, alone.controller.lead_nothing()).await, Ok(false));
        assert!(leads(&alone));

        let world = World::new();
        let nodes = three(&world).await;
        world.network.isolate(1, 1..=3);
        sleep(Duration::from_secs(1)).await;
        // The others have elected one of them by now; this one does not know, and nobody answers it.
        assert_eq!(timeout(AT_ONCE, nodes[0].controller.lead_nothing()).await, Ok(false));
    });
}
