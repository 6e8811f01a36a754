//! The node's place in its cluster: the cluster state, and the replicas that it orders.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use photondb_cluster_state::{ADMIN, Address, ClusterId, ClusterState, Command, META_FOUNDER, Service as NodeService};
use photondb_consensus::ConsensusError;
use photondb_controller::{Begin, Contacts, Controller, ControllerError, Discovery, Options, Parts, Registration};
use photondb_replica::reconcile::Failures;
use photondb_replica::{ReplicaError, Replicas, Router, RouterParts, ServiceParts, ShardService};
use photondb_runtime::peers::Service;
use photondb_runtime::random::Random;
use photondb_runtime::task::{Handle, sleep, timeout};
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::wal::{StreamId, StreamState, Wal};
use tokio::sync::watch;

use super::accounts::{ClusterUsers, store_password};
use super::{Foundation, StartError, random_uuid};
use crate::command::check::cluster_state_name;
use crate::config::{Bind, Config, InitialPassword};
use crate::limits::{
    BIRTH_RETRY_PERIOD, BUGGIFIED_PAUSE, HAND_OVER_TIME_MAX, RECONCILE_RETRY_PERIOD, SERVER_NAME_BYTES_MAX,
};
use crate::rpc::LateControl;

/// The cluster as this node sees it.
pub struct Cluster {
    /// Reads and changes the cluster state.
    pub controller: Controller,
    /// What this node holds of the tables.
    pub replicas: Arc<Replicas>,
    /// The way to all shards, here and elsewhere.
    pub router: Arc<Router>,
    /// The newest state that this node's replicas have been brought to. DDL waits on it: a table can be used once the
    /// state that holds it has come by here.
    pub reconciled: watch::Receiver<Arc<ClusterState>>,
    /// A password that was made up for `admin`, to be shown once.
    pub(super) made_password: Option<String>,
}

impl Cluster {
    /// Joins, or founds a cluster of one; returns when the replicas that the state orders are running.
    /// `discoveries` say who else is there, beside the addresses in `config`; `control` can tell it something meanwhile.
    pub(super) async fn join(
        foundation: &Arc<Foundation>,
        config: &Config,
        discoveries: Vec<Arc<dyn Discovery>>,
        control: LateControl,
    ) -> Result<Arc<Cluster>, StartError> {
        let (founding, made_password) = founding(config.initial_password.clone(), &*foundation.random);
        let registration = registration(foundation, config, founding);
        let begin = match config.joins() {
            false => Begin::Found,
            true => {
                let contacts = Contacts::new(config.join.clone(), discoveries);
                Begin::Join(contacts.with_nodes_at_least(config.join_at_least))
            }
        };
        let parts = parts(foundation, config.node_lost_after);
        let own = foundation.clone();
        let split = config.split;
        let directory = config.directory.clone();
        let joining = foundation.raft.spawn(async move {
            let failed = |error: ControllerError| match error {
                ControllerError::Consensus(ConsensusError::Suspect { lost, .. }) => {
                    let mut losses = vec![(cluster_state_name(), lost)];
                    losses.extend(other_streams(own.engine.wal()));
                    StartError::loss(&directory, losses)
                }
                error => StartError::Cluster(error.to_string()),
            };
            let boots = registration.boots;
            let users = users_of_founder(&registration.founding);
            let controller = Controller::new(parts, registration).map_err(&failed)?;
            control.start(controller.clone(), users);
            // Others may have to be answered before this one can be registered.
            own.services.set(Service::Control, controller.service());
            let founded = controller.start(begin).await.map_err(&failed)?;
            let made_password = made_password.filter(|_| founded);
            for damage in own.engine.wal().damage() {
                tracing::warn!("{damage}");
            }
            let replicas = Replicas::new(own.node_id, own.engine.clone(), own.groups.clone(), own.raft.clone());
            replicas.connect(controller.clone());
            replicas.split_by(split);
            // The replicas hold the controller.
            let bearing = Arc::downgrade(&replicas);
            controller.tell_burden(move || bearing.upgrade().map(|replicas| replicas.burden()));
            let states = controller.watch();
            let router = Router::new(RouterParts {
                node: own.node_id,
                boot: boots,
                replicas: replicas.clone(),
                peers: own.peers.clone(),
                states: states.clone(),
                clock: own.clock.clone(),
            });
            let (announce, reconciled) = watch::channel(Arc::new(ClusterState::at_birth()));
            let first = controller.state();
            let failures = replicas.reconcile(&first).await;
            if let Some(lost) = lost_tables(&failures, &first) {
                return Err(StartError::loss(&directory, lost));
            }
            settle(&failures, &own);
            announce.send_replace(first);
            own.raft.spawn(obey(own.clone(), replicas.clone(), Arc::downgrade(&router), states, announce));
            Ok(Arc::new(Cluster { controller, replicas, router, reconciled, made_password }))
        });
        joining.await.unwrap_or_else(|error| Err(StartError::Cluster(format!("the Raft thread has ended: {error}"))))
    }

    /// Others may ask for what this node holds of the tables; `workers` do what they ask for.
    pub(super) fn answer_for_shards(&self, foundation: &Foundation, workers: Vec<Handle>) -> Arc<ShardService> {
        let boot = foundation.engine.identity().boot;
        let (replicas, clock) = (self.replicas.clone(), foundation.clock.clone());
        let service = Arc::new(ShardService::new(ServiceParts { boot, replicas, workers, clock }));
        foundation.services.set(Service::Shards, service.clone());
        service
    }

    /// Lets other nodes lead what this one leads, as far as they can, so that nobody has to miss a leader first. At once where there are
    /// no others.
    pub(super) async fn hand_over(self: Arc<Self>, foundation: &Foundation) {
        let state = self.controller.state();
        if state.nodes().all(|node| node.id == foundation.node_id || node.is_lost()) {
            return;
        }
        let handing = foundation.raft.spawn(async move {
            let all = async { tokio::join!(self.controller.lead_nothing(), self.replicas.lead_nothing()) };
            timeout(HAND_OVER_TIME_MAX, all).await
        });
        match handing.await {
            Ok(Ok((true, 0))) => tracing::info!("this node leads nothing any more"),
            Ok(Ok((handed, shards))) => {
                let cluster_state = !handed;
                tracing::info!(
                    cluster_state,
                    shards,
                    "nobody else can lead what this node leads; it stops all the same"
                );
            }
            Ok(Err(_)) => {
                tracing::warn!(
                    "not all that this node leads is led by others after {HAND_OVER_TIME_MAX:?}; it stops all the same"
                );
            }
            Err(error) => tracing::warn!(%error, "the Raft thread had ended before others could lead"),
        }
    }

    /// What the cluster calls this node.
    pub(super) fn name_of(&self, foundation: &Foundation) -> String {
        self.controller.state().node(foundation.node_id).map(|node| node.name.clone()).unwrap_or_default()
    }
}

/// Brings the replicas to each new state, one after the other, for as long as the node runs.
async fn obey(
    foundation: Arc<Foundation>,
    replicas: Arc<Replicas>,
    router: Weak<Router>,
    mut states: watch::Receiver<Arc<ClusterState>>,
    announce: watch::Sender<Arc<ClusterState>>,
) {
    let given_up = replicas.given_up();
    loop {
        let state = states.borrow_and_update().clone();
        let ends = |service| match service {
            NodeService::Gone => true,
            NodeService::Leaving => fault_point!("gone-before-empty"),
            NodeService::Full | NodeService::Drained => false,
        };
        if let Some(gone) = state.node(foundation.node_id).filter(|node| ends(node.service)) {
            let name = &gone.name;
            (foundation.left)(format!(
                "server `{name}` was decommissioned and holds nothing any more; its directory can be deleted"
            ));
            return;
        }
        if buggify!("server/obeyed-late") {
            sleep(10 * BUGGIFIED_PAUSE).await;
        }
        if buggify!("server/obeyed-twice") {
            replicas.reconcile(&state).await;
        }
        let failures = replicas.reconcile(&state).await;
        let complete = settle(&failures, &foundation);
        if buggify!("server/state-announced-late") {
            sleep(5 * BUGGIFIED_PAUSE).await;
        }
        announce.send_replace(state);
        if let Some(router) = router.upgrade() {
            router.forget_dropped();
        }
        if complete {
            tokio::select! {
                biased;
                () = given_up.notified() => {}
                changed = states.changed() => if changed.is_err() {
                    return;
                },
            }
        } else {
            let is_soon = failures.0.iter().all(|(_, error)| is_unborn(error));
            sleep(if is_soon { BIRTH_RETRY_PERIOD } else { RECONCILE_RETRY_PERIOD }).await;
        }
    }
}

/// Whether it is only a matter of a moment, until a member here has applied what its leader has.
fn is_unborn(error: &ReplicaError) -> bool {
    matches!(error, ReplicaError::Unborn { .. })
}

/// Whether all was done.
fn settle(failures: &Failures, foundation: &Foundation) -> bool {
    for (table, error) in failures.0.iter().filter(|(_, error)| !is_unborn(error)) {
        tracing::error!(%table, %error, "a table is not as the cluster state wants it; trying again");
    }
    let complete = failures.0.is_empty();
    if complete {
        // Every member that should be here has its log: damage has taken none of them altogether.
        foundation.engine.wal().accept_lacking_streams(None);
    }
    complete
}

/// The suspect streams of which nobody knows whose they are while the cluster state is not there.
fn other_streams(wal: &Wal) -> Option<(String, String)> {
    let suspect = |(stream, state): (StreamId, StreamState)| {
        (state.suspect && stream != StreamId(META_FOUNDER.0)).then(|| stream.to_string())
    };
    let streams: Vec<_> = wal.states().into_iter().filter_map(suspect).collect();
    let lost = format!("{} may have lost records too", streams.join(", "));
    (!streams.is_empty()).then(|| ("other streams of the log".to_owned(), lost))
}

/// Tables whose only replica may have lost acknowledged writes, and what of.
fn lost_tables(failures: &Failures, state: &ClusterState) -> Option<Vec<(String, String)>> {
    let lost = failures.0.iter().filter_map(|(id, error)| {
        let ReplicaError::Consensus(ConsensusError::Suspect { group, lost, .. }) = error else { return None };
        let table = state.table(*id)?;
        let alone = table.shards.iter().all(|shard| shard.members.len() == 1);
        let database = state.database(table.database).map_or("?", |database| &database.name);
        alone.then(|| (format!("table {database}.{} (group {group})", table.name), lost.clone()))
    });
    let lost = lost.collect::<Vec<_>>();
    (!lost.is_empty()).then_some(lost)
}

fn parts(foundation: &Foundation, lost_after: Option<Duration>) -> Parts {
    let identity = foundation.identity.clone();
    Parts {
        groups: foundation.groups.clone(),
        engine: foundation.engine.clone(),
        executor: foundation.raft.clone(),
        peers: foundation.peers.clone(),
        clock: foundation.clock.clone(),
        random: foundation.random.clone(),
        options: Options { lost_after },
        entered: Arc::new(move |cluster| {
            if let Some(identity) = &identity {
                identity.enter(cluster.0);
            }
        }),
    }
}

fn registration(foundation: &Foundation, config: &Config, founding: Vec<Command>) -> Registration {
    let identity = foundation.engine.identity();
    let hosts = match (config.canonical_addresses.as_slice(), &config.cluster.bind) {
        ([], Bind::Loopback) => vec!["127.0.0.1".to_owned()],
        // The machine's own addresses mean something else to others, if they listen there.
        ([], Bind::Addresses(bound)) => {
            bound.iter().filter(|address| !address.is_loopback()).map(IpAddr::to_string).collect()
        }
        ([], Bind::All) => vec![rustix::system::uname().nodename().to_string_lossy().into_owned()],
        (given, _) => given.to_vec(),
    };
    let address = |host: String| match host.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((name, Ok(port))) if !name.contains(':') || name.ends_with(']') => Address { host: name.to_owned(), port },
        _ => Address { host, port: config.cluster.port },
    };
    Registration {
        cluster: ClusterId(identity.cluster.unwrap_or_default()),
        node: foundation.node_id,
        boots: identity.boot,
        name: config.server_name.clone().unwrap_or_else(|| made_up_name(&*foundation.random)),
        tags: config.server_tags.iter().cloned().collect(),
        addresses: hosts.into_iter().map(address).collect(),
        founding,
    }
}

/// The host's name and three random characters, as RethinkDB makes it.
fn made_up_name(random: &dyn Random) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    let host: String = host.chars().map(plain).take(SERVER_NAME_BYTES_MAX - 4).collect();
    format!("{host}_{}", suffix(random, 3))
}

fn suffix(random: &dyn Random, length: usize) -> String {
    const CHARACTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(CHARACTERS[(random.next_u64() % CHARACTERS.len() as u64) as usize])).collect()
}

/// What gives `admin` the password that was asked for in a cluster that is founded, and one that was made up for it.
fn founding(initial: InitialPassword, random: &dyn Random) -> (Vec<Command>, Option<String>) {
    let (password, made) = match initial {
        InitialPassword::None => return (Vec::new(), None),
        InitialPassword::Given(password) => (password, None),
        InitialPassword::Auto => {
            let made = uuid::Uuid::from_u128(random_uuid(random)).to_string();
            (made.clone(), Some(made))
        }
    };
    let credentials = Some(store_password(&password, random));
    (vec![Command::SetUser { name: ADMIN.to_owned(), credentials }], made)
}

/// Who may tell a node something that is in no cluster yet: who could log in if it founded one.
fn users_of_founder(founding: &[Command]) -> Arc<ClusterUsers> {
    let begun = ClusterState::at_birth();
    let state = founding.iter().fold(Arc::new(begun), |state, command| match state.applied(command) {
        Ok((state, _)) => state,
        Err(_) => state,
    });
    Arc::new(ClusterUsers::new(Arc::new(move || state.clone())))
}
