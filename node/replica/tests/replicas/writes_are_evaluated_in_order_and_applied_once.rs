//! The write path from `query::Table` down to the trees, over real groups on a log in memory: many writers on few keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use photondb_cluster_state::{ClusterState, Command, Compression, Durability, NewShard, WriteAcks, apply};
use photondb_consensus::{Groups, GroupsParts};
use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};
use photondb_query::table::{
    Access, Conflict, DatumRange, Keys, Order, ReadMode, Table, TableInfo, Transition, Write, WriteOptions, WriteResult,
};
use photondb_replica::{Replicas, ShardTable, TableRoutes};
use photondb_reql::datum::{Datum, Object};
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::eval::{Cx, Func};
use photondb_reql::term;
use photondb_runtime::fiber::{StackSize, block_on};
use photondb_runtime::task::{Executor, Step, StepThread};
use photondb_storage::{Engine, EngineOptions};

const NODE: NodeId = NodeId(7);
const TABLE: TableId = TableId(42);

/// One node's worth of parts, in memory.
struct Parts {
    replicas: Arc<Replicas>,
    executor: Executor,
    state: ClusterState,
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
    let parts = Parts { replicas, executor, state, _log_writer: log_writer };
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

    fn change(&mut self, command: &Command) {
        apply(&mut self.state, command).expect("the state takes it");
        self.reconcile();
    }

    fn handle(&self) -> TableHandle {
        TableHandle { replicas: self.replicas.clone() }
    }
}

/// What goes to a writer's thread, where it becomes a table.
#[derive(Clone)]
struct TableHandle {
    replicas: Arc<Replicas>,
}

impl TableHandle {
    fn open(&self) -> ShardTable {
        let info = TableInfo {
            id: TABLE.to_string().as_str().into(),
            name: "t".into(),
            db_id: DatabaseId(1).to_string().as_str().into(),
            db_name: "test".into(),
            primary_key: "id".into(),
            write_hook: None,
            system: false,
        };
        ShardTable::new(info, TableRoutes::here(&self.replicas.table(TABLE).expect("the table runs")))
    }
}

fn term_of(json: &str) -> photondb_reql::Term {
    match term::parse(format!("[1,{json}]").as_bytes()) {
        Ok(term::Message::Start(start)) => start.term,
        _ => panic!("{json} does not parse"),
    }
}

fn datum(json: &str) -> Datum {
    term_of(json).as_datum().cloned().expect("a constant")
}

fn function(body: &str) -> Func {
    compile_term(&term_of(&format!("[69,[[2,[1]],{body}]]"))).expect("compiles")
}

fn on_fiber<T: 'static>(run: impl FnOnce() -> T + 'static) -> T {
    block_on(StackSize::for_depth(8), run).expect("the fiber does not panic")
}

fn insert(id: u64, conflict: Conflict) -> Write {
    let document = datum(&format!(r#"{{"id":{id},"n":0}}"#));
    Write { key: Datum::Number(id as f64), transition: Transition::Insert { document, conflict } }
}

fn increment(id: u64) -> Write {
    let add = function(r#"{"n":[24,[[170,[[10,[1]],"n"]],1]]}"#);
    Write { key: Datum::Number(id as f64), transition: Transition::Update(add) }
}

fn done(result: &WriteResult) -> (Datum, Datum) {
    match result {
        WriteResult::Done { old, new } => (old.clone(), new.clone()),
        WriteResult::Refused { error, .. } => panic!("refused: {error}"),
    }
}

fn count_of(table: &ShardTable, id: u64) -> u64 {
    let document = table.get(&Datum::Number(id as f64), ReadMode::Single).expect("reads").expect("is there");
    document.field("n").expect("has n").as_number().expect("a number") as u64
}

#[test]
fn increments_by_many_writers_are_all_counted_once() {
    const WRITERS: u64 = 6;
    const INCREMENTS: u64 = 300;
    const KEYS: u64 = 3;
    let parts = parts();
    let table = parts.handle();
    on_fiber(move || {
        let writes = (0..KEYS).map(|id| insert(id, Conflict::Error)).collect();
        table.open().write(writes, &WriteOptions::default(), &Cx::pure()).expect("writes");
    });
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let table = parts.handle();
            std::thread::spawn(move || {
                on_fiber(move || {
                    let table = table.open();
                    let mut seen = 0;
                    for n in 0..INCREMENTS {
                        let results =
                            table.write(vec![increment((writer + n) % KEYS)], &WriteOptions::default(), &Cx::pure());
                        let (old, new) = done(&results.expect("writes")[0]);
                        let of = |datum: &Datum| datum.field("n").expect("has n").as_number().expect("a number");
                        assert_eq!(of(&new), of(&old) + 1.0, "each write sees its own predecessor");
                        seen += 1;
                    }
                    seen
                })
            })
        })
        .collect();
    let acknowledged: u64 = writers.into_iter().map(|writer| writer.join().expect("the writer ends well")).sum();
    assert_eq!(acknowledged, WRITERS * INCREMENTS);
    let table = parts.handle();
    let counted: u64 = on_fiber(move || (0..KEYS).map(|id| count_of(&table.open(), id)).sum());
    assert_eq!(counted, acknowledged);
}

#[test]
fn a_batch_sees_its_own_earlier_writes() {
    let parts = parts();
    let table = parts.handle();
    on_fiber(move || {
        let table = table.open();
        let writes = vec![insert(1, Conflict::Error), increment(1), insert(1, Conflict::Error), increment(1)];
        let results = table.write(writes, &WriteOptions::default(), &Cx::pure()).expect("writes");
        assert!(done(&results[0]).0.is_null());
        assert!(matches!(results[2], WriteResult::Refused { .. }), "the key was taken by the first");
        assert_eq!(count_of(&table, 1), 2);
    });
}

#[test]
fn a_small_write_does_not_overtake_a_large_one_of_its_document() {
    let parts = parts();
    let table = parts.handle();
    let put = |id: u64, text: String| {
        let document =
            Datum::Object(Object::from([("id", Datum::Number(id as f64)), ("s", Datum::from(text.as_str()))]));
        let transition = Transition::Insert { document, conflict: Conflict::Replace };
        Write { key: Datum::Number(id as f64), transition }
    };
    on_fiber(move || {
        let table = table.open();
        // The first two are too much for one entry; the third has room beside the first.
        let writes = vec![put(1, "a".repeat(12 << 20)), put(2, "b".repeat(13 << 20)), put(2, "last".to_owned())];
        let results = table.write(writes, &WriteOptions::default(), &Cx::pure()).expect("writes");
        assert!(done(&results[1]).0.is_null(), "it comes first");
        let left = table.get(&Datum::Number(2.0), ReadMode::Single).expect("reads").expect("is there");
        assert_eq!(left.field("s").expect("has s"), Datum::from("last"));
    });
}

#[test]
fn one_of_many_inserts_of_a_key_wins() {
    let parts = parts();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let table = parts.handle();
            std::thread::spawn(move || {
                on_fiber(move || {
                    let table = table.open();
                    let write =
                        |id| table.write(vec![insert(id, Conflict::Error)], &WriteOptions::default(), &Cx::pure());
                    let won = |id| matches!(write(id).expect("answers")[0], WriteResult::Done { .. });
                    (0..100).filter(|id| won(*id)).count()
                })
            })
        })
        .collect();
    let winners: usize = writers.into_iter().map(|writer| writer.join().expect("the writer ends well")).sum();
    assert_eq!(winners, 100);
}

#[test]
fn schema_changes_under_load_lose_and_repeat_nothing() {
    let mut parts = parts();
    let table = parts.handle();
    on_fiber(move || {
        table.open().write(vec![insert(1, Conflict::Error)], &WriteOptions::default(), &Cx::pure()).expect("writes");
    });
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (table, stop) = (parts.handle(), stop.clone());
            std::thread::spawn(move || {
                on_fiber(move || {
                    let table = table.open();
                    let mut acknowledged = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let results = table.write(vec![increment(1)], &WriteOptions::default(), &Cx::pure());
                        done(&results.expect("writes")[0]);
                        acknowledged += 1;
                    }
                    acknowledged
                })
            })
        })
        .collect();
    let definition = encode_function(&function(r#"[170,[[10,[1]],"n"]]"#), &Cx::pure()).expect("encodes");
    for round in 0..10 {
        let name = format!("i{round}");
        let definition = definition.clone();
        parts.change(&Command::CreateIndex { table: TABLE, name: name.clone(), definition, multi: false, geo: false });
        std::thread::sleep(Duration::from_millis(5));
        if round % 2 == 0 {
            parts.change(&Command::DropIndex { table: TABLE, name });
        }
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged: u64 = writers.into_iter().map(|writer| writer.join().expect("the writer ends well")).sum();
    let table = parts.handle();
    on_fiber(move || {
        let table = table.open();
        assert_eq!(count_of(&table, 1), acknowledged);
        assert_eq!(table.indexes().expect("lists").len(), 5);
    });
}

#[test]
fn scans_give_each_document_once_in_order_both_ways() {
    let parts = parts();
    let table = parts.handle();
    on_fiber(move || {
        let table = table.open();
        let mut expected = BTreeMap::new();
        for chunk in 0..10u64 {
            let writes = (0..50).map(|n| insert(chunk * 50 + n, Conflict::Error)).collect();
            table.write(writes, &WriteOptions::default(), &Cx::pure()).expect("writes");
            expected.extend((0..50).map(|n| (chunk * 50 + n, ())));
        }
        for order in [Order::Ascending, Order::Descending] {
            let access = Access { index: None, keys: Keys::Range(DatumRange::all()), order };
            let mut rows = table.scan(&access, ReadMode::Single).expect("opens");
            let mut found = Vec::new();
            loop {
                let batch = rows.next_batch(7).expect("reads");
                if batch.is_empty() {
                    break;
                }
                found.extend(
                    batch
                        .iter()
                        .map(|row| row.document.field("id").expect("has id").as_number().expect("a number") as u64),
                );
            }
            if order == Order::Descending {
                found.reverse();
            }
            assert_eq!(found, expected.keys().copied().collect::<Vec<_>>());
            assert_eq!(table.count(&access, ReadMode::Single).expect("counts"), Some(500));
        }
    });
}
