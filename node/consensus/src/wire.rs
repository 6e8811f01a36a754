//! Messages between members, as `proto/photondb/v1/raft.proto` has them, to and from openraft's types. What comes from
//! another node is checked here before the core sees it: the core takes its peers at their word.

mod append;
mod election;

use openraft::vote::RaftVote as _;
use photondb_proto::v1;
use photondb_proto::{GroupId, MemberId};

pub(crate) use append::{append, appended, read_append, read_appended};
pub(crate) use election::{
    elected, election, read_elected, read_election, read_transfer, read_transferred, transfer, transferred,
};

use crate::format::FormatError;
use crate::types::{LeaderId, LogId, Vote};

/// A message that no member of this version sends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("{0}")]
    Bytes(#[from] prost::DecodeError),
    #[error("{0}")]
    Format(#[from] FormatError),
    #[error("a message lacks its {0}")]
    Lacks(&'static str),
    #[error("a message contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// Between which members of which group a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) group: GroupId,
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
}

impl Address {
    pub(crate) fn write(self) -> v1::RaftAddress {
        v1::RaftAddress { group: self.group.0, from: self.from.0, to: self.to.0 }
    }

    pub(crate) fn read(address: Option<v1::RaftAddress>) -> Result<Address, WireError> {
        let address = address.ok_or(WireError::Lacks("address"))?;
        Ok(Address { group: GroupId(address.group), from: MemberId(address.from), to: MemberId(address.to) })
    }
}

pub(crate) fn vote(vote: &Vote) -> v1::RaftVote {
    v1::RaftVote { term: vote.leader_id.term, member: vote.leader_id.voted_for.0, committed: vote.committed }
}

pub(crate) fn read_vote(vote: Option<v1::RaftVote>) -> Result<Vote, WireError> {
    let vote = vote.ok_or(WireError::Lacks("vote"))?;
    let leader = LeaderId { term: vote.term, voted_for: MemberId(vote.member) };
    Ok(Vote::from_leader_id(leader, vote.committed))
}

/// The vote of a member that speaks for itself.
fn read_own_vote(found: Option<v1::RaftVote>, from: MemberId) -> Result<Vote, WireError> {
    let vote = read_vote(found)?;
    if vote.leader_id.voted_for != from {
        return Err(WireError::Contradiction("it speaks for another member than its sender"));
    }
    Ok(vote)
}

pub(crate) fn place(id: &LogId) -> v1::RaftPosition {
    v1::RaftPosition { term: id.leader_id.term, index: id.index }
}

pub(crate) fn read_place(place: v1::RaftPosition) -> LogId {
    use crate::position::{LogPosition, Term};
    crate::types::log_id(LogPosition { term: Term(place.term), index: place.index })
}

#[cfg(test)]
mod tests;
