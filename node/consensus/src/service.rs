//! What other members ask of those on this node.
//!
//! Requests and exchanges arrive on threads of the transport; they are carried out as tasks of the Raft thread. A message
//! reaches a group only if it is for the very member that runs here: under the number of one that was erased, or is not
//! born yet, nobody answers anything else.

mod appends;
pub(crate) mod interrupted;
mod snapshot;

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use openraft::AsyncRuntime;
use openraft::raft::AppendEntriesResponse;
use photondb_proto::v1;
use photondb_proto::v1::raft_absent::Why;
use photondb_proto::v1::raft_answer::Answer;
use photondb_proto::v1::raft_open::What;
use photondb_proto::v1::raft_request::Ask;
use photondb_runtime::peers::{Exchange, Peer, SendFuture, Serve};
use photondb_storage::fault::buggify;
use photondb_storage::wal::StreamId;
use prost::Message;

use crate::group::Group;
use crate::groups::Shared;
use crate::limits::BUGGIFIED_PAUSE;
use crate::runtime::Runtime;
use crate::types::log_id;
use crate::wire::{self, Address, WireError};

/// Answers what other nodes send to the groups of this one.
pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
}

impl Serve for Service {
    fn request(&self, from: Peer, body: Bytes) -> SendFuture<'static, Result<Bytes, String>> {
        let shared = Arc::clone(&self.shared);
        let answering = self.shared.spawn(async move { answer(&shared, from, body).await });
        Box::pin(async move {
            let answer = answering.await.unwrap_or_else(|error| Err(error.to_string()))?;
            Ok(encode(answer))
        })
    }

    fn exchange(&self, from: Peer, first: Bytes, exchange: Exchange) -> SendFuture<'static, ()> {
        let shared = Arc::clone(&self.shared);
        let taking_part = self.shared.spawn(async move {
            if let Err(reason) = take_part(&shared, first, exchange).await {
                tracing::debug!(node = format_args!("{:032x}", from.0), %reason, "an exchange about a Raft group was refused");
            }
        });
        Box::pin(async move {
            // Ended with the executor, or panicked: either way the exchange is over.
            let _ = taking_part.await;
        })
    }
}

/// A refusal on which the sender has nothing to decide.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Message(#[from] WireError),
    #[error("{0}")]
    Ended(String),
}

impl Refusal {
    fn ended(error: impl Display) -> Refusal {
        Refusal::Ended(error.to_string())
    }
}

impl From<prost::DecodeError> for Refusal {
    fn from(error: prost::DecodeError) -> Refusal {
        Refusal::Message(error.into())
    }
}

async fn answer(shared: &Shared, _from: Peer, body: Bytes) -> Result<Answer, String> {
    carry_out(shared, body).await.map_err(|refusal| refusal.to_string())
}

async fn carry_out(shared: &Shared, body: Bytes) -> Result<Answer, Refusal> {
    let request = v1::RaftRequest::decode(body)?;
    let address = Address::read(request.address)?;
    let group = match receiver(shared, address) {
        Ok(group) => group,
        Err(why) => {
            if matches!((why, &request.ask), (Why::NotYet, Some(Ask::Beat(_)))) {
                shared.find(address.group).iter().for_each(Group::note_leader_unheard);
            }
            return Ok(absent(why));
        }
    };
    let raft = group.raft();
    Ok(match request.ask.ok_or(WireError::Lacks("question"))? {
        Ask::Vote(vote) => {
            let request = wire::read_election(vote, address.from)?;
            if buggify!("consensus/vote-answered-late") {
                Runtime::sleep(15 * BUGGIFIED_PAUSE).await;
            }
            Answer::Elected(wire::elected(&raft.vote(request).await.map_err(Refusal::ended)?))
        }
        Ask::PreVote(vote) => {
            let request = wire::read_election(vote, address.from)?;
            let elected = raft.pre_vote(request).await.map_err(Refusal::ended)?;
            photondb_storage::probe!("vote refused by pre-vote", !elected.vote_granted);
            Answer::Elected(wire::elected(&elected))
        }
        Ask::Beat(beat) => {
            let request = wire::read_append(beat, address.from)?;
            let (previous, last) = (request.prev_log_id, request.entries.last().map(|entry| entry.log_id));
            let response = raft.append_entries(request).await.map_err(Refusal::ended)?;
            if previous.is_none() && matches!(response, AppendEntriesResponse::Conflict) {
                return Err(Refusal::Ended("a message that contradicts nothing was contradicted".to_owned()));
            }
            let appended = response.into_stream_result(previous, last.or(previous));
            Answer::Appended(wire::appended(&appended))
        }
        Ask::Transfer(transfer) => {
            let request = wire::read_transfer(transfer, address.from)?;
            let response = raft.handle_transfer_leader(request).await.map_err(Refusal::ended)?;
            Answer::Transferred(wire::transferred(&response))
        }
        Ask::Presence(v1::RaftPresence {}) => {
            let last = group.observe().last;
            Answer::Present(v1::RaftPresent { last: last.map(|last| wire::place(&log_id(last))) })
        }
    })
}

async fn take_part(shared: &Shared, first: Bytes, exchange: Exchange) -> Result<(), Refusal> {
    let open = v1::RaftOpen::decode(first)?;
    let address = Address::read(open.address)?;
    let group = match receiver(shared, address) {
        Ok(group) => group,
        Err(why) => {
            // Who does not wait for the answer does not need it.
            let _ = exchange.send.send(encode(absent(why))).await;
            return Ok(());
        }
    };
    match open.what.ok_or(WireError::Lacks("subject"))? {
        What::Appends(v1::RaftAppends {}) => appends::take(&group, address, exchange).await,
        What::Snapshot(what) => snapshot::take(shared, &group, address, what, exchange).await,
    }
}

/// The group whose member here is the one addressed, if it may be spoken to.
fn receiver(shared: &Shared, address: Address) -> Result<Group, Why> {
    if let Some(group) = shared.find(address.group)
        && group.member() == address.to
    {
        return match (group.is_stopping(), group.is_held()) {
            (true, _) => Err(Why::Ended),
            (false, true) => {
                photondb_storage::probe!("message for a member that is bound by its last life");
                Err(Why::NotYet)
            }
            (false, false) if buggify!("consensus/member-looks-unborn") => Err(Why::NotYet),
            (false, false) => Ok(group),
        };
    }
    if shared.is_changing(address.group) {
        return Err(Why::NotYet);
    }
    match shared.wal.state(StreamId(address.to.0)) {
        Some(state) if state.erased => {
            photondb_storage::probe!("message for a member that was erased");
            Err(Why::Erased)
        }
        // It has a log here, and will be started.
        Some(_) => Err(Why::NotYet),
        None => {
            photondb_storage::probe!("message for a member that is not there yet");
            Err(Why::Unborn)
        }
    }
}

fn absent(why: Why) -> Answer {
    Answer::Absent(v1::RaftAbsent { why: why.into() })
}

fn encode(answer: Answer) -> Bytes {
    v1::RaftAnswer { answer: Some(answer) }.encode_to_vec().into()
}
