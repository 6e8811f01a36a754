//! A table in several shards, cut where the tests say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use photondb_cluster_state::{Command, Compression, Durability, NewShard, Shard, WriteAcks};
use photondb_proto::{KeyRange, NodeId};
use photondb_replica::Replica;
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;

use super::{Cluster, SOON, TABLE, Whole, document};

pub fn key(id: u64) -> Bytes {
    PrimaryKey::new(&Datum::Number(id as f64)).unwrap().bytes()
}

/// A table whose shards but the first begin at `starts`, each of them on these nodes.
pub async fn create(cluster: &Cluster, starts: &[u64], nodes: &[u128]) {
    let starts: Vec<Vec<u8>> =
        std::iter::once(Vec::new()).chain(starts.iter().map(|start| key(*start).to_vec())).collect();
    let ends = starts.iter().skip(1).cloned().map(Some).chain([None]);
    let range = |(start, end): (&Vec<u8>, Option<Vec<u8>>)| KeyRange::new(start.clone(), end).unwrap();
    let of = |range| NewShard::voting(range, nodes.iter().map(|id| NodeId(*id)).collect());
    let create = Command::CreateTable {
        id: TABLE,
        database: cluster.any().node.state().database_named("test").unwrap().id,
        name: "t".into(),
        primary_key: "id".into(),
        durability: Durability::Hard,
        write_acks: WriteAcks::Majority,
        shards: starts.iter().zip(ends).map(range).map(of).collect(),
        compression: Compression::Lz4,
    };
    cluster.any().node.controller.propose(create).await.unwrap();
}

/// All shards of the table but the first are wanted to be joined to those before them.
pub async fn wish(cluster: &Cluster) {
    let shards = shards(cluster.any()).iter().skip(1).map(|shard| (shard.id, shard.generation)).collect();
    cluster.any().node.controller.propose(Command::JoinShards { table: TABLE, shards }).await.unwrap();
}

pub fn shards(whole: &Whole) -> Vec<Shard> {
    whole.node.state().table(TABLE).unwrap().shards.clone()
}

pub fn replicas(whole: &Whole) -> Vec<Arc<Replica>> {
    whole.replicas.table(TABLE).map(|table| table.shards().to_vec()).unwrap_or_default()
}

/// Who leads the shard that has the key.
fn leader(cluster: &Cluster, key: &Bytes) -> Option<Arc<Replica>> {
    let has = |replica: &Arc<Replica>| {
        replica.is_leading() && replica.range().contains(key) && replica.shard().frozen().is_none()
    };
    cluster.live().flat_map(replicas).find(has)
}

/// Writes until it is acknowledged.
pub async fn write(cluster: &Cluster, id: u64) {
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        assert!(tokio::time::Instant::now() < deadline, "write {id} is not taken: {:?}", shards(cluster.any()));
        if let Some(leader) = leader(cluster, &key(id))
            && Cluster::try_write(&leader, &key(id), &document(id)).await.is_some()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
