//! Groups that go on with what one member of another group has, when that group can decide nothing any more (C16).
//!
//! The other group's majority is lost for good, or given up by people: nobody can say any more what of the member's log was
//! committed. So all of it is taken: whatever was acknowledged and reached this member stays. What the group that follows begins
//! with is a [`Birth`](crate::Birth) at the last entry.

use photondb_proto::{GroupId, MemberId};
use photondb_storage::wal::{StreamId, Wal};

use crate::error::ConsensusError;
use crate::format;
use crate::groups::Groups;
use crate::limits::{APPLY_BYTES_MAX, APPLY_ENTRIES_MAX, READ_BYTES_MAX};
use crate::position::{LogPosition, Term};
use crate::replicated::{CommittedEntry, Replicated};
use crate::types::{Command, Entry, StoredMembership, position};
use openraft::EntryPayload;

impl Groups {
    /// Applies to `machine` whatever the log of `from` holds and it has not applied, committed or not; gives the last entry. The
    /// member does not run, and never will again; its log stays as it is, so that this may be repeated. Waits for the disk.
    ///
    /// Errors: [`ConsensusError::AlreadyRunning`]; [`ConsensusError::Erased`]; [`ConsensusError::LogMissing`] when it has no log or
    /// an empty one; [`ConsensusError::Suspect`] and [`ConsensusError::StateMissing`] when some of it is lost.
    pub fn apply_all(
        &self,
        group: GroupId,
        from: MemberId,
        machine: &dyn Replicated,
    ) -> Result<LogPosition, ConsensusError> {
        if self.list().iter().any(|running| running.member() == from) {
            return Err(ConsensusError::AlreadyRunning { group });
        }
        let (wal, stream) = (self.wal(), StreamId(from.0));
        let unreadable = |source| ConsensusError::Format { member: from, source };
        let (mut last, mut membership) = format::decode_applied(&machine.applied().consensus).map_err(unreadable)?;
        let missing = |applied: Option<LogPosition>| ConsensusError::LogMissing {
            group,
            member: from,
            applied: applied.map_or_else(|| "nothing".to_owned(), |at| at.to_string()),
        };
        let state = wal.state(stream).ok_or_else(|| missing(last.as_ref().map(position)))?;
        if state.erased {
            return Err(ConsensusError::Erased { member: from });
        }
        if let Some(loss) = wal.loss(stream) {
            return Err(ConsensusError::Suspect { group, member: from, lost: loss.to_string() });
        }
        let purged = state.purged.map(|(upto, _)| upto);
        if purged > last.as_ref().map(|at| at.index) {
            return Err(ConsensusError::StateMissing { group, member: from, purged: purged.unwrap_or_default() });
        }
        loop {
            let entries = piece(wal, from, last.as_ref().map_or(0, |last| last.index + 1))?;
            let Some(newest) = entries.last() else { break };
            last = Some(newest.log_id);
            for entry in &entries {
                if let EntryPayload::Membership(of) = &entry.payload {
                    membership = StoredMembership::new(Some(entry.log_id), of.clone());
                }
            }
            let consensus = format::encode_applied(last.as_ref(), &membership);
            let failed = |error: crate::ApplyError| ConsensusError::Fatal { group, reason: error.to_string() };
            machine.apply(entries.into_iter().map(as_committed).collect(), consensus).map_err(failed)?;
        }
        last.as_ref().map(position).ok_or_else(|| missing(None))
    }
}

/// The entries from `next` on, as many as go into one transaction.
fn piece(wal: &Wal, member: MemberId, next: u64) -> Result<Vec<Entry>, ConsensusError> {
    let found = wal.read(StreamId(member.0), next, u64::MAX, READ_BYTES_MAX.min(APPLY_BYTES_MAX));
    let found = found.map_err(|source| ConsensusError::Storage { member, source })?;
    let entries = found.into_iter().take(APPLY_ENTRIES_MAX).map(|entry| {
        let at = LogPosition { term: Term(entry.term), index: entry.index };
        format::decode_entry(at, entry.payload)
    });
    entries.collect::<Result<_, _>>().map_err(|source| ConsensusError::Format { member, source })
}

fn as_committed(entry: Entry) -> CommittedEntry {
    let command = match entry.payload {
        EntryPayload::Normal(Command(command)) => Some(command),
        EntryPayload::Blank | EntryPayload::Membership(_) => None,
    };
    CommittedEntry { position: position(&entry.log_id), command }
}
