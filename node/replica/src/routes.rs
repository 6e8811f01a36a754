//! Where the shards of a table are, as the cluster state has it.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use photondb_cluster_state::{Member, Table as StoredTable};
use photondb_proto::{Epoch, KeyRange, MemberId, ShardId, TableId};
use photondb_query::table::{Move, ShardNumber};
use photondb_shard::read::KeyBounds;

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
    /// Which keys were another's of these once.
    moves: Arc<[Move]>,
    /// It keeps these, and not the other way round.
    router: Weak<Router>,
    /// What they were made of.
    stored: Option<Arc<StoredTable>>,
    replicas: Option<Arc<TableReplicas>>,
}

impl Route {
    /// As queries know it.
    pub fn number(&self) -> ShardNumber {
        ShardNumber(self.id.0)
    }

    /// Whether keys within `bounds` can be in it.
    pub(crate) fn overlaps(&self, bounds: &KeyBounds) -> bool {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let above = match (&bounds.start, self.range.end()) {
            (Included(low) | Excluded(low), Some(end)) => low.as_ref() < end,
            _ => true,
        };
        let below = match &bounds.end {
            Included(high) => self.range.start() <= high.as_ref(),
            Excluded(high) => self.range.start() < high.as_ref(),
            Unbounded => true,
        };
        above && below
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
        let moved = |shard: &photondb_cluster_state::Shard| {
            let first = Bytes::copy_from_slice(shard.range.start());
            Some(Move { from: ShardNumber(shard.parent?.0), first, to: ShardNumber(shard.id.0) })
        };
        let moves = stored.shards.iter().filter_map(moved).collect();
        TableRoutes { routes, joined, moves, router: Arc::downgrade(router), stored: Some(stored.clone()), replicas }
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
        let routes = replicas.shards().iter().map(route).collect();
        let (joined, moves, router) = (Vec::new(), Arc::default(), Weak::new());
        Arc::new(TableRoutes { routes, joined, moves, router, stored: None, replicas: None })
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

    /// Whether the same shards have the same keys.
    pub(crate) fn has_same_ranges(&self, other: &TableRoutes) -> bool {
        let same = |(one, other): (&Arc<Route>, &Arc<Route>)| one.id == other.id && one.range == other.range;
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

    /// Which keys were another shard's of these once.
    pub(crate) fn moves(&self) -> &Arc<[Move]> {
        &self.moves
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

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_shard_overlaps_bounds_that_can_hold_a_key_of_it() {
        let range = KeyRange::new(b"d".to_vec(), Some(b"m".to_vec())).expect("not empty");
        let (table, id, epoch, members) = (TableId(1), ShardId(1), Epoch(1), Vec::new());
        let route = Route { table, id, range, epoch, rescued: None, members, here: None };
        let key = |text: &'static str| Bytes::from_static(text.as_bytes());
        for (start, end, overlaps) in [
            (Bound::Unbounded, Bound::Unbounded, true),
            (Bound::Included(key("m")), Bound::Unbounded, false),
            (Bound::Excluded(key("l")), Bound::Unbounded, true),
            (Bound::Unbounded, Bound::Excluded(key("d")), false),
            (Bound::Unbounded, Bound::Included(key("d")), true),
            (Bound::Included(key("a")), Bound::Included(key("c")), false),
        ] {
            let bounds = KeyBounds::new(start, end);
            assert_eq!(route.overlaps(&bounds), overlaps, "{bounds:?}");
        }
    }
}
