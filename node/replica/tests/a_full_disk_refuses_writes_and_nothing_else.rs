//! A disk that fills up: writes are refused with a clear error, reads go on, no group ends; with space they work again.

use std::collections::BTreeSet;
use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Command, Durability, NewShard, WriteAcks, apply};
use photondb_consensus::{Groups, Options};
use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};
use photondb_query::table::{Conflict, ReadMode, Table, TableInfo, Transition, Write, WriteOptions, WriteResult};
use photondb_replica::{Replicas, ShardTable};
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::term;
use photondb_runtime::fiber::{StackSize, block_on};
use photondb_runtime::task::{Executor, Step, StepThread};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::WalOptions;
use photondb_storage::{Engine, EngineOptions};

const NODE: NodeId = NodeId(7);
const TABLE: TableId = TableId(42);

/// One node's worth of parts on a simulated disk. Dropped in this order, like a crash.
struct Parts {
    replicas: Arc<Replicas>,
    engine: Engine,
    groups: Groups,
    executor: Executor,
    state: ClusterState,
    _log_writer: StepThread,
}

fn options() -> EngineOptions {
    let wal = WalOptions {
        segment_bytes: 1 << 20,
        first_segment_bytes: 256 << 10,
        reclaim_slack_bytes: 1 << 20,
        ..WalOptions::default()
    };
    EngineOptions { wal, ..EngineOptions::default() }
}

fn start(disk: &SimulatedDisk) -> Parts {
    start_with(disk, options())
}

fn start_with(disk: &SimulatedDisk, options: EngineOptions) -> Parts {
    start_on(disk, options, state_with_a_table())
}

fn state_with_a_table() -> ClusterState {
    let mut state = ClusterState::at_birth();
    let database = state.database_named("test").expect("is there at birth").id;
    let register =
        Command::RegisterNode { id: NODE, name: "n".into(), tags: BTreeSet::new(), addresses: Vec::new(), boots: 1 };
    apply(&mut state, &register).expect("the node is new");
    let create = Command::CreateTable {
        id: TABLE,
        database,
        name: "t".into(),
        primary_key: "id".into(),
        durability: Durability::Hard,
        write_acks: WriteAcks::Majority,
        shards: vec![NewShard { range: KeyRange::all(), nodes: vec![NODE] }],
    };
    apply(&mut state, &create).expect("the name is free");
    state
}

fn start_on(disk: &SimulatedDisk, options: EngineOptions, state: ClusterState) -> Parts {
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
    let groups = Groups::new(wal, executor.handle().runtime().clone(), fatal, Options::default());
    let replicas = Replicas::new(NODE, engine.clone(), groups.clone(), executor.handle());
    let parts = Parts { replicas, engine, groups, executor, state, _log_writer: log_writer };
    parts.reconcile();
    parts
}

impl Parts {
    fn reconcile(&self) {
        let (replicas, state) = (self.replicas.clone(), self.state.clone());
        let failures = self.executor.handle().block_on(async move { replicas.reconcile(&state).await });
        let failures = failures.expect("the executor runs").0;
        assert!(failures.is_empty(), "{failures:?}");
    }

    fn write(&self, id: u64, bytes: usize) -> Result<(), String> {
        let text: String = std::iter::repeat_n('x', bytes).collect();
        let document = datum(&format!(r#"{{"id":{id},"text":"{text}"}}"#));
        self.write_all(vec![(id, document)])
    }

    fn write_all(&self, documents: Vec<(u64, Datum)>) -> Result<(), String> {
        let replicas = self.replicas.clone();
        on_fiber(move || {
            let writes = documents.into_iter().map(|(id, document)| Write {
                key: Datum::Number(id as f64),
                transition: Transition::Insert { document, conflict: Conflict::Error },
            });
            let results = open(&replicas).write(writes.collect(), &WriteOptions::default(), &Cx::pure());
            for result in results.map_err(|error| error.to_string())? {
                if let WriteResult::Refused { error, .. } = result {
                    return Err(error.to_string());
                }
            }
            Ok(())
        })
    }

    fn has(&self, id: u64) -> bool {
        let replicas = self.replicas.clone();
        on_fiber(move || open(&replicas).get(&Datum::Number(id as f64), ReadMode::Single).expect("reads").is_some())
    }

    fn checkpoint_and_purge(&self) {
        let _ = self.engine.checkpoint();
        for group in self.groups.list() {
            let purged = self.executor.handle().block_on(async move { group.purge_behind().await });
            purged.expect("the executor runs").expect("purges");
        }
    }
}

fn open(replicas: &Arc<Replicas>) -> ShardTable {
    let info = TableInfo {
        id: TABLE.to_string().as_str().into(),
        name: "t".into(),
        db_id: DatabaseId(1).to_string().as_str().into(),
        db_name: "test".into(),
        primary_key: "id".into(),
        write_hook: None,
        system: false,
    };
    ShardTable::new(info, replicas.table(TABLE).expect("the table runs"))
}

fn datum(json: &str) -> Datum {
    match term::parse(format!("[1,{json}]").as_bytes()) {
        Ok(term::Message::Start(start)) => start.term.as_datum().cloned().expect("a constant"),
        _ => panic!("{json} does not parse"),
    }
}

fn on_fiber<T: 'static>(run: impl FnOnce() -> T + 'static) -> T {
    block_on(StackSize::for_depth(8), run).expect("the fiber does not panic")
}

/// Writes until one is refused; gives how many were acknowledged.
fn fill(parts: &Parts, from: u64) -> u64 {
    for id in from..from + 10_000 {
        if let Err(error) = parts.write(id, 10_000) {
            assert!(error.contains("full") && error.contains("nothing was written"), "{error}");
            return id;
        }
    }
    panic!("the disk never filled");
}

#[test]
fn writes_are_refused_reads_go_on_and_space_mends_it() {
    let disk = SimulatedDisk::new(11);
    let parts = start(&disk);
    parts.write(0, 100).expect("there is space");
    disk.set_capacity(disk.used_bytes() + (3 << 20));
    let end = fill(&parts, 1);
    assert!(end > 50, "{end}");
    for _ in 0..50 {
        assert!(parts.write(end, 10_000).is_err());
        assert!(parts.has(0) && parts.has(end - 1) && !parts.has(end));
    }
    // A checkpoint fails for the same reason, and changes nothing.
    assert!(parts.engine.checkpoint().expect_err("no space").is_full());
    // A restart on the full disk serves what was acknowledged.
    drop(parts);
    disk.crash();
    let parts = start(&disk);
    assert!((0..end).all(|id| parts.has(id)) && !parts.has(end));
    disk.set_capacity(u64::MAX);
    parts.checkpoint_and_purge();
    let mut attempts = 0;
    while parts.write(end, 10_000).is_err() {
        attempts += 1;
        assert!(attempts < 1_000, "writes never work again");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!((0..=end).all(|id| parts.has(id)));
}

#[test]
fn a_failing_checkpoint_refuses_writes_until_one_succeeds() {
    let disk = SimulatedDisk::new(12);
    let parts = start(&disk);
    parts.write(0, 100_000).expect("there is space");
    disk.set_capacity(disk.used_bytes());
    assert!(parts.engine.checkpoint().expect_err("no space").is_full());
    let error = parts.write(1, 10).expect_err("memory must not grow without end");
    assert!(error.contains("full"), "{error}");
    disk.set_capacity(u64::MAX);
    parts.engine.checkpoint().expect("there is space");
    parts.write(1, 10).expect("there is space");
}

#[test]
fn one_request_larger_than_an_entry_is_written_in_several() {
    let disk = SimulatedDisk::new(13);
    let parts = start_with(&disk, EngineOptions::default());
    let text: String = std::iter::repeat_n('x', 12 << 20).collect();
    let documents = (0..4).map(|id| (id, datum(&format!(r#"{{"id":{id},"text":"{text}"}}"#)))).collect::<Vec<_>>();
    parts.write_all(documents).expect("is cut");
    assert!((0..4).all(|id| parts.has(id)));
}

#[test]
fn the_log_of_a_table_dropped_before_a_crash_is_erased_after_it() {
    let disk = SimulatedDisk::new(14);
    let mut parts = start(&disk);
    parts.write(0, 100).expect("there is space");
    let member = parts.state.tables().next().expect("the table").shards[0].members[0].id;
    let live = |parts: &Parts| parts.engine.wal().states().iter().any(|(id, log)| id.0 == member.0 && !log.erased);
    assert!(live(&parts));
    // The cluster state dropped the table, and the node ended before it obeyed.
    let drop_table = Command::DropTable { id: TABLE };
    apply(&mut parts.state, &drop_table).expect("the table is there");
    let state = parts.state.clone();
    drop(parts);
    disk.crash();
    let parts = start_on(&disk, options(), state);
    assert!(!live(&parts), "its log would be carried forward for ever");
    assert!(parts.engine.tree_sets().is_empty());
}
