//! How a member starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use openraft::Raft;
use photondb_proto::{GroupId, MemberId, NodeId};

use super::Shared;
use crate::error::ConsensusError;
use crate::fatal::Fatal;
use crate::group::{Group, GroupParts};
use crate::leadership::Leadership;
use crate::log_store::LogStore;
use crate::network::Network;
use crate::position::LogPosition;
use crate::replicated::Replicated;
use crate::state_machine::StateMachine;
use crate::supervise;
use crate::types::position;

impl Shared {
    /// Boxed here, because whoever waits for a future that is not has it compiled into his own crate, and with this one all of openraft.
    pub(super) fn open(
        &self,
        group: GroupId,
        member: MemberId,
        machine: Arc<dyn Replicated>,
        founders: BTreeMap<MemberId, NodeId>,
        is_new: bool,
    ) -> BoxFuture<'_, Result<Group, ConsensusError>> {
        Box::pin(self.open_member(group, member, machine, founders, is_new))
    }

    async fn open_member(
        &self,
        group: GroupId,
        member: MemberId,
        machine: Arc<dyn Replicated>,
        founders: BTreeMap<MemberId, NodeId>,
        is_new: bool,
    ) -> Result<Group, ConsensusError> {
        let fatal = Fatal::new(group, member, Arc::clone(&self.fatal));
        let ended = |reason: String| ConsensusError::Fatal { group, reason };

        let leadership = Arc::new(Leadership::new(member, Arc::clone(&self.clock), self.options.lease));
        let log = LogStore::open(Arc::clone(&self.wal), Arc::clone(&leadership), fatal.clone())?;
        let pristine = log.is_pristine();
        let state_machine = StateMachine::open(
            Arc::clone(&machine),
            Arc::clone(&leadership),
            Arc::clone(&self.wal),
            self.blocking,
            fatal.clone(),
        )
        .map_err(|source| ConsensusError::Format { member, source })?;
        if let Some(applied) = state_machine.applied()
            && pristine
        {
            let applied: LogPosition = position(applied);
            return Err(ConsensusError::LogMissing { group, member, applied: applied.to_string() });
        }
        if !founders.is_empty() && log.is_empty() && state_machine.applied().is_none() {
            if !pristine && founders.len() > 1 {
                // The first entry goes to the log before any vote does.
                let lost = "it has voted, and its log is empty".to_owned();
                return Err(ConsensusError::Suspect { group, member, lost });
            }
            log.found(&founders);
        }

        let applying = state_machine.watch_end();
        let network = Network {
            group,
            member,
            peers: Arc::clone(&self.peers),
            leadership: Arc::clone(&leadership),
            blocking: self.blocking,
            transfers: Arc::clone(&self.transfers),
        };
        let raft = Raft::build(member, Arc::clone(&self.config), network.clone(), log.clone(), state_machine)
            .await
            .map_err(|error| ended(error.to_string()))?;
        raft.run();
        let executor = self.executor.clone();
        let parts = GroupParts { group, member, raft, log, leadership, machine, applying, network, executor };
        let opened = Group::new(parts);
        supervise::spawn(opened.clone(), fatal);
        let wait = self.options.election_timeout_max;
        supervise::let_take_part(&opened, pristine || is_new, wait).await.map_err(|error| ended(error.to_string()))?;
        Ok(opened)
    }
}
