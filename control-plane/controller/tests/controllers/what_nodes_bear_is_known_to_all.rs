//! Each node tells what it bears, all know it, and it is forgotten when a node has not been heard for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::world::{Node, World, in_a_world, until};
use photondb_cluster_state::plan::{Burden, Burdens};
use photondb_controller::limits::BURDEN_COUNTS_FOR;
use photondb_proto::NodeId;
use photondb_storage::disk::simulated::SimulatedDisk;

const SOON: Duration = Duration::from_secs(30);

async fn three(world: &World) -> Vec<Node> {
    let disks: Vec<SimulatedDisk> = (1..=3).map(SimulatedDisk::new).collect();
    let mut nodes = vec![world.found(1, &disks[0]).await];
    for id in 2..=3 {
        nodes.push(world.join(id, &disks[id as usize - 1], 1).await);
    }
    let votes = |node: &Node| node.controller.group().membership().all_voters().len() == 3;
    until("three vote", SOON, || nodes.iter().all(votes)).await;
    nodes
}

fn burdens(of: &[(u128, u64)]) -> Burdens {
    of.iter().map(|(node, bytes)| (NodeId(*node), Burden { bytes: *bytes, work: bytes * 10 })).collect()
}

fn leader(node: &Node) -> Option<u128> {
    node.controller.group().leader().map(|(_, node)| node.0)
}

#[test]
fn what_changes_is_heard_by_all_and_one_that_says_nothing_is_not_known() {
    in_a_world(async {
        let world = World::new();
        let nodes = three(&world).await;
        let stored = Arc::new(AtomicU64::new(5));
        for node in &nodes[..2] {
            let (id, stored) = (node.id as u64, stored.clone());
            let bears = move || stored.load(Ordering::Relaxed) * id;
            node.controller.tell_burden(move || Some(Burden { bytes: bears(), work: bears() * 10 }));
        }
        // The third hears nothing as long as it does not say anything itself, unless it leads.
        let two = |known: &[(u128, u64)]| nodes[..2].iter().all(|node| node.controller.burdens() == burdens(known));
        until("two know of two", SOON, || two(&[(1, 5), (2, 10)])).await;
        stored.store(7, Ordering::Relaxed);
        until("they know what has changed", SOON, || two(&[(1, 7), (2, 14)])).await;
        nodes[2].controller.tell_burden(|| Some(Burden { bytes: 1, work: 10 }));
        let all = burdens(&[(1, 7), (2, 14), (3, 1)]);
        until("all know of all", SOON, || nodes.iter().all(|node| node.controller.burdens() == all)).await;
    });
}

#[test]
fn who_leads_next_knows_what_was_known_and_who_is_away_for_long_is_forgotten() {
    in_a_world(async {
        let mut world = World::new();
        // It is only away: nobody takes its place among those who vote.
        world.options.lost_after = None;
        let nodes = three(&world).await;
        for node in &nodes {
            let id = node.id as u64;
            node.controller.tell_burden(move || Some(Burden { bytes: id, work: id * 10 }));
        }
        let all = burdens(&[(1, 1), (2, 2), (3, 3)]);
        until("all know of all", SOON, || nodes.iter().all(|node| node.controller.burdens() == all)).await;
        let first = leader(&nodes[0]).unwrap();
        world.network.isolate(first, 1..=3);
        let others: Vec<&Node> = nodes.iter().filter(|node| node.id != first).collect();
        let another_leads = |node: &&Node| leader(node).is_some_and(|leader| leader != first);
        until("another leads", SOON, || others.iter().all(another_leads)).await;
        assert!(others.iter().all(|node| node.controller.burdens() == all), "it has told them before");
        let left: Burdens =
            all.iter().filter(|(node, _)| node.0 != first).map(|(node, burden)| (*node, *burden)).collect();
        let forgotten = BURDEN_COUNTS_FOR + SOON;
        until("it is forgotten", forgotten, || others.iter().all(|node| node.controller.burdens() == left)).await;
        world.network.heal();
        until("all know of all again", SOON, || nodes.iter().all(|node| node.controller.burdens() == all)).await;
    });
}
