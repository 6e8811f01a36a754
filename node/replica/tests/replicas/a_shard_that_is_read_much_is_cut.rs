//! A shard that is read much is cut in two by itself, though nothing is written, where that takes something off the node that leads it.

use std::time::Duration;

use crate::whole::ranges::{self, key, shards};
use crate::whole::world::{in_a_world, until};
use crate::whole::{Cluster, SOON, Whole};
use photondb_cluster_state::{Command, Placement, Shard};
use photondb_proto::NodeId;
use photondb_replica::SplitPolicy;
use photondb_replica::limits::GROUPS_PER_NODE_MAX;
use tokio::time::Instant;

/// Documents of the table.
const DOCUMENTS: u64 = 40;

/// One read in so much time is twice as many as are too many for a shard.
const READ_EVERY: Duration = Duration::from_millis(50);
const READS_MAX: u64 = 10;

/// Longer than it takes until a shard is cut.
const LONG: Duration = Duration::from_secs(120);

/// Three nodes with a table that has replicas on those of them.
async fn three(replicas: &[u128]) -> Cluster {
    let cluster = Cluster::of(3).await;
    let policy = SplitPolicy { reads_max: Some(READS_MAX), ..SplitPolicy::default() };
    cluster.live().for_each(|whole| whole.replicas.split_by(policy));
    cluster.create(replicas).await;
    for id in 0..DOCUMENTS {
        cluster.write(id).await;
    }
    cluster
}

/// Reads the documents that `which` says, until the shard is being cut, [`LONG`] at most. What each node bears is asked for meanwhile.
async fn read(cluster: &Cluster, which: impl Fn(u64) -> u64) {
    let begun = Instant::now();
    for number in 0.. {
        let shards = shards(cluster.any());
        let [shard] = &shards[..] else { return };
        if begun.elapsed() > LONG || !shard.cuts.is_empty() {
            return;
        }
        if let Some(leader) = cluster.leader()
            && let Ok(reader) = leader.read_confirmed().await
        {
            assert!(reader.get(&key(which(number))).unwrap().is_some());
        }
        cluster.live().for_each(|whole| {
            whole.replicas.burden();
        });
        tokio::time::sleep(READ_EVERY).await;
    }
}

#[test]
fn another_node_leads_the_half_that_is_cut_off() {
    in_a_world(async {
        let cluster = three(&[1, 2, 3]).await;
        let begun = Instant::now();
        read(&cluster, |number| number * 7 % DOCUMENTS).await;
        assert!(begun.elapsed() > Duration::from_secs(60), "a minute of reading comes first: {:?}", begun.elapsed());

        let leads = |whole: &&Whole| whole.replica().is_some_and(|replica| replica.is_leading());
        let leader = cluster.live().find(leads).unwrap().node.id;
        for whole in cluster.live() {
            let work = whole.replicas.burden().work;
            let as_expected = if whole.node.id == leader { (14..=21).contains(&work) } else { work <= 1 };
            assert!(
                as_expected,
                "node {} says that it reads {work} documents a second, and {leader} leads",
                whole.node.id
            );
        }

        until("two shards", SOON, || shards(cluster.any()).len() == 2).await;
        let primary = |shard: &Shard| -> NodeId { shard.placement.voters[0] };
        let shards = shards(cluster.any());
        assert_ne!(primary(&shards[0]), primary(&shards[1]));
        let middle = shards[1].range.start();
        assert!(middle > &key(DOCUMENTS / 4)[..] && middle < &key(DOCUMENTS * 3 / 4)[..], "{middle:?}");
    });
}

#[test]
fn but_not_where_one_half_would_have_all_reads() {
    in_a_world(async {
        let cluster = three(&[1, 2, 3]).await;
        read(&cluster, |_| DOCUMENTS / 2).await;
        let shards = shards(cluster.any());
        assert!(shards.len() == 1 && shards[0].cuts.is_empty(), "{shards:?}");
    });
}

#[test]
fn nor_where_one_node_would_lead_both_halves() {
    in_a_world(async {
        let cluster = three(&[2]).await;
        read(&cluster, |number| number * 7 % DOCUMENTS).await;
        let shards = shards(cluster.any());
        assert!(shards.len() == 1 && shards[0].cuts.is_empty(), "{shards:?}");
    });
}

#[test]
fn what_keeps_one_whole_is_told_for_as_long_as_it_rests() {
    in_a_world(async {
        let mut cluster = Cluster::of(3).await;
        let policy = SplitPolicy { bytes_max: Some(1), ..SplitPolicy::default() };
        cluster.live().for_each(|whole| whole.replicas.split_by(policy));
        let starts: Vec<u64> = (1..GROUPS_PER_NODE_MAX as u64).map(|number| number * DOCUMENTS).collect();
        ranges::create(&cluster, &starts, &[1]).await;
        for id in 0..DOCUMENTS {
            ranges::write(&cluster, id).await;
        }
        let large = shards(cluster.any())[0].id;
        let replica = cluster.any().replicas.shard(large).unwrap();
        until("its node has too many", SOON, || replica.uncut().is_some()).await;

        // It never gets there.
        cluster.crash(3).await;
        let voters = vec![NodeId(3)];
        let placement = Placement { voters, nonvoting: Default::default() };
        cluster.any().node.controller.propose(Command::PlaceShard { shard: large, placement }).await.unwrap();
        until("it is not to be cut any more", Duration::from_secs(5), || replica.uncut().is_none()).await;
        assert!(replica.group().led().is_some(), "who does not lead knows nothing of it");
    });
}
