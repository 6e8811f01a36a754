//! Votes, pre-votes, the handing over of leadership, and the answers to them.

use openraft::raft::{TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse};
use photondb_proto::MemberId;
use photondb_proto::v1;
use photondb_proto::v1::raft_transferred::Refused;

use super::{WireError, place, read_own_vote, read_place, read_vote, vote};
use crate::types::Types;

pub(crate) fn election(request: &VoteRequest<Types>) -> v1::RaftElection {
    v1::RaftElection {
        vote: Some(vote(&request.vote)),
        last: request.last_log_id.as_ref().map(place),
        transfer: request.leadership_transfer,
    }
}

/// Errors: [`WireError`] for whatever no candidate `from` sends.
pub(crate) fn read_election(message: v1::RaftElection, from: MemberId) -> Result<VoteRequest<Types>, WireError> {
    let vote = read_own_vote(message.vote, from)?;
    if vote.committed {
        return Err(WireError::Contradiction("who asks for votes has not got them"));
    }
    let mut request = VoteRequest::new(vote, message.last.map(read_place));
    request.leadership_transfer = message.transfer;
    Ok(request)
}

pub(crate) fn elected(response: &VoteResponse<Types>) -> v1::RaftElected {
    v1::RaftElected {
        vote: Some(vote(&response.vote)),
        granted: response.vote_granted,
        last: response.last_log_id.as_ref().map(place),
    }
}

pub(crate) fn read_elected(message: v1::RaftElected) -> Result<VoteResponse<Types>, WireError> {
    let vote = read_vote(message.vote)?;
    Ok(VoteResponse::new(vote, message.last.map(read_place), message.granted))
}

pub(crate) fn transfer(request: &TransferLeaderRequest<Types>) -> v1::RaftTransfer {
    v1::RaftTransfer {
        vote: Some(vote(request.from_leader())),
        to: request.to_node_id().0,
        last: request.last_log_id().map(place),
    }
}

/// Errors: [`WireError`] for whatever no leader `from` sends.
pub(crate) fn read_transfer(
    message: v1::RaftTransfer,
    from: MemberId,
) -> Result<TransferLeaderRequest<Types>, WireError> {
    let vote = read_own_vote(message.vote, from)?;
    Ok(TransferLeaderRequest::new(vote, MemberId(message.to), message.last.map(read_place)))
}

pub(crate) fn transferred(response: &TransferLeaderResponse<Types>) -> v1::RaftTransferred {
    let refused = match response {
        Ok(()) => None,
        Err(TransferLeaderError::VoteChanged { actual, .. }) => Some(Refused::Vote(vote(actual))),
        Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
            Some(Refused::Last(v1::RaftMatched { upto: actual.as_ref().map(place) }))
        }
    };
    v1::RaftTransferred { refused }
}

/// The answer to `request`.
pub(crate) fn read_transferred(
    message: v1::RaftTransferred,
    request: &TransferLeaderRequest<Types>,
) -> Result<TransferLeaderResponse<Types>, WireError> {
    Ok(match message.refused {
        None => Ok(()),
        Some(Refused::Vote(actual)) => {
            let (expected, actual) = (*request.from_leader(), read_vote(Some(actual))?);
            Err(TransferLeaderError::VoteChanged { expected, actual })
        }
        Some(Refused::Last(last)) => {
            let (expected, actual) = (request.last_log_id().copied(), last.upto.map(read_place));
            Err(TransferLeaderError::LogNotFlushed { expected, actual })
        }
    })
}
