//! How shards do, where their replicas are to be, and who is to lead them.

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_cluster_state::limits::SHARDS_PER_TABLE_MAX;
use photondb_cluster_state::{
    ClusterState, Command, Member, NewCut, Node, Placement, Role, Shard, Stage, StateError, Table,
};
use photondb_proto::convert::CONTROL_VERSION;
use photondb_proto::{MemberId, NodeId, ShardId, v1};
use photondb_replica::status::MemberStatus;
use photondb_reql::key::PrimaryKey;
use photondb_runtime::task;
use tonic::{Response, Status};

use super::nodes::{named, refused};
use super::{ControlService, check, position_and_documents};
use crate::node::Cluster;

impl ControlService {
    pub(super) async fn list_shards(
        &self,
        request: v1::ListShardsRequest,
    ) -> Result<Response<v1::ListShardsResponse>, Status> {
        check(request.version)?;
        let state = self.cluster.controller.state();
        let mut shards = statuses(&self.cluster, &state).await;
        if !request.uncounted {
            for shard in &mut shards {
                shard.documents = self.documents(ShardId(shard.shard_id));
                // Counting may read from disk: here a deadline that has passed ends the request.
                task::yield_now().await;
            }
        }
        Ok(Response::new(v1::ListShardsResponse { version: CONTROL_VERSION, shards }))
    }

    /// As this node's replica has them.
    fn documents(&self, shard: ShardId) -> Option<u64> {
        let replica = self.cluster.replicas.shard(shard)?;
        match position_and_documents(&replica) {
            Ok((_, documents)) => Some(documents),
            Err(error) => {
                tracing::warn!(%shard, %error, "the documents of a shard cannot be counted");
                None
            }
        }
    }

    pub(super) async fn move_replica(
        &self,
        request: v1::MoveReplicaRequest,
    ) -> Result<Response<v1::MoveReplicaResponse>, Status> {
        check(request.version)?;
        let state = self.cluster.controller.confirm().await.map_err(refused)?;
        let (table, stored) = shard(&state, request.shard_id)?;
        let (from, to) = (named(&state, &request.from)?, named(&state, &request.to)?);
        if !stored.placement.contains(from.id) {
            return Err(has_none(&state, stored, from, "replica"));
        }
        may_be_given(to)?;
        if stored.placement.contains(to.id) {
            let why = format!("server `{}` has a replica of shard {} already", to.name, stored.id);
            return Err(Status::failed_precondition(why));
        }
        has_own_places(table, stored)?;
        let command = Command::Substitute { shard: stored.id, lost: from.id, by: to.id };
        self.cluster.controller.propose(command).await.map_err(refused)?;
        // It may be wanted elsewhere since then, and then nobody need wait for the move.
        let unknown = |why| accepted("the move", why);
        let newest = self.cluster.controller.confirm().await.map_err(|error| unknown(refused(error)))?;
        let (_, stored) = shard(&newest, request.shard_id).map_err(unknown)?;
        if !stored.placement.contains(to.id) || stored.placement.contains(from.id) {
            return Err(Status::aborted("the shard was placed elsewhere meanwhile; try again"));
        }
        Ok(Response::new(v1::MoveReplicaResponse {
            version: CONTROL_VERSION,
            from_node_id: from.id.to_string(),
            to_node_id: to.id.to_string(),
        }))
    }

    /// The leader of a shard gives way to the first node of its placement: so that one is changed.
    pub(super) async fn set_shard_leader(
        &self,
        request: v1::SetShardLeaderRequest,
    ) -> Result<Response<v1::SetShardLeaderResponse>, Status> {
        check(request.version)?;
        let state = self.cluster.controller.confirm().await.map_err(refused)?;
        let (_, shard) = shard(&state, request.shard_id)?;
        let node = named(&state, &request.node)?;
        if !shard.placement.voters.contains(&node.id) {
            return Err(has_none(&state, shard, node, "voting replica"));
        }
        may_be_given(node)?;
        let command = Command::PlaceShard { shard: shard.id, placement: led_by(&shard.placement, node.id) };
        self.cluster.controller.propose(command).await.map_err(refused)?;
        Ok(Response::new(v1::SetShardLeaderResponse { version: CONTROL_VERSION, node_id: node.id.to_string() }))
    }

    pub(super) async fn split_shard(
        &self,
        request: v1::SplitShardRequest,
    ) -> Result<Response<v1::SplitShardResponse>, Status> {
        check(request.version)?;
        let state = self.cluster.controller.confirm().await.map_err(refused)?;
        let (table, stored) = shard(&state, request.shard_id)?;
        let at = request.at;
        if PrimaryKey::from_encoded(at.clone().into()).to_datum().is_err() {
            return Err(Status::invalid_argument("these bytes are no key"));
        }
        // Who asks again waits for what was decided before.
        if let Some(new) = cut_off(table, stored, &at) {
            return Ok(Response::new(v1::SplitShardResponse { version: CONTROL_VERSION, new_shard_id: new.0 }));
        }
        if at.as_slice() <= stored.range.start() || !stored.range.contains(&at) {
            let why = format!("the key is not within shard {}, or is its first one (photonctl shard list)", stored.id);
            return Err(Status::invalid_argument(why));
        }
        if table.shards.iter().map(|shard| 1 + shard.cuts.len()).sum::<usize>() >= SHARDS_PER_TABLE_MAX {
            let why =
                format!("table `{}` has {SHARDS_PER_TABLE_MAX} shards, which is the most it may have", table.name);
            return Err(Status::failed_precondition(why));
        }
        let (id, generation) = (stored.id, stored.generation);
        let cuts = vec![NewCut { at: at.clone(), placement: stored.placement.clone() }];
        self.cluster.controller.propose(Command::CutShard { shard: id, generation, cuts }).await.map_err(refused)?;
        let unknown = |why| accepted("the cut", why);
        let state = self.cluster.controller.confirm().await.map_err(|error| unknown(refused(error)))?;
        let (table, stored) = shard(&state, id.0).map_err(unknown)?;
        let new = cut_off(table, stored, &at);
        let new = new.ok_or_else(|| Status::aborted("the shard was changed meanwhile; try again"))?;
        Ok(Response::new(v1::SplitShardResponse { version: CONTROL_VERSION, new_shard_id: new.0 }))
    }
}

impl ControlService {
    pub(super) async fn merge_shard(
        &self,
        request: v1::MergeShardRequest,
    ) -> Result<Response<v1::MergeShardResponse>, Status> {
        check(request.version)?;
        let state = self.cluster.controller.confirm().await.map_err(refused)?;
        let answer = |into: ShardId| {
            Ok(Response::new(v1::MergeShardResponse { version: CONTROL_VERSION, into_shard_id: into.0 }))
        };
        // Who asks again waits for what was decided before.
        if let Some(into) = joined_to(&state, ShardId(request.shard_id)) {
            return answer(into);
        }
        let (table, stored) = shard(&state, request.shard_id)?;
        let left = table.left_of(stored.id).map(|left| left.id);
        let first = StateError::NoLeftNeighbour { shard: stored.id };
        let left = left.ok_or_else(|| Status::failed_precondition(first.to_string()))?;
        let shards = vec![(stored.id, stored.generation)];
        self.cluster.controller.propose(Command::JoinShards { table: table.id, shards }).await.map_err(refused)?;
        answer(left)
    }
}

/// How each shard does, by database and table: what photonctl and `photon_ranges` show. Nobody's documents are counted.
pub(crate) async fn statuses(cluster: &Cluster, state: &ClusterState) -> Vec<v1::ShardStatus> {
    let told = cluster.replicas.statuses_by_node(state).await;
    let told: BTreeMap<MemberId, MemberStatus> =
        told.into_values().flatten().map(|status| (status.member, status)).collect();
    let tables =
        state.databases().flat_map(|database| state.tables_of(database.id).map(move |table| (database, table)));
    let shards = tables.flat_map(|(database, table)| table.shards.iter().map(move |shard| (database, table, shard)));
    shards.map(|(database, table, shard)| status(state, &database.name, table, shard, &told)).collect()
}

/// The shard that has the keys of this one, or is to get them.
fn joined_to(state: &ClusterState, id: ShardId) -> Option<ShardId> {
    let (table, shard) = state.shard(id)?;
    match shard.joining? {
        Stage::Joined { into, .. } => Some(into),
        _ => table.left_of(id).map(|left| left.id),
    }
}

fn shard(state: &ClusterState, id: u64) -> Result<(&Arc<Table>, &Shard), Status> {
    let missing = || Status::not_found(format!("there is no shard {id} (photonctl shard list)"));
    state.shard(ShardId(id)).filter(|(_, shard)| !shard.is_joined()).ok_or_else(missing)
}

/// What is not known any more of a change that was accepted is no sign that there was none.
fn accepted(what: &str, why: Status) -> Status {
    Status::aborted(format!("{what} was accepted, but it is not known what became of it: {}", why.message()))
}

/// The shard that was, or is to be, cut off from this one at a key.
fn cut_off(table: &Table, shard: &Shard, at: &[u8]) -> Option<ShardId> {
    let there = table.shards.iter().find(|next| shard.range.end() == Some(at) && next.range.start() == at);
    let to_come = || shard.cuts.iter().find(|cut| cut.at == at);
    there.map(|shard| shard.id).or_else(|| to_come().map(|cut| cut.shard))
}

/// The same nodes, and this voter first.
fn led_by(placement: &Placement, node: NodeId) -> Placement {
    let others = placement.voters.iter().copied().filter(|voter| *voter != node);
    Placement { voters: std::iter::once(node).chain(others).collect(), nonvoting: placement.nonvoting.clone() }
}

/// One that is to be joined goes where its left neighbour is: nothing of it is moved alone.
fn has_own_places(table: &Table, shard: &Shard) -> Result<(), Status> {
    let follows = |shard: &Shard| table.left_of(shard.id).filter(|_| shard.joining == Some(Stage::Wanted));
    let Some(mut left) = follows(shard) else { return Ok(()) };
    while let Some(next) = follows(left) {
        left = next;
    }
    Err(Status::failed_precondition(format!(
        "shard {} is to be joined to its left neighbour, and its replicas go where those of shard {} are: move the replica of shard {} \
         instead, or wait until they are joined (photonctl shard list)",
        shard.id, left.id, left.id
    )))
}

fn may_be_given(node: &Node) -> Result<(), Status> {
    if node.is_open() {
        return Ok(());
    }
    let why = format!("server `{}` is not up, or not in full service (photonctl node list)", node.name);
    Err(Status::failed_precondition(why))
}

fn has_none(state: &ClusterState, shard: &Shard, node: &Node, what: &str) -> Status {
    let name = |id: NodeId| state.node(id).map_or_else(|| id.to_string(), |node| node.name.clone());
    let there: Vec<String> = shard.placement.voters.iter().map(|id| name(*id)).collect();
    Status::failed_precondition(format!(
        "server `{}` has no {what} of shard {}; voting replicas are on: {}",
        node.name,
        shard.id,
        there.join(", ")
    ))
}

fn status(
    state: &ClusterState,
    database: &str,
    table: &Table,
    shard: &Shard,
    told: &BTreeMap<MemberId, MemberStatus>,
) -> v1::ShardStatus {
    let member = |member: &Member| v1::MemberStatus {
        member_id: member.id.0,
        node_id: member.node.to_string(),
        node: state.node(member.node).map_or_else(|| member.node.to_string(), |node| node.name.clone()),
        role: role(member.role).into(),
        report: told.get(&member.id).map(|status| v1::MemberReport {
            leads: status.leads,
            ready: status.ready,
            applied: status.applied,
        }),
    };
    v1::ShardStatus {
        shard_id: shard.id.0,
        database: database.to_owned(),
        table: table.name.clone(),
        table_id: table.id.to_string(),
        range: Some(v1::KeyRange::from(&shard.range)),
        documents: None,
        preferred_node_id: shard.placement.voters.first().map(NodeId::to_string).unwrap_or_default(),
        members: shard.members.iter().map(member).collect(),
    }
}

fn role(role: Role) -> v1::MemberRole {
    match role {
        Role::Voter => v1::MemberRole::Voter,
        Role::Joining => v1::MemberRole::Joining,
        Role::Nonvoting => v1::MemberRole::Nonvoting,
        Role::Leaving => v1::MemberRole::Leaving,
        Role::Failed | Role::Discarded => v1::MemberRole::Failed,
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::catalog::samples::{TABLE, cluster, cut_at, run};

    #[test]
    fn a_replica_of_a_shard_that_is_to_be_joined_is_not_moved_alone() {
        let mut state = cluster(cut_at(&["h", "p", "t"]));
        let shards = state.table(TABLE).expect("was made").shards.clone();
        let wished = shards[1..3].iter().map(|shard| (shard.id, shard.generation)).collect();
        run(&mut state, Command::JoinShards { table: TABLE, shards: wished });
        let table = state.table(TABLE).expect("was made");
        let refused: Vec<Option<String>> = table
            .shards
            .iter()
            .map(|shard| has_own_places(table, shard).err().map(|status| status.message().to_owned()))
            .collect();
        assert_eq!(
            [0, 3].map(|number: usize| &refused[number]),
            [&None; 2],
            "those stay where they are, or take both along"
        );
        let first = format!("move the replica of shard {}", shards[0].id);
        for why in &refused[1..3] {
            let why = why.as_ref().expect("nothing would come of it");
            assert!(why.contains(&first) && why.contains("to be joined"), "{why}");
        }
    }

    #[test]
    fn what_is_not_known_of_a_move_that_was_accepted_is_told_apart_from_a_refusal() {
        let gone = shard(&cluster(cut_at(&[])), 99).expect_err("is not there");
        assert_eq!(gone.code(), Code::NotFound);
        let unknown = accepted("the move", gone);
        assert_eq!(unknown.code(), Code::Aborted);
        let said = "the move was accepted, but it is not known what became of it: there is no shard 99";
        assert!(unknown.message().starts_with(said), "{unknown}");
    }

    #[test]
    fn who_is_to_lead_comes_first_and_nobody_goes() {
        let before = Placement { voters: [1, 2, 3].map(NodeId).into(), nonvoting: [NodeId(4)].into() };
        let after = led_by(&before, NodeId(3));
        assert_eq!(after.voters, [3, 1, 2].map(NodeId));
        assert_eq!(after.nonvoting, before.nonvoting);
        assert_eq!(led_by(&before, NodeId(1)), before);
    }
}
