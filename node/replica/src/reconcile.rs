//! Obeying the cluster state: what this node is told to hold is started, filled, changed, or dropped.
//!
//! [`Replicas::reconcile`] compares the state with what runs here and does what differs; it can be repeated after any failure.
//! One task calls it, so there is no race between two of them. What only the leader of a group may do (its schema, its
//! members) is looked at by a task of each member, which knows when it leads. Queries look tables up in an immutable map.

mod birth;
mod build;
mod cut;
mod damage;
mod erase;
mod grown;
mod hand_over;
mod join;
mod lead;
mod members;
mod rescue;
mod schema;
mod start;
mod uncut;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use photondb_cluster_state::{ClusterState, Compression as TableCompression, Role, Shard as StoredShard, Table};
use photondb_consensus::Groups;
use photondb_controller::Controller;
use photondb_proto::{NodeId, ShardId, TableId};
use photondb_runtime::task;
use photondb_storage::fault::fault_point;
use photondb_storage::{Compression, Engine};
use tokio::sync::Notify;

pub use grown::SplitPolicy;
pub use uncut::Full;

use crate::burden::Meter;
use crate::error::ReplicaError;
use crate::limits::SCHEMA_WAIT;
use crate::replica::{Replica, TableReplicas};
use crate::status::ReplicaAnswers;

/// All replicas of this node.
pub struct Replicas {
    pub(crate) node: NodeId,
    pub(crate) engine: Engine,
    pub(crate) groups: Groups,
    executor: task::Handle,
    tables: ArcSwap<BTreeMap<TableId, Arc<TableReplicas>>>,
    /// The newest state that was to be obeyed.
    state: ArcSwap<ClusterState>,
    /// The way to the other nodes' replicas and to the state, where there is one.
    controller: OnceLock<Controller>,
    /// Told when a pass of reconciling has something to do though the state is the same: a member that ran was given up here, which the
    /// state is to be told, or keeps what is not to be borne.
    given_up: Arc<Notify>,
    split_policy: OnceLock<SplitPolicy>,
    /// The node is about to stop: another is to lead what is led here.
    stopping: AtomicBool,
    pub(crate) meter: Mutex<Meter>,
}

/// What one pass could not do; the rest was done.
#[derive(Debug, Default)]
pub struct Failures(pub Vec<(TableId, ReplicaError)>);

impl Replicas {
    /// No replica yet.
    pub fn new(node: NodeId, engine: Engine, groups: Groups, executor: task::Handle) -> Arc<Replicas> {
        let (tables, state, controller) = (ArcSwap::default(), ArcSwap::default(), OnceLock::new());
        let (given_up, split_policy) = (Arc::default(), OnceLock::new());
        let (stopping, meter) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Replicas {
            node,
            engine,
            groups,
            executor,
            tables,
            state,
            controller,
            given_up,
            split_policy,
            stopping,
            meter,
        })
    }

    /// From here on members report to the cluster state, and speak to those of other nodes. Without it, every shard must have
    /// one member alone.
    pub fn connect(self: &Arc<Self>, controller: Controller) {
        controller.answer_for_replicas(Arc::new(ReplicaAnswers::of(self)));
        let is_new = self.controller.set(controller).is_ok();
        assert!(is_new, "replicas are connected once");
    }

    /// The replicas of a table that run here.
    pub fn table(&self, id: TableId) -> Option<Arc<TableReplicas>> {
        self.tables.load().get(&id).cloned()
    }

    /// Every table that runs here.
    pub fn tables(&self) -> Arc<BTreeMap<TableId, Arc<TableReplicas>>> {
        self.tables.load_full()
    }

    /// The member of a shard that runs here.
    pub fn shard(&self, id: ShardId) -> Option<Arc<Replica>> {
        self.tables.load().values().flat_map(|table| table.shards()).find(|replica| replica.id == id).cloned()
    }

    /// Told when [`reconcile`](Self::reconcile) has something to do though the state is the same.
    pub fn given_up(&self) -> Arc<Notify> {
        self.given_up.clone()
    }

    pub(crate) fn controller(&self) -> Option<&Controller> {
        self.controller.get()
    }

    pub(crate) fn executor(&self) -> &task::Handle {
        &self.executor
    }

    /// The newest state that was to be obeyed.
    pub(crate) fn state(&self) -> Arc<ClusterState> {
        self.state.load_full()
    }

    /// Makes what runs here what `state` says. A table that fails does not keep the others from their turn.
    pub async fn reconcile(self: &Arc<Self>, state: &ClusterState) -> Failures {
        self.state.store(Arc::new(state.clone()));
        let mut failures = Failures::default();
        self.drop_what_is_gone(state, &mut failures).await;
        for table in state.tables() {
            if let Err(error) = self.reconcile_table(table).await {
                failures.0.push((table.id, error));
            }
        }
        failures
    }

    async fn reconcile_table(self: &Arc<Self>, table: &Arc<Table>) -> Result<(), ReplicaError> {
        // A start may take long, and nobody is to copy indexes meanwhile for what was cut off already.
        self.prepare_cuts(table);
        let started = self.start_missing(table).await;
        self.prepare_cuts(table);
        if let Some(replicas) = self.table(table.id) {
            for replica in replicas.shards() {
                self.forget_unwanted(replica, table)?;
                replica.shard.tree_set().set_compression(stored_as(table.compression))?;
                // So that a change is there as soon as this node has obeyed. A group that has lost its majority decides nothing: its
                // leader goes on by itself, and nothing else waits for it.
                if replica.group.leading().is_some() {
                    match task::timeout(SCHEMA_WAIT, self.keep_schema(replica, table)).await {
                        Ok(kept) => kept?,
                        Err(_) => photondb_storage::probe!("schema left to the leader's own pace"),
                    }
                }
                replica.duty.look.notify_one();
            }
        }
        started
    }

    fn prepare_cuts(&self, table: &Table) {
        for replica in self.table(table.id).iter().flat_map(|replicas| replicas.shards()) {
            let next = table.shards.iter().find(|shard| shard.id == replica.id).and_then(StoredShard::next_cut);
            replica.duty.prepare_cut(next.map(|cut| cut.at.as_slice()));
        }
    }

    /// Starts what should run here and does not. What one member fails of does not keep the others from their start.
    async fn start_missing(self: &Arc<Self>, table: &Arc<Table>) -> Result<(), ReplicaError> {
        let mut outcome = Ok(());
        for shard in table.with_members() {
            let starts = |role: Role| !(role.is_broken() || role.leaves() && fault_point!("leaving-member-dropped"));
            let Some(member) = shard.member_on(self.node).filter(|member| starts(member.role)) else { continue };
            let running = self.table(table.id);
            let runs = |replicas: &TableReplicas| replicas.shards().iter().any(|replica| replica.member == member.id);
            if running.is_some_and(|replicas| runs(&replicas)) {
                continue;
            }
            match self.start_member(table, shard, member.id).await {
                Ok(replica) => self.insert(table.id, replica),
                Err(error) => {
                    self.doubt_if_damaged(shard, member.id, &error).await;
                    if !self.report_broken(shard, member.id, &error).await {
                        outcome = Err(error);
                    }
                }
            }
        }
        outcome
    }

    fn insert(self: &Arc<Self>, table: TableId, replica: Replica) {
        let replica = Arc::new(replica);
        self.executor.spawn(build::build(Arc::downgrade(&replica)));
        self.executor.spawn(lead::watch(Arc::downgrade(self), Arc::downgrade(&replica)));
        self.replace(|tables| {
            let mut shards = tables.get(&table).map_or_else(Vec::new, |known| known.shards.clone());
            shards.retain(|known| known.id != replica.id);
            shards.push(replica);
            shards.sort_by(|left, right| left.began.start().cmp(right.began.start()));
            tables.insert(table, Arc::new(TableReplicas { id: table, shards }));
        });
    }

    /// Takes a member out of what queries find. A table stays known for as long as the state has it.
    fn remove(&self, table: TableId, shard: ShardId) {
        self.replace(|tables| {
            let Some(known) = tables.get(&table) else { return };
            let mut shards = known.shards.clone();
            shards.retain(|replica| replica.id != shard);
            match shards.is_empty() {
                true => tables.remove(&table),
                false => tables.insert(table, Arc::new(TableReplicas { id: table, shards })),
            };
        });
    }

    fn replace(&self, change: impl FnOnce(&mut BTreeMap<TableId, Arc<TableReplicas>>)) {
        let mut tables = (**self.tables.load()).clone();
        change(&mut tables);
        self.tables.store(Arc::new(tables));
    }
}

fn stored_as(compression: TableCompression) -> Compression {
    match compression {
        TableCompression::None => Compression::None,
        TableCompression::Lz4 => Compression::Lz4,
        TableCompression::Zstd => Compression::Zstd,
    }
}
