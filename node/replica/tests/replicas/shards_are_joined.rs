//! Two neighbouring shards become one: on every node, whoever crashes at whatever step, and without anything that was acknowledged being
//! lost.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::whole::ranges::{create, key, shards, wish, write};
use crate::whole::world::{in_a_world, until};
use crate::whole::{Cluster, SOON, TABLE, Whole};
use bytes::Bytes;
use photondb_cluster_state::{Command, NewCut, Placement, Role, Shard, Stage};
use photondb_proto::{KeyRange, MemberId, NodeId};
use photondb_storage::TreeSetId;

/// The first key of the second shard, and of the third if there is one.
const STARTS: [u64; 2] = [50, 80];

/// What a node holds of the whole table, once it is in one shard.
fn documents(whole: &Whole) -> Option<Vec<Bytes>> {
    let table = whole.replicas.table(TABLE)?;
    let first = table.shards().iter().find(|replica| replica.range() == KeyRange::all())?;
    Some(first.shard().read().ok()?.all_documents().ok()?.into_iter().map(|(key, _)| key).collect())
}

/// One shard is left, which has `ids` on every node, and nothing else is.
async fn joined(cluster: &Cluster, ids: impl Iterator<Item = u64>) {
    let mut expected: Vec<Bytes> = ids.map(key).collect();
    expected.sort();
    let done = || {
        let one = shards(cluster.any()).len() == 1;
        one && cluster.live().all(|whole| documents(whole).is_none_or(|found| found == expected))
            && shards(cluster.any())[0].members.iter().all(|member| {
                let whole = cluster.nodes[member.node.0 as usize - 1].as_ref();
                whole.is_none_or(|whole| documents(whole).is_some_and(|found| found == expected))
            })
    };
    until(&format!("joined: {:?}", shards(cluster.any())), SOON, done).await;
}

/// Nobody keeps anything of a shard that was joined.
async fn nothing_else_is_left(cluster: &Cluster, before: &[Shard]) {
    let gone: BTreeSet<u64> = before.iter().skip(1).map(|shard| shard.id.0).collect();
    let is_clean = |whole: &Whole| gone.iter().all(|shard| whole.node.engine.tree_set(TreeSetId(*shard)).is_none());
    let clean = || {
        let state = cluster.any().node.state();
        state.table(TABLE).unwrap().joined.is_empty() && cluster.live().all(is_clean)
    };
    until("only the one shard is left", 3 * SOON, clean).await;
}

#[test]
fn neighbours_become_one_shard_with_all_that_they_had() {
    for count in [2, 3] {
        in_a_world(async move {
            let cluster = Cluster::of(3).await;
            create(&cluster, &STARTS[..count - 1], &[1, 2, 3]).await;
            for id in (0..100).step_by(10) {
                write(&cluster, id).await;
            }
            let before = shards(cluster.any());
            wish(&cluster).await;
            // Writers go on all the time, and wait while they must.
            for id in (5..100).step_by(10) {
                write(&cluster, id).await;
            }
            joined(&cluster, (0..100).step_by(5)).await;
            write(&cluster, 99).await;
            joined(&cluster, (0..100).step_by(5).chain([99])).await;
            nothing_else_is_left(&cluster, &before).await;
        });
    }
}

#[test]
fn a_join_goes_on_whatever_node_crashes_at_whatever_step() {
    for crashing in 1..=3u128 {
        for step in 0..8u64 {
            in_a_world(async move {
                let mut cluster = Cluster::of(3).await;
                create(&cluster, &STARTS[..1], &[1, 2, 3]).await;
                for id in (0..100).step_by(10) {
                    write(&cluster, id).await;
                }
                let before = shards(cluster.any());
                wish(&cluster).await;
                tokio::time::sleep(Duration::from_millis(step * step * 15)).await;
                cluster.crash(crashing).await;
                tokio::time::sleep(Duration::from_millis(700)).await;
                cluster.restart(crashing).await;
                write(&cluster, 45).await;
                write(&cluster, 55).await;
                joined(&cluster, (0..100).step_by(10).chain([45, 55])).await;
                nothing_else_is_left(&cluster, &before).await;
            });
        }
    }
}

/// Power fails everywhere at once.
#[test]
fn a_join_goes_on_when_all_nodes_crash_at_whatever_step() {
    for step in 0..10u64 {
        in_a_world(async move {
            let mut cluster = Cluster::of(3).await;
            create(&cluster, &STARTS[..1], &[1, 2, 3]).await;
            for id in (0..100).step_by(10) {
                write(&cluster, id).await;
            }
            wish(&cluster).await;
            tokio::time::sleep(Duration::from_millis(step * step * 12)).await;
            for id in [3, 2] {
                cluster.crash(id).await;
            }
            // The last one finds its way back by itself.
            for id in [2, 3] {
                cluster.restart(id).await;
            }
            cluster.crash(1).await;
            cluster.restart(1).await;
            write(&cluster, 45).await;
            write(&cluster, 55).await;
            joined(&cluster, (0..100).step_by(10).chain([45, 55])).await;
        });
    }
}

/// One that was away for long comes back to a shard that has the keys of both, and is filled by a snapshot.
#[test]
fn who_was_away_while_shards_were_joined_has_all_of_it_in_the_end() {
    in_a_world(async {
        let mut cluster = Cluster::of(4).await;
        create(&cluster, &STARTS[..1], &[1, 2, 3]).await;
        for id in (0..100).step_by(10) {
            write(&cluster, id).await;
        }
        wish(&cluster).await;
        let frozen = || shards(cluster.any()).iter().any(|shard| matches!(shard.joining, Some(Stage::Frozen { .. })));
        until("there is no way back", SOON, frozen).await;
        cluster.crash(3).await;
        write(&cluster, 55).await;
        joined(&cluster, (0..100).step_by(10).chain([55])).await;
        cluster.restart(3).await;
        write(&cluster, 56).await;
        joined(&cluster, (0..100).step_by(10).chain([55, 56])).await;
    });
}

/// While a member is silent nothing is frozen for good.
#[test]
fn an_attempt_is_given_up_when_somebody_is_not_there() {
    in_a_world(async {
        let mut cluster = Cluster::of(3).await;
        create(&cluster, &STARTS[..1], &[1, 2, 3]).await;
        for id in (0..100).step_by(10) {
            write(&cluster, id).await;
        }
        cluster.crash(3).await;
        wish(&cluster).await;
        write(&cluster, 55).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(shards(cluster.any()).len(), 2);
        write(&cluster, 56).await;
        cluster.restart(3).await;
        joined(&cluster, (0..100).step_by(10).chain([55, 56])).await;
    });
}

/// Who has failed is replaced when the shards are joined, and not before.
#[test]
fn a_join_goes_on_when_a_member_of_the_left_shard_has_failed() {
    in_a_world(async {
        let cluster = Cluster::of(4).await;
        create(&cluster, &STARTS[..1], &[1, 2, 3]).await;
        for id in (0..100).step_by(10) {
            write(&cluster, id).await;
        }
        wish(&cluster).await;
        let frozen = || shards(cluster.any()).iter().any(|shard| matches!(shard.joining, Some(Stage::Frozen { .. })));
        until("there is no way back", SOON, frozen).await;
        let left = shards(cluster.any())[0].clone();
        let failed = left.members.iter().find(|member| Some(member.id) != leader_of(&cluster, &left)).unwrap().id;
        cluster.any().node.controller.propose(Command::MemberFailed { shard: left.id, member: failed }).await.unwrap();
        write(&cluster, 55).await;
        joined(&cluster, (0..100).step_by(10).chain([55])).await;
        let members = || shards(cluster.any())[0].members.clone();
        let replaced =
            || members().len() == 3 && members().iter().all(|member| member.id != failed && member.role == Role::Voter);
        until("another is there instead", 3 * SOON, replaced).await;
        joined(&cluster, (0..100).step_by(10).chain([55])).await;
    });
}

/// One that is to take part in both groups when the join begins, and does not yet.
#[test]
fn a_replica_that_never_votes_and_has_just_been_added_comes_along() {
    in_a_world(async {
        let cluster = Cluster::of(4).await;
        create(&cluster, &STARTS[..1], &[1, 2, 3]).await;
        for id in (0..100).step_by(10) {
            write(&cluster, id).await;
        }
        let placement = Placement { voters: [1, 2, 3].map(NodeId).into(), nonvoting: [NodeId(4)].into() };
        let left = shards(cluster.any())[0].id;
        cluster.any().node.controller.propose(Command::PlaceShard { shard: left, placement }).await.unwrap();
        wish(&cluster).await;
        write(&cluster, 55).await;
        joined(&cluster, (0..100).step_by(10).chain([55])).await;
        let members = || shards(cluster.any())[0].members.clone();
        until("all four have it", SOON, || members().len() == 4).await;
        joined(&cluster, (0..100).step_by(10).chain([55])).await;
        write(&cluster, 56).await;
    });
}

/// A member that comes late applies every cut that is in the log, also that of a shard which is another one's by now.
#[test]
fn what_was_cut_off_long_ago_keeps_nobody_from_being_joined() {
    in_a_world(async {
        let cluster = Cluster::of(4).await;
        create(&cluster, &[], &[1, 2, 3]).await;
        for id in (0..100).step_by(10) {
            write(&cluster, id).await;
        }
        let propose = async |command: Command| cluster.any().node.controller.propose(command).await.unwrap();
        let rest = |count: usize| {
            let state = cluster.any().node.state();
            let table = state.table(TABLE).unwrap();
            let is_at_rest = |shard: &Shard| shard.rests() && shard.reached.is_some();
            table.shards.len() == count && table.joined.is_empty() && table.shards.iter().all(is_at_rest)
        };
        until("the one shard is there", SOON, || rest(1)).await;
        let placement = |nonvoting: &[u128]| Placement {
            voters: [1, 2, 3].map(NodeId).into(),
            nonvoting: nonvoting.iter().copied().map(NodeId).collect(),
        };
        let whole = shards(cluster.any())[0].clone();
        let cuts = STARTS.map(|start| NewCut { at: key(start).to_vec(), placement: placement(&[]) }).into();
        propose(Command::CutShard { shard: whole.id, generation: whole.generation, cuts }).await;
        until("three shards are there", SOON, || rest(3)).await;
        let last = shards(cluster.any())[2].clone();
        propose(Command::JoinShards { table: TABLE, shards: vec![(last.id, last.generation)] }).await;
        until("the last one is the second one's", 3 * SOON, || rest(2)).await;
        for shard in shards(cluster.any()) {
            propose(Command::PlaceShard { shard: shard.id, placement: placement(&[4]) }).await;
        }
        let is_filled = || rest(2) && shards(cluster.any()).iter().all(|shard| shard.members.len() == 4);
        until("another replica is there", SOON, is_filled).await;
        wish(&cluster).await;
        joined(&cluster, (0..100).step_by(10)).await;
    });
}

fn leader_of(cluster: &Cluster, shard: &Shard) -> Option<MemberId> {
    let replicas = cluster.live().filter_map(|whole| whole.replicas.shard(shard.id));
    replicas.into_iter().find(|replica| replica.is_leading()).map(|replica| replica.member)
}
