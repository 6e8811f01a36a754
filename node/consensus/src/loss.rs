//! Going on without what damage took from a member's log.
//!
//! For the only replica of its group, in a directory that no node runs on. What was lost is lost; what is left must be
//! something that a group can go on from (C3): the state machine's position, the entries that follow it without a gap, and a
//! vote that is not older than either. A lost vote does no harm here: there is nobody else for whom the member could vote a
//! second time in the same term. Nor do lost entries that other members might have: there are none.

use std::sync::mpsc;

use photondb_proto::{GroupId, MemberId};
use photondb_storage::StorageError;
use photondb_storage::wal::{Record, StreamId, StreamState, Wal};

use crate::error::ConsensusError;
use crate::format::{self, FormatError};
use crate::limits::READ_BYTES_MAX;
use crate::members::Members;
use crate::position::{LogPosition, Term};
use crate::replicated::{Applied, CommittedEntry};
use crate::types::{Entry, LeaderId, LogId, StoredMembership, Vote, log_id, position};
use openraft::EntryPayload;
use openraft::vote::RaftVote;

/// What a member has left once its loss is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedLoss {
    /// What is known of the damage, for people.
    pub damage: String,
    /// Up to where the state machine has applied the log; `None`: nothing.
    pub applied: Option<LogPosition>,
    /// First and last index of the entries that follow it and will be applied.
    pub follow: Option<(u64, u64)>,
    /// First and last index of runs of entries that are lost.
    pub missing: Vec<(u64, u64)>,
    /// First and last index of runs of entries that are whole, and given up because one before them is lost.
    pub given_up: Vec<(u64, u64)>,
}

/// Accepts what the member's log may have lost, durably: from then on the group starts with what is left. `None`: nothing
/// of it is in doubt. `applied` is what the state machine keeps for consensus.
///
/// Steps the log itself, so nobody else may. A group of which nothing is left is founded anew at its next start.
///
/// Errors: [`ConsensusError::StateMissing`] when the log was purged of entries that the state machine lacks: then more is lost
/// than the log, and accepting does not help; those of storage and format.
pub fn accept_loss(
    wal: &Wal,
    group: GroupId,
    member: MemberId,
    applied: &Applied,
) -> Result<Option<AcceptedLoss>, ConsensusError> {
    let stream = StreamId(member.0);
    let unreadable = |source| ConsensusError::Format { member, source };
    let applied = applied.position().map_err(unreadable)?;
    let state = wal.state(stream);
    if state.as_ref().is_some_and(|state| state.erased) {
        return Ok(None);
    }
    let (damage, runs) = match (wal.loss(stream), &state) {
        (Some(loss), _) => (loss.to_string(), loss.runs),
        (None, None) if wal.may_lack_streams() => (NO_RECORD_LEFT.to_owned(), Vec::new()),
        (None, _) => return Ok(None),
    };
    let purged = state.as_ref().and_then(|state| state.purged.as_ref()).map(|(upto, _)| *upto);
    if purged > applied.map(|at| at.index) {
        return Err(ConsensusError::StateMissing { group, member, purged: purged.unwrap_or_default() });
    }
    let from = applied.map_or(0, |at| at.index + 1);
    let run = runs.iter().find(|(first, last)| (*first..=*last).contains(&from));
    let follow = run.map(|(_, last)| (from, *last));
    let last = match follow {
        Some((_, index)) => {
            let term = wal.term(stream, index).expect("the WAL knows the entries it names");
            Some(LogPosition { term: Term(term), index })
        }
        None => applied,
    };
    let records = marks(state.as_ref(), member, applied, last).map_err(unreadable)?;
    store(wal, stream, state.is_some(), records, from).map_err(|source| ConsensusError::Storage { member, source })?;
    let mut accepted = AcceptedLoss { damage, applied, follow, missing: Vec::new(), given_up: Vec::new() };
    let mut expected = from;
    for (first, last) in runs.iter().copied().filter(|(_, last)| *last >= from) {
        if first > expected {
            accepted.missing.push((expected, first - 1));
        }
        if follow.is_none_or(|(_, followed)| followed != last) {
            accepted.given_up.push((first, last));
        }
        expected = last + 1;
    }
    Ok(Some(accepted))
}

/// What the log holds of the member that the state machine has not applied, for a directory that no node runs on. For the
/// only replica of its group all of it is as good as committed: nobody else could overrule it.
pub fn entries_not_applied(
    wal: &Wal,
    member: MemberId,
    applied: &Applied,
) -> Result<Vec<CommittedEntry>, ConsensusError> {
    let entries = log_not_applied(wal, member, applied)?;
    let entry = |entry: Entry| {
        let command = match entry.payload {
            EntryPayload::Normal(command) => Some(command.0),
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        };
        CommittedEntry { position: position(&entry.log_id), command }
    };
    Ok(entries.into_iter().map(entry).collect())
}

/// The membership in force at the member, committed or not, as its next start will find it: the newest in its log, else the
/// one that the state machine keeps.
pub fn members_on_disk(wal: &Wal, member: MemberId, applied: &Applied) -> Result<Members, ConsensusError> {
    let (_, kept) =
        format::decode_applied(&applied.consensus).map_err(|source| ConsensusError::Format { member, source })?;
    let newest = log_not_applied(wal, member, applied)?.into_iter().rev().find_map(|entry| match entry.payload {
        EntryPayload::Membership(membership) => Some(StoredMembership::new(Some(entry.log_id), membership)),
        EntryPayload::Normal(_) | EntryPayload::Blank => None,
    });
    Ok(Members::of(&newest.unwrap_or(kept)))
}

fn log_not_applied(wal: &Wal, member: MemberId, applied: &Applied) -> Result<Vec<Entry>, ConsensusError> {
    let unreadable = |source| ConsensusError::Format { member, source };
    let from = applied.position().map_err(unreadable)?.map_or(0, |at| at.index + 1);
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let next = entries.last().map_or(from, |last| last.log_id.index + 1);
        let found = wal.read(StreamId(member.0), next, u64::MAX, READ_BYTES_MAX);
        let found = found.map_err(|source| ConsensusError::Storage { member, source })?;
        if found.is_empty() {
            return Ok(entries);
        }
        for entry in found {
            let at = LogPosition { term: Term(entry.term), index: entry.index };
            entries.push(format::decode_entry(at, entry.payload).map_err(unreadable)?);
        }
    }
}

/// What is said of a member of which the log has nothing.
pub(crate) const NO_RECORD_LEFT: &str =
    "the log was damaged where all of its records may have been, and has none of them";

/// What must be written so that vote, committed position and purge fit a log that ends at `last`, of which everything up to
/// `applied` is in the state machine.
fn marks(
    state: Option<&StreamState>,
    member: MemberId,
    applied: Option<LogPosition>,
    last: Option<LogPosition>,
) -> Result<Vec<Record>, FormatError> {
    let mut records = Vec::new();
    let vote = state.and_then(|state| state.vote.clone()).map(format::decode_vote).transpose()?;
    // A leader is elected in the term after the vote's. Were that not above all that is left, positions would fall.
    if let Some(last) = last
        && vote.is_none_or(|vote: Vote| vote.leader_id.term < last.term.0)
    {
        let vote = Vote::from_leader_id(LeaderId { term: last.term.0, voted_for: member }, false);
        records.push(Record::Vote(format::encode_vote(&vote)));
    }
    let committed = state.and_then(|state| state.committed.clone()).map(format::decode_log_id).transpose()?;
    // One that is beyond the end would some day name an entry that is another's.
    if let Some(committed) = committed
        && last.is_none_or(|last| position(&committed) > last)
    {
        let last: LogId = log_id(last.unwrap_or(LogPosition { term: Term(0), index: 0 }));
        records.push(Record::Committed(format::encode_log_id(&last)));
    }
    if let Some(applied) = applied {
        let payload = format::encode_log_id(&log_id(applied));
        records.push(Record::Purge { upto: applied.index, payload });
    }
    Ok(records)
}

fn store(wal: &Wal, stream: StreamId, known: bool, records: Vec<Record>, from: u64) -> Result<(), StorageError> {
    let (sender, outcome) = mpsc::channel();
    let completion = Box::new(move |result| {
        // The receiver waits below.
        let _ = sender.send(result);
    });
    match known {
        true => wal.accept_loss(stream, records, from, Some(completion)),
        false => wal.submit(stream, records, Some(completion)),
    }
    while wal.step()? {}
    outcome.recv().expect("the WAL completes everything submitted")
}

#[cfg(test)]
mod tests {
    use photondb_storage::fault::set_dice;

    use super::*;

    #[test]
    fn the_whole_log_is_read_in_however_many_pieces() {
        let (wal, member) = (Wal::in_memory(), MemberId(7));
        for index in 0..5 {
            let payload = format::encode_payload(&EntryPayload::Blank);
            wal.submit(StreamId(member.0), vec![Record::Entry { index, term: 1, payload }], None);
        }
        set_dice(Some(Box::new(|name| name == "storage/log-read-short")));
        let found = entries_not_applied(&wal, member, &Applied::default());
        set_dice(None);
        let indexes: Vec<u64> = found.expect("it can be read").iter().map(|entry| entry.position.index).collect();
        assert_eq!(indexes, [0, 1, 2, 3, 4]);
    }
}
