//! openraft's log storage on one stream of [`Wal`].
//!
//! Everything a group writes (entries, votes, truncations, purges, the committed position) goes through the one queue of
//! the WAL, so that its order on disk is the order of the calls (C1, C2; CRATES traps 1, 2 and 4). Completions come back
//! in that order on the WAL's thread; all they do there is to wake the group's core.

mod entries;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use futures_util::{Stream, stream};
use openraft::errors::LeaderChanged;
use openraft::storage::{IOFlushed, LeaderBoundedStreamError, LeaderBoundedStreamResult, RaftLogStorage};
use openraft::type_config::alias::LeaderIdOf;
use openraft::{EntryPayload, LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use photondb_proto::{MemberId, NodeId};
use photondb_storage::StorageError;
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::wal::{Completion, Record, StreamId, Wal};
use tokio::sync::oneshot;

use entries::Entries;

use crate::error::ConsensusError;
use crate::fatal::Fatal;
use crate::format;
use crate::leadership::Leadership;
use crate::limits::{APPEND_BYTES_MAX, COMMITTED_ROOM_MAX, READ_BYTES_MAX};
use crate::loss::NO_RECORD_LEFT;
use crate::position::{LogPosition, Term};
use crate::types::{Entry, LogId, Membership, Types, Vote, log_id, position};

/// The log, vote and committed position of one member. Clones share them: openraft's readers are clones.
#[derive(Clone)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    wal: Arc<Wal>,
    stream: StreamId,
    leadership: Arc<Leadership>,
    fatal: Fatal,
    head: Mutex<Head>,
}

/// What is asked often or synchronously; the WAL holds the same.
struct Head {
    vote: Option<Vote>,
    purged: Option<LogId>,
    last: Option<LogId>,
    /// The highest position known committed.
    committed: Option<LogId>,
    /// The same, as the WAL knows it. It lags: it is written with the next records, never alone (C8).
    committed_written: Option<LogId>,
}

/// Waits until everything submitted so far, by any group, is durable.
pub(crate) async fn barrier(wal: &Wal) -> Result<(), StorageError> {
    let (done, wait) = oneshot::channel();
    wal.barrier(Box::new(move |result| {
        let _ = done.send(result);
    }));
    wait.await.expect("the WAL completes every barrier")
}

impl LogStore {
    /// Reads what the WAL holds of the member's stream.
    pub(crate) fn open(wal: Arc<Wal>, leadership: Arc<Leadership>, fatal: Fatal) -> Result<LogStore, ConsensusError> {
        let stream = StreamId(fatal.member.0);
        let head = Head::read(&wal, stream, &fatal)?;
        if let Some(vote) = &head.vote {
            leadership.voting(Term(vote.leader_id.term));
        }
        Ok(LogStore { shared: Arc::new(Shared { wal, stream, leadership, fatal, head: Mutex::new(head) }) })
    }

    /// Whether nothing was ever written for this member: no vote, no entry, no purge.
    pub(crate) fn is_pristine(&self) -> bool {
        let head = self.shared.head.lock();
        head.vote.is_none() && head.last.is_none()
    }

    /// Whether the log holds no entry and never was purged. With a vote that is what an accepted loss can leave.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.head.lock().last.is_none()
    }

    /// Makes the first entry the one that names the founders the voters.
    pub(crate) fn found(&self, founders: &BTreeMap<MemberId, NodeId>) {
        let voters = vec![founders.keys().copied().collect()];
        let membership = Membership::new(voters, founders.clone()).expect("the voters are among the nodes");
        let first = LogPosition { term: Term(0), index: 0 };
        let payload = format::encode_payload(&EntryPayload::Membership(membership));
        let mut head = self.shared.head.lock();
        head.last = Some(log_id(first));
        let record = Record::Entry { index: first.index, term: first.term.0, payload };
        self.shared.submit(&mut head, [record], None);
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Option<LogPosition> {
        self.shared.head.lock().last.as_ref().map(position)
    }

    /// The position up to which the log is purged.
    pub(crate) fn purged(&self) -> Option<LogPosition> {
        self.shared.head.lock().purged.as_ref().map(position)
    }

    /// The room that the stream takes in the log.
    pub(crate) fn bytes(&self) -> u64 {
        let all = self.shared.wal.stream_metrics();
        all.iter().find(|(stream, _)| *stream == self.shared.stream).map_or(0, |(_, metrics)| metrics.live_bytes)
    }

    /// Writes what was only known in memory, so that the next start re-applies without waiting for an election.
    pub(crate) async fn close(&self) -> Result<(), StorageError> {
        let record = self.shared.head.lock().committed_record();
        if let Some(record) = record {
            self.shared.wal.submit(self.shared.stream, vec![record], None);
        }
        barrier(&self.shared.wal).await
    }
}

impl Shared {
    /// Submits behind whatever the WAL should hear first.
    fn submit(&self, head: &mut Head, records: impl IntoIterator<Item = Record>, done: Option<Completion>) {
        let all = head.committed_record().into_iter().chain(records).collect();
        self.wal.submit(self.stream, all, done);
    }

    fn read(&self, from: u64, end: u64, bytes_max: usize) -> Result<Vec<Entry>, io::Error> {
        let found = self.wal.read(self.stream, from, end, bytes_max).map_err(|error| self.fatal.storage(error))?;
        let decoded = found.into_iter().map(|entry| {
            let at = LogPosition { term: Term(entry.term), index: entry.index };
            format::decode_entry(at, entry.payload)
        });
        decoded.collect::<Result<_, _>>().map_err(|error| {
            self.fatal.end(format_args!("its log cannot be read: {error}"));
            io::Error::new(io::ErrorKind::InvalidData, error)
        })
    }

    /// The part of `range` that the log holds, as a half-open range.
    fn clamp(&self, range: &impl RangeBounds<u64>) -> (u64, u64) {
        let head = self.head.lock();
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        (start.max(next_index(&head.purged)), end.min(next_index(&head.last)))
    }
}

impl Head {
    fn read(wal: &Wal, stream: StreamId, fatal: &Fatal) -> Result<Head, ConsensusError> {
        let Fatal { group, member, .. } = *fatal;
        let mut head = Head { vote: None, purged: None, last: None, committed: None, committed_written: None };
        let suspect = |lost| Err(ConsensusError::Suspect { group, member, lost });
        let Some(state) = wal.state(stream) else {
            // Damage may have taken all of it, its vote with it; founded anew it would be another log of the same name.
            return if wal.may_lack_streams() { suspect(NO_RECORD_LEFT.to_owned()) } else { Ok(head) };
        };
        if state.erased {
            return Err(ConsensusError::Erased { member });
        }
        if let Some(loss) = wal.loss(stream) {
            return suspect(loss.to_string());
        }
        let unreadable = |source| ConsensusError::Format { member, source };
        head.vote = state.vote.map(format::decode_vote).transpose().map_err(unreadable)?;
        head.committed = state.committed.map(format::decode_log_id).transpose().map_err(unreadable)?;
        head.committed_written = head.committed;
        head.purged = state.purged.map(|(_, id)| format::decode_log_id(id)).transpose().map_err(unreadable)?;
        head.last = head.purged;
        if let Some(index) = state.last_index {
            let term = wal.term(stream, index).expect("the WAL knows the last entry it names");
            head.last = Some(log_id(LogPosition { term: Term(term), index }));
        }
        Ok(head)
    }

    /// The committed position, if the WAL should hear of it, to go before the next records.
    fn committed_record(&mut self) -> Option<Record> {
        if self.committed == self.committed_written || buggify!("consensus/committed-written-late") {
            return None;
        }
        self.committed_written = self.committed;
        self.committed.as_ref().map(|id| Record::Committed(format::encode_log_id(id)))
    }
}

/// What is read of the log at once.
fn piece_bytes() -> usize {
    if buggify!("consensus/entries-one-by-one") { 0 } else { READ_BYTES_MAX }
}

fn next_index(id: &Option<LogId>) -> u64 {
    id.as_ref().map_or(0, |id| id.index + 1)
}

impl RaftLogReader<Types> for LogStore {
    /// In memory as far as the WAL's recent entries reach, and bounded: it is called for every message to a follower.
    async fn leader_bounded_stream<Range>(
        &mut self,
        leader: LeaderIdOf<Types>,
        range: Range,
    ) -> impl Stream<Item = LeaderBoundedStreamResult<Types>> + OptionalSend
    where
        Range: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let vote = self.shared.head.lock().vote;
        let leads = vote.is_some_and(|vote| vote.committed && vote.leader_id == leader);
        let mut items = Vec::new();
        if leads {
            let (from, end) = self.shared.clamp(&range);
            match self.shared.read(from, end, piece_bytes()) {
                // Entries of this leader can only have been cut by a vote for another one, and votes only rise.
                Ok(entries) if self.shared.head.lock().vote == vote => items.extend(entries.into_iter().map(Ok)),
                Ok(_) => items.push(Err(LeaderChanged::new(leader, self.shared.head.lock().vote).into())),
                Err(error) => items.push(Err(LeaderBoundedStreamError::IoError(error))),
            }
        } else {
            items.push(Err(LeaderChanged::new(leader, vote).into()));
        }
        stream::iter(items)
    }

    /// Reads piece by piece, so that a long re-apply does not hold the whole log in memory.
    async fn entries_stream<Range>(
        &mut self,
        range: Range,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        Range: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (next, end) = self.shared.clamp(&range);
        stream::iter(Entries::new(Arc::clone(&self.shared), next, end))
    }

    async fn try_get_log_entries<Range>(&mut self, range: Range) -> Result<Vec<Entry>, io::Error>
    where
        Range: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (next, end) = self.shared.clamp(&range);
        Entries::new(Arc::clone(&self.shared), next, end).collect()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        let (from, end) = self.shared.clamp(&(start..end));
        self.shared.read(from, end, piece_bytes())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.head.lock().vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let head = self.shared.head.lock();
        Ok(LogState { last_purged_log_id: head.purged, last_log_id: head.last })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (done, wait) = oneshot::channel();
        {
            let mut head = self.shared.head.lock();
            assert!(
                head.vote.is_none_or(|old| !matches!(vote.partial_cmp(&old), None | Some(std::cmp::Ordering::Less))),
                "C1: votes never regress"
            );
            self.shared.leadership.voting(Term(vote.leader_id.term));
            head.vote = Some(*vote);
            let record = Record::Vote(format::encode_vote(vote));
            let completion: Completion = Box::new(move |result| {
                // The receiver is gone only when the group is being stopped.
                let _ = done.send(result);
            });
            self.shared.submit(&mut head, [record], Some(completion));
        }
        if fault_point!("vote-not-synced") {
            return Ok(());
        }
        match wait.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.shared.fatal.storage(error)),
            Err(_) => Err(io::Error::other("the log ended before the vote was durable")),
        }
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let mut head = self.shared.head.lock();
        if committed > head.committed {
            head.committed = committed;
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let head = self.shared.head.lock();
        // Both are written in order, but a crash keeps a prefix: what is committed is in the log, or was purged from it.
        Ok(head.committed.min(head.last))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let shared = &*self.shared;
        let mut head = shared.head.lock();
        let mut records: Vec<Record> = Vec::new();
        // What goes before the first of them comes on top.
        let room_max = APPEND_BYTES_MAX.min(shared.wal.submission_bytes_max().saturating_sub(COMMITTED_ROOM_MAX));
        let mut room = 0;
        for entry in entries {
            let at = position(&entry.log_id);
            assert!(at.index == next_index(&head.last), "C2: the log has no gap");
            let payload = format::encode_payload(&entry.payload);
            let record = Record::Entry { index: at.index, term: at.term.0, payload };
            let full = room + record.room_bytes_max() > room_max || buggify!("consensus/append-in-parts");
            if full && !records.is_empty() {
                // The WAL takes only so much at once. Were one part refused, the next would not follow the log's end
                // and be refused as well, so that the last part's completion speaks for all.
                shared.submit(&mut head, records.drain(..), None);
                room = 0;
            }
            room += record.room_bytes_max();
            if let EntryPayload::Membership(membership) = &entry.payload {
                // Before anybody else can see it: a lease counts by the membership in force (C9).
                shared.leadership.appending(entry.log_id, membership);
            }
            records.push(record);
            head.last = Some(entry.log_id);
        }
        if fault_point!("append-acknowledged-early") {
            shared.submit(&mut head, records, None);
            callback.io_completed(Ok(()));
            return Ok(());
        }
        let fatal = shared.fatal.clone();
        let completion: Completion =
            Box::new(move |result| callback.io_completed(result.map_err(|error| fatal.storage(error))));
        shared.submit(&mut head, records, Some(completion));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let mut head = self.shared.head.lock();
        let from = next_index(&last);
        assert!(from >= next_index(&head.committed), "C3: what is committed is never truncated");
        photondb_storage::probe!("divergent suffix of a log truncated", last < head.last);
        head.last = last;
        self.shared.leadership.truncated(last.as_ref());
        self.shared.submit(&mut head, [Record::Truncate { from }], None);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let mut head = self.shared.head.lock();
        let record = Record::Purge { upto: upto.index, payload: format::encode_log_id(&upto) };
        if head.last.as_ref().is_none_or(|last| last.index < upto.index) {
            // A snapshot reached past the log's end.
            photondb_storage::probe!("snapshot reached past the end of the log");
            head.last = Some(upto);
        }
        head.purged = Some(upto);
        self.shared.submit(&mut head, [record], None);
        Ok(())
    }
}
