//! What catalog and system tables stand on: the state, the way to change it, and waiting until a change is served.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::{ClusterState, Command, Response, StateError, Table as StoredTable};
use photondb_controller::ControllerError;
use photondb_proto::{NodeId, TableId};
use photondb_replica::{TableReplicas, TableRoutes};
use photondb_reql::error::{Error, Result};
use photondb_runtime::{fiber, task};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::{LOOK_EVERY, ServerFacts};
use crate::node::activity::{TableCounts, Totals};
use crate::node::{Cluster, Foundation};

/// How long DDL waits until this node serves what it made.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(30);

/// The node and its cluster, as one client thread uses them.
pub(crate) struct Ground {
    cluster: Arc<Cluster>,
    foundation: Arc<Foundation>,
    facts: Arc<ServerFacts>,
    /// What this thread did to each table.
    counts: RefCell<FxHashMap<TableId, Arc<TableCounts>>>,
}

/// Why a command did not take effect.
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
    pub fn new(cluster: Arc<Cluster>, foundation: Arc<Foundation>, facts: Arc<ServerFacts>) -> Ground {
        Ground { cluster, foundation, facts, counts: RefCell::default() }
    }

    /// The newest state.
    pub fn state(&self) -> Arc<ClusterState> {
        self.cluster.controller.state()
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

    /// The connections of clients that are open.
    pub fn connections(&self) -> usize {
        self.facts.connections.get().map_or(0, |connections| connections.count())
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

    /// Waits until every replica of a table that belongs here runs and leads.
    pub fn wait_for_replicas(&self, table: TableId, limit: Option<Duration>) -> Result<()> {
        let clock = &self.foundation.clock;
        let began = clock.now();
        loop {
            if self.is_ready(table) {
                return Ok(());
            }
            if self.state().table(table).is_none() {
                return Err(Error::op_failed("The table was dropped meanwhile."));
            }
            if limit.is_some_and(|limit| clock.now().since(began) >= limit) {
                return Err(Error::op_failed("Timed out while waiting for tables."));
            }
            fiber::wait(task::sleep(LOOK_EVERY));
        }
    }

    /// Whether every replica of a table that belongs here runs and leads.
    pub fn is_ready(&self, table: TableId) -> bool {
        self.replicas(table).is_some_and(|replicas| replicas.shards().iter().all(|replica| replica.is_leading()))
    }
}
