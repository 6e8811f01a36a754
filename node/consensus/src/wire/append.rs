//! Entries, heartbeats, and the answers to them.

use openraft::raft::{AppendEntriesRequest, StreamAppendError};
use photondb_proto::v1;
use photondb_proto::v1::raft_appended::Result as Outcome;
use photondb_storage::fault::fault_point;

use super::{WireError, place, read_own_vote, read_place, read_vote, vote};
use crate::format;
use crate::position::{LogPosition, Term};
use crate::types::{Entry, LogId, Types, position};
use photondb_proto::MemberId;

/// What a follower says: up to where its log matches, or why it does not take the entries.
pub(crate) type Appended = Result<Option<LogId>, StreamAppendError<Types>>;

pub(crate) fn append(request: &AppendEntriesRequest<Types>) -> v1::RaftAppend {
    let entry = |entry: &Entry| v1::RaftEntry {
        term: entry.log_id.leader_id.term,
        index: entry.log_id.index,
        payload: format::encode_payload(&entry.payload),
    };
    v1::RaftAppend {
        vote: Some(vote(&request.vote)),
        previous: request.prev_log_id.as_ref().map(place),
        committed: request.leader_commit.as_ref().map(place),
        entries: request.entries.iter().map(entry).collect(),
    }
}

/// Errors: [`WireError`] for whatever no leader `from` sends, such as a gap between entries.
pub(crate) fn read_append(message: v1::RaftAppend, from: MemberId) -> Result<AppendEntriesRequest<Types>, WireError> {
    let vote = read_own_vote(message.vote, from)?;
    if !vote.committed {
        return Err(WireError::Contradiction("entries come from leaders alone"));
    }
    let previous = message.previous.map(read_place);
    let (mut last, mut next) = match &previous {
        Some(id) => (position(id), id.index.saturating_add(1)),
        None => (LogPosition { term: Term(0), index: 0 }, 0),
    };
    let mut entries = Vec::with_capacity(message.entries.len().min(crate::limits::APPEND_ENTRIES_MAX as usize));
    for entry in message.entries {
        let at = LogPosition { term: Term(entry.term), index: entry.index };
        if at.index != next || at.term < last.term || at.term.0 > vote.leader_id.term {
            return Err(WireError::Contradiction("its entries do not follow each other"));
        }
        entries.push(format::decode_entry(at, entry.payload)?);
        (last, next) = (at, next.saturating_add(1));
    }
    let leader_commit = message.committed.map(read_place);
    Ok(AppendEntriesRequest { vote, prev_log_id: previous, entries, leader_commit })
}

pub(crate) fn appended(result: &Appended) -> v1::RaftAppended {
    let outcome = match result {
        Ok(upto) => Outcome::Matched(v1::RaftMatched { upto: upto.as_ref().map(place) }),
        Err(StreamAppendError::Conflict(at)) => Outcome::Conflict(place(at)),
        Err(StreamAppendError::HigherVote(higher)) => Outcome::Higher(vote(higher)),
    };
    v1::RaftAppended { result: Some(outcome) }
}

pub(crate) fn read_appended(message: v1::RaftAppended) -> Result<Appended, WireError> {
    Ok(match message.result.ok_or(WireError::Lacks("result"))? {
        Outcome::Matched(matched) => Ok(matched.upto.map(read_place)),
        Outcome::Conflict(at) if fault_point!("conflict-taken-for-match") => Ok(Some(read_place(at))),
        Outcome::Conflict(at) => Err(StreamAppendError::Conflict(read_place(at))),
        Outcome::Higher(higher) => Err(StreamAppendError::HigherVote(read_vote(Some(higher))?)),
    })
}
