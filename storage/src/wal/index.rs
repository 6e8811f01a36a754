//! What each stream is now, and where in the log its records lie.
//!
//! A submitted record changes the stream at once, so that it can be read while it waits to be written; where it lies is
//! filled in when it is durable. Until then it can be undone: on a full disk nothing of a request may remain.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::format::{Content, Kind};
use super::{Loss, Lsn, Record, StreamId, StreamState};
use crate::error::StorageError;

/// Where a durable record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it first stood: its age.
    pub(super) original: Lsn,
    /// Where it stands.
    pub(super) at: Lsn,
    /// The room it takes.
    pub(super) bytes: u32,
}

/// Live records and the room they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Live {
    pub(super) fn count(&mut self, place: Place) {
        self.records += 1;
        self.bytes += u64::from(place.bytes);
    }

    pub(super) fn discount(&mut self, place: Place) {
        assert!(self.records > 0, "W5: live records are counted once");
        self.records -= 1;
        self.bytes -= u64::from(place.bytes);
    }
}

/// Where the damage was that made a stream suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspicion {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// One entry of a stream.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Tells this entry from another that had or will have its index.
    pub(super) ticket: u64,
    pub(super) term: u64,
    /// `None` while it waits to be written.
    pub(super) place: Option<Place>,
    /// The payload, while it is recent.
    pub(super) payload: Option<Bytes>,
}

/// The records of which only the newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Vote,
    Committed,
    Purge,
    Born,
    Erased,
    Suspect,
    Checkpoint,
}

/// How many marks there are.
pub(super) const MARKS: usize = 7;

impl Mark {
    /// The mark a kind of record sets.
    pub(super) fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Vote => Self::Vote,
            Kind::Committed => Self::Committed,
            Kind::Purge => Self::Purge,
            Kind::Born => Self::Born,
            Kind::Erased => Self::Erased,
            Kind::Suspect => Self::Suspect,
            Kind::Checkpoint => Self::Checkpoint,
            Kind::Batch | Kind::Entry | Kind::Truncate | Kind::Moved | Kind::CleanShutdown | Kind::LossAccepted => {
                return None;
            }
        })
    }
}

/// One stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// The index of the first slot; meaningless while there is none.
    pub(super) first: u64,
    pub(super) slots: VecDeque<Slot>,
    pub(super) vote: Option<Bytes>,
    pub(super) committed: Option<Bytes>,
    pub(super) purged: Option<(u64, Bytes)>,
    pub(super) erased: bool,
    pub(super) suspect: Option<Suspicion>,
    /// Of a suspect stream, entries behind a gap. Nobody reads them, but they stay in the log until the stream is erased
    /// or its loss accepted: what follows the state of the stream's owner can then still be kept.
    pub(super) stranded: BTreeMap<u64, Slot>,
    /// What the log counts as live of the stream. Like the marks, it says what is durable.
    pub(super) live: Live,
    /// Where the newest durable record of each mark is.
    pub(super) marks: [Option<Place>; MARKS],
}

/// A record on its way to the disk.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) content: Content,
    pub(super) ticket: u64,
    undo: Undo,
}

/// What a record changed, kept until it is durable.
#[derive(Debug)]
enum Undo {
    Nothing,
    Entry,
    Vote(Option<Bytes>),
    Committed(Option<Bytes>),
    /// Where the stream began, and the entries taken off its end.
    Truncate(u64, VecDeque<Slot>),
    /// The same for its front, and what was purged before.
    Purge(u64, VecDeque<Slot>, Option<(u64, Bytes)>),
    Erased(Box<Stream>),
    Suspect(Option<Suspicion>),
    LossAccepted(Box<Accepted>),
}

/// What accepting a loss changed.
#[derive(Debug)]
struct Accepted {
    first: u64,
    count: usize,
    /// The entries that were dropped.
    dropped: BTreeMap<u64, Slot>,
    suspect: Option<Suspicion>,
}

impl Queued {
    pub(super) fn new(content: Content, ticket: u64) -> Self {
        Self { content, ticket, undo: Undo::Nothing }
    }

    /// The entries that stop being live when this record is durable.
    pub(super) fn removed(&self) -> impl Iterator<Item = &Slot> + '_ {
        let (slots, stranded) = match &self.undo {
            Undo::Truncate(_, slots) | Undo::Purge(_, slots, _) => (Some(slots), None),
            Undo::Erased(stream) => (Some(&stream.slots), Some(&stream.stranded)),
            Undo::LossAccepted(accepted) => (None, Some(&accepted.dropped)),
            _ => (None, None),
        };
        slots.into_iter().flatten().chain(stranded.into_iter().flat_map(BTreeMap::values))
    }
}

impl Stream {
    pub(super) fn state(&self) -> StreamState {
        let last = self.last();
        StreamState {
            vote: self.vote.clone(),
            committed: self.committed.clone(),
            purged: self.purged.clone(),
            first_index: last.map(|_| self.first),
            last_index: last,
            erased: self.erased,
            suspect: self.suspect.is_some(),
        }
    }

    pub(super) fn last(&self) -> Option<u64> {
        (self.slots.len() as u64).checked_sub(1).map(|more| self.first + more)
    }

    pub(super) fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    pub(super) fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// The entry of that index, readable or not.
    pub(super) fn held(&self, index: u64) -> Option<&Slot> {
        self.slot(index).or_else(|| self.stranded.get(&index))
    }

    pub(super) fn held_mut(&mut self, index: u64) -> Option<&mut Slot> {
        if self.slot(index).is_some() { self.slot_mut(index) } else { self.stranded.get_mut(&index) }
    }

    /// Where everything that is live of the stream lies.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let entries = self.slots.iter().chain(self.stranded.values()).filter_map(|slot| slot.place);
        entries.chain(self.marks.iter().copied().flatten())
    }

    /// What the stream may have lost, while it is suspect.
    pub(super) fn loss(&self) -> Option<Loss> {
        let Suspicion { segment, offset } = self.suspect?;
        Some(Loss { segment, offset, runs: self.runs() })
    }

    /// First and last index of each run of entries.
    pub(super) fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = self.last().map(|last| (self.first, last)).into_iter().collect();
        for index in self.stranded.keys() {
            match runs.last_mut().filter(|(_, last)| last + 1 == *index) {
                Some((_, last)) => *last = *index,
                None => runs.push((*index, *index)),
            }
        }
        runs
    }

    /// Whether `records` may be appended, in this order. Changes nothing.
    pub(super) fn check(&self, stream: StreamId, records: &[Record]) -> Result<(), StorageError> {
        if self.erased {
            return Err(StorageError::StreamErased { stream: stream.0 });
        }
        let mut first = self.first;
        let mut end = self.last().map(|last| last + 1);
        let mut purged = self.purged.as_ref().map(|(upto, _)| *upto);
        let mut erased = false;
        for record in records {
            if erased {
                return Err(StorageError::StreamErased { stream: stream.0 });
            }
            if self.suspect.is_some() && !matches!(record, Record::Erased) {
                return Err(StorageError::StreamSuspect { stream: stream.0 });
            }
            match record {
                Record::Entry { index, .. } => {
                    let expected = end.or(purged.map(|upto| upto.saturating_add(1))).unwrap_or(*index);
                    if *index != expected || *index == u64::MAX {
                        return Err(StorageError::LogOrder { stream: stream.0, expected, found: *index });
                    }
                    if end.is_none() {
                        first = *index;
                    }
                    end = Some(index + 1);
                }
                Record::Truncate { from } => end = end.map(|end| end.min(*from)).filter(|end| *end > first),
                Record::Purge { upto, .. } => {
                    purged = Some(purged.map_or(*upto, |before| before.max(*upto)));
                    first = first.max(upto.saturating_add(1));
                    end = end.filter(|end| *end > first);
                }
                Record::Erased => erased = true,
                Record::Vote(_) | Record::Committed(_) => {}
            }
        }
        Ok(())
    }

    /// Applies a record to what readers see.
    pub(super) fn apply(&mut self, queued: &mut Queued) {
        queued.undo = match &queued.content {
            Content::Entry { index, term, payload } => {
                if self.slots.is_empty() {
                    self.first = *index;
                }
                assert_eq!(self.first + self.slots.len() as u64, *index, "W7: the entries of a stream have no gap");
                let payload = Some(payload.clone());
                self.slots.push_back(Slot { ticket: queued.ticket, term: *term, place: None, payload });
                Undo::Entry
            }
            Content::Vote(vote) => Undo::Vote(self.vote.replace(vote.clone())),
            Content::Committed(committed) => Undo::Committed(self.committed.replace(committed.clone())),
            Content::Truncate { from } => Undo::Truncate(self.first, self.truncate(*from)),
            Content::Purge { upto, payload } => {
                let newer = self.purged.as_ref().is_none_or(|(before, _)| before <= upto);
                let before = self.purged.clone();
                if newer {
                    self.purged = Some((*upto, payload.clone()));
                }
                Undo::Purge(self.first, self.purge(*upto), before)
            }
            Content::Erased => {
                let before = std::mem::take(self);
                self.erased = true;
                // These say what is durable, which only a durable tombstone changes.
                self.marks = before.marks;
                self.live = before.live;
                Undo::Erased(Box::new(before))
            }
            Content::Suspect { segment, offset } => {
                Undo::Suspect(self.suspect.replace(Suspicion { segment: *segment, offset: *offset }))
            }
            Content::LossAccepted { from, end } => Undo::LossAccepted(Box::new(self.accept(*from, *end))),
            Content::Born(_) | Content::Batch { .. } | Content::Checkpoint { .. } | Content::CleanShutdown => {
                Undo::Nothing
            }
        };
    }

    /// Takes back what [`Stream::apply`] did. Records are taken back newest first.
    pub(super) fn undo(&mut self, queued: &mut Queued) {
        match std::mem::replace(&mut queued.undo, Undo::Nothing) {
            Undo::Nothing => {}
            Undo::Entry => {
                let slot = self.slots.pop_back();
                assert!(slot.is_some_and(|slot| slot.ticket == queued.ticket), "records are undone newest first");
            }
            Undo::Vote(before) => self.vote = before,
            Undo::Committed(before) => self.committed = before,
            Undo::Truncate(first, mut removed) => {
                self.first = first;
                self.slots.append(&mut removed);
            }
            Undo::Purge(first, mut removed, before) => {
                self.first = first;
                self.purged = before;
                removed.append(&mut self.slots);
                self.slots = removed;
            }
            Undo::Erased(before) => {
                let (marks, live) = (self.marks, self.live);
                *self = *before;
                self.marks = marks;
                self.live = live;
            }
            Undo::Suspect(before) => self.suspect = before,
            Undo::LossAccepted(accepted) => {
                let Accepted { first, count, dropped, suspect } = *accepted;
                let mut entries = self.take_entries();
                entries.extend(dropped);
                self.hold(entries, first, count);
                self.suspect = suspect;
            }
        }
    }

    fn accept(&mut self, from: u64, end: u64) -> Accepted {
        let (first, count) = (self.first, self.slots.len());
        let (kept, dropped) = self.take_entries().into_iter().partition(|(index, _)| (from..end).contains(index));
        self.hold(kept, from, usize::try_from(end - from).unwrap_or(usize::MAX));
        assert!(self.stranded.is_empty(), "W7: what remains after a loss has no gap");
        Accepted { first, count, dropped, suspect: self.suspect.take() }
    }

    fn take_entries(&mut self) -> BTreeMap<u64, Slot> {
        let readable = (self.first..).zip(std::mem::take(&mut self.slots));
        let mut entries: BTreeMap<u64, Slot> = readable.collect();
        entries.append(&mut self.stranded);
        entries
    }

    /// Makes `count` entries from `first` on readable; the others are stranded.
    pub(super) fn hold(&mut self, mut entries: BTreeMap<u64, Slot>, first: u64, count: usize) {
        let mut behind = entries.split_off(&first.saturating_add(count as u64));
        let readable = entries.split_off(&first);
        assert!(readable.keys().copied().eq(first..first + readable.len() as u64), "W7: what is readable has no gap");
        self.first = first;
        self.slots = readable.into_values().collect();
        behind.append(&mut entries);
        self.stranded = behind;
    }

    fn truncate(&mut self, from: u64) -> VecDeque<Slot> {
        let kept = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.slots.split_off(kept.min(self.slots.len()))
    }

    fn purge(&mut self, upto: u64) -> VecDeque<Slot> {
        let gone = (upto.saturating_add(1)).saturating_sub(self.first);
        let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(self.slots.len());
        let rest = self.slots.split_off(gone);
        self.first += gone as u64;
        std::mem::replace(&mut self.slots, rest)
    }
}
