//! Where the shards of a table are, as the cluster state has it.

use std::sync::{Arc, Weak};

use photondb_cluster_state::{Member, Table as StoredTable};
use photondb_proto::{Epoch, KeyRange, MemberId, ShardId, TableId};
use photondb_query::table::ShardNumber;

use crate::error::ReplicaError;
use crate::replica::{Replica, TableReplicas};
use crate::router::Router;

/// One shard, and who has it.
#[derive(Clone)]
pub struct Route {
    /// Its table.
    pub table: TableId,
    /// The shard.
    pub id: ShardId,
    /// Its primary keys.
    pub range: KeyRange,
    /// How often those have changed.
    pub epoch: Epoch,
    /// Who began its group, if that took the place of one which had lost its majority.
    pub rescued: Option<MemberId>,
    /// Its members.
    pub members: Vec<Member>,
    /// This node's member, if it has one that runs.
    pub here: Option<Arc<Replica>>,
}

/// All shards of a table, in the order of their key ranges.
pub struct TableRoutes {
    routes: Vec<Arc<Route>>,
    /// Shards whose keys others of these have by now. Nobody asks them for anything but their changes.
    joined: Vec<Arc<Route>>,
    /// It keeps these, and not the other way round.
    router: Weak<Router>,
    /// What they were made of.
    stored: Option<Arc<StoredTable>>,
    replicas: Option<Arc<TableReplicas>>,
}

impl Route {
    /// The way to some of its keys.
    pub(crate) fn to(self: &Arc<Self>, keys: &KeyRange) -> Arc<Route> {
        match self.range == *keys {
            true => self.clone(),
            false => Arc::new(Route { range: keys.clone(), ..(**self).clone() }),
        }
    }

    /// As queries know it.
    pub fn number(&self) -> ShardNumber {
        ShardNumber(self.id.0)
    }
}

impl TableRoutes {
    /// Those of `stored`, of which `replicas` run here; what is not here is reached by `router`.
    pub(crate) fn new(
        stored: &Arc<StoredTable>,
        replicas: Option<Arc<TableReplicas>>,
        router: &Arc<Router>,
    ) -> TableRoutes {
        let of = |id: ShardId| replicas.as_ref()?.shards().iter().find(|replica| replica.id == id).cloned();
        let route = |shard: &photondb_cluster_state::Shard| {
            Arc::new(Route {
                table: stored.id,
                id: shard.id,
                range: shard.range.clone(),
                epoch: shard.epoch,
                rescued: shard.rescue.map(|rescue| rescue.founder),
                members: shard.members.clone(),
                here: of(shard.id),
            })
        };
        let routes = stored.shards.iter().map(route).collect();
        let joined = stored.joined.iter().map(route).collect();
        TableRoutes { routes, joined, router: Arc::downgrade(router), stored: Some(stored.clone()), replicas }
    }

    /// What runs here, and nothing else.
    pub fn here(replicas: &TableReplicas) -> Arc<TableRoutes> {
        let route = |replica: &Arc<Replica>| {
            Arc::new(Route {
                table: replicas.id,
                id: replica.id,
                range: replica.range(),
                epoch: Epoch::default(),
                rescued: replica.rescued,
                members: Vec::new(),
                here: Some(replica.clone()),
            })
        };
        TableRoutes::of(replicas.shards().iter().map(route).collect())
    }

    /// These, and no way to learn of others.
    pub(crate) fn of(routes: Vec<Arc<Route>>) -> Arc<TableRoutes> {
        Arc::new(TableRoutes { routes, joined: Vec::new(), router: Weak::new(), stored: None, replicas: None })
    }

    /// Whether they are still those of `stored` and `replicas`.
    pub(crate) fn are_of(&self, stored: &Arc<StoredTable>, replicas: Option<&Arc<TableReplicas>>) -> bool {
        let same_replicas = match (&self.replicas, replicas) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            _ => false,
        };
        same_replicas && self.stored.as_ref().is_some_and(|mine| Arc::ptr_eq(mine, stored))
    }

    /// Whether the same shards have the same keys, and have had them all the time.
    pub(crate) fn has_same_ranges(&self, other: &TableRoutes) -> bool {
        let same = |(one, other): (&Arc<Route>, &Arc<Route>)| {
            (one.id, &one.range, one.epoch) == (other.id, &other.range, other.epoch)
        };
        self.routes.len() == other.routes.len() && self.routes.iter().zip(&other.routes).all(same)
    }

    /// The shard of that number, for whoever listens to its changes: it may have been joined to another.
    pub(crate) fn find(&self, id: ShardId) -> Option<&Arc<Route>> {
        self.routes.iter().chain(&self.joined).find(|route| route.id == id)
    }

    /// All of them that have keys.
    pub fn all(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// Which of [`TableRoutes::all`] has this encoded key.
    pub(crate) fn place_of(&self, key: &[u8]) -> Result<usize, ReplicaError> {
        let behind = self.routes.partition_point(|route| route.range.start() <= key);
        let place = behind.checked_sub(1).ok_or(ReplicaError::NotLeading)?;
        if self.routes[place].range.contains(key) { Ok(place) } else { Err(ReplicaError::NotLeading) }
    }

    /// The shard that has this encoded key.
    pub fn for_key(&self, key: &[u8]) -> Result<&Arc<Route>, ReplicaError> {
        self.place_of(key).map(|place| &self.routes[place])
    }

    /// The way to other nodes; `None`: there is none.
    pub(crate) fn router(&self) -> Option<Arc<Router>> {
        self.router.upgrade()
    }
}
