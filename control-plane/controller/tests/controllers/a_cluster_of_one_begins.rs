//! Bootstrap, DDL, restart and copied directories, on a real engine over a simulated disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use photondb_cluster_state::{ClusterId, Command, Compression, Durability, NewShard, StateError, WriteAcks};
use photondb_consensus::{Groups, GroupsParts, Replicated};
use photondb_controller::{Begin, Controller, ControllerError, Options, Parts, Registration, ReplicatedState};
use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};
use photondb_runtime::peers::NoPeers;
use photondb_runtime::system::{SystemClock, SystemRandom};
use photondb_runtime::task::Executor;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::{Engine, EngineOptions};

struct Node {
    engine: Option<Engine>,
    groups: Groups,
    stop: Arc<AtomicBool>,
    raft: Option<Executor>,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    fn start(disk: &SimulatedDisk) -> Node {
        Node::of(Engine::open(Arc::new(disk.clone()), EngineOptions::default()).unwrap())
    }

    fn of(engine: Engine) -> Node {
        let stop = Arc::new(AtomicBool::new(false));
        let wal = Arc::clone(engine.wal());
        let writer = {
            let (wal, stop) = (Arc::clone(&wal), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    if !wal.step().unwrap() {
                        std::thread::park();
                    }
                }
            })
        };
        let waking = writer.thread().clone();
        wal.set_waker(Box::new(move || waking.unpark()));
        let raft = Executor::start("raft").unwrap();
        let handle = raft.handle().runtime().clone();
        let groups = Groups::new(GroupsParts::alone(wal, handle, Arc::new(|why| panic!("{why}")), NodeId(22)));
        Node { engine: Some(engine), groups, stop, raft: Some(raft), threads: vec![writer] }
    }

    fn engine(&self) -> Engine {
        self.engine.clone().unwrap()
    }

    async fn open(&self, me: Registration) -> Result<Controller, ControllerError> {
        let parts = Parts {
            groups: self.groups.clone(),
            engine: self.engine(),
            executor: self.raft.as_ref().unwrap().handle(),
            peers: Arc::new(NoPeers),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            options: Options::default(),
            entered: Arc::new(|_| {}),
        };
        Controller::open(parts, me, Begin::Found).await
    }

    fn me(&self) -> Registration {
        Registration {
            cluster: ClusterId(11),
            node: NodeId(22),
            boots: self.engine().identity().boot,
            name: "n".into(),
            tags: Default::default(),
            addresses: vec![],
            founding: Vec::new(),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        drop(self.raft.take());
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn create(id: u128, name: &str) -> Command {
    Command::CreateDatabase { id: DatabaseId(id), name: name.into() }
}

#[test]
fn an_empty_node_is_a_cluster_of_one_and_stays_it() {
    let disk = SimulatedDisk::new(1);
    for life in 1..=4 {
        let node = Node::start(&disk);
        block_on(async {
            let controller = node.open(node.me()).await.unwrap();
            let state = controller.state();
            assert_eq!(state.cluster(), Some(ClusterId(11)));
            assert_eq!(state.node(NodeId(22)).unwrap().boots, node.engine().identity().boot);
            assert_eq!(state.databases().count(), life, "what earlier lives created is there");

            let watch = controller.watch();
            controller.propose(create(life as u128, &format!("db{life}"))).await.unwrap();
            assert!(watch.has_changed().unwrap());
            assert!(controller.state().database_named(&format!("db{life}")).is_some(), "applied before it is answered");
            if life % 2 == 0 {
                node.engine().checkpoint().unwrap();
                node.engine().checkpoint().unwrap();
                let purged = controller.group().purge_behind().await.unwrap();
                assert!(purged.is_some(), "both superblocks know the state");
            }
        });
        drop(node);
        disk.crash();
    }
}

#[test]
fn a_refused_command_is_an_answer() {
    let node = Node::of(Engine::in_memory(EngineOptions::default()));
    block_on(async {
        let controller = node.open(node.me()).await.unwrap();
        let error = controller.propose(create(1, "test")).await.unwrap_err();
        assert!(error.is_known_without_effect());
        let ControllerError::Refused(error) = error else { panic!("{error}") };
        assert_eq!(error, StateError::DatabaseExists { name: "test".into() });
    });
}

#[test]
fn a_copied_directory_or_another_cluster_is_refused() {
    let disk = SimulatedDisk::new(2);
    let boots = {
        let node = Node::start(&disk);
        let me = node.me();
        block_on(node.open(me.clone())).unwrap();
        me.boots
    };
    let node = Node::start(&disk);
    let stale = Registration { boots, ..node.me() };
    let error = block_on(node.open(stale.clone())).err().unwrap();
    assert!(matches!(error, ControllerError::Refused(StateError::StaleBoot { .. })), "{error}");
    drop(node);
    let node = Node::start(&disk);
    let other = Registration { cluster: ClusterId(12), ..node.me() };
    let error = block_on(node.open(other.clone())).err().unwrap();
    assert!(matches!(error, ControllerError::Refused(StateError::OtherCluster { .. })), "{error}");
}

#[test]
fn a_snapshot_of_the_state_fills_another_node() {
    let node = Node::of(Engine::in_memory(EngineOptions::default()));
    let snapshot = block_on(async {
        let controller = node.open(node.me()).await.unwrap();
        controller.propose(create(1, "db")).await.unwrap();
        controller
    });
    // The machine itself is not reachable through the controller; another one over the same engine reads the same.
    let from = ReplicatedState::open(node.engine()).unwrap();
    let engine = Engine::in_memory(EngineOptions::default());
    let to = ReplicatedState::open(engine.clone()).unwrap();
    to.install(from.snapshot().unwrap()).unwrap();
    assert_eq!(to.state(), snapshot.state());
    assert_eq!(to.applied(), from.applied());
    assert_eq!(to.durable(), to.applied(), "installed is durable");
    assert_eq!(ReplicatedState::open(engine).unwrap().state(), snapshot.state());
}

#[test]
fn a_state_too_large_to_be_stored_is_refused_and_the_group_goes_on() {
    let node = Node::of(Engine::in_memory(EngineOptions::default()));
    block_on(async {
        let controller = node.open(node.me()).await.unwrap();
        let database = controller.state().database_named("test").unwrap().id;
        let shards = vec![NewShard::voting(KeyRange::all(), vec![node.me().node])];
        let (durability, write_acks) = (Durability::Hard, WriteAcks::Majority);
        let (name, primary_key) = ("t".to_owned(), "id".to_owned());
        let create = Command::CreateTable {
            id: TableId(7),
            database,
            name,
            primary_key,
            durability,
            write_acks,
            shards,
            compression: Compression::Lz4,
        };
        controller.propose(create).await.unwrap();
        // Each is as large as a definition may be; a tree's value holds 31 of them.
        let index = |number: u32| Command::CreateIndex {
            table: TableId(7),
            name: format!("i{number}"),
            definition: vec![1; 1 << 20],
            multi: false,
            geo: false,
        };
        let mut taken = 0;
        let refused = loop {
            match controller.propose(index(taken)).await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, ControllerError::Refused(StateError::DefinitionTooLarge { .. })), "{refused}");
        assert!(taken > 20, "{taken}");
        controller.propose(Command::DropIndex { table: TableId(7), name: "i0".into() }).await.unwrap();
        controller.propose(index(0)).await.unwrap();
    });
}
