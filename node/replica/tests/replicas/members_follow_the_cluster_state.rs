//! Shards with members on several nodes: founded together, filled, replaced, moved, and erased where they are not wanted any
//! more; with crashes in the middle.

use std::time::Duration;

use crate::whole::world::{in_a_world, until};
use crate::whole::{Cluster, SOON, TABLE, Whole, document};
use photondb_cluster_state::Command;
use photondb_proto::{GroupId, NodeId};
use photondb_replica::ReplicaError;
use photondb_replica::proposer::{Planned, Settled};
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;
use photondb_storage::disk::simulated::SimulatedDisk;

#[test]
fn a_table_of_three_replicas_is_served_and_its_members_hold_the_same() {
    in_a_world(async {
        let cluster = Cluster::of(3).await;
        cluster.create(&[1, 2, 3]).await;
        for id in 0..20 {
            cluster.write(id).await;
        }
        cluster.settled(&[1, 2, 3], 20).await;
        // The primary leads in the end, whoever was elected first.
        let primary = || cluster.leader().is_some_and(|leader| leader.member == cluster.any().shard().members[0].id);
        until("the primary leads", SOON, primary).await;
    });
}

/// A leader that others have replaced without its knowledge has nothing to say, not even that a write would change nothing.
#[test]
fn a_write_that_changes_nothing_is_answered_by_who_leads() {
    in_a_world(async {
        let cluster = Cluster::of(3).await;
        cluster.create(&[1, 2, 3]).await;
        until("a leader", SOON, || cluster.leader().is_some()).await;
        cluster.write(1).await;
        let old = cluster.leader().unwrap();
        let nodes = [1, 2, 3u128];
        let holds = |id: &u128| cluster.nodes[*id as usize - 1].as_ref().and_then(Whole::replica);
        let alone = nodes.iter().copied().find(|id| holds(id).is_some_and(|replica| replica.member == old.member));
        let alone = alone.unwrap();
        cluster.world.network.isolate(alone, nodes.into_iter().filter(|id| *id != alone));
        until("another leader", SOON, || cluster.leader().is_some_and(|leader| leader.member != old.member)).await;
        let key = PrimaryKey::new(&Datum::Number(2.0)).unwrap().bytes();
        let leader = cluster.leader().unwrap();
        Cluster::try_write(&leader, &key, &document(2)).await.unwrap();

        // The old one would delete what it does not have: nothing.
        let (ticket, found) = old.proposer().read(std::slice::from_ref(&key)).await.unwrap();
        assert_eq!(found, [None]);
        let planned = Planned { key: key.clone(), expected: None, effect: None };
        let submitted = old.proposer().submit(&ticket, vec![planned]).unwrap();
        let settled = submitted.settle().await;
        assert!(matches!(settled, Err(ReplicaError::NotLeading)), "{settled:?}");

        // Whoever leads knows, and says so when its lease is over too.
        let (ticket, found) = leader.proposer().read(std::slice::from_ref(&key)).await.unwrap();
        let planned = Planned { key, expected: found[0].clone(), effect: None };
        let submitted = leader.proposer().submit(&ticket, vec![planned]).unwrap();
        assert!(matches!(submitted.settle().await, Ok(Settled::Applied)));
    });
}

/// Whoever asked it before it went asks others then.
#[test]
fn a_member_that_has_ended_leads_nothing() {
    in_a_world(async {
        let cluster = Cluster::of(3).await;
        cluster.create(&[1, 2, 3]).await;
        until("a leader", SOON, || cluster.leader().is_some()).await;
        cluster.write(1).await;
        let leader = cluster.leader().unwrap();
        cluster.any().node.controller.propose(Command::DropTable { id: TABLE }).await.unwrap();
        until("no member is left", SOON, || cluster.live().all(|whole| whole.replica().is_none())).await;
        assert!(matches!(leader.read_confirmed().await.map(drop), Err(ReplicaError::NotLeading)));
    });
}

#[test]
fn an_index_is_ready_when_every_voter_has_built_it() {
    in_a_world(async {
        let cluster = Cluster::of(3).await;
        cluster.create(&[1, 2, 3]).await;
        for id in 0..300 {
            cluster.write(id).await;
        }
        let name = "i".to_owned();
        let create = Command::CreateIndex { table: TABLE, name, definition: index_by_id(), multi: false, geo: false };
        cluster.any().node.controller.propose(create).await.unwrap();
        let usable = |whole: &Whole| {
            whole.replica().unwrap().shard().read().unwrap().index("i").is_ok_and(|index| index.is_usable())
        };
        until("every member answers by it", SOON, || cluster.live().all(usable)).await;
        for whole in cluster.live() {
            let (state, mut served) = (whole.node.state(), false);
            let table = state.table(TABLE).unwrap();
            for _ in 0..100 {
                // Whoever has just begun to lead looks first.
                served = served || whole.replicas.is_served(&state, table).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(served, "any node knows that the shards follow");
        }
    });
}

#[test]
fn a_shard_without_a_majority_keeps_nothing_else_waiting() {
    in_a_world(async {
        let mut cluster = Cluster::of(5).await;
        cluster.create(&[1, 2, 3]).await;
        cluster.write(1).await;
        cluster.settled(&[1, 2, 3], 1).await;
        let limit = Duration::from_secs(60);
        let voters =
            || cluster.any().node.groups.find(GroupId::META).unwrap().committed_membership().all_voters().len();
        until("five vote on the state", limit, || voters() == 5).await;
        let led = |whole: &Whole| whole.replica().is_some_and(|replica| replica.is_leading());
        let leader = cluster.live().find(|whole| led(whole)).unwrap().node.id;
        for other in (1..=3).filter(|other| *other != leader) {
            cluster.crash(other).await;
        }
        // What it is told now can never be decided in its group.
        let whole = cluster.nodes[leader as usize - 1].as_ref().unwrap();
        let name = "i".to_owned();
        let create = Command::CreateIndex { table: TABLE, name, definition: index_by_id(), multi: false, geo: false };
        whole.node.controller.propose(create).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        whole.node.controller.propose(Command::DropTable { id: TABLE }).await.unwrap();
        until("the node obeys all the same", limit, || whole.replica().is_none()).await;
    });
}

#[test]
fn a_member_on_a_lost_node_is_replaced_and_erased_when_the_node_comes_back() {
    in_a_world(async {
        let mut cluster = Cluster::of(4).await;
        cluster.create(&[1, 2, 3]).await;
        for id in 0..10 {
            cluster.write(id).await;
        }
        cluster.settled(&[1, 2, 3], 10).await;
        cluster.crash(3).await;
        for id in 10..20 {
            cluster.write(id).await;
        }
        let limit = Duration::from_secs(120);
        until("it is lost", limit, || cluster.any().node.state().node(NodeId(3)).unwrap().is_lost()).await;
        cluster.settled(&[1, 2, 4], 20).await;
        cluster.restart(3).await;
        cluster.settled(&[1, 2, 4], 20).await;
    });
}

#[test]
fn a_shard_moves_whatever_node_crashes_at_whatever_step() {
    for crashing in 1..=4u128 {
        for step in 0..6u64 {
            in_a_world(async move {
                let mut cluster = Cluster::of(4).await;
                cluster.create(&[1, 2, 3]).await;
                for id in 0..10 {
                    cluster.write(id).await;
                }
                cluster.settled(&[1, 2, 3], 10).await;
                cluster.place(&[2, 3, 4]).await;
                // Some milliseconds each: a learner is added, filled, voters change, a learner goes, a member is erased.
                tokio::time::sleep(Duration::from_millis(step * step * 15)).await;
                cluster.crash(crashing).await;
                tokio::time::sleep(Duration::from_millis(700)).await;
                cluster.restart(crashing).await;
                cluster.write(10).await;
                cluster.settled(&[2, 3, 4], 11).await;
            });
        }
    }
}

#[test]
fn a_member_that_meets_a_damaged_page_is_replaced_and_the_node_goes_on() {
    // Met by a reader, or by the member itself while it starts.
    for (leads, runs) in [(true, true), (false, true), (true, false), (false, false)] {
        in_a_world(async move {
            let mut cluster = Cluster::of(3).await;
            cluster.create(&[1, 2, 3]).await;
            for id in 0..100 {
                cluster.write(id).await;
            }
            cluster.settled(&[1, 2, 3], 100).await;
            let struck: u128 = if leads { 1 } else { 2 };
            let whole = cluster.nodes[struck as usize - 1].as_ref().unwrap();
            let before = whole.replica().unwrap().member;
            whole.node.engine.checkpoint().unwrap();
            cluster.crash(struck).await;
            cluster.restart(struck).await;
            let whole = cluster.nodes[struck as usize - 1].as_ref().unwrap();
            if runs {
                until("it runs", SOON, || whole.replica().is_some()).await;
            }
            flip_bits_of_leaves(&cluster.disks[struck as usize - 1]);
            if runs {
                let reader = whole.replica().unwrap().read_outdated().unwrap();
                let read = reader.all_documents().map(|documents| documents.len());
                let error = read.expect_err("never a wrong answer");
                assert!(error.to_string().contains("damaged page"), "{error}");
            }
            for id in 100..120 {
                cluster.write(id).await;
            }
            cluster.settled(&[1, 2, 3], 120).await;
            let whole = cluster.nodes[struck as usize - 1].as_ref().unwrap();
            assert_ne!(whole.replica().unwrap().member, before, "what was damaged does not come back");
        });
    }
}

/// Bits flip in every leaf of the page file. What a start has read already stays in memory.
fn flip_bits_of_leaves(disk: &SimulatedDisk) {
    let bytes = disk.bytes_of("pages").unwrap();
    let starts = (0..bytes.len() - 40).step_by(512);
    let leaves: Vec<usize> = starts.filter(|at| bytes[*at..].starts_with(b"PhPg") && bytes[at + 6] == 1).collect();
    assert!(!leaves.is_empty());
    for leaf in leaves {
        assert!(disk.flip_bit("pages", leaf as u64 + 44));
    }
}

/// `row => row("id")`, as stored.
fn index_by_id() -> Vec<u8> {
    use photondb_reql::eval::Cx;
    use photondb_reql::eval::stored::{compile_term, encode_function};
    use photondb_reql::term::{Message, parse};
    let Ok(Message::Start(start)) = parse(br#"[1,[69,[[2,[1]],[170,[[10,[1]],"id"]]]]]"#) else { panic!("a query") };
    encode_function(&compile_term(&start.term).unwrap(), &Cx::pure()).unwrap()
}
