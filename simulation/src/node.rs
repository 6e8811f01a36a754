//! One life of the node: the product's own parts on the calling thread, and the tasks that drive them where the product
//! has threads.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::{ClusterId, ClusterState, Command, Compression, Durability, NewShard, WriteAcks};
use photondb_consensus::{Groups, GroupsParts, Options};
use photondb_controller::{Begin, Controller, Parts, Registration};
use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};
use photondb_query::table::TableInfo;
use photondb_replica::{Replica, Replicas, ShardTable, TableRoutes};
use photondb_runtime::clock::ManualClock;
use photondb_runtime::peers::NoPeers;
use photondb_runtime::random::SeededRandom;
use photondb_runtime::task::{self, Blocking};
use photondb_storage::Engine;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::Wal;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::disk::as_seen_by_node;
use crate::ended::Ended;
use crate::plan::Plan;
use crate::probe::Probes;
use crate::random::Random;
use crate::trace::Trace;

/// The one table of a run.
pub const TABLE: TableId = TableId(42);

const CLUSTER: u128 = 1;
const NODE: u128 = 7;

/// Longer than any run. openraft draws its election timeout and the phase of its ticks from a generator of its own; a
/// sole voter needs neither, and without ticks nothing of a run depends on them.
const NEVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the log's writer waits before it uses a quiet moment.
const LOG_IDLE_TIME: Duration = Duration::from_millis(20);

/// How long until it becomes small: a node waits longer, and would never come to it here.
const LOG_SHRINK_IDLE_TIME: Duration = Duration::from_millis(200);

/// After a reconciliation that could not do everything.
const RETRY_PERIOD: Duration = Duration::from_millis(100);

/// Written ahead at once: little, so that other things happen in between.
const EVICTION_BYTES: usize = 32 << 10;

/// Pages of dropped trees freed at once.
const RECLAIM_PAGES: usize = 4;

/// Slots that one step of compaction leaves behind.
const COMPACTION_SLOTS: usize = 8;

/// How long a table may take until it serves, in virtual time.
const TABLE_WAIT_MAX: Duration = Duration::from_secs(60);

/// What runs in one life.
pub struct Node {
    /// Storage.
    pub engine: Engine,
    /// The cluster state.
    pub controller: Controller,
    /// The tables.
    pub replicas: Arc<Replicas>,
    /// Raft.
    pub groups: Groups,
}

impl Node {
    /// Opens what `disk` holds, and returns when the table serves. Errors: what an operator would read.
    pub async fn open(
        disk: &SimulatedDisk,
        plan: &Plan,
        random: &mut Random,
        ended: &Ended,
        trace: &Trace,
        probes: &Probes,
    ) -> Result<Rc<Node>, String> {
        let disk = as_seen_by_node(disk, plan.honesty);
        let engine = Engine::open(disk, plan.engine.clone()).map_err(|error| format!("opening storage: {error}"))?;
        engine.set_identity(CLUSTER, NODE).map_err(|error| format!("naming the directory: {error}"))?;
        let identity = engine.identity();
        trace.event(format_args!("storage is open, boot {}", identity.boot));
        let wal = engine.wal().clone();
        let log_writer = LogWriter {
            wal: wal.clone(),
            plan: plan.clone(),
            random: random.fork(),
            ended: ended.clone(),
            trace: trace.clone(),
            probes: probes.clone(),
        };
        task::spawn_local(log_writer.run());

        let handle = task::Handle::of_current();
        let fatal = {
            let ended = ended.clone();
            Arc::new(move |reason: String| ended.end(reason))
        };
        let options = Options {
            heartbeat_interval: NEVER,
            election_timeout_min: NEVER * 2,
            election_timeout_max: NEVER * 3,
            blocking: Blocking::Here,
            ..Options::default()
        };
        let groups = Groups::new(GroupsParts {
            wal,
            executor: handle.runtime().clone(),
            fatal,
            options,
            node: NodeId(NODE),
            peers: Arc::new(NoPeers),
            // A sole voter asks for no time.
            clock: Arc::new(ManualClock::default()),
            random: Arc::new(SeededRandom::new(random.clone().bits())),
        });
        let me = Registration {
            cluster: ClusterId(CLUSTER),
            node: NodeId(NODE),
            boots: identity.boot,
            name: "simulated".into(),
            tags: BTreeSet::new(),
            addresses: Vec::new(),
        };
        let parts = Parts {
            groups: groups.clone(),
            engine: engine.clone(),
            executor: handle.clone(),
            peers: Arc::new(NoPeers),
            clock: Arc::new(ManualClock::default()),
            random: Arc::new(SeededRandom::new(random.clone().bits())),
            options: Default::default(),
            entered: Arc::new(|_| {}),
        };
        let controller = Controller::open(parts, me, Begin::Found)
            .await
            .map_err(|error| format!("opening the cluster state: {error}"))?;
        let replicas = Replicas::new(NodeId(NODE), engine.clone(), groups.clone(), handle);
        let node = Rc::new(Node { engine, controller, replicas, groups });
        let checkpoints = Checkpoints {
            node: node.clone(),
            plan: plan.clone(),
            random: random.fork(),
            ended: ended.clone(),
            trace: trace.clone(),
            probes: probes.clone(),
        };
        task::spawn_local(checkpoints.run());
        let page_writer = PageWriter {
            engine: node.engine.clone(),
            plan: plan.clone(),
            random: random.fork(),
            ended: ended.clone(),
            trace: trace.clone(),
            probes: probes.clone(),
        };
        task::spawn_local(page_writer.run());
        task::spawn_local(obey(node.clone(), trace.clone()));
        node.find_or_make_table().await?;
        Ok(node)
    }

    async fn find_or_make_table(&self) -> Result<(), String> {
        if self.controller.state().table(TABLE).is_none() {
            let database = self.controller.state().database_named("test").ok_or("the database `test` is missing")?.id;
            let create = Command::CreateTable {
                id: TABLE,
                database,
                name: "t".into(),
                primary_key: "id".into(),
                durability: Durability::Hard,
                write_acks: WriteAcks::Majority,
                shards: vec![NewShard { range: KeyRange::all(), nodes: vec![NodeId(NODE)] }],
                compression: Compression::Lz4,
            };
            self.controller.propose(create).await.map_err(|error| format!("creating the table: {error}"))?;
        }
        let serves = async {
            while self.replicas.table(TABLE).is_none() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(TABLE_WAIT_MAX, serves).await.map_err(|_| "the table does not come up".to_owned())
    }

    /// The table, as a query sees it. For the calling thread alone.
    pub fn table(&self) -> ShardTable {
        let info = TableInfo {
            id: TABLE.to_string().as_str().into(),
            name: "t".into(),
            db_id: DatabaseId(1).to_string().as_str().into(),
            db_name: "test".into(),
            primary_key: "id".into(),
            write_hook: None,
            system: false,
        };
        let replicas = self.replicas.table(TABLE).expect("a node is open when its table serves");
        ShardTable::new(info, TableRoutes::here(&replicas))
    }

    /// The table's only shard.
    pub fn replica(&self) -> Arc<Replica> {
        let table = self.replicas.table(TABLE).expect("a node is open when its table serves");
        table.shards()[0].clone()
    }
}

/// The log writer's thread: each step takes as long as the disk of this run takes.
struct LogWriter {
    wal: Arc<Wal>,
    plan: Plan,
    random: Random,
    ended: Ended,
    trace: Trace,
    probes: Probes,
}

impl LogWriter {
    async fn run(mut self) {
        let work = Arc::new(Notify::new());
        let waking = work.clone();
        self.wal.set_waker(Box::new(move || waking.notify_one()));
        loop {
            sleep(self.random.millis(self.plan.sync_ms.clone())).await;
            let before = self.wal.metrics();
            let mut result = self.wal.step();
            self.probes.log_went_on(&before, &self.wal.metrics());
            if let Ok(false) = result {
                if tokio::time::timeout(LOG_IDLE_TIME, work.notified()).await.is_ok() {
                    continue;
                }
                result = self.wal.prepare().and_then(|()| self.wal.idle_mark()).map(|()| false);
                if result.is_ok() {
                    if tokio::time::timeout(LOG_SHRINK_IDLE_TIME, work.notified()).await.is_ok() {
                        continue;
                    }
                    result = self.wal.shrink().map(|()| false);
                }
            }
            match result {
                Ok(true) => self.trace.event(format_args!("log {:?}", self.wal.metrics())),
                Ok(false) => work.notified().await,
                Err(error) if error.is_full() => sleep(RETRY_PERIOD).await,
                Err(error) => return self.ended.end(format!("the log cannot be written: {error}")),
            }
        }
    }
}

/// The checkpointer's thread.
struct Checkpoints {
    node: Rc<Node>,
    plan: Plan,
    random: Random,
    ended: Ended,
    trace: Trace,
    probes: Probes,
}

impl Checkpoints {
    async fn run(mut self) {
        loop {
            sleep(self.random.millis(self.plan.checkpoint_ms.clone())).await;
            if !self.node.engine.should_checkpoint() && !self.random.once_in(4) {
                continue;
            }
            match self.node.engine.checkpoint() {
                Ok(report) => {
                    self.probes.reach("checkpoint made", 1);
                    self.trace.event(format_args!("checkpoint {report:?}"));
                    self.purge().await;
                }
                Err(error) if error.is_fatal() => return self.ended.end(format!("a checkpoint failed: {error}")),
                Err(error) => {
                    self.probes.reach("checkpoint failed for lack of space", u64::from(error.is_full()));
                    self.trace.event(format_args!("checkpoint failed: {error}"));
                }
            }
        }
    }

    async fn purge(&self) {
        for group in self.node.groups.list() {
            match group.purge_behind().await {
                Ok(position) => self.trace.event(format_args!("group {} purged behind {position:?}", group.id())),
                Err(error) => self.trace.event(format_args!("group {} not purged: {error}", group.id())),
            }
        }
    }
}

/// What the thread that writes pages does between checkpoints: cold nodes while memory is short, dropped trees otherwise.
struct PageWriter {
    engine: Engine,
    plan: Plan,
    random: Random,
    ended: Ended,
    trace: Trace,
    probes: Probes,
}

impl PageWriter {
    async fn run(mut self) {
        let short = Arc::new(Notify::new());
        let waking = short.clone();
        self.engine.set_memory_waker(Box::new(move || waking.notify_one()));
        let mut waits = 0;
        loop {
            sleep(self.random.millis(self.plan.sync_ms.clone())).await;
            let before = self.engine.metrics();
            self.probes.reach("writer waited for memory", before.memory_waits - waits);
            waits = before.memory_waits;
            let step = if self.engine.should_evict() {
                self.engine.evict_step(EVICTION_BYTES)
            } else {
                // A dropped tree that cannot be read only keeps its space.
                let freed = self.engine.reclaim_step(RECLAIM_PAGES).unwrap_or(0);
                match freed {
                    0 => self.engine.compact_step(COMPACTION_SLOTS).map(|moved| moved > 0),
                    _ => Ok(true),
                }
            };
            match step {
                Ok(more) => {
                    let pages = self.engine.metrics().pages_evicted - before.pages_evicted;
                    if pages > 0 {
                        self.probes.reach("changed pages written ahead of a checkpoint", 1);
                        self.trace.event(format_args!("{pages} pages written ahead"));
                    }
                    if !more {
                        // Nobody is told of what others let go.
                        let _ = tokio::time::timeout(RETRY_PERIOD, short.notified()).await;
                    }
                }
                Err(error) if error.is_fatal() => return self.ended.end(format!("writing pages failed: {error}")),
                Err(error) => {
                    self.trace.event(format_args!("pages not written: {error}"));
                    sleep(RETRY_PERIOD).await;
                }
            }
        }
    }
}

/// Brings the replicas to each new cluster state.
async fn obey(node: Rc<Node>, trace: Trace) {
    let mut states = node.controller.watch();
    loop {
        let state: Arc<ClusterState> = states.borrow_and_update().clone();
        let failures = node.replicas.reconcile(&state).await.0;
        trace.event(format_args!("reconciled, {} failures", failures.len()));
        if !failures.is_empty() {
            trace.event(format_args!("reconcile: {failures:?}"));
            sleep(RETRY_PERIOD).await;
        } else if states.changed().await.is_err() {
            return;
        }
    }
}
