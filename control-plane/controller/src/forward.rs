//! Calls to other nodes.

use std::time::Duration;

use bytes::Bytes;
use photondb_consensus::LogPosition;
use photondb_proto::{MemberId, NodeId, v1};
use photondb_runtime::peers::{Lane, Peer, PeerError, Service};
use photondb_storage::fault::buggify;

use crate::burdens::burden_message;
use crate::controller::{Attempt, Inner};
use crate::error::ControllerError;
use crate::limits::{CALL_TIME_MAX, START_CALL_MAX};
use crate::messages::{Answer, Call, decode_answer, encode_call, id_bytes, id_of, position_of};

impl Inner {
    /// Has the leader carry out a command, once. Gives the state's answer and where it was applied.
    pub(crate) async fn call_once(&self, leader: NodeId, call: Call) -> Attempt<(Bytes, Option<LogPosition>)> {
        let mut boots = self.replicated.state().node(leader).map_or(0, |node| node.boots);
        if buggify!("controller/life-forgotten") {
            boots = 0;
        }
        // A second time only when the leader says that it has been opened again since it registered.
        for _ in 0..2 {
            match self.call(leader, boots, Lane::Query, call.clone()).await {
                Ok(Answer::Outcome(outcome)) => return Attempt::Done((outcome.outcome, position_of(outcome.at))),
                Ok(Answer::OtherOpening(opening)) if opening.boots != boots => boots = opening.boots,
                Ok(Answer::OtherOpening(_)) => return Attempt::Nothing("the leader takes no calls".to_owned()),
                Ok(Answer::NotLeading(_)) => return Attempt::Nothing(format!("node {leader} does not lead")),
                Ok(Answer::Unknown(why)) => return Attempt::Failed(ControllerError::Unknown(why)),
                Ok(_) => return Attempt::Failed(ControllerError::Unknown("an answer to something else".to_owned())),
                Err(error) if error.is_harmless() => return Attempt::Nothing(error.to_string()),
                Err(error) => return Attempt::Failed(ControllerError::Unknown(error.to_string())),
            }
        }
        Attempt::Nothing("the leader was opened again".to_owned())
    }

    /// Where the leader stands, confirmed by a quorum after this call began.
    pub(crate) async fn call_confirm(&self, leader: NodeId) -> Attempt<Option<LogPosition>> {
        match self.call(leader, 0, Lane::Query, Call::Confirm(v1::ConfirmCall {})).await {
            Ok(Answer::Position(at)) => Attempt::Done(position_of(Some(at))),
            Ok(_) => Attempt::Nothing(format!("node {leader} does not lead")),
            Err(error) => Attempt::Nothing(error.to_string()),
        }
    }

    /// Asks `node` to take this one in, or to hear that it is there again.
    pub(crate) async fn call_join(&self, node: NodeId, cluster: u128) -> Result<Answer, PeerError> {
        let (cluster, register) = (id_bytes(cluster), self.me.command(self.incarnation).encode());
        self.call(node, 0, Lane::Query, Call::Join(v1::JoinCall { cluster, register })).await
    }

    /// Which cluster `node` is in; `None`: in none, for certain.
    pub(crate) async fn call_for_cluster(&self, node: NodeId) -> Result<Option<u128>, PeerError> {
        match self.call(node, 0, Lane::Query, Call::Join(v1::JoinCall::default())).await? {
            Answer::Joined(joined) => Ok(id_of(&joined.cluster)),
            _ => Err(PeerError::Lost("an answer to something else".to_owned())),
        }
    }

    /// Asks for another member, because the one of the state's group cannot go on.
    pub(crate) async fn call_renew(&self, node: NodeId, failed: MemberId) -> Result<Answer, PeerError> {
        self.call(node, 0, Lane::Query, Call::Renew(v1::RenewCall { failed: failed.0 })).await
    }

    /// The newest opening of this node's directory that `node` has heard of; boots 0: none. `voter` is the member there that
    /// votes by the log that is here.
    pub(crate) async fn call_vouch(
        &self,
        node: NodeId,
        voter: Option<MemberId>,
    ) -> Result<v1::OtherOpening, PeerError> {
        let vouch = v1::VouchCall { voter: voter.map_or(0, |voter| voter.0) };
        let call = encode_call(self.me.boots, 0, self.serial(), Call::Vouch(vouch));
        let peers = &self.parts.peers;
        let answer = peers.request(Peer(node.0), Service::Control, Lane::Query, call, START_CALL_MAX).await?;
        match decode_answer(answer) {
            Some(Answer::OtherOpening(opening)) => Ok(opening),
            _ => Err(PeerError::Lost("an answer to something else".to_owned())),
        }
    }

    /// Tells a node that this one lives, and learns from the leader what the others bear. Gives whether that was the leader.
    pub(crate) async fn call_heartbeat(&self, node: NodeId) -> Result<bool, PeerError> {
        let (boots, full, stopping) = (self.me.boots, !self.parts.engine.has_space(), self.is_stopping());
        let burden = self.own_burden().map(burden_message);
        let call = Call::Heartbeat(v1::HeartbeatCall { boots, full, stopping, burden });
        match self.call(node, 0, Lane::Urgent, call).await? {
            Answer::NotLeading(_) => return Ok(false),
            Answer::Burdens(heard) => self.told.lock().learn(&heard, self.parts.clock.now()),
            // A leader of an older version answers something else.
            _ => {}
        }
        Ok(true)
    }

    pub(crate) async fn ask_replicas(&self, node: NodeId, body: Bytes, time_max: Duration) -> Result<Bytes, PeerError> {
        let call = encode_call(self.me.boots, 0, self.serial(), Call::Replicas(body));
        let peers = &self.parts.peers;
        let answer = peers.request(Peer(node.0), Service::Control, Lane::Query, call, time_max).await?;
        match decode_answer(answer) {
            Some(Answer::Replicas(body)) => Ok(body),
            _ => Err(PeerError::Lost("an answer to something else".to_owned())),
        }
    }

    async fn call(&self, node: NodeId, receiver_boots: u64, lane: Lane, call: Call) -> Result<Answer, PeerError> {
        let body = encode_call(self.me.boots, receiver_boots, self.serial(), call);
        let answer = self.parts.peers.request(Peer(node.0), Service::Control, lane, body, CALL_TIME_MAX).await?;
        decode_answer(answer).ok_or_else(|| PeerError::Lost("an answer that cannot be read".to_owned()))
    }
}
