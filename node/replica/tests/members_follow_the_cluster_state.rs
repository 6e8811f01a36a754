//! Shards with members on several nodes: founded together, filled, replaced, moved, and erased where they are not wanted any
//! more; with crashes in the middle.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "../../../control-plane/controller/tests/world/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use photondb_cluster_state::{Command, Compression, Durability, NewShard, Placement, Role, Shard, WriteAcks};
use photondb_proto::{GroupId, KeyRange, NodeId, TableId};
use photondb_replica::proposer::{Planned, Settled};
use photondb_replica::{Replica, ReplicaError, Replicas};
use photondb_reql::datum::{Datum, Object};
use photondb_reql::key::PrimaryKey;
use photondb_runtime::task::Handle;
use photondb_shard::Effect;
use photondb_storage::TreeSetId;
use photondb_storage::disk::simulated::SimulatedDisk;
use tokio::task::JoinHandle;
use world::{Node, World, in_a_world, until};

const SOON: Duration = Duration::from_secs(60);
const TABLE: TableId = TableId(42);

/// A node with its replicas.
struct Whole {
    node: Node,
    replicas: Arc<Replicas>,
    obeying: JoinHandle<()>,
}

impl Whole {
    async fn over(node: Node) -> Whole {
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

    fn replica(&self) -> Option<Arc<Replica>> {
        self.replicas.table(TABLE).and_then(|table| table.shards().first().cloned())
    }

    fn shard(&self) -> Shard {
        self.node.state().table(TABLE).unwrap().shards[0].clone()
    }

    fn documents(&self) -> Option<Vec<(Bytes, Bytes)>> {
        self.replica()?.shard().read().ok()?.all_documents().ok()
    }

    async fn crash(self, disk: &SimulatedDisk) {
        self.obeying.abort();
        drop(self.replicas);
        self.node.crash(disk).await;
    }
}

struct Cluster {
    world: World,
    disks: Vec<SimulatedDisk>,
    nodes: Vec<Option<Whole>>,
}

impl Cluster {
    async fn of(count: u128) -> Cluster {
        let world = World::new();
        let disks: Vec<SimulatedDisk> = (1..=count as u64).map(SimulatedDisk::new).collect();
        let mut nodes = vec![Some(Whole::over(world.found(1, &disks[0]).await).await)];
        for id in 2..=count {
            nodes.push(Some(Whole::over(world.join(id, &disks[id as usize - 1], 1).await).await));
        }
        Cluster { world, disks, nodes }
    }

    fn live(&self) -> impl Iterator<Item = &Whole> {
        self.nodes.iter().flatten()
    }

    fn any(&self) -> &Whole {
        self.live().next().unwrap()
    }

    async fn create(&self, nodes: &[u128]) {
        let database = self.any().node.state().database_named("test").unwrap().id;
        let create = Command::CreateTable {
            id: TABLE,
            database,
            name: "t".into(),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: vec![NewShard { range: KeyRange::all(), nodes: nodes.iter().map(|id| NodeId(*id)).collect() }],
            compression: Compression::Lz4,
        };
        self.any().node.controller.propose(create).await.unwrap();
    }

    async fn place(&self, nodes: &[u128]) {
        let voters = nodes.iter().map(|id| NodeId(*id)).collect();
        let shards = vec![Placement { voters, nonvoting: BTreeSet::new() }];
        self.any().node.controller.propose(Command::Place { table: TABLE, shards }).await.unwrap();
    }

    fn leader(&self) -> Option<Arc<Replica>> {
        self.live().filter_map(Whole::replica).find(|replica| replica.is_leading())
    }

    /// Writes through whoever leads, until it is acknowledged.
    async fn write(&self, id: u64) {
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
    async fn try_write(leader: &Replica, key: &Bytes, document: &Bytes) -> Option<()> {
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
    async fn settled(&self, nodes: &[u128], count: usize) {
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

    async fn crash(&mut self, id: u128) {
        let whole = self.nodes[id as usize - 1].take().unwrap();
        whole.crash(&self.disks[id as usize - 1]).await;
    }

    async fn restart(&mut self, id: u128) {
        let contact = self.any().node.id;
        let node = self.world.join(id, &self.disks[id as usize - 1], contact).await;
        self.nodes[id as usize - 1] = Some(Whole::over(node).await);
    }
}

/// An encoded document `{id}`.
fn document(id: u64) -> Bytes {
    let mut encoded = Vec::new();
    Datum::Object(Object::from([("id", Datum::Number(id as f64))])).encode(&mut encoded);
    encoded.into()
}

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
