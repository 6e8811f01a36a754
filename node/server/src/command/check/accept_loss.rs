//! `photondb check --accept-loss`: opens a damaged directory without what its log has lost.
//!
//! First the cluster state, because it names the tables; then each table's members. What the next start of the node would
//! not do by itself is done here and nothing more: entries are applied, and members without a table erased, by the node.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use photondb_cluster_state::{ClusterState, META_FOUNDER};
use photondb_consensus::{AcceptedLoss, Applied};
use photondb_controller::ControllerError;
use photondb_proto::{GroupId, NodeId};
use photondb_shard::Shard;
use photondb_storage::disk::Disk;
use photondb_storage::wal::StreamId;
use photondb_storage::{Engine, EngineOptions, StorageError, TreeSetId};
use serde_json::{Value, json};

use crate::command::offline::OfflineError;

/// What was accepted.
#[derive(Debug, Default)]
pub struct Accepted {
    /// By what it concerns, in words.
    losses: Vec<(String, AcceptedLoss)>,
    /// Streams that belong to no table: what they belonged to is not in the cluster state, or was dropped.
    strangers: Vec<StreamId>,
    /// Whether the log was in doubt at all.
    doubt: bool,
}

/// Accepts every loss of the log in the directory.
pub fn accept(path: &Path, disk: Arc<dyn Disk>) -> Result<Accepted, OfflineError> {
    let storage = |error| OfflineError::storage(path, error);
    let consensus = |error| OfflineError::NotAccepted { path: path.to_owned(), reason: error };
    let engine = Engine::open(disk, EngineOptions::default()).map_err(storage)?;
    let wal = engine.wal().clone();
    let suspect = wal.states().values().any(|state| state.suspect);
    let mut accepted = Accepted { doubt: suspect || wal.may_lack_streams(), ..Accepted::default() };
    if accepted.doubt {
        let controller = |error: ControllerError| match error {
            ControllerError::Consensus(error) => consensus(error),
            error => OfflineError::NoClusterState { path: path.to_owned(), reason: error.to_string() },
        };
        if let Some(loss) = photondb_controller::accept_loss(&engine).map_err(controller)? {
            accepted.losses.push((cluster_state_name(), loss));
        }
        let state = photondb_controller::state_on_disk(&engine).map_err(controller)?;
        accept_of_tables(path, &engine, &state, &mut accepted)?;
        wal.accept_lacking_streams(None);
    }
    engine.close().map_err(storage)?;
    Ok(accepted)
}

/// What the cluster state is called, here and when a node does not start.
pub fn cluster_state_name() -> String {
    format!("the cluster state (group {})", GroupId::META)
}

fn accept_of_tables(
    path: &Path,
    engine: &Engine,
    state: &ClusterState,
    accepted: &mut Accepted,
) -> Result<(), OfflineError> {
    let wal = engine.wal();
    let node = engine.identity().node.map(NodeId);
    let mut known = vec![StreamId(META_FOUNDER.0)];
    for table in state.tables() {
        let database = state.database(table.database).map_or("?", |database| &database.name);
        let name = format!("table {database}.{}", table.name);
        for shard in table.with_members() {
            let Some(member) = shard.members.iter().find(|member| Some(member.node) == node) else { continue };
            known.push(StreamId(member.id.0));
            let group = GroupId::from(shard.id);
            let unsettled = |reason| OfflineError::NotAccepted { path: path.to_owned(), reason };
            if shard.members.len() > 1 {
                if wal.loss(StreamId(member.id.0)).is_some() {
                    return Err(OfflineError::OtherReplicas { what: name });
                }
                continue;
            }
            let set = engine.tree_set(TreeSetId(shard.id.0));
            let consensus = set.map(|set| Shard::consensus_of(&set.meta())).transpose();
            let consensus = consensus.map_err(|error| {
                let detail = format!("{name}: {error}");
                OfflineError::storage(path, StorageError::Inconsistent { detail })
            })?;
            let applied = Applied { consensus: consensus.unwrap_or_default() };
            let loss = photondb_consensus::accept_loss(wal, group, member.id, &applied).map_err(unsettled)?;
            accepted.losses.extend(loss.map(|loss| (format!("{name} (group {group})"), loss)));
        }
    }
    let left = wal.states().into_iter().filter(|(id, state)| !state.erased && !known.contains(id));
    accepted.strangers = left.map(|(id, _)| id).collect();
    Ok(())
}

impl Accepted {
    /// Whether anything was given up.
    pub fn is_nothing(&self) -> bool {
        !self.doubt
    }

    /// Says what was lost.
    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        if self.is_nothing() {
            return writeln!(out, "the log has lost nothing: there was nothing to accept");
        }
        for (what, loss) in &self.losses {
            match loss.missing.is_empty() && loss.given_up.is_empty() {
                true => writeln!(out, "accepted: {what} may have lost the end of its log")?,
                false => writeln!(out, "accepted: {what} lost part of its log")?,
            }
            writeln!(out, "    damage:   {}", loss.damage)?;
            match (loss.applied, loss.follow) {
                (None, None) => writeln!(out, "    left:     nothing; it begins anew, empty")?,
                (Some(applied), None) => writeln!(out, "    left:     everything up to entry {}", applied.index)?,
                (_, Some((_, last))) => writeln!(out, "    left:     everything up to entry {last}")?,
            }
            if !loss.missing.is_empty() {
                writeln!(out, "    lost:     entries {}", runs(&loss.missing))?;
            }
            if !loss.given_up.is_empty() {
                writeln!(out, "    given up: entries {}, which are whole but follow lost ones", runs(&loss.given_up))?;
            }
            writeln!(out, "    unknown:  whether anything followed the last entry that is known")?;
        }
        for stream in &self.strangers {
            writeln!(
                out,
                "given up: stream {stream} of the log belongs to no table that the cluster state knows; the node erases it"
            )?;
        }
        match self.losses.is_empty() {
            true => writeln!(out, "the log was damaged, and no table lost anything by it"),
            false => writeln!(out, "the log can be used again; take a backup once the node has started"),
        }
    }

    /// The same for programs.
    pub fn as_json(&self) -> Value {
        let pairs = |runs: &[(u64, u64)]| runs.iter().map(|(first, last)| json!([first, last])).collect::<Vec<_>>();
        let losses = self.losses.iter().map(|(what, loss)| {
            json!({
                "what": what,
                "damage": loss.damage,
                "applied": loss.applied.map(|at| at.index),
                "follow": loss.follow.map(|(first, last)| [first, last]),
                "missing": pairs(&loss.missing),
                "given_up": pairs(&loss.given_up),
            })
        });
        json!({
            "nothing": self.is_nothing(),
            "losses": losses.collect::<Vec<_>>(),
            "streams_given_up": self.strangers.iter().map(|stream| stream.0).collect::<Vec<_>>(),
        })
    }
}

fn runs(runs: &[(u64, u64)]) -> String {
    let texts =
        runs.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first} to {last}") });
    texts.collect::<Vec<_>>().join(", ")
}
