//! Obeying the cluster state: what this node is told to hold is started, changed, or dropped.
//!
//! [`Replicas::reconcile`] compares the state with what runs and does what differs; it can be repeated after any failure.
//! One task calls it, so there is no race between two of them. Queries look tables up in an immutable map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use photondb_cluster_state::{
    ClusterState, Compression as TableCompression, META_FOUNDER, Shard as StoredShard, Table,
};
use photondb_consensus::{ConsensusError, Groups};
use photondb_proto::{GroupId, MemberId, NodeId, TableId};
use photondb_runtime::task;
use photondb_shard::{Command, Shard};
use photondb_storage::{Compression, Engine, TreeSetId, TreeSetOptions};

use crate::error::ReplicaError;
use crate::limits::LEADER_WAIT_MAX;
use crate::proposer::Proposer;
use crate::replica::{Replica, TableReplicas};
use crate::replicated_shard::ReplicatedShard;

/// All replicas of this node.
pub struct Replicas {
    node: NodeId,
    engine: Engine,
    groups: Groups,
    executor: task::Handle,
    tables: ArcSwap<BTreeMap<TableId, Arc<TableReplicas>>>,
}

/// What one pass could not do; the rest was done.
#[derive(Debug, Default)]
pub struct Failures(pub Vec<(TableId, ReplicaError)>);

impl Replicas {
    /// No replica yet.
    pub fn new(node: NodeId, engine: Engine, groups: Groups, executor: task::Handle) -> Arc<Replicas> {
        Arc::new(Replicas { node, engine, groups, executor, tables: ArcSwap::default() })
    }

    /// The replicas of a table that run here.
    pub fn table(&self, id: TableId) -> Option<Arc<TableReplicas>> {
        self.tables.load().get(&id).cloned()
    }

    /// Every table that runs here.
    pub fn tables(&self) -> Arc<BTreeMap<TableId, Arc<TableReplicas>>> {
        self.tables.load_full()
    }

    /// Makes what runs here what `state` says. A table that fails does not keep the others from their turn.
    pub async fn reconcile(self: &Arc<Self>, state: &ClusterState) -> Failures {
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
        let replicas = match self.table(table.id) {
            Some(replicas) => replicas,
            None => {
                let replicas = Arc::new(self.start(table).await?);
                self.replace(|tables| {
                    tables.insert(table.id, replicas.clone());
                });
                replicas
            }
        };
        for replica in replicas.shards() {
            replica.shard.tree_set().set_compression(stored_as(table.compression))?;
            self.reconcile_schema(replica, table).await?;
        }
        Ok(())
    }

    /// Starts every member of the table, or none: what was started is stopped again when another fails, so that the next
    /// attempt finds nothing running.
    async fn start(&self, table: &Table) -> Result<TableReplicas, ReplicaError> {
        let mut shards: Vec<Arc<Replica>> = Vec::with_capacity(table.shards.len());
        for shard in &table.shards {
            let Some(member) = shard.members.iter().find(|member| member.node == self.node) else { continue };
            match self.start_member(table, shard, member.id).await {
                Ok(replica) => shards.push(Arc::new(replica)),
                Err(error) => {
                    for started in &shards {
                        if let Err(error) = self.groups.stop(GroupId::from(started.id)).await {
                            tracing::warn!(shard = %started.id, %error, "a group did not stop cleanly");
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(TableReplicas { id: table.id, shards })
    }

    async fn start_member(
        &self,
        table: &Table,
        shard: &StoredShard,
        member: MemberId,
    ) -> Result<Replica, ReplicaError> {
        let options = TreeSetOptions { compression: stored_as(table.compression) };
        let set = match self.engine.tree_set(TreeSetId(shard.id.0)) {
            Some(set) => set,
            None => self.engine.create_tree_set_with(TreeSetId(shard.id.0), options)?,
        };
        let group_id = GroupId::from(shard.id);
        let state = Arc::new(Shard::open(set)?);
        let machine = Arc::new(ReplicatedShard::new(state.clone(), self.engine.clone()));
        let group = self.groups.initialize(group_id, member, self.node, machine.clone()).await?;
        let proposer = Proposer::new(state.clone(), group.clone(), self.engine.clone(), self.executor.clone());
        machine.connect(&proposer);
        match group.wait_leading(LEADER_WAIT_MAX).await {
            // A long log may still be re-applied: the member serves when it is done.
            Ok(_) | Err(ConsensusError::Timeout { .. }) => {}
            Err(error) => {
                let _ = self.groups.stop(group_id).await;
                return Err(error.into());
            }
        }
        // Leadership may have come before the proposer was connected. It may also change while this is said: then what was
        // said is said again. Being told twice does no harm.
        loop {
            let led = group.led();
            proposer.leading(led);
            if group.led() == led {
                break;
            }
        }
        Ok(Replica { id: shard.id, member, range: shard.range.clone(), shard: state, group, proposer })
    }

    /// Brings indexes and hook of one shard to what the state says. Each difference is one command in the shard's own log.
    async fn reconcile_schema(&self, replica: &Arc<Replica>, table: &Table) -> Result<(), ReplicaError> {
        let view = replica.shard.view();
        let wanted: BTreeMap<_, _> = table.indexes.iter().map(|(name, index)| (index.id, (name, index))).collect();
        for id in view.schema.indexes.keys().filter(|id| !wanted.contains_key(id)) {
            replica.change(&Command::DropIndex { id: *id }).await?;
        }
        for (id, (name, index)) in wanted {
            match view.schema.indexes.get(&id) {
                Some(known) if known.name == *name => {}
                Some(_) => replica.change(&Command::RenameIndex { id, name: name.clone() }).await?,
                None => {
                    let (name, definition) = (name.clone(), index.definition.clone().into());
                    let (multi, geo) = (index.multi, index.geo);
                    replica.change(&Command::CreateIndex { id, name, multi, geo, definition }).await?;
                }
            }
        }
        let hook = table.write_hook.as_deref();
        if view.schema.write_hook.as_deref() != hook {
            let definition = hook.map(|hook| hook.to_vec().into());
            replica.change(&Command::SetWriteHook { definition }).await?;
        }
        for index in replica.shard.view().schema.indexes.values().filter(|index| index.outdated) {
            tracing::info!(table = table.name, index = index.name, "an index of another version is being built again");
        }
        let unbuilt = replica.shard.view().schema.indexes.values().any(|index| index.needs_building());
        if unbuilt {
            let builder = replica.clone();
            self.executor.spawn(async move {
                let table = builder.id;
                if let Err(error) = builder.build_indexes().await {
                    tracing::warn!(shard = %table, %error, "building indexes stopped; it goes on at the next change or start");
                }
            });
        }
        Ok(())
    }

    async fn drop_what_is_gone(&self, state: &ClusterState, failures: &mut Failures) {
        let gone: Vec<_> =
            self.tables.load().values().filter(|running| state.table(running.id).is_none()).cloned().collect();
        for table in gone {
            self.replace(|tables| {
                tables.remove(&table.id);
            });
            for replica in table.shards() {
                replica.shard.close();
                if let Err(error) = self.erase(GroupId::from(replica.id), replica.member).await {
                    failures.0.push((table.id, error));
                }
            }
        }
        self.erase_what_was_left(state, failures).await;
        let wanted: BTreeSet<u64> = state.tables().flat_map(|table| &table.shards).map(|shard| shard.id.0).collect();
        for set in self.engine.tree_sets() {
            if set.0 != GroupId::META.0
                && !wanted.contains(&set.0)
                && let Err(error) = self.engine.drop_tree_set(set)
            {
                tracing::warn!(shard = set.0, %error, "a dropped shard's trees could not be freed; it is tried again");
            }
        }
    }

    /// A crash, or a failure, between the drop of a table and the end of its members leaves their logs behind, which would be
    /// carried forward for ever. `state` must be complete, as for everything that is dropped here: a member that it does not
    /// know is one that it has forgotten.
    async fn erase_what_was_left(&self, state: &ClusterState, failures: &mut Failures) {
        let wanted: BTreeSet<MemberId> = state
            .tables()
            .flat_map(|table| &table.shards)
            .flat_map(|shard| &shard.members)
            .map(|member| member.id)
            .collect();
        for (stream, left) in self.engine.wal().states() {
            let member = MemberId(stream.0);
            if left.erased || member == META_FOUNDER || wanted.contains(&member) {
                continue;
            }
            let erased = match self.groups.list().into_iter().find(|group| group.member() == member) {
                Some(group) => self.erase(group.id(), member).await,
                None => self.groups.erase(member).await.map_err(ReplicaError::from),
            };
            if let Err(error) = erased {
                // It is no table's any more; the failure is that of obeying the state.
                failures.0.push((TableId(0), error));
            }
        }
    }

    async fn erase(&self, group: GroupId, member: MemberId) -> Result<(), ReplicaError> {
        match self.groups.stop(group).await {
            Ok(()) | Err(ConsensusError::NotRunning { .. }) => Ok(self.groups.erase(member).await?),
            Err(error) => Err(error.into()),
        }
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
