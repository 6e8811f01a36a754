//! The way to other members. There is none yet: every call says so.
//!
//! A group of one member never comes here. A group that has peers cannot elect, append or send a snapshot, and the error
//! of each attempt is what openraft logs. Pre-vote refuses as well: the trait's own default would grant it.

use std::future::Future;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::type_config::alias::SnapshotOf;
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use photondb_proto::{MemberId, NodeId};

use crate::replicated::Snapshot;
use crate::types::{Types, Vote};

/// Makes [`NoPeer`]s.
pub(crate) struct NoPeers;

/// A peer that nothing can be sent to.
pub(crate) struct NoPeer {
    member: MemberId,
    node: NodeId,
}

impl NoPeer {
    fn unreachable(&self) -> Unreachable<Types> {
        Unreachable::from_string(format!(
            "member {} on node {} cannot be reached: this version has no transport between nodes",
            self.member, self.node
        ))
    }
}

impl RaftNetworkFactory<Types> for NoPeers {
    type Network = NoPeer;

    async fn new_client(&mut self, target: MemberId, node: &NodeId) -> NoPeer {
        NoPeer { member: target, node: *node }
    }
}

impl RaftNetworkV2<Types> for NoPeer {
    type SnapshotData = Snapshot;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(self.unreachable().into())
    }

    async fn pre_vote(
        &mut self,
        _request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: SnapshotOf<Types, Snapshot>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(self.unreachable().into())
    }
}
