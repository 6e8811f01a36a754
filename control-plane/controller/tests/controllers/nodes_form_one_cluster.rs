//! Three and more nodes: taken in, registered once, heard, and changing one state from everywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::world::{Node, World, in_a_world, until};
use photondb_cluster_state::{Command, Incarnation, Liveness, META_FOUNDER, Service as NodeService, StateError};
use photondb_controller::limits::VOUCH_PATIENCE;
use photondb_controller::{Begin, ControllerError};
use photondb_proto::{DatabaseId, GroupId, NodeId};
use photondb_runtime::peers::Service;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::fault::set_dice;

const SOON: Duration = Duration::from_secs(30);

fn create(id: u128) -> Command {
    Command::CreateDatabase { id: DatabaseId(id), name: format!("db{id}") }
}

fn voters(node: &Node) -> BTreeSet<u64> {
    node.controller.group().membership().all_voters().into_iter().map(|member| member.0).collect()
}

async fn three(world: &World, disks: &[SimulatedDisk]) -> Vec<Node> {
    let mut nodes = vec![world.found(1, &disks[0]).await];
    for id in 2..=3 {
        nodes.push(world.join(id, &disks[id as usize - 1], 1).await);
    }
    until("three vote", SOON, || nodes.iter().all(|node| voters(node).len() == 3)).await;
    nodes
}

fn disks(count: u64) -> Vec<SimulatedDisk> {
    (1..=count).map(SimulatedDisk::new).collect()
}

#[test]
fn nodes_are_taken_in_and_any_of_them_changes_the_state() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(4));
        let mut nodes = vec![world.found(1, &disks[0]).await];
        nodes.push(world.join(2, &disks[1], 1).await);
        assert_eq!(voters(&nodes[1]), BTreeSet::from([1]), "of two nodes one votes");
        nodes.push(world.join(3, &disks[2], 2).await);
        until("of three nodes three vote", SOON, || nodes.iter().all(|node| voters(node).len() == 3)).await;
        nodes.push(world.join(4, &disks[3], 3).await);
        for (number, node) in nodes.iter().enumerate() {
            node.controller.propose(create(10 + number as u128)).await.unwrap();
            assert!(node.state().database(DatabaseId(10 + number as u128)).is_some(), "applied before it is answered");
        }
        until("all have the same state", SOON, || nodes.iter().all(|node| *node.state() == *nodes[0].state())).await;
        assert_eq!(nodes[0].state().databases().count(), 5);
        assert_eq!(voters(&nodes[3]).len(), 3, "the fourth only watches");
        let refused = nodes[3].controller.propose(create(10)).await;
        refused.expect("the same again is the same");
        let taken = Command::CreateDatabase { id: DatabaseId(99), name: "db10".into() };
        let error = nodes[3].controller.propose(taken).await.unwrap_err();
        assert!(matches!(error, ControllerError::Refused(StateError::DatabaseExists { .. })), "{error}");
    });
}

#[test]
fn who_founds_has_the_founders_member_though_another_asks_before_it_is_registered() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(2));
        // What is proposed after the founding is held back for a while: who tries most often then comes first.
        let mut tried = 0;
        set_dice(Some(Box::new(move |name| {
            tried += u64::from(name == "controller/proposed-at-second-try");
            name == "controller/proposed-at-second-try" && (2..100).contains(&tried)
        })));
        let (first, second) = tokio::join!(world.found(1, &disks[0]), world.join(2, &disks[1], 1));
        set_dice(None);
        let member = |node: &Node| node.controller.group().member();
        assert_eq!(member(&first), META_FOUNDER);
        assert_ne!(member(&second), META_FOUNDER);
        for node in [&first, &second] {
            assert_eq!(first.state().node(NodeId(node.id)).unwrap().meta, member(node));
        }
    });
}

#[test]
fn the_state_goes_on_without_its_leader_and_after_a_restart_of_everybody() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let nodes = three(&world, &disks).await;
        nodes[1].controller.propose(create(20)).await.unwrap();
        world.network.isolate(1, 1..=3);
        nodes[1].controller.propose(create(21)).await.unwrap();
        assert!(nodes[0].state().database(DatabaseId(21)).is_none());
        until("the silent node is down", SOON, || nodes[1].state().node(NodeId(1)).unwrap().liveness == Liveness::Down)
            .await;
        assert_eq!(voters(&nodes[1]).len(), 3, "one that is only away keeps its vote");
        world.network.heal();
        until("it is heard again", SOON, || nodes[1].state().node(NodeId(1)).unwrap().is_up()).await;
        until("it has what it missed", SOON, || nodes[0].state().database(DatabaseId(21)).is_some()).await;

        for (node, disk) in nodes.into_iter().zip(&disks) {
            node.crash(disk).await;
        }
        // Each waits for a majority to register it, so they must begin together.
        let (first, second, third) =
            tokio::join!(world.found(1, &disks[0]), world.join(2, &disks[1], 9), world.join(3, &disks[2], 9));
        for node in [&first, &second, &third] {
            let state = node.controller.confirm().await.unwrap();
            assert!(state.database(DatabaseId(20)).is_some() && state.database(DatabaseId(21)).is_some());
            assert_eq!(state.node(NodeId(node.id)).unwrap().boots, 2);
        }
    });
}

#[test]
fn a_lost_node_gives_its_vote_to_another_and_a_wiped_one_is_a_new_one() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(4));
        let mut nodes = three(&world, &disks).await;
        nodes.push(world.join(4, &disks[3], 1).await);
        let second = nodes.remove(1);
        second.crash(&disks[1]).await;
        until("it is lost", Duration::from_secs(120), || nodes[0].state().node(NodeId(2)).unwrap().is_lost()).await;
        let fourth = nodes[2].controller.group().member().0;
        until("the fourth votes instead", SOON, || voters(&nodes[0]).contains(&fourth) && voters(&nodes[0]).len() == 3)
            .await;
        // The same machine with an empty disk: another id, the same name and address.
        let empty = SimulatedDisk::new(99);
        let wiped = world.parts_of(5, 2, &empty);
        wiped.controller.start(Begin::Join(vec!["1:1".into()].into())).await.unwrap();
        let state = wiped.state();
        let (new, old) = (state.node(NodeId(5)).unwrap(), state.node(NodeId(2)).unwrap());
        assert!(new.is_up() && old.is_lost());
        assert_eq!(new.name, "n2");
        assert_ne!(new.meta, old.meta);
        // The lost one comes back with its disk, and is itself.
        let back = world.join(2, &disks[1], 1).await;
        assert!(back.state().node(NodeId(2)).unwrap().is_up());
    });
}

#[test]
fn a_node_that_comes_back_at_once_with_an_empty_disk_waits_until_its_former_self_is_down() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let mut nodes = three(&world, &disks).await;
        let third = nodes.pop().unwrap();
        third.crash(&disks[2]).await;
        let empty = SimulatedDisk::new(98);
        let wiped = world.parts_of(6, 3, &empty);
        wiped.controller.start(Begin::Join(vec!["1:1".into()].into())).await.unwrap();
        assert!(wiped.state().node(NodeId(3)).unwrap().is_lost());
        let member = wiped.controller.group().member().0;
        until("it votes in place of the former", SOON, || voters(&nodes[0]).contains(&member)).await;
    });
}

#[test]
fn a_machine_in_the_place_of_another_waits_elsewhere_until_that_one_is_lost() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let mut nodes = three(&world, &disks).await;
        let third = nodes.pop().unwrap();
        third.crash(&disks[2]).await;
        let empty = SimulatedDisk::new(97);
        let other = world.parts_at(6, 3, 6, &empty);
        let starting = other.controller.clone();
        let started =
            tokio::task::spawn_local(async move { starting.start(Begin::Join(vec!["1:1".into()].into())).await });
        let liveness = || nodes[0].state().node(NodeId(3)).unwrap().liveness;
        until("the one before is down", SOON, || liveness() == Liveness::Down).await;
        let last = || nodes[0].controller.group().observe().last;
        let before = last();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(last(), before, "what is refused again and again is no entry of the log");
        assert!(!started.is_finished(), "it waits, and does not give up");
        assert!(nodes[0].state().node(NodeId(6)).is_none(), "it may be somebody else");
        let started = tokio::time::timeout(Duration::from_secs(120), started).await.expect("it is let in some day");
        started.unwrap().unwrap();
        assert_eq!(liveness(), Liveness::Lost);
        assert_eq!(other.state().node(NodeId(6)).unwrap().name, "n3");
    });
}

#[test]
fn a_copied_directory_is_refused() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let mut nodes = three(&world, &disks).await;
        let third = nodes.pop().unwrap();
        third.crash(&disks[2]).await;
        let copy = disks[2].fork(7);
        let third = world.join(3, &disks[2], 1).await;
        third.crash(&disks[2]).await;
        let refused = world.try_join(3, &copy, 1).await.err().expect("the copy has the same counter");
        assert!(matches!(refused, ControllerError::Refused(StateError::StaleBoot { .. })), "{refused}");
    });
}

#[test]
fn an_older_directory_is_refused_however_often_it_is_opened() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let mut nodes = three(&world, &disks).await;
        let third = nodes.pop().unwrap();
        let older = disks[2].fork(7);
        third.crash(&disks[2]).await;
        for _ in 0..2 {
            world.join(3, &disks[2], 1).await.crash(&disks[2]).await;
        }
        for attempt in 0..6 {
            // Its counter soon is as high as the newest directory's, and then higher.
            older.crash();
            let refused = world.try_join(3, &older, 1).await.err();
            let refused = refused.unwrap_or_else(|| panic!("opening {attempt} of the older directory takes part"));
            assert!(matches!(refused, ControllerError::Refused(StateError::StaleBoot { .. })), "{refused}");
        }
        world.join(3, &disks[2], 1).await;
    });
}

#[test]
fn an_older_directory_is_refused_though_whoever_is_asked_lags_behind() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let mut nodes = three(&world, &disks).await;
        let third = nodes.pop().unwrap();
        third.crash(&disks[2]).await;
        let (older, as_old) = (disks[2].fork(7), disks[2].fork(8));
        // The second hears nothing of the third's next registrations, nor of the leader's silence after that.
        world.network.isolate(2, [1, 3]);
        for _ in 0..3 {
            world.join(3, &disks[2], 1).await.crash(&disks[2]).await;
        }
        world.network.heal();
        world.network.isolate(1, [2, 3]);
        let joining = world.try_join(3, &older, 2);
        // The second says what it knows; nobody confirms it, and it alone is no majority of those who vote beside the third.
        assert!(tokio::time::timeout(VOUCH_PATIENCE / 2, joining).await.is_err(), "nobody certain has spoken yet");
        world.network.heal();
        let refused = world.try_join(3, &as_old, 2).await.err().expect("a quorum knows better");
        assert!(matches!(refused, ControllerError::Refused(StateError::StaleBoot { .. })), "{refused}");
    });
}

#[test]
fn a_node_has_stored_who_it_is_before_it_is_registered() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(2));
        let first = world.found(1, &disks[0]).await;
        let second = world.parts(2, &disks[1]);
        let (starting, engine) = (second.controller.clone(), second.engine.clone());
        let started =
            tokio::task::spawn_local(async move { starting.start(Begin::Join(vec!["1:1".into()].into())).await });
        let mut states = first.controller.watch();
        states.wait_for(|state| state.node(NodeId(2)).is_some()).await.unwrap();
        assert_eq!(engine.identity().node, Some(2), "after a loss of power now it would be somebody else");
        started.await.unwrap().unwrap();
    });
}

#[test]
fn the_only_voter_goes_on_though_more_should_vote() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(1));
        let first = world.found(1, &disks[0]).await;
        for id in 2..=3 {
            // Taken in, and gone before any of the log came to it.
            let (name, incarnation) = (format!("n{id}"), Incarnation(id));
            let (id, tags, addresses) = (NodeId(id.into()), BTreeSet::new(), vec![]);
            let register = Command::RegisterNode { id, name, tags, addresses, boots: 1, incarnation };
            first.controller.propose(register).await.unwrap();
        }
        first.engine.checkpoint().unwrap();
        first.crash(&disks[0]).await;
        let again = tokio::time::timeout(SOON, world.found(1, &disks[0])).await.expect("nobody else has a vote");
        again.controller.propose(create(50)).await.unwrap();
    });
}

#[test]
fn nodes_that_were_taken_in_go_on_without_the_founder() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let nodes = three(&world, &disks).await;
        nodes[1].controller.propose(create(60)).await.unwrap();
        for (node, disk) in nodes.into_iter().zip(&disks) {
            node.crash(disk).await;
        }
        let both = async { tokio::join!(world.join(2, &disks[1], 3), world.join(3, &disks[2], 2)) };
        let (second, _third) = tokio::time::timeout(SOON, both).await.expect("two of three are a majority");
        assert!(second.controller.confirm().await.unwrap().database(DatabaseId(60)).is_some());
    });
}

#[test]
fn one_that_runs_vouches_by_its_log_before_anybody_leads() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let nodes = three(&world, &disks).await;
        for (node, disk) in nodes.into_iter().zip(&disks) {
            node.crash(disk).await;
        }
        // The second is vouched for by the third, which goes away before it has started anything.
        let third = world.parts(3, &disks[2]);
        let (beginning, disk) = (world.clone(), disks[1].clone());
        let starting = tokio::task::spawn_local(async move { beginning.join(2, &disk, 3).await });
        tokio::time::sleep(Duration::from_secs(2)).await;
        third.crash(&disks[2]).await;
        let first = tokio::time::timeout(SOON, world.found(1, &disks[0])).await.expect("the second vouches for it");
        starting.await.unwrap();
        assert!(first.state().node(NodeId(2)).is_some());
    });
}

#[test]
fn a_voter_to_which_nothing_has_come_yet_vouches_too() {
    in_a_world(async {
        // So that the cluster's name does not come with the first entries.
        let world = World { founding: (70..100).map(create).collect(), ..World::new() };
        let disks = disks(3);
        let first = world.found(1, &disks[0]).await;
        let second = world.join(2, &disks[1], 1).await;
        // The third is given a vote, for it lacks little; but it gets only the beginning of that.
        set_dice(Some(Box::new(|name| name == "consensus/entries-one-by-one")));
        let third = world.parts(3, &disks[2]);
        let starting = third.controller.clone();
        let started =
            tokio::task::spawn_local(async move { starting.start(Begin::Join(vec!["1:1".into()].into())).await });
        let leading = first.controller.group();
        let is_heard_of = || {
            let member = first.state().node(NodeId(3)).map(|third| third.meta);
            member.is_some_and(|member| leading.matched().get(&member).copied().flatten().is_some())
        };
        while !is_heard_of() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.network.isolate(3, [1, 2]);
        set_dice(None);
        until("three vote", SOON, || [&first, &second].iter().all(|node| voters(node).len() == 3)).await;
        let last = third.groups.find(GroupId::META).and_then(|group| group.observe().last).expect("it was heard of");
        assert!(last.index < 30, "it is told of the cluster by the entry after all those");

        // The first is gone for good. The others are a majority, and the log of one of them has everything.
        first.crash(&disks[0]).await;
        second.crash(&disks[1]).await;
        world.network.heal();
        let second = tokio::time::timeout(SOON, world.join(2, &disks[1], 3)).await.expect("the third vouches for it");
        assert_eq!(second.controller.confirm().await.unwrap().nodes().count(), 3);
        started.await.unwrap().unwrap();
    });
}

#[test]
fn who_votes_no_more_does_not_lead_in_turns_with_who_is_to_lead_nothing() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(7));
        // The last to come is the first one by its id.
        let mut nodes = vec![world.found(10, &disks[0]).await];
        for (id, disk) in [11, 12, 13, 14, 15, 1].into_iter().zip(&disks[1..]) {
            nodes.push(world.join(id, disk, 10).await);
        }
        until("seven vote", SOON, || nodes.iter().all(|node| voters(node).len() == 7)).await;
        let serve = |id, service| Command::SetService { id: NodeId(id), service };
        nodes[1].controller.propose(serve(10, NodeService::Drained)).await.unwrap();
        let last = nodes[6].controller.group().clone();
        until("another leads", SOON, || last.led().is_some()).await;
        // Of six five vote: not the one that leads now.
        nodes[1].controller.propose(serve(12, NodeService::Leaving)).await.unwrap();
        let service = || nodes[1].state().node(NodeId(12)).unwrap().service;
        until("the node has gone", SOON, || service() == NodeService::Gone).await;
        assert_eq!(voters(&nodes[1]).len(), 5);
    });
}

#[test]
fn who_votes_no_more_goes_on_leading_while_the_disks_of_those_who_do_are_full() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let nodes = three(&world, &disks).await;
        // Of two nodes one votes: the first, whose disk is full.
        disks[0].set_capacity(disks[0].used_bytes());
        let mut id = 100;
        while nodes[0].engine.has_space() {
            let _ = nodes[0].controller.propose(create(id)).await;
            id += 1;
        }
        let others: Vec<_> = nodes[1..].iter().map(|node| node.controller.group().clone()).collect();
        until("another leads", SOON, || others.iter().any(|group| group.led().is_some())).await;
        nodes[1]
            .controller
            .propose(Command::SetService { id: NodeId(3), service: NodeService::Leaving })
            .await
            .unwrap();
        until("the second leads", SOON, || others[0].led().is_some()).await;
        // As long as several turns would take.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let term = others[0].led().expect("it leads still");
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(others[0].led(), Some(term), "nobody took it from the second");
        nodes[1].controller.propose(create(1)).await.unwrap();
        disks[0].set_capacity(u64::MAX);
        until("the first alone votes", SOON, || voters(&nodes[1]) == [1].into()).await;
        until("the node has gone", SOON, || nodes[1].state().node(NodeId(3)).unwrap().service == NodeService::Gone)
            .await;
    });
}

/// Has the log grow until the disks of these nodes are full.
async fn fill(full: &[(&Node, &SimulatedDisk)], by: &Node) {
    for (_, disk) in full {
        disk.set_capacity(disk.used_bytes());
    }
    // Each is an entry of the log, and refused, so that the state stays small.
    let long = Command::CreateDatabase { id: DatabaseId(999), name: "x".repeat(8 << 10) };
    while full.iter().any(|(node, _)| node.engine.has_space()) {
        let _ = by.controller.propose(long.clone()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn who_is_to_lead_nothing_leads_on_while_the_disks_of_all_others_are_full() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let nodes = three(&world, &disks).await;
        fill(&[(&nodes[1], &disks[1]), (&nodes[2], &disks[2])], &nodes[0]).await;
        // Until they have said so.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let first = nodes[0].controller.group();
        let term = first.led().expect("nobody took it from who founded the cluster");
        let drain = Command::SetService { id: NodeId(1), service: NodeService::Drained };
        nodes[0].controller.propose(drain).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(first.led(), Some(term), "nobody else can change anything");
        nodes[0].controller.propose(create(1)).await.unwrap();
        disks[2].set_capacity(u64::MAX);
        until("the one leads whose disk has space again", SOON, || nodes[2].controller.group().led().is_some()).await;
    });
}

#[test]
fn who_leaves_lets_one_lead_that_has_space_though_it_votes_no_more() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        // By their ids the last to come leads after the first.
        let mut nodes = vec![world.found(1, &disks[0]).await];
        for (id, disk) in [3, 2].into_iter().zip(&disks[1..]) {
            nodes.push(world.join(id, disk, 1).await);
        }
        until("three vote", SOON, || nodes.iter().all(|node| voters(node).len() == 3)).await;
        fill(&[(&nodes[0], &disks[0])], &nodes[0]).await;
        let leads = |node: &Node| node.controller.group().led().is_some();
        until("another leads", SOON, || nodes[1..].iter().any(leads)).await;
        let (leader, other) = if leads(&nodes[1]) { (&nodes[1], &nodes[2]) } else { (&nodes[2], &nodes[1]) };
        // Of two nodes one votes: the first, whose disk is full.
        let leave = Command::SetService { id: NodeId(leader.id), service: NodeService::Leaving };
        leader.controller.propose(leave).await.unwrap();
        until("the other one leads", SOON, || leads(other)).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let term = other.controller.group().led().expect("it leads still");
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(other.controller.group().led(), Some(term), "nobody took it from that one");
        disks[0].set_capacity(u64::MAX);
        until("the first alone votes", SOON, || voters(other) == [1].into()).await;
    });
}

/// The fourth was heard once.
async fn three_and_one_cut_off(world: &World, disks: &[SimulatedDisk]) -> Vec<Node> {
    let mut nodes = three(world, disks).await;
    nodes.push(world.join(4, &disks[3], 3).await);
    world.network.isolate(4, 1..=4);
    nodes
}

#[test]
fn a_node_that_was_given_up_is_back_though_the_leader_that_it_knew_leads_no_more() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(4));
        let nodes = three_and_one_cut_off(&world, &disks).await;
        let fourth = |node: &Node| node.state().node(NodeId(4)).unwrap().clone();
        until("it is lost", Duration::from_secs(120), || fourth(&nodes[1]).is_lost()).await;
        let member = fourth(&nodes[1]).meta;
        let is_out = || !nodes[1].controller.group().membership().nodes.contains_key(&member);
        until("it is no member any more", SOON, is_out).await;
        let (first, second) = (nodes[0].controller.group(), nodes[1].controller.group());
        assert!(first.led().is_some(), "nobody took it from who founded the cluster");
        first.transfer_leadership(second.member()).await.unwrap();
        nodes[1].controller.propose(create(80)).await.unwrap();
        world.network.heal();
        // Nobody tells it who leads: it belongs to the group no more.
        until("it is up", SOON, || fourth(&nodes[1]).is_up()).await;
        let knows = |node: &Node| node.state().database(DatabaseId(80)).is_some() && fourth(node).is_up();
        until("it has what it missed", SOON, || knows(&nodes[3])).await;
        assert!(!is_out());
    });
}

#[test]
fn a_node_that_was_away_when_it_went_hears_of_it() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(4));
        let nodes = three_and_one_cut_off(&world, &disks).await;
        let leave = Command::SetService { id: NodeId(4), service: NodeService::Leaving };
        nodes[0].controller.propose(leave).await.unwrap();
        let has_gone = |node: &Node| node.state().node(NodeId(4)).is_some_and(|node| node.service == NodeService::Gone);
        let is_out = || {
            let member = nodes[0].state().node(NodeId(4)).unwrap().meta;
            has_gone(&nodes[0]) && !nodes[0].controller.group().membership().nodes.contains_key(&member)
        };
        until("it is no member any more", SOON, is_out).await;
        assert!(!has_gone(&nodes[3]));
        world.network.heal();
        until("it hears of that", SOON, || has_gone(&nodes[3])).await;
        // From then on nobody hears it, as it ends.
        world.network.isolate(4, 1..=4);
        until("it is no member again", SOON, is_out).await;
    });
}

#[test]
fn a_change_whose_answer_is_lost_is_unknown_and_never_made_twice() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let nodes = three(&world, &disks).await;
        let leader = nodes.iter().position(|node| node.controller.group().led().is_some()).unwrap();
        let other = &nodes[(leader + 1) % 3];
        world.network.lose_answers(Some(Service::Control));
        let error = other.controller.propose(create(30)).await.unwrap_err();
        assert!(!error.is_known_without_effect(), "{error}");
        world.network.lose_answers(None);
        until("it was made", SOON, || other.state().database(DatabaseId(30)).is_some()).await;
        // Each registration of a node gives a member id: twice the same call must not give two.
        world.network.double(true);
        let before = other.state().next_member();
        for id in 31..40 {
            // The second of two equal calls is the one that is answered here.
            other.controller.propose(create(id)).await.unwrap();
        }
        other
            .controller
            .propose(Command::DropDatabase { id: DatabaseId(30) })
            .await
            .expect("it was there, and is dropped once");
        world.network.double(false);
        let state = other.controller.confirm().await.unwrap();
        assert_eq!(state.next_member(), before);
        for id in 31..40 {
            assert!(state.database(DatabaseId(id)).is_some());
        }
    });
}

#[test]
fn a_node_without_a_majority_changes_nothing_and_confirms_nothing() {
    in_a_world(async {
        let (world, disks) = (World::new(), disks(3));
        let nodes = three(&world, &disks).await;
        let leader = nodes.iter().position(|node| node.controller.group().led().is_some()).unwrap();
        world.network.isolate(nodes[leader].id, 1..=3);
        tokio::time::sleep(Duration::from_secs(3)).await;
        nodes[leader].controller.confirm().await.unwrap_err();
        // What it had proposed meanwhile may be committed by nobody: its fate is not known to be none.
        let lost = tokio::time::timeout(Duration::from_secs(60), nodes[leader].controller.propose(create(40))).await;
        assert!(!matches!(lost, Ok(Ok(_))));
        world.network.heal();
        let state = nodes[(leader + 1) % 3].controller.confirm().await.unwrap();
        assert!(state.database(DatabaseId(40)).is_none());
    });
}
