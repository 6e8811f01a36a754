//! Other groups for shards of a table that have lost the majority of their replicas for good.
//!
//! Whether a replica is lost is what this node finds: it asks every server that holds one. Who is connected and does not answer is
//! no lost one, and then nothing is repaired: what it holds may be all that is needed.

use std::collections::BTreeMap;
use std::time::Duration;

use photondb_cluster_state::plan::{Rescues, Survivor, rescue};
use photondb_cluster_state::{ClusterState, Command, Reached, Shard, ShardRepair, StateError, Table};
use photondb_proto::{MemberId, NodeId, ShardId, TableId};
use photondb_query::catalog::EmergencyRepair;
use photondb_replica::status::MemberStatus;
use photondb_reql::error::{Error, Result};
use photondb_runtime::{fiber, task};
use photondb_storage::fault::fault_point;

use super::{Failure, Ground};
use crate::limits::SHARDS_LOOK_PERIOD;

/// How long it is waited until the shards that were repaired are served. They are repaired all the same.
const SERVED_TIME_MAX: Duration = Duration::from_secs(10);

/// Errors: the cluster state, in which a repair is written, has no majority itself.
pub(super) fn needs_state(ground: &Ground) -> Result<()> {
    let said = |error: Error| {
        Error::op_failed(format!(
            "{}. A repair is a change of the cluster state, and needs more than half of the servers that vote on that to be there; the \
             cluster state itself cannot be repaired so.",
            error.message.trim_end_matches('.')
        ))
    };
    ground.newest_state().map(drop).map_err(said)
}

/// The command that repairs what can be repaired of the table. Errors: nothing is to be repaired; nothing can be in this mode; it is
/// not known of a server what it holds.
pub(super) fn plan(ground: &Ground, state: &ClusterState, table: &Table, mode: EmergencyRepair) -> Result<Command> {
    let erases = match mode {
        EmergencyRepair::UnsafeRollback => false,
        EmergencyRepair::UnsafeRollbackOrErase => true,
        EmergencyRepair::DebugRecommit => return Err(not_needed()),
    };
    let told = ground.statuses_of(state, table);
    let survivors = told.values().flatten().map(|status| (status.member, survivor(status))).collect();
    let Rescues { shards, missing, homeless, apart } = rescue(state, table, &survivors, erases, &ground.burdens());
    if shards.is_empty() && missing + homeless + apart.len() == 0 {
        return Err(not_needed());
    }
    for shard in &table.shards {
        unknown(state, table, shard, &told)?;
    }
    if shards.is_empty() && missing > 0 {
        return Err(nothing_left());
    }
    // The other shards are repaired all the same.
    if let Some(right) = apart.first().filter(|_| shards.is_empty()) {
        return Err(in_a_join(*right));
    }
    if homeless > 0 {
        return Err(Error::op_failed(format!(
            "{homeless} shards of table `{}` have no available replicas, and no server is there on which they could begin anew.",
            table.name
        )));
    }
    if fault_point!("repair-begins-empty") {
        let empty = shards.into_iter().map(|repair| ShardRepair { from: None, ..repair });
        return Ok(Command::RepairTable { table: table.id, shards: empty.collect() });
    }
    Ok(Command::RepairTable { table: table.id, shards })
}

/// Changes the state, waits until this node obeys, and for a while until the shards are served.
pub(super) fn carry_out(ground: &Ground, id: TableId, command: Command) -> Result<()> {
    let Command::RepairTable { shards, .. } = &command else { unreachable!("it was planned here") };
    let repaired: Vec<_> = shards.iter().map(|repair| (repair.shard, repair.generation)).collect();
    ground.propose_raw(command).map_err(|failure| match failure {
        Failure::Refused(
            StateError::OtherGeneration { .. } | StateError::MemberUnsuitable { .. } | StateError::ShardJoining { .. },
        ) => Error::op_failed("The replicas of the table have changed meanwhile; nothing was repaired. Try again."),
        failure => failure.into_error(),
    })?;
    ground.settle(|state| {
        let is_newer = |(id, before)| state.shard(id).is_none_or(|(_, shard): (_, &Shard)| shard.generation > before);
        repaired.iter().copied().all(is_newer)
    })?;
    let served = async {
        loop {
            let state = ground.state();
            let Some(table) = state.table(id) else { return };
            let leads = |statuses: &BTreeMap<MemberId, MemberStatus>, id| {
                statuses.values().any(|status| status.shard == id && status.answers)
            };
            let statuses = ground.statuses(&state, table).await;
            if repaired.iter().all(|(id, _)| leads(&statuses, *id)) {
                return;
            }
            task::sleep(SHARDS_LOOK_PERIOD).await;
        }
    };
    // Whoever asks how the table is sees the rest.
    let _ = fiber::wait(task::timeout(SERVED_TIME_MAX, served));
    Ok(())
}

fn survivor(status: &MemberStatus) -> Survivor {
    let last = status.last.map(|last| Reached { term: last.term.0, index: last.index });
    Survivor { last, voters: status.voters.clone(), answers: status.answers }
}

/// Errors: a member is on a server that is there, and nobody has said how it is.
fn unknown(
    state: &ClusterState,
    table: &Table,
    shard: &Shard,
    told: &BTreeMap<NodeId, Vec<MemberStatus>>,
) -> Result<()> {
    // One that is still to be borne does not run.
    let is_unborn = shard.parent.is_some() && shard.reached.is_none();
    for member in shard.members.iter().filter(|member| !member.role.is_broken()) {
        let Some(node) = state.node(member.node).filter(|node| node.is_up()) else { continue };
        let (server, name) = (&node.name, &table.name);
        match told.get(&member.node) {
            None => {
                return Err(Error::op_failed(format!(
                    "Server `{server}` holds replicas of table `{name}` and is connected, but did not say how they are; nothing was \
                     repaired. Try again, or stop the server and wait until it is not connected any more."
                )));
            }
            Some(told) if !is_unborn && !told.iter().any(|status| status.member == member.id) => {
                return Err(Error::op_failed(format!(
                    "Server `{server}` is connected and has not started its replica of table `{name}` yet; nothing was repaired. Try \
                     again; if the replica never starts (the log of the server says why), stop the server and wait until it is not \
                     connected any more."
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn in_a_join(right: ShardId) -> Error {
    Error::op_failed(format!(
        "{}. No server is left that has a replica of it and one of that neighbour, of which it needs both; nothing was repaired. Bring back \
         a server that has both.",
        StateError::ShardJoining { shard: right }
    ))
}

/// RethinkDB's words.
fn not_needed() -> Error {
    Error::op_failed("This table doesn't need to be repaired.")
}

/// RethinkDB's words.
fn nothing_left() -> Error {
    Error::op_failed(
        "One or more shards of this table have no available replicas. Since there are no available copies of the data that was \
         stored in those shards, those shards cannot be repaired. If you run the command again with `emergency_repair` set to \
         `unsafe_rollback_or_erase`, those shards will be reset to an empty, but writeable state; but if the missing replicas later \
         reconnect, the original data that was stored on them will be lost permanently.",
    )
}
