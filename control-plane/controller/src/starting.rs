//! How a node's part of the cluster state begins: it founds a cluster, is taken in by one, or goes on where it was.
//!
//! Everything here may be interrupted and repeated. A directory belongs to a cluster from the moment that its identity says
//! so; a member is this node's from the moment that its number is stored, which is before it has ever answered anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use photondb_cluster_state::plan::meta_voters;
use photondb_cluster_state::{Address, ClusterId, ClusterState, Command, META_FOUNDER, Response, StateError};
use photondb_consensus::{ConsensusError, Group, Replicated, members_on_disk};
use photondb_proto::{GroupId, MemberId, NodeId, v1};
use photondb_runtime::peers::Peer;
use photondb_runtime::task;
use photondb_storage::Opening;
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::wal::StreamId;

use crate::beating;
use crate::contacts::{Contacts, Seen};
use crate::controller::{Attempt, Controller, Inner};
use crate::error::ControllerError;
use crate::leading;
use crate::limits::{BOOTSTRAP_WAIT, JOIN_RETRY_PERIOD, REGISTERED_WAIT, START_CALL_MAX, VOUCH_PATIENCE};
use crate::messages::Answer;
use crate::offline::state_on_disk;
use crate::parts::Begin;
use crate::service::others;
use crate::vouching::Vouching;

impl Controller {
    /// Starts this node's member of the cluster state's group and registers the node. When this returns the state has
    /// everything that was acknowledged before the registration. Waits for as long as nobody can register it: until then
    /// a node must show its data to nobody, for its directory may be a copy (DESIGN section 4, "Identity"). Gives whether this
    /// start founded the cluster.
    ///
    /// Errors: [`StateError::OtherCluster`] when the state is another cluster's, [`StateError::StaleBoot`] when the
    /// directory is a copy or was set back; of a node that is alone, that its log is damaged.
    pub async fn start(&self, begin: Begin) -> Result<bool, ControllerError> {
        let inner = &self.inner;
        let contacts = &begin.contacts();
        inner.place_peers(&inner.known_state());
        let group = match (inner.member_here(), &begin) {
            // A founder that lost power before it belonged to a cluster waits again.
            (Some(META_FOUNDER), Begin::Join(_)) if inner.parts.engine.identity().cluster.is_none() => {
                inner.be_taken_in(contacts).await?
            }
            (Some(member), _) => inner.go_on(member, contacts).await?,
            (None, Begin::Found) => inner.go_on(META_FOUNDER, contacts).await?,
            (None, Begin::Join(_)) => inner.be_taken_in(contacts).await?,
        };
        let alone = group.membership().is_alone(group.member());
        let is_new = inner.group.set(group.clone()).is_ok();
        assert!(is_new, "a controller is started once");
        inner.parts.executor.spawn(leading::lead(Arc::downgrade(inner)));
        inner.parts.executor.spawn(beating::beat(Arc::downgrade(inner)));
        inner.parts.executor.spawn(place_peers(self.clone()));
        let mut founded = false;
        if alone {
            group.wait_leading(BOOTSTRAP_WAIT).await?;
            let cluster = ClusterId(inner.parts.engine.identity().cluster.unwrap_or(inner.me.cluster.0));
            let is = self.state().cluster();
            founded = is.is_none() && group.member() == META_FOUNDER;
            if founded {
                // All of it again if the power is lost between: nobody belongs to a cluster that is not founded.
                for command in inner.me.founding.clone() {
                    self.propose(command).await?;
                }
            }
            // Found answers both questions: a new cluster gets this id, an old one is compared with it.
            if founded || matches!(begin, Begin::Found) && is != Some(cluster) {
                self.propose(Command::Found { cluster }).await?;
            }
        }
        inner.register(contacts).await?;
        inner.waiting.end();
        inner.keep_ids_apart().await?;
        Ok(founded)
    }

    /// Tells a node that waits to be taken in to found the cluster of this id instead, unless one of those it asks belongs to a
    /// cluster already; returns when the node belongs to one. Told again it succeeds again, whatever happened between.
    ///
    /// Errors: [`StateError::OtherCluster`] when it belongs, or was told to belong, to another one.
    pub async fn initialize(&self, cluster: ClusterId) -> Result<(), ControllerError> {
        let inner = &self.inner;
        let other = |is: ClusterId| ControllerError::from(StateError::OtherCluster { is, asked: cluster });
        if let Some(is) = inner.parts.engine.identity().cluster.map(ClusterId).filter(|is| *is != cluster) {
            return Err(other(is));
        }
        let wished = *inner.wish.lock().get_or_insert(cluster);
        if wished != cluster {
            return Err(other(wished));
        }
        let mut states = inner.replicated.watch();
        let founded =
            states.wait_for(|state| state.cluster().is_some()).await.map_err(|_| ControllerError::NotStarted)?;
        match founded.cluster() {
            Some(is) if is != cluster => Err(other(is)),
            _ => Ok(()),
        }
    }
}

impl Inner {
    /// The member of the state's group that this directory has.
    fn member_here(&self) -> Option<MemberId> {
        let founder = || self.parts.engine.wal().state(StreamId(META_FOUNDER.0)).map(|_| META_FOUNDER);
        self.replicated.member().or_else(founder)
    }

    /// Starts the member that is here. One whose log is lost or in doubt is no member any more when others have what it had:
    /// then the node gets another.
    async fn go_on(self: &Arc<Self>, member: MemberId, contacts: &Contacts) -> Result<Group, ControllerError> {
        (self.parts.entered)(ClusterId(self.parts.engine.identity().cluster.unwrap_or(self.me.cluster.0)));
        let machine: Arc<dyn Replicated> = self.replicated.clone();
        let others = self.known_nodes().into_iter().any(|node| node != self.me.node);
        self.be_vouched_for(member, contacts).await?;
        let started = match member {
            // Founding is repeated until it is done.
            META_FOUNDER => self.parts.groups.initialize(GroupId::META, member, self.me.node, machine).await,
            _ => self.parts.groups.join(GroupId::META, member, machine).await,
        };
        match started {
            Ok(group) => Ok(group),
            Err(
                error @ (ConsensusError::Suspect { .. }
                | ConsensusError::Erased { .. }
                | ConsensusError::LogMissing { .. }
                | ConsensusError::StateMissing { .. }),
            ) if others || !contacts.is_empty() => {
                tracing::warn!(%error, "this node's member of the cluster state cannot go on; the others give it another");
                self.be_renewed(member, contacts).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A directory that was copied or set back must not take part even in the state's own group: its log lacks what it has
    /// acknowledged. So others are asked which opening of it they know, before anything runs ([`Vouching`]). They answer from
    /// what they have, running or not; after a loss of power on all nodes they ask each other.
    async fn be_vouched_for(self: &Arc<Self>, member: MemberId, contacts: &Contacts) -> Result<(), ControllerError> {
        let members = members_on_disk(self.parts.engine.wal(), member, &self.replicated.applied());
        let mut voter_of = BTreeMap::new();
        let voters: Vec<BTreeSet<NodeId>> = match members {
            Ok(members) => {
                let node = |member: &MemberId| members.nodes.get(member).copied();
                voter_of.extend(members.all_voters().into_iter().filter_map(|voter| Some((node(&voter)?, voter))));
                members.voters.iter().map(|set| set.iter().filter_map(node).collect()).collect()
            }
            // Its start will say what is wrong with its log.
            Err(error) => {
                tracing::warn!(%error, "this node's log does not say who votes on the cluster state");
                let state = self.replicated.state();
                let voters = meta_voters(&state, &BTreeSet::new());
                vec![state.nodes().filter(|node| voters.contains(&node.meta)).map(|node| node.id).collect()]
            }
        };
        let mut vouching = Vouching::new(self.me.node, voters);
        let began = self.parts.clock.now();
        loop {
            let ask = async |node| (node, self.call_vouch(node, voter_of.get(&node).copied()).await);
            let asked = self.reachable(contacts).await.into_iter().map(ask);
            for (node, answer) in join_all(asked).await {
                match answer {
                    Ok(known) if self.is_another_s(&known) => {
                        let (id, registered, asked) = (self.me.node, known.boots, self.me.boots);
                        return Err(StateError::StaleBoot { id, registered, asked }.into());
                    }
                    Ok(known) => vouching.hear(node, known.confirmed),
                    Err(error) => self.waiting.note(format_args!("node {node}"), error),
                }
            }
            let impatient = self.parts.clock.now().since(began) >= VOUCH_PATIENCE;
            if vouching.suffices(impatient) && !buggify!("controller/vouched-for-twice") {
                return Ok(());
            }
            self.wait_until("a majority of the nodes vouches for this directory").await;
        }
    }

    /// Whether an opening of this node that others know is none that this directory has seen: then another directory is the
    /// newest one. Counters alone do not tell: an older directory that is opened often enough has counted as far.
    fn is_another_s(&self, known: &v1::OtherOpening) -> bool {
        if fault_point!("older-directory-taken") {
            return false;
        }
        let openings = self.parts.engine.openings();
        let is_ours = |opening: &Opening| (opening.boot, opening.number) == (known.boots, known.incarnation);
        // Who lags behind may name an opening that is forgotten here.
        let remembers = openings.first().is_some_and(|first| first.boot <= known.boots) && known.incarnation != 0;
        known.boots >= self.me.boots || remembers && !openings.iter().any(is_ours)
    }

    /// Asks, for ever, until some node of a cluster takes this one in. Who it is must be stored before it is registered: a
    /// loss of power would else leave a node in the state that is nobody, and perhaps the only replica of a table there.
    async fn be_taken_in(self: &Arc<Self>, contacts: &Contacts) -> Result<Group, ControllerError> {
        let cluster = match self.parts.engine.identity().cluster {
            Some(cluster) => cluster,
            None => match self.find_cluster(contacts).await {
                Some(cluster) => cluster,
                None => return self.found_as_wished(contacts).await,
            },
        };
        self.parts.engine.set_identity(cluster, self.me.node.0)?;
        (self.parts.entered)(ClusterId(cluster));
        let member = loop {
            if let Some(member) = self.ask_everybody(contacts, cluster).await? {
                break member;
            }
            self.wait_until("it is taken in").await;
        };
        self.watch_as(member).await
    }

    /// The cluster of the first node that belongs to one; `None`: this node shall found one, and more than half of the nodes that it
    /// was told of answer, itself among them, and belong to none. A cluster that has a majority of these nodes is seen that way by
    /// one that lost its disk: founding what it had founded before, under the same id, it would take the others' nodes from them.
    async fn find_cluster(self: &Arc<Self>, contacts: &Contacts) -> Option<u128> {
        loop {
            // Whoever wishes it after that has to wait for another round.
            let wished = self.wish.lock().is_some();
            let (at_contacts, nobody_at) = self.look_at(contacts).await;
            let named = at_contacts.iter().chain([&self.me.node]).collect::<BTreeSet<_>>().len() + nobody_at;
            let told_of = named.max(contacts.nodes_min());
            let mut free = 1;
            for node in self.others_of(at_contacts.clone()) {
                match self.call_for_cluster(node).await {
                    Ok(Some(cluster)) => return Some(cluster),
                    Ok(None) => {
                        free += usize::from(at_contacts.contains(&node));
                        self.waiting.note(format_args!("node {node}"), "it is in no cluster yet");
                    }
                    Err(error) => self.waiting.note(format_args!("node {node}"), error),
                }
            }
            if wished && 2 * free > told_of {
                return None;
            }
            if wished && named < told_of {
                self.waiting.note("the cluster", format_args!("{named} of {told_of} nodes are named (join-at-least)"));
            }
            let until = match wished {
                true => "more than half of the nodes that it was told of answer, so that it can found a cluster",
                false => "it finds a node of a cluster",
            };
            self.wait_until(until).await;
        }
    }

    /// Becomes the founder of the cluster that was wished. The member's number is stored before the directory belongs to the
    /// cluster: a start that finds the second goes on as the first.
    async fn found_as_wished(self: &Arc<Self>, contacts: &Contacts) -> Result<Group, ControllerError> {
        let cluster = self.wish.lock().expect("a wish is never taken back");
        self.replicated.set_member(META_FOUNDER)?;
        self.parts.engine.set_identity(cluster.0, self.me.node.0)?;
        self.go_on(META_FOUNDER, contacts).await
    }

    async fn be_renewed(self: &Arc<Self>, failed: MemberId, contacts: &Contacts) -> Result<Group, ControllerError> {
        let member = 'asking: loop {
            for node in self.reachable(contacts).await {
                match self.call_renew(node, failed).await {
                    Ok(Answer::Joined(joined)) => break 'asking MemberId(joined.member),
                    Ok(_) => {}
                    Err(error) => self.waiting.note(format_args!("node {node}"), error),
                }
            }
            self.wait_until("it is given another member of the cluster state").await;
        };
        self.parts.groups.erase(failed).await?;
        self.replicated.forget()?;
        self.replicated.set_member(member)?;
        // The number is new, whatever the log has lost.
        self.parts.groups.begin(member).await?;
        self.watch_as(member).await
    }

    /// Starts a member that waits to be filled by the leader.
    async fn watch_as(self: &Arc<Self>, member: MemberId) -> Result<Group, ControllerError> {
        if self.parts.engine.wal().state(StreamId(member.0)).is_none() {
            // What is stored is an earlier member's, whose log is given up already.
            self.replicated.forget()?;
        }
        self.replicated.set_member(member)?;
        let machine: Arc<dyn Replicated> = self.replicated.clone();
        Ok(self.parts.groups.join(GroupId::META, member, machine).await?)
    }

    /// Tells the cluster of this process, however long it takes until somebody can.
    async fn ask_to_be_registered(self: &Arc<Self>, contacts: &Contacts, cluster: u128) -> Result<(), ControllerError> {
        let register = self.me.command(self.incarnation).encode().into();
        loop {
            match self.try_propose(&register).await {
                Attempt::Done(Response::Member(_)) if buggify!("controller/registered-twice") => {}
                Attempt::Done(Response::Member(_)) => break,
                Attempt::Failed(error @ ControllerError::Refused(_)) => return Err(error),
                Attempt::Done(_) | Attempt::Nothing(_) | Attempt::Failed(_) => {}
            }
            // Nobody is known to lead, or not to this node: it is asked for everywhere, under its newest address.
            if self.ask_everybody(contacts, cluster).await?.is_some() && !buggify!("controller/taken-in-twice") {
                break;
            }
            self.wait_until("it is registered").await;
        }
        Ok(())
    }

    /// Registers the node, and waits until that is here.
    async fn register(self: &Arc<Self>, contacts: &Contacts) -> Result<(), ControllerError> {
        let cluster = self.parts.engine.identity().cluster.unwrap_or(self.me.cluster.0);
        // The registration may have been made elsewhere; what it followed is here when it is.
        let mut states = self.replicated.watch();
        let (node, boots) = (self.me.node, self.me.boots);
        let is_here = |state: &Arc<ClusterState>| state.node(node).is_some_and(|known| known.boots == boots);
        loop {
            self.ask_to_be_registered(contacts, cluster).await?;
            // A node that is given up before the state has come to it gets no more of it until it is heard of again.
            let comes = async { states.wait_for(is_here).await.map(drop) };
            match task::timeout(REGISTERED_WAIT, comes).await {
                Ok(Ok(())) => break,
                Ok(Err(_)) => return Err(ControllerError::NotStarted),
                Err(_) => {}
            }
        }
        self.parts.engine.settle_opening();
        match self.replicated.state().cluster() {
            Some(is) if is.0 != cluster => Err(StateError::OtherCluster { is, asked: ClusterId(cluster) }.into()),
            _ => Ok(()),
        }
    }

    /// One round through everybody that this node can find, for the number of its member. `None`: nobody could take it in now.
    async fn ask_everybody(
        self: &Arc<Self>,
        contacts: &Contacts,
        cluster: u128,
    ) -> Result<Option<MemberId>, ControllerError> {
        for node in self.reachable(contacts).await {
            match self.call_join(node, cluster).await {
                Ok(Answer::Joined(joined)) => return Ok(Some(MemberId(joined.member))),
                Ok(Answer::Outcome(outcome)) => match Response::decode_outcome(&outcome.outcome)? {
                    Ok(_) => {}
                    // Perhaps this node's own former self, with another disk: it gives way once it is known to be down, and one that
                    // was elsewhere once it is lost.
                    Err(taken @ (StateError::NodeNameTaken { .. } | StateError::NodeNameHeld { .. })) => {
                        self.waiting.note(format_args!("node {node}"), taken);
                    }
                    Err(refused) => return Err(refused.into()),
                },
                Ok(_) => {}
                Err(error) => self.waiting.note(format_args!("node {node}"), error),
            }
        }
        Ok(None)
    }

    /// Nodes that may know the way: those of the state that is here, and those that listen where one was told to look.
    async fn reachable(self: &Arc<Self>, contacts: &Contacts) -> Vec<NodeId> {
        let (at_contacts, _) = self.look_at(contacts).await;
        self.others_of(at_contacts)
    }

    /// These and the nodes of the state that is here, without this one.
    fn others_of(&self, found: BTreeSet<NodeId>) -> Vec<NodeId> {
        let mut known = self.known_nodes();
        known.extend(found);
        others(known, self.me.node, self.parts.random.next_u64())
    }

    /// Who answers at the contacts, perhaps this node too, and at how many of them nobody does.
    async fn look_at(&self, contacts: &Contacts) -> (BTreeSet<NodeId>, usize) {
        let Seen { addresses, nowhere } = contacts.look_up().await;
        let (mut found, mut nobody_at) = (BTreeSet::new(), nowhere.len());
        for (name, reason) in nowhere {
            self.waiting.note(name, reason);
        }
        let looked_for =
            addresses.iter().map(async |contact| (contact, self.parts.peers.find(contact, START_CALL_MAX).await));
        for (contact, answer) in join_all(looked_for).await {
            match answer {
                Ok(Peer(node)) => {
                    found.insert(NodeId(node));
                }
                Err(error) => {
                    nobody_at += 1;
                    self.waiting.note(contact, error);
                }
            }
        }
        (found, nobody_at)
    }

    /// Waits before the next attempt, and says now and then that the node waits, until what.
    async fn wait_until(&self, what: &'static str) -> Duration {
        if let Some(reasons) = self.waiting.due(self.parts.clock.now()) {
            tracing::info!("this node waits until {what} ({reasons})");
        }
        self.pause(JOIN_RETRY_PERIOD).await
    }

    fn place_peers(&self, state: &ClusterState) {
        for node in state.nodes().filter(|node| node.id != self.me.node) {
            let addresses = node.addresses.iter().map(|Address { host, port }| match host.contains(':') {
                true if !host.starts_with('[') => format!("[{host}]:{port}"),
                _ => format!("{host}:{port}"),
            });
            self.parts.peers.place(Peer(node.id.0), addresses.collect());
        }
    }

    fn known_nodes(&self) -> BTreeSet<NodeId> {
        self.known_state().nodes().map(|node| node.id).collect()
    }

    /// What is here, committed or not: until somebody leads, the way to others may stand in the log alone.
    pub(crate) fn known_state(&self) -> Arc<ClusterState> {
        state_on_disk(&self.parts.engine).unwrap_or_else(|error| {
            tracing::warn!(%error, "what the log adds to the cluster state cannot be read");
            self.replicated.state()
        })
    }

    /// What is in this directory has numbers that the state has given. It no longer knows all of them when a loss of its log
    /// was accepted; given again, they would meet tombstones (C7) and other tables' trees.
    async fn keep_ids_apart(&self) -> Result<(), ControllerError> {
        let (engine, state) = (&self.parts.engine, self.replicated.state());
        let members = engine.wal().states().into_keys().map(|stream| stream.0);
        let shards = engine.tree_sets().into_iter().map(|set| set.0);
        let next_member = members.max().map_or(0, |last| last + 1).max(state.next_member());
        let next_shard = shards.max().map_or(0, |last| last + 1).max(state.next_shard());
        if (next_member, next_shard) != (state.next_member(), state.next_shard()) {
            self.propose(&Command::SkipIds { next_shard, next_member }).await?;
        }
        Ok(())
    }
}

/// Tells the way to other nodes where each of them listens, as the state has it.
async fn place_peers(controller: Controller) {
    let inner = Arc::downgrade(&controller.inner);
    let mut states = controller.watch();
    drop(controller);
    loop {
        {
            let Some(inner) = inner.upgrade() else { return };
            states.mark_unchanged();
            inner.place_peers(&inner.replicated.state());
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}
