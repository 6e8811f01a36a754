//! Bringing the schema of a shard, which its own log holds, to what the cluster state says. Only the leader of the group does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use photondb_cluster_state::Table;
use photondb_shard::Command;
use photondb_shard::schema::Schema;
use photondb_storage::fault::buggify;

use super::Replicas;
use crate::error::ReplicaError;
use crate::replica::Replica;

impl Replicas {
    /// Proposes what differs, a command for each. A state that is behind would take an index for one that was dropped:
    /// before anything is changed the newest one is asked for.
    pub(crate) async fn keep_schema(&self, replica: &Arc<Replica>, table: &Arc<Table>) -> Result<(), ReplicaError> {
        if buggify!("replica/schema-kept-late") {
            return Ok(());
        }
        let _turn = replica.duty.turn.lock().await;
        let mut table = table.clone();
        if !keeps_schema(&table, replica) {
            return Ok(());
        }
        if !differences(&replica.shard.view().schema, &table).is_empty()
            && let Some(controller) = self.controller()
        {
            match controller.confirm().await?.table(table.id) {
                Some(newest) if keeps_schema(newest, replica) => table = newest.clone(),
                _ => return Ok(()),
            }
        }
        for command in differences(&replica.shard.view().schema, &table) {
            match replica.change(&command).await {
                Ok(()) => {}
                // Whoever leads now does it.
                Err(ReplicaError::NotLeading) => return Ok(()),
                Err(ReplicaError::Propose(error)) if error.is_known_not_proposed() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        for index in replica.shard.view().schema.indexes.values().filter(|index| index.outdated) {
            tracing::info!(table = table.name, index = index.name, "an index of another version is being built again");
        }
        replica.duty.schema.fetch_max(table.schema.0, Ordering::AcqRel);
        Ok(())
    }
}

/// Whether the shard is to have the table's schema: one that is frozen keeps what it has, until it goes on or is another shard's.
fn keeps_schema(table: &Table, replica: &Replica) -> bool {
    replica.shard.frozen().is_none() && table.shards.iter().any(|shard| shard.id == replica.id)
}

/// What takes a shard's schema to the table's.
fn differences(present: &Schema, table: &Table) -> Vec<Command> {
    let wanted: BTreeMap<_, _> = table.indexes.iter().map(|(name, index)| (index.id, (name, index))).collect();
    let gone = present.indexes.keys().filter(|id| !wanted.contains_key(id));
    let mut commands: Vec<Command> = gone.map(|id| Command::DropIndex { id: *id }).collect();
    for (id, (name, index)) in wanted {
        match present.indexes.get(&id) {
            Some(known) if known.name == *name => {}
            Some(_) => commands.push(Command::RenameIndex { id, name: name.clone() }),
            None => {
                let (name, definition) = (name.clone(), index.definition.clone().into());
                let (multi, geo) = (index.multi, index.geo);
                commands.push(Command::CreateIndex { id, name, multi, geo, definition });
            }
        }
    }
    if present.write_hook.as_deref() != table.write_hook.as_deref() {
        let definition = table.write_hook.as_deref().map(|hook| hook.to_vec().into());
        commands.push(Command::SetWriteHook { definition });
    }
    if present.change_log_bytes() != table.change_log_bytes {
        commands.push(Command::SetChangeLog { bytes_max: table.change_log_bytes });
    }
    commands
}
