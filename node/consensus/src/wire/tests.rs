//! Messages come as they were sent, and what no member sends is refused.

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::raft::{AppendEntriesRequest, StreamAppendError};
use prost::Message;

use super::*;
use crate::position::{LogPosition, Term};
use crate::types::{Command, Entry, log_id};

const LEADER: MemberId = MemberId(7);

fn at(term: u64, index: u64) -> LogId {
    log_id(LogPosition { term: Term(term), index })
}

fn leader_vote(term: u64) -> Vote {
    Vote::from_leader_id(LeaderId { term, voted_for: LEADER }, true)
}

fn entry(term: u64, index: u64) -> Entry {
    Entry { log_id: at(term, index), payload: EntryPayload::Normal(Command(Bytes::from(format!("{index}")))) }
}

fn request(previous: Option<LogId>, entries: Vec<Entry>) -> AppendEntriesRequest<crate::types::Types> {
    AppendEntriesRequest { vote: leader_vote(5), prev_log_id: previous, leader_commit: Some(at(3, 1)), entries }
}

#[test]
fn entries_come_as_they_were_sent() {
    for sent in [
        request(None, vec![entry(0, 0), entry(3, 1)]),
        request(Some(at(3, 1)), vec![entry(3, 2), entry(5, 3)]),
        request(Some(at(3, 1)), Vec::new()),
    ] {
        let bytes = Bytes::from(append(&sent).encode_to_vec());
        let found = read_append(v1::RaftAppend::decode(bytes).unwrap(), LEADER).unwrap();
        assert_eq!(format!("{found:?}"), format!("{sent:?}"));
    }
}

#[test]
fn entries_that_no_leader_sends_are_refused() {
    let refused = |sent: AppendEntriesRequest<crate::types::Types>, from| {
        assert!(read_append(append(&sent), from).is_err(), "{sent:?}");
    };
    refused(request(None, vec![entry(3, 1)]), LEADER);
    refused(request(Some(at(3, 1)), vec![entry(3, 2), entry(3, 4)]), LEADER);
    refused(request(Some(at(3, 1)), vec![entry(2, 2)]), LEADER);
    refused(request(Some(at(3, 1)), vec![entry(6, 2)]), LEADER);
    refused(request(None, Vec::new()), MemberId(8));
    let candidate = AppendEntriesRequest { vote: vote_of_candidate(), ..request(None, Vec::new()) };
    refused(candidate, LEADER);
    assert!(read_append(v1::RaftAppend::default(), LEADER).is_err());
}

fn vote_of_candidate() -> Vote {
    Vote::from_leader_id(LeaderId { term: 5, voted_for: LEADER }, false)
}

#[test]
fn answers_come_as_they_were_sent() {
    for sent in [
        Ok(None),
        Ok(Some(at(4, 9))),
        Err(StreamAppendError::Conflict(at(4, 9))),
        Err(StreamAppendError::HigherVote(leader_vote(6))),
    ] {
        assert_eq!(read_appended(appended(&sent)), Ok(sent));
    }
    assert!(read_appended(v1::RaftAppended::default()).is_err());
}

#[test]
fn only_a_candidate_asks_for_votes_and_only_for_itself() {
    let request = openraft::raft::VoteRequest::new(vote_of_candidate(), Some(at(4, 9)));
    assert_eq!(read_election(election(&request), LEADER), Ok(request.clone()));
    assert!(read_election(election(&request), MemberId(8)).is_err());
    let leads = openraft::raft::VoteRequest::new(leader_vote(5), None);
    assert!(read_election(election(&leads), LEADER).is_err());
}
