//! What a write costs from `query::Table` to its answer, over a real group of one on a log in memory: alone, and with 64
//! in flight that share entries. The disk's part is `commit_latency` of `storage`, the protocol's the example `throughput` of
//! `consensus`.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use photondb_cluster_state::{ClusterState, Command, Compression, Durability, NewShard, WriteAcks, apply};
use photondb_consensus::{Groups, GroupsParts};
use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};
use photondb_query::table::{Conflict, ReadMode, Table, TableInfo, Transition, Write, WriteOptions};
use photondb_replica::{Replicas, ShardTable, TableRoutes};
use photondb_reql::datum::{Datum, Object};
use photondb_reql::eval::Cx;
use photondb_runtime::fiber::{self, StackSize};
use photondb_runtime::task::{Executor, Step, StepThread};
use photondb_storage::{Engine, EngineOptions};

const NODE: NodeId = NodeId(7);
const TABLE: TableId = TableId(42);
/// Keys that are written again and again, so that the table stays as large as it is.
const KEYS: u64 = 10_000;

/// One node's worth of parts, in memory.
struct Parts {
    replicas: Arc<Replicas>,
    _executor: Executor,
    _log_writer: StepThread,
}

fn parts() -> Parts {
    let engine = Engine::in_memory(EngineOptions::default());
    let wal = engine.wal().clone();
    let writer = wal.clone();
    let log_writer = StepThread::start("log-writer", move || match writer.step() {
        Ok(true) => Step::Again,
        Ok(false) => Step::Idle,
        Err(error) => panic!("the log in memory failed: {error}"),
    })
    .expect("a thread starts");
    let waking = log_writer.waking();
    wal.set_waker(Box::new(move || waking.wake()));
    let executor = Executor::start("raft").expect("a thread starts");
    let fatal = Arc::new(|reason: String| panic!("a group ended: {reason}"));
    let groups = Groups::new(GroupsParts::alone(wal, executor.handle().runtime().clone(), fatal, NODE));
    let replicas = Replicas::new(NODE, engine, groups, executor.handle());
    let state = state();
    let reconciling = replicas.clone();
    let failures = executor.handle().block_on(async move { reconciling.reconcile(&state).await });
    assert!(failures.expect("the executor runs").0.is_empty(), "the table starts");
    Parts { replicas, _executor: executor, _log_writer: log_writer }
}

/// A cluster of one node with one table of one shard.
fn state() -> ClusterState {
    let mut state = ClusterState::at_birth();
    let database = state.database_named("test").expect("it is there at birth").id;
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

fn open(replicas: &Replicas) -> ShardTable {
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

/// A document of about 200 bytes.
fn write(id: u64) -> Write {
    let key = Datum::Number(id as f64);
    let fields = Object::from([("id", key.clone()), ("text", Datum::from("x".repeat(170).as_str()))]);
    Write { key, transition: Transition::Insert { document: Datum::from(fields), conflict: Conflict::Replace } }
}

fn writes(criterion: &mut Criterion) {
    let parts = parts();
    let session = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let next = Cell::new(0);
    let mut group = criterion.benchmark_group("write");
    for in_flight in [1, 64] {
        group.throughput(Throughput::Elements(in_flight));
        group.bench_function(format!("in_flight_{in_flight}"), |bencher| {
            bencher.iter(|| {
                let fibers = (0..in_flight).map(|_| {
                    next.set((next.get() + 1) % KEYS);
                    let (replicas, id) = (parts.replicas.clone(), next.get());
                    fiber::run(StackSize::for_depth(8), move || {
                        let results = open(&replicas).write(vec![write(id)], &WriteOptions::default(), &Cx::pure());
                        assert_eq!(results.expect("the group leads").len(), 1);
                    })
                });
                for written in session.block_on(join_all(fibers)) {
                    written.expect("a write does not panic");
                }
            });
        });
    }
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let parts = parts();
    let replicas = parts.replicas.clone();
    fiber::block_on(StackSize::for_depth(8), move || {
        let writes = (0..1_000).map(write).collect();
        open(&replicas).write(writes, &WriteOptions::default(), &Cx::pure()).expect("the group leads");
    })
    .expect("a write does not panic");
    let table = open(&parts.replicas);
    let mut id = 0;
    criterion.bench_function("read_by_key", |bencher| {
        bencher.iter(|| {
            id = (id + 1) % 1_000;
            table.get(&Datum::Number(id as f64), ReadMode::Single).expect("the group leads").expect("it was written")
        });
    });
}

criterion_group!(benches, writes, reads);
criterion_main!(benches);
