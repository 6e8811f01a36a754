//! What catalog and system tables stand on: the state, the way to change it, and waiting until a change is served.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::plan::Burdens;
use photondb_cluster_state::{ClusterState, Command, Response, StateError, Table as StoredTable};
use photondb_controller::ControllerError;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::{MemberId, NodeId, TableId, v1};
use photondb_query::catalog::Readiness;
use photondb_replica::status::MemberStatus;
use photondb_replica::{TableReplicas, TableRoutes};
use photondb_reql::error::{Error, Result};
use photondb_runtime::clock::Moment;
use photondb_runtime::{fiber, task};
use photondb_storage::fault::fault_point;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::{LOOK_EVERY, Overview, ServerFacts};
use crate::node::activity::{TableCounts, Totals};
use crate::node::{Cluster, Foundation};
use crate::report::{Heard, Reporter};
use crate::rpc::control::{nodes, shards};

/// How long DDL waits until this node serves what it made.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(30);

/// The longest pause between two looks.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(50);

/// The node and its cluster, as one client thread uses them.
pub(crate) struct Ground {
    cluster: Arc<Cluster>,
    foundation: Arc<Foundation>,
    facts: Arc<ServerFacts>,
    reporter: Arc<Reporter>,
    /// What this thread did to each table.
    counts: RefCell<FxHashMap<TableId, Arc<TableCounts>>>,
}

/// Why a command did not take effect.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The state refused it.
    Refused(StateError),
    /// Anything else.
    Other(Error),
}

impl Failure {
    pub fn into_error(self) -> Error {
        match self {
            Failure::Refused(refused) => Error::op_failed(format!("{refused}.")),
            Failure::Other(error) => error,
        }
    }
}

impl Ground {
    pub fn new(
        cluster: Arc<Cluster>,
        foundation: Arc<Foundation>,
        facts: Arc<ServerFacts>,
        reporter: Arc<Reporter>,
    ) -> Ground {
        Ground { cluster, foundation, facts, reporter, counts: RefCell::default() }
    }

    /// The newest state.
    pub fn state(&self) -> Arc<ClusterState> {
        self.cluster.controller.state()
    }

    /// What nodes bear, as far as this one has heard it lately.
    pub fn burdens(&self) -> Burdens {
        self.cluster.controller.burdens()
    }

    /// Tells when there is a newer one.
    pub fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.cluster.controller.watch()
    }

    pub fn node(&self) -> NodeId {
        self.foundation.node_id
    }

    pub fn foundation(&self) -> &Foundation {
        &self.foundation
    }

    pub fn facts(&self) -> &Arc<ServerFacts> {
        &self.facts
    }

    /// Where this thread counts what it does to a table.
    pub fn counts(&self, table: TableId) -> Arc<TableCounts> {
        let mut counts = self.counts.borrow_mut();
        counts.entry(table).or_insert_with(|| self.facts.activity.counts(table)).clone()
    }

    /// What was done until now, and at a moment a second or two ago.
    pub fn activity(&self) -> (Totals, Totals) {
        let now = self.foundation.clock.now();
        let totals = self.facts.activity.totals(now, &self.facts.running, &self.foundation.engine);
        (totals, self.facts.activity.before(now))
    }

    /// Tells of this node and asks the others.
    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// What every node of the cluster says, this one too.
    pub fn ask_all(&self, ask: Ask) -> Vec<Heard> {
        fiber::wait(self.reporter.ask_all(ask))
    }

    /// The connections of clients that are open.
    pub fn connections(&self) -> usize {
        self.facts.connections.get().map_or(0, |connections| connections.count())
    }

    /// The time of this node.
    pub fn now(&self) -> Moment {
        self.foundation.clock.now()
    }

    /// A version 4 UUID.
    pub fn random_id(&self) -> u128 {
        let random = self.foundation.random.next_u128();
        random & !(0xf000 << 64) & !(0xc000 << 48) | (0x4000 << 64) | (0x8000 << 48)
    }

    /// The replicas of a table that run here, if they do.
    pub fn replicas(&self, table: TableId) -> Option<Arc<TableReplicas>> {
        self.cluster.replicas.table(table)
    }

    /// The way to the shards of a table.
    pub fn routes(&self, table: &Arc<StoredTable>) -> Arc<TableRoutes> {
        self.cluster.router.routes(table)
    }

    /// Changes the state.
    pub fn propose(&self, command: Command) -> Result<Response> {
        self.propose_raw(command).map_err(Failure::into_error)
    }

    /// As [`Ground::propose`], for callers with words of their own for a refusal.
    pub fn propose_raw(&self, command: Command) -> std::result::Result<Response, Failure> {
        let proposed = fiber::wait(self.cluster.controller.propose(command));
        proposed.map_err(|error| match error {
            ControllerError::Refused(refused) => Failure::Refused(refused),
            other if other.is_known_without_effect() => Failure::Other(Error::op_failed(other.to_string())),
            other => Failure::Other(Error::op_indeterminate(other.to_string())),
        })
    }

    /// Waits until this node's replicas have been brought to a state for which `holds` is true.
    pub fn settle(&self, holds: impl Fn(&ClusterState) -> bool) -> Result<()> {
        let mut reconciled = self.cluster.reconciled.clone();
        let settled = fiber::wait(task::timeout(SETTLE_TIME_MAX, async {
            reconciled.wait_for(|state| holds(state)).await.is_ok()
        }));
        match settled {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::op_failed("The server is shutting down.")),
            Err(_) => Err(Error::op_indeterminate("The change was accepted, but this server does not serve it yet.")),
        }
    }

    /// As [`Ground::settle`], and then until every shard of the table, wherever it is led, has followed.
    pub fn settle_table(&self, table: TableId, holds: impl Fn(&ClusterState) -> bool) -> Result<()> {
        self.settle(holds)?;
        if fault_point!("ddl-acknowledged-by-one") {
            return Ok(());
        }
        let served = fiber::wait(task::timeout(SETTLE_TIME_MAX, async {
            let mut pause = LOOK_EVERY;
            loop {
                let state = self.state();
                let Some(stored) = state.table(table) else { return };
                if self.cluster.replicas.is_served(&state, stored).await {
                    return;
                }
                task::sleep(pause).await;
                pause = (pause * 2).min(LOOK_EVERY_MAX);
            }
        }));
        served.map_err(|_| {
            Error::op_indeterminate("The change was accepted, but not every shard of the table follows it yet.")
        })
    }

    /// The state with everything that was acknowledged before, by whatever node.
    pub fn newest_state(&self) -> Result<Arc<ClusterState>> {
        fiber::wait(self.cluster.controller.confirm()).map_err(|error| Error::op_failed(error.to_string()))
    }

    /// How the members of a table are.
    pub fn overview(&self, state: &ClusterState, table: &StoredTable) -> Overview {
        Overview(fiber::wait(self.cluster.replicas.statuses(state, table)))
    }

    /// The same, by the server that says so.
    pub fn statuses_of(&self, state: &ClusterState, table: &StoredTable) -> BTreeMap<NodeId, Vec<MemberStatus>> {
        fiber::wait(self.cluster.replicas.statuses_of(state, table))
    }

    /// What [`Ground::overview`] is made of.
    pub async fn statuses(&self, state: &ClusterState, table: &StoredTable) -> BTreeMap<MemberId, MemberStatus> {
        self.cluster.replicas.statuses(state, table).await
    }

    /// How the members of all tables are.
    pub fn overview_of_all(&self, state: &ClusterState) -> Overview {
        let told = fiber::wait(self.cluster.replicas.statuses_by_node(state));
        Overview(told.into_values().flatten().map(|status| (status.member, status)).collect())
    }

    /// How each node does.
    pub async fn node_statuses(&self, state: &ClusterState) -> Vec<v1::NodeStatus> {
        nodes::statuses(&self.cluster, state).await
    }

    /// How each shard does.
    pub fn shard_statuses(&self, state: &ClusterState) -> Vec<v1::ShardStatus> {
        fiber::wait(shards::statuses(&self.cluster, state))
    }

    /// Waits until a table is as ready as asked for.
    pub fn wait_for_replicas(&self, table: TableId, readiness: Readiness, limit: Option<Duration>) -> Result<()> {
        let clock = &self.foundation.clock;
        let began = clock.now();
        let mut pause = LOOK_EVERY;
        loop {
            let state = self.state();
            let Some(stored) = state.table(table) else {
                return Err(Error::op_failed("The table was dropped meanwhile."));
            };
            if self.overview(&state, stored).readiness(stored).is_some_and(|is| is >= readiness) {
                return Ok(());
            }
            if limit.is_some_and(|limit| clock.now().since(began) >= limit) {
                return Err(Error::op_failed("Timed out while waiting for tables."));
            }
            fiber::wait(task::sleep(pause));
            pause = (pause * 2).min(LOOK_EVERY_MAX);
        }
    }

    /// Whether the table can be read and written.
    pub fn is_ready(&self, table: TableId) -> bool {
        let state = self.state();
        let ready = |stored| self.overview(&state, stored).readiness(stored) >= Some(Readiness::Writes);
        state.table(table).is_some_and(|stored| ready(stored))
    }
}
