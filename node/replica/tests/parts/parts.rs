//! A node's parts, as many as a table needs, on a simulated disk; for the suites of this crate.

#![allow(dead_code, reason = "no suite needs all of it")]

use std::collections::BTreeSet;
use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Command, Compression, Durability, NewShard, WriteAcks, apply};
use photondb_consensus::{Groups, GroupsParts};
use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};
use photondb_query::table::{Conflict, ReadMode, Table, TableInfo, Transition, Write, WriteOptions, WriteResult};
use photondb_replica::{Replicas, ShardTable, TableRoutes};
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::term;
use photondb_runtime::fiber::{StackSize, block_on};
use photondb_runtime::task::{Executor, Step, StepThread};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::WalOptions;
use photondb_storage::{Engine, EngineOptions};

pub const NODE: NodeId = NodeId(7);
pub const TABLE: TableId = TableId(42);

/// One node's worth of parts on a simulated disk. Dropped in this order, like a crash.
pub struct Parts {
    pub replicas: Arc<Replicas>,
    pub engine: Engine,
    pub groups: Groups,
    pub executor: Executor,
    pub state: ClusterState,
    _log_writer: StepThread,
}

pub fn options() -> EngineOptions {
    let wal = WalOptions {
        segment_bytes: 1 << 20,
        first_segment_bytes: 256 << 10,
        reclaim_slack_bytes: 1 << 20,
        ..WalOptions::default()
    };
    EngineOptions { wal, ..EngineOptions::default() }
}

pub fn start(disk: &SimulatedDisk) -> Parts {
    start_with(disk, options())
}

pub fn start_with(disk: &SimulatedDisk, options: EngineOptions) -> Parts {
    start_on(disk, options, state_with_a_table())
}

pub fn state_with_a_table() -> ClusterState {
    let mut state = ClusterState::at_birth();
    let database = state.database_named("test").expect("is there at birth").id;
    let register = Command::RegisterNode {
        id: NODE,
        name: "n".into(),
        tags: BTreeSet::new(),
        addresses: Vec::new(),
        boots: 1,
        incarnation: Default::default(),
    };
    apply(&mut state, &register).expect("the node is new");
    let create = Command::CreateTable {
        id: TABLE,
        database,
        name: "t".into(),
        primary_key: "id".into(),
        durability: Durability::Hard,
        write_acks: WriteAcks::Majority,
        shards: vec![NewShard::voting(KeyRange::all(), vec![NODE])],
        compression: Compression::Lz4,
    };
    apply(&mut state, &create).expect("the name is free");
    state
}

pub fn start_on(disk: &SimulatedDisk, options: EngineOptions, state: ClusterState) -> Parts {
    let engine = Engine::open(Arc::new(disk.clone()), options).expect("opens");
    let wal = engine.wal().clone();
    let writer = wal.clone();
    let log_writer = StepThread::start("writer", move || match writer.step() {
        Ok(true) => Step::Again,
        Ok(false) => match writer.prepare() {
            Ok(()) => Step::Idle,
            Err(_) => Step::After(std::time::Duration::from_millis(1)),
        },
        Err(error) => panic!("the log failed: {error}"),
    })
    .expect("a thread starts");
    let waking = log_writer.waking();
    wal.set_waker(Box::new(move || waking.wake()));
    let executor = Executor::start("groups").expect("a thread starts");
    let fatal = Arc::new(|reason: String| {
        eprintln!("a group ended: {reason}");
        std::process::abort();
    });
    let groups = Groups::new(GroupsParts::alone(wal, executor.handle().runtime().clone(), fatal, NODE));
    let replicas = Replicas::new(NODE, engine.clone(), groups.clone(), executor.handle());
    let parts = Parts { replicas, engine, groups, executor, state, _log_writer: log_writer };
    parts.reconcile();
    parts
}

impl Parts {
    pub fn reconcile(&self) {
        let (replicas, state) = (self.replicas.clone(), self.state.clone());
        let failures = self.executor.handle().block_on(async move { replicas.reconcile(&state).await });
        let failures = failures.expect("the executor runs").0;
        assert!(failures.is_empty(), "{failures:?}");
    }

    pub fn write(&self, id: u64, bytes: usize) -> Result<(), String> {
        let text: String = std::iter::repeat_n('x', bytes).collect();
        let document = datum(&format!(r#"{{"id":{id},"text":"{text}"}}"#));
        self.write_all(vec![(id, document)])
    }

    pub fn write_all(&self, documents: Vec<(u64, Datum)>) -> Result<(), String> {
        self.write_each(documents)?.into_iter().collect()
    }

    /// One request; what became of each document of it.
    pub fn write_each(&self, documents: Vec<(u64, Datum)>) -> Result<Vec<Result<(), String>>, String> {
        let replicas = self.replicas.clone();
        on_fiber(move || {
            let writes = documents.into_iter().map(|(id, document)| Write {
                key: Datum::Number(id as f64),
                transition: Transition::Insert { document, conflict: Conflict::Error },
            });
            let results = open(&replicas).write(writes.collect(), &WriteOptions::default(), &Cx::pure());
            let said = |result| match result {
                WriteResult::Refused { error, .. } => Err(error.to_string()),
                _ => Ok(()),
            };
            Ok(results.map_err(|error| error.to_string())?.into_iter().map(said).collect())
        })
    }

    pub fn has(&self, id: u64) -> bool {
        let replicas = self.replicas.clone();
        on_fiber(move || open(&replicas).get(&Datum::Number(id as f64), ReadMode::Single).expect("reads").is_some())
    }

    pub fn checkpoint_and_purge(&self) {
        let _ = self.engine.checkpoint();
        for group in self.groups.list() {
            let purged = self.executor.handle().block_on(async move { group.purge_behind().await });
            purged.expect("the executor runs").expect("purges");
        }
    }
}

pub fn open(replicas: &Arc<Replicas>) -> ShardTable {
    let info = TableInfo {
        id: TABLE.to_string().as_str().into(),
        name: "t".into(),
        db_id: DatabaseId(1).to_string().as_str().into(),
        db_name: "test".into(),
        primary_key: "id".into(),
        write_hook: None,
        system: false,
    };
    ShardTable::new(info, TableRoutes::here(&replicas.table(TABLE).expect("the table runs")))
}

pub fn datum(json: &str) -> Datum {
    match term::parse(format!("[1,{json}]").as_bytes()) {
        Ok(term::Message::Start(start)) => start.term.as_datum().cloned().expect("a constant"),
        _ => panic!("{json} does not parse"),
    }
}

pub fn on_fiber<T: 'static>(run: impl FnOnce() -> T + 'static) -> T {
    block_on(StackSize::for_depth(8), run).expect("the fiber does not panic")
}
