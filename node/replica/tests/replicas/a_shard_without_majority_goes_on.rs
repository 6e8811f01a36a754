//! A shard that lost the majority of its replicas for good goes on with one of those that are left, or empty, when people say so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::whole::world::{in_a_world, until};
use crate::whole::{Cluster, SOON, TABLE, Whole};
use photondb_cluster_state::plan::{Burdens, Rescues, Survivor, rescue};
use photondb_cluster_state::{Command, NewCut, Placement, Reached};
use photondb_proto::{MemberId, NodeId};
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;
use photondb_storage::wal::StreamId;

/// What is left of the table, as one that is asked for a repair finds it.
async fn found(cluster: &Cluster, erases: bool) -> Rescues {
    let asked = cluster.any();
    let state = asked.node.controller.confirm().await.unwrap();
    let table = state.table(TABLE).unwrap();
    let told = asked.replicas.statuses_of(&state, table).await;
    let survivor = |status: &photondb_replica::status::MemberStatus| {
        let last = status.last.map(|last| Reached { term: last.term.0, index: last.index });
        (status.member, Survivor { last, voters: status.voters.clone(), answers: status.answers })
    };
    let survivors: BTreeMap<MemberId, Survivor> = told.values().flatten().map(survivor).collect();
    rescue(&state, table, &survivors, erases, &Burdens::new())
}

/// As `reconfigure` does; how many shards were repaired.
async fn repair(cluster: &Cluster, erases: bool) -> usize {
    let shards = found(cluster, erases).await.shards;
    let count = shards.len();
    if count > 0 {
        let command = Command::RepairTable { table: TABLE, shards };
        cluster.any().node.controller.propose(command).await.unwrap();
    }
    count
}

async fn are_missed(cluster: &Cluster, nodes: &[u128]) {
    let state = || cluster.any().node.state();
    until("they are missed", SOON, || nodes.iter().all(|id| !state().node(NodeId(*id)).unwrap().is_up())).await;
}

async fn with_documents(count: u64) -> Cluster {
    let cluster = Cluster::of(5).await;
    cluster.create(&[1, 2, 3]).await;
    for id in 0..count {
        cluster.write(id).await;
    }
    cluster.settled(&[1, 2, 3], count as usize).await;
    cluster
}

#[test]
fn it_keeps_what_the_survivor_had_and_gets_its_replicas_back() {
    in_a_world(async {
        let mut cluster = with_documents(30).await;
        let before = cluster.any().shard();
        cluster.crash(2).await;
        cluster.crash(3).await;
        are_missed(&cluster, &[2, 3]).await;
        let found = found(&cluster, false).await;
        assert_eq!((found.shards.len(), found.missing), (1, 0), "{found:?}");
        assert_eq!(repair(&cluster, false).await, 1);
        cluster.settled(&[1, 4, 5], 30).await;
        for id in 30..40 {
            cluster.write(id).await;
        }
        cluster.settled(&[1, 4, 5], 40).await;
        let after = cluster.any().shard();
        let ids = |shard: &photondb_cluster_state::Shard| {
            shard.members.iter().map(|member| member.id).collect::<BTreeSet<_>>()
        };
        assert!(ids(&before).is_disjoint(&ids(&after)), "nobody is a member twice");
        // The log of the one that was taken over is not carried on for ever.
        let old = before.members.iter().find(|member| member.node == NodeId(1)).unwrap().id;
        let log_of_old = || cluster.nodes[0].as_ref().unwrap().node.engine.wal().state(StreamId(old.0));
        until("it is erased", SOON, || log_of_old().is_none_or(|state| state.erased)).await;
        assert_eq!(repair(&cluster, true).await, 0, "nothing is to be repaired any more");
    });
}

#[test]
fn old_members_that_come_back_give_up_what_they_had() {
    in_a_world(async {
        let cluster = with_documents(10).await;
        // The two that are not heard go on among themselves, and acknowledge what is given up later.
        for node in [2, 3] {
            cluster.world.network.isolate(node, [1, 4, 5]);
        }
        are_missed(&cluster, &[2, 3]).await;
        let away: Vec<_> = [1, 2].map(|number: usize| cluster.nodes[number].as_ref().unwrap()).into();
        let leader = || away.iter().filter_map(|whole| whole.replica()).find(|replica| replica.is_leading());
        until("one of them leads", SOON, || leader().is_some()).await;
        let key = |id: u64| PrimaryKey::new(&Datum::Number(id as f64)).unwrap().bytes();
        Cluster::try_write(&leader().unwrap(), &key(77), &crate::whole::document(77)).await.unwrap();
        assert_eq!(repair(&cluster, false).await, 1);
        let first = |cluster: &Cluster| cluster.nodes[0].as_ref().and_then(Whole::replica);
        until("the survivor leads", SOON, || first(&cluster).is_some_and(|replica| replica.is_leading())).await;
        let survivor = first(&cluster).unwrap();
        Cluster::try_write(&survivor, &key(88), &crate::whole::document(88)).await.unwrap();
        // They hear of it: none of them serves or votes any more, and what was written here stays.
        cluster.world.network.heal();
        cluster.settled(&[1, 4, 5], 11).await;
        let epoch = survivor.shard().view().epoch;
        assert!(leader().is_none() || leader().unwrap().shard().view().epoch >= epoch);
        let held = survivor.shard().get(&key(88)).unwrap();
        assert!(held.is_some() && survivor.shard().get(&key(77)).unwrap().is_none());
        cluster.write(99).await;
        cluster.settled(&[1, 4, 5], 12).await;
    });
}

#[test]
fn the_survivor_may_crash_at_whatever_step() {
    for step in 0..12u64 {
        in_a_world(async move {
            let mut cluster = with_documents(30).await;
            cluster.crash(2).await;
            cluster.crash(3).await;
            are_missed(&cluster, &[2, 3]).await;
            assert_eq!(repair(&cluster, false).await, 1);
            tokio::time::sleep(Duration::from_millis(step * step)).await;
            cluster.crash(1).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            cluster.restart(1).await;
            cluster.settled(&[1, 4, 5], 30).await;
            cluster.write(30).await;
            cluster.settled(&[1, 4, 5], 31).await;
        });
    }
}

#[test]
fn what_the_survivor_had_in_its_log_and_not_applied_is_kept() {
    in_a_world(async {
        let mut cluster = with_documents(5).await;
        cluster.nodes[0].as_ref().unwrap().node.engine.checkpoint().unwrap();
        for id in 5..40 {
            cluster.write(id).await;
        }
        // After the crash nobody is there who could say what of it was committed.
        for node in [1, 2, 3] {
            cluster.crash(node).await;
        }
        cluster.restart(1).await;
        are_missed(&cluster, &[2, 3]).await;
        until("it runs", SOON, || cluster.nodes[0].as_ref().unwrap().replica().is_some()).await;
        assert_eq!(repair(&cluster, false).await, 1);
        cluster.settled(&[1, 4, 5], 40).await;
    });
}

#[test]
fn the_longest_log_is_chosen() {
    in_a_world(async {
        let mut cluster = Cluster::of(5).await;
        cluster.create(&[1, 2, 3, 4]).await;
        for id in 0..5 {
            cluster.write(id).await;
        }
        cluster.settled(&[1, 2, 3, 4], 5).await;
        // The second hears nothing more; then the two others go.
        cluster.world.network.isolate(2, [1, 3, 4]);
        for id in 5..20 {
            cluster.write(id).await;
        }
        let lasts = |id: usize| cluster.nodes[id].as_ref().unwrap().replica().unwrap().group().observe().last;
        until("the first has it all", SOON, || lasts(0) == lasts(2) && lasts(0) > lasts(1)).await;
        cluster.crash(3).await;
        cluster.crash(4).await;
        cluster.world.network.heal();
        are_missed(&cluster, &[3, 4]).await;
        let from = found(&cluster, false).await.shards[0].from.unwrap();
        let lasts = |id: usize| cluster.nodes[id].as_ref().unwrap().replica().unwrap().group().observe().last;
        let first = cluster.nodes[0].as_ref().unwrap().replica().unwrap().member;
        assert!(from == first || lasts(1) >= lasts(0), "{:?} {:?}", lasts(0), lasts(1));
        assert_eq!(repair(&cluster, false).await, 1);
        until("all of it is there", SOON, || {
            let leader = cluster.leader();
            leader.is_some_and(|leader| leader.shard().read().unwrap().all_documents().unwrap().len() == 20)
        })
        .await;
    });
}

#[test]
fn a_shard_of_which_nothing_is_left_begins_empty() {
    in_a_world(async {
        let mut cluster = Cluster::of(5).await;
        cluster.create(&[4, 5]).await;
        for id in 0..10 {
            cluster.write(id).await;
        }
        cluster.settled(&[4, 5], 10).await;
        cluster.crash(4).await;
        cluster.crash(5).await;
        are_missed(&cluster, &[4, 5]).await;
        let nothing = found(&cluster, false).await;
        assert_eq!((nothing.shards.len(), nothing.missing), (0, 1));
        assert_eq!(repair(&cluster, true).await, 1);
        until("two of the others hold it", SOON, || cluster.leader().is_some()).await;
        let places: Vec<u128> = cluster.any().shard().placement.voters.iter().map(|node| node.0).collect();
        assert!(places.iter().all(|node| *node <= 3) && places.len() == 2, "{places:?}");
        for id in 50..55 {
            cluster.write(id).await;
        }
        cluster.settled(&places, 5).await;
        // It is one as any other: it survives its nodes, is filled elsewhere, and can be cut.
        cluster.crash(places[0]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.restart(places[0]).await;
        cluster.settled(&places, 5).await;
        let shard = cluster.any().shard();
        let at = PrimaryKey::new(&Datum::Number(52.0)).unwrap().bytes().to_vec();
        let cuts = vec![NewCut { at, placement: shard.placement.clone() }];
        let cut = Command::CutShard { shard: shard.id, generation: shard.generation, cuts };
        cluster.any().node.controller.propose(cut).await.unwrap();
        until("both parts are served", SOON, || served(&cluster) == [2, 3]).await;
        // Who had it comes back, and has nothing any more.
        cluster.restart(4).await;
        let empty = || cluster.nodes[3].as_ref().unwrap().node.engine.tree_sets().iter().all(|set| set.0 == 0);
        until("it is empty", SOON, empty).await;
    });
}

/// How many documents the leader of each shard has.
fn served(cluster: &Cluster) -> Vec<usize> {
    let state = cluster.any().node.state();
    let shards = &state.table(TABLE).unwrap().shards;
    let leader = |id| {
        let running = cluster.live().filter_map(|whole| whole.replicas.shard(id));
        running.into_iter().find(|replica| replica.is_leading())
    };
    let count = |id| leader(id).map(|leader| leader.shard().read().unwrap().all_documents().unwrap().len());
    shards.iter().filter_map(|shard| count(shard.id)).collect()
}

#[test]
fn a_shard_that_is_being_cut_is_repaired_wherever_the_cut_was() {
    for step in 0..14u64 {
        in_a_world(async move {
            let mut cluster = with_documents(20).await;
            let shard = cluster.any().shard();
            let at = PrimaryKey::new(&Datum::Number(10.0)).unwrap().bytes().to_vec();
            let placement = Placement { voters: [1, 2, 3].map(NodeId).into(), nonvoting: BTreeSet::new() };
            let cuts = vec![NewCut { at, placement }];
            let cut = Command::CutShard { shard: shard.id, generation: shard.generation, cuts };
            cluster.any().node.controller.propose(cut).await.unwrap();
            tokio::time::sleep(Duration::from_millis(step * step * 4)).await;
            cluster.crash(2).await;
            cluster.crash(3).await;
            are_missed(&cluster, &[2, 3]).await;
            // A part that the survivor has still to bear can be repaired when it is borne.
            for _ in 0..100 {
                repair(&cluster, false).await;
                if served(&cluster) == [10, 10] {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            assert_eq!(served(&cluster), [10, 10], "after {step}: {:?}", cluster.any().node.state().table(TABLE));
            let filled = || {
                let state = cluster.any().node.state();
                state.table(TABLE).unwrap().shards.iter().all(|shard| shard.members.len() == 3 && !shard.is_changing())
            };
            until("three replicas of both", SOON, filled).await;
        });
    }
}
