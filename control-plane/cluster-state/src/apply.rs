//! State and command to state and answer.

mod cuts;
mod join;
mod members;
mod nodes;
mod repair;
mod reshape;
mod schema;
mod shards;
mod users;

use std::sync::Arc;

use crate::command::{Command, Response};
use crate::error::StateError;
use crate::state::ClusterState;

/// Applies `command`. An error leaves the state as it was.
pub fn apply(state: &mut ClusterState, command: &Command) -> Result<Response, StateError> {
    match command {
        Command::Found { cluster } => nodes::found(state, *cluster),
        Command::CreateDatabase { id, name } => schema::create_database(state, *id, name),
        Command::DropDatabase { id } => schema::drop_database(state, *id),
        Command::RenameDatabase { id, name } => schema::rename_database(state, *id, name),
        Command::CreateTable { id, database, name, primary_key, durability, write_acks, shards, compression } => {
            let new = schema::NewTable {
                name,
                primary_key,
                durability: *durability,
                write_acks: *write_acks,
                shards,
                compression: *compression,
            };
            schema::create_table(state, *id, *database, new)
        }
        Command::DropTable { id } => schema::drop_table(state, *id),
        Command::RenameTable { id, name } => schema::rename_table(state, *id, name),
        Command::MoveTable { id, database, name } => schema::move_table(state, *id, *database, name),
        Command::SetTableConfig { id, settings } => schema::set_table_config(state, *id, settings),
        Command::CreateIndex { table, name, definition, multi, geo } => {
            schema::create_index(state, *table, name, definition, *multi, *geo)
        }
        Command::DropIndex { table, name } => schema::drop_index(state, *table, name),
        Command::RenameIndex { table, from, to, overwrite } => {
            schema::rename_index(state, *table, from, to, *overwrite)
        }
        Command::SetWriteHook { table, hook } => schema::set_write_hook(state, *table, hook.as_deref()),
        Command::SetUser { name, credentials } => users::set_user(state, name, credentials.as_ref()),
        Command::DropUser { name } => users::drop_user(state, name),
        Command::Grant { user, scope, change } => users::grant(state, user, *scope, change),
        Command::RegisterNode { id, name, tags, addresses, boots, incarnation } => {
            let asks = nodes::Asking { name, tags, addresses, boots: *boots, incarnation: *incarnation };
            nodes::register(state, *id, &asks)
        }
        Command::SetNodeConfig { id, name, tags, cache_size_mb } => {
            nodes::set_config(state, *id, name.as_deref(), tags.as_ref(), *cache_size_mb)
        }
        Command::SetHeartbeatTimeout { seconds } => nodes::set_heartbeat_timeout(state, *seconds),
        Command::SkipIds { next_shard, next_member } => Ok(schema::skip_ids(state, *next_shard, *next_member)),
        Command::Place { table, shards } => shards::place(state, *table, shards),
        Command::PlaceShard { shard, placement } => shards::place_one(state, *shard, placement),
        Command::Reshape { table, named, settings, shards } => {
            reshape::reshape(state, *table, named.as_ref(), settings, shards)
        }
        Command::CutShard { shard, generation, cuts } => cuts::begin(state, *shard, *generation, cuts),
        Command::ShardCut { shard, child } => cuts::done(state, *shard, *child),
        Command::RepairTable { table, shards } => repair::begin_anew(state, *table, shards),
        Command::JoinShards { table, shards } => join::wish(state, *table, shards),
        Command::BeginJoin { shard, generation, left, left_generation } => {
            join::begin(state, (*left, *left_generation), (*shard, *generation))
        }
        Command::ShardFrozen { shard, attempt, at } => join::frozen(state, *shard, *attempt, *at),
        Command::UndoJoin { shard, attempt } => join::undo(state, *shard, *attempt),
        Command::ShardThawed { shard, attempt, epoch } => join::thawed(state, *shard, *attempt, *epoch),
        Command::ShardJoined { shard, into, attempt, epoch } => join::joined(state, *shard, *into, *attempt, *epoch),
        Command::ShardRetired { shard } => join::retired(state, *shard),
        Command::Substitute { shard, lost, by } => shards::substitute(state, *shard, *lost, *by),
        Command::AddMember { shard, generation, node, votes, replaces } => {
            members::add(state, *shard, *generation, *node, *votes, *replaces)
        }
        Command::RetireMember { shard, generation, member, restores } => {
            members::retire(state, *shard, *generation, *member, *restores)
        }
        Command::SetRole { shard, generation, member, role } => {
            members::set_role(state, *shard, *generation, *member, *role)
        }
        Command::MembersReached { shard, generation, at, voters, learners } => {
            members::reached(state, *shard, *generation, *at, voters, learners)
        }
        Command::MemberFailed { shard, member } => members::failed(state, *shard, *member),
        Command::SetLiveness { id, boots, liveness } => nodes::set_liveness(state, *id, *boots, *liveness),
        Command::SetService { id, service } => nodes::set_service(state, *id, *service),
        Command::NodeGone { id } => nodes::gone(state, *id),
        Command::RenewMember { id, failed } => nodes::renew_member(state, *id, *failed),
    }
}

/// The same as a new state, for those who share theirs: what is not touched is shared with the old one.
impl ClusterState {
    /// See [`apply`].
    pub fn applied(self: &Arc<Self>, command: &Command) -> Result<(Arc<ClusterState>, Response), StateError> {
        let mut next = ClusterState::clone(self);
        let response = apply(&mut next, command)?;
        Ok((Arc::new(next), response))
    }
}
