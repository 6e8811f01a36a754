//! Nodes whose shards each have one member, on one of them, with a network in memory between.

#![allow(dead_code, reason = "no suite needs all of it")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use photondb_cluster_state::{ClusterState, Command, Compression, Durability, NewShard, WriteAcks, apply};
use photondb_consensus::{Groups, GroupsParts};
use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};
use photondb_query::table::{Table, TableInfo};
use photondb_replica::{Replicas, Router, RouterParts, ServiceParts, ShardService, ShardTable};
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::stored::{Literals, compile_arrived, compile_term, encode_function};
use photondb_reql::eval::{Args, Cx, Func, Limits, Value, World};
use photondb_reql::key::PrimaryKey;
use photondb_reql::term;
use photondb_runtime::clock::{Clock, Moment, WallTime};
use photondb_runtime::fiber::{self, StackSize};
use photondb_runtime::peers::Peer;
use photondb_runtime::system::SystemClock;
use photondb_runtime::task::{Executor, Step, StepThread};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::WalOptions;
use photondb_storage::{Engine, EngineOptions};
use tokio::sync::watch;

use super::mesh::{Link, Mesh};

/// Spread over all nodes.
pub const SPREAD: TableId = TableId(42);
/// All of it on the first node.
pub const TOGETHER: TableId = TableId(43);

/// A clock on which patience ends soon.
pub struct FastClock(pub SystemClock);

impl Clock for FastClock {
    fn now(&self) -> Moment {
        Moment::from_start(self.0.now().since_start() * 5)
    }

    fn wall(&self) -> WallTime {
        self.0.wall()
    }
}

pub struct Node {
    pub id: NodeId,
    pub replicas: Arc<Replicas>,
    pub router: Arc<Router>,
    pub states: watch::Sender<Arc<ClusterState>>,
    pub engine: Engine,
    pub groups: Groups,
    pub raft: Executor,
    pub worker: Executor,
    _log_writer: StepThread,
}

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub mesh: Arc<Mesh>,
    pub state: ClusterState,
}

pub fn key(number: i32) -> Vec<u8> {
    PrimaryKey::new(&Datum::from(number)).expect("a number can be a key").as_bytes().to_vec()
}

/// A table in shards that begin at these numbers, and one before; as many as `beside` says in a row are on one node, then on the next.
fn create(id: TableId, name: &str, splits: &[i32], nodes: &[NodeId], beside: usize, state: &ClusterState) -> Command {
    let mut starts = vec![Vec::new()];
    starts.extend(splits.iter().map(|split| key(*split)));
    let ends = starts.iter().skip(1).cloned().map(Some).chain([None]);
    let ranges = starts.iter().cloned().zip(ends).map(|(start, end)| KeyRange::new(start, end).expect("not empty"));
    let shards = ranges.enumerate().map(|(place, range)| {
        let place = place / beside % nodes.len();
        NewShard::voting(range, vec![nodes[place]])
    });
    Command::CreateTable {
        id,
        database: state.database_named("test").expect("is there at birth").id,
        name: name.into(),
        primary_key: "id".into(),
        durability: Durability::Hard,
        write_acks: WriteAcks::Majority,
        shards: shards.collect(),
        compression: Compression::Lz4,
    }
}

/// The state with these nodes and both tables.
pub fn state_of(ids: &[NodeId], splits: &[i32], beside: usize) -> ClusterState {
    let mut state = ClusterState::at_birth();
    for id in ids {
        let (name, tags) = (format!("n{}", id.0), BTreeSet::new());
        let (addresses, incarnation) = (Vec::new(), Default::default());
        let register = Command::RegisterNode { id: *id, name, tags, addresses, boots: 1, incarnation };
        apply(&mut state, &register).expect("the node is new");
    }
    for command in [create(SPREAD, "t", splits, ids, beside, &state), create(TOGETHER, "u", &[], ids, beside, &state)] {
        apply(&mut state, &command).expect("the name is free");
    }
    state
}

impl Cluster {
    /// `count` nodes with both tables; the shards of the one that is spread go round.
    pub fn start(count: u128, splits: &[i32]) -> Cluster {
        Cluster::start_beside(count, splits, 1)
    }

    /// The same, where so many shards in a row are on one node.
    pub fn start_beside(count: u128, splits: &[i32], beside: usize) -> Cluster {
        let ids: Vec<NodeId> = (1..=count).map(NodeId).collect();
        let (state, mesh) = (state_of(&ids, splits, beside), Mesh::new());
        let nodes = ids.iter().map(|id| Node::start(*id, &mesh, &state)).collect();
        Cluster { nodes, mesh, state }
    }

    /// Changes the state, and waits until every node has obeyed and every index is built.
    pub fn change(&mut self, commands: &[Command]) {
        for command in commands {
            apply(&mut self.state, command).expect("the command fits");
        }
        for node in &self.nodes {
            node.obey(&self.state);
        }
        for node in &self.nodes {
            for table in node.replicas.tables().values() {
                for replica in table.shards() {
                    let built = || replica.shard().view().schema.indexes.values().all(|index| index.is_usable());
                    while !built() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            }
        }
    }

    /// A table as queries of a node see it. To be called on a fiber.
    pub fn opener(&self, node: usize) -> impl Fn(TableId) -> ShardTable + Send + Clone + 'static {
        let router = self.nodes[node].router.clone();
        move |id| open(&router, id)
    }
}

pub fn open(router: &Arc<Router>, id: TableId) -> ShardTable {
    let info = TableInfo {
        id: id.to_string().as_str().into(),
        name: "t".into(),
        db_id: DatabaseId(1).to_string().as_str().into(),
        db_name: "test".into(),
        primary_key: "id".into(),
        write_hook: None,
        system: false,
    };
    ShardTable::new(info, router.newest(id).expect("the state has the table"))
}

impl Node {
    fn start(id: NodeId, mesh: &Arc<Mesh>, state: &ClusterState) -> Node {
        let wal = WalOptions {
            segment_bytes: 16 << 20,
            first_segment_bytes: 8 << 20,
            reclaim_slack_bytes: 16 << 20,
            ..WalOptions::default()
        };
        let options = EngineOptions { wal, ..EngineOptions::default() };
        let engine = Engine::open(Arc::new(SimulatedDisk::new(id.0 as u64)), options).expect("opens");
        let wal = engine.wal().clone();
        let writer = wal.clone();
        let log_writer = StepThread::start("writer", move || match writer.step() {
            Ok(true) => Step::Again,
            Ok(false) => match writer.prepare() {
                Ok(()) => Step::Idle,
                Err(_) => Step::After(Duration::from_millis(1)),
            },
            Err(error) => panic!("the log failed: {error}"),
        })
        .expect("a thread starts");
        let waking = log_writer.waking();
        wal.set_waker(Box::new(move || waking.wake()));
        let raft = Executor::start("groups").expect("a thread starts");
        let worker = Executor::start("worker").expect("a thread starts");
        let fatal = Arc::new(|reason: String| {
            eprintln!("a group ended: {reason}");
            std::process::abort();
        });
        let groups = Groups::new(GroupsParts::alone(wal, raft.handle().runtime().clone(), fatal, id));
        let replicas = Replicas::new(id, engine.clone(), groups.clone(), raft.handle());
        let states = watch::Sender::new(Arc::new(state.clone()));
        let router = Router::new(RouterParts {
            node: id,
            boot: 1,
            replicas: replicas.clone(),
            peers: Arc::new(Link { mesh: mesh.clone(), me: Peer(id.0) }),
            states: states.subscribe(),
            clock: Arc::new(FastClock(SystemClock::new())),
        });
        let node = Node { id, replicas, router, states, engine, groups, raft, worker, _log_writer: log_writer };
        mesh.connect(id.0, Arc::new(node.service(1)));
        node.obey(state);
        node
    }

    /// What answers others in this life of the node.
    pub fn service(&self, boot: u64) -> ShardService {
        ShardService::new(ServiceParts {
            boot,
            replicas: self.replicas.clone(),
            workers: vec![self.worker.handle()],
            clock: Arc::new(SystemClock::new()),
        })
    }

    fn obey(&self, state: &ClusterState) {
        let (replicas, wanted) = (self.replicas.clone(), state.clone());
        let failures = self.raft.handle().block_on(async move { replicas.reconcile(&wanted).await });
        let failures = failures.expect("the executor runs").0;
        assert!(failures.is_empty(), "{failures:?}");
        self.states.send_replace(Arc::new(state.clone()));
    }
}

/// Runs something on a fiber of its own thread, which has a timer.
pub fn on_fiber<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let executor = Executor::start("client").expect("a thread starts");
    let (send, receive) = sync_channel(1);
    executor.handle().spawn_local(move || async move {
        let done = fiber::run(StackSize::for_depth(256), run).await.expect("the fiber does not panic");
        send.send(done).expect("somebody waits");
    });
    receive.recv().expect("the fiber ends")
}

pub fn datum(json: &str) -> Datum {
    term_of(json).as_datum().cloned().unwrap_or_else(|| panic!("{json} is no constant"))
}

pub fn term_of(json: &str) -> term::Term {
    match term::parse(format!("[1,{json}]").as_bytes()) {
        Ok(term::Message::Start(start)) => start.term,
        _ => panic!("{json} does not parse"),
    }
}

/// A function literal.
pub fn function(json: &str) -> Func {
    compile_term(&term_of(json)).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// A function literal whose result is not merged into anything, as the compiler makes it of `replace`.
pub fn replacing_function(json: &str) -> Func {
    compile_arrived(&definition(json), Literals::Refused).unwrap_or_else(|error| panic!("{json}: {error}")).function
}

/// The bytes of a function literal, as indexes and hooks have them.
pub fn definition(json: &str) -> Vec<u8> {
    encode_function(&function(json), &cx()).expect("encodes")
}

/// A world that has a time and nothing else.
struct Timed;

impl World for Timed {
    fn term(&self, args: &Args<'_>) -> Result<Value> {
        panic!("{} is evaluated", args.kind().name())
    }

    fn now_micros(&self) -> i64 {
        1_234_567_890_123
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

pub fn cx() -> Cx {
    Cx::new(Timed, Limits::default())
}

/// The number of documents, each counted by reading it.
pub fn count(table: &dyn Table) -> usize {
    use photondb_query::table::{Access, DatumRange, Keys, Order, ReadMode};
    let access = Access { index: None, keys: Keys::Range(DatumRange::all()), order: Order::Any };
    let mut rows = table.scan(&access, ReadMode::Single).expect("scans");
    let mut count = 0;
    loop {
        match rows.next_batch(100).expect("reads").len() {
            0 => return count,
            more => count += more,
        }
    }
}
