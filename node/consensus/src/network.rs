//! The way to other members: openraft's network on [`Peers`].
//!
//! Votes, heartbeats and the handing over of leadership are requests on the urgent lane, so that they never wait behind
//! entries. Entries go as one exchange for each follower and group ([`append`]), whose exchanges share the log lane's
//! connection between two nodes; snapshots as an exchange on the bulk lane ([`snapshot`]). Each message names both members:
//! one that was erased, or is not born yet, answers so.

mod append;
mod sending;
mod snapshot;
mod transfers;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;
use openraft::{OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use photondb_proto::v1;
use photondb_proto::v1::raft_absent::Why;
use photondb_proto::v1::raft_answer::Answer;
use photondb_proto::v1::raft_request::Ask;
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_runtime::clock::Moment;
use photondb_runtime::peers::{Lane, Peer, PeerError, Peers, Service};
use photondb_runtime::task::Blocking;
use photondb_storage::fault::{buggify, fault_point};
use prost::Message;

use crate::leadership::Leadership;
use crate::position::Term;
use crate::replicated::Snapshot;
use crate::types::{Types, Vote};
use crate::wire::{self, Address, WireError};

pub(crate) use snapshot::continued_crc;
pub use transfers::Transfer;
pub(crate) use transfers::Transfers;

/// What one answer to an append is for openraft.
type Appended = Result<openraft::raft::StreamAppendResult<Types>, RPCError<Types>>;

/// Makes the channels from one member to the others of its group.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) group: GroupId,
    pub(crate) member: MemberId,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) blocking: Blocking,
    pub(crate) transfers: Arc<Transfers>,
}

/// The way to one other member.
pub(crate) struct Channel {
    address: Address,
    node: NodeId,
    peers: Arc<dyn Peers>,
    leadership: Arc<Leadership>,
    blocking: Blocking,
    transfers: Arc<Transfers>,
    /// Carries heartbeats only.
    beats: bool,
}

/// Whether another member takes part, as far as can be learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It answers; the index of the last entry of its log, 0: it has none.
    Here(u64),
    /// Its node runs, and it is about to.
    NotYet,
    /// It does not, or nobody says anything.
    Unknown,
}

impl Network {
    /// Asks a member whether it takes part, for `limit` at most.
    pub(crate) async fn presence(&self, of: MemberId, node: NodeId, limit: Duration) -> Presence {
        let channel = self.channel(of, node, false);
        let Ok(answer) = channel.request(Ask::Presence(v1::RaftPresence {}), limit).await else {
            return Presence::Unknown;
        };
        match v1::RaftAnswer::decode(answer).map(|answer| answer.answer) {
            Ok(Some(Answer::Present(v1::RaftPresent { last }))) => Presence::Here(last.map_or(0, |last| last.index)),
            Ok(Some(Answer::Absent(absent))) if absent.why() == Why::NotYet => Presence::NotYet,
            _ => Presence::Unknown,
        }
    }

    fn channel(&self, to: MemberId, node: NodeId, beats: bool) -> Channel {
        Channel {
            address: Address { group: self.group, from: self.member, to },
            node,
            peers: Arc::clone(&self.peers),
            leadership: Arc::clone(&self.leadership),
            blocking: self.blocking,
            transfers: Arc::clone(&self.transfers),
            beats,
        }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Channel;

    async fn new_client(&mut self, target: MemberId, node: &NodeId) -> Channel {
        self.channel(target, *node, false)
    }

    async fn new_heartbeat_client(&mut self, target: MemberId, node: &NodeId) -> Channel {
        self.channel(target, *node, true)
    }
}

impl Channel {
    fn peer(&self) -> Peer {
        Peer(self.node.0)
    }

    /// Asks on the urgent lane and gives the answer of the member, within `limit`.
    async fn ask(&self, ask: Ask, action: RPCTypes, limit: Duration) -> Result<Answer, RPCError<Types>> {
        let answer = self.request(ask, limit).await.map_err(|error| self.failed(error, action))?;
        self.answer(answer)
    }

    async fn request(&self, ask: Ask, limit: Duration) -> Result<Bytes, PeerError> {
        let body = v1::RaftRequest { address: Some(self.address.write()), ask: Some(ask) };
        let body = Bytes::from(body.encode_to_vec());
        self.peers.request(self.peer(), Service::Consensus, Lane::Urgent, body, limit).await
    }

    fn answer(&self, bytes: Bytes) -> Result<Answer, RPCError<Types>> {
        match v1::RaftAnswer::decode(bytes) {
            Ok(v1::RaftAnswer { answer: Some(Answer::Absent(absent)) }) => Err(self.absent(&absent)),
            Ok(v1::RaftAnswer { answer: Some(answer) }) => Ok(answer),
            Ok(v1::RaftAnswer { answer: None }) => Err(self.unexpected("an answer that says nothing")),
            Err(error) => Err(self.unexpected(error)),
        }
    }

    fn absent(&self, absent: &v1::RaftAbsent) -> RPCError<Types> {
        let Address { group, to, .. } = self.address;
        let why = absent.why().as_str_name();
        Unreachable::from_string(format!("member {to} of group {group} is not on node {}: {why}", self.node)).into()
    }

    fn unexpected(&self, what: impl std::fmt::Display) -> RPCError<Types> {
        NetworkError::from_string(format!("node {} sent what this version does not know: {what}", self.node)).into()
    }

    fn failed(&self, error: PeerError, action: RPCTypes) -> RPCError<Types> {
        match error {
            PeerError::NotSent(_) => Unreachable::from_string(error).into(),
            PeerError::TimedOut(after) => self.late(action, after),
            PeerError::Refused(_) | PeerError::Lost(_) => NetworkError::from_string(error).into(),
        }
    }

    fn late(&self, action: RPCTypes, timeout: Duration) -> RPCError<Types> {
        Timeout { action, id: self.address.from, target: self.address.to, timeout }.into()
    }

    fn other<T>(&self, _answer: Answer) -> Result<T, RPCError<Types>> {
        Err(self.unexpected("an answer to something else"))
    }

    fn read<T>(&self, read: Result<T, WireError>) -> Result<T, RPCError<Types>> {
        read.map_err(|error| self.unexpected(error))
    }

    /// Sends a message without entries. Answered, it counts for the lease from this moment of sending.
    async fn beat(&self, request: AppendEntriesRequest<Types>, limit: Duration) -> Appended {
        if buggify!("consensus/beat-skipped") {
            return Err(self.late(RPCTypes::AppendEntries, limit));
        }
        let (term, sent) = (Term(request.vote.leader_id.term), self.leadership.now());
        let asked = self.ask(Ask::Beat(wire::append(&request)), RPCTypes::AppendEntries, limit).await?;
        let Answer::Appended(appended) = asked else { return self.other(asked) };
        let appended = self.read(wire::read_appended(appended))?;
        self.count(&appended, term, sent);
        Ok(appended)
    }

    /// A member that answers a leader, unless it has voted higher, has promised to follow it for a while.
    fn count(&self, answer: &openraft::raft::StreamAppendResult<Types>, term: Term, sent: Moment) {
        if !matches!(answer, Err(openraft::raft::StreamAppendError::HigherVote(_))) {
            self.leadership.answered(self.address.to, term, sent);
        }
    }
}

impl RaftNetworkV2<Types> for Channel {
    type SnapshotData = Snapshot;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.beat(request, option.soft_ttl()).await.map(AppendEntriesResponse::from)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Appended>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let limit = option.soft_ttl();
        if self.beats {
            let channel = &*self;
            let answers = input.then(move |request| channel.beat(request, limit));
            return Box::pin(async move { Ok(Box::pin(answers) as BoxStream<'s, Appended>) });
        }
        let mut input = input;
        Box::pin(async move {
            // Taken before the exchange is opened: where an earlier failure is to be waited out, openraft waits in it.
            let Some(first) = input.next().await else {
                return Ok(Box::pin(stream::empty()) as BoxStream<'s, Appended>);
            };
            let session = append::Session::open(self, first, limit).await?;
            Ok(Box::pin(stream::unfold(Some((session, input)), append::next)) as BoxStream<'s, Appended>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        if buggify!("consensus/vote-not-asked-for") {
            return Err(self.late(RPCTypes::Vote, option.soft_ttl()));
        }
        let asked = self.ask(Ask::Vote(wire::election(&request)), RPCTypes::Vote, option.soft_ttl()).await?;
        let Answer::Elected(elected) = asked else { return self.other(asked) };
        if fault_point!("answer-taken-for-vote") {
            return Ok(VoteResponse::new(request.vote, None, true));
        }
        self.read(wire::read_elected(elected))
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let asked = self.ask(Ask::PreVote(wire::election(&request)), RPCTypes::Vote, option.soft_ttl()).await?;
        let Answer::Elected(elected) = asked else { return self.other(asked) };
        self.read(wire::read_elected(elected))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<Types, Snapshot>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        self.send_snapshot(vote, snapshot, cancel, option).await
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        // Whoever asked for it: the other member may be elected from here on.
        self.leadership.cede(Term(request.from_leader().leader_id.term));
        let asked =
            self.ask(Ask::Transfer(wire::transfer(&request)), RPCTypes::TransferLeader, option.soft_ttl()).await?;
        let Answer::Transferred(transferred) = asked else { return self.other(asked) };
        self.read(wire::read_transferred(transferred, &request))
    }
}
