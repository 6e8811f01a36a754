//! The way to the shards of the cluster: who leads, as far as is known, and whom to ask next when it is not who was asked.
//!
//! What is known of leaders is a hint and nothing more: whoever is asked says whether it leads, and it alone decides. So hints
//! can be wrong or old without harm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use photondb_cluster_state::{ClusterState, Table as StoredTable};
use photondb_proto::v1::shard::request::Ask;
use photondb_proto::{KeyRange, NodeId, ShardId, TableId};
use photondb_runtime::clock::{Clock, Moment};
use photondb_runtime::peers::Peers;
use photondb_runtime::task;
use photondb_shard::ShardError;
use photondb_storage::fault::buggify;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tokio::sync::watch;

use crate::error::ReplicaError;
use crate::forward::{Caller, Told};
use crate::limits::{BOOT_ATTEMPTS_MAX, READ_TIME_MAX, ROUTE_PAUSE_MAX, ROUTE_PAUSE_MIN, ROUTE_TIME_MAX};
use crate::message;
use crate::reconcile::Replicas;
use crate::replica::Replica;
use crate::routes::{Route, TableRoutes};

/// What one node knows of the ways to all shards.
pub struct Router {
    node: NodeId,
    replicas: Arc<Replicas>,
    caller: Caller,
    states: watch::Receiver<Arc<ClusterState>>,
    clock: Arc<dyn Clock>,
    /// Made of the state when somebody asked.
    tables: ArcSwap<BTreeMap<TableId, Arc<TableRoutes>>>,
    /// Who answered last for a shard that this node does not lead.
    leaders: Mutex<FxHashMap<ShardId, NodeId>>,
}

/// What a router stands on.
pub struct RouterParts {
    /// This node.
    pub node: NodeId,
    /// How often its directory has been opened.
    pub boot: u64,
    /// What runs here.
    pub replicas: Arc<Replicas>,
    /// The way to other nodes.
    pub peers: Arc<dyn Peers>,
    /// The cluster state, as it changes.
    pub states: watch::Receiver<Arc<ClusterState>>,
    /// For deadlines.
    pub clock: Arc<dyn Clock>,
}

/// Who is to be asked.
pub(crate) enum Place {
    /// The member of this node.
    Here(Arc<Replica>),
    /// Another node.
    Node(NodeId),
}

/// What the newest state says of a shard to whose changes somebody listens.
pub(crate) enum Whereabouts {
    /// There it is.
    At(Arc<Route>),
    /// The state is older than the entry that cut it off.
    ToCome,
    /// It was joined to another, and its changes are kept by nobody any more.
    Retired,
    /// The table is gone.
    Gone,
}

/// Why nobody is looked for any more.
#[derive(Clone, Copy)]
enum Lost {
    /// The table is gone.
    Gone,
    /// Another shard has the keys.
    Moved,
    /// See [`Whereabouts::Retired`].
    Retired,
}

/// Who answered.
pub(crate) enum Reached {
    /// It is the member of this node that is to be asked.
    Here(Arc<Replica>),
    /// Another node said this.
    Told(Told),
}

impl Router {
    /// A router that knows nothing yet.
    pub fn new(parts: RouterParts) -> Arc<Router> {
        let RouterParts { node, boot, replicas, peers, states, clock } = parts;
        let caller = Caller::new(peers, boot);
        let (tables, leaders) = (ArcSwap::default(), Mutex::default());
        Arc::new(Router { node, replicas, caller, states, clock, tables, leaders })
    }

    /// The shards of a table, as `stored` has them.
    pub fn routes(self: &Arc<Self>, stored: &Arc<StoredTable>) -> Arc<TableRoutes> {
        let replicas = self.replicas.table(stored.id);
        let known = self.tables.load().get(&stored.id).cloned();
        match known.filter(|routes| routes.are_of(stored, replicas.as_ref())) {
            Some(routes) => routes,
            None => self.remake(stored, replicas),
        }
    }

    /// The shards of a table, as the newest state has them; `None`: it has no such table.
    pub fn newest(self: &Arc<Self>, table: TableId) -> Option<Arc<TableRoutes>> {
        let state = self.states.borrow().clone();
        state.table(table).map(|stored| self.routes(stored))
    }

    #[cold]
    fn remake(
        self: &Arc<Self>,
        stored: &Arc<StoredTable>,
        replicas: Option<Arc<crate::replica::TableReplicas>>,
    ) -> Arc<TableRoutes> {
        let routes = Arc::new(TableRoutes::new(stored, replicas, self));
        let state = self.states.borrow().clone();
        self.tables.rcu(|tables| {
            let mut tables: BTreeMap<_, _> = (**tables).clone();
            tables.retain(|id, _| state.table(*id).is_some());
            tables.insert(stored.id, routes.clone());
            tables
        });
        let mut leaders = self.leaders.lock();
        if leaders.len() > state.tables().map(|table| table.with_members().count()).sum::<usize>() {
            leaders.clear();
        }
        routes
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Forgets tables that the newest state does not have, and what is kept for them.
    pub fn forget_dropped(&self) {
        let state = self.states.borrow().clone();
        if self.tables.load().keys().all(|id| state.table(*id).is_some()) {
            return;
        }
        self.tables.rcu(|tables| {
            let kept = tables.iter().filter(|(id, _)| state.table(**id).is_some());
            kept.map(|(id, routes)| (*id, routes.clone())).collect::<BTreeMap<_, _>>()
        });
    }

    /// The shards of the table once they are others than `known`, of which one says that it has not all of its keys any more: the
    /// state says soon who has them. Errors: the table is gone, or the time is over.
    pub(crate) async fn newer(self: &Arc<Self>, known: &TableRoutes) -> Result<Arc<TableRoutes>, ReplicaError> {
        let first = known.all().first().ok_or(ReplicaError::NotLeading)?;
        let (began, mut pause) = (self.clock.now(), ROUTE_PAUSE_MIN);
        loop {
            let newest = self.newest(first.table).ok_or(ShardError::Gone)?;
            if !newest.has_same_ranges(known) {
                photondb_storage::probe!("query goes on with the shards that there are now");
                return Ok(newest);
            }
            if self.clock.now().since(began) >= ROUTE_TIME_MAX {
                return Err(ReplicaError::Unavailable { range: first.range.clone() });
            }
            task::sleep(pause).await;
            pause = (pause * 2).min(ROUTE_PAUSE_MAX);
        }
    }

    /// Where a shard is whose changes are wanted. Numbers of shards only grow.
    pub(crate) fn whereabouts(self: &Arc<Self>, table: TableId, shard: ShardId) -> Whereabouts {
        let state = self.states.borrow().clone();
        let Some(stored) = state.table(table) else { return Whereabouts::Gone };
        let mut cuts = stored.shards.iter().flat_map(|shard| &shard.cuts);
        match self.routes(stored).find(shard) {
            Some(route) => Whereabouts::At(route.clone()),
            None if shard.0 >= state.next_shard() || cuts.any(|cut| cut.shard == shard) => Whereabouts::ToCome,
            None => {
                photondb_storage::probe!("feed of a shard that was joined and forgotten");
                Whereabouts::Retired
            }
        }
    }

    /// The same shard as the newest state has it; `of_changes`: also one whose keys others have by now.
    fn newest_route(self: &Arc<Self>, route: &Arc<Route>, of_changes: bool) -> Result<Arc<Route>, Lost> {
        if of_changes {
            return match self.whereabouts(route.table, route.id) {
                Whereabouts::At(newer) => Ok(newer),
                Whereabouts::ToCome => Ok(route.clone()),
                Whereabouts::Retired => Err(Lost::Retired),
                Whereabouts::Gone => Err(Lost::Gone),
            };
        }
        let routes = self.newest(route.table).ok_or(Lost::Gone)?;
        routes.all().iter().find(|newer| newer.id == route.id).cloned().ok_or(Lost::Moved)
    }
}

/// The search for somebody who answers for one shard. It ends when its time is over.
pub(crate) struct Search {
    router: Arc<Router>,
    route: Arc<Route>,
    began: Moment,
    /// Those that were asked in this round.
    tried: SmallVec<[NodeId; 4]>,
    /// Who is said to lead by the one asked last.
    hint: Option<NodeId>,
    pause: Duration,
    repeats: usize,
    /// The table or the shard is not there any more.
    lost: Option<Lost>,
    /// Its changes are wanted, which are kept for a while when others have its keys.
    of_changes: bool,
}

impl Search {
    pub fn new(router: &Arc<Router>, route: &Arc<Route>) -> Search {
        Search {
            began: router.clock.now(),
            router: router.clone(),
            route: route.clone(),
            tried: SmallVec::new(),
            hint: None,
            pause: ROUTE_PAUSE_MIN,
            repeats: 0,
            lost: None,
            of_changes: false,
        }
    }

    /// The same for somebody who goes on with the changes of a shard, and whom it does not concern who has the keys by now.
    pub fn of_changes(router: &Arc<Router>, route: &Arc<Route>) -> Search {
        Search { of_changes: true, ..Search::new(router, route) }
    }

    /// The shard as it is known now.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Who asked last does not lead, but may know who does.
    pub fn redirected(&mut self, hint: Option<NodeId>) {
        photondb_storage::probe!("request redirected to another member", hint.is_some());
        self.hint = hint;
    }

    /// Who was asked last is to be asked once more; a few times at most.
    pub fn again(&mut self) {
        if self.repeats < BOOT_ATTEMPTS_MAX {
            self.repeats += 1;
            self.hint = self.tried.pop();
        }
    }

    /// Who was asked last has answered.
    pub fn found(&mut self) {
        let Some(node) = self.tried.last().filter(|node| **node != self.router.node) else { return };
        self.router.leaders.lock().insert(self.route.id, *node);
    }

    /// Whom to ask next. When all were asked, waits a while and begins again. `None`: the time is over.
    pub async fn next(&mut self) -> Option<Place> {
        loop {
            if self.lost.is_some() || self.time_left().is_zero() {
                return None;
            }
            if let Some(place) = self.candidate() {
                return Some(place);
            }
            task::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(ROUTE_PAUSE_MAX);
            self.tried.clear();
            match self.router.newest_route(&self.route, self.of_changes) {
                Ok(route) => {
                    photondb_storage::probe!("reroute after a stale route", !Arc::ptr_eq(&route, &self.route));
                    // Whoever looks for it has asked for all of these keys: that they are not all the shard's any more it is
                    // told by the shard.
                    self.route = match route.range == self.route.range {
                        true => route,
                        false => {
                            let (range, epoch) = (self.route.range.clone(), self.route.epoch);
                            Arc::new(Route { range, epoch, ..(*route).clone() })
                        }
                    };
                }
                Err(lost) => {
                    photondb_storage::probe!("shard gone while it was looked for");
                    self.lost = Some(lost);
                }
            }
        }
    }

    /// How long it may still take.
    pub fn time_left(&self) -> Duration {
        ROUTE_TIME_MAX.saturating_sub(self.router.clock.now().since(self.began))
    }

    /// Why nobody was found.
    pub fn failure(&self) -> ReplicaError {
        match self.lost {
            Some(Lost::Gone) => ShardError::Gone.into(),
            Some(Lost::Moved) => ShardError::Moved.into(),
            Some(Lost::Retired) => ReplicaError::Retired,
            None => ReplicaError::Unavailable { range: self.route.range.clone() },
        }
    }

    /// Asks for something that changes nothing, so that whoever does not answer matters not.
    pub async fn read(&mut self, ask: &Ask) -> Result<Reached, ReplicaError> {
        loop {
            let node = match self.next().await {
                None => return Err(self.failure()),
                Some(Place::Here(replica)) => return Ok(Reached::Here(replica)),
                Some(Place::Node(node)) => node,
            };
            let time = READ_TIME_MAX.min(self.time_left());
            match self.router.caller.ask(node, &self.route, ask, time).await {
                Ok(Told::Failed(failed)) => match message::failure(failed) {
                    message::Failure::Elsewhere { leader } => self.redirected(leader),
                    message::Failure::Error(error) => return Err(error),
                },
                Ok(told) => {
                    self.found();
                    return Ok(Reached::Told(told));
                }
                Err(error) => {
                    photondb_storage::probe!("read asked of another member, for want of an answer");
                    tracing::debug!(%node, shard = %self.route.id, %error, "no answer; others are asked");
                }
            }
        }
    }

    fn candidate(&mut self) -> Option<Place> {
        let here = self.route.here.as_ref();
        let leading = here.filter(|replica| replica.leads_or_may()).map(|_| self.router.node);
        let own_hint = match buggify!("replica/wrong-leader-named") {
            true => self.route.members.last().map(|member| member.node),
            false => here.and_then(|replica| replica.leader()),
        };
        let remembered = self.router.leaders.lock().get(&self.route.id).copied();
        let remembered = remembered.filter(|_| !buggify!("replica/route-forgotten"));
        let known = [self.hint.take(), leading, own_hint, remembered];
        let members = self.route.members.iter().map(|member| member.node);
        let candidates: SmallVec<[NodeId; 8]> = known.into_iter().flatten().chain(members).collect();
        for node in candidates {
            if self.tried.contains(&node) {
                continue;
            }
            self.tried.push(node);
            match &self.route.here {
                Some(replica) if node == self.router.node => return Some(Place::Here(replica.clone())),
                None if node == self.router.node => {}
                _ => return Some(Place::Node(node)),
            }
        }
        None
    }
}

/// A range as RethinkDB's errors show it; keys as text where they are one.
pub(crate) fn describe(range: &KeyRange) -> String {
    let key = |key: &[u8]| key.escape_ascii().to_string();
    let end = range.end().map_or("+inf".to_owned(), |end| format!("\"{}\"", key(end)));
    format!("[\"{}\", {end})", key(range.start()))
}
