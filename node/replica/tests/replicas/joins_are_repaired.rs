//! Two shards that are being joined when most of their replicas are lost for good go on, whichever step of it was made, and become one
//! in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::whole::ranges::{create, key, replicas, shards, wish, write};
use crate::whole::world::{in_a_world, until};
use crate::whole::{Cluster, SOON, TABLE, Whole};
use bytes::Bytes;
use photondb_cluster_state::plan::{Burdens, Survivor, rescue};
use photondb_cluster_state::{Command, Reached, Shard, Stage};
use photondb_proto::{MemberId, NodeId};
use photondb_replica::Replica;

const IDS: std::ops::Range<u64> = 0..20;

/// Two shards on the first three of five nodes, with documents that the first node has, too; they are wanted to be joined.
async fn to_be_joined() -> Cluster {
    let cluster = Cluster::of(5).await;
    create(&cluster, &[IDS.end / 2], &[1, 2, 3]).await;
    for id in IDS {
        write(&cluster, id).await;
    }
    let first = || cluster.nodes[0].as_ref().map(documents).unwrap_or_default();
    until("the first node has all", SOON, || first().len() == 20).await;
    wish(&cluster).await;
    cluster
}

/// What a node holds of the table.
fn documents(whole: &Whole) -> Vec<Bytes> {
    let read = |replica: Arc<Replica>| replica.shard().read().ok()?.all_documents().ok();
    let mut found: Vec<Bytes> = replicas(whole).into_iter().filter_map(read).flatten().map(|(key, _)| key).collect();
    found.sort();
    found
}

/// Loses two of the three nodes, and says that the table is to go on without them.
async fn lose_and_repair(cluster: &mut Cluster) {
    for id in [2, 3] {
        cluster.crash(id).await;
    }
    let is_up = |cluster: &Cluster, id| cluster.any().node.state().node(NodeId(id)).unwrap().is_up();
    until("they are missed", SOON, || [2, 3].iter().all(|id| !is_up(cluster, *id))).await;
    let asked = cluster.any();
    let state = asked.node.controller.confirm().await.unwrap();
    let told = asked.replicas.statuses_of(&state, state.table(TABLE).unwrap()).await;
    let survivor = |status: &photondb_replica::status::MemberStatus| {
        let last = status.last.map(|last| Reached { term: last.term.0, index: last.index });
        (status.member, Survivor { last, voters: status.voters.clone(), answers: status.answers })
    };
    let survivors: BTreeMap<MemberId, Survivor> = told.values().flatten().map(survivor).collect();
    let found = rescue(&state, state.table(TABLE).unwrap(), &survivors, false, &Burdens::new());
    assert!(found.apart.is_empty() && found.missing == 0, "the first node has both: {found:?}");
    assert_eq!(found.shards.len(), state.table(TABLE).unwrap().shards.len());
    let command = Command::RepairTable { table: TABLE, shards: found.shards };
    asked.node.controller.propose(command).await.unwrap();
}

/// One shard is left, with all documents and as many replicas as before.
async fn joined(cluster: &Cluster) {
    let expected = {
        let mut keys: Vec<Bytes> = IDS.map(key).collect();
        keys.sort();
        keys
    };
    let done = || {
        let shards = shards(cluster.any());
        let holds = |node: NodeId| {
            cluster.nodes[node.0 as usize - 1].as_ref().is_some_and(|whole| documents(whole) == expected)
        };
        shards.len() == 1 && shards[0].members.len() == 3 && shards[0].members.iter().all(|member| holds(member.node))
    };
    until("they are one shard", 4 * SOON, done).await;
    write(cluster, IDS.start).await;
    write(cluster, IDS.end - 1).await;
}

#[test]
fn whichever_step_was_made_they_become_one_with_all_that_was_left() {
    for step in 0..10u64 {
        in_a_world(async move {
            let mut cluster = to_be_joined().await;
            tokio::time::sleep(Duration::from_millis(step * step * 10)).await;
            lose_and_repair(&mut cluster).await;
            joined(&cluster).await;
        });
    }
}

#[test]
fn behind_the_point_of_no_return_both_halves_go_on_together_and_may_crash() {
    for step in 0..6u64 {
        in_a_world(async move {
            let mut cluster = to_be_joined().await;
            let frozen = |shard: &Shard| matches!(shard.joining, Some(Stage::Frozen { .. }));
            until("there is no way back", SOON, || shards(cluster.any()).iter().any(frozen)).await;
            lose_and_repair(&mut cluster).await;
            tokio::time::sleep(Duration::from_millis(step * step * 8)).await;
            cluster.crash(1).await;
            cluster.restart(1).await;
            joined(&cluster).await;
        });
    }
}
