//! The cluster state as the state machine of its Raft group, kept in a tree set.
//!
//! The whole state is one value under one key. Changes are rare (DDL, users, nodes) and the state is small (a table
//! takes some 150 bytes), so writing it whole costs less than keeping a second, per-object form of it consistent; and one
//! value is one digest, one snapshot chunk and one format. Position and membership are the tree set's meta blob, which
//! changes with the value in one transaction.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use photondb_cluster_state::{ClusterState, Command, Response, StateError};
use photondb_consensus::{Applied, ApplyError, CommittedEntry, Replicated, Snapshot, Term};
use photondb_proto::{GroupId, MemberId};
use photondb_storage::fault::buggify;
use photondb_storage::{Engine, StorageError, Transaction, TreeId, TreeSet, TreeSetId};
use tokio::sync::watch;

use crate::error::ControllerError;
use crate::limits::STATE_BYTES_MAX;

/// Where the cluster state lives: the tree set with the number of its group, as for every group.
pub const CLUSTER_STATE_SET: TreeSetId = TreeSetId(GroupId::META.0);

const TREE: TreeId = TreeId(0);
const KEY: &[u8] = b"state";
/// This node's own affair: no part of the state, nor of its snapshots.
const KEY_MEMBER: &[u8] = b"member";

/// The state machine. Readers take the state by `Arc`; there is one writer, the group's apply task.
pub struct ReplicatedState {
    engine: Engine,
    set: TreeSet,
    state: ArcSwap<ClusterState>,
    changes: watch::Sender<Arc<ClusterState>>,
}

impl ReplicatedState {
    /// Opens what `engine` holds; nothing yet is a cluster at its birth.
    pub fn open(engine: Engine) -> Result<ReplicatedState, ControllerError> {
        let set = match engine.tree_set(CLUSTER_STATE_SET) {
            Some(set) => set,
            None => engine.create_tree_set(CLUSTER_STATE_SET)?,
        };
        let snapshot = set.snapshot();
        let stored = if snapshot.has_tree(TREE) { snapshot.get(TREE, KEY)? } else { None };
        let state = match stored {
            Some(bytes) => ClusterState::decode(&bytes)?,
            None => ClusterState::at_birth(),
        };
        let state = Arc::new(state);
        let changes = watch::Sender::new(Arc::clone(&state));
        Ok(ReplicatedState { engine, set, state: ArcSwap::new(state), changes })
    }

    /// The member of the group that this directory was given when its node was taken in; `None`: it was not, or founded the
    /// cluster.
    pub(crate) fn member(&self) -> Option<MemberId> {
        let snapshot = self.set().snapshot();
        let stored = if snapshot.has_tree(TREE) { snapshot.get(TREE, KEY_MEMBER) } else { Ok(None) };
        let stored = stored.inspect_err(|error| tracing::warn!(%error, "the node's own member cannot be read"));
        let bytes: [u8; 8] = stored.ok()??.as_ref().try_into().ok()?;
        Some(MemberId(u64::from_le_bytes(bytes)))
    }

    /// Keeps the member's number, durably.
    pub(crate) fn set_member(&self, member: MemberId) -> Result<(), StorageError> {
        let mut transaction = self.set().begin();
        if !transaction.has_tree(TREE) {
            transaction.create_tree(TREE)?;
        }
        transaction.put(TREE, KEY_MEMBER, &member.0.to_le_bytes())?;
        transaction.commit()?;
        self.engine.checkpoint().map(|_| ())
    }

    /// Gives up everything that is stored: a member that follows begins with nothing. What readers see stays until then.
    pub(crate) fn forget(&self) -> Result<(), StorageError> {
        let set = self.set();
        let mut transaction = set.begin();
        if transaction.has_tree(TREE) {
            transaction.delete(TREE, KEY)?;
            transaction.delete(TREE, KEY_MEMBER)?;
        }
        transaction.set_meta(Bytes::new())?;
        transaction.commit()?;
        self.engine.checkpoint().map(|_| ())
    }

    fn set(&self) -> &TreeSet {
        &self.set
    }

    /// The state now.
    pub fn state(&self) -> Arc<ClusterState> {
        self.state.load_full()
    }

    /// Holds the newest state, and tells when there is a newer one. A slow watcher sees the newest, not each.
    pub fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.changes.subscribe()
    }

    fn store(&self, state: Option<&ClusterState>, consensus: Bytes) -> Result<(), StorageError> {
        let mut transaction = self.set.begin();
        if let Some(state) = state {
            write(&mut transaction, &state.encode())?;
        }
        transaction.set_meta(consensus)?;
        transaction.commit()
    }

    fn publish(&self, state: Arc<ClusterState>) {
        self.state.store(Arc::clone(&state));
        self.changes.send_replace(state);
    }
}

fn write(transaction: &mut Transaction, state: &[u8]) -> Result<(), StorageError> {
    if !transaction.has_tree(TREE) {
        transaction.create_tree(TREE)?;
    }
    transaction.put(TREE, KEY, state)?;
    Ok(())
}

impl Replicated for ReplicatedState {
    fn applied(&self) -> Applied {
        Applied { consensus: self.set.meta() }
    }

    fn apply(&self, entries: Vec<CommittedEntry>, consensus: Bytes) -> Result<Vec<Bytes>, ApplyError> {
        // After `forget` what readers see is another member's.
        let is_first = self.set.meta().is_empty();
        let before = if is_first { Arc::new(ClusterState::at_birth()) } else { self.state() };
        let mut state = Arc::clone(&before);
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(command) = entry.command else {
                outcomes.push(Bytes::new());
                continue;
            };
            // A command that this version cannot read was committed by a newer one: this node must not go on without it.
            let command = Command::decode(&command).map_err(ApplyError::new)?;
            let outcome = state.applied(&command).and_then(|(next, response)| {
                // Whatever makes it smaller is welcome even then.
                let (before, after) = (state.encode().len(), next.encode().len());
                if after > STATE_BYTES_MAX && after > before {
                    let (bytes, max) = (after as u64, STATE_BYTES_MAX as u64);
                    return Err(StateError::DefinitionTooLarge { bytes, max });
                }
                state = next;
                Ok(response)
            });
            outcomes.push(Response::encode_outcome(&outcome).into());
        }
        let changed = is_first || !Arc::ptr_eq(&before, &state);
        self.store(changed.then_some(&*state), consensus).map_err(ApplyError::new)?;
        if buggify!("controller/checkpoint-after-apply")
            && let Err(error) = self.engine.checkpoint()
        {
            tracing::debug!(%error, "no checkpoint now; one comes later");
        }
        if changed {
            self.publish(state);
        }
        Ok(outcomes)
    }

    fn durable(&self) -> Applied {
        Applied { consensus: self.set.durable_meta().unwrap_or_default() }
    }

    fn leading(&self, term: Option<Term>) {
        match term {
            Some(term) => tracing::info!(%term, "this node leads the cluster state"),
            None => tracing::info!("this node has stopped leading the cluster state"),
        }
    }

    fn snapshot(&self) -> Result<Snapshot, ApplyError> {
        let pinned = self.set.snapshot();
        let consensus = pinned.meta();
        let state = if pinned.has_tree(TREE) { pinned.get(TREE, KEY).map_err(ApplyError::new)? } else { None };
        Ok(Snapshot::new(Applied { consensus }, Box::new(state.into_iter().map(Ok))))
    }

    fn install(&self, snapshot: Snapshot) -> Result<(), ApplyError> {
        let mut bytes = Vec::new();
        for chunk in snapshot.chunks {
            bytes.extend_from_slice(&chunk?);
        }
        let state = if bytes.is_empty() {
            ClusterState::at_birth()
        } else {
            ClusterState::decode(&bytes).map_err(ApplyError::new)?
        };
        self.store(Some(&state), snapshot.applied.consensus).map_err(ApplyError::new)?;
        self.engine.checkpoint().map_err(ApplyError::new)?;
        self.publish(Arc::new(state));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use photondb_consensus::LogPosition;
    use photondb_proto::NodeId;
    use photondb_storage::EngineOptions;

    use super::*;

    fn entry(index: u64, name: &str) -> CommittedEntry {
        let command = Command::RegisterNode {
            id: NodeId(u128::from(index)),
            name: name.to_owned(),
            tags: BTreeSet::new(),
            addresses: Vec::new(),
            boots: 1,
            incarnation: Default::default(),
        };
        CommittedEntry { position: LogPosition { term: Term(1), index }, command: Some(command.encode().into()) }
    }

    #[test]
    fn a_member_after_another_begins_with_nothing() {
        let replicated = ReplicatedState::open(Engine::in_memory(EngineOptions::default())).unwrap();
        let (first, second) = (entry(1, "a"), entry(2, "b"));
        replicated.apply(vec![first.clone(), second], Bytes::from_static(b"at 2")).unwrap();
        let before = replicated.state();
        replicated.forget().unwrap();
        assert!(Arc::ptr_eq(&before, &replicated.state()), "readers see the old one until there is a new one");
        let blank = CommittedEntry { position: LogPosition { term: Term(1), index: 0 }, command: None };
        replicated.apply(vec![blank], Bytes::from_static(b"at 0")).unwrap();
        replicated.apply(vec![first], Bytes::from_static(b"at 1")).unwrap();
        let names: Vec<_> = replicated.state().nodes().map(|node| node.name.clone()).collect();
        assert_eq!(names, ["a"]);
        let stored = ReplicatedState::open(replicated.engine.clone()).unwrap();
        assert_eq!(stored.state().encode(), replicated.state().encode(), "it is stored, too");
    }
}
