//! Nodes with their replicas, in one thread on simulated disks, and one table on them.

#![allow(dead_code, reason = "no suite needs all of it")]
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "../../../../control-plane/controller/tests/world/world.rs"]
pub mod world;

#[path = "ranges.rs"]
pub mod ranges;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use photondb_cluster_state::{Command, Compression, Durability, NewShard, Placement, Role, Shard, WriteAcks};
use photondb_proto::{KeyRange, NodeId, TableId};
use photondb_replica::proposer::{Planned, Settled};
use photondb_replica::{Replica, Replicas};
use photondb_reql::datum::{Datum, Object};
use photondb_reql::key::PrimaryKey;
use photondb_runtime::task::Handle;
use photondb_shard::Effect;
use photondb_storage::TreeSetId;
use photondb_storage::disk::simulated::SimulatedDisk;
use tokio::task::JoinHandle;
use world::{Node, World, until};

pub const SOON: Duration = Duration::from_secs(60);
pub const TABLE: TableId = TableId(42);

/// A node with its replicas.
pub struct Whole {
    pub node: Node,
    pub replicas: Arc<Replicas>,
    obeying: JoinHandle<()>,
}

impl Whole {
    pub async fn over(node: Node) -> Whole {
        let handle = Handle::of_current();
        let replicas = Replicas::new(NodeId(node.id), node.engine.clone(), node.groups.clone(), handle);
        replicas.connect(node.controller.clone());
        let obeying = {
            let (replicas, mut states) = (replicas.clone(), node.controller.watch());
            tokio::spawn(async move {
                loop {
                    let state = states.borrow_and_update().clone();
                    if !replicas.reconcile(&state).await.0.is_empty() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                    let given_up = replicas.given_up();
                    tokio::select! {
                        () = given_up.notified() => {}
                        changed = states.changed() => if changed.is_err() {
                            return;
                        },
                    }
                }
            })
        };
        Whole { node, replicas, obeying }
    }

    pub fn replica(&self) -> Option<Arc<Replica>> {
        self.replicas.table(TABLE).and_then(|table| table.shards().first().cloned())
    }

    pub fn shard(&self) -> Shard {
        self.node.state().table(TABLE).unwrap().shards[0].clone()
    }

    pub fn documents(&self) -> Option<Vec<(Bytes, Bytes)>> {
        self.replica()?.shard().read().ok()?.all_documents().ok()
    }

    pub async fn crash(self, disk: &SimulatedDisk) {
        self.obeying.abort();
        drop(self.replicas);
        self.node.crash(disk).await;
    }
}

pub struct Cluster {
    pub world: World,
    pub disks: Vec<SimulatedDisk>,
    pub nodes: Vec<Option<Whole>>,
}

impl Cluster {
    pub async fn of(count: u128) -> Cluster {
        let world = World::new();
        let disks: Vec<SimulatedDisk> = (1..=count as u64).map(SimulatedDisk::new).collect();
        let mut nodes = vec![Some(Whole::over(world.found(1, &disks[0]).await).await)];
        for id in 2..=count {
            nodes.push(Some(Whole::over(world.join(id, &disks[id as usize - 1], 1).await).await));
        }
        Cluster { world, disks, nodes }
    }

    pub fn live(&self) -> impl Iterator<Item = &Whole> {
        self.nodes.iter().flatten()
    }

    pub fn any(&self) -> &Whole {
        self.live().next().unwrap()
    }

    pub async fn create(&self, nodes: &[u128]) {
        let database = self.any().node.state().database_named("test").unwrap().id;
        let create = Command::CreateTable {
            id: TABLE,
            database,
            name: "t".into(),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: vec![NewShard::voting(KeyRange::all(), nodes.iter().map(|id| NodeId(*id)).collect())],
            compression: Compression::Lz4,
        };
        self.any().node.controller.propose(create).await.unwrap();
    }

    pub async fn place(&self, nodes: &[u128]) {
        let voters = nodes.iter().map(|id| NodeId(*id)).collect();
        let shards = vec![Placement { voters, nonvoting: BTreeSet::new() }];
        self.any().node.controller.propose(Command::Place { table: TABLE, shards }).await.unwrap();
    }

    pub fn leader(&self) -> Option<Arc<Replica>> {
        self.live().filter_map(Whole::replica).find(|replica| replica.is_leading())
    }

    /// Writes through whoever leads, until it is acknowledged.
    pub async fn write(&self, id: u64) {
        let key = PrimaryKey::new(&Datum::Number(id as f64)).unwrap().bytes();
        let document = document(id);
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            assert!(tokio::time::Instant::now() < deadline, "write {id} is not taken");
            if let Some(leader) = self.leader()
                && Cluster::try_write(&leader, &key, &document).await.is_some()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `None`: it was not written, as far as is known.
    pub async fn try_write(leader: &Replica, key: &Bytes, document: &Bytes) -> Option<()> {
        let (ticket, found) = leader.proposer().read(std::slice::from_ref(key)).await.ok()?;
        if found[0].as_ref() == Some(document) {
            return Some(());
        }
        let effect = Effect::Put { key: key.clone(), document: document.clone() };
        let planned = Planned { key: key.clone(), expected: found[0].clone(), effect: Some(effect) };
        let submitted = leader.proposer().submit(&ticket, vec![planned]).ok()?;
        let taken = submitted.taken[0];
        matches!(submitted.settle().await, Ok(Settled::Applied)).then_some(()).filter(|()| taken)
    }

    /// Everybody wanted holds `count` documents, votes, and nobody else holds anything.
    pub async fn settled(&self, nodes: &[u128], count: usize) {
        let wanted: BTreeSet<NodeId> = nodes.iter().map(|id| NodeId(*id)).collect();
        let holds = || {
            let shard = self.any().shard();
            let members: BTreeSet<NodeId> = shard.members.iter().map(|member| member.node).collect();
            let settled = members == wanted
                && shard.members.iter().all(|member| member.role == Role::Voter)
                && shard.members.len() == wanted.len();
            settled
                && self.live().all(|whole| {
                    let is_wanted = wanted.contains(&NodeId(whole.node.id));
                    match is_wanted {
                        true => whole.documents().is_some_and(|documents| documents.len() == count),
                        false => {
                            whole.replica().is_none() && whole.node.engine.tree_set(TreeSetId(shard.id.0)).is_none()
                        }
                    }
                })
        };
        until(&format!("members on {nodes:?}: {:?}", self.any().shard()), SOON, holds).await;
        let documents: Vec<_> =
            self.live().filter(|whole| wanted.contains(&NodeId(whole.node.id))).map(Whole::documents).collect();
        assert!(documents.windows(2).all(|pair| pair[0] == pair[1]));
    }

    pub async fn crash(&mut self, id: u128) {
        let whole = self.nodes[id as usize - 1].take().unwrap();
        whole.crash(&self.disks[id as usize - 1]).await;
    }

    pub async fn restart(&mut self, id: u128) {
        let contact = self.any().node.id;
        let node = self.world.join(id, &self.disks[id as usize - 1], contact).await;
        self.nodes[id as usize - 1] = Some(Whole::over(node).await);
    }
}

/// An encoded document `{id}`.
pub fn document(id: u64) -> Bytes {
    let mut encoded = Vec::new();
    Datum::Object(Object::from([("id", Datum::Number(id as f64))])).encode(&mut encoded);
    encoded.into()
}
