//! How the members of shards are, here and on other nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use photondb_cluster_state::{ClusterState, Shard, Table};
use photondb_consensus::{LogPosition, Term};
use photondb_proto::{IndexId, MemberId, NodeId, SchemaVersion, ShardId, v1};
use photondb_runtime::peers::{Exchange, Peer, PeerError, SendFuture, Serve};
use prost::Message;

use crate::limits::STATUS_TIME_MAX;
use crate::reconcile::Replicas;
use crate::replica::Replica;

/// How one member is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberStatus {
    /// Of which shard.
    pub shard: ShardId,
    /// Which.
    pub member: MemberId,
    /// Whether it leads its group.
    pub leads: bool,
    /// Whether it knows a leader, and belongs to the group.
    pub ready: bool,
    /// Up to where it has applied the shard's log.
    pub applied: u64,
    /// The version of the table's schema that it has brought the shard to, when it led.
    pub schema: SchemaVersion,
    /// The indexes that are built to their end there.
    pub built: BTreeSet<IndexId>,
    /// The shard that is to be cut off next, when everything is ready for it there.
    pub prepared: Option<ShardId>,
    /// The disk of its node is full, or was until a moment ago: it should not lead where another can.
    pub full: bool,
    /// Its node is about to stop: it should not lead where another can.
    pub stopping: bool,
    /// The last entry of its log; `None`: it has never held anything.
    pub last: Option<LogPosition>,
    /// Who votes by the membership in its log: one set, in the middle of a change two.
    pub voters: Vec<BTreeSet<MemberId>>,
    /// Whether it leads with the consent of a majority.
    pub answers: bool,
    /// Whether it keeps nothing beside what is its own: no index has a rest, and nothing waits to be borne or joined.
    pub settled: bool,
    /// The shards of which it has adopted what their members on its node had, so that no crash gives it back.
    pub adopted: BTreeSet<ShardId>,
}

impl Replica {
    /// How this member is.
    pub fn status(&self) -> MemberStatus {
        let view = self.shard.view();
        let seen = self.group.observe();
        let whole = |index: &IndexId| view.schema.indexes[index].built == photondb_shard::schema::Built::Whole;
        MemberStatus {
            shard: self.id,
            member: self.member,
            leads: self.group.led().is_some(),
            ready: self.group.leader().is_some() && seen.members.nodes.contains_key(&self.member),
            applied: self.shard.position().0,
            schema: SchemaVersion(self.duty.schema.load(Ordering::Acquire)),
            built: view.schema.indexes.keys().copied().filter(whole).collect(),
            prepared: None,
            full: !self.duty.space.lasts(),
            stopping: false,
            last: seen.last,
            voters: seen.members.voters,
            answers: self.group.leading().is_some(),
            settled: self.is_settled(),
            adopted: self.shard.wards().into_iter().map(|ward| ward.shard).collect(),
        }
    }
}

impl Replicas {
    /// How a member of this node is, with what it is to be ready for.
    pub(crate) fn status_of(&self, replica: &Replica) -> MemberStatus {
        let state = self.state();
        let cut = state.shard(replica.id).and_then(|(_, shard)| shard.next_cut());
        let prepared = cut.filter(|cut| replica.is_prepared(&cut.at)).map(|cut| cut.shard);
        let full = !self.engine.has_space() || !replica.duty.space.lasts();
        MemberStatus { prepared, full, stopping: self.is_stopping(), ..replica.status() }
    }

    /// How the members of a table are, on every node that can be asked. A member that is missing was not heard of.
    pub async fn statuses(&self, state: &ClusterState, table: &Table) -> BTreeMap<MemberId, MemberStatus> {
        let told = self.told(state, table.shards.iter()).await;
        told.into_values().flatten().map(|status| (status.member, status)).collect()
    }

    /// How the members of all tables are, by the node that holds them. A node that is missing did not answer, or holds none.
    pub async fn statuses_by_node(&self, state: &ClusterState) -> BTreeMap<NodeId, Vec<MemberStatus>> {
        self.told(state, state.tables().flat_map(|table| &table.shards)).await
    }

    /// How the members of one table are, by the node that holds them. A node that is missing did not answer, or is not there.
    pub async fn statuses_of(&self, state: &ClusterState, table: &Table) -> BTreeMap<NodeId, Vec<MemberStatus>> {
        self.told(state, table.shards.iter()).await
    }

    /// What each node says of its members of these shards.
    pub(crate) async fn told(
        &self,
        state: &ClusterState,
        shards: impl Iterator<Item = &Shard>,
    ) -> BTreeMap<NodeId, Vec<MemberStatus>> {
        let mut wanted: BTreeMap<NodeId, Vec<ShardId>> = BTreeMap::new();
        for (shard, member) in shards.flat_map(|shard| shard.members.iter().map(move |member| (shard, member))) {
            wanted.entry(member.node).or_default().push(shard.id);
        }
        let mut found = BTreeMap::new();
        let mut asking = Vec::new();
        for (node, shards) in wanted {
            if node == self.node {
                let running = shards.iter().filter_map(|shard| self.shard(*shard));
                found.insert(node, running.map(|replica| replica.status()).collect());
            } else if state.node(node).is_some_and(|node| node.is_up())
                && let Some(controller) = self.controller().cloned()
            {
                let asked = self.executor().spawn(async move { ask(&controller, node, shards).await });
                asking.push((node, asked));
            }
        }
        for (node, asked) in asking {
            if let Ok(Ok(told)) = asked.await {
                found.insert(node, told);
            }
        }
        found
    }

    /// Whether each shard of the table has a leader that has brought it to the table's schema.
    pub async fn is_served(&self, state: &ClusterState, table: &Table) -> bool {
        let running = self.table(table.id);
        let serves_here = |shard: &photondb_cluster_state::Shard| {
            let replica = running.iter().flat_map(|replicas| replicas.shards()).find(|replica| replica.id == shard.id);
            replica.is_some_and(|replica| serves(&replica.status(), table))
        };
        if table.shards.iter().all(serves_here) {
            return true;
        }
        let statuses = self.statuses(state, table).await;
        table
            .shards
            .iter()
            .all(|shard| statuses.values().any(|status| status.shard == shard.id && serves(status, table)))
    }

    /// How the members of some shards are that another node holds.
    async fn ask(&self, node: NodeId, shards: Vec<ShardId>) -> Result<Vec<MemberStatus>, PeerError> {
        match self.controller() {
            Some(controller) => ask(controller, node, shards).await,
            None => Err(PeerError::NotSent("this node speaks to no other".to_owned())),
        }
    }

    /// What the node of another member says of it; `None`: it does not.
    pub(crate) async fn status_at(&self, node: NodeId, replica: &Replica, member: MemberId) -> Option<MemberStatus> {
        let told = self.ask(node, vec![replica.id]).await.unwrap_or_default();
        told.into_iter().find(|told| told.member == member)
    }
}

fn serves(status: &MemberStatus, table: &Table) -> bool {
    status.leads && status.schema >= table.schema
}

async fn ask(
    controller: &photondb_controller::Controller,
    node: NodeId,
    shards: Vec<ShardId>,
) -> Result<Vec<MemberStatus>, PeerError> {
    let call = v1::ReplicasCall { shards: shards.into_iter().map(|shard| shard.0).collect() };
    let answer = controller.ask(node, call.encode_to_vec().into(), STATUS_TIME_MAX).await?;
    let answer = v1::ReplicasAnswer::decode(answer).map_err(|error| PeerError::Lost(error.to_string()))?;
    Ok(answer.replicas.into_iter().map(status_of).collect())
}

fn status_of(message: v1::ReplicaState) -> MemberStatus {
    MemberStatus {
        shard: ShardId(message.shard),
        member: MemberId(message.member),
        leads: message.leads,
        ready: message.ready,
        applied: message.applied,
        schema: SchemaVersion(message.schema),
        built: message.built.into_iter().map(IndexId).collect(),
        prepared: (message.prepared != 0).then_some(ShardId(message.prepared)),
        full: message.full,
        stopping: message.stopping,
        last: message.last.map(|at| LogPosition { term: Term(at.term), index: at.index }),
        voters: message.voters.into_iter().map(|set| set.members.into_iter().map(MemberId).collect()).collect(),
        answers: message.answers,
        settled: message.settled,
        adopted: message.adopted.into_iter().map(ShardId).collect(),
    }
}

fn voters(set: BTreeSet<MemberId>) -> v1::Voters {
    v1::Voters { members: set.into_iter().map(|member| member.0).collect() }
}

/// Answers other nodes for the replicas of this one.
pub(crate) struct ReplicaAnswers {
    replicas: Weak<Replicas>,
}

impl ReplicaAnswers {
    pub fn of(replicas: &Arc<Replicas>) -> ReplicaAnswers {
        ReplicaAnswers { replicas: Arc::downgrade(replicas) }
    }

    fn answer(&self, body: Bytes) -> Result<Bytes, String> {
        let call = v1::ReplicasCall::decode(body).map_err(|error| format!("a call that cannot be read: {error}"))?;
        let replicas = self.replicas.upgrade().ok_or("the node is stopping")?;
        let found = call.shards.into_iter().filter_map(|id| replicas.shard(ShardId(id)));
        let states = found.map(|replica| {
            let status = replicas.status_of(&replica);
            v1::ReplicaState {
                shard: status.shard.0,
                member: status.member.0,
                leads: status.leads,
                ready: status.ready,
                applied: status.applied,
                schema: status.schema.0,
                built: status.built.into_iter().map(|index| index.0).collect(),
                prepared: status.prepared.map_or(0, |shard| shard.0),
                full: status.full,
                stopping: status.stopping,
                last: status.last.map(|at| v1::Position { term: at.term.0, index: at.index }),
                voters: status.voters.into_iter().map(voters).collect(),
                answers: status.answers,
                settled: status.settled,
                adopted: status.adopted.into_iter().map(|shard| shard.0).collect(),
            }
        });
        Ok(v1::ReplicasAnswer { replicas: states.collect() }.encode_to_vec().into())
    }
}

impl Serve for ReplicaAnswers {
    fn request(&self, _from: Peer, body: Bytes) -> SendFuture<'static, Result<Bytes, String>> {
        let answer = self.answer(body);
        Box::pin(async move { answer })
    }

    fn exchange(&self, _from: Peer, _first: Bytes, exchange: Exchange) -> SendFuture<'static, ()> {
        drop(exchange);
        Box::pin(async {})
    }
}
