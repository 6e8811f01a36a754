//! Nodes that all wait for each other become a cluster when one of them is told to found it; told again nothing more happens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::world::{Node, World, in_a_world, until};
use photondb_cluster_state::{ClusterId, StateError};
use photondb_controller::{Begin, Contacts, Controller, ControllerError, Discovery};
use photondb_proto::NodeId;
use photondb_runtime::peers::SendFuture;
use photondb_storage::disk::simulated::SimulatedDisk;
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(30);
const WISHED: ClusterId = ClusterId(4711);

/// Begins to look for a cluster at these nodes.
fn begin(node: &Node, contacts: &[u128]) -> JoinHandle<Result<bool, ControllerError>> {
    let contacts: Vec<_> = contacts.iter().map(|contact| format!("{contact}:1")).collect();
    begin_with(node, contacts.into())
}

fn begin_with(node: &Node, contacts: Contacts) -> JoinHandle<Result<bool, ControllerError>> {
    let controller = node.controller.clone();
    tokio::task::spawn_local(async move { controller.start(Begin::Join(contacts)).await })
}

/// A name for what a test says that it stands for at the moment.
#[derive(Clone, Default)]
struct Directory(Arc<Mutex<Vec<String>>>);

impl Directory {
    fn says(&self, nodes: &[u128]) {
        *self.0.lock().unwrap() = nodes.iter().map(|node| format!("{node}:1")).collect();
    }

    fn contacts(&self) -> Contacts {
        Contacts::new(Vec::new(), vec![Arc::new(self.clone())])
    }
}

impl Discovery for Directory {
    fn name(&self) -> &str {
        "the directory"
    }

    fn look_up(&self) -> SendFuture<'static, Result<Vec<String>, String>> {
        let found = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(found) })
    }
}

async fn refused(controller: &Controller, cluster: ClusterId) -> bool {
    let outcome = controller.initialize(cluster).await;
    matches!(outcome, Err(ControllerError::Refused(StateError::OtherCluster { asked, .. })) if asked == cluster)
}

#[test]
fn one_founds_and_the_others_follow() {
    in_a_world(async {
        let world = World::new();
        let disks: Vec<_> = (1..=3).map(SimulatedDisk::new).collect();
        let nodes: Vec<_> = (1..=3).map(|id| world.parts(id, &disks[id as usize - 1])).collect();
        let starts: Vec<_> = nodes.iter().map(|node| begin(node, &[1, 2, 3])).collect();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(starts.iter().all(|start| !start.is_finished()), "a node never guesses");

        nodes[1].controller.initialize(WISHED).await.unwrap();
        let mut founded = Vec::new();
        for start in starts {
            founded.push(start.await.unwrap().unwrap());
        }
        assert_eq!(founded, [false, true, false]);
        until("all know all", SOON, || nodes.iter().all(|node| node.state().nodes().count() == 3)).await;
        for node in &nodes {
            assert_eq!(node.state().cluster(), Some(WISHED));
            node.controller.initialize(WISHED).await.unwrap();
            assert!(refused(&node.controller, ClusterId(1)).await);
        }
        assert!(nodes[0].state().node(NodeId(3)).is_some());
    });
}

#[test]
fn whoever_finds_a_cluster_founds_none() {
    in_a_world(async {
        let world = World::new();
        let disks: Vec<_> = (1..=2).map(SimulatedDisk::new).collect();
        let first = world.found(1, &disks[0]).await;
        let second = world.parts(2, &disks[1]);
        let controller = second.controller.clone();
        let told = tokio::task::spawn_local(async move { refused(&controller, WISHED).await });
        tokio::task::yield_now().await;
        assert!(!begin(&second, &[1]).await.unwrap().unwrap());
        assert!(told.await.unwrap());
        assert_eq!(second.state().cluster(), first.state().cluster());
    });
}

#[test]
fn another_cluster_may_not_be_wished_meanwhile() {
    in_a_world(async {
        let (world, disk) = (World::new(), SimulatedDisk::new(1));
        let node = world.parts(1, &disk);
        let controller = node.controller.clone();
        let told = tokio::task::spawn_local(async move { controller.initialize(WISHED).await });
        tokio::task::yield_now().await;
        assert!(refused(&node.controller, ClusterId(1)).await);
        assert!(begin(&node, &[1]).await.unwrap().unwrap(), "nobody else was named");
        told.await.unwrap().unwrap();
    });
}

#[test]
fn nobody_founds_without_hearing_from_a_majority_of_those_it_was_told_of() {
    in_a_world(async {
        let world = World::new();
        let disks: Vec<_> = (1..=3).map(SimulatedDisk::new).collect();
        let first = world.parts(1, &disks[0]);
        let starting = begin(&first, &[1, 2, 3]);
        let controller = first.controller.clone();
        let told = tokio::task::spawn_local(async move { controller.initialize(WISHED).await });
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(
            !starting.is_finished() && !told.is_finished(),
            "the two others may be a cluster that it has forgotten"
        );

        let second = world.parts(2, &disks[1]);
        let following = begin(&second, &[1, 2, 3]);
        assert!(starting.await.unwrap().unwrap(), "two of three are in no cluster");
        assert!(!following.await.unwrap().unwrap());
        told.await.unwrap().unwrap();
    });
}

#[test]
fn a_name_is_looked_up_again_and_again_and_counts_as_somebody_while_it_leads_nowhere() {
    in_a_world(async {
        let (world, directory) = (World::new(), Directory::default());
        let disks: Vec<_> = (1..=3).map(SimulatedDisk::new).collect();
        let nodes: Vec<_> = (1..=3).map(|id| world.parts(id, &disks[id as usize - 1])).collect();
        let starts: Vec<_> = nodes.iter().map(|node| begin_with(node, directory.contacts())).collect();
        let controller = nodes[0].controller.clone();
        let told = tokio::task::spawn_local(async move { controller.initialize(WISHED).await });
        for named in [&[][..], &[4, 5, 6], &[1, 4, 5]] {
            directory.says(named);
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert!(!told.is_finished() && !starts[0].is_finished(), "no majority of {named:?} has answered");
        }
        directory.says(&[1, 2, 3]);
        let mut founded = Vec::new();
        for start in starts {
            founded.push(start.await.unwrap().unwrap());
        }
        assert_eq!(founded, [true, false, false]);
        told.await.unwrap().unwrap();
    });
}

/// A discovery that names who is there at the moment names a node that lost its disk alone, when it is the first one up.
#[test]
fn nodes_that_nobody_names_yet_count_as_silent_ones() {
    in_a_world(async {
        let (world, directory) = (World::new(), Directory::default());
        let disks: Vec<_> = (1..=3).map(SimulatedDisk::new).collect();
        let contacts = || directory.contacts().with_nodes_at_least(3);
        directory.says(&[1]);
        let first = world.parts(1, &disks[0]);
        let starting = begin_with(&first, contacts());
        let controller = first.controller.clone();
        let told = tokio::task::spawn_local(async move { controller.initialize(WISHED).await });
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(!starting.is_finished() && !told.is_finished(), "one of three is no majority");

        let second = world.parts(2, &disks[1]);
        let following = begin_with(&second, contacts());
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(!starting.is_finished(), "the second is there, and nobody has named it");
        directory.says(&[1, 2]);
        assert!(starting.await.unwrap().unwrap(), "two of three are in no cluster");
        assert!(!following.await.unwrap().unwrap());
        told.await.unwrap().unwrap();
    });
}

/// The job of a chart tells the first node again whenever it runs, perhaps when that has just lost its volume.
#[test]
fn a_founder_that_lost_its_disk_does_not_found_the_cluster_again() {
    in_a_world(async {
        let world = World::new();
        let disks: Vec<_> = (1..=3).map(SimulatedDisk::new).collect();
        let mut nodes: Vec<_> = (1..=3).map(|id| world.parts(id, &disks[id as usize - 1])).collect();
        let starts: Vec<_> = nodes.iter().map(|node| begin(node, &[1, 2, 3])).collect();
        nodes[0].controller.initialize(WISHED).await.unwrap();
        for start in starts {
            start.await.unwrap().unwrap();
        }
        // Until all know all and all three vote.
        tokio::time::sleep(2 * SOON).await;
        for (node, disk) in nodes.drain(..).zip(&disks).rev() {
            node.crash(disk).await;
        }

        let wiped = world.parts_of(4, 1, &SimulatedDisk::new(4));
        let starting = begin(&wiped, &[2, 3, 4]);
        let controller = wiped.controller.clone();
        let told = tokio::task::spawn_local(async move { controller.initialize(WISHED).await });
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(!starting.is_finished() && !told.is_finished());

        let others: Vec<_> = [2, 3].map(|id: u128| world.parts(id, &disks[id as usize - 1])).into();
        let restarts: Vec<_> = others.iter().map(|node| begin(node, &[2, 3, 4])).collect();
        for restart in restarts {
            assert!(!restart.await.unwrap().unwrap());
        }
        assert!(!starting.await.unwrap().unwrap(), "it joins the cluster that there is");
        told.await.unwrap().unwrap();
        for node in others.iter().chain([&wiped]) {
            let has = |id| node.state().node(NodeId(id)).is_some();
            until("the cluster has the new node beside its own", SOON, || has(2) && has(3) && has(4)).await;
        }
    });
}

#[test]
fn power_lost_while_it_founds_changes_nothing_for_who_tells_it_again() {
    for micros in (0..12_000).step_by(400) {
        in_a_world(async move {
            let (world, disk) = (World::new(), SimulatedDisk::new(micros));
            let node = world.parts(1, &disk);
            let starting = begin(&node, &[1]);
            let controller = node.controller.clone();
            let told = tokio::task::spawn_local(async move { controller.initialize(WISHED).await });
            tokio::time::sleep(Duration::from_micros(micros)).await;
            starting.abort();
            told.abort();
            node.crash(&disk).await;

            let node = world.parts(1, &disk);
            let starting = begin(&node, &[1]);
            node.controller.initialize(WISHED).await.unwrap();
            starting.await.unwrap().unwrap();
            assert_eq!(node.state().cluster(), Some(WISHED), "power lost after {micros} us");
            assert_eq!(node.state().nodes().count(), 1);
        });
    }
}
